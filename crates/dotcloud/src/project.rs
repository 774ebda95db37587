//! `.dotcloud/config`: which application a directory belongs to. Searched for upwards, as the
//! platform's own client does.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::files::{self, FileError};
use crate::upload::Vcs;

/// A directory connected to an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Project {
    /// The directory that holds `.dotcloud`.
    pub(crate) directory: PathBuf,
    pub(crate) application: String,
    /// A push uploads what is committed.
    pub(crate) vcs: Option<Vcs>,
    /// On this branch, if not the one that is checked out.
    pub(crate) branch: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Config {
    application: String,
    version: String,
    #[serde(default)]
    push_protocol: Option<String>,
    #[serde(default)]
    push_branch: Option<String>,
}

impl Project {
    /// The nearest project at or above `directory`.
    pub(crate) fn find(directory: &Path) -> Result<Option<Self>, ProjectError> {
        for ancestor in directory.ancestors() {
            let path = config_path(ancestor);
            let text = match std::fs::read(&path) {
                Ok(text) => text,
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                    ) =>
                {
                    continue;
                }
                Err(source) => return Err(files::failed("read", &path)(source).into()),
            };
            let config: Config = serde_json::from_slice(&text)
                .map_err(|source| ProjectError::Damaged { path, source })?;
            return Ok(Some(Self {
                directory: ancestor.to_owned(),
                application: config.application,
                vcs: config.push_protocol.as_deref().and_then(Vcs::of_name),
                branch: config.push_branch,
            }));
        }
        Ok(None)
    }

    /// Connects the directory to the application.
    pub(crate) fn connect(&self) -> Result<(), ProjectError> {
        let path = config_path(&self.directory);
        let config = Config {
            application: self.application.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            push_protocol: Some(self.vcs.map_or("rsync", Vcs::name).to_owned()),
            push_branch: self.branch.clone(),
        };
        files::create_directory(&self.directory.join(".dotcloud"), 0o755)?;
        let text = serde_json::to_vec_pretty(&config).map_err(|source| ProjectError::Damaged {
            path: path.clone(),
            source,
        })?;
        Ok(files::replace(&path, &text, 0o644)?)
    }

    /// Undoes [`Project::connect`]; what else lies in `.dotcloud` stays.
    pub(crate) fn disconnect(&self) -> Result<(), ProjectError> {
        files::remove(&config_path(&self.directory))?;
        // Fails if anything else is in there.
        let _ = std::fs::remove_dir(self.directory.join(".dotcloud"));
        Ok(())
    }
}

fn config_path(directory: &Path) -> PathBuf {
    directory.join(".dotcloud/config")
}

/// The connection of a directory cannot be read or changed.
#[derive(Debug, Error)]
pub(crate) enum ProjectError {
    #[error("{path} is damaged")]
    Damaged {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected(directory: &Path, vcs: Option<Vcs>) -> Project {
        let project = Project {
            directory: directory.to_owned(),
            application: "app".to_owned(),
            vcs,
            branch: vcs.map(|_| "stable".to_owned()),
        };
        project.connect().unwrap();
        project
    }

    #[test]
    fn find_looks_upwards() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        assert_eq!(Project::find(&below).unwrap(), None);
        for vcs in [None, Some(Vcs::Git), Some(Vcs::Hg)] {
            let project = connected(directory.path(), vcs);
            assert_eq!(Project::find(&below).unwrap(), Some(project));
        }
        let project = Project::find(&below).unwrap().unwrap();
        project.disconnect().unwrap();
        assert!(!directory.path().join(".dotcloud").exists());
    }

    #[test]
    fn find_damaged_config_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        connected(directory.path(), None);
        let path = config_path(directory.path());
        std::fs::write(&path, "x").unwrap();
        assert_eq!(
            Project::find(directory.path()).unwrap_err().to_string(),
            format!("{} is damaged", path.display())
        );
    }
}
