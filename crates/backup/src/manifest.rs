//! What a copy is: `manifest.json` in its directory, written last, so that a copy without one is no
//! copy. Names every file with its length and SHA-256.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use mycnf::{WriteError, write_private};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::moment::{Gtid, GtidRanges, Times};

/// The form of the manifest; a newer one is refused, not guessed at.
const FORMAT: u32 = 1;

/// In the copy's directory.
const NAME: &str = "manifest.json";

/// There, too, once somebody checked it.
pub(crate) const CHECKED: &str = "checked.json";

/// Read at once.
const CHUNK: usize = 128 << 10;

/// How a copy was made, and so what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The clone plugin of MySQL, from a server that ran.
    Clone,
    /// mariadb-backup, from a server that ran.
    MariadbBackup,
    /// The files, of a server that did not run.
    Cold,
    /// SQL.
    Dump,
    /// No copy of a database: binary logs, which follow on one.
    Logs,
}

impl Method {
    /// As it is told.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::MariadbBackup => "mariadb-backup",
            Self::Cold => "cold",
            Self::Dump => "dump",
            Self::Logs => "logs",
        }
    }
}

/// Where in the binary log a copy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The log's file name.
    pub file: String,
    /// The offset of the next event; 0 if the copy has all of that file. A clone has this much at least:
    /// the server that is started on it knows the rest.
    pub position: u64,
    /// The transactions in the copy, as their server names them; empty without GTIDs.
    pub gtid: String,
    /// Which row of logs that file is one of; empty if none is kept.
    #[serde(default)]
    pub lineage: String,
}

impl Position {
    /// Whether the transaction is in the copy, as far as MySQL's list of them says.
    pub(crate) fn has(&self, gtid: &Gtid) -> bool {
        self.gtid.split(',').any(|part| {
            let mut parts = part.trim().split(':');
            parts.next() == Some(&*gtid.source)
                && parts.any(|range| {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
                    (number(first)..=number(last)).contains(&gtid.number)
                })
        })
    }
}

/// Binary logs that were copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logs {
    /// Which row they are of.
    pub lineage: String,
    /// Each of them, in order.
    pub logs: Vec<LogEntry>,
    /// The last one that was looked at: those after it are the next to be copied.
    pub last: Option<LastLog>,
}

/// A binary log that was copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Its file name, in the copy too.
    pub name: String,
    /// When its transactions were committed, if it has any.
    pub times: Option<Times>,
    /// What they are called.
    pub gtids: GtidRanges,
}

/// What tells a log from another of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastLog {
    /// Its file name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Of how it begins, in hexadecimal digits.
    pub head: String,
}

/// One file of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Below the copy's directory.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Of its content, in hexadecimal digits.
    pub sha256: String,
}

/// What is known of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this form. A copy of a newer one is refused.
    pub format: u32,
    /// Flavour and release, such as `MySQL 9.7.4`.
    pub server: String,
    /// How it was made.
    pub method: Method,
    /// When that began, in seconds since 1970.
    pub taken: u64,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// Of all files together.
    pub bytes: u64,
    /// Where in the binary log, if there is one.
    pub position: Option<Position>,
    /// Options that hold for ever from initialisation on.
    pub frozen: BTreeMap<String, String>,
    /// Rows by table, where they were counted in what was copied.
    pub rows: Option<BTreeMap<String, u64>>,
    /// Of a copy of binary logs: which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
    /// What went wrong although there is a copy; the platform makes it known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Every other file of the copy.
    pub files: Vec<FileEntry>,
}

impl Manifest {
    /// One without files yet.
    #[must_use]
    pub fn new(server: String, method: Method, taken: u64) -> Self {
        Self {
            format: FORMAT,
            server,
            method,
            taken,
            milliseconds: 0,
            bytes: 0,
            position: None,
            frozen: BTreeMap::new(),
            rows: None,
            logs: None,
            problem: None,
            files: Vec::new(),
        }
    }

    /// When the copy was done at the latest, in microseconds since 1970.
    pub(crate) fn end(&self) -> u64 {
        // `taken` is rounded down.
        let end = (self.taken + 1).saturating_mul(1_000_000);
        end.saturating_add(self.milliseconds.saturating_mul(1000))
    }

    /// The row that its logs are of.
    pub(crate) fn lineage(&self) -> Option<&String> {
        self.logs.as_ref().map(|logs| &logs.lineage)
    }

    /// Whether there may be a copy in `directory`.
    #[must_use]
    pub fn is_in(directory: &Path) -> bool {
        directory.join(NAME).exists()
    }

