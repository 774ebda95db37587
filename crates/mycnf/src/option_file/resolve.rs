//! What the servers see of an option file and of everything it includes, in their order. Reads files
//! and changes none. Follows their rules for paths, names and nesting (`mysys/my_default`); refuses
//! what they would read only the front of, or ten times over.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use super::{
    Entry, Include, IncludeKind, OptionFile, OptionFileError, Place, Value, in_groups, last, name,
};

/// A file that is included at this depth includes nothing more.
const MAX_DEPTH: usize = 10;

/// The servers pass over longer ones.
const MAX_PATH: usize = 508;

/// The options of an option file and of every file it includes.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    options: Vec<Value>,
    /// What was included and not looked into.
    pub skipped: Vec<Skipped>,
}

/// An include that set nothing, as far as we know.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{by}: {path} is left out: {reason}", path = path.display())]
pub struct Skipped {
    /// The directive.
    pub by: Place,
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// Why an included file was not looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SkipReason {
    /// No server minds.
    #[error("it is not there")]
    Missing,
    /// No server minds that either.
    #[error("it cannot be read ({kind})")]
    Unreadable {
        /// Why.
        kind: io::ErrorKind,
    },
    /// A directory, which they find empty, or a pipe, at which they wait.
    #[error("it is not a file")]
    NotAFile,
    /// The servers fear that whoever broke into one wrote it.
    #[error("anybody may write it, so that the servers ignore it")]
    WorldWritable,
    /// Their guard against circles.
    #[error("the servers follow ten includes inside one another and no more")]
    TooDeep,
    /// Their buffers end there.
    #[error("the servers ignore paths of more than 508 bytes")]
    TooLong,
    /// `~user/x`, which is read, and `x/~/y`, which MySQL takes for `~/y`.
    #[error("only ~/ at its start is understood here; what it sets is not known")]
    Tilde,
}

/// An include that cannot be followed as it is meant.
#[derive(Debug, Error)]
pub enum IncludeError {
    /// The servers would read the front of it and pass over the rest.
    #[error("cannot use {path}, included by {by}", path = source.path.display())]
    Flawed {
        /// The directive.
        by: Place,
        /// What is wrong with it.
        source: OptionFileError,
    },
    /// The servers stop there.
    #[error("cannot read the directory {path}, included by {by}", path = path.display())]
    ReadDirectory {
        /// The directory.
        path: PathBuf,
        /// The directive.
        by: Place,
        /// Why.
        source: io::Error,
    },
    /// The servers go round ten times.
    #[error("{path} is included by {by} while it is being read itself", path = path.display())]
    Cycle {
        /// The file.
        path: PathBuf,
        /// The directive.
        by: Place,
    },
}

impl OptionFile {
    /// Follows every include, for a server whose home and working directory are `home`.
    pub fn resolve(&self, home: &Path) -> Result<Resolved, IncludeError> {
        let mut reader = Reader {
            home,
            open: vec![fs::metadata(&self.path).ok().as_ref().map(identity)],
            resolved: Resolved::default(),
        };
        reader.file(self)?;
        Ok(reader.resolved)
    }
}

impl Resolved {
    /// Every option of every group, in the order the servers read them.
    pub fn all(&self) -> impl Iterator<Item = &Value> {
        self.options.iter()
    }

    /// The options of `groups` in the order the servers read them: what `my_print_defaults` prints.
    pub fn options(&self, groups: &[&str]) -> impl Iterator<Item = &Value> {
        self.options
            .iter()
            .filter(move |value| in_groups(value, groups))
    }

    /// What `option` is set to for a program that reads `groups`, as [`OptionFile::get`] finds it.
    #[must_use]
    pub fn get(&self, groups: &[&str], option: &str) -> Option<Value> {
        last(self.options(groups).cloned(), option)
    }

    /// Whether anything but `file` itself sets `option` for a program that reads `groups`.
    #[must_use]
    pub fn is_included(&self, file: &OptionFile, groups: &[&str], option: &str) -> bool {
        self.options(groups)
            .filter(|value| value.place.path != file.path)
            .any(|value| name::relate(&value.name, option).is_some())
    }
}

