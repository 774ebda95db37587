//! The newest release of a series: what we know of, and whatever came after it.

use std::fmt;

use super::download::Downloader;
use super::error::FetchError;
use super::vendor::{Candidate, Release, Vendor};

/// How many numbers in a row may be missing: vendors leave out some.
const GAP: u32 = 2;

/// The last release of each series that we know of, with Percona's own number. Newer ones are asked for.
const KNOWN: &[(Vendor, (u32, u32), u32, &str)] = &[
    (Vendor::MySql, (5, 5), 62, ""),
    (Vendor::MySql, (5, 6), 51, ""),
    (Vendor::MySql, (5, 7), 44, ""),
    (Vendor::MySql, (8, 0), 44, ""),
    (Vendor::MySql, (8, 1), 0, ""),
    (Vendor::MySql, (8, 2), 0, ""),
    (Vendor::MySql, (8, 3), 0, ""),
    (Vendor::MySql, (8, 4), 7, ""),
    (Vendor::MySql, (9, 0), 1, ""),
    (Vendor::MySql, (9, 7), 1, ""),
    (Vendor::Cluster, (7, 5), 36, ""),
    (Vendor::Cluster, (7, 6), 34, ""),
    (Vendor::Cluster, (8, 0), 44, ""),
    (Vendor::Cluster, (8, 4), 7, ""),
    (Vendor::Percona, (5, 5), 62, "38.14"),
    (Vendor::Percona, (5, 6), 51, "91.0"),
    (Vendor::Percona, (5, 7), 44, "48"),
    (Vendor::Percona, (8, 0), 43, "34"),
    (Vendor::Percona, (8, 4), 6, "6"),
    (Vendor::Percona, (9, 7), 1, "1"),
    (Vendor::MariaDb, (10, 2), 44, ""),
    (Vendor::MariaDb, (10, 3), 39, ""),
    (Vendor::MariaDb, (10, 4), 34, ""),
    (Vendor::MariaDb, (10, 5), 29, ""),
    (Vendor::MariaDb, (10, 6), 22, ""),
    (Vendor::MariaDb, (10, 11), 11, ""),
    (Vendor::MariaDb, (11, 4), 9, ""),
    (Vendor::MariaDb, (11, 8), 6, ""),
    (Vendor::MariaDb, (12, 1), 2, ""),
    (Vendor::MariaDb, (12, 3), 1, ""),
];

/// All releases of one vendor with the same first two numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Series {
    pub(crate) vendor: Vendor,
    pub(crate) numbers: (u32, u32),
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.numbers;
        write!(f, "{} {first}.{second}", self.vendor)
    }
}

impl Series {
    /// The newest release that is anywhere. Asks upwards from the last one that we know of; where that
    /// one is not to be had, as at a mirror with a choice of releases, downwards.
    pub(crate) fn newest(
        &self,
        downloader: &mut Downloader<'_>,
        candidates: impl Fn(&Release) -> Result<Vec<Candidate>, FetchError>,
    ) -> Result<Release, FetchError> {
        let last = self.last_known();
        let mut newest = None;
        let mut is_there = |patch: u32| -> Result<Option<Release>, FetchError> {
            let Some(release) = self.release(patch) else {
                return Ok(None);
            };
            for candidate in candidates(&release)? {
                if downloader.is_there(&candidate)? {
                    return Ok(Some(release));
                }
            }
            Ok(None)
        };
        let (mut patch, mut missing) = (last, 0);
        while missing <= GAP {
            match is_there(patch)? {
                Some(release) => (newest, missing) = (Some(release), 0),
                None => missing += 1,
            }
            patch += 1;
        }
        for patch in (0..last).rev() {
            if newest.is_some() {
                break;
            }
            newest = is_there(patch)?;
        }
        newest.ok_or_else(|| FetchError::NoRelease {
            series: self.to_string(),
        })
    }

    fn known(&self) -> Option<&'static (Vendor, (u32, u32), u32, &'static str)> {
        KNOWN
            .iter()
            .find(|known| known.0 == self.vendor && known.1 == self.numbers)
    }

    fn last_known(&self) -> u32 {
        self.known().map_or(0, |known| known.2)
    }

    /// The release with that third number. Percona's fourth has gone up with it, one by one; what is
    /// older than the last known one cannot be told.
    fn release(&self, patch: u32) -> Option<Release> {
        let (first, second) = self.numbers;
        let build = match (self.vendor, self.known()) {
            (Vendor::Percona, None) => format!("-{}", patch + 1),
            (Vendor::Percona, Some((_, _, last, build))) if patch == *last => format!("-{build}"),
            (Vendor::Percona, Some((_, _, last, build))) => {
                let build: u32 = build.parse().ok()?;
                format!(
                    "-{}",
                    (build + patch).checked_sub(*last).filter(|it| *it > 0)?
                )
            }
            _ => String::new(),
        };
        Some(Release {
            vendor: self.vendor,
            version: format!("{first}.{second}.{patch}{build}"),
            series: self.numbers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_after_the_last_known_one_has_the_next_numbers() {
        let of = |vendor, numbers, patch| {
            let release = Series { vendor, numbers }.release(patch);
            release.map(|it| it.version)
        };
        let rows = [
            (of(Vendor::MySql, (8, 4), 9), Some("8.4.9")),
            (of(Vendor::Percona, (8, 0), 43), Some("8.0.43-34")),
            (of(Vendor::Percona, (8, 0), 45), Some("8.0.45-36")),
            (of(Vendor::Percona, (5, 6), 51), Some("5.6.51-91.0")),
            (of(Vendor::Percona, (5, 6), 52), None),
            (of(Vendor::MariaDb, (13, 0), 0), Some("13.0.0")),
        ];
        for (found, expected) in rows {
            assert_eq!(found.as_deref(), expected);
        }
    }
}
