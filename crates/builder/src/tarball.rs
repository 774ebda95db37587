//! Which tarball to install, and its identity: the digest of its content, never just its name.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use judge::NoTarball;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// What a vendor's server tarball may be called.
const ENDINGS: [&str; 7] = [
    ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar",
];

/// What people put there instead.
const OTHERS: [&str; 15] = [
    ".zip", ".bz2", ".tbz", ".tbz2", ".7z", ".rar", ".lz4", ".lz", ".rpm", ".deb", ".dmg", ".pkg",
    ".msi", ".exe", ".part",
];

/// As much of a file tells what it is.
const START: u64 = 512;

/// How much of the digest is in a release's name: 48 bits, for a handful of releases.
const DIGEST_BYTES: usize = 6;

/// The tarball to install.
#[derive(Debug)]
pub(crate) struct Tarball {
    /// Where it is.
    pub path: PathBuf,
    /// Its name without the ending.
    stem: String,
}

impl Tarball {
    /// The only tarball in `approot`, or the one called `wanted`.
    pub(crate) fn find(approot: &Path, wanted: Option<&OsStr>) -> Result<Self, TarballError> {
        let read = |source| TarballError::ReadApproot {
            path: approot.to_owned(),
            source,
        };
        let (mut names, mut others) = (Vec::new(), Vec::new());
        for entry in approot.read_dir().map_err(read)? {
            let name = entry
                .map_err(read)?
                .file_name()
                .to_string_lossy()
                .into_owned();
            if has_ending(&name, &ENDINGS) {
                names.push(name);
            } else if has_ending(&name, &OTHERS) {
                others.push(name);
            }
        }
        names.sort();
        others.sort();
        let path = approot.to_owned();
        if let Some(wanted) = wanted {
            let wanted = wanted.to_string_lossy().into_owned();
            if !names.contains(&wanted) {
                return Err(TarballError::Unknown {
                    path,
                    wanted,
                    names,
                });
            }
            names = vec![wanted];
        }
        match <[String; 1]>::try_from(names) {
            Ok([name]) => Ok(Self {
                path: path.join(&name),
                stem: stem(&name).to_owned(),
            }),
            Err(names) if names.is_empty() => Err(none_but(path, others)),
            Err(names) => Err(TarballError::Several { path, names }),
        }
    }

    /// The release's name, by reading the tarball.
    pub(crate) fn release_id(&self) -> Result<String, TarballError> {
        let read = |source| TarballError::Read {
            path: self.path.clone(),
            source,
        };
        let mut file = File::open(&self.path).map_err(read)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 17];
        loop {
            match file.read(&mut buffer).map_err(read)? {
                0 => break,
                length => hasher.update(&buffer[..length]),
            }
        }
        Ok(self.release_id_of(&hasher.finalize().into()))
    }

    /// The release's name: the tarball's, plus a short digest of its content, so that a new
    /// tarball under an old name is a new release.
    pub(crate) fn release_id_of(&self, sha256: &[u8; 32]) -> String {
        self.release_prefix() + &hook::hexadecimal(&sha256[..DIGEST_BYTES])
    }

    /// What the release's name begins with, whatever the content.
    pub(crate) fn release_prefix(&self) -> String {
        format!("{}-", self.stem)
    }
}

/// There is no tarball in the approot `path`, but `others`, of which the first is told for what it is.
fn none_but(path: PathBuf, others: Vec<String>) -> TarballError {
    if let Some(other) = others.first() {
        let other = path.join(other);
        let mut start = Vec::new();
        let read = File::open(&other).and_then(|file| file.take(START).read_to_end(&mut start));
        if read.is_ok()
            && let Err(problem) = NoTarball::judge(&other, &start)
        {
            return problem.into();
        }
    }
    let names = others;
    TarballError::None { path, names }
}

/// In whatever case: some systems shout.
fn has_ending(name: &str, endings: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

fn stem(name: &str) -> &str {
    let lower = name.to_ascii_lowercase();
    let ending = ENDINGS.iter().find(|ending| lower.ends_with(**ending));
    &name[..name.len() - ending.map_or(0, |ending| ending.len())]
}

fn only(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(", only {}", names.join(", ")),
    }
}

