//! `systempackages`: what the distribution has to provide. Says which packages are missing and, as
//! root, installs them without starting their daemons. Removes nothing from the machine.

mod apt;
mod policy;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::process::Command;

use hook::CommandError;
use thiserror::Error;

use crate::host::files::FileError;
use crate::host::lock::{Lock, LockError};
pub(crate) use apt::Waiting;
use policy::Policy;

/// Held while we install: a push in another state directory would take our [`Policy`] away.
const LOCK: &str = "/run/dotcloud-packages.lock";

/// Whether apt-get takes `word` for a package: Debian policy, 5.6.1; an architecture, a version or a
/// release may follow. Anything else could be an option or a file, given to root, and `name-` removes.
pub(crate) fn is_package_name(word: &str) -> bool {
    let consists_of = |text: &str, others: &str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
        text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(legal)
    };
    let (name, release) = word.split_once('/').unwrap_or((word, "any"));
    consists_of(name, "+-.:=~") && consists_of(release, "-") && !word.ends_with('-')
}

/// Which of `packages` are not installed; `None` without dpkg, where nobody can tell.
pub(crate) fn missing(packages: &BTreeSet<&str>) -> Result<Option<Vec<String>>, PackageError> {
    let missing = installed()?.map(|installed| {
        packages
            .iter()
            .filter(|word| !is_present(word, &installed))
            .map(|&word| word.to_owned())
            .collect()
    });
    Ok(missing)
}

/// Installs those of `packages` that are missing, and says which those were.
pub(crate) fn install(
    packages: &BTreeSet<&str>,
    waiting: &mut Waiting<'_>,
) -> Result<Vec<String>, PackageError> {
    let _lock = Lock::take(Path::new(LOCK), || {
        waiting.tell("Another dotcloud installs packages: waiting until it is done");
    })?;
    // It may have installed the same.
    let missing = missing(packages)?.unwrap_or_default();
    if !missing.is_empty() {
        let _policy = Policy::deny_daemons(Path::new(policy::PATH))?;
        apt::install(&missing, waiting)?;
    }
    Ok(missing)
}

/// Every installed package and every name it provides, as apt-get takes them; `None` without dpkg.
fn installed() -> Result<Option<BTreeSet<String>>, PackageError> {
    let mut command = Command::new("dpkg-query");
    command
        .env("LC_ALL", "C")
        .args(["--show", "--showformat"])
        .arg("${db:Status-Status}\t${Package}\t${Architecture}\t${Version}\t${Provides}\n");
    match crate::host::stage::run(&mut command, b"") {
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
        let fields: Vec<&str> = line.split('\t').collect();
        let ["installed", package, architecture, version, provided] = fields[..] else {
            continue;
        };
        let exact = format!("{package}:{architecture}");
        for name in [package, &exact] {
            names.insert(name.to_owned());
            names.insert(format!("{name}={version}"));
        }
        // `libaio1 (= 0.3.113-8), libaio`
        let provided = provided
            .split(',')
            .filter_map(|item| item.split_whitespace().next());
        names.extend(provided.map(str::to_owned));
    }
    names
}

/// A release says where a package is to come from, once.
fn is_present(word: &str, installed: &BTreeSet<String>) -> bool {
    let name = word.split('/').next().unwrap_or(word);
    installed.contains(name)
}

