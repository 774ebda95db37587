//! apt-get, non-interactive: waits for whoever installs at the same time, fetches lists of packages
//! that are missing or old, and tells apart what it can fail of.

use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use hook::CommandError;

use super::PackageError;

/// How long another apt or dpkg may hold its lock. apt-get's own waiting is for one lock of three.
const PATIENCE: Duration = Duration::from_mins(2);
/// Of an apt-get that fails.
const LAST_WORDS: usize = 12;

/// What apt-get complains of, with its words in English; its status is 100 for everything.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// Another program holds a lock.
    Locked,
    /// dpkg was killed half-way, once.
    Interrupted,
    /// Nobody knows these packages, or not in that version.
    Unknown(Vec<String>),
    /// What the lists promise is not there any more, or nobody can be asked.
    Fetch,
    /// Other packages would have to go.
    Removes,
    Other,
}

/// Whoever waits: what to tell them, and whether they still want to.
pub(crate) struct Waiting<'a> {
    pub(crate) stop: &'a AtomicBool,
    pub(crate) tell: &'a mut dyn FnMut(&str),
}

impl Waiting<'_> {
    pub(super) fn tell(&mut self, text: &str) {
        (self.tell)(text);
    }
}

/// Why apt-get failed.
struct Failure {
    trouble: Trouble,
    error: CommandError,
}

/// Installs `packages`, with fresh lists if it takes them.
pub(super) fn install(packages: &[String], waiting: &mut Waiting<'_>) -> Result<(), PackageError> {
    let about_lists = |failure: &Failure| {
        let trouble = &failure.trouble;
        matches!(trouble, Trouble::Unknown(_) | Trouble::Fetch)
    };
    let Err(first) = run(&|| install_command(packages), waiting) else {
        return Ok(());
    };
    if !about_lists(&first) {
        return Err(first.of(packages));
    }
    waiting.tell("Updating the lists of packages");
    let updated = run(&update_command, waiting);
    let Err(second) = run(&|| install_command(packages), waiting) else {
        return Ok(());
    };
    match updated {
        Err(Failure { error, .. }) if about_lists(&second) => Err(PackageError::Update {
            packages: packages.to_vec(),
            source: error,
        }),
        _ => Err(second.of(packages)),
    }
}

/// Runs it again as long as another program holds one of apt's locks.
fn run(make: &dyn Fn() -> Command, waiting: &mut Waiting<'_>) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut told = false;
    loop {
        let Err(failure) = run_once(make()) else {
            return Ok(());
        };
        let over = begin.elapsed() > PATIENCE || waiting.stop.load(Ordering::Relaxed);
        if over || failure.trouble != Trouble::Locked {
            return Err(failure);
        }
        if !told {
            waiting.tell("Another program installs packages: waiting until it is done");
            told = true;
        }
        sleep(Duration::from_millis(500));
    }
}

fn run_once(mut command: Command) -> Result<(), Failure> {
    let start = |source| Failure {
        trouble: Trouble::Other,
        error: CommandError::Start {
            program: "apt-get".into(),
            source,
        },
    };
    // No pipes: if we are killed it goes on, and a broken pipe would end dpkg half-way.
    let mut said = tempfile::tempfile().map_err(start)?;
    let output = || said.try_clone().map_err(start);
    let status = command
        .stdin(Stdio::null())
        .stdout(output()?)
        .stderr(output()?)
        .status()
        .map_err(start)?;
    if status.success() {
        return Ok(());
    }
    let mut words = Vec::new();
    said.rewind()
        .and_then(|()| said.read_to_end(&mut words))
        .map_err(start)?;
    let words = String::from_utf8_lossy(&words);
    let lines: Vec<&str> = words.lines().collect();
    Err(Failure {
        trouble: Trouble::in_words(&words),
        error: CommandError::Fail {
            program: "apt-get".into(),
            status,
            last_words: lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n"),
        },
    })
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("NEEDRESTART_SUSPEND", "1")
        .env("LC_ALL", "C")
        // A terminal's INT is for us: dpkg would leave half a package.
        .process_group(0)
        .args(["--quiet", "--yes"]);
    command
}

