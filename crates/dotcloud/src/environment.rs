//! What a service is told: `SERVICE_*`, `PORT_*`, `DOTCLOUD_*` and the user's variables, as Unix
//! variables and as environment files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use crate::build_file::{PortKind, Service};

/// Who an instance is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    pub(crate) application: &'a str,
    pub(crate) flavor: &'a str,
    pub(crate) username: &'a str,
    pub(crate) email: &'a str,
    pub(crate) service: &'a str,
    pub(crate) instance: u32,
}

/// Where the world reaches one port of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) service: String,
    pub(crate) instance: u32,
    /// The port's name.
    pub(crate) port: String,
    pub(crate) kind: PortKind,
    pub(crate) host: String,
    /// The public port, never the one to bind.
    pub(crate) number: u16,
}

/// `SERVICE_*`, from the service's part of the build file.
pub(crate) fn service_variables(_service: &Service) -> BTreeMap<String, String> {
    BTreeMap::new()
}

/// The content of the environment files.
pub(crate) fn platform_variables(
    _identity: &Identity<'_>,
    _bind_ports: &BTreeMap<String, u16>,
    _endpoints: &[Endpoint],
    _user: &BTreeMap<String, String>,
) -> BTreeMap<String, Value> {
    BTreeMap::new()
}

/// The same as Unix variables, without the platform's own ports.
pub(crate) fn unix_variables(_variables: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    BTreeMap::new()
}

/// Writes `environment.json`, `environment.yml` and the link `environment.yaml` into `home`.
pub(crate) fn write_files(
    _home: &Path,
    _variables: &BTreeMap<String, Value>,
) -> Result<(), EnvironmentFilesError> {
    Ok(())
}

/// Whether a user may set `name`.
pub(crate) fn check_variable_name(_name: &str) -> Result<(), VariableNameError> {
    Ok(())
}

/// A name that the user may not give to a variable.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum VariableNameError {
    #[error("'{name}' is not a variable name")]
    Form { name: String },
    #[error("'{name}' begins with DOTCLOUD_, which is the platform's")]
    Reserved { name: String },
}

/// An environment file cannot be written.
#[derive(Debug, Error)]
pub(crate) enum EnvironmentFilesError {
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}
