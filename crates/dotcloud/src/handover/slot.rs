//! One instance of an application while its containers change: what every step that changes them
//! needs, so that none of them passes it on piece by piece.

use super::ledger::Ledger;
use crate::model::application::{Container, Instance, InstanceName};
use crate::network::wiring::{self, WiringError};
use crate::output::narrator::Narrator;
use crate::service::launch::{self, LaunchError};
use crate::service::platform::Platform;
use crate::state::container::Paths;
use crate::state::store::StoreError;

/// The slot of one instance in its application.
pub(crate) struct Slot<'a, 'l> {
    pub(crate) platform: &'a Platform,
    /// Only whoever has the slot changes the record of its instance.
    pub(crate) ledger: &'a Ledger<'l>,
    pub(crate) name: &'a InstanceName,
    pub(crate) log: Narrator,
}

impl Slot<'_, '_> {
    /// The instance as it is on record; one that is not there has no container.
    pub(crate) fn instance(&self) -> Instance {
        let application = self.ledger.snapshot();
        application.instance(self.name).cloned().unwrap_or_default()
    }

    /// Changes the record of the instance, and saves it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Instance)) -> Result<(), StoreError> {
        self.ledger.change(self.platform, self.name, change)
    }

    /// Where one of its containers is.
    pub(crate) fn paths(&self, container: &Container) -> Paths {
        let application = self.ledger.snapshot().name;
        let store = &self.platform.store;
        store.container(&application, self.name, container.generation)
    }

    /// Stops everything in one of its containers.
    pub(crate) fn stop(&mut self, container: &Paths) -> Result<(), LaunchError> {
        let whom = self.name.to_string();
        launch::stop(self.platform, container, &whom, &mut self.log)
    }

    /// Leads whoever connects to the container that owns the data.
    pub(crate) fn route(&self) -> Result<(), WiringError> {
        wiring::point(self.platform, &self.ledger.snapshot(), self.name)
    }

    /// The same if it may not answer yet: who connects waits for it.
    pub(crate) fn route_patiently(&self) -> Result<(), WiringError> {
        wiring::point_patiently(self.platform, &self.ledger.snapshot(), self.name)
    }

    /// Has whoever connects wait: the container is about to be stopped.
    pub(crate) fn hold(&self) -> Result<(), WiringError> {
        wiring::hold(self.platform, &self.ledger.snapshot(), self.name)
    }
}
