//! What postinstall and starttest read, checked before the first write.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use hook::{Environment, EnvironmentError, MemoryLimitError, SwitchError};
use mycnf::CommandLine;
use thiserror::Error;

use crate::accounts::{AccountInputs, AccountsError};
use crate::memory::MemoryInput;
use crate::variables::UnreadVariables;

/// Ports that are never the database's: those of the platform itself, which every environment has
/// (platform-contract.md §4.3), and the agent's.
const OTHER_PORTS: [&str; 3] = ["PORT_SSH", "PORT_HTTP", "PORT_AGENT"];

/// Where there are several ports, this one is the database's.
const PREFERRED_PORT: &str = "PORT_MYSQL";

/// The inputs of the hooks that run in the new container.
#[derive(Debug)]
pub struct Settings {
    /// `$HOME`.
    pub home: PathBuf,
    /// The port to bind.
    pub port: Port,
    /// `MYSQL_BIND_ADDRESS`: the address to bind, which overrules my.cnf.
    pub bind_address: Option<String>,
    /// `MYSQL_MEMORY`, or what limits us.
    pub memory: MemoryInput,
    /// Who may log in.
    pub accounts: AccountInputs,
    /// `MYSQL_SLOW_LOG`: from how many seconds on a statement goes to the slow log.
    pub slow_log: Option<String>,
    /// `MYSQL_PITR`: whether every change is kept in binary logs.
    pub changes: Changes,
    /// `MYSQL_INITDB_SKIP_TZINFO`: a fresh database has no time zone tables.
    pub skip_time_zones: bool,
    /// `MYSQL_REQUIRE_DATA`: never make a fresh database.
    pub require_data: bool,
    /// `MYSQL_UPGRADE_ANYWAY`: upgrade a MySQL although accounts are locked out by that, or although it
    /// was killed.
    pub upgrade_anyway: bool,
    /// The container's host name.
    pub host_name: String,
    /// Variables that look as if they were meant for us.
    pub unread: UnreadVariables,
    /// What the platform calls this service, for commands that we tell.
    pub service: String,
    /// The server's options besides those of my.cnf.
    pub command_line: CommandLine,
}

/// What is kept of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// What my.cnf says.
    AsMyCnf,
    /// All of them, in binary logs of ours.
    Kept,
}

/// A port and the variable that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The TCP port.
    pub number: u16,
    /// Such as `PORT_TESTBEDDB`.
    pub variable: String,
}

impl Settings {
    /// Whether binary logs of ours are kept.
    #[must_use]
    pub fn keeps_changes(&self) -> bool {
        self.changes == Changes::Kept
    }

    /// From the environment.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingsError> {
        Ok(Self {
            home: environment.home()?,
            port: port(environment)?,
            bind_address: match text_input(environment, "MYSQL_BIND_ADDRESS")? {
                None => text_input(environment, "MARIADB_BIND_ADDRESS")?,
                some => some,
            },
            memory: MemoryInput::from_environment(environment)?,
            accounts: AccountInputs::from_environment(environment)?,
            slow_log: slow_log(environment)?,
            changes: if environment.switch("MYSQL_PITR")? {
                Changes::Kept
            } else {
                Changes::AsMyCnf
            },
            skip_time_zones: environment.switch("MYSQL_INITDB_SKIP_TZINFO")?
                || environment.switch("MARIADB_INITDB_SKIP_TZINFO")?,
            require_data: environment.switch("MYSQL_REQUIRE_DATA")?,
            upgrade_anyway: environment.switch("MYSQL_UPGRADE_ANYWAY")?,
            host_name: host_name(environment),
            unread: UnreadVariables::of(environment),
            service: environment
                .get("DOTCLOUD_SERVICE_NAME")
                .map_or("SERVICE".into(), OsStr::to_string_lossy)
                .into_owned(),
            command_line: CommandLine::default(),
        })
    }
}