    /// Reads the one in `directory`.
    pub fn read(directory: &Path) -> Result<Self, ManifestError> {
        let path = directory.join(NAME);
        let text = fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ManifestError::Absent {
                directory: directory.to_owned(),
            },
            _ => ManifestError::Read {
                path: path.clone(),
                source,
            },
        })?;
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|source| ManifestError::Damaged {
                path: path.clone(),
                source,
            })?;
        if manifest.format > FORMAT {
            return Err(ManifestError::Newer {
                path,
                found: manifest.format,
            });
        }
        Ok(manifest)
    }

    /// Lists the files in `directory`, syncs all of it and writes the manifest.
    pub fn complete(&mut self, directory: &Path) -> Result<(), ManifestError> {
        self.files = list(directory)?;
        self.bytes = self.files.iter().map(|file| file.bytes).sum();
        File::open(directory)
            .and_then(|open| Ok(rustix::fs::syncfs(open)?))
            .map_err(|source| ManifestError::Read {
                path: directory.to_owned(),
                source,
            })?;
        let path = directory.join(NAME);
        let text = serde_json::to_vec_pretty(self).map_err(|source| ManifestError::Damaged {
            path: path.clone(),
            source,
        })?;
        Ok(write_private(&path, &text)?)
    }

    /// Whether the files in `directory` are the ones that were copied, byte for byte, and no others.
    pub fn verify(&self, directory: &Path) -> Result<(), ManifestError> {
        let found: BTreeMap<String, FileEntry> = list(directory)?
            .into_iter()
            .map(|file| (file.path.clone(), file))
            .collect();
        for wanted in &self.files {
            let path = directory.join(&wanted.path);
            let Some(file) = found.get(&wanted.path) else {
                return Err(ManifestError::Missing { path });
            };
            if file.bytes != wanted.bytes {
                return Err(ManifestError::Length {
                    path,
                    found: file.bytes,
                    wanted: wanted.bytes,
                });
            }
            if file.sha256 != wanted.sha256 {
                return Err(ManifestError::Content { path });
            }
        }
        let wanted: BTreeSet<&str> = self.files.iter().map(|file| &*file.path).collect();
        if let Some(other) = found.keys().find(|path| !wanted.contains(&***path)) {
            return Err(ManifestError::Foreign {
                path: directory.join(other),
            });
        }
        Ok(())
    }
}

/// Every regular file below `directory` that was copied, sorted. What is none has no place there.
fn list(directory: &Path) -> Result<Vec<FileEntry>, ManifestError> {
    let mut paths = Vec::new();
    walk(directory, Path::new(""), &mut paths)?;
    paths.sort();
    paths
        .into_iter()
        .filter(|path| path != Path::new(NAME) && path != Path::new(CHECKED))
        .map(|path| entry(directory, &path))
        .collect()
}

fn walk(top: &Path, below: &Path, paths: &mut Vec<PathBuf>) -> Result<(), ManifestError> {
    let here = top.join(below);
    let read = |source| ManifestError::Read {
        path: here.clone(),
        source,
    };
    for found in fs::read_dir(&here).map_err(read)? {
        let found = found.map_err(read)?;
        let kind = found.file_type().map_err(read)?;
        let path = below.join(found.file_name());
        if kind.is_dir() {
            walk(top, &path, paths)?;
        } else if kind.is_file() {
            paths.push(path);
        } else {
            return Err(ManifestError::Foreign {
                path: top.join(path),
            });
        }
    }
    Ok(())
}

fn entry(directory: &Path, below: &Path) -> Result<FileEntry, ManifestError> {
    let path = directory.join(below);
    let plain = below
        .components()
        .all(|c| matches!(c, Component::Normal(_)));
    let Some(name) = below.to_str().filter(|_| plain) else {
        return Err(ManifestError::Foreign { path });
    };
    let (bytes, sha256) = digest(&path).map_err(|source| ManifestError::Read { path, source })?;
    Ok(FileEntry {
        path: name.to_owned(),
        bytes,
        sha256,
    })
}

fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hash.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((bytes, hook::hexadecimal(&hash.finalize())))
}

/// A copy is not what it should be.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// None, or one that was not finished.
    #[error("there is no complete copy in {directory}", directory = directory.display())]
    Absent {
        /// Where it should be.
        directory: PathBuf,
    },
    /// Part of it cannot be read, or not made durable.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The part.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The manifest is none.
    #[error("{path} is damaged", path = path.display())]
    Damaged {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A later release of ours made it.
    #[error("{path} has format {found}; this backup knows format {FORMAT}", path = path.display())]
    Newer {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A file is gone.
    #[error("{path} is missing from the copy", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file was cut or has grown.
    #[error("{path} has {found} bytes; when it was copied it had {wanted}", path = path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length now.
        found: u64,
        /// Its length then.
        wanted: u64,
    },
    /// A file has another content.
    #[error("{path} is not what was copied: its SHA-256 is another", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
    },
    /// Something that was not copied, or cannot have been.
    #[error("{path} does not belong to the copy", path = path.display())]
    Foreign {
        /// What it is.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

#[cfg(test)]
mod tests;
