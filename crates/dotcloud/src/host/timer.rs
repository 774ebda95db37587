//! What has the machine call us later, or when it starts: a timer or service of systemd, the system's or
//! the user's own; where there is no systemd, a line of the user's crontab. Written anew each time, so that
//! twice is once.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::{CommandError, Environment, hexadecimal};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::files::{self, FileError};

/// When it is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// When the machine has started.
    Boot,
    /// At times, as cron and as systemd say it.
    Times { cron: String, systemd: Vec<String> },
}

/// A call of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timer {
    /// Of all timers of this state directory; no white space.
    pub(crate) name: String,
    /// For people.
    pub(crate) what: String,
    pub(crate) program: PathBuf,
    pub(crate) state: PathBuf,
    /// After the program's name; no white space in any.
    pub(crate) words: Vec<String>,
    pub(crate) when: When,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Systemd {
        /// Where units go.
        directory: PathBuf,
        /// The user's own.
        user: bool,
    },
    Crontab,
}

impl Caller {
    /// What this machine has for whoever has `environment`, if anything.
    pub(crate) fn find(environment: &Environment) -> Option<Self> {
        let root = rustix::process::geteuid().is_root();
        let path = |name| environment.get(name).map(PathBuf::from);
        if root && Path::new("/run/systemd/system").is_dir() {
            return Some(Self::Systemd {
                directory: "/etc/systemd/system".into(),
                user: false,
            });
        }
        let own = path("XDG_RUNTIME_DIR").map(|path| path.join("systemd"));
        let config = path("XDG_CONFIG_HOME").or_else(|| Some(path("HOME")?.join(".config")));
        if let (false, true, Some(config)) = (root, own.is_some_and(|path| path.is_dir()), config) {
            return Some(Self::Systemd {
                directory: config.join("systemd/user"),
                user: true,
            });
        }
        let path = environment.get("PATH").unwrap_or_default();
        std::env::split_paths(path)
            .any(|path| path.join("crontab").is_file())
            .then_some(Self::Crontab)
    }

    /// Has `timer` called from now on. What was written, and where.
    pub(crate) fn install(&self, timer: &Timer) -> Result<Vec<String>, TimerError> {
        match self {
            Self::Systemd { directory, user } => {
                fs::create_dir_all(directory).map_err(files::failed("create", directory))?;
                let mut written = Vec::new();
                for (name, text) in timer.units(*user) {
                    let path = directory.join(name);
                    files::replace(&path, text.as_bytes(), 0o644)?;
                    written.push(path.display().to_string());
                }
                self.systemctl(&["daemon-reload"])?;
                let unit = timer.unit();
                match timer.when {
                    // It is up already, or is not to be.
                    When::Boot => self.systemctl(&["enable", &unit])?,
                    When::Times { .. } => self.systemctl(&["enable", "--now", &unit])?,
                }
                Ok(written)
            }
            Self::Crontab => {
                let mut lines = others(&crontab(&["-l"], "")?, timer);
                lines.push(timer.line());
                crontab(&["-"], &(lines.join("\n") + "\n"))?;
                Ok(vec!["your crontab ('crontab -l')".to_owned()])
            }
        }
    }

    /// Has it called no more. Whether it was.
    pub(crate) fn remove(&self, timer: &Timer) -> Result<bool, TimerError> {
        match self {
            Self::Systemd { directory, user } => {
                let paths: Vec<PathBuf> = timer
                    .units(*user)
                    .into_iter()
                    .map(|(name, _)| directory.join(name))
                    .collect();
                if !paths.iter().any(|path| path.exists()) {
                    return Ok(false);
                }
                self.systemctl(&["disable", "--now", &timer.unit()])?;
                for path in paths {
                    files::remove(&path)?;
                }
                self.systemctl(&["daemon-reload"])?;
                Ok(true)
            }
            Self::Crontab => {
                let before = crontab(&["-l"], "")?;
                let lines = others(&before, timer);
                if lines.len() == before.lines().count() {
                    return Ok(false);
                }
                let mut text = lines.join("\n");
                if !text.is_empty() {
                    text.push('\n');
                }
                crontab(&["-"], &text)?;
                Ok(true)
            }
        }
    }

    fn systemctl(&self, words: &[&str]) -> Result<(), TimerError> {
        let mut command = Command::new("systemctl");
        if matches!(self, Self::Systemd { user: true, .. }) {
            command.arg("--user");
        }
        hook::run(command.args(words), b"")
            .map(drop)
            .map_err(|source| TimerError::Program {
                program: "systemctl",
                source: Box::new(source),
            })
    }
}

/// The crontab before, or a new one.
fn crontab(words: &[&str], text: &str) -> Result<String, TimerError> {
    match hook::run(Command::new("crontab").args(words), text.as_bytes()) {
        Ok(finished) => Ok(String::from_utf8_lossy(&finished.stdout).into_owned()),
        // Of who has none yet that is how it is told.
        Err(CommandError::Fail { last_words, .. })
            if words == ["-l"] && last_words.contains("no crontab for") =>
        {
            Ok(String::new())
        }
        Err(source) => Err(TimerError::Program {
            program: "crontab",
            source: Box::new(source),
        }),
    }
}

/// The lines that are not `timer`'s.
fn others(text: &str, timer: &Timer) -> Vec<String> {
    let mark = timer.mark();
    text.lines()
        .filter(|line| !line.ends_with(&mark))
        .map(str::to_owned)
        .collect()
}

impl Timer {
    /// Tells those of one state directory from those of another.
    fn id(&self) -> String {
        let digest = Sha256::digest(self.state.as_os_str().as_encoded_bytes());
        format!("dotcloud-{}-{}", &hexadecimal(&digest)[..8], self.name)
    }