fn port(environment: &Environment) -> Result<Port, SettingsError> {
    let candidates: Vec<(&str, &OsStr)> = environment
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value)))
        .filter(|(name, _)| name.starts_with("PORT_") && !OTHER_PORTS.contains(name))
        .collect();
    let seen = || {
        candidates
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect()
    };
    let wanted = text_input(environment, "MYSQL_PORT_NAME")?
        .map(|name| format!("PORT_{}", name.to_uppercase()));
    let chosen = match (&candidates[..], &wanted) {
        ([], None) => return Err(SettingsError::NoPort),
        ([only], None) => *only,
        (several, wanted) => {
            let wanted = wanted.as_deref().unwrap_or(PREFERRED_PORT);
            match several.iter().find(|(name, _)| *name == wanted) {
                Some(found) => *found,
                None => {
                    return Err(SettingsError::WhichPort {
                        wanted: wanted.to_owned(),
                        seen: seen(),
                    });
                }
            }
        }
    };
    let (variable, value) = chosen;
    let number = value.to_str().and_then(|text| text.parse().ok());
    match number {
        Some(number) if number != 0 => Ok(Port {
            number,
            variable: variable.to_owned(),
        }),
        _ => Err(SettingsError::PortNumber {
            variable: variable.to_owned(),
            value: value.to_owned(),
        }),
    }
}

/// `1s`, `250ms`, `0.5s`: in seconds, as the servers take them.
fn slow_log(environment: &Environment) -> Result<Option<String>, SettingsError> {
    let Some((value, variable)) = environment.input("MYSQL_SLOW_LOG") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let (number, divisor) = match text.strip_suffix("ms") {
        Some(number) => (number, 1000.0),
        None => (text.strip_suffix('s').unwrap_or_default(), 1.0),
    };
    let plain = number.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    match number.parse::<f64>() {
        // The most that servers take is a year.
        Ok(number) if plain && number / divisor <= 31_536_000.0 => {
            Ok(Some((number / divisor).to_string()))
        }
        Ok(_) | Err(_) => Err(SettingsError::SlowLog {
            variable,
            value: value.to_owned(),
        }),
    }
}

fn text_input(environment: &Environment, name: &str) -> Result<Option<String>, SettingsError> {
    let Some((value, variable)) = environment.input(name) else {
        return Ok(None);
    };
    match value.to_str() {
        Some(text) if !text.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Ok(Some(text.to_owned()))
        }
        _ => Err(SettingsError::OneWord {
            variable,
            value: value.to_owned(),
        }),
    }
}

/// `$HOSTNAME` where the platform sets it, else what the kernel says.
fn host_name(environment: &Environment) -> String {
    environment.get("HOSTNAME").map_or_else(
        || {
            rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned()
        },
        |name| name.to_string_lossy().into_owned(),
    )
}

