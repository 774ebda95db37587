//! `.dotcloud/config`: which application a directory belongs to. Searched for upwards, as the
//! platform's own client does, but not beyond what somebody else put there.

use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::host::files::{self, FileError};
use crate::host::ownership::{Distrust, Owners, is_absent};
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
    /// The nearest project at or above `directory`. The search ends at one that somebody else made,
    /// or may change: whoever works below a shared directory must not run another's code.
    pub(crate) fn find(directory: &Path, owners: &Owners) -> Result<Option<Self>, ProjectError> {
        for ancestor in directory.ancestors() {
            let path = config_path(ancestor);
            if let Err(error) = path.symlink_metadata()
                && is_absent(&error)
            {
                continue;
            }
            check(ancestor, owners)?;
            let text = std::fs::read(&path).map_err(files::failed("read", &path))?;
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

    /// Connects the directory to the application, if that connection would be obeyed.
    pub(crate) fn connect(&self, owners: &Owners) -> Result<(), ProjectError> {
        check(&self.directory, owners)?;
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

    /// Refuses a directory whose connection would not be obeyed.
    pub(crate) fn check(directory: &Path, owners: &Owners) -> Result<(), ProjectError> {
        check(directory, owners)
    }

    /// Whether what is pushed from here unasked is what we, or root, put here.
    pub(crate) fn check_build_file(&self, owners: &Owners) -> Result<(), ProjectError> {
        let path = self.directory.join("dotcloud.yml");
        match owners.distrust_file(&path) {
            Some(why) => Err(ProjectError::NotObeyed { path, why }),
            None => Ok(()),
        }
    }

    /// Undoes [`Project::connect`]; what else lies in `.dotcloud` stays.
    pub(crate) fn disconnect(&self) -> Result<(), ProjectError> {
        files::remove(&config_path(&self.directory))?;
        // Fails if anything else is in there.
        let _ = std::fs::remove_dir(self.directory.join(".dotcloud"));
        Ok(())
    }
}

/// Refuses a directory, or a connection in it, that is not ours alone.
fn check(directory: &Path, owners: &Owners) -> Result<(), ProjectError> {
    let config = config_path(directory);
    let refused = |path: &Path, why| {
        Err(ProjectError::NotObeyed {
            path: path.to_owned(),
            why,
        })
    };
    for path in [directory, &directory.join(".dotcloud"), &config] {
        if let Some(why) = owners.distrust(path) {
            return refused(path, why);
        }
    }
    // Root's, which is not for us, is no reason to fail.
    if rustix::fs::access(&config, Access::READ_OK) == Err(Errno::ACCESS) {
        return refused(&config, Distrust::Unreadable);
    }
    Ok(())
}

fn config_path(directory: &Path) -> PathBuf {
    directory.join(".dotcloud/config")
}

/// The connection of a directory cannot be read or changed.
#[derive(Debug, Error)]
pub(crate) enum ProjectError {
    #[error("{path} is not obeyed: {why}")]
    NotObeyed { path: PathBuf, why: Distrust },
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
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn ours() -> Owners {
        Owners::of(&hook::Environment::default())
    }

    fn connected(directory: &Path, vcs: Option<Vcs>) -> Project {
        let project = Project {
            directory: directory.to_owned(),
            application: "app".to_owned(),
            vcs,
            branch: vcs.map(|_| "stable".to_owned()),
        };
        project.connect(&ours()).unwrap();
        project
    }

    #[test]
    fn find_looks_upwards() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        assert_eq!(Project::find(&below, &ours()).unwrap(), None);
        for vcs in [None, Some(Vcs::Git), Some(Vcs::Hg)] {
            let project = connected(directory.path(), vcs);
            assert_eq!(Project::find(&below, &ours()).unwrap(), Some(project));
        }
        let project = Project::find(&below, &ours()).unwrap().unwrap();
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
            Project::find(directory.path(), &ours())
                .unwrap_err()
                .to_string(),
            format!("{} is damaged", path.display())
        );
    }

    #[test]
    fn find_ends_at_what_others_may_write() {
        let directory = tempfile::tempdir().unwrap();
        connected(directory.path(), None);
        let shared = directory.path().join("shared");
        let below = shared.join("mine");
        std::fs::create_dir_all(&below).unwrap();
        connected(&shared, None);
        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        let found = || Project::find(&below, &ours());
        assert_eq!(found().unwrap().unwrap().directory, shared);
        for path in [
            shared.clone(),
            shared.join(".dotcloud"),
            shared.join(".dotcloud/config"),
        ] {
            open(&path, 0o1777);
            let refused = found().unwrap_err().to_string();
            let expected = format!("{} is not obeyed: others may write it", path.display());
            assert_eq!(refused, expected);
            open(&path, 0o755);
        }
        // Nothing is found there, nor obeyed, nor refused.
        std::fs::remove_file(shared.join(".dotcloud/config")).unwrap();
        open(&shared, 0o1777);
        assert_eq!(found().unwrap().unwrap().directory, directory.path());
        let refused = connected_to(&shared).unwrap_err().to_string();
        assert!(
            refused.ends_with("is not obeyed: others may write it"),
            "{refused}"
        );
    }

    fn connected_to(directory: &Path) -> Result<(), ProjectError> {
        let project = Project {
            directory: directory.to_owned(),
            application: "app".to_owned(),
            vcs: None,
            branch: None,
        };
        project.connect(&ours())
    }
}
