//! One deployment, in the platform's order: build every service, prepare every new container, run
//! every postinstall, and only then, a few instances at a time, stop, move `~/data`, launch,
//! re-route. Until its old container is stopped an instance keeps serving, whatever fails.

pub(crate) mod build;
mod builds;
mod check;
mod keep;
mod packages;
mod prepare;
pub(crate) mod side_by_side;
mod surplus;
mod switch;

use std::collections::BTreeSet;
use std::error::Error as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use thiserror::Error;

use crate::build_file::BuildFile;
use crate::deploy::build::BuildError;
use crate::deploy::side_by_side::{Permits, side_by_side};
use crate::handover::ledger::Ledger;
use crate::handover::slot::Slot;
use crate::handover::{self, HandoverError};
use crate::host::files::FileError;
use crate::host::system_packages::PackageError;
use crate::model::application::{Application, InstanceName};
use crate::model::variable_size::SizeError;
use crate::network::ports::PortError;
use crate::network::wiring::{self, WiringError};
use crate::output::narrator::{Details, Narrator};
use crate::runtime::{Runtime, RuntimeError};
use crate::service::environment::EnvironmentFilesError;
use crate::service::hook_run::HookError;
use crate::service::launch::LaunchError;
use crate::service::platform::Platform;
use crate::service::supervisor::SupervisorError;
use crate::state::store::StoreError;
use prepare::NewContainers;
use switch::Switch;

/// How many instances may be watched for each one that is at work.
const WATCHED: usize = 4;

/// What is to be deployed.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) build_file: &'a BuildFile,
    pub(crate) revision: &'a str,
    /// The revision's tree.
    pub(crate) code: &'a Path,
    pub(crate) options: Options,
    /// Of every container that is made.
    pub(crate) runtime: &'a dyn Runtime,
}

/// How it is to be deployed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Build from nothing instead of from the previous result.
    pub(crate) clean: bool,
    /// Take what was built of this revision before, if it was built from the same.
    pub(crate) reuse: bool,
    /// What cannot be launched gives `~/data` back.
    pub(crate) rollback: bool,
    /// Whether `~/data` is copied before another release gets it.
    pub(crate) copy: DataCopy,
    /// Whether the details that hooks report are shown, too.
    pub(crate) details: Details,
}

/// A copy of `~/data` before another release gets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DataCopy {
    /// If there is room.
    #[default]
    Wanted,
    /// For whoever has one, or cannot wait.
    Unwanted,
}

impl DataCopy {
    /// As `--no-copy` has it.
    pub(crate) fn unless(no_copy: bool) -> Self {
        if no_copy {
            Self::Unwanted
        } else {
            Self::Wanted
        }
    }
}

/// One deployment: what all of its steps are about.
pub(crate) struct Deployment<'a> {
    pub(crate) platform: &'a Platform,
    /// Its record. The caller holds its lock.
    pub(crate) application: &'a mut Application,
    pub(crate) request: Request<'a>,
    pub(crate) log: &'a mut Narrator,
}

impl Deployment<'_> {
    /// Deploys. After a failure every instance that was not reached serves as before.
    pub(crate) fn run(mut self) -> Result<(), DeployError> {
        self.reconcile()?;
        let result = self.steps();
        if result.is_err()
            && let Err(error) = self.reconcile()
        {
            // The next deployment tries again; what is to be told is why this one failed.
            self.log
                .failure(format!("Cannot clear away the new containers: {error}"));
        }
        result
    }

    fn steps(&mut self) -> Result<(), DeployError> {
        let supervisord = self.check()?;
        self.build()?;
        let new = self.record()?;
        self.provision(&new)?;
        self.postinstall(&new)?;
        check_stop(self.platform)?;
        self.switch(&new, &supervisord)?;
        self.remove_surplus()?;
        self.open_routes()?;
        self.remove_old_builds()
    }

    /// Ends what a deployment that was killed, or failed, left half done.
    fn reconcile(&mut self) -> Result<(), HandoverError> {
        handover::reconcile(self.platform, self.application, self.log)
    }

    /// Fills the new containers, while the gateways of their public ports come up.
    fn provision(&mut self, new: &NewContainers) -> Result<(), DeployError> {
        self.log.platform("Initializing the new instances");
        let gateways = wiring::begin(self.platform, self.application)?;
        let (request, parallel) = (self.request, self.platform.limits.parallel);
        self.each(&new.names, parallel, &|slot| {
            prepare::provision(slot, request)
        })?;
        Ok(gateways.wait(self.platform, self.application)?)
    }

    fn postinstall(&mut self, new: &NewContainers) -> Result<(), DeployError> {
        self.log.platform("All instances are ready: deploying");
        let (request, parallel) = (self.request, self.platform.limits.parallel);
        self.each(&new.names, parallel, &|slot| {
            prepare::postinstall(slot, request)
        })
    }

    /// Makes the new containers those that serve.
    fn switch(&mut self, new: &NewContainers, supervisord: &Path) -> Result<(), DeployError> {
        let (request, parallel) = (self.request, self.platform.limits.parallel);
        // More than there are permits: supervisord watches a new program for a second, which is no work.
        let workers = if parallel == 1 { 1 } else { parallel * WATCHED };
        let permits = &Permits::new(parallel);
        // A release that is no good is to cost a service one of its instances, not all.
        let (first, others) = first_of_services(&new.names);
        for names in [first, others] {
            self.each(&names, workers, &|slot| {
                let switch = Switch {
                    slot,
                    request,
                    supervisord,
                };
                switch.run(permits)
            })?;
        }
        Ok(())
    }

    /// Opens the routes that lead to several instances, once none of those changes any more.
    fn open_routes(&mut self) -> Result<(), WiringError> {
        // Nobody is told of an address that leads to somebody else.
        wiring::wait_until_served(self.platform, self.application)?;
        wiring::settle(self.platform, self.application)
    }

    /// Does `work` to the instances `names`, `workers` at once.
    fn each(
        &mut self,
        names: &[InstanceName],
        workers: usize,
        work: Work<'_>,
    ) -> Result<(), DeployError> {
        let (platform, log) = (self.platform, self.log.clone());
        let ledger = &Ledger::new(self.application);
        let failures = side_by_side(names, workers, |name| {
            work(&mut Slot {
                platform,
                ledger,
                name,
                log: log.clone(),
            })
        });
        first_of(failures, self.log)
    }
}

