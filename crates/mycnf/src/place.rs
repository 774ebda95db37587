//! Where a data directory is made, and how it gets its name at once: beside it by a rename, or, where it
//! is a mount point and has its name already, inside it, from where its files move up.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::layout::Layout;

/// In a mount point: a data directory in the making, ours by its name.
const UNFINISHED: &str = "mysqldb.initialising";

/// In a mount point: one that is complete and about to move up, file by file.
const MOVING: &str = "mysqldb.initialised";

/// What the filesystem itself keeps in its root directory.
const FILESYSTEMS_OWN: &str = "lost+found";

/// Whether a directory with these `names` holds no database: nothing, or what is removed or moved before
/// anything is made there.
pub(crate) fn is_vacant(names: &[String]) -> bool {
    let ours = |name: &String| name == UNFINISHED || name == FILESYSTEMS_OWN;
    names.iter().any(|name| name == MOVING) || names.iter().all(ours)
}

/// Where a data directory in the making is, or would be: beside its place, or in one that is a mount point.
#[must_use]
pub fn all_unfinished(layout: &Layout, data_dir: &Path) -> [PathBuf; 2] {
    [layout.unfinished_data_dir(), data_dir.join(UNFINISHED)]
}

/// Where to make the one that is to be `data_dir`, which is vacant.
pub(crate) fn choose(layout: &Layout, data_dir: &Path) -> io::Result<PathBuf> {
    let [beside, inside] = all_unfinished(layout, data_dir);
    let Err(error) = fs::remove_dir(data_dir) else {
        return Ok(beside);
    };
    match error.kind() {
        // A mount point, the root of a filesystem, a directory in one that is not ours to write.
        io::ErrorKind::ResourceBusy
        | io::ErrorKind::DirectoryNotEmpty
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
            if is_vacant(&names(data_dir)?) =>
        {
            Ok(inside)
        }
        // That something came meanwhile is told by the rename, which replaces nothing.
        io::ErrorKind::NotFound
        | io::ErrorKind::DirectoryNotEmpty
        | io::ErrorKind::ResourceBusy => Ok(beside),
        _ => Err(error),
    }
}

/// Syncs what was made in `unfinished` and gives it its name.
pub(crate) fn put_in_place(unfinished: &Path, data_dir: &Path) -> io::Result<()> {
    // Initialisers do not sync all they write.
    if unfinished.parent() != Some(data_dir) {
        return durable::place_directory(unfinished, data_dir);
    }
    if !is_vacant(&names(data_dir)?) {
        return Err(io::ErrorKind::DirectoryNotEmpty.into());
    }
    durable::place_directory(unfinished, &data_dir.join(MOVING))?;
    finish_move(data_dir)
}

/// Moves the files of a complete data directory up into the mount point that it is in. Nothing, where
/// there is none. The caller holds the lock.
pub fn finish_move(data_dir: &Path) -> io::Result<()> {
    let moving = data_dir.join(MOVING);
    let entries = match moving.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        durable::rename_unsynced(entry.path(), data_dir.join(entry.file_name()))?;
    }
    // All at once: there may be thousands.
    durable::sync_directory(&moving)?;
    durable::sync_directory(data_dir)?;
    fs::remove_dir(&moving)?;
    durable::sync_directory(data_dir)
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    dir.read_dir()?.map(|entry| entry.map(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_vacant_table() {
        for (names, vacant) in [
            (&[][..], true),
            (&["lost+found"], true),
            (&["lost+found", "mysqldb.initialising"], true),
            (&["ibdata1", "mysqldb.initialised"], true),
            (&["ibdata1", "mysqldb.initialising"], false),
            (&["notes"], false),
        ] {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            assert_eq!(is_vacant(&names), vacant, "{names:?}");
        }
    }

    #[test]
    fn choose_beside_if_the_name_is_free_inside_if_not() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path());
        let data_dir = layout.data_dir();
        let choose = || choose(&layout, &data_dir).unwrap();
        assert_eq!(choose(), layout.unfinished_data_dir());
        fs::create_dir_all(&data_dir).unwrap();
        assert_eq!(choose(), layout.unfinished_data_dir());
        assert!(!data_dir.exists());
        fs::create_dir_all(data_dir.join("lost+found")).unwrap();
        assert_eq!(choose(), data_dir.join(UNFINISHED));
        fs::write(data_dir.join("ibdata1"), "").unwrap();
        assert_eq!(choose(), layout.unfinished_data_dir(), "not to be touched");
    }

    #[test]
    fn put_in_place_moves_up_and_goes_on_after_a_kill() {
        let dir = tempfile::tempdir().unwrap();
        let unfinished = dir.path().join(UNFINISHED);
        fs::create_dir_all(unfinished.join("mysql")).unwrap();
        for name in ["ibdata1", "mysql/user.ibd"] {
            fs::write(unfinished.join(name), name).unwrap();
        }
        put_in_place(&unfinished, dir.path()).unwrap();
        assert_eq!(
            fs::read(dir.path().join("mysql/user.ibd")).unwrap(),
            b"mysql/user.ibd"
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        fs::create_dir(&unfinished).unwrap();
        let came = put_in_place(&unfinished, dir.path()).unwrap_err();
        assert_eq!(came.kind(), io::ErrorKind::DirectoryNotEmpty);
        fs::remove_dir(&unfinished).unwrap();
        // Killed between two files.
        fs::create_dir(dir.path().join(MOVING)).unwrap();
        durable::rename_unsynced(
            dir.path().join("mysql"),
            dir.path().join(MOVING).join("mysql"),
        )
        .unwrap();
        finish_move(dir.path()).unwrap();
        finish_move(dir.path()).unwrap();
        assert!(dir.path().join("mysql/user.ibd").exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
