//! Where backups go: a restic repository of ours below the state directory, one of the user's, or
//! whatever a command of the user's makes of a stream.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::BackupError;

/// Where a backup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Destination {
    /// Below the state directory.
    Here,
    /// A restic repository.
    Restic {
        /// As restic names it. It may have a password in it.
        repository: String,
        /// Holds the repository's password.
        password_file: PathBuf,
    },
    /// A shell command that takes a tar archive, and gives it back.
    Command { command: String },
}

impl Destination {
    /// Understands `--to` and `--password-file`.
    pub(crate) fn parse(
        to: Option<&str>,
        password_file: Option<&Path>,
    ) -> Result<Self, BackupError> {
        let Some(text) = to else {
            return Ok(Self::Here);
        };
        match text.split_once(':') {
            Some(("restic", repository)) if !repository.is_empty() => Ok(Self::Restic {
                repository: repository.to_owned(),
                password_file: password_file.ok_or(BackupError::NoPassword)?.to_owned(),
            }),
            Some(("exec", command)) if !command.trim().is_empty() => Ok(Self::Command {
                command: command.to_owned(),
            }),
            _ => Err(BackupError::Place {
                text: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Destination {
    /// Without any password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("this machine"),
            Self::Restic { repository, .. } => write!(f, "restic:{}", masked(repository)),
            // It may be full of them.
            Self::Command { command } => {
                let program = command.split_whitespace().next().unwrap_or_default();
                write!(f, "exec:{program} …")
            }
        }
    }
}

/// `rest:https://user:password@host/` without the password.
pub(super) fn masked(repository: &str) -> String {
    let Some((scheme, rest)) = repository.split_once("://") else {
        return repository.to_owned();
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:***@{host}/{path}")
        }
        None => repository.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_each_kind_and_nothing_else() {
        let parse = |text| Destination::parse(Some(text), Some(Path::new("/p")));
        assert_eq!(Destination::parse(None, None).unwrap(), Destination::Here);
        assert_eq!(
            parse("restic:s3:https://h/b").unwrap(),
            Destination::Restic {
                repository: "s3:https://h/b".to_owned(),
                password_file: "/p".into(),
            }
        );
        assert_eq!(
            parse("exec:cat >$BACKUP").unwrap(),
            Destination::Command {
                command: "cat >$BACKUP".to_owned(),
            }
        );
        for text in ["restic:", "exec: ", "s3:bucket", "/srv", ""] {
            assert_eq!(
                parse(text).unwrap_err().to_string(),
                format!("'{text}' is no place for backups")
            );
        }
        let error = Destination::parse(Some("restic:/r"), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "restic needs a password, which is in no file"
        );
    }

    #[test]
    fn display_shows_no_password() {
        let restic = |repository: &str| {
            Destination::Restic {
                repository: repository.to_owned(),
                password_file: "/p".into(),
            }
            .to_string()
        };
        assert_eq!(restic("/srv/r"), "restic:/srv/r");
        assert_eq!(restic("s3:https://h/b"), "restic:s3:https://h/b");
        assert_eq!(
            restic("rest:https://me:p@ss@h:8000/b"),
            "restic:rest:https://me:***@h:8000/b"
        );
        let command = Destination::Command {
            command: "curl -u me:secret -T - https://h/".to_owned(),
        };
        assert_eq!(command.to_string(), "exec:curl …");
    }
}
