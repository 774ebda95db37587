//! Where the parts of one container are, and the variables its processes get.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::files::{self, FileError};

/// Environment variables.
pub(crate) type Variables = BTreeMap<String, String>;

/// The paths of a container, a build container or an application's gateways.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    root: PathBuf,
}

impl Paths {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Holds everything of the container and nothing else; ours, so that its user cannot
    /// replace what lies directly in it.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `$HOME`.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// What the next container inherits.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("home/data")
    }

    /// A non-empty `~/data` that gave way to the inherited one.
    pub(crate) fn shadowed(&self) -> PathBuf {
        self.root.join("data.shadowed")
    }

    /// The platform's `/var/log/supervisor`.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// supervisord's socket and pid file.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// supervisord's configuration, out of the service's reach.
    pub(crate) fn config(&self) -> PathBuf {
        self.root.join("supervisord.conf")
    }

    /// The code, outside `$HOME`: of a build container only.
    pub(crate) fn code(&self) -> PathBuf {
        self.root.join("code")
    }

    /// Makes the empty container.
    pub(crate) fn create(&self, account: &Account) -> Result<(), FileError> {
        files::create_directory(&self.root, 0o755)?;
        for directory in [self.home(), self.log(), self.run()] {
            files::create_private(&directory, account)?;
        }
        Ok(())
    }

    /// Keeps the variables for later `run` and `restart`. They may be secrets.
    pub(crate) fn save_variables(&self, variables: &Variables) -> Result<(), FileError> {
        let path = self.variables_file();
        let text = serde_json::to_vec_pretty(variables)
            .map_err(|error| files::failed("write", &path)(error.into()))?;
        files::replace(&path, &text, 0o600)
    }

    /// The variables that the container was deployed with.
    pub(crate) fn load_variables(&self) -> Result<Variables, FileError> {
        let path = self.variables_file();
        let text = std::fs::read(&path).map_err(files::failed("read", &path))?;
        serde_json::from_slice(&text)
            .map_err(|error| files::failed("understand", &path)(error.into()))
    }

    fn variables_file(&self) -> PathBuf {
        self.root.join("variables.json")
    }
}
