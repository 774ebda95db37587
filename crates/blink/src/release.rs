//! Which server: a tarball, a directory that has one, a version in the cache or to be fetched.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use builder::{ReleaseError, unpack_release};
use hook::{Report, hexadecimal};
use mycnf::{Flavour, ProbeError, Server, Version};
use repack::NotFetched;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::cache::{Cache, CacheError};

/// A server that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    /// What tells it from every other; seeds are named after it.
    pub(crate) id: String,
    /// Where it is, and what.
    pub(crate) server: Server,
}

impl Release {
    /// The release that `wanted` says, the one that was unpacked last if it says nothing.
    pub(crate) fn find(
        wanted: Option<&Path>,
        cache: &Cache,
        fetch: &dyn Fn(&str, &Path) -> Result<PathBuf, NotFetched>,
        report: &mut Report,
    ) -> Result<Self, FindError> {
        let Some(wanted) = wanted else {
            return newest(cache);
        };
        let named = wanted.as_os_str().as_bytes().contains(&b'/');
        if wanted.is_dir() {
            return in_directory(wanted, cache);
        }
        if named || wanted.is_file() {
            return of_tarball(wanted, cache, report);
        }
        let text = wanted.to_string_lossy();
        if let Some(release) = unpacked(cache, &text)? {
            return Ok(release);
        }
        let tarball = fetch(&text, &cache.directory("tarballs")?)?;
        of_tarball(&tarball, cache, report)
    }

    /// Those in the cache, the last one unpacked first.
    pub(crate) fn all(cache: &Cache) -> Vec<Self> {
        let entries = fs::read_dir(cache.layout().releases());
        let mut found: Vec<_> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let id = entry.file_name().to_string_lossy().into_owned();
                let server = Server::stamped(&entry.path()).ok()?;
                let time = entry.metadata().and_then(|found| found.created()).ok();
                (!id.starts_with('.')).then_some((time, Self { id, server }))
            })
            .collect();
        found.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.id.cmp(&other.id)));
        found.into_iter().map(|(_, release)| release).collect()
    }
}

fn newest(cache: &Cache) -> Result<Release, FindError> {
    let path = cache.root().to_owned();
    let first = Release::all(cache).into_iter().next();
    first.ok_or(FindError::Empty { path })
}

/// The newest version in the cache that `text` means, or what has exactly that name.
fn unpacked(cache: &Cache, text: &str) -> Result<Option<Release>, FindError> {
    let all = Release::all(cache);
    if let Some(named) = all.iter().find(|release| release.id == text) {
        return Ok(Some(named.clone()));
    }
    let wanted = WantedVersion::parse(text).ok_or_else(|| FindError::Unknown {
        wanted: text.to_owned(),
    })?;
    let matching = all.into_iter().filter(|found| wanted.is(&found.server));
    Ok(matching.max_by_key(|found| found.server.version))
}

/// A version or a series, perhaps a vendor's.
#[derive(Debug, PartialEq, Eq)]
struct WantedVersion {
    flavour: Option<Flavour>,
    numbers: Vec<u32>,
}

impl WantedVersion {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let vendors = [
            ("mariadb-", Flavour::MariaDb),
            ("percona-server-", Flavour::Percona),
            ("percona-", Flavour::Percona),
            ("mysql-", Flavour::MySql),
        ];
        let vendor = vendors
            .iter()
            .find_map(|(prefix, flavour)| Some((text.strip_prefix(prefix)?, *flavour)));
        let (version, flavour) = match vendor {
            Some((rest, flavour)) => (rest, Some(flavour)),
            None => (&*text, None),
        };
        // Percona's fourth number is not the server's.
        let version = version.split('-').next().unwrap_or_default();
        let numbers: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
        let numbers = numbers.filter(|numbers| numbers.len() <= 3)?;
        Some(Self { flavour, numbers })
    }

    fn is(&self, server: &Server) -> bool {
        let Version {
            major,
            minor,
            patch,
        } = server.version;
        self.flavour.is_none_or(|flavour| flavour == server.flavour)
            && [major, minor, patch].starts_with(&self.numbers)
    }
}

