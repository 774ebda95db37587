//! The environment, read once at start and passed down, so that nothing below depends on
//! process-wide state. Names and values are never assumed to be UTF-8.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use thiserror::Error;

/// A snapshot of environment variables.
///
/// Its `Debug` shows names only: values may be secrets.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// What this process was started with.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The value of `name`; a variable set to nothing counts as not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// The input `name`: the variable itself, else `SERVICE_CONFIG_<name>`, which is how the
    /// platform hands over `config:` of dotcloud.yml (platform-contract.md §4.2). With the variable's name.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<(&OsStr, String)> {
        let configured = format!("SERVICE_CONFIG_{name}");
        match self.get(name) {
            Some(value) => Some((value, name.to_owned())),
            None => self.get(&configured).map(|value| (value, configured)),
        }
    }

    /// The input `name` as a switch: `1` is on, `0` and nothing are off.
    pub fn switch(&self, name: &str) -> Result<bool, SwitchError> {
        let Some((value, variable)) = self.input(name) else {
            return Ok(false);
        };
        match value.to_str() {
            Some("1") => Ok(true),
            Some("0") => Ok(false),
            _ => Err(SwitchError {
                variable,
                value: value.to_owned(),
            }),
        }
    }

    /// Every variable, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// `$HOME`: a directory that is there, without symbolic links in its path.
    pub fn home(&self) -> Result<PathBuf, EnvironmentError> {
        let home = PathBuf::from(self.get("HOME").ok_or(EnvironmentError::HomeUnset)?);
        if !home.is_absolute() {
            return Err(EnvironmentError::HomeRelative { home });
        }
        match home.canonicalize() {
            Ok(canonical) => Ok(canonical),
            Err(source) => Err(EnvironmentError::FindHome { path: home, source }),
        }
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// An input that is to be 0 or 1 is neither.
#[derive(Debug, Error)]
#[error("{variable} is '{value}', which is neither 0 nor 1", value = value.display())]
pub struct SwitchError {
    /// The variable.
    pub variable: String,
    /// Its value.
    pub value: OsString,
}

/// The environment lacks what every hook needs.
#[derive(Debug, Error)]
pub enum EnvironmentError {
    /// No home directory to work in.
    #[error("HOME is not set")]
    HomeUnset,
    /// A home directory that depends on the working directory.
    #[error("HOME is '{home}', which is not an absolute path", home = home.display())]
    HomeRelative {
        /// As it was set.
        home: PathBuf,
    },
    /// A home directory that is not there.
    #[error("cannot find the home directory {path}", path = path.display())]
    FindHome {
        /// As `$HOME` names it.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn get_empty_value_counts_as_unset() {
        let environment: Environment = [("SET", "1"), ("EMPTY", "")].into_iter().collect();
        assert_eq!(environment.get("SET"), Some(OsStr::new("1")));
        assert_eq!(environment.get("EMPTY"), None);
        assert_eq!(environment.get("ABSENT"), None);
    }

    #[test]
    fn input_environment_wins_over_config() {
        let environment: Environment = [
            ("MYSQL_MEMORY", "512M"),
            ("SERVICE_CONFIG_MYSQL_MEMORY", "256M"),
            ("SERVICE_CONFIG_MYSQL_TARBALL", "a.tar.gz"),
        ]
        .into_iter()
        .collect();
        let input = |name| {
            let (value, origin) = environment.input(name)?;
            Some((value.to_str()?.to_owned(), origin))
        };
        let expected = |value: &str, origin: &str| Some((value.to_owned(), origin.to_owned()));
        assert_eq!(input("MYSQL_MEMORY"), expected("512M", "MYSQL_MEMORY"));
        assert_eq!(
            input("MYSQL_TARBALL"),
            expected("a.tar.gz", "SERVICE_CONFIG_MYSQL_TARBALL")
        );
        assert_eq!(input("MYSQL_DATABASE"), None);
    }

    #[test]
    fn home_unusable_is_refused_with_exact_text() {
        let text = |pairs: &[(&str, &str)]| {
            let environment: Environment = pairs.iter().copied().collect();
            environment.home().unwrap_err().to_string()
        };
        assert_eq!(text(&[]), "HOME is not set");
        assert_eq!(text(&[("HOME", "")]), "HOME is not set");
        assert_eq!(
            text(&[("HOME", "sub/dir")]),
            "HOME is 'sub/dir', which is not an absolute path"
        );
        assert_eq!(
            text(&[("HOME", "/nowhere")]),
            "cannot find the home directory /nowhere"
        );
    }

    #[test]
    fn debug_values_are_not_shown() {
        let environment: Environment = [("MYSQL_ROOT_PASSWORD", "secret")].into_iter().collect();
        assert_eq!(format!("{environment:?}"), "{\"MYSQL_ROOT_PASSWORD\"}");
    }
}