/// A file whatever its name: device and inode.
type Identity = (u64, u64);

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

struct Reader<'a> {
    home: &'a Path,
    /// The file being read and those that led to it; `None` for text that is not on the disk.
    open: Vec<Option<Identity>>,
    resolved: Resolved,
}

impl Reader<'_> {
    fn file(&mut self, file: &OptionFile) -> Result<(), IncludeError> {
        for entry in file.entries() {
            match entry {
                // A group lasts until the end of its file, whatever is included in between.
                Entry::Option(value) => self.resolved.options.push(value),
                Entry::Include(include) if self.open.len() > MAX_DEPTH => {
                    self.skip(include.place, include.path, SkipReason::TooDeep);
                }
                Entry::Include(include) => match include.kind {
                    IncludeKind::File => self.include(include.place, &include.path)?,
                    IncludeKind::Directory => self.include_directory(&include)?,
                },
            }
        }
        Ok(())
    }

    fn include_directory(&mut self, include: &Include) -> Result<(), IncludeError> {
        // No `~` here: the servers have never expanded it.
        let path = self.home.join(&include.path);
        let names = option_files(&path).map_err(|source| IncludeError::ReadDirectory {
            path,
            by: include.place.clone(),
            source,
        })?;
        for name in names {
            self.include(include.place.clone(), &include.path.join(name))?;
        }
        Ok(())
    }

    fn include(&mut self, by: Place, written: &Path) -> Result<(), IncludeError> {
        let Some(path) = locate(written, self.home) else {
            self.skip(by, written.to_owned(), SkipReason::Tilde);
            return Ok(());
        };
        if written.as_os_str().len() > MAX_PATH {
            self.skip(by, path, SkipReason::TooLong);
            return Ok(());
        }
        let (identity, bytes) = match read(&path) {
            Ok(read) => read,
            Err(reason) => {
                self.skip(by, path, reason);
                return Ok(());
            }
        };
        if self.open.contains(&Some(identity)) {
            return Err(IncludeError::Cycle { path, by });
        }
        let file = OptionFile::parse(&path, &bytes)
            .map_err(|source| IncludeError::Flawed { by, source })?;
        self.open.push(Some(identity));
        self.file(&file)?;
        self.open.pop();
        Ok(())
    }

    fn skip(&mut self, by: Place, path: PathBuf, reason: SkipReason) {
        self.resolved.skipped.push(Skipped { by, path, reason });
    }
}

/// The names of a directory that the servers read, in their order: that of the bytes.
fn option_files(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in directory.read_dir()? {
        let name = entry?.file_name();
        if name.as_bytes().ends_with(b".cnf") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Result<(Identity, Vec<u8>), SkipReason> {
    let skip = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => SkipReason::Missing,
        kind => SkipReason::Unreadable { kind },
    };
    let metadata = fs::metadata(path).map_err(skip)?;
    if !metadata.is_file() {
        return Err(SkipReason::NotAFile);
    }
    if metadata.mode() & 0o002 != 0 {
        return Err(SkipReason::WorldWritable);
    }
    let bytes = fs::read(path).map_err(skip)?;
    Ok((identity(&metadata), bytes))
}

/// Where the servers look for `written`; `None` if it holds a tilde that we do not understand.
///
/// They take `x/..` out of the text, so that a symlink `x` does not lead them elsewhere.
fn locate(written: &Path, home: &Path) -> Option<PathBuf> {
    let bytes = written.as_os_str().as_bytes();
    let split = bytes.iter().rposition(|byte| *byte == b'/');
    let (directory, name) = bytes.split_at(split.map_or(0, |at| at + 1));
    let (mut path, directory) = match directory.strip_prefix(b"~/") {
        Some(rest) => (home.to_owned(), rest),
        None => (PathBuf::new(), directory),
    };
    for component in Path::new(OsStr::from_bytes(directory)).components() {
        match component {
            Component::ParentDir if path.file_name().is_some() => {
                path.pop();
            }
            Component::Normal(name) if name.as_bytes().starts_with(b"~") => return None,
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    Some(home.join(path).join(OsStr::from_bytes(name)))
}

#[cfg(test)]
mod tests;
