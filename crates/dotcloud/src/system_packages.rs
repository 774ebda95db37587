//! `systempackages`: what the distribution has to provide. Installs the missing ones as root,
//! without starting their daemons; as anyone else only says what is missing.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::CommandError;
use thiserror::Error;

/// Debian's switch that keeps maintainer scripts from starting daemons.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Its content while we install packages.
const DENIAL: &[u8] = b"#!/bin/sh\n# dotcloud: no daemons while it installs packages\nexit 101\n";

/// What came of asking for the packages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All were there.
    Present,
    /// These were installed.
    Installed(Vec<String>),
    /// This is not a Debian: nobody can tell.
    Unknown,
}

/// Sees to it that `packages` are installed.
pub(crate) fn provide(packages: &[String], root: bool) -> Result<Outcome, PackageError> {
    if let Some(bad) = packages.iter().find(|name| !is_package_name(name)) {
        return Err(PackageError::Name { name: bad.clone() });
    }
    if packages.is_empty() {
        return Ok(Outcome::Present);
    }
    let Some(present) = installed()? else {
        return Ok(Outcome::Unknown);
    };
    let missing: Vec<String> = packages
        .iter()
        .filter(|name| !present.contains(*name))
        .cloned()
        .collect();
    if missing.is_empty() {
        return Ok(Outcome::Present);
    }
    if !root {
        return Err(PackageError::Missing { packages: missing });
    }
    let _policy = Policy::deny_daemons()?;
    if hook::run(&mut install(&missing), b"").is_err() {
        // On a fresh machine the lists of packages are missing or old.
        hook::run(apt().arg("update"), b"").map_err(|source| PackageError::Install {
            packages: missing.clone(),
            source,
        })?;
        hook::run(&mut install(&missing), b"").map_err(|source| PackageError::Install {
            packages: missing.clone(),
            source,
        })?;
    }
    Ok(Outcome::Installed(missing))
}

/// Every installed package and every name it provides; `None` without dpkg.
fn installed() -> Result<Option<BTreeSet<String>>, PackageError> {
    let mut command = Command::new("dpkg-query");
    command
        .env("LC_ALL", "C")
        .args(["--show", "--showformat"])
        .arg("${db:Status-Status}\t${Package}\t${Provides}\n");
    match hook::run(&mut command, b"") {
        Ok(finished) => Ok(Some(parse_installed(&String::from_utf8_lossy(
            &finished.stdout,
        )))),
        Err(CommandError::Start { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(source) => Err(PackageError::Query { source }),
    }
}

fn parse_installed(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("installed\t") else {
            continue;
        };
        let (package, others) = rest.split_once('\t').unwrap_or((rest, ""));
        names.insert(package.to_owned());
        // `libaio1 (= 0.3.113-8), libaio`
        let provided = others
            .split(',')
            .filter_map(|item| item.split_whitespace().next());
        names.extend(provided.map(str::to_owned));
    }
    names
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C")
        .args(["--quiet", "--yes", "-o", "DPkg::Lock::Timeout=120"]);
    command
}

fn install(packages: &[String]) -> Command {
    let mut command = apt();
    command
        .args(["install", "--no-install-recommends", "--"])
        .args(packages);
    command
}

/// Debian policy, 5.6.1; an architecture or a version may follow.
fn is_package_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+-.:=~_".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed)
}

/// Keeps daemons from being started as long as it lives; a policy of the machine's own stays.
struct Policy {
    ours: Option<PathBuf>,
}

impl Policy {
    fn deny_daemons() -> Result<Self, PackageError> {
        let path = Path::new(POLICY);
        let write = || -> io::Result<()> {
            let mut file = File::create_new(path)?;
            file.write_all(DENIAL)?;
            file.set_permissions(Permissions::from_mode(0o755))
        };
        let ours = match write() {
            Ok(()) => true,
            // Left by one of us that was killed, or the machine's own.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::read(path).is_ok_and(|found| found == DENIAL)
            }
            Err(source) => return Err(PackageError::Policy { source }),
        };
        Ok(Self {
            ours: ours.then(|| path.to_owned()),
        })
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Some(path) = &self.ours {
            let _ = fs::remove_file(path);
        }
    }
}

/// The packages cannot be provided.
#[derive(Debug, Error)]
pub(crate) enum PackageError {
    #[error("'{name}' under systempackages is not a package's name")]
    Name { name: String },
    #[error("not installed on this machine: {list}", list = packages.join(", "))]
    Missing { packages: Vec<String> },
    #[error("cannot ask dpkg which packages are installed")]
    Query { source: CommandError },
    #[error("cannot write {POLICY}")]
    Policy { source: io::Error },
    #[error("cannot install {list}", list = packages.join(", "))]
    Install {
        packages: Vec<String>,
        source: CommandError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_installed_knows_provided_names() {
        let names = parse_installed(
            "installed\tlibaio1t64\tlibaio1 (= 0.3.113-8)\n\
             config-files\tgone\t\n\
             installed\tbash\t\n",
        );
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(names, ["bash", "libaio1", "libaio1t64"]);
    }

    #[test]
    fn provide_option_as_name_is_refused() {
        let error = provide(&["-o=x".to_owned()], true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "'-o=x' under systempackages is not a package's name"
        );
    }

    #[test]
    fn provide_nothing_asks_nobody() {
        assert_eq!(provide(&[], false).unwrap(), Outcome::Present);
    }

    #[test]
    fn package_errors_have_exact_texts() {
        let source = || CommandError::Start {
            program: "x".into(),
            source: io::Error::other("x"),
        };
        let packages = vec!["a".to_owned(), "b".to_owned()];
        for (error, text) in [
            (
                PackageError::Missing {
                    packages: packages.clone(),
                },
                "not installed on this machine: a, b",
            ),
            (
                PackageError::Query { source: source() },
                "cannot ask dpkg which packages are installed",
            ),
            (
                PackageError::Policy {
                    source: io::Error::other("x"),
                },
                "cannot write /usr/sbin/policy-rc.d",
            ),
            (
                PackageError::Install {
                    packages,
                    source: source(),
                },
                "cannot install a, b",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
