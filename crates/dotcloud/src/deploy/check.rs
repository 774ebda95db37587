//! What a deployment refuses, or warns of, before anything is built.

use std::path::PathBuf;

use super::{DeployError, Deployment};
use crate::build_file;
use crate::model::application::InstanceName;
use crate::model::variable_size;
use crate::service::environment;
use crate::service::supervisor::{self, SupervisorError};

impl Deployment<'_> {
    /// Refuses what cannot work, before anything is built. The supervisord of this machine: found now,
    /// not when everything is built and the old instance is down.
    pub(super) fn check(&mut self) -> Result<PathBuf, DeployError> {
        self.check_sockets()?;
        self.check_variables()?;
        self.warn();
        Ok(self.platform.supervisord()?)
    }

    /// A state directory whose path is too long. Numbers have room to grow: what works at the first push
    /// is to work at the hundredth.
    fn check_sockets(&self) -> Result<(), SupervisorError> {
        let (store, name) = (&self.platform.store, &self.application.name);
        supervisor::check_socket(&store.public(name).socket())?;
        let generation = self.application.generation.max(100);
        for service in self.request.build_file.services.keys() {
            let instance = InstanceName::new(service, 10);
            supervisor::check_socket(&store.container(name, &instance, generation).socket())?;
        }
        Ok(())
    }

    /// Variables that no program of a service could be started with.
    fn check_variables(&self) -> Result<(), DeployError> {
        for service in self.request.build_file.services.values() {
            let mut all = environment::service_variables(service);
            all.extend(self.application.variables.over(&service.environment));
            variable_size::check_variables(&all).map_err(|source| DeployError::Variables {
                service: service.name.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// Of what is allowed, and will hardly be meant.
    fn warn(&mut self) {
        let account = self.request.runtime.account();
        if let Some(name) = account.human() {
            self.log.warning(
                "platform",
                format!(
                    "the services of this application have the uid {}, which is {name}'s on this machine: \
                     to the kernel they are the same user (docs/platform.md, 'Whom a service is')",
                    account.uid
                ),
            );
        }
        for service in self.request.build_file.services.values() {
            for (program, line) in &service.programs {
                if let Some(why) = build_file::suspicion(line) {
                    self.log.warning(
                        &service.name,
                        format!(
                            "its program {program} is one simple command, which bash execs, and {why}: \
                             put '{line}' into a script"
                        ),
                    );
                }
            }
        }
    }
}
