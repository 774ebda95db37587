//! The record of an application while several of its instances change at once: who changes it has it
//! alone, and saves it before anybody else sees it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::application::{Application, InstanceName};
use crate::service::platform::Platform;
use crate::state::store::StoreError;

/// A record that is shared by threads.
pub(crate) struct Ledger<'a> {
    application: Mutex<&'a mut Application>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(application: &'a mut Application) -> Self {
        Self {
            application: Mutex::new(application),
        }
    }

    /// As it is now; it may be another at once, but for the instance that only the caller changes.
    pub(crate) fn snapshot(&self) -> Application {
        self.lock().clone()
    }

    /// Changes one instance, if it is there, and saves the record.
    pub(crate) fn change(
        &self,
        platform: &Platform,
        name: &InstanceName,
        change: impl FnOnce(&mut crate::model::application::Instance),
    ) -> Result<(), StoreError> {
        let mut application = self.lock();
        if let Some(instance) = application.instance_mut(name) {
            change(instance);
        }
        platform.store.save(&application)
    }

    fn lock(&self) -> MutexGuard<'_, &'a mut Application> {
        // A thread that failed left a record that it would have left as the only one, too.
        self.application
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
