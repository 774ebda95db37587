//! The builds of a deployment and their results, which are kept as long as the code is they were
//! built of: deploying a revision again takes no build if nothing else that goes into one differs.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{DeployError, Deployment, check_stop, packages};
use crate::build_file::Service;
use crate::deploy::build;
use crate::host::files::{self, FileError};
use crate::model::application::{Application, Built, Service as ServiceRecord};
use crate::service::environment;
use crate::state::container::Variables;
use crate::state::snapshot::short_id;
use crate::state::store::StoreError;

impl Deployment<'_> {
    /// Builds every service of the build file; one failure ends the deployment.
    pub(super) fn build(&mut self) -> Result<(), DeployError> {
        packages::provide(self.platform, self.request.build_file, self.log)?;
        for service in self.request.build_file.services.values() {
            check_stop(self.platform)?;
            let variables = variables(self.application, service);
            let built = match self.kept(service, &digest(&variables)) {
                Some(built) => {
                    self.log.platform(format!(
                        "{} was built of this revision before",
                        service.name
                    ));
                    built
                }
                None => self.build_one(service, variables)?,
            };
            self.record_build(service, built)?;
        }
        self.log.platform("Build done");
        Ok(())
    }

    /// What was built of this revision, if it may be taken and would be the same.
    fn kept(&self, service: &Service, variables: &str) -> Option<Built> {
        let application = &*self.application;
        let built = application
            .builds
            .get(self.request.revision)?
            .get(&service.name)?;
        let snapshots = self.platform.store.snapshots(&application.name);
        let good = self.request.options.reuse
            && built.variables == variables
            && snapshots.join(&built.snapshot).is_file();
        good.then(|| built.clone())
    }

    fn build_one(&mut self, service: &Service, variables: Variables) -> Result<Built, DeployError> {
        self.log
            .platform(format!("Build of {} started", service.name));
        let digest = digest(&variables);
        let record = self.application.services.get(&service.name);
        let order = build::Order {
            platform: self.platform,
            application: &self.application.name,
            service,
            variables,
            code: self.request.code,
            previous: record
                .and_then(|record| record.snapshot.as_deref())
                .filter(|_| !self.request.options.clean),
            runtime: self.request.runtime,
        };
        let taken = build::build(&order, self.log).map_err(|source| DeployError::Build {
            service: service.name.clone(),
            source,
        })?;
        self.log.platform(format!(
            "Build of {} completed, image {} KB",
            service.name,
            taken.bytes.div_ceil(1024)
        ));
        Ok(Built {
            snapshot: taken.name,
            variables: digest,
        })
    }

    fn record_build(&mut self, service: &Service, built: Built) -> Result<(), StoreError> {
        let record = self
            .application
            .services
            .entry(service.name.clone())
            .or_insert_with(|| ServiceRecord {
                kind: service.kind.clone(),
                snapshot: None,
                instances: BTreeMap::new(),
                scale: None,
                memory: None,
            });
        record.snapshot = Some(built.snapshot.clone());
        self.application
            .builds
            .entry(self.request.revision.to_owned())
            .or_default()
            .insert(service.name.clone(), built);
        self.platform.store.save(self.application)
    }

    /// Removes results that neither a service nor a revision that is kept refers to.
    pub(super) fn remove_old_builds(&mut self) -> Result<(), DeployError> {
        let Application {
            builds, revisions, ..
        } = self.application;
        builds.retain(|revision, _| revisions.contains(revision));
        self.platform.store.save(self.application)?;
        Ok(self.remove_unused()?)
    }

    fn remove_unused(&self) -> Result<(), FileError> {
        let application = &*self.application;
        let directory = self.platform.store.snapshots(&application.name);
        let read = |source| files::failed("read", &directory)(source);
        for entry in std::fs::read_dir(&directory).map_err(read)? {
            let entry = entry.map_err(read)?;
            let name = entry.file_name();
            let current = application.services.values().flat_map(|s| &s.snapshot);
            let built = application.builds.values().flat_map(BTreeMap::values);
            let mut used = current.chain(built.map(|built| &built.snapshot));
            if !used.any(|snapshot| *name == **snapshot) {
                files::remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// No `PORT_*`, no `DOTCLOUD_*`: a build cannot know where its result will run.
fn variables(application: &Application, service: &Service) -> Variables {
    let mut variables = environment::service_variables(service);
    variables.extend(application.variables.over(&service.environment));
    variables
}

/// Says whether two builds saw the same variables, without telling what they were.
fn digest(variables: &BTreeMap<String, String>) -> String {
    let mut digest = Sha256::new();
    for (name, value) in variables {
        for text in [name, value] {
            digest.update(text.len().to_le_bytes());
            digest.update(text);
        }
    }
    short_id(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_tells_variables_apart() {
        let of = |pairs: &[(&str, &str)]| {
            let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
            digest(&pairs.iter().map(owned).collect())
        };
        assert_eq!(of(&[("A", "b"), ("C", "d")]), of(&[("C", "d"), ("A", "b")]));
        assert_ne!(of(&[("A", "bC"), ("D", "")]), of(&[("A", "b"), ("CD", "")]));
    }
}
