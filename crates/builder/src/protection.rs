//! A release that is installed is written by nobody, its own server included: whoever may have the server
//! write a file must not be able to make it a plugin.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Of owner, group and others.
const WRITE: u32 = 0o222;
/// What an owner needs to remove what is in a directory.
const OWNERS: u32 = 0o700;

/// Takes the right to write away from everything below and at `path`, which may have been done in part.
pub(crate) fn protect(path: &Path) -> io::Result<()> {
    let found = path.symlink_metadata()?;
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            protect(&entry?.path())?;
        }
    }
    let mode = found.permissions().mode();
    // A link has no rights of its own.
    if found.is_symlink() || mode & WRITE == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode & 0o777 & !WRITE))
}

/// Removes the directory `path`, be it protected.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let_owner_in(path)?;
    fs::remove_dir_all(path)
}

fn let_owner_in(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(OWNERS))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let_owner_in(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn protect_leaves_nothing_to_write_and_remove_removes_it() {
        let directory = tempfile::tempdir().unwrap();
        let release = directory.path().join("release");
        let outside = directory.path().join("outside");
        fs::create_dir_all(release.join("lib/plugin")).unwrap();
        fs::write(release.join("lib/plugin/a.so"), "").unwrap();
        fs::write(&outside, "").unwrap();
        symlink(&outside, release.join("link")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        fs::set_permissions(release.join("lib"), Permissions::from_mode(0o775)).unwrap();
        fs::set_permissions(&outside, Permissions::from_mode(0o644)).unwrap();
        for _ in 0..2 {
            protect(&release).unwrap();
            assert_eq!(mode(&release.join("lib")), 0o555);
            for path in ["", "lib/plugin", "lib/plugin/a.so"] {
                assert_eq!(mode(&release.join(path)) & WRITE, 0, "{path}");
            }
        }
        assert_eq!(mode(&outside), 0o644);
        remove(&release).unwrap();
        assert!(!release.exists() && outside.exists());
    }
}
