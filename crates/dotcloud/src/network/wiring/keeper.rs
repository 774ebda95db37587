//! The process of root's that keeps the kernel's shortcuts of an application: started where root may
//! have them, ended with the relays. Nothing depends on it: without it the relays serve.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::routes;
use crate::host::files::{self, FileError};
use crate::service::platform::Platform;
use crate::service::supervisor;
use crate::state::container::Paths;

/// For one that has just been started to write its number.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// For it to record what passed and to end.
const END: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(5);

/// What only root may write, unlike what the relays write.
pub(super) fn directory(paths: &Paths) -> PathBuf {
    paths.root().join("shortcuts")
}

/// Who holds it keeps the shortcuts, and its first line is their process.
fn lock(paths: &Paths) -> PathBuf {
    directory(paths).join("lock")
}

/// Sees to it that one runs if it may, and none that was started for another place.
pub(super) fn ensure(
    platform: &Platform,
    paths: &Paths,
    executable: &Path,
) -> Result<(), FileError> {
    let Some(nft) = platform.nft() else {
        return stop(paths);
    };
    files::create_directory(&directory(paths), 0o755)?;
    let words = [
        ("--routes", routes::directory(paths)),
        ("--state", directory(paths)),
        ("--nft", nft),
    ];
    let made_for = directory(paths).join("made-for");
    let wanted = format!("{words:?}\n");
    if is_there(paths) {
        if fs::read_to_string(&made_for).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        stop(paths)?;
    }
    files::replace(&made_for, wanted.as_bytes(), 0o644)?;
    let path = lock(paths);
    let failed = |source| files::failed("lock", &path)(source);
    let held = open(&path).map_err(failed)?;
    flock(&held, FlockOperation::NonBlockingLockExclusive).map_err(|it| failed(it.into()))?;
    held.set_len(0).map_err(failed)?;
    let path = directory(paths).join("log");
    let log = File::create(&path).map_err(files::failed("create", &path))?;
    let errors = log.try_clone().map_err(files::failed("create", &path))?;
    // Not waited for: it outlives us, and if it ends at once the relays serve.
    Command::new(executable)
        .arg("shortcuts")
        .args(
            words
                .iter()
                .flat_map(|(word, path)| [word.as_ref(), path.as_os_str()]),
        )
        .env_clear()
        .current_dir("/")
        // Locked for as long as it has it: there is no moment in which it is not seen.
        .stdin(Stdio::from(held))
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(files::failed("start", executable))?;
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    // Whoever can open it can hold it.
    options.create(true).read(true).write(true).truncate(false);
    options.mode(0o600).open(path)
}

/// Whether one runs.
pub(super) fn is_there(paths: &Paths) -> bool {
    // Shared, so that two who ask do not see each other.
    let held = |file: File| flock(&file, FlockOperation::NonBlockingLockShared).is_err();
    File::open(lock(paths)).is_ok_and(held)
}

/// Ends it, if one runs: new connections go through the relays, those that are there go on.
pub(super) fn stop(paths: &Paths) -> Result<(), FileError> {
    let failed = |source| files::failed("end the holder of", &lock(paths))(source);
    let begin = Instant::now();
    while is_there(paths) {
        let Some(pid) = number(paths) else {
            if begin.elapsed() > INTRODUCTION {
                return Err(failed(io::ErrorKind::TimedOut.into()));
            }
            std::thread::sleep(TICK);
            continue;
        };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
            std::thread::sleep(TICK);
            continue;
        };
        // Held still: the number was its own when we opened it.
        if !is_there(paths) {
            break;
        }
        let end = |signal| -> rustix::io::Result<bool> {
            pidfd_send_signal(&process, signal)?;
            supervisor::ends_within(&process, END)
        };
        if !end(Signal::TERM).unwrap_or(true) {
            end(Signal::KILL).map_err(|errno| failed(errno.into()))?;
        }
    }
    Ok(())
}

fn number(paths: &Paths) -> Option<Pid> {
    let text = fs::read_to_string(lock(paths)).ok()?;
    Pid::from_raw(text.strip_suffix('\n')?.parse().ok()?)
}
