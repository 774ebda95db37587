//! Unpacking a tarball below an empty directory of ours, in one pass and bounded memory. While files are
//! written there is no symbolic link yet: none can lead a file astray.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use judge::{Contents, NoServer, NoTarball, is_memory_limit};
use mycnf::SERVER_EXECUTABLES;
use tar::Archive;
use thiserror::Error;

use crate::content::{Content, Headers};
use crate::entry::{EntryError, Item, Kind};
use crate::inflate::{SharedDigest, inflated};

/// What was unpacked.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// The tarball's top directory.
    pub top: PathBuf,
    /// How many entries.
    pub files: u64,
    /// The content of the files, in bytes.
    pub bytes: u64,
    /// Symbolic links of a test suite that led out of the top directory: they are not there.
    pub left_out: Vec<PathBuf>,
    /// The SHA-256 of the tarball, taken on the way.
    pub digest: [u8; 32],
}

/// Directories of test suites. Their links may lead into the machine that built them; no server follows
/// any.
const TEST_SUITES: [&str; 3] = ["mysql-test", "mariadb-test", "mysql-testsuite"];

/// How much unpacking may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many threads inflate.
    pub threads: NonZero<usize>,
    /// What the tarball may inflate to, in bytes.
    pub max_size: u64,
}

/// Unpacks `tarball` below the empty directory `into`.
pub(crate) fn unpack(tarball: &Path, into: &Path, limits: Limits) -> Result<Unpacked, UnpackError> {
    let digest = SharedDigest::default();
    let mut tree = Tree {
        tarball,
        into,
        top: None,
        parent: PathBuf::new(),
        links: Vec::new(),
        left_out: Vec::new(),
        files: 0,
        bytes: 0,
        contents: Contents::default(),
    };
    let inflated = inflated(tarball, limits.threads, &digest)?;
    let content = RefCell::new(Content::new(inflated, limits.max_size));
    let added = tree.add_all(&content);
    if content.borrow().is_too_large() {
        return Err(UnpackError::TooLarge {
            path: tarball.to_owned(),
            limit: limits.max_size,
        });
    }
    if let (Err(UnpackError::SeveralTops { .. }), Some(verdict)) =
        (&added, tree.contents.verdict(tarball))
    {
        return Err(verdict.into());
    }
    added?;
    let top = tree.finish()?;
    if !has_server(&top) {
        let verdict = tree.contents.verdict(tarball);
        return Err(verdict.unwrap_or_else(|| NoServer::unknown(tarball)).into());
    }
    Ok(Unpacked {
        top,
        files: tree.files,
        bytes: tree.bytes,
        left_out: tree.left_out,
        digest: digest.finish(),
    })
}

fn has_server(top: &Path) -> bool {
    let is_executable = |name: &str| {
        let file = fs::metadata(top.join(name));
        file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    SERVER_EXECUTABLES.iter().any(|name| is_executable(name))
}

/// The tree that grows below `into`.
struct Tree<'a> {
    tarball: &'a Path,
    into: &'a Path,
    /// The name that every path begins with.
    top: Option<OsString>,
    /// A directory that is there.
    parent: PathBuf,
    /// Symbolic links and their targets, for when all else is there.
    links: Vec<(PathBuf, PathBuf)>,
    /// Of those, the ones that may not be.
    left_out: Vec<PathBuf>,
    files: u64,
    bytes: u64,
    /// For what the archive is if it holds no server.
    contents: Contents,
}