    fn mark(&self) -> String {
        format!("# {}", self.id())
    }

    fn unit(&self) -> String {
        let kind = match self.when {
            When::Boot => "service",
            When::Times { .. } => "timer",
        };
        format!("{}.{kind}", self.id())
    }

    /// Names and contents of the units of systemd.
    fn units(&self, user: bool) -> Vec<(String, String)> {
        let mut service = format!(
            "# Written by dotcloud, which writes it anew.\n[Unit]\nDescription=dotcloud: {}\n\n\
             [Service]\nType=oneshot\nEnvironment={}\nExecStart={}",
            self.what,
            quoted(&format!("DOTCLOUD_HOME={}", self.state.display()), false),
            quoted(&self.program.display().to_string(), true),
        );
        for word in &self.words {
            let _ = write!(service, " {word}");
        }
        service.push('\n');
        let When::Times { systemd, .. } = &self.when else {
            let target = if user { "default" } else { "multi-user" };
            let _ = write!(
                service,
                "RemainAfterExit=yes\n\n[Install]\nWantedBy={target}.target\n"
            );
            return vec![(format!("{}.service", self.id()), service)];
        };
        let mut timer = format!(
            "# Written by dotcloud, which writes it anew.\n[Unit]\nDescription=dotcloud: {}\n\n[Timer]\n",
            self.what
        );
        for times in systemd {
            let _ = writeln!(timer, "OnCalendar={times}");
        }
        timer.push_str("AccuracySec=1s\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n");
        vec![
            (format!("{}.service", self.id()), service),
            (format!("{}.timer", self.id()), timer),
        ]
    }

    /// The line of a crontab. One at a time is at work: the next one waits for the locks.
    fn line(&self) -> String {
        let when = match &self.when {
            When::Boot => "@reboot",
            When::Times { cron, .. } => cron,
        };
        // cron takes a percent sign for the end of the line.
        let word = |text: &str| format!("'{}'", text.replace('\'', "'\\''")).replace('%', "\\%");
        format!(
            "{when} DOTCLOUD_HOME={} {} {} >/dev/null 2>&1 {}",
            word(&self.state.display().to_string()),
            word(&self.program.display().to_string()),
            self.words.join(" "),
            self.mark()
        )
    }
}

/// For a unit of systemd, which expands `%` everywhere, and `$` in commands.
fn quoted(text: &str, command: bool) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%");
    let text = if command {
        text.replace('$', "$$")
    } else {
        text
    };
    format!("\"{text}\"")
}

/// Nobody will call.
#[derive(Debug, Error)]
pub(crate) enum TimerError {
    #[error("there is neither a systemd that runs nor a crontab")]
    Nobody,
    #[error("{program} failed")]
    Program {
        program: &'static str,
        source: Box<CommandError>,
    },
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(when: When) -> Timer {
        Timer {
            name: "backup-shop".to_owned(),
            what: "backups of shop".to_owned(),
            program: "/opt/a b/50%$x/dotcloud".into(),
            state: "/srv/it's \"q\"".into(),
            words: vec!["backup".to_owned(), "--scheduled=copies".to_owned()],
            when,
        }
    }

    fn daily() -> When {
        When::Times {
            cron: "17 3 * * *".to_owned(),
            systemd: vec!["*-*-* 03:17:00".to_owned()],
        }
    }

    #[test]
    fn units_are_what_systemd_accepts() {
        let id = timer(When::Boot).id();
        let units = timer(daily()).units(false);
        assert_eq!(
            units[0].1,
            "# Written by dotcloud, which writes it anew.\n[Unit]\nDescription=dotcloud: backups of \
             shop\n\n[Service]\nType=oneshot\nEnvironment=\"DOTCLOUD_HOME=/srv/it's \\\"q\\\"\"\n\
             ExecStart=\"/opt/a b/50%%$$x/dotcloud\" backup --scheduled=copies\n"
        );
        assert_eq!(
            units[1],
            (
                format!("{id}.timer"),
                "# Written by dotcloud, which writes it anew.\n[Unit]\nDescription=dotcloud: backups \
                 of shop\n\n[Timer]\nOnCalendar=*-*-* 03:17:00\nAccuracySec=1s\nPersistent=true\n\n\
                 [Install]\nWantedBy=timers.target\n"
                    .to_owned()
            )
        );
        let boot = timer(When::Boot).units(true);
        assert!(boot[0].1.ends_with("[Install]\nWantedBy=default.target\n"));
        if !Path::new("/usr/bin/systemd-analyze").exists() {
            return;
        }
        for when in [daily(), When::Boot] {
            let directory = tempfile::tempdir().unwrap();
            let timer = Timer {
                program: "/bin/true".into(),
                ..timer(when)
            };
            let mut analyze = Command::new("systemd-analyze");
            analyze.arg("verify");
            for (name, text) in timer.units(false) {
                let path = directory.path().join(name);
                fs::write(&path, text).unwrap();
                analyze.arg(path);
            }
            let output = analyze.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains(&id), "{said}");
        }
    }

    #[test]
    fn line_of_a_crontab_replaces_its_own_and_no_other() {
        let timer = timer(daily());
        let line = timer.line();
        let begin = "17 3 * * * DOTCLOUD_HOME='/srv/it'\\''s \"q\"' '/opt/a b/50\\%$x/dotcloud' backup \
                     --scheduled=copies >/dev/null 2>&1 # dotcloud-";
        assert!(line.starts_with(begin), "{line}");
        assert!(line.ends_with("-backup-shop"), "{line}");
        let text = format!("# mine\n{line}\n0 0 * * * true # dotcloud-other-backup-shop\n");
        assert_eq!(
            others(&text, &timer),
            ["# mine", "0 0 * * * true # dotcloud-other-backup-shop"]
        );
    }
}
