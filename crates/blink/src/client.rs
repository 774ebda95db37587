//! The Rust API: starts the executable and ends it. The server is the executable's, not the caller's: only a
//! program between the two can have the kernel end the one with the other.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde::Deserialize;
use thiserror::Error;

/// What to start: see [`Blink::release`].
#[derive(Clone, Debug)]
pub struct Blink {
    executable: PathBuf,
    arguments: Vec<OsString>,
    release: Option<OsString>,
}

impl Blink {
    /// A server of `release`: a version (`8.4`, `mariadb-11.4`), a vendor's tarball, a directory with an
    /// unpacked one.
    #[must_use]
    pub fn release(release: impl AsRef<OsStr>) -> Self {
        Self {
            release: Some(release.as_ref().to_owned()),
            ..Self::newest()
        }
    }

    /// A server of the release that was unpacked last.
    #[must_use]
    pub fn newest() -> Self {
        Self {
            executable: "blink".into(),
            arguments: Vec::new(),
            release: None,
        }
    }

    /// The executable, instead of the `blink` in `PATH`.
    #[must_use]
    pub fn executable(mut self, path: impl Into<PathBuf>) -> Self {
        self.executable = path.into();
        self
    }

    /// Begins with what the SQL files of a directory, or one such file, make of a fresh database. They are
    /// run once.
    #[must_use]
    pub fn init(self, path: impl AsRef<Path>) -> Self {
        self.with("--init", path.as_ref().as_os_str())
    }

    /// Begins with what `blink --save NAME` kept.
    #[must_use]
    pub fn seed(self, name: &str) -> Self {
        self.with("--seed", OsStr::new(name))
    }

    /// Keeps releases and seeds there.
    #[must_use]
    pub fn cache(self, directory: impl AsRef<Path>) -> Self {
        self.with("--cache", directory.as_ref().as_os_str())
    }

    /// Has the server's data there, instead of in memory.
    #[must_use]
    pub fn directory(self, directory: impl AsRef<Path>) -> Self {
        self.with("--dir", directory.as_ref().as_os_str())
    }

    /// On the disk, with everything that makes data last.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.arguments.push("--durable".into());
        self
    }

    fn with(mut self, option: &str, value: &OsStr) -> Self {
        self.arguments.push(option.into());
        self.arguments.push(value.to_owned());
        self
    }

    /// Starts it and waits until it answers. What takes long, or fails, the executable tells on stderr.
    pub fn start(&self) -> Result<Database, BlinkError> {
        let lost = |source| BlinkError::Start {
            executable: self.executable.clone(),
            source,
        };
        let mut process = Command::new(&self.executable)
            .args(["--json", "--until-eof"])
            .args(&self.arguments)
            .args(&self.release)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(lost)?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(lost)?;
        }
        if let Ok(answer) = serde_json::from_str(&line) {
            return Ok(Database { process, answer });
        }
        drop(process.stdin.take());
        let status = process.wait().map_err(lost)?;
        Err(BlinkError::Fail { status })
    }
}

/// A running server. Dropped, it ends, and its data is gone.
#[derive(Debug)]
pub struct Database {
    process: Child,
    answer: Answer,
}

/// What the executable says.
#[derive(Deserialize)]
struct Answer {
    url: String,
    port: u16,
    socket: PathBuf,
    user: String,
    password: String,
    database: String,
    server: String,
}

/// The password is nobody's business.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { port, server, .. } = self;
        write!(f, "{server} on port {port}")
    }
}

impl Database {
    /// `mysql://root:PASSWORD@127.0.0.1:PORT/test`
    #[must_use]
    pub fn url(&self) -> &str {
        &self.answer.url
    }

    /// On 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.answer.port
    }

    /// The Unix socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.answer.socket
    }

    /// The account, which may do everything.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.answer.user
    }

    /// Its password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.answer.password
    }

    /// An empty database, unless the seed filled it.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.answer.database
    }

    /// The server's flavour and version.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.answer.server
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The end of its standard input tells the executable to end.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// There is no server.
#[derive(Debug, Error)]
pub enum BlinkError {
    /// The executable does not run.
    #[error("cannot run {executable}: put it into PATH, or say where it is ('make hooks' builds it)", executable = executable.display())]
    Start {
        /// What was to be run.
        executable: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not start a server.
    #[error("blink ended with {status}, and told why on stderr")]
    Fail {
        /// How it ended.
        status: ExitStatus,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_without_the_executable_or_a_server_has_exact_texts() {
        let blink = Blink::newest().executable("/nowhere/blink");
        let error = blink.start().unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot run /nowhere/blink: put it into PATH, or say where it is ('make hooks' builds it)"
        );
        let error = Blink::newest()
            .executable("/bin/false")
            .start()
            .unwrap_err();
        let text = "blink ended with exit status: 1, and told why on stderr";
        assert_eq!(error.to_string(), text);
    }
}