/// No tarball to install.
#[derive(Debug, Error)]
pub enum TarballError {
    /// The approot cannot be listed.
    #[error("cannot read the approot {path}", path = path.display())]
    ReadApproot {
        /// The approot.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing to install.
    #[error("no server tarball in {path}{only}", path = path.display(), only = only(names))]
    None {
        /// The approot.
        path: PathBuf,
        /// What looks like something that was meant to be one.
        names: Vec<String>,
    },
    /// Something else instead.
    #[error(transparent)]
    NoTarball(#[from] NoTarball),
    /// More than one, and nobody said which.
    #[error("{count} server tarballs in {path}: {list}", count = names.len(), path = path.display(), list = names.join(", "))]
    Several {
        /// The approot.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// `MYSQL_TARBALL` names none of them.
    #[error("MYSQL_TARBALL is '{wanted}', which is not a tarball in {path}", path = path.display())]
    Unknown {
        /// The approot.
        path: PathBuf,
        /// What was asked for.
        wanted: String,
        /// What is there.
        names: Vec<String>,
    },
    /// It cannot be read.
    #[error("cannot read the tarball {path}", path = path.display())]
    Read {
        /// The tarball.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approot(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(dir.path().join(name), "content").unwrap();
        }
        dir
    }

    #[test]
    fn find_only_tarball_is_taken_whatever_its_ending() {
        for name in [
            "m.tar.gz",
            "m.tgz",
            "m.tar.xz",
            "m.txz",
            "m.tar.zst",
            "m.tzst",
            "m.tar",
        ] {
            let dir = approot(&[name, "my.cnf", "notes.gz"]);
            let tarball = Tarball::find(dir.path(), None).unwrap();
            assert_eq!(tarball.release_id().unwrap(), "m-ed7002b439e9", "{name}");
        }
    }

    #[test]
    fn find_ambiguity_is_settled_by_the_wanted_name_only() {
        let dir = approot(&["b.tar.xz", "a.tar.gz"]);
        let path = dir.path().display();
        let text = |wanted: Option<&str>| {
            Tarball::find(dir.path(), wanted.map(OsStr::new))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            text(None),
            format!("2 server tarballs in {path}: a.tar.gz, b.tar.xz")
        );
        assert_eq!(
            text(Some("c.tar.gz")),
            format!("MYSQL_TARBALL is 'c.tar.gz', which is not a tarball in {path}")
        );
        let found = Tarball::find(dir.path(), Some("b.tar.xz".as_ref())).unwrap();
        assert_eq!(found.path, dir.path().join("b.tar.xz"));
    }

    #[test]
    fn find_something_else_tells_what_it_is() {
        let dir = approot(&["my.cnf"]);
        let path = dir.path().display();
        let text = || Tarball::find(dir.path(), None).unwrap_err().to_string();
        std::fs::write(dir.path().join("M.ZIP"), "PK\u{3}\u{4}").unwrap();
        let neither = "not a .tar, .tar.gz, .tar.xz or .tar.zst";
        assert_eq!(text(), format!("{path}/M.ZIP is a zip file, {neither}"));
        std::fs::write(dir.path().join("M.ZIP"), b"\x1f\x8b\x08").unwrap();
        std::fs::write(dir.path().join("m.tar.bz2"), "BZh9").unwrap();
        assert_eq!(
            text(),
            format!("no server tarball in {path}, only M.ZIP, m.tar.bz2")
        );
    }

    #[test]
    fn find_nothing_has_exact_texts() {
        let dir = approot(&[]);
        let path = dir.path().display();
        assert_eq!(
            Tarball::find(dir.path(), None).unwrap_err().to_string(),
            format!("no server tarball in {path}")
        );
        let absent = dir.path().join("absent");
        assert_eq!(
            Tarball::find(&absent, None).unwrap_err().to_string(),
            format!("cannot read the approot {path}/absent")
        );
        let gone = Tarball {
            path: absent,
            stem: "absent".to_owned(),
        };
        assert_eq!(
            gone.release_id().unwrap_err().to_string(),
            format!("cannot read the tarball {path}/absent")
        );
    }
}