/// What is done to every instance.
type Work<'a> = &'a (dyn Fn(&mut Slot<'_, '_>) -> Result<(), DeployError> + Sync);

/// The first instance of every service, and the others.
fn first_of_services(names: &[InstanceName]) -> (Vec<InstanceName>, Vec<InstanceName>) {
    let mut seen = BTreeSet::new();
    let names = names.iter().cloned();
    names.partition(|name| seen.insert(name.service.clone()))
}

/// The first of `failures`, if there are any; the others are told now.
fn first_of(failures: Vec<DeployError>, log: &mut Narrator) -> Result<(), DeployError> {
    let mut failures = failures.into_iter();
    let first = failures.next();
    for error in failures {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        log.failure(text);
    }
    first.map_or(Ok(()), Err)
}

/// Asked to end: the moment for it is before anything that serves is touched.
fn check_stop(platform: &Platform) -> Result<(), DeployError> {
    if platform.stop.load(Ordering::Relaxed) {
        return Err(DeployError::Interrupted);
    }
    Ok(())
}

/// A deployment failed.
#[derive(Debug, Error)]
pub(crate) enum DeployError {
    #[error("the build of {service} failed")]
    Build { service: String, source: BuildError },
    #[error("the postinstall of {instance} failed")]
    Postinstall {
        instance: InstanceName,
        source: HookError,
    },
    #[error("{instance} does not serve: its new container failed to launch")]
    Launch {
        instance: InstanceName,
        /// Where its files are, `~/data` among them.
        home: std::path::PathBuf,
        source: Box<LaunchError>,
    },
    #[error("the new container of {instance} failed to launch: the previous one serves on")]
    LaunchBeside {
        instance: InstanceName,
        source: Box<LaunchError>,
    },
    #[error("the new container of {instance} failed to launch: the previous one has its data back")]
    RolledBack {
        instance: InstanceName,
        source: Box<LaunchError>,
    },
    #[error("the previous container of {instance} cannot be stopped: its data was not moved")]
    Stop {
        instance: InstanceName,
        source: Box<LaunchError>,
    },
    #[error("the deployment was interrupted")]
    Interrupted,
    #[error("{service} cannot be given its variables")]
    Variables { service: String, source: SizeError },
    #[error("the services' systempackages are not there")]
    Packages(#[from] PackageError),
    #[error(transparent)]
    Ports(#[from] PortError),
    #[error(transparent)]
    Environment(#[from] EnvironmentFilesError),
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    #[error(transparent)]
    Wiring(#[from] WiringError),
    #[error(transparent)]
    Handover(#[from] HandoverError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deploy_errors_have_exact_texts() {
        let instance = InstanceName::new("db", 0);
        let launch = || {
            Box::new(LaunchError::SupervisorEnded {
                last_words: String::new(),
            })
        };
        for (error, text) in [
            (
                DeployError::Build {
                    service: "db".to_owned(),
                    source: BuildError::NotExecutable {
                        path: "builder".to_owned(),
                    },
                },
                "the build of db failed",
            ),
            (
                DeployError::Postinstall {
                    instance: instance.clone(),
                    source: HookError::Interrupted,
                },
                "the postinstall of db.0 failed",
            ),
            (
                DeployError::Launch {
                    instance: instance.clone(),
                    home: "/h".into(),
                    source: launch(),
                },
                "db.0 does not serve: its new container failed to launch",
            ),
            (
                DeployError::LaunchBeside {
                    instance: instance.clone(),
                    source: launch(),
                },
                "the new container of db.0 failed to launch: the previous one serves on",
            ),
            (
                DeployError::RolledBack {
                    instance: instance.clone(),
                    source: launch(),
                },
                "the new container of db.0 failed to launch: the previous one has its data back",
            ),
            (
                DeployError::Stop {
                    instance,
                    source: launch(),
                },
                "the previous container of db.0 cannot be stopped: its data was not moved",
            ),
            (DeployError::Interrupted, "the deployment was interrupted"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn variables_error_has_exact_text() {
        let error = DeployError::Variables {
            service: "db".to_owned(),
            source: SizeError::TooMany {
                length: 2,
                limit: 1,
            },
        };
        assert_eq!(error.to_string(), "db cannot be given its variables");
    }

    #[test]
    fn packages_error_has_exact_text() {
        let missing = PackageError::Missing {
            packages: Vec::new(),
        };
        assert_eq!(
            DeployError::from(missing).to_string(),
            "the services' systempackages are not there"
        );
    }
}
