//! Files and directories that my.cnf names, looked at before anything is written: what the server could
//! not use would stop it when the old instance is gone, or be done without, silently.

mod options;

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use mycnf::Value;
use rustix::fs::Access;
use thiserror::Error;

use crate::judgement::Case;
use crate::prepare::Purpose;
use crate::rendering::line;
use options::{OPTIONS, PathOption, Use};

/// What my.cnf names, judged.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Directories below `~/data`, which only we can make.
    to_make: Vec<PathBuf>,
    /// What the server does without, or what cannot be known yet.
    pub(crate) warnings: Vec<String>,
}

impl Places {
    /// Refuses what the user named and the server cannot use; all of it at once.
    pub(crate) fn judge(case: &Case<'_>) -> Result<Self, PlacesError> {
        let set = |option: &str| case.user_set(option);
        let mut places = Self::default();
        let mut unusable = Vec::new();
        for option in &OPTIONS {
            let Some(found) = set(option.name) else {
                continue;
            };
            let idle = option.switch.is_some_and(|switch| !is_on(set(switch)));
            for path in paths(option, &found) {
                let Some(problem) = places.problem(option, &path, case) else {
                    continue;
                };
                let place = Unusable {
                    line: line(&found.place, case.layout),
                    option: option.name,
                    path,
                    problem,
                };
                if idle || found.name.starts_with(b"loose") || place.problem == Problem::NotYetKnown
                {
                    places.warnings.push(place.to_string());
                } else {
                    unusable.push(place);
                }
            }
        }
        if unusable.is_empty() {
            Ok(places)
        } else {
            Err(PlacesError { unusable })
        }
    }

    /// Makes the directories below `~/data` that the server needs.
    pub(crate) fn make(&self) -> Result<(), (PathBuf, io::Error)> {
        for path in &self.to_make {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(path);
            made.map_err(|source| (path.clone(), source))?;
        }
        Ok(())
    }

    fn problem(&mut self, option: &PathOption, written: &Path, case: &Case<'_>) -> Option<Problem> {
        if written.as_os_str().as_bytes().starts_with(b"~") {
            return Some(Problem::Tilde);
        }
        // What is relative is so to the data directory, where the server changes to.
        let path = case.data_dir.join(written);
        let data = case.layout.data();
        let problem = match option.used {
            Use::Read => file(&path, Access::READ_OK),
            Use::ReadDirectory => directory(&path, Access::READ_OK | Access::EXEC_OK),
            Use::Directory | Use::Database => directory(&path, WRITE),
            Use::Write => match path.parent() {
                // Made by us or by the initialiser.
                Some(parent) if parent == case.data_dir => None,
                Some(parent) if !path.exists() => directory(parent, WRITE).map(|problem| {
                    let parent = parent.to_owned();
                    match problem {
                        Problem::Missing => Problem::ParentMissing { parent },
                        _ => Problem::ParentUnwritable { parent },
                    }
                }),
                Some(_) | None => file(&path, Access::WRITE_OK),
            },
        }?;
        let missing = matches!(problem, Problem::Missing | Problem::ParentMissing { .. });
        if !missing || !path.starts_with(&data) {
            return Some(problem);
        }
        // The initialiser wants no directory of ours there.
        if path.starts_with(case.data_dir) {
            let by_the_server = case.fresh && option.used != Use::Write;
            return Some(if by_the_server {
                Problem::NotYetKnown
            } else {
                problem
            });
        }
        let keeps = option.used == Use::Database && !case.fresh;
        match (option.used, case.purpose) {
            (Use::Read | Use::ReadDirectory, Purpose::Later | Purpose::Fill) => {
                Some(Problem::NotYetKnown)
            }
            (Use::Read | Use::ReadDirectory, Purpose::Serve) => Some(problem),
            (Use::Directory | Use::Database | Use::Write, _) if keeps => Some(problem),
            (Use::Directory | Use::Database | Use::Write, _) => {
                let directory = match option.used {
                    Use::Write => path.parent().unwrap_or(&path),
                    _ => &path,
                };
                self.to_make.push(directory.to_owned());
                None
            }
        }
    }
}