/// The release of `tarball`, unpacked if it is not.
fn of_tarball(tarball: &Path, cache: &Cache, report: &mut Report) -> Result<Release, FindError> {
    let absolute = tarball.canonicalize().map_err(|source| FindError::Read {
        path: tarball.to_owned(),
        source,
    })?;
    let known = cache.directory("known")?.join(fingerprint(&absolute)?);
    let there = |id: &str| {
        let server = Server::stamped(&cache.layout().releases().join(id.trim())).ok()?;
        let id = id.trim().to_owned();
        Some(Release { id, server })
    };
    // To read hundreds of megabytes for their digest takes longer than a server's start.
    if let Some(release) = fs::read_to_string(&known).ok().as_deref().and_then(there) {
        return Ok(release);
    }
    let _maker = cache.make()?;
    let (id, server) = unpack_release(&absolute, &cache.layout(), report)?;
    fs::write(&known, &id).map_err(|source| CacheError::Write {
        path: known,
        source,
    })?;
    Ok(Release { id, server })
}

/// The server in `directory`: a release, or the home directory of a service.
fn in_directory(directory: &Path, cache: &Cache) -> Result<Release, FindError> {
    let read = |source| FindError::Read {
        path: directory.to_owned(),
        source,
    };
    let installed = directory.join("mysql/install");
    let basedir = if installed.is_dir() {
        installed.canonicalize()
    } else {
        directory.canonicalize()
    };
    let basedir = basedir.map_err(read)?;
    let server = match Server::stamped(&basedir) {
        Ok(server) => server,
        // Nobody unpacked it for us: the server says it itself.
        Err(ProbeError::ReadStamp { .. }) => Server::probe(&basedir)?,
        Err(error) => return Err(error.into()),
    };
    let name = basedir.file_name().unwrap_or_default().to_string_lossy();
    let releases = cache.layout().releases().canonicalize().ok();
    if basedir.parent() == releases.as_deref() {
        let id = name.into_owned();
        return Ok(Release { id, server });
    }
    let mark = fingerprint(&server.executable)?;
    Ok(Release {
        id: format!("{name}-{}", &mark[..12]),
        server,
    })
}

/// What changes when the file `path` is another, without reading it.
fn fingerprint(path: &Path) -> Result<String, FindError> {
    let found = fs::metadata(path).map_err(|source| FindError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut hasher = Sha256::new();
    hasher.update(path.as_os_str().as_bytes());
    for number in [
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime().cast_unsigned(),
        found.mtime_nsec().cast_unsigned(),
        found.ctime().cast_unsigned(),
        found.ctime_nsec().cast_unsigned(),
    ] {
        hasher.update(number.to_le_bytes());
    }
    Ok(hexadecimal(&hasher.finalize()))
}

/// There is no such server.
#[derive(Debug, Error)]
pub(crate) enum FindError {
    /// Nothing was asked for, and nothing is there.
    #[error("there is no release in the cache {path} yet", path = path.display())]
    Empty {
        /// The cache.
        path: PathBuf,
    },
    /// Neither a file nor a version.
    #[error("'{wanted}' is neither a tarball, a directory nor a version")]
    Unknown {
        /// What was asked for.
        wanted: String,
    },
    /// The tarball, the directory, the executable.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// By version.
    #[error(transparent)]
    Fetch(#[from] NotFetched),
    /// Unpacking it.
    #[error(transparent)]
    Unpack(#[from] ReleaseError),
    /// What the server is.
    #[error(transparent)]
    Probe(#[from] ProbeError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_version_means_the_releases_of_its_series() {
        let server = |flavour, version| Server {
            basedir: "/r".into(),
            executable: "/r/bin/mysqld".into(),
            flavour,
            version,
        };
        let mysql = server(Flavour::MySql, Version::new(8, 4, 6));
        let maria = server(Flavour::MariaDb, Version::new(10, 11, 19));
        for (text, is_mysql, is_maria) in [
            ("8", true, false),
            ("8.4", true, false),
            ("mysql-8.4.6", true, false),
            ("8.4.5", false, false),
            ("mariadb-8.4", false, false),
            ("10.11", false, true),
            ("MariaDB-10.11.19", false, true),
            ("percona-8.4.6-6", false, false),
        ] {
            let wanted = WantedVersion::parse(text).unwrap();
            assert_eq!(
                (wanted.is(&mysql), wanted.is(&maria)),
                (is_mysql, is_maria),
                "{text}"
            );
        }
        for text in ["", "latest", "8.x", "8.4.6.1", "mysql"] {
            assert_eq!(WantedVersion::parse(text), None, "{text}");
        }
    }
}
