//! Homes and volumes as whoever starts a container mounts them: what can be written, and modes of what is
//! ours, set back at every start (Kubernetes' fsGroup lets a group read and write everything).

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hook::{Advice, Explain, Kind};
use mycnf::Layout;
use rustix::fs::{Access, access};
use rustix::process::{getegid, geteuid};
use thiserror::Error;

/// Sealed, if a read-only root or another owner keeps us from writing the home itself.
pub fn layout(home: &Path) -> Result<Layout, VolumeError> {
    let is_writable = |path: &Path| access(path, Access::WRITE_OK).is_ok();
    let usual = Layout::new(home);
    // What is not there will be made.
    let mysql = home.join("mysql");
    if is_writable(home) && (is_writable(&mysql) || !mysql.exists()) {
        return Ok(usual);
    }
    let run = usual.run_dir();
    if is_writable(&run) {
        return Ok(Layout::sealed(home));
    }
    let home = home.to_owned();
    Err(VolumeError::Sealed { home, run })
}

/// Closes secrets and, where others may write it, the database. What is not there, or somebody else's,
/// stays as it is: a `~/data` that is a mount point is not ours, and what an adopted database's owner
/// allows is not for us to say.
pub(crate) fn close(layout: &Layout, data_dir: &Path) -> Result<(), VolumeError> {
    close_all(layout, data_dir).map_err(|source| VolumeError::Close {
        path: layout.data(),
        source,
    })
}

fn close_all(layout: &Layout, data_dir: &Path) -> io::Result<()> {
    for path in [
        layout.credentials(),
        layout.agent_credentials(),
        layout.lock(),
    ] {
        set(&path, 0o600, |_| true)?;
    }
    for path in dumps(layout, data_dir) {
        set(&path, 0o600, |_| true)?;
    }
    for path in [data_dir.to_owned(), layout.logs(), layout.run_dir()] {
        set(&path, 0o700, |mode| mode & 0o022 != 0)?;
    }
    Ok(())
}

/// The system tables' dumps of upgrades, which hold password hashes.
fn dumps(layout: &Layout, data_dir: &Path) -> Vec<PathBuf> {
    let Some(name) = data_dir.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    let begin = format!("{name}-before-");
    let entries = fs::read_dir(layout.data()).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&begin));
    named.map(|entry| entry.path()).collect()
}

fn set(path: &Path, mode: u32, is_wrong: impl Fn(u32) -> bool) -> io::Result<()> {
    let Some(found) = durable::metadata_if_there(path)? else {
        return Ok(());
    };
    let now = found.mode() & 0o7777;
    let plain = found.is_file() || found.is_dir();
    if !plain || now == mode || !is_wrong(now) {
        return Ok(());
    }
    match fs::set_permissions(path, Permissions::from_mode(mode)) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What to do about `path`, which this user may not enter or write: who may, if that is another user.
pub(crate) fn owners_way(path: &Path) -> Option<String> {
    let mut places = path.ancestors().take(2);
    let found = places.find_map(|path| fs::metadata(path).ok())?;
    let us = format!("{}:{}", geteuid().as_raw(), getegid().as_raw());
    way_of(found.uid(), found.gid(), &us)
}

fn way_of(uid: u32, gid: u32, us: &str) -> Option<String> {
    let give = format!("(chown -R {us})");
    if us.split(':').next() == Some(&uid.to_string()) {
        return None;
    }
    Some(if uid == 0 {
        format!("it belongs to root: give it to this user {give}, start again")
    } else {
        format!(
            "it belongs to user {uid}: run as that user (--user {uid}:{gid} in Docker, runAsUser in Kubernetes), \
             or give it to this one {give}, start again"
        )
    })
}

/// What is mounted does not do.
#[derive(Debug, Error)]
pub enum VolumeError {
    /// Nothing can be written where each start writes.
    #[error("neither {home} nor {run} can be written", home = home.display(), run = run.display())]
    Sealed {
        /// The home directory.
        home: PathBuf,
        /// What may be mounted in its place.
        run: PathBuf,
    },
    /// A volume gave others the right to what is ours, and it cannot be taken back.
    #[error("cannot set the modes of what is ours in {path}", path = path.display())]
    Close {
        /// `~/data`.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Explain for VolumeError {
    fn advice(&self) -> Advice {
        let next = match self {
            Self::Sealed { run, .. } => format!(
                "make the home directory writable for this user, or mount a directory at {run} that is \
                 (--tmpfs {run}:mode=1777 in Docker, an emptyDir in Kubernetes), start again",
                run = run.display()
            ),
            Self::Close { .. } => {
                "mount a volume whose files belong to the user that the container \
                                   runs as, start again"
                    .to_owned()
            }
        };
        Advice::new(Kind::Environment, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn way_of_names_the_owner() {
        for (uid, gid, way) in [
            (
                999,
                998,
                Some(
                    "it belongs to user 999: run as that user (--user 999:998 in Docker, runAsUser in \
                     Kubernetes), or give it to this one (chown -R 1000:33), start again",
                ),
            ),
            (
                0,
                33,
                Some("it belongs to root: give it to this user (chown -R 1000:33), start again"),
            ),
            (1000, 0, None),
        ] {
            assert_eq!(way_of(uid, gid, "1000:33").as_deref(), way);
        }
        assert_eq!(owners_way(tempfile::tempdir().unwrap().path()), None);
    }

    #[test]
    fn close_takes_back_what_a_volume_gave_its_group() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path());
        let data_dir = layout.data_dir();
        close(&layout, &data_dir).unwrap();
        fs::create_dir_all(&data_dir).unwrap();
        fs::create_dir_all(layout.logs()).unwrap();
        fs::create_dir_all(layout.run_dir()).unwrap();
        let dump = layout.data().join("mysqldb-before-10.11.19.sql");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        let give = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        for path in [layout.credentials(), layout.lock(), dump.clone()] {
            fs::write(&path, "").unwrap();
            give(&path, 0o660);
        }
        give(&data_dir, 0o2770);
        give(&layout.logs(), 0o750);
        give(&layout.run_dir(), 0o1777);
        give(&layout.data(), 0o2775);
        close(&layout, &data_dir).unwrap();
        for path in [layout.credentials(), layout.lock(), dump] {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        assert_eq!(mode(&data_dir), 0o700);
        assert_eq!(mode(&layout.run_dir()), 0o700, "as an image has it");
        assert_eq!(mode(&layout.logs()), 0o750, "its owner lets the group read");
        assert_eq!(mode(&layout.data()), 0o2775, "a mount point");
    }
}