const WRITE: Access = Access::WRITE_OK.union(Access::EXEC_OK);

fn is_on(found: Option<Value>) -> bool {
    found.is_some_and(|found| {
        let value = found.value.unwrap_or_default().to_ascii_lowercase();
        !matches!(&value[..], b"0" | b"off" | b"false")
    })
}

/// The paths in an option's value; none if it names none.
fn paths(option: &PathOption, found: &Value) -> Vec<PathBuf> {
    let Some(value) = &found.value else {
        return Vec::new();
    };
    // `skip-log-bin`, and how to switch off what an option names.
    if matches!(&value[..], b"" | b"0" | b"1" | b"NULL") {
        return Vec::new();
    }
    let value = value.strip_prefix(b"FILE:").unwrap_or(value);
    let parts: Vec<&[u8]> = match option.separator {
        Some(separator) => value.split(|byte| char::from(*byte) == separator).collect(),
        None => vec![value],
    };
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.map(|part| OsStr::from_bytes(part).into()).collect()
}

fn directory(path: &Path, access: Access) -> Option<Problem> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => Some(Problem::NotADirectory),
        Ok(_) => denied(path, access),
        Err(error) => Some(absent(&error)),
    }
}

fn file(path: &Path, access: Access) -> Option<Problem> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Some(Problem::ADirectory),
        Ok(_) => denied(path, access),
        Err(error) => Some(absent(&error)),
    }
}

fn absent(error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::NotFound => Problem::Missing,
        kind => Problem::Closed(kind),
    }
}

fn denied(path: &Path, access: Access) -> Option<Problem> {
    let denied = rustix::fs::access(path, access).err()?;
    Some(Problem::Closed(io::Error::from(denied).kind()))
}

/// A path that the server cannot use.
#[derive(Debug, PartialEq, Eq)]
pub struct Unusable {
    line: String,
    option: &'static str,
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug, PartialEq, Eq)]
enum Problem {
    Missing,
    NotADirectory,
    ADirectory,
    /// To this user.
    Closed(io::ErrorKind),
    ParentMissing {
        parent: PathBuf,
    },
    ParentUnwritable {
        parent: PathBuf,
    },
    Tilde,
    /// `~/data` may be about to be replaced by the real one.
    NotYetKnown,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, option, .. } = self;
        write!(f, "{line}: {option} is {}, ", self.path.display())?;
        match &self.problem {
            Problem::Missing => f.write_str("which is not there"),
            Problem::NotADirectory => f.write_str("which is not a directory"),
            Problem::ADirectory => f.write_str("which is a directory"),
            Problem::Closed(kind) => write!(f, "which this user cannot use ({kind})"),
            Problem::ParentMissing { parent } => {
                write!(f, "and there is no directory {}", parent.display())
            }
            Problem::ParentUnwritable { parent } => {
                write!(f, "and this user can make nothing in {}", parent.display())
            }
            Problem::Tilde => f.write_str("and the servers know no ~ there"),
            Problem::NotYetKnown => {
                f.write_str("which is not there yet: looked for when the server starts")
            }
        }
    }
}

/// What my.cnf names, and the server could not use.
#[derive(Debug, Error)]
#[error("{list}", list = unusable.iter().map(Unusable::to_string).collect::<Vec<_>>().join("; "))]
pub struct PlacesError {
    unusable: Vec<Unusable>,
}

#[cfg(test)]
impl PlacesError {
    /// One path that is not there.
    pub(crate) fn of(line: &str, option: &'static str, path: &str) -> Self {
        Self {
            unusable: vec![Unusable {
                line: line.to_owned(),
                option,
                path: path.into(),
                problem: Problem::Missing,
            }],
        }
    }
}

#[cfg(test)]
mod tests;
