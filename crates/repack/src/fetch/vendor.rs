//! Where vendors put a release, and under which names. Pure text: asks nobody, and knows of no release
//! whether it was made.

use std::fmt;

use super::glibc::Glibc;
use super::url::Url;

/// One place to look at, and what the file will be called here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) url: Url,
    pub(crate) name: String,
}

impl Candidate {
    /// The URL as it may be shown and stored.
    pub(crate) fn shown(&self) -> String {
        self.url.shown()
    }
}

/// One release of one vendor; its numbers are checked to be numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) vendor: Vendor,
    pub(crate) version: String,
    /// `8.4` of `8.4.6`: directories are named after it.
    pub(crate) series: (u32, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    MySql,
    /// MySQL NDB Cluster.
    Cluster,
    Percona,
    MariaDb,
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MySql => "MySQL",
            Self::Cluster => "MySQL NDB Cluster",
            Self::Percona => "Percona Server",
            Self::MariaDb => "MariaDB",
        })
    }
}

/// The machine that a build has to fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// As the vendors and Rust write it: `x86_64`, `aarch64`.
    pub(crate) processor: &'static str,
    pub(crate) glibc: Glibc,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with glibc {}", self.processor, self.glibc)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.vendor, self.version)
    }
}

const CDN: &str = "https://cdn.mysql.com";

/// MySQL's generic builds, newest first. Those of 2.17 and older need libraries (libncurses 5) that
/// newer systems lack, so the newest that fits is the best.
const MYSQL_GLIBC: [Glibc; 4] = [Glibc(2, 28), Glibc(2, 17), Glibc(2, 12), Glibc(2, 5)];
/// Percona's, from 8.0.20 on; one for each distribution.
const PERCONA_GLIBC: [Glibc; 7] = [
    Glibc(2, 35),
    Glibc(2, 34),
    Glibc(2, 31),
    Glibc(2, 28),
    Glibc(2, 27),
    Glibc(2, 17),
    Glibc(2, 12),
];
/// MariaDB's, current first: `systemd` since 10.1, `glibc_214` up to 10.5, plain before.
const MARIADB_BUILDS: [(&str, Glibc); 3] = [
    ("-systemd", Glibc(2, 14)),
    ("-glibc_214", Glibc(2, 14)),
    ("", Glibc(2, 5)),
];

impl Release {
    /// Every place the release may be at, best first: the newest build that fits the machine, at the
    /// download site, then in the archive. A `mirror` takes the sites' place: it is looked at in their
    /// layout, then as one directory.
    pub(crate) fn candidates(&self, machine: Machine, mirror: Option<&str>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (name, sites) in self.files(machine) {
            let mut add = |directory: String| {
                let (url, name) = (Url::known(format!("{directory}/{name}")), name.clone());
                candidates.push(Candidate { url, name });
            };
            for (origin, path) in sites {
                add(format!("{}/{path}", mirror.unwrap_or(origin)));
            }
            if let Some(mirror) = mirror {
                add(mirror.to_owned());
            }
        }
        candidates
    }

