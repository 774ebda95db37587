//! Bringing a backup back: fetched and verified while the service serves, put in the place of its
//! `~/data`, which is moved aside and never removed. Whenever it is interrupted, a journal in the
//! container tells the next command whether to go back or on.

use std::path::{Path, PathBuf};

use super::archive::Target;
use super::fetch::fetch;
use super::program::{Program, line_of};
use super::record::{Record, Records};
use super::{BackupError, WORK};
use crate::handover::aside::{self, Aside, FETCHED};
use crate::host::beneath::Directory;
use crate::host::files;
use crate::model::application::{Application, Container, InstanceName};
use crate::network::wiring;
use crate::output::deployment_log::DeploymentLog;
use crate::service::launch;
use crate::service::platform::Platform;
use crate::service::revive;
use crate::state::container::Paths;

/// What became of the data that was there.
#[derive(Debug)]
pub(crate) struct Restored {
    /// Where it is now, if there was any.
    pub(crate) replaced: Option<PathBuf>,
}

/// Makes `record` the data of `instance`. The caller holds the application's lock, and nothing of a
/// restore that was interrupted is left.
pub(crate) fn restore(
    platform: &Platform,
    application: &mut Application,
    instance: &InstanceName,
    record: &Record,
    (source, own): (&Records, &Records),
) -> Result<Restored, BackupError> {
    let line = line_of(platform, application, instance)?;
    let Some(container) = application
        .instance(instance)
        .and_then(|found| found.current.clone())
    else {
        let service = instance.service.clone();
        return Err(BackupError::NoProgram { service });
    };
    let paths = platform
        .store
        .container(&application.name, instance, container.generation);
    let log = &mut DeploymentLog::to_stderr();
    let fetched = paths.root().join(FETCHED);
    bring(platform, record, source, &paths).inspect_err(|_| {
        // It may be what filled the disk.
        let _ = files::remove(&fetched);
    })?;
    if application.down {
        application.down = false;
        platform.store.save(application)?;
    }
    wiring::ensure(platform, application)?;
    let aside = Aside::begin(&paths, &own.replaced(), &record.id, instance)?;
    wiring::hold(platform, application, instance)?;
    let swap = Swap {
        platform,
        instance,
        container: &container,
        paths: &paths,
        line: &line,
    };
    let placed = swap
        .stop_and_place(&aside, log)
        .and_then(|()| swap.start(log));
    let outcome = match placed {
        Ok(()) => Ok(Restored {
            replaced: aside.finish()?,
        }),
        Err(error) => {
            log.warning(instance, "going back to the data that was there");
            launch::stop(platform, &paths, &instance.to_string(), log)?;
            aside::settle(&paths)?;
            swap.run(log)?;
            Err(error)
        }
    };
    wiring::point_patiently(platform, application, instance)?;
    outcome
}

/// The backup, in a directory of the container that its service cannot reach.
fn bring(
    platform: &Platform,
    record: &Record,
    records: &Records,
    paths: &Paths,
) -> Result<(), BackupError> {
    let account = &platform.runtime_of(paths)?.account();
    let path = paths.root().join(FETCHED);
    files::remove(&path)?;
    files::create_directory(&path, 0o700)?;
    let directory = Directory::open(&path)
        .and_then(|outer| {
            outer.make(WORK, account)?;
            outer.directory(WORK)
        })
        .map_err(files::failed("create", &path))?;
    let target = Target {
        directory: &directory,
        account,
    };
    fetch(platform, record, records, Some(target))
}

/// One instance whose data is exchanged.
struct Swap<'a> {
    platform: &'a Platform,
    instance: &'a InstanceName,
    container: &'a Container,
    paths: &'a Paths,
    line: &'a str,
}

impl Swap<'_> {
    fn stop_and_place(&self, aside: &Aside, log: &mut DeploymentLog) -> Result<(), BackupError> {
        let whom = self.instance.to_string();
        launch::stop(self.platform, self.paths, &whom, log)?;
        aside.move_data()?;
        let root = self.paths.root();
        let work = self.paths.home().join(WORK);
        let (from, to) = (Path::new(FETCHED).join(WORK), Path::new("home").join(WORK));
        Directory::open(root)
            .and_then(|root| {
                root.remove(&to)?;
                root.rename(&from, &to)?;
                root.remove(FETCHED)
            })
            .map_err(files::failed("move", &root.join(from)))?;
        let runtime = self.platform.runtime_of(self.paths)?;
        let program = Program {
            platform: self.platform,
            instance: self.instance,
            line: self.line,
            runtime: &*runtime,
            container: self.paths,
        };
        program.run("place", &["place", "--move"], &work, log)?;
        launch::end_processes(&*runtime, self.paths, &whom, log)
            .map_err(launch::LaunchError::from)?;
        Directory::open(root)
            .and_then(|root| root.remove(&to))
            .map_err(files::failed("remove", &work))?;
        Ok(())
    }

    fn run(&self, log: &mut DeploymentLog) -> Result<(), BackupError> {
        let supervisord = self.platform.supervisord()?;
        let whom = self.instance.to_string();
        Ok(revive::revive(
            self.platform,
            &supervisord,
            self.paths,
            &whom,
            log,
        )?)
    }

    fn start(&self, log: &mut DeploymentLog) -> Result<(), BackupError> {
        self.run(log)?;
        launch::wait_until_serving(self.platform, self.paths, self.container).map_err(|source| {
            BackupError::NotServing {
                instance: self.instance.clone(),
                source: Box::new(source),
            }
        })
    }
}