/// An input is missing or unusable.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// No usable `$HOME`.
    #[error(transparent)]
    Home(#[from] EnvironmentError),
    /// No `PORT_*` at all.
    #[error("no port to listen on: no PORT_* variable is set")]
    NoPort,
    /// Several, none of which is the wanted one.
    #[error("no {wanted} among the ports of this service: {list}", list = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") })]
    WhichPort {
        /// The variable looked for.
        wanted: String,
        /// The `PORT_*` variables there are.
        seen: Vec<String>,
    },
    /// Not a port number.
    #[error("{variable} is '{value}', which is not a port number", value = value.display())]
    PortNumber {
        /// The variable.
        variable: String,
        /// Its value.
        value: OsString,
    },
    /// Who may log in.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// No amount of memory.
    #[error("{variable} is '{value}', which is not an amount of memory", value = value.display())]
    Memory {
        /// The variable.
        variable: String,
        /// Its value.
        value: OsString,
    },
    /// This system tells nothing of its memory.
    #[error(transparent)]
    MemoryLimit(#[from] MemoryLimitError),
    /// No time.
    #[error("{variable} is '{value}', which is not a time such as 1s or 250ms", value = value.display())]
    SlowLog {
        /// The variable.
        variable: String,
        /// Its value.
        value: OsString,
    },
    /// White space where none can be.
    #[error("{variable} is '{value}', which is not one word", value = value.display())]
    OneWord {
        /// The variable.
        variable: String,
        /// Its value.
        value: OsString,
    },
    /// Neither 0 nor 1.
    #[error(transparent)]
    Switch(#[from] SwitchError),
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn settings(pairs: Pairs<'_>) -> Result<Settings, SettingsError> {
        let environment: Environment = [("HOME", "/tmp")].iter().chain(pairs).copied().collect();
        Settings::from_environment(&environment)
    }

    #[test]
    fn port_which_variable_is_taken() {
        let cases: [(Pairs<'_>, &str, &str); 6] = [
            (
                &[("PORT_TESTBEDDB", "42800")],
                "PORT_TESTBEDDB",
                "the only one",
            ),
            (
                &[("PORT_AGENT", "1"), ("PORT_DB", "2")],
                "PORT_DB",
                "the agent's is none",
            ),
            (
                &[("PORT_A", "1"), ("PORT_MYSQL", "2")],
                "PORT_MYSQL",
                "the one called so",
            ),
            (
                &[("PORT_A", "1"), ("PORT_B", "2"), ("MYSQL_PORT_NAME", "b")],
                "PORT_B",
                "the one asked for",
            ),
            (
                &[("PORT_SSH", "22"), ("PORT_HTTP", "80"), ("PORT_DB", "3")],
                "PORT_DB",
                "the platform's own do not count",
            ),
            (
                &[
                    ("PORT_A", "1"),
                    ("PORT_B", "2"),
                    ("SERVICE_CONFIG_MYSQL_PORT_NAME", "a"),
                ],
                "PORT_A",
                "asked for in dotcloud.yml",
            ),
        ];
        for (pairs, variable, reason) in cases {
            assert_eq!(settings(pairs).unwrap().port.variable, variable, "{reason}");
        }
    }

    #[test]
    fn from_environment_bad_inputs_have_exact_texts() {
        let port = ("PORT_DB", "42800");
        let cases: [(Pairs<'_>, &str); 9] = [
            (&[], "no port to listen on: no PORT_* variable is set"),
            (
                &[("PORT_A", "1"), ("PORT_B", "2")],
                "no PORT_MYSQL among the ports of this service: PORT_A, PORT_B",
            ),
            (
                &[("MYSQL_PORT_NAME", "db")],
                "no PORT_DB among the ports of this service: none",
            ),
            (
                &[("PORT_DB", "http")],
                "PORT_DB is 'http', which is not a port number",
            ),
            (
                &[("PORT_DB", "0")],
                "PORT_DB is '0', which is not a port number",
            ),
            (
                &[port, ("MYSQL_ROOT_PASSWORD", "one\ntwo")],
                "the password in MYSQL_ROOT_PASSWORD cannot be used",
            ),
            (
                &[port, ("MYSQL_BIND_ADDRESS", "127.0.0.1 #x")],
                "MYSQL_BIND_ADDRESS is '127.0.0.1 #x', which is not one word",
            ),
            (
                &[port, ("SERVICE_CONFIG_MYSQL_REQUIRE_DATA", "yes")],
                "SERVICE_CONFIG_MYSQL_REQUIRE_DATA is 'yes', which is neither 0 nor 1",
            ),
            (
                &[port, ("HOME", "/nowhere")],
                "cannot find the home directory /nowhere",
            ),
        ];
        for (pairs, text) in cases {
            assert_eq!(settings(pairs).unwrap_err().to_string(), text);
        }
        let empty = Environment::default();
        assert_eq!(
            Settings::from_environment(&empty).unwrap_err().to_string(),
            "HOME is not set"
        );
    }

    #[test]
    fn host_name_platforms_name_wins() {
        let named = settings(&[("PORT_DB", "1"), ("HOSTNAME", "app-default-db-0")]).unwrap();
        assert_eq!(named.host_name, "app-default-db-0");
        assert!(!settings(&[("PORT_DB", "1")]).unwrap().host_name.is_empty());
    }

    #[test]
    fn slow_log_is_a_time() {
        let read = |value: &str| {
            let environment: Environment = [("MYSQL_SLOW_LOG", value)].into_iter().collect();
            slow_log(&environment).map_err(|error| error.to_string())
        };
        for (value, seconds) in [("1s", "1"), ("250ms", "0.25"), ("0.5s", "0.5"), ("0s", "0")] {
            assert_eq!(read(value), Ok(Some(seconds.to_owned())), "{value}");
        }
        for value in ["1", "s", "1 s", "-1s", "1e3s", "inf s", "1m", "31536001s"] {
            let text =
                format!("MYSQL_SLOW_LOG is '{value}', which is not a time such as 1s or 250ms");
            assert_eq!(read(value), Err(text));
        }
    }
}
