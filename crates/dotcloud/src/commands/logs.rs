//! `logs`: what the programs of the instances wrote, and what they go on writing, across restarts
//! and pushes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use hook::Foreign;

use super::{Call, check_service};
use crate::cli;
use crate::error::Error;
use crate::model::application::{Application, InstanceName};
use crate::output::console;
use crate::output::lines::Line;
use crate::service::follow::Follower;
use crate::service::log_file::{self, Directory, Log, Start};
use crate::service::since::Since;
use crate::state::store::StoreError;

/// Between two looks at the files.
const TICK: Duration = Duration::from_millis(200);

/// Of every log, unless so many are asked for.
const LINES: usize = 100;
/// Where an instance's logs are, and which of the files there are some.
const DIRECTORIES: [(&str, log_file::Wanted); 2] = [
    ("log", is_program_log),
    ("home/data/logs", log_file::is_current),
];

/// Shows the logs of every selected instance.
pub(super) fn logs(call: &Call, arguments: &cli::Logs) -> Result<(), Error> {
    let mut application = call.application()?;
    for selection in &arguments.selections {
        check_service(&application, selection)?;
    }
    let mut stream = Stream::default();
    let start = match (arguments.since, arguments.lines) {
        (Some(Since(time)), lines) => Start::Since(time, lines.unwrap_or(usize::MAX)),
        (None, lines) => Start::Last(lines.unwrap_or(LINES)),
    };
    let listed = logs_of(call, &application, arguments);
    let mut shown = stream.show(&listed, start);
    if arguments.no_follow {
        shown = shown.and_then(|()| stream.finish(listed.keys()));
    }
    if arguments.no_follow || shown.is_err() {
        return Ok(());
    }
    call.defer_signals()?;
    while !call.platform.stop.load(Ordering::Relaxed) {
        std::thread::sleep(TICK);
        application = match call.platform.store.load(&application.name) {
            Ok(application) => application,
            Err(StoreError::Unknown { .. }) => {
                console::info(format!(
                    "The application \"{}\" was destroyed",
                    application.name
                ));
                let all = stream.follower.gone(&|_| false);
                let _ = stream.finish(all.iter());
                break;
            }
            Err(error) => return Err(error.into()),
        };
        let listed = logs_of(call, &application, arguments);
        // A log that appears now is new in all its lines.
        let shown = stream.show(&listed, Start::First);
        // What is written last to one that goes away, too.
        let gone = stream.follower.gone(&|key| listed.contains_key(key));
        let shown = shown.and_then(|()| stream.finish(gone.iter()));
        if shown.is_err() {
            break;
        }
        stream.follower.forget(&gone);
    }
    Ok(())
}

/// What tells logs apart: a log of `~/data` stays what it is when it moves to another container.
type Key = (InstanceName, &'static str, OsString);

/// The logs of the programs, supervisord's own not among them, and what the service keeps itself.
fn logs_of(call: &Call, application: &Application, arguments: &cli::Logs) -> BTreeMap<Key, Log> {
    let mut found = BTreeMap::new();
    for (name, instance) in application.instances() {
        let wanted = arguments.selections.is_empty()
            || arguments
                .selections
                .iter()
                .any(|selection| selection.covers(&name));
        let Some(container) = instance.current.as_ref().filter(|_| wanted) else {
            continue;
        };
        let store = &call.platform.store;
        let paths = store.container(&application.name, &name, container.generation);
        for (below, wanted) in DIRECTORIES {
            let directory = Directory {
                base: paths.root().to_owned(),
                below,
            };
            for log in directory.logs(wanted) {
                found.insert((name.clone(), below, log.name.clone()), log);
            }
        }
    }
    found
}

fn is_program_log(name: &[u8]) -> bool {
    name.ends_with(b".log") && name != b"supervisord.log"
}

#[derive(Default)]
struct Stream {
    follower: Follower<Key>,
    /// Whose lines were shown last, so that a heading is due when that changes.
    last: Option<PathBuf>,
    /// Where each log is, or was.
    paths: BTreeMap<Key, PathBuf>,
}

impl Stream {
    /// Fails when nobody reads it any more.
    fn show(&mut self, logs: &BTreeMap<Key, Log>, start: Start) -> io::Result<()> {
        for (key, log) in logs {
            let (path, last) = (log.path(), &mut self.last);
            self.follower
                .read(key, log, start, &mut |line| show(last, &path, key, &line))?;
            self.paths.insert(key.clone(), path);
        }
        Ok(())
    }

    /// Shows what the logs end with, even without a line end.
    fn finish<'a>(&mut self, keys: impl Iterator<Item = &'a Key>) -> io::Result<()> {
        for key in keys {
            if let Some(path) = self.paths.get(key) {
                let last = &mut self.last;
                self.follower
                    .finish(key, &mut |line| show(last, path, key, &line))?;
            }
        }
        Ok(())
    }
}

fn show(last: &mut Option<PathBuf>, path: &Path, key: &Key, line: &Line) -> io::Result<()> {
    let (name, _, _) = key;
    if last.as_deref() != Some(path) {
        console::try_print(format!("[{name}] == {} ==", Foreign::new(path)))?;
        *last = Some(path.to_owned());
    }
    console::try_print(format!("[{name}] {line}"))
}
