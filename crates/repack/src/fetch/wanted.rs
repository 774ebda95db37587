//! What the command line asks for: a vendor's release, or a URL.

use std::str::FromStr;

use thiserror::Error;

use super::series::Series;
use super::url::{Url, UrlError};
use super::vendor::{Release, Vendor};

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Url(Url),
    Release(Release),
    /// The newest release of it.
    Series(Series),
}

/// Neither a release nor a URL.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum WantedError {
    #[error(
        "write a version (8.4.6, mariadb-11.4.5, percona-8.0.36-28), a series (8.4) or a URL \
         (https://...)"
    )]
    Neither,
    #[error("{version} is none of MySQL's versions; MariaDB's is called mariadb-{version}")]
    MariaDb { version: String },
    #[error("Percona's versions have a fourth number, as in percona-8.0.36-28")]
    NoBuildNumber,
    #[error(transparent)]
    Url(#[from] UrlError),
}

/// What vendors call themselves in front of a version.
const PREFIXES: [(&str, Vendor); 7] = [
    ("mysql-cluster-gpl-", Vendor::Cluster),
    ("mysql-cluster-", Vendor::Cluster),
    ("ndb-", Vendor::Cluster),
    ("mysql-", Vendor::MySql),
    ("mariadb-", Vendor::MariaDb),
    ("percona-server-", Vendor::Percona),
    ("percona-", Vendor::Percona),
];

impl FromStr for Wanted {
    type Err = WantedError;

    fn from_str(text: &str) -> Result<Self, WantedError> {
        match text.parse::<Url>() {
            Ok(url) => return Ok(Self::Url(url)),
            // Another protocol, or no URL at all.
            Err(UrlError::Scheme) => {}
            Err(error) => return Err(error.into()),
        }
        let lower = text.to_ascii_lowercase();
        let named = PREFIXES
            .iter()
            .find_map(|(prefix, vendor)| Some((lower.strip_prefix(prefix)?, *vendor)));
        let (version, vendor) = named.unwrap_or((&lower, Vendor::MySql));
        let (digits, milestone) = without_milestone(version, vendor);
        let numbers = digits
            .split(['.', '-'])
            .map(number)
            .collect::<Option<Vec<u32>>>()
            .ok_or(WantedError::Neither)?;
        let [first, second, rest @ ..] = numbers.as_slice() else {
            return Err(WantedError::Neither);
        };
        // MySQL went from 9 to 26, the year.
        if named.is_none() && (10..26).contains(first) {
            let version = version.to_owned();
            return Err(WantedError::MariaDb { version });
        }
        let written = match (vendor, rest) {
            (_, []) if milestone.is_empty() => format!("{first}.{second}"),
            (Vendor::Percona, [c, d]) => format!("{first}.{second}.{c}-{d}"),
            // Up to 5.6 the fourth number was two.
            (Vendor::Percona, [c, d, e]) => format!("{first}.{second}.{c}-{d}.{e}"),
            (Vendor::Percona, [_]) => return Err(WantedError::NoBuildNumber),
            (_, [c]) => format!("{first}.{second}.{c}{milestone}"),
            _ => return Err(WantedError::Neither),
        };
        if written != version {
            return Err(WantedError::Neither);
        }
        let series = (*first, *second);
        Ok(if rest.is_empty() {
            let numbers = series;
            Self::Series(Series { vendor, numbers })
        } else {
            Self::Release(Release {
                vendor,
                version: written,
                series,
            })
        })
    }
}

/// As it is written: no sign, no zero in front.
fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Before a series is finished, MySQL's versions say so: `8.0.4-rc`, `5.7.4-m14`, `8.0.1-dmr`.
fn without_milestone(version: &str, vendor: Vendor) -> (&str, &str) {
    let is_milestone = |text: &str| {
        let digits = text.strip_prefix('m').unwrap_or_default();
        let numbered = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        numbered || ["rc", "dmr"].contains(&text)
    };
    let mysql = matches!(vendor, Vendor::MySql | Vendor::Cluster);
    match version.rfind('-') {
        Some(at) if mysql && is_milestone(&version[at + 1..]) => version.split_at(at),
        _ => (version, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_that_is_neither_is_refused() {
        let rows = [
            ("", "nothing"),
            ("8", "a number"),
            ("8.4.6.1", "too many numbers"),
            ("8.4.06", "a number written otherwise"),
            ("8.4.6-28", "Percona's, without its name"),
            ("mariadb-11", "a number"),
            ("8.4-rc", "a milestone of nothing"),
            ("mariadb-11.4.5-rc", "another vendor's milestone"),
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
    fn wanted_of_each_form_is_read() {
        let release = |vendor, version: &str, series| {
            Ok(Wanted::Release(Release {
                vendor,
                version: version.into(),
                series,
            }))
        };
        let series = |vendor, numbers| Ok(Wanted::Series(Series { vendor, numbers }));
        let rows = [
            ("8.4", series(Vendor::MySql, (8, 4))),
            ("mariadb-11.4", series(Vendor::MariaDb, (11, 4))),
            ("Percona-Server-8.0", series(Vendor::Percona, (8, 0))),
            ("8.0.4-rc", release(Vendor::MySql, "8.0.4-rc", (8, 0))),
            ("5.7.4-m14", release(Vendor::MySql, "5.7.4-m14", (5, 7))),
            (
                "percona-5.6.51-91.0",
                release(Vendor::Percona, "5.6.51-91.0", (5, 6)),
            ),
            (
                "mysql-cluster-8.0.35",
                release(Vendor::Cluster, "8.0.35", (8, 0)),
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse(), expected, "{text}");
        }
        let error = "11.4".parse::<Wanted>().unwrap_err();
        let version = "11.4".to_owned();
        assert_eq!(error, WantedError::MariaDb { version });
    }
}
