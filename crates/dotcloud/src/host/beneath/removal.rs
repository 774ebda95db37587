//! Removes a tree of any depth, with three descriptors: what lies deeper than the top is moved up
//! to it first, so that no path gets long and nobody can lead us elsewhere in between.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::Directory;

/// How often a directory is emptied that somebody fills again meanwhile.
const ROUNDS: usize = 100;

/// Removes whatever `parent` has as `name`, if anything.
pub(super) fn remove(parent: &Directory, name: &OsStr) -> io::Result<()> {
    if unlink(parent, name)? {
        return Ok(());
    }
    let top = match parent.directory_of_owner(Path::new(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let mut removal = Removal {
        top: &top,
        waiting: Vec::new(),
        moved: 0,
    };
    for _ in 0..ROUNDS {
        removal.empty(&top, true)?;
        while let Some(name) = removal.waiting.pop() {
            removal.remove_moved(&name)?;
        }
        if unlink(parent, name)? {
            return Ok(());
        }
    }
    Err(Errno::NOTEMPTY.into())
}

struct Removal<'a> {
    top: &'a Directory,
    /// Directories in `top` that are to be removed yet.
    waiting: Vec<OsString>,
    /// How many were moved there.
    moved: u64,
}

impl Removal<'_> {
    fn remove_moved(&mut self, name: &OsStr) -> io::Result<()> {
        for _ in 0..ROUNDS {
            let directory = match self.top.directory_of_owner(Path::new(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                other => other?,
            };
            self.empty(&directory, false)?;
            if unlink(self.top, name)? {
                return Ok(());
            }
        }
        Err(Errno::NOTEMPTY.into())
    }

    /// Leaves nothing in `directory` but what waits.
    fn empty(&mut self, directory: &Directory, is_top: bool) -> io::Result<()> {
        for name in directory.names()? {
            if unlink(directory, &name)? {
                continue;
            }
            if is_top {
                self.waiting.push(name);
            } else {
                self.move_up(directory, &name)?;
            }
        }
        Ok(())
    }

    fn move_up(&mut self, directory: &Directory, name: &OsStr) -> io::Result<()> {
        loop {
            self.moved += 1;
            let new = OsString::from(format!(".removed-{}", self.moved));
            match rustix::fs::renameat(directory, name, self.top, &new) {
                Ok(()) => {
                    self.waiting.push(new);
                    return Ok(());
                }
                // Another has the name.
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                // Only its owner may say that it has another parent now.
                Err(Errno::ACCESS) => {
                    directory.directory_of_owner(Path::new(name))?;
                    rustix::fs::renameat(directory, name, self.top, &new)?;
                    self.waiting.push(new);
                    return Ok(());
                }
                Err(Errno::NOENT) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Removes a file, a link or an empty directory; whether nothing is there any more.
fn unlink(parent: &Directory, name: &OsStr) -> io::Result<bool> {
    let first = match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(true),
        Err(error @ (Errno::ISDIR | Errno::PERM)) => error,
        Err(error) => return Err(error.into()),
    };
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        // A file that may not be removed.
        Err(Errno::NOTDIR) => Err(first.into()),
        Err(error) => Err(error.into()),
    }
}
