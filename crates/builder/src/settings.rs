//! What builder reads, checked before the first write.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hook::{Environment, EnvironmentError, SwitchError};
use mycnf::parse_size;
use thiserror::Error;

/// Builder's inputs.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `$HOME`: where the result goes.
    pub home: PathBuf,
    /// The service's directory in the code, with the tarball, the hooks and my.cnf.
    pub approot: PathBuf,
    /// `MYSQL_TARBALL`: which tarball, where there are several.
    pub tarball: Option<OsString>,
    /// `MYSQL_TARBALL_MAX_SIZE`: what the tarball may inflate to, in bytes.
    pub max_size: u64,
    /// `MYSQL_INITDB_SKIP_TZINFO` or MariaDB's: no time zone tables in the seed.
    pub skip_time_zones: bool,
}

impl Settings {
    /// From the environment; `code_root` is the working directory (platform-contract.md §6).
    pub(crate) fn from_environment(
        environment: &Environment,
        code_root: &Path,
    ) -> Result<Self, SettingsError> {
        let home = environment.home()?;
        let approot = code_root.join(environment.get("SERVICE_APPROOT").unwrap_or(".".as_ref()));
        // A message about `./hooks` would leave open where that is.
        let approot = std::path::absolute(&approot).unwrap_or(approot);
        let settings = Self {
            home,
            approot: approot
                .canonicalize()
                .map_err(|source| SettingsError::FindApproot {
                    path: approot,
                    source,
                })?,
            tarball: environment
                .input("MYSQL_TARBALL")
                .map(|(name, _)| name.to_owned()),
            max_size: max_size(environment)?,
            skip_time_zones: environment.switch("MYSQL_INITDB_SKIP_TZINFO")?
                || environment.switch("MARIADB_INITDB_SKIP_TZINFO")?,
        };
        if settings.home == settings.approot {
            return Err(SettingsError::HomeIsApproot {
                path: settings.home,
            });
        }
        Ok(settings)
    }
}

fn max_size(environment: &Environment) -> Result<u64, SettingsError> {
    let Some((value, name)) = environment.input("MYSQL_TARBALL_MAX_SIZE") else {
        return Ok(judge::MAX_SIZE);
    };
    let value = value.to_string_lossy();
    match parse_size(&value) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(SettingsError::Size {
            name,
            value: value.into_owned(),
        }),
    }
}

/// An input is missing or unusable.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// No usable `$HOME`.
    #[error(transparent)]
    Home(#[from] EnvironmentError),
    /// Neither 0 nor 1.
    #[error(transparent)]
    Switch(#[from] SwitchError),
    /// Not an amount of bytes.
    #[error("{name} is '{value}', which is no number of bytes such as 512M or 32G")]
    Size {
        /// The variable.
        name: String,
        /// What it is set to.
        value: String,
    },
    /// The approot is not there.
    #[error("cannot find the approot {path}", path = path.display())]
    FindApproot {
        /// Where `SERVICE_APPROOT` says, below the working directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Copying the hooks onto themselves would empty them.
    #[error("the home directory and the approot are the same, {path}", path = path.display())]
    HomeIsApproot {
        /// Both of them.
        path: PathBuf,
    },
}
