//! Every path below a directory that a service may write to. It is resolved from a descriptor of the
//! directory, leads nowhere else and follows no link, whatever the service does meanwhile.

mod copy;
mod removal;
mod walk;

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

use crate::host::account::Account;
pub(crate) use copy::{check, copy_content, segments};
pub(crate) use walk::{Found, Walk};

/// Of a listing.
const BUFFER: usize = 32 << 10;
/// What an owner needs to work in a directory.
const OWNERS: u32 = 0o700;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Directory {
    descriptor: OwnedFd,
}

impl Directory {
    /// Opens `path`, which has to be out of every service's reach.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { descriptor })
    }

    /// The directory `below`.
    pub(crate) fn directory(&self, below: impl AsRef<Path>) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let descriptor = self.resolve(below.as_ref(), flags, 0)?;
        Ok(Self { descriptor })
    }

    /// The same, whose owner gets the right to work in it.
    fn directory_of_owner(&self, below: &Path) -> io::Result<Self> {
        let found = self.look(below)?;
        let metadata = found.metadata()?;
        if metadata.is_dir() && metadata.mode() & OWNERS != OWNERS {
            // Root needs no such right, and may not have this one.
            let _ = set_mode(&found, metadata.mode() | OWNERS);
        }
        self.directory(below)
    }

    /// What is at `below`, itself if it is a link; opens neither pipe nor device.
    pub(crate) fn look(&self, below: impl AsRef<Path>) -> io::Result<File> {
        Ok(self.resolve(below.as_ref(), OFlags::PATH, 0)?.into())
    }

    /// Whether something is at `below`, and what.
    pub(crate) fn find(&self, below: impl AsRef<Path>) -> io::Result<Option<Metadata>> {
        match self.look(below) {
            Ok(found) => found.metadata().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The regular file `below`, to be read.
    pub(crate) fn read(&self, below: impl AsRef<Path>) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(self.resolve(below.as_ref(), flags, 0)?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::other("it is no regular file"))
        }
    }

    /// The same, whose owner need not have given themselves the right to read it.
    pub(crate) fn read_of_owner(&self, below: impl AsRef<Path>) -> io::Result<File> {
        let below = below.as_ref();
        match self.read(below) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            other => return other,
        }
        let found = self.look(below)?;
        let mode = found.metadata()?.mode();
        set_mode(&found, mode | 0o400)?;
        let file = self.read(below);
        set_mode(&found, mode)?;
        file
    }

    /// The new file `below`, of ours alone as yet.
    pub(crate) fn create(&self, below: impl AsRef<Path>) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        Ok(self.resolve(below.as_ref(), flags, 0o600)?.into())
    }

    /// Makes the directory `below`, which belongs to `account` alone.
    pub(crate) fn make(&self, below: impl AsRef<Path>, account: &Account) -> io::Result<()> {
        let (parent, name) = self.parent(below.as_ref())?;
        rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(OWNERS))?;
        let made = parent.directory(name)?;
        own(&made, account)
    }

    /// Makes the link `below`, to `target`.
    pub(crate) fn link(
        &self,
        target: impl AsRef<Path>,
        below: impl AsRef<Path>,
        account: &Account,
    ) -> io::Result<()> {
        let (parent, name) = self.parent(below.as_ref())?;
        rustix::fs::symlinkat(target.as_ref(), &parent, name)?;
        if account.drops() {
            let (user, group) = account.ids();
            rustix::fs::chownat(
                &parent,
                name,
                Some(user),
                Some(group),
                AtFlags::SYMLINK_NOFOLLOW,
            )?;
        }
        Ok(())
    }

    /// Makes `below` another name of the file `first`.
    pub(crate) fn link_hard(
        &self,
        first: impl AsRef<Path>,
        below: impl AsRef<Path>,
    ) -> io::Result<()> {
        let (from, first) = self.parent(first.as_ref())?;
        let (to, name) = self.parent(below.as_ref())?;
        Ok(rustix::fs::linkat(
            &from,
            first,
            &to,
            name,
            AtFlags::empty(),
        )?)
    }

    /// Makes the link `below`, to `target`, in the place of a file or link that is there.
    pub(crate) fn replace_link(
        &self,
        target: impl AsRef<Path>,
        below: impl AsRef<Path>,
        account: &Account,
    ) -> io::Result<()> {
        let (parent, name) = self.parent(below.as_ref())?;
        let beside = beside(name);
        parent.remove(&beside)?;
        parent.link(target, &beside, account)?;
        parent.rename(&beside, name)?;
        parent.sync()
    }

    /// Gives what is at `from` the name `to`, in the place of a file that has it.
    pub(crate) fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        let (old, from) = self.parent(from.as_ref())?;
        let (new, to) = self.parent(to.as_ref())?;
        Ok(rustix::fs::renameat(&old, from, &new, to)?)
    }

    /// Removes whatever is at `below`, if anything.
    pub(crate) fn remove(&self, below: impl AsRef<Path>) -> io::Result<()> {
        match self.parent(below.as_ref()) {
            Ok((parent, name)) => removal::remove(&parent, name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Replaces the content of the file `below` so that a reader, or a crash, sees the old or the new
    /// one whole.
    pub(crate) fn replace(
        &self,
        below: impl AsRef<Path>,
        content: &[u8],
        account: &Account,
    ) -> io::Result<()> {
        let (parent, name) = self.parent(below.as_ref())?;
        let beside = beside(name);
        parent.remove(&beside)?;
        let mut file = parent.create(&beside)?;
        io::Write::write_all(&mut file, content)?;
        own(&file, account)?;
        rustix::fs::fsync(&file)?;
        parent.rename(&beside, name)?;
        parent.sync()
    }

    /// The names in it, in no order.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        // A descriptor of its own, which has a position of its own.
        let listing = self.directory(".")?;
        let mut buffer = Vec::with_capacity(BUFFER);
        let mut entries = RawDir::new(&listing, buffer.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    /// Where a link leads to.
    pub(crate) fn target(link: &File) -> io::Result<PathBuf> {
        let target = rustix::fs::readlinkat(link, "", Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// For what is to be done with any file.
    pub(crate) fn into_file(self) -> File {
        self.descriptor.into()
    }

    /// Makes durable what was added to it, renamed or removed.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.descriptor)?)
    }

    /// The directory that `below` lies in, and its name there.
    pub(crate) fn parent<'a>(&self, below: &'a Path) -> io::Result<(Self, &'a OsStr)> {
        let name = below.file_name().ok_or(Errno::INVAL)?;
        let parent = below.parent().filter(|path| !path.as_os_str().is_empty());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let descriptor = self.resolve(parent.unwrap_or(Path::new(".")), flags, 0)?;
        Ok((Self { descriptor }, name))
    }

    fn resolve(&self, below: &Path, flags: OFlags, mode: u32) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let rules = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let mode = Mode::from_raw_mode(mode);
        loop {
            match rustix::fs::openat2(&self.descriptor, below, flags, mode, rules) {
                // Something was renamed meanwhile.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::NOSYS) => {
                    return Err(io::Error::new(
                        io::ErrorKind::Unsupported,
                        "the kernel is older than Linux 5.6: it cannot open a path safely",
                    ));
                }
                other => return Ok(other?),
            }
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// What becomes `name` when it is whole.
fn beside(name: &OsStr) -> OsString {
    let mut beside = OsString::from(".new-");
    beside.push(name);
    beside
}

/// Gives what is open to `account`.
pub(crate) fn own(open: impl AsFd, account: &Account) -> io::Result<()> {
    if account.drops() {
        fchown(open, Some(account.uid), Some(account.gid))?;
    }
    Ok(())
}

/// A name of what is open, for functions that know names only.
pub(crate) fn name_of(open: impl AsFd) -> PathBuf {
    format!("/proc/self/fd/{}", open.as_fd().as_raw_fd()).into()
}

/// Lets the owner of the directory `path`, which is out of every service's reach, work in it.
pub(crate) fn let_owner_in(path: &Path) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?);
    let mode = found.metadata()?.mode();
    if mode & OWNERS == OWNERS {
        Ok(())
    } else {
        set_mode(&found, mode | OWNERS)
    }
}

/// Sets the mode of what is open, be it only for looking.
pub(crate) fn set_mode(open: impl AsFd, mode: u32) -> io::Result<()> {
    let mode = Mode::from_raw_mode(mode & 0o7777);
    Ok(rustix::fs::chmod(name_of(open), mode)?)
}

#[cfg(test)]
mod tests;