fn update_command() -> Command {
    let mut command = apt();
    command.arg("update");
    command
}

fn install_command(packages: &[String]) -> Command {
    let mut command = apt();
    command
        .args(["install", "--no-install-recommends", "--no-remove"])
        // Of a configuration file that somebody changed, theirs stays: nobody can be asked.
        .args(["-o", "Dpkg::Options::=--force-confdef"])
        .args(["-o", "Dpkg::Options::=--force-confold", "--"])
        .args(packages);
    command
}

impl Failure {
    /// The same, where `packages` were to be installed.
    fn of(self, packages: &[String]) -> PackageError {
        let (packages, source) = (packages.to_vec(), self.error);
        match self.trouble {
            Trouble::Locked => PackageError::Locked { packages, source },
            Trouble::Interrupted => PackageError::Interrupted { packages, source },
            Trouble::Unknown(packages) => PackageError::Unknown { packages },
            Trouble::Removes => PackageError::Removes { packages, source },
            Trouble::Fetch | Trouble::Other => PackageError::Install { packages, source },
        }
    }
}

impl Trouble {
    fn in_words(words: &str) -> Self {
        let unknown: Vec<String> = words.lines().filter_map(unknown_package).collect();
        if !unknown.is_empty() {
            return Self::Unknown(unknown);
        }
        let known = [
            ("dpkg --configure -a", Self::Interrupted),
            ("Could not get lock ", Self::Locked),
            ("remove is disabled", Self::Removes),
            ("Failed to fetch ", Self::Fetch),
            ("Unable to fetch ", Self::Fetch),
        ];
        known
            .into_iter()
            .find(|(text, _)| words.contains(text))
            .map_or(Self::Other, |(_, trouble)| trouble)
    }
}

/// The package that a line of apt-get's says it does not know.
fn unknown_package(line: &str) -> Option<String> {
    let line = line.strip_prefix("E: ")?;
    if let Some(name) = line.strip_prefix("Unable to locate package ") {
        return Some(name.to_owned());
    }
    // Package 'x' has no installation candidate; Version '1' for 'x' was not found
    let (before, _) = line
        .rsplit_once("' has no installation candidate")
        .or_else(|| line.rsplit_once("' was not found"))?;
    before.rsplit_once('\'').map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_apart_by_apts_words() {
        let cases = [
            (
                "E: Unable to locate package a\nE: Unable to locate package b.c\n\
                 E: Couldn't find any package by glob 'b.c'",
                Trouble::Unknown(vec!["a".to_owned(), "b.c".to_owned()]),
            ),
            (
                "E: Package 'a' has no installation candidate\nE: Version '1' for 'b' was not found",
                Trouble::Unknown(vec!["a".to_owned(), "b".to_owned()]),
            ),
            (
                "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct \
                 the problem.",
                Trouble::Interrupted,
            ),
            (
                "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1 (x)",
                Trouble::Locked,
            ),
            (
                "E: Packages need to be removed but remove is disabled.",
                Trouble::Removes,
            ),
            (
                "E: Failed to fetch http://m/a.deb  404  Not Found",
                Trouble::Fetch,
            ),
            (
                "E: Sub-process /usr/bin/dpkg returned an error code (1)",
                Trouble::Other,
            ),
            ("", Trouble::Other),
        ];
        for (words, trouble) in cases {
            assert_eq!(Trouble::in_words(words), trouble, "{words}");
        }
    }

    #[test]
    fn install_command_asks_nothing_and_removes_nothing() {
        let command = install_command(&["hello".to_owned()]);
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_str().unwrap())
            .collect();
        assert_eq!(
            words.join(" "),
            "--quiet --yes install --no-install-recommends --no-remove -o \
             Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -- hello"
        );
    }
}
