//! What every verb works with: the state, the runtime, supervisord, time limits.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hook::Environment;

use crate::host::account::Account;
use crate::host::supervisord;
use crate::model::application::Application;
use crate::runtime::{self, Chosen, Runtime, RuntimeError};
use crate::service::supervisor::{Supervisor, SupervisorError};
use crate::state::container::Paths;
use crate::state::store::{Store, StoreError};

/// The platform on this machine.
pub(crate) struct Platform {
    pub(crate) store: Store,
    pub(crate) limits: Limits,
    /// Whoever pushes: `DOTCLOUD_USERNAME` in every service.
    pub(crate) username: String,
    /// Set when we are asked to end; hooks are ended then, a move of data is not.
    pub(crate) stop: Arc<AtomicBool>,
    environment: Environment,
}

/// How long the steps of a deployment may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// All hooks of a build together.
    pub(crate) build: Duration,
    pub(crate) postinstall: Duration,
    /// Until a launched service answers.
    pub(crate) launch: Duration,
    /// How many instances are worked on at once.
    pub(crate) parallel: usize,
}

impl Platform {
    pub(crate) fn new(environment: &Environment) -> Result<Self, StoreError> {
        let store = Store::locate(environment)?;
        let username = environment
            .get("DOTCLOUD_USERNAME")
            .or_else(|| environment.get("USER"))
            .and_then(|name| name.to_str())
            .unwrap_or("dotcloud");
        Ok(Self {
            store,
            limits: Limits::of(environment),
            username: username.to_owned(),
            stop: Arc::default(),
            environment: environment.clone(),
        })
    }

    /// The runtime of containers to come.
    pub(crate) fn choose_runtime(&self, application: &Application) -> Result<Chosen, RuntimeError> {
        let trial = self.store.trial(&application.name);
        let account = Account::of_services(application.uid);
        runtime::choose(application.runtime, account, &self.environment, &trial)
    }

    /// The runtime that `container` was made with.
    #[expect(
        clippy::unused_self,
        reason = "a container is a platform's, whatever tells its runtime"
    )]
    pub(crate) fn runtime_of(&self, container: &Paths) -> Result<Box<dyn Runtime>, RuntimeError> {
        runtime::of_container(Self::account_of(container), container)
    }

    /// The user of everything in `container`: of relays it is not the services'. A service's container is
    /// that of the user whom its home was made for, which is out of the service's reach.
    pub(crate) fn account_of(container: &Paths) -> Account {
        if container.is_public() {
            return Account::of_gateways();
        }
        let home = container.home().symlink_metadata().ok();
        Account::of_services(home.map(|home| home.uid()))
    }

    /// The supervisord of `container`.
    pub(crate) fn supervisor_of(&self, container: &Paths) -> Result<Supervisor, RuntimeError> {
        Ok(Supervisor::new(self.runtime_of(container)?, container))
    }

    /// The program that changes the kernel's rules, where they may lead clients past the relays: as
    /// root, unless `DOTCLOUD_SHORTCUTS=off`.
    pub(crate) fn nft(&self) -> Option<PathBuf> {
        let off = self.environment.get("DOTCLOUD_SHORTCUTS") == Some("off".as_ref());
        if off || !Account::of_gateways().drops() {
            return None;
        }
        // Root's own path may lack it.
        let path = self.environment.get("PATH").unwrap_or_default();
        std::env::split_paths(path)
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .map(|directory| directory.join("nft"))
            .find(|program| program.is_absolute() && program.is_file())
    }

    /// supervisord of this machine.
    pub(crate) fn supervisord(&self) -> Result<PathBuf, SupervisorError> {
        Ok(supervisord::find(&self.environment)?)
    }
}

impl Limits {
    /// The platform's own, unless the environment says otherwise, in seconds.
    fn of(environment: &Environment) -> Self {
        let seconds = |name, default| {
            let given = environment.get(name).and_then(|value| value.to_str());
            Duration::from_secs(given.and_then(|text| text.parse().ok()).unwrap_or(default))
        };
        Self {
            build: seconds("DOTCLOUD_BUILD_LIMIT", 15 * 60),
            postinstall: seconds("DOTCLOUD_POSTINSTALL_LIMIT", 10 * 60),
            launch: seconds("DOTCLOUD_LAUNCH_LIMIT", 60),
            parallel: environment
                .get("DOTCLOUD_PARALLEL")
                .and_then(|value| value.to_str()?.parse().ok())
                .map_or(4, |count: usize| count.clamp(1, 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nft_is_for_root_unless_switched_off() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("nft");
        std::fs::write(&program, "").unwrap();
        let path = directory.path().to_str().unwrap();
        let found = |setting| {
            let pairs = [
                ("DOTCLOUD_HOME", path),
                ("PATH", path),
                ("DOTCLOUD_SHORTCUTS", setting),
            ];
            Platform::new(&pairs.into_iter().collect()).unwrap().nft()
        };
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!(found("on"), is_root.then_some(program));
        assert_eq!(found("off"), None);
    }

    #[test]
    fn limits_come_from_the_environment_or_the_contract() {
        let environment = [("DOTCLOUD_LAUNCH_LIMIT", "5"), ("DOTCLOUD_PARALLEL", "0")];
        let environment = environment.into_iter().collect();
        assert_eq!(
            Limits::of(&environment),
            Limits {
                build: Duration::from_mins(15),
                postinstall: Duration::from_mins(10),
                launch: Duration::from_secs(5),
                parallel: 1,
            }
        );
    }
}
