//! What is done to one instance of a deployment, side by side with others.

use super::Request;
use crate::handover::ledger::Ledger;
use crate::handover::{self, HandoverError};
use crate::model::application::{Container, Instance, InstanceName};
use crate::output::deployment_log::DeploymentLog;
use crate::service::platform::Platform;
use crate::state::container::Paths;

/// One instance on its way to its new container.
pub(super) struct Step<'a, 'l> {
    pub(super) platform: &'a Platform,
    /// Only this step changes the record of its instance.
    pub(super) ledger: &'a Ledger<'l>,
    pub(super) request: Request<'a>,
    pub(super) name: &'a InstanceName,
    pub(super) log: DeploymentLog,
}

impl Step<'_, '_> {
    /// The instance as it is on record.
    pub(super) fn instance(&self) -> Option<Instance> {
        self.ledger.snapshot().instance(self.name).cloned()
    }

    /// One of its containers.
    pub(super) fn paths(&self, container: &Container) -> Paths {
        let application = &self.ledger.snapshot().name;
        let store = &self.platform.store;
        store.container(application, self.name, container.generation)
    }

    /// Removes what it has left behind.
    pub(super) fn remove_retired(&mut self) -> Result<(), HandoverError> {
        handover::remove_retired(self.platform, self.ledger, self.name, &mut self.log)
    }
}
