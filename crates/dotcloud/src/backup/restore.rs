//! Bringing a backup back: fetched and verified while the service serves, put in the place of its
//! `~/data`, which is moved aside and never removed. Whenever it is interrupted, a journal in the
//! container tells the next command whether to go back or on.

use std::path::{Path, PathBuf};

use super::archive::Target;
use super::fetch::fetch;
use super::moment::Moment;
use super::program::{Program, line_of};
use super::record::{Kind, Record, Records};
use super::{BackupError, CHANGES, WORK};
use crate::handover::aside::{self, Aside, FETCHED};
use crate::host::beneath::Directory;
use crate::host::files;
use crate::model::application::{Application, Container, InstanceName};
use crate::network::wiring;
use crate::output::narrator::Narrator;
use crate::service::launch;
use crate::service::platform::Platform;
use crate::service::resume;
use crate::state::container::Paths;

/// What became of the data that was there.
#[derive(Debug)]
pub(crate) struct Restored {
    /// Where it is now, if there was any.
    pub(crate) replaced: Option<PathBuf>,
}

/// What is brought back.
pub(crate) struct Source<'a> {
    pub(crate) record: &'a Record,
    /// Those it is one of.
    pub(crate) records: &'a Records,
    pub(crate) replay: Option<Replay<'a>>,
}

/// What is replayed on it.
pub(crate) struct Replay<'a> {
    pub(crate) until: &'a Moment,
    pub(crate) changes: &'a [Record],
    pub(crate) allow_gap: bool,
}

/// Makes `source` the data of `instance`, and moves what was there to where `own` records have such data. The caller holds the application's lock, and nothing of a
/// restore that was interrupted is left.
pub(crate) fn restore(
    platform: &Platform,
    application: &mut Application,
    instance: &InstanceName,
    source: &Source<'_>,
    own: &Records,
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
    let log = &mut Narrator::to_stderr();
    let fetched = paths.root().join(FETCHED);
    bring(platform, source, &paths).inspect_err(|_| {
        // It may be what filled the disk.
        let _ = files::remove(&fetched);
    })?;
    if application.down {
        application.down = false;
        platform.store.save(application)?;
    }
    wiring::ensure(platform, application)?;
    let aside = Aside::begin(&paths, &own.replaced(), &source.record.id, instance)?;
    wiring::hold(platform, application, instance)?;
    let swap = Swap {
        platform,
        instance,
        container: &container,
        paths: &paths,
        line: &line,
        replay: source.replay.as_ref(),
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

/// The backup, and what is replayed on it, in a directory of the container that its service cannot reach.
fn bring(platform: &Platform, source: &Source<'_>, paths: &Paths) -> Result<(), BackupError> {
    let account = &platform.runtime_of(paths)?.account();
    let path = paths.root().join(FETCHED);
    files::remove(&path)?;
    files::create_directory(&path, 0o700)?;
    let failed = || files::failed("create", &path);
    let outer = Directory::open(&path).map_err(failed())?;
    let bring = |below: &Path, record, records: &Records| {
        let directory = outer
            .make(below, account)
            .and_then(|()| outer.directory(below))
            .map_err(failed())?;
        let target = Target {
            directory: &directory,
            account,
        };
        fetch(platform, record, records, Some(target))
    };
    bring(Path::new(WORK), source.record, source.records)?;
    let Some(replay) = &source.replay else {
        return Ok(());
    };
    outer.make(CHANGES, account).map_err(failed())?;
    let records = source.records.of(Kind::Changes);
    for (number, record) in replay.changes.iter().enumerate() {
        let below = Path::new(CHANGES).join(format!("{number:08}"));
        bring(&below, record, &records)?;
    }
    Ok(())
}

/// One instance whose data is exchanged.
struct Swap<'a> {
    platform: &'a Platform,
    instance: &'a InstanceName,
    container: &'a Container,
    paths: &'a Paths,
    line: &'a str,
    replay: Option<&'a Replay<'a>>,
}

impl Swap<'_> {
    fn stop_and_place(&self, aside: &Aside, log: &mut Narrator) -> Result<(), BackupError> {
        let whom = self.instance.to_string();
        launch::stop(self.platform, self.paths, &whom, log)?;
        aside.move_data()?;
        let root = self.paths.root();
        let home = self.paths.home();
        let names: &[&str] = match self.replay {
            None => &[WORK],
            Some(_) => &[WORK, CHANGES],
        };
        Directory::open(root)
            .and_then(|root| {
                for name in names {
                    let to = Path::new("home").join(name);
                    root.remove(&to)?;
                    root.rename(Path::new(FETCHED).join(name), &to)?;
                }
                root.remove(FETCHED)
            })
            .map_err(files::failed("move", &root.join(FETCHED)))?;
        let runtime = self.platform.runtime_of(self.paths)?;
        let program = Program {
            platform: self.platform,
            instance: self.instance,
            line: self.line,
            runtime: &*runtime,
            container: self.paths,
        };
        let changes = runtime.inside(self.paths, &home.join(CHANGES));
        let (until, changes) = (
            self.replay.map(|replay| replay.until.told()),
            changes.to_string_lossy(),
        );
        let mut words = vec!["place", "--move"];
        if let Some(until) = &until {
            words.extend(["--until", until, "--logs", &changes]);
        }
        if self.replay.is_some_and(|replay| replay.allow_gap) {
            words.push("--allow-gap");
        }
        program.run("place the copy", &words, &home.join(WORK), log)?;
        launch::end_processes(&*runtime, self.paths, &whom, log)
            .map_err(launch::LaunchError::from)?;
        Directory::open(root)
            .and_then(|root| {
                names
                    .iter()
                    .try_for_each(|name| root.remove(Path::new("home").join(name)))
            })
            .map_err(files::failed("remove", &home.join(WORK)))?;
        Ok(())
    }

    fn run(&self, log: &mut Narrator) -> Result<(), BackupError> {
        let supervisord = self.platform.supervisord()?;
        let whom = self.instance.to_string();
        Ok(resume::resume(
            self.platform,
            &supervisord,
            self.paths,
            &whom,
            log,
        )?)
    }

    fn start(&self, log: &mut Narrator) -> Result<(), BackupError> {
        self.run(log)?;
        launch::wait_until_serving(self.platform, self.paths, self.container).map_err(|source| {
            BackupError::NotServing {
                instance: self.instance.clone(),
                source: Box::new(source),
            }
        })
    }
}
