//! Where a state directory is: it knows its own path, so that one that was moved goes on where it is
//! now, and a copy does not pass for its original, whose ports and names it has.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::host::files::{self, FileError};
use crate::host::ownership::is_absent;

/// In the state directory.
const RECORD: &str = "place.json";

/// What a state directory knows of itself; a copy has the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// Random: another one at the same path is another one.
    id: String,
    path: PathBuf,
}

/// Records that the state directory is at `root`. From where it was moved, if it was; a copy whose
/// original is still there is refused.
pub(super) fn settle(root: &Path) -> Result<Option<PathBuf>, StoreError> {
    let Some(record) = read(root)? else {
        let record = Record {
            id: files::random::<16>()?,
            path: root.to_owned(),
        };
        write(root, &record)?;
        return Ok(None);
    };
    if is_of(&record, root) {
        return Ok(None);
    }
    if let Some(original) = original(root)? {
        return Err(StoreError::Copy {
            path: root.to_owned(),
            original,
        });
    }
    let moved = Record {
        path: root.to_owned(),
        ..record.clone()
    };
    write(root, &moved)?;
    Ok(Some(record.path))
}

/// The state directory, which is still there, that the one at `root` is a copy of. Changes nothing.
pub(super) fn original(root: &Path) -> Result<Option<PathBuf>, StoreError> {
    let record = read(root)?.filter(|record| !is_of(record, root) && is_there(record, root));
    Ok(record.map(|record| record.path))
}

/// Makes the copy at `root` a state directory like any other.
pub(super) fn detach(root: &Path) -> Result<(), StoreError> {
    let record = Record {
        id: files::random::<16>()?,
        path: root.to_owned(),
    };
    Ok(write(root, &record)?)
}

/// Whether `record` speaks of `root`, maybe by another of its names.
fn is_of(record: &Record, root: &Path) -> bool {
    record.path == root || files::is_same(&record.path, root)
}

fn read(root: &Path) -> Result<Option<Record>, FileError> {
    let path = root.join(RECORD);
    match fs::read(&path) {
        // One that cannot be understood tells no more than none.
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if is_absent(&error) => Ok(None),
        Err(source) => Err(files::failed("read", &path)(source)),
    }
}

/// Readable by everybody: another user's copy is to be told from an original, too.
fn write(root: &Path, record: &Record) -> Result<(), FileError> {
    let path = root.join(RECORD);
    let text = serde_json::to_vec_pretty(record)
        .map_err(|error| files::failed("write", &path)(error.into()))?;
    files::replace(&path, &text, 0o644)
}

/// Whether the one that `record` speaks of is where it says, and has an application that the one at
/// `root` has. What cannot be seen may be there.
fn is_there(record: &Record, root: &Path) -> bool {
    match read(&record.path) {
        Ok(None) => false,
        Ok(Some(found)) => found.id == record.id && share_an_application(&record.path, root),
        Err(_) => true,
    }
}

fn share_an_application(original: &Path, copy: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(copy.join("apps")) else {
        return false;
    };
    entries.any(|entry| {
        let record = |name| original.join("apps").join(name).join("state.json");
        entry.is_ok_and(|entry| record(entry.file_name()).exists())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settle_tells_a_move_from_a_copy() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let with_application = |name: &str| {
            let application = path(name).join("apps/app");
            fs::create_dir_all(&application).unwrap();
            fs::write(application.join("state.json"), "").unwrap();
        };
        let copy = |from: &str, to: &str| {
            with_application(to);
            fs::copy(path(from).join(RECORD), path(to).join(RECORD)).unwrap();
        };
        with_application("a");
        assert_eq!(settle(&path("a")).unwrap(), None);
        assert_eq!(settle(&path("a")).unwrap(), None);
        copy("a", "b");
        assert_eq!(
            settle(&path("b")).unwrap_err().to_string(),
            format!(
                "{} is a copy of the state directory {}, which is still there",
                path("b").display(),
                path("a").display()
            )
        );
        assert_eq!(original(&path("b")).unwrap(), Some(path("a")));
        assert_eq!(original(&path("a")).unwrap(), None);
        copy("a", "own");
        detach(&path("own")).unwrap();
        assert_eq!(original(&path("own")).unwrap(), None);
        assert_eq!(settle(&path("own")).unwrap(), None);
        std::os::unix::fs::symlink("a", path("link")).unwrap();
        assert_eq!(settle(&path("link")).unwrap(), None);
        fs::rename(path("a"), path("c")).unwrap();
        // Another one in the place of the original is none.
        fs::create_dir(path("a")).unwrap();
        assert_eq!(settle(&path("a")).unwrap(), None);
        assert_eq!(settle(&path("c")).unwrap(), Some(path("a")));
        assert_eq!(settle(&path("c")).unwrap(), None);
        // And the copy of what moved on.
        copy("c", "d");
        assert!(settle(&path("d")).is_err());
        // What has nothing of it any more is as good as gone.
        fs::remove_dir_all(path("c").join("apps/app")).unwrap();
        assert_eq!(settle(&path("d")).unwrap(), Some(path("c")));
    }

    #[test]
    fn settle_damaged_record_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(RECORD), "{").unwrap();
        assert_eq!(settle(directory.path()).unwrap(), None);
        assert!(read(directory.path()).unwrap().is_some());
    }
}
