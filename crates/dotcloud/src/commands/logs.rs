//! `logs`: what the programs of the instances wrote, and what they go on writing, across restarts
//! and pushes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Call, check_service};
use crate::application::{Application, InstanceName};
use crate::cli;
use crate::console;
use crate::error::Error;
use crate::store::StoreError;
use crate::tail::Follower;

/// Between two looks at the files.
const TICK: Duration = Duration::from_millis(200);

/// Shows the logs of every selected instance.
pub(super) fn logs(call: &Call, arguments: &cli::Logs) -> Result<(), Error> {
    let mut application = call.application()?;
    for selection in &arguments.selections {
        check_service(&application, selection)?;
    }
    let mut stream = Stream::default();
    let shown = stream.show(&log_files(call, &application, arguments), arguments.lines);
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
                break;
            }
            Err(error) => return Err(error.into()),
        };
        // A log that appears now is new in all its lines.
        let shown = stream.show(&log_files(call, &application, arguments), usize::MAX);
        if shown.is_err() {
            break;
        }
    }
    Ok(())
}

/// The logs of the programs, by instance; supervisord's own is not one.
fn log_files(
    call: &Call,
    application: &Application,
    arguments: &cli::Logs,
) -> BTreeMap<PathBuf, InstanceName> {
    let mut files = BTreeMap::new();
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
        // It may vanish under us, with its container.
        let entries = fs::read_dir(paths.log()).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let is_log = path.extension().is_some_and(|extension| extension == "log");
            if is_log
                && path
                    .file_name()
                    .is_some_and(|name| name != "supervisord.log")
            {
                files.insert(path, name.clone());
            }
        }
    }
    files
}

#[derive(Default)]
struct Stream {
    follower: Follower,
    /// Whose lines were shown last, so that a heading is due when that changes.
    last: Option<PathBuf>,
}

impl Stream {
    /// Fails when nobody reads it any more.
    fn show(&mut self, files: &BTreeMap<PathBuf, InstanceName>, first: usize) -> io::Result<()> {
        let paths: Vec<PathBuf> = files.keys().cloned().collect();
        self.follower.retain(&paths);
        for (path, name) in files {
            let lines = self.follower.read(path, first);
            if lines.is_empty() {
                continue;
            }
            if self.last.as_ref() != Some(path) {
                console::try_print(format!("[{name}] == {} ==", path.display()))?;
                self.last = Some(path.clone());
            }
            for line in lines {
                console::try_print(format!("[{name}] {line}"))?;
            }
        }
        Ok(())
    }
}
