//! `repack fetch` for other programs of ours.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hook::{Advice, Explain, Kind};
use thiserror::Error;

use super::error::FetchError;
use super::url::mirror;
use super::wanted::WantedError;
use super::{Job, fetch};

/// Where tarballs come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A mirror to ask instead of the vendors' sites; empty is none.
    pub mirror: Option<String>,
    /// For servers without TLS.
    pub http_proxy: Option<OsString>,
}

/// Fetches what `wanted` says into `directory`: a version, a series' newest, a URL. What did not work at
/// once is told on stderr.
pub fn fetch_release(
    wanted: &str,
    directory: &Path,
    sources: Sources,
) -> Result<PathBuf, NotFetched> {
    let mirror = sources.mirror.filter(|text| !text.is_empty());
    let mirror = mirror.map(|text| mirror_of(&text)).transpose()?;
    let job = Job {
        wanted: wanted.parse().map_err(Problem::Wanted)?,
        name: None,
        directory: directory.to_owned(),
        expected: None,
        mirror,
        glibc: None,
        http_proxy: sources.http_proxy,
        delay: Duration::from_secs(1),
    };
    let fetched = fetch(&job, &mut io::stderr()).map_err(Problem::Fetch)?;
    Ok(fetched.file)
}

fn mirror_of(text: &str) -> Result<String, Problem> {
    let checked = mirror(text).map_err(|error| Problem::Mirror(error.to_string()))?;
    Ok(checked.trim_end_matches('/').to_owned())
}

/// The tarball is not here.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct NotFetched(#[from] Problem);

#[derive(Debug, Error)]
enum Problem {
    #[error(transparent)]
    Wanted(WantedError),
    #[error("REPACK_MIRROR is no mirror: {0}")]
    Mirror(String),
    #[error(transparent)]
    Fetch(FetchError),
}

impl Explain for NotFetched {
    fn advice(&self) -> Advice {
        match &self.0 {
            Problem::Wanted(_) => Advice::new(
                Kind::Configuration,
                "name a version that the vendor has released",
            ),
            Problem::Mirror(_) => Advice::new(Kind::Configuration, "correct it, or unset it"),
            Problem::Fetch(error) => error.advice(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetch_release_of_nonsense_is_told() {
        let fetch = |wanted: &str, mirror: &str| {
            let sources = Sources {
                mirror: Some(mirror.to_owned()),
                ..Sources::default()
            };
            let error = fetch_release(wanted, Path::new("/nowhere"), sources).unwrap_err();
            (error.to_string(), error.advice().next)
        };
        let (text, next) = fetch("11.4", "");
        assert_eq!(
            text,
            "11.4 is none of MySQL's versions; MariaDB's is called mariadb-11.4"
        );
        assert_eq!(next, "name a version that the vendor has released");
        let (text, next) = fetch("8.4", "ftp://a.example");
        assert!(text.starts_with("REPACK_MIRROR is no mirror: "), "{text}");
        assert_eq!(next, "correct it, or unset it");
    }
}
