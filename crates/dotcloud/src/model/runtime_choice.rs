//! How the containers to be made are to exist on this machine.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RuntimeChoice {
    /// `oci` where it works, else `process`
    #[default]
    Auto,
    /// An OCI runtime: runc, crun or youki
    Oci,
    /// Plain processes, neither isolated nor limited
    Process,
}
