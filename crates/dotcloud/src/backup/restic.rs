//! restic, which keeps copies: deduplicated, compressed, encrypted, here or wherever it can.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hook::CommandError;
use serde::Deserialize;

use super::BackupError;
use crate::host::files;

/// Debian's package has it there; a newer one may be elsewhere.
const PROGRAM: &str = "restic";

/// It runs beside what is copied: rather collect garbage than double what it takes. The limit is what it tries to
/// stay below, and costs processor time only; without it reading back took 127 MiB.
const ECONOMY: [(&str, &str); 2] = [("GOGC", "20"), ("GOMEMLIMIT", "80MiB")];

/// A repository.
#[derive(Debug)]
pub(super) struct Restic {
    pub(super) repository: String,
    pub(super) password_file: PathBuf,
    /// What it need not ask the repository for again.
    pub(super) cache: PathBuf,
}

/// The last line of a backup.
#[derive(Deserialize)]
struct Summary {
    message_type: String,
    snapshot_id: Option<String>,
}

/// What is listed.
#[derive(Deserialize)]
pub(super) struct Snapshot {
    pub(super) id: String,
    /// RFC 3339.
    pub(super) time: String,
    #[serde(default)]
    tags: Vec<String>,
}

impl Snapshot {
    /// The value of our tag `name`.
    pub(super) fn tag(&self, name: &str) -> Option<&str> {
        self.tags
            .iter()
            .find_map(|tag| tag.strip_prefix(name)?.strip_prefix('='))
    }
}

impl Restic {
    /// The repository below `directory`, with a password of its own.
    pub(super) fn here(directory: &Path) -> Result<Self, BackupError> {
        let restic = Self {
            repository: directory.join("restic").display().to_string(),
            password_file: directory.join("restic.password"),
            cache: directory.join("cache"),
        };
        if files::look(&restic.password_file)?.is_none() {
            let password = files::random::<32>()?;
            files::replace(&restic.password_file, password.as_bytes(), 0o600)?;
        }
        Ok(restic)
    }

    /// Makes the one that [`Restic::here`] found if it is not there. (restic itself needs half a second to say so: it
    /// derives its key first.)
    pub(super) fn make_here(&self) -> Result<(), BackupError> {
        match files::look(&Path::new(&self.repository).join("config"))? {
            Some(_) => Ok(()),
            None => self.make(),
        }
    }

    /// Makes the repository if there is none: an unreachable one is an error.
    pub(super) fn make_if_missing(&self) -> Result<(), BackupError> {
        let Err(error) = self.run("open the repository", &["cat", "config"], None) else {
            return Ok(());
        };
        let said = match &error {
            BackupError::Restic { source, .. } => source.last_words().to_owned(),
            _ => return Err(error),
        };
        // What it says of every kind of place that has none.
        if !said.contains("Is there a repository at the following location?") {
            return Err(error);
        }
        // Of a place that cannot be reached, that is what is to be known.
        self.make().map_err(|_| error)
    }

    fn make(&self) -> Result<(), BackupError> {
        let arguments = ["init", "--repository-version", "2"];
        self.run("make the repository", &arguments, None).map(drop)
    }

    /// Keeps what is in `directory`, under `tags`. What it is called there.
    pub(super) fn backup(&self, directory: &Path, tags: &str) -> Result<String, BackupError> {
        let arguments = ["backup", ".", "--json", "--host", "dotcloud", "--tag", tags];
        let said = self.run("send the copy", &arguments, Some(directory))?;
        let text = String::from_utf8_lossy(&said);
        text.lines()
            .filter_map(|line| serde_json::from_str::<Summary>(line).ok())
            .find(|line| line.message_type == "summary")
            .and_then(|summary| summary.snapshot_id)
            .ok_or_else(|| BackupError::read_back(io::Error::other("restic names no snapshot")))
    }

    /// Begins to read what is called `snapshot`, as a tar archive.
    pub(super) fn read(&self, snapshot: &str) -> Result<Child, BackupError> {
        self.command()
            .args(["dump", snapshot, "/"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(not_started)
    }

    /// Every copy in it.
    pub(super) fn snapshots(&self) -> Result<Vec<Snapshot>, BackupError> {
        let said = self.run("list what it has", &["snapshots", "--json"], None)?;
        serde_json::from_slice(&said).map_err(|source| BackupError::Manifest { source })
    }

    /// A small file of what is called `snapshot`.
    pub(super) fn file(&self, snapshot: &str, name: &str) -> Result<Vec<u8>, BackupError> {
        self.run("give the copy back", &["dump", snapshot, name], None)
    }

    /// Forgets what is called `snapshots`, and whatever only they had.
    pub(super) fn remove(&self, snapshots: &[String]) -> Result<(), BackupError> {
        // What a killed one left.
        self.run("unlock the repository", &["unlock"], None)?;
        let mut arguments = vec!["forget", "--prune"];
        arguments.extend(snapshots.iter().map(String::as_str));
        self.run("remove old copies", &arguments, None).map(drop)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        // Not as arguments, which others may see: a repository's name may have a password in it.
        command
            .env("RESTIC_REPOSITORY", &self.repository)
            .env("RESTIC_PASSWORD_FILE", &self.password_file)
            .env("RESTIC_CACHE_DIR", &self.cache)
            .env_remove("RESTIC_PASSWORD")
            .env_remove("RESTIC_PASSWORD_COMMAND")
            .env_remove("RESTIC_REPOSITORY_FILE")
            .envs(ECONOMY);
        command
    }

    fn run(
        &self,
        action: &'static str,
        arguments: &[&str],
        directory: Option<&Path>,
    ) -> Result<Vec<u8>, BackupError> {
        let mut command = self.command();
        command.args(arguments);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        match hook::run(&mut command, b"") {
            Ok(finished) => Ok(finished.stdout),
            Err(CommandError::Start { source, .. }) => Err(not_started(source)),
            Err(source) => Err(BackupError::Restic {
                action,
                source: Box::new(source),
            }),
        }
    }
}

fn not_started(source: io::Error) -> BackupError {
    BackupError::NoRestic { source }
}
