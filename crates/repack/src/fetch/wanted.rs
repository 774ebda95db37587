//! What the command line asks for: a vendor's release, or a URL.

use std::str::FromStr;

use thiserror::Error;
use ureq::http::Uri;

use super::vendor::{Candidate, Release, Vendor};

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Url(Candidate),
    Release(Release),
}

/// Neither a release nor a URL.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum WantedError {
    #[error(
        "write a full version (8.4.6, mariadb-11.4.5, percona-8.0.36-28) or a URL (https://...)"
    )]
    Neither,
    #[error("{version} is none of MySQL's versions; MariaDB's is called mariadb-{version}")]
    MariaDb { version: String },
    #[error("Percona's versions have a fourth number, as in percona-8.0.36-28")]
    NoBuildNumber,
    #[error("the URL has no host")]
    NoHost,
    #[error("the URL's path does not end in a tarball's name")]
    NoFileName,
}

impl FromStr for Wanted {
    type Err = WantedError;

    fn from_str(text: &str) -> Result<Self, WantedError> {
        if text.starts_with("https://") || text.starts_with("http://") {
            return url(text).map(Self::Url);
        }
        let lower = text.to_ascii_lowercase();
        let prefixes = [
            ("mysql-", Vendor::MySql),
            ("mariadb-", Vendor::MariaDb),
            ("percona-server-", Vendor::Percona),
            ("percona-", Vendor::Percona),
        ];
        let named = prefixes
            .into_iter()
            .find_map(|(prefix, vendor)| Some((lower.strip_prefix(prefix)?, vendor)));
        let (version, vendor) = named.unwrap_or((&lower, Vendor::MySql));
        let numbers = version
            .split(['.', '-'])
            .map(str::parse)
            .collect::<Result<Vec<u32>, _>>()
            .map_err(|_| WantedError::Neither)?;
        let written = match (vendor, numbers.as_slice()) {
            (Vendor::Percona, [a, b, c, d]) => format!("{a}.{b}.{c}-{d}"),
            (Vendor::Percona, [_, _, _]) => return Err(WantedError::NoBuildNumber),
            (_, [a, b, c]) => format!("{a}.{b}.{c}"),
            _ => return Err(WantedError::Neither),
        };
        if written != version {
            return Err(WantedError::Neither);
        }
        // MySQL went from 9 to 26, the year.
        if named.is_none() && (10..26).contains(&numbers[0]) {
            return Err(WantedError::MariaDb { version: written });
        }
        let series = (numbers[0], numbers[1]);
        Ok(Self::Release(Release {
            vendor,
            version: written,
            series,
        }))
    }
}

fn url(text: &str) -> Result<Candidate, WantedError> {
    let uri: Uri = text.parse().map_err(|_| WantedError::NoHost)?;
    if uri.host().unwrap_or_default().is_empty() {
        return Err(WantedError::NoHost);
    }
    let name = uri.path().rsplit('/').next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+~".contains(&byte);
    let kinds = [".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst"];
    let tarball = kinds.iter().any(|kind| name.ends_with(kind));
    if !tarball || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(WantedError::NoFileName);
    }
    Ok(Candidate {
        url: text.to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_that_is_neither_is_refused() {
        let rows = [
            ("", "nothing"),
            ("8.4", "a series"),
            ("8.4.6.1", "too many numbers"),
            ("8.4.06", "a number written otherwise"),
            ("8.4.6-28", "Percona's, without its name"),
            ("mariadb-11", "a series"),
            ("postgresql-17.0.1", "another vendor"),
            ("8.4.6/../x", "a path"),
            ("ftp://a.example/b.tar.gz", "another protocol"),
        ];
        for (text, reason) in rows {
            assert_eq!(
                text.parse::<Wanted>(),
                Err(WantedError::Neither),
                "{reason}"
            );
        }
        assert!("26.7.0".parse::<Wanted>().is_ok(), "MySQL's of 2026");
        assert!("mysql-11.4.5".parse::<Wanted>().is_ok(), "whoever insists");
    }

    #[test]
    fn url_is_shown_without_what_may_be_secret() {
        let url = "https://me:pw@a.example:8443/x/my-1.tar.gz?sig=s#f";
        let Ok(Wanted::Url(candidate)) = url.parse() else {
            panic!("{url} is no URL");
        };
        assert_eq!(candidate.url, url);
        assert_eq!(candidate.name, "my-1.tar.gz");
        assert_eq!(candidate.shown(), "https://a.example:8443/x/my-1.tar.gz");
        let names = ["", ".tar.gz", "a%2Fb.tar.gz", "a.html", "a.tar.gz/"];
        for name in names {
            let url = format!("https://a.example/{name}");
            assert_eq!(
                url.parse::<Wanted>(),
                Err(WantedError::NoFileName),
                "{name}"
            );
        }
    }
}
