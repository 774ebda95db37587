//! A copy of `~/data` as it is, made before another release gets it that may change it for good. The
//! services' own programs tell whether that is so: the platform compares two lines.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::statvfs;
use thiserror::Error;

use super::{DataCopy, Request};
use crate::backup;
use crate::handover::slot::Slot;
use crate::host::beneath::{Directory, Walk};
use crate::host::files::{self, FileError, Target};
use crate::runtime::Runtime;
use crate::service::hook_run;
use crate::state::container::Paths;

/// For a program to say one line.
const LIMIT: Duration = Duration::from_mins(1);

/// Of what a copy takes, in tenths.
const ROOM: u64 = 11;

/// There is no copy; the deployment goes on.
#[derive(Debug, Error)]
enum KeepError {
    #[error("it takes {needed} bytes, and {free} are free")]
    NoRoom { needed: u64, free: u64 },
    #[error(transparent)]
    File(#[from] FileError),
}

/// Makes the copy if the release in `new` is another than that in `old`, neither of which runs. Whatever
/// goes wrong is told, and no reason to fail.
pub(super) fn keep(slot: &mut Slot<'_, '_>, request: Request<'_>, old: &Paths, new: &Paths) {
    if request.options.copy == DataCopy::Unwanted {
        return;
    }
    let Some((from, to)) = releases(slot, request, old, new) else {
        return;
    };
    if from == to {
        return;
    }
    slot.log.of(
        slot.name,
        format!("Copying ~/data before {to} gets what is of {from}; --no-copy does without"),
    );
    match copy(slot, request, old) {
        Ok(path) => slot.log.of(
            slot.name,
            format!(
                "The copy is {path}; 'rm -rf {path}' removes it",
                path = path.display()
            ),
        ),
        Err(error) => slot
            .log
            .warning(slot.name, format!("there is no copy of ~/data: {error}")),
    }
}

/// What the programs of both containers say that they are, where both have one.
fn releases(
    slot: &Slot<'_, '_>,
    request: Request<'_>,
    old: &Paths,
    new: &Paths,
) -> Option<(String, String)> {
    let service = request.build_file.services.get(&slot.name.service)?;
    let line = service.backup.as_deref()?;
    let before = backup::line_of(slot.platform, &slot.ledger.snapshot(), slot.name).ok()?;
    let runtime = slot.platform.runtime_of(old).ok()?;
    let from = release(slot, &*runtime, old, &before)?;
    let to = release(slot, request.runtime, new, line)?;
    Some((from, to))
}

/// The last line that the program says.
fn release(
    slot: &Slot<'_, '_>,
    runtime: &dyn Runtime,
    container: &Paths,
    line: &str,
) -> Option<String> {
    let variables = container.load_variables().ok()?;
    let home = container.home();
    let call = hook_run::login_shell(vec![format!("{line} release").into()], &home, &variables);
    let mut last = None;
    let interrupted = &slot.platform.stop;
    let told = &mut |text: &str| last = Some(text.to_owned());
    let until = hook_run::Until {
        limit: LIMIT,
        stop: interrupted,
    };
    hook_run::run(runtime, container, &call, until, told).ok()?;
    runtime.end(container, &mut |_| ()).ok()?;
    last
}

fn copy(slot: &Slot<'_, '_>, request: Request<'_>, old: &Paths) -> Result<PathBuf, KeepError> {
    let application = slot.ledger.snapshot().name.clone();
    let directory = slot
        .platform
        .store
        .backups(&application)
        .join("before-upgrade");
    files::create_directory(&directory, 0o700)?;
    check_room(&old.data(), &directory)?;
    let unfinished = format!("{}.unfinished", slot.name);
    let target = Target {
        root: &directory,
        below: Path::new(&unfinished),
        account: &slot
            .platform
            .runtime_of(old)
            .map_or_else(|_| request.runtime.account(), |runtime| runtime.account()),
    };
    // Of a deployment that was killed, it gives way.
    files::copy_tree(&old.data(), target, &slot.platform.stop)?;
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let path = directory.join(format!("{}-{now}", slot.name));
    let made = directory.join(&unfinished);
    durable::place_directory(&made, &path).map_err(files::failed("write", &path))?;
    Ok(path)
}

fn check_room(data: &Path, directory: &Path) -> Result<(), KeepError> {
    let top = Directory::open(data).map_err(files::failed("read", data))?;
    let mut needed = 0;
    for found in Walk::new(&top, data)? {
        needed += std::os::unix::fs::MetadataExt::blocks(&found?.metadata) * 512;
    }
    let room = statvfs(directory)
        .map_err(io::Error::from)
        .map_err(files::failed("look at", directory))?;
    let free = room.f_bavail * room.f_frsize;
    if free / ROOM * 10 < needed {
        return Err(KeepError::NoRoom { needed, free });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_error_has_exact_text() {
        let error = KeepError::NoRoom { needed: 7, free: 3 };
        assert_eq!(error.to_string(), "it takes 7 bytes, and 3 are free");
    }
}
