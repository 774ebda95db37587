//! The record that a server accepted an option file, so that it need not be asked again (30 ms) before
//! something changes. Whatever cannot be known for certain counts as changed.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::layout::Layout;
use crate::option_file::{OptionFile, SkipReason};
use crate::server::Server;
use crate::write::{WriteError, is_private_copy, write_private};

/// Changes when an earlier record must not count any more.
const FORMAT: &str = "1";

/// What a server is asked about, reduced to a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    path: PathBuf,
    digest: String,
}

impl Accepted {
    /// `file`, everything it includes as it is now, and `server`. `None` if that is not all known.
    #[must_use]
    pub fn of(file: &OptionFile, layout: &Layout, server: &Server) -> Option<Self> {
        let resolved = file.resolve(layout.home()).ok()?;
        if resolved
            .skipped
            .iter()
            .any(|s| s.reason == SkipReason::Tilde)
        {
            return None;
        }
        let mut parts = vec![FORMAT.as_bytes().to_vec(), file.render()];
        parts.extend(executable(&server.executable)?);
        for option in resolved.all() {
            parts.push(option.place.to_string().into_bytes());
            parts.push(option.group.clone());
            parts.push(option.name.clone());
            parts.push(option.value.clone().unwrap_or_default());
        }
        parts.extend(resolved.skipped.iter().map(|s| s.to_string().into_bytes()));
        Some(Self {
            path: layout.accepted_options(),
            digest: digest(&parts),
        })
    }

    /// The server has accepted this before.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        is_private_copy(&self.path, self.digest.as_bytes())
    }

    /// Remembers that it has. The caller holds the lock on the data directory.
    pub fn record(&self) -> Result<(), WriteError> {
        write_private(&self.path, self.digest.as_bytes())
    }
}

/// The release, whose name has a digest of its tarball in it, and whether somebody changed its server
/// since.
fn executable(path: &Path) -> Option<[Vec<u8>; 2]> {
    let path = path.canonicalize().ok()?;
    let metadata = fs::metadata(&path).ok()?;
    let (size, time) = (metadata.size(), (metadata.mtime(), metadata.mtime_nsec()));
    Some([
        path.as_os_str().as_bytes().to_vec(),
        format!("{size} {time:?}").into_bytes(),
    ])
}

fn digest(parts: &[Vec<u8>]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hook::hexadecimal(&hasher.finalize()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Flavour, Version};

    /// A home directory with a server and `my_cnf`.
    fn accepted(home: &Path, my_cnf: &str) -> Option<Accepted> {
        let server = Server {
            basedir: home.join("release"),
            executable: home.join("release/mysqld"),
            flavour: Flavour::MySql,
            version: Version::new(9, 7, 4),
        };
        let path = home.join(".my.cnf");
        let file = OptionFile::parse(&path, my_cnf.as_bytes()).unwrap();
        Accepted::of(&file, &Layout::new(home), &server)
    }

    #[test]
    fn record_counts_until_file_include_or_server_change() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        for name in ["release", "mysql", "conf.d"] {
            fs::create_dir(home.join(name)).unwrap();
        }
        fs::write(home.join("release/mysqld"), "a server").unwrap();
        let my_cnf = format!("[mysqld]\nport=1\n!includedir {}/conf.d\n", home.display());
        let recorded = |my_cnf: &str| accepted(home, my_cnf).unwrap().is_recorded();
        assert!(!recorded(&my_cnf), "never asked");
        accepted(home, &my_cnf).unwrap().record().unwrap();
        assert!(recorded(&my_cnf));
        assert!(!recorded(&my_cnf.replace("port=1", "port=2")));
        for (name, content) in [
            ("conf.d/a.cnf", "[mysqld]\nx\n"),
            ("conf.d/a.cnf", "[mysqld]\ny\n"),
            ("conf.d/b.cnf", "[mysqld]\nz=1\n"),
            ("release/mysqld", "another server"),
        ] {
            fs::write(home.join(name), content).unwrap();
            assert!(!recorded(&my_cnf), "{name} {content}");
            accepted(home, &my_cnf).unwrap().record().unwrap();
            assert!(recorded(&my_cnf), "{name} {content}");
        }
        fs::remove_file(home.join("conf.d/a.cnf")).unwrap();
        assert!(!recorded(&my_cnf));
    }

    #[test]
    fn of_what_is_not_known_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(accepted(dir.path(), "[mysqld]\n"), None, "no server");
        fs::create_dir(dir.path().join("release")).unwrap();
        fs::write(dir.path().join("release/mysqld"), "").unwrap();
        assert!(accepted(dir.path(), "[mysqld]\n").is_some());
        let others = "[mysqld]\n!include ~other/my.cnf\n";
        assert_eq!(accepted(dir.path(), others), None, "somebody else's home");
    }
}