impl Tree<'_> {
    fn add_all(&mut self, content: &RefCell<Content>) -> Result<(), UnpackError> {
        let mut archive = Archive::new(Headers(content));
        let entries = archive.entries_with_seek();
        for entry in entries.map_err(|error| self.broken(error))? {
            let mut entry = entry.map_err(|error| self.broken(error))?;
            let mut content = content.borrow_mut();
            content.end_headers();
            if let Some(item) = Item::of(&mut entry)? {
                self.add(item, &mut content)?;
            }
        }
        let rest = content.borrow_mut().finish();
        rest.map_err(|error| self.broken(error))
    }

    fn add(&mut self, item: Item, content: &mut Content) -> Result<(), UnpackError> {
        let Item { path, kind } = item;
        let mode = match kind {
            Kind::File { mode, .. } => Some(mode),
            Kind::Directory | Kind::HardLink(_) | Kind::Symlink(_) => None,
        };
        self.contents.note(path.as_os_str().as_bytes(), mode);
        self.check_top(&path)?;
        self.files += 1;
        let full = self.into.join(&path);
        let unwritten = |source| unwritten(&path, source);
        let parent = path.parent().unwrap_or(Path::new(""));
        if parent != self.parent {
            fs::create_dir_all(self.into.join(parent)).map_err(unwritten)?;
            parent.clone_into(&mut self.parent);
        }
        match kind {
            // With the usual mode: a vendor's read-only directory could not be filled.
            Kind::Directory => fs::create_dir_all(full).map_err(unwritten),
            Kind::File {
                size,
                mode,
                modified,
            } => {
                self.bytes += size;
                let mut file = create(&full).map_err(unwritten)?;
                self.fill(&mut file, size, content, &path)?;
                file.set_permissions(Permissions::from_mode(mode))
                    .and_then(|()| file.set_modified(modified))
                    .map_err(unwritten)
            }
            Kind::HardLink(target) => match fs::hard_link(self.into.join(target), full) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(refused(&path, "is a hard link to what does not precede it"))
                }
                linked => linked.map_err(unwritten),
            },
            Kind::Symlink(target) if target.is_absolute() => {
                self.leave_out(path, "is a symbolic link to an absolute path")
            }
            Kind::Symlink(target) => {
                self.links.push((path, target));
                Ok(())
            }
        }
    }

    /// Writes an entry's content from where it was inflated.
    fn fill(
        &self,
        file: &mut File,
        size: u64,
        content: &mut Content,
        path: &Path,
    ) -> Result<(), UnpackError> {
        let mut left = size;
        while left > 0 {
            let chunk = content.chunk(left).map_err(|error| self.broken(error))?;
            let length = chunk.len();
            file.write_all(chunk)
                .map_err(|source| unwritten(path, source))?;
            content.consume(length);
            left -= length as u64;
        }
        Ok(())
    }

    /// Vendors put everything below one directory.
    fn check_top(&mut self, path: &Path) -> Result<(), UnpackError> {
        let top = path.iter().next().unwrap_or_default();
        match &self.top {
            Some(first) if first != top => Err(UnpackError::SeveralTops {
                first: first.into(),
                second: top.into(),
            }),
            Some(_) => Ok(()),
            None => {
                self.top = Some(top.to_owned());
                Ok(())
            }
        }
    }

    /// Makes the symbolic links, and says where everything is.
    fn finish(&mut self) -> Result<PathBuf, UnpackError> {
        let Some(top) = &self.top else {
            let path = self.tarball.to_owned();
            return Err(UnpackError::Empty { path });
        };
        let top = self.into.join(top);
        for (path, target) in &self.links {
            symlink(target, self.into.join(path)).map_err(|source| unwritten(path, source))?;
        }
        self.check_links(&top)?;
        Ok(top)
    }

    /// Now that every link is there: none may lead out of the top directory, by whatever chain.
    fn check_links(&mut self, top: &Path) -> Result<(), UnpackError> {
        let real_top = top
            .canonicalize()
            .map_err(|source| unwritten(top, source))?;
        let (suites, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.links)
            .into_iter()
            .map(|(path, _)| path)
            .partition(|path| is_in_test_suite(path));
        // Those of test suites first: without them, the others dangle that led out through them.
        for path in suites.into_iter().chain(others) {
            let full = self.into.join(&path);
            match full.canonicalize() {
                Ok(target) if !target.starts_with(&real_top) => {
                    self.leave_out(path.clone(), "is a symbolic link out of the tarball")?;
                    fs::remove_file(full).map_err(|source| unwritten(&path, source))?;
                }
                // A link that dangles leads nowhere, wherever it points.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Notes that the link `path` is not there, if it is a test suite's; refuses it otherwise.
    fn leave_out(&mut self, path: PathBuf, why: &'static str) -> Result<(), UnpackError> {
        if !is_in_test_suite(&path) {
            return Err(refused(&path, why));
        }
        self.left_out.push(path);
        Ok(())
    }

    fn broken(&self, source: io::Error) -> UnpackError {
        UnpackError::read(self.tarball, source)
    }
}

/// Whether `path`, which begins with the top directory, is a test suite's.
fn is_in_test_suite(path: &Path) -> bool {
    let mut below_top = path.iter().skip(1);
    below_top.any(|name| TEST_SUITES.iter().any(|suite| name == *suite))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn refused(entry: &Path, why: &'static str) -> UnpackError {
    let entry = entry.to_owned();
    EntryError::Refused { entry, why }.into()
}

fn unwritten(entry: &Path, source: io::Error) -> UnpackError {
    match source.kind() {
        // The directory was empty: whatever is in the way came out of the same tarball.
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            refused(entry, "collides with another")
        }
        _ => UnpackError::Write {
            entry: entry.to_owned(),
            source,
        },
    }
}

/// The tarball cannot be unpacked.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// It cannot be read or inflated to its end.
    #[error("cannot read {path} to its end", path = path.display())]
    Read {
        /// The tarball.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It inflates with less than it needs.
    #[error("{path} needs more than 128 MiB of memory to inflate", path = path.display())]
    TooMuchMemory {
        /// The tarball.
        path: PathBuf,
    },
    /// More comes out than may.
    #[error("{path} inflates to more than {limit} bytes", path = path.display())]
    TooLarge {
        /// The tarball.
        path: PathBuf,
        /// What it may inflate to.
        limit: u64,
    },
    /// Something else.
    #[error(transparent)]
    NoTarball(#[from] NoTarball),
    /// An archive of something else.
    #[error(transparent)]
    NoServer(#[from] NoServer),
    /// Nothing in it.
    #[error("{path} is an empty tarball", path = path.display())]
    Empty {
        /// The tarball.
        path: PathBuf,
    },
    /// Vendors put everything below one directory.
    #[error("the tarball has two top directories, '{first}' and '{second}'", first = first.display(), second = second.display())]
    SeveralTops {
        /// The first.
        first: PathBuf,
        /// Another.
        second: PathBuf,
    },
    /// An entry that is not to be unpacked.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// An entry cannot be written.
    #[error("cannot unpack '{entry}'", entry = entry.display())]
    Write {
        /// Its name.
        entry: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl UnpackError {
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if is_memory_limit(&source) {
            Self::TooMuchMemory { path }
        } else {
            Self::Read { path, source }
        }
    }
}

#[cfg(test)]
mod tests;