    /// Names, and the origins and directories that may have them.
    fn files(&self, machine: Machine) -> Vec<(String, Vec<(&'static str, String)>)> {
        let Machine { processor, glibc } = machine;
        let version = &self.version;
        let series = format!("{}.{}", self.series.0, self.series.1);
        match self.vendor {
            Vendor::MySql => {
                let sites = vec![
                    (CDN, format!("Downloads/MySQL-{series}")),
                    (CDN, format!("archives/mysql-{series}")),
                ];
                let named = |system, kind| format!("mysql-{version}-{system}-{processor}.{kind}");
                self.mysql_builds(machine)
                    .into_iter()
                    .map(|(system, kind)| (named(system, kind), sites.clone()))
                    .collect()
            }
            Vendor::Cluster => {
                // `gpl` went from the files' names with 8.0, and from the archive's never.
                let gpl = if self.series < (8, 0) { "-gpl" } else { "" };
                let sites = vec![
                    (CDN, format!("Downloads/MySQL-Cluster-{series}")),
                    (CDN, format!("archives/mysql-cluster-gpl-{series}")),
                    (CDN, format!("archives/mysql-cluster-{series}")),
                ];
                let named = |system, kind| {
                    format!("mysql-cluster{gpl}-{version}-{system}-{processor}.{kind}")
                };
                self.mysql_builds(machine)
                    .into_iter()
                    .map(|(system, kind)| (named(system, kind), sites.clone()))
                    .collect()
            }
            Vendor::Percona => {
                let directory = format!("Percona-Server-{version}/binary/tarball");
                let sites: Vec<_> = [&*series, "innovative-release", "LATEST"]
                    .map(|of| format!("downloads/Percona-Server-{of}/{directory}"))
                    .map(|path| ("https://downloads.percona.com", path))
                    .into();
                self.percona_builds(machine)
                    .into_iter()
                    .map(|name| (name, sites.clone()))
                    .collect()
            }
            Vendor::MariaDb => {
                let fits = MARIADB_BUILDS.iter().filter(|(_, needs)| *needs <= glibc);
                fits.map(|(build, _)| {
                    let system = format!("linux{build}-{processor}");
                    let path = format!("mariadb-{version}/bintar-{system}");
                    let sites = vec![
                        ("https://downloads.mariadb.com", format!("MariaDB/{path}")),
                        ("https://archive.mariadb.org", path),
                    ];
                    (format!("mariadb-{version}-{system}.tar.gz"), sites)
                })
                .collect()
            }
        }
    }

    /// Percona's file names. Up to 5.6 a release was called `rel`; before builds were told apart by
    /// glibc they were by the system's OpenSSL, of which the newest is the likeliest to be here.
    fn percona_builds(&self, machine: Machine) -> Vec<String> {
        let Machine { processor, glibc } = machine;
        let version = match self.version.split_once('-') {
            Some((server, build)) if self.series < (5, 7) => format!("{server}-rel{build}"),
            _ => self.version.clone(),
        };
        let fits = PERCONA_GLIBC.iter().filter(|build| **build <= glibc);
        let by_glibc = fits.map(|build| format!("glibc{build}"));
        let by_openssl = ["ssl102", "ssl101", "ssl100"].map(str::to_owned);
        let old = self.series < (8, 0) && processor == "x86_64";
        by_glibc
            .chain(by_openssl.into_iter().filter(|_| old))
            .map(|system| format!("Percona-Server-{version}-Linux.{processor}.{system}.tar.gz"))
            .collect()
    }

    /// The middle and the end of MySQL's file names. xz came in the middle of 8.0, and other
    /// processors than x86-64 with it.
    fn mysql_builds(&self, machine: Machine) -> Vec<(String, &'static str)> {
        let old = self.series < (8, 0);
        if old && machine.processor != "x86_64" {
            return Vec::new();
        }
        let kinds: &[&str] = match self.series {
            (8, 0) => &["tar.xz", "tar.gz"],
            _ if old => &["tar.gz"],
            _ => &["tar.xz"],
        };
        let published = if old {
            Glibc(2, 5)..=Glibc(2, 12)
        } else {
            Glibc(2, 12)..=Glibc(2, 28)
        };
        let fits = |build: &&Glibc| published.contains(*build) && **build <= machine.glibc;
        let systems = MYSQL_GLIBC
            .iter()
            .filter(fits)
            .map(|build| format!("linux-glibc{build}"));
        // 5.0 to 5.5 had a name of their own for a while.
        let oldest = (self.series <= (5, 5)).then(|| "linux2.6".to_owned());
        systems
            .chain(oldest)
            .flat_map(|system| kinds.iter().map(move |kind| (system.clone(), *kind)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::wanted::Wanted;

    fn names(wanted: &str, processor: &'static str, glibc: Glibc) -> Vec<String> {
        let Wanted::Release(release) = wanted.parse().unwrap() else {
            panic!("{wanted} is a URL");
        };
        let candidates = release.candidates(Machine { processor, glibc }, None);
        let mut names: Vec<String> = candidates.into_iter().map(|it| it.name).collect();
        names.dedup();
        names
    }

    #[test]
    fn build_that_fits_best_comes_first_and_none_that_does_not_fit() {
        let mysql = |version: &str, rest: &[&str]| -> Vec<String> {
            let named = rest
                .iter()
                .map(|rest| format!("mysql-{version}-linux{rest}"));
            named.collect()
        };
        let glibc = Glibc(2, 36);
        assert_eq!(
            names("8.4.6", "x86_64", glibc),
            mysql(
                "8.4.6",
                &[
                    "-glibc2.28-x86_64.tar.xz",
                    "-glibc2.17-x86_64.tar.xz",
                    "-glibc2.12-x86_64.tar.xz",
                ]
            )
        );
        assert_eq!(
            names("mysql-8.0.33", "aarch64", Glibc(2, 17)),
            mysql(
                "8.0.33",
                &[
                    "-glibc2.17-aarch64.tar.xz",
                    "-glibc2.17-aarch64.tar.gz",
                    "-glibc2.12-aarch64.tar.xz",
                    "-glibc2.12-aarch64.tar.gz",
                ]
            )
        );
        assert_eq!(
            names("5.7.44", "x86_64", glibc),
            mysql(
                "5.7.44",
                &["-glibc2.12-x86_64.tar.gz", "-glibc2.5-x86_64.tar.gz"]
            )
        );
        assert_eq!(
            names("5.5.40", "x86_64", Glibc(2, 5)),
            mysql("5.5.40", &["-glibc2.5-x86_64.tar.gz", "2.6-x86_64.tar.gz"])
        );
        assert_eq!(names("5.7.44", "aarch64", glibc), [""; 0]);
        assert_eq!(
            names("Percona-Server-8.0.36-28", "x86_64", Glibc(2, 28)),
            ["2.28", "2.27", "2.17", "2.12"]
                .map(|glibc| format!("Percona-Server-8.0.36-28-Linux.x86_64.glibc{glibc}.tar.gz"))
        );
        assert_eq!(
            names("mariadb-11.4.5", "x86_64", glibc),
            ["-systemd", "-glibc_214", ""]
                .map(|build| format!("mariadb-11.4.5-linux{build}-x86_64.tar.gz"))
        );
    }

    #[test]
    fn site_comes_before_the_archive_and_a_mirror_instead_of_both() {
        let urls = |wanted: &str, mirror| -> Vec<String> {
            let Wanted::Release(release) = wanted.parse().unwrap() else {
                panic!("{wanted} is a URL");
            };
            let machine = Machine {
                processor: "x86_64",
                glibc: Glibc(2, 36),
            };
            let candidates = release.candidates(machine, mirror);
            candidates.iter().map(Candidate::shown).take(3).collect()
        };
        let name = "mysql-9.5.0-linux-glibc2.28-x86_64.tar.xz";
        let cdn = "https://cdn.mysql.com";
        let expected = [
            format!("{cdn}/Downloads/MySQL-9.5/{name}"),
            format!("{cdn}/archives/mysql-9.5/{name}"),
        ];
        assert_eq!(urls("9.5.0", None)[..2], expected);
        let expected = [
            format!("http://m/x/Downloads/MySQL-9.5/{name}"),
            format!("http://m/x/archives/mysql-9.5/{name}"),
            format!("http://m/x/{name}"),
        ];
        assert_eq!(urls("9.5.0", Some("http://m/x")), expected);
        let name = "bintar-linux-systemd-x86_64/mariadb-11.4.5-linux-systemd-x86_64.tar.gz";
        let expected = [
            format!("https://downloads.mariadb.com/MariaDB/mariadb-11.4.5/{name}"),
            format!("https://archive.mariadb.org/mariadb-11.4.5/{name}"),
        ];
        assert_eq!(urls("mariadb-11.4.5", None)[..2], expected);
    }

    /// Names of real tarballs, as public catalogues list them.
    #[test]
    fn name_of_each_family_is_the_vendors() {
        let rows = [
            ("5.5.62", "mysql-5.5.62-linux-glibc2.12-x86_64.tar.gz"),
            ("5.6.44", "mysql-5.6.44-linux-glibc2.12-x86_64.tar.gz"),
            ("5.7.44", "mysql-5.7.44-linux-glibc2.12-x86_64.tar.gz"),
            ("8.0.4-rc", "mysql-8.0.4-rc-linux-glibc2.12-x86_64.tar.gz"),
            ("8.0.16", "mysql-8.0.16-linux-glibc2.12-x86_64.tar.xz"),
            ("8.0.33", "mysql-8.0.33-linux-glibc2.28-x86_64.tar.gz"),
            ("8.4.6", "mysql-8.4.6-linux-glibc2.28-x86_64.tar.xz"),
            ("9.5.0", "mysql-9.5.0-linux-glibc2.28-x86_64.tar.xz"),
            (
                "mysql-cluster-7.6.14",
                "mysql-cluster-gpl-7.6.14-linux-glibc2.12-x86_64.tar.gz",
            ),
            (
                "mysql-cluster-8.0.25",
                "mysql-cluster-8.0.25-linux-glibc2.12-x86_64.tar.gz",
            ),
            (
                "ndb-8.0.33",
                "mysql-cluster-8.0.33-linux-glibc2.12-x86_64.tar.xz",
            ),
            (
                "percona-5.6.44-86.0",
                "Percona-Server-5.6.44-rel86.0-Linux.x86_64.ssl101.tar.gz",
            ),
            (
                "percona-5.7.44-48",
                "Percona-Server-5.7.44-48-Linux.x86_64.glibc2.17.tar.gz",
            ),
            (
                "percona-8.0.36-28",
                "Percona-Server-8.0.36-28-Linux.x86_64.glibc2.35.tar.gz",
            ),
            (
                "percona-9.7.1-1",
                "Percona-Server-9.7.1-1-Linux.x86_64.glibc2.35.tar.gz",
            ),
            (
                "mariadb-10.6.9",
                "mariadb-10.6.9-linux-systemd-x86_64.tar.gz",
            ),
            (
                "mariadb-11.8.6",
                "mariadb-11.8.6-linux-systemd-x86_64.tar.gz",
            ),
        ];
        for (wanted, name) in rows {
            let names = names(wanted, "x86_64", Glibc(2, 36));
            assert!(names.iter().any(|it| it == name), "{wanted}: {names:?}");
        }
    }
}