/// The packages cannot be provided.
#[derive(Debug, Error)]
pub(crate) enum PackageError {
    #[error("not installed on this machine: {list}", list = packages.join(", "))]
    Missing { packages: Vec<String> },
    #[error("cannot ask dpkg which packages are installed")]
    Query { source: CommandError },
    #[error("this machine's lists of packages do not have {list}", list = packages.join(", "))]
    Unknown { packages: Vec<String> },
    #[error("this machine's lists of packages cannot be updated, to install {list}", list = packages.join(", "))]
    Update {
        packages: Vec<String>,
        source: CommandError,
    },
    #[error("another program installs packages: {list} must wait", list = packages.join(", "))]
    Locked {
        packages: Vec<String>,
        source: CommandError,
    },
    #[error("dpkg was interrupted on this machine: cannot install {list}", list = packages.join(", "))]
    Interrupted {
        packages: Vec<String>,
        source: CommandError,
    },
    #[error("other packages of this machine are in the way of {list}", list = packages.join(", "))]
    Removes {
        packages: Vec<String>,
        source: CommandError,
    },
    #[error("cannot install {list}", list = packages.join(", "))]
    Install {
        packages: Vec<String>,
        source: CommandError,
    },
    #[error(transparent)]
    Policy(#[from] FileError),
    #[error(transparent)]
    Lock(#[from] LockError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_installed_knows_every_name_of_a_package() {
        let names = parse_installed(
            "installed\tlibaio1t64\tamd64\t0.3-8\tlibaio1 (= 0.3.113-8)\n\
             config-files\tgone\tall\t1\t\n\
             unpacked\thalf\tall\t1\t\n\
             installed\tbash\tall\t5\t\n",
        );
        let cases = [
            ("bash", true, "installed"),
            ("bash=5", true, "in this version"),
            ("bash=6", false, "in another version"),
            ("libaio1t64:amd64", true, "for this architecture"),
            ("libaio1t64:i386", false, "for another"),
            ("libaio1", true, "provided"),
            ("bash/stable", true, "installed, wherever it came from"),
            ("gone", false, "removed"),
            ("half", false, "not configured"),
        ];
        for (word, expected, reason) in cases {
            assert_eq!(is_present(word, &names), expected, "{word}: {reason}");
        }
    }

    #[test]
    fn package_name_that_is_more_than_a_name_is_refused() {
        let cases = [
            ("libaio1", true, "a name"),
            ("g++", true, "its own plus signs"),
            ("libfoo:i386=1.2~3-1", true, "an architecture and a version"),
            ("hello/bookworm", true, "a release"),
            ("-oDir=/x", false, "an option"),
            ("bash-", false, "removes bash"),
            ("./x.deb", false, "a file"),
            ("d/x.deb", false, "a file below"),
            ("hello/bookworm-backports", true, "a release of two words"),
            ("a b", false, "two words"),
            ("mail^", false, "a task"),
            ("", false, "nothing"),
        ];
        for (word, expected, reason) in cases {
            assert_eq!(is_package_name(word), expected, "{word}: {reason}");
        }
    }

    #[test]
    fn package_errors_have_exact_texts() {
        let source = || CommandError::Start {
            program: "x".into(),
            source: io::Error::other("x"),
        };
        let packages = || vec!["a".to_owned(), "b".to_owned()];
        let (missing, unknown) = (
            PackageError::Missing {
                packages: packages(),
            },
            PackageError::Unknown {
                packages: packages(),
            },
        );
        let with = |make: fn(Vec<String>, CommandError) -> PackageError| make(packages(), source());
        for (error, text) in [
            (missing, "not installed on this machine: a, b"),
            (
                PackageError::Query { source: source() },
                "cannot ask dpkg which packages are installed",
            ),
            (unknown, "this machine's lists of packages do not have a, b"),
            (
                with(|packages, source| PackageError::Update { packages, source }),
                "this machine's lists of packages cannot be updated, to install a, b",
            ),
            (
                with(|packages, source| PackageError::Locked { packages, source }),
                "another program installs packages: a, b must wait",
            ),
            (
                with(|packages, source| PackageError::Interrupted { packages, source }),
                "dpkg was interrupted on this machine: cannot install a, b",
            ),
            (
                with(|packages, source| PackageError::Removes { packages, source }),
                "other packages of this machine are in the way of a, b",
            ),
            (
                with(|packages, source| PackageError::Install { packages, source }),
                "cannot install a, b",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
