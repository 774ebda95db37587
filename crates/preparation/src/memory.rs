//! How much memory to plan for: `MYSQL_MEMORY`, else the cgroup's limit, else a modest part of a
//! machine that others use too.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use hook::{Environment, MemoryLimit};
use mycnf::{Memory, parse_size, shown_size};

use crate::settings::SettingsError;

/// What a server gets of a machine that limits nothing, if half of the machine is more.
const UNLIMITED: u64 = 1 << 30;

/// Anything less is a forgotten suffix.
const LEAST: u64 = 1 << 20;

/// An amount of memory and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryInput {
    /// What to plan for.
    pub memory: Memory,
    /// Who says so.
    pub origin: MemoryOrigin,
}

/// Who says how much memory there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryOrigin {
    /// `MYSQL_MEMORY`, by the name under which it was found.
    Variable(String),
    /// The file with the cgroup's limit.
    Cgroup {
        /// The file.
        file: PathBuf,
        /// A variable that asks for more than that.
        over: Option<(String, u64)>,
    },
    /// Nobody.
    Machine,
}

impl MemoryInput {
    /// From the environment and the cgroup.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingsError> {
        let input = ["MYSQL_MEMORY", "MARIADB_MEMORY"]
            .iter()
            .find_map(|name| environment.input(name));
        let wanted = input
            .map(|(value, variable)| match size(value) {
                Some(bytes) => Ok((variable, bytes)),
                None => Err(SettingsError::Memory {
                    variable,
                    value: value.to_owned(),
                }),
            })
            .transpose()?;
        Ok(Self::choose(wanted, MemoryLimit::find("/".as_ref())?))
    }

    fn choose(wanted: Option<(String, u64)>, limit: MemoryLimit) -> Self {
        let all = |bytes| Memory {
            budget: bytes,
            bound: bytes,
        };
        match (wanted, limit.file) {
            (Some((variable, bytes)), Some(file)) if bytes > limit.bytes => Self {
                memory: all(limit.bytes),
                origin: MemoryOrigin::Cgroup {
                    file,
                    over: Some((variable, bytes)),
                },
            },
            (Some((variable, bytes)), _) => Self {
                memory: all(bytes),
                origin: MemoryOrigin::Variable(variable),
            },
            (None, Some(file)) => Self {
                memory: all(limit.bytes),
                origin: MemoryOrigin::Cgroup { file, over: None },
            },
            (None, None) => Self {
                memory: Memory {
                    budget: UNLIMITED.min(limit.bytes / 2),
                    bound: limit.bytes,
                },
                origin: MemoryOrigin::Machine,
            },
        }
    }

    /// The amount and its origin, for narration.
    pub(crate) fn told(&self) -> String {
        let budget = shown_size(self.memory.budget);
        match &self.origin {
            MemoryOrigin::Variable(_) | MemoryOrigin::Cgroup { .. } => {
                format!("{budget}, {}", self.origin)
            }
            MemoryOrigin::Machine => format!(
                "{budget}, a modest part of this machine's {}: there is no limit",
                shown_size(self.memory.bound)
            ),
        }
    }

    /// An input that asks for more than there is.
    pub(crate) fn warning(&self) -> Option<String> {
        let MemoryOrigin::Cgroup {
            over: Some((variable, bytes)),
            ..
        } = &self.origin
        else {
            return None;
        };
        Some(format!(
            "{variable} asks for {}, and the limit is {}: planning for that",
            shown_size(*bytes),
            shown_size(self.memory.bound)
        ))
    }
}

impl MemoryOrigin {
    /// What the reader does to get `bytes` for `service`.
    pub(crate) fn raise(&self, bytes: u64, service: &str) -> String {
        let size = shown_size(bytes);
        match self {
            Self::Variable(variable) => format!("set {variable} to {size} or more"),
            Self::Cgroup { .. } => {
                format!("give it more ('dotcloud scale {service}:memory={size}')")
            }
            Self::Machine => format!("take a machine with {size} or more"),
        }
    }
}

impl fmt::Display for MemoryOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(variable) => write!(f, "from {variable}"),
            Self::Cgroup { file, .. } => write!(f, "from {}", file.display()),
            Self::Machine => f.write_str("all that this machine has"),
        }
    }
}

fn size(value: &OsStr) -> Option<u64> {
    parse_size(value.to_str()?).filter(|bytes| *bytes >= LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn chosen(wanted: Option<u64>, limit: Option<u64>, machine: u64) -> MemoryInput {
        let limit = MemoryLimit {
            bytes: limit.unwrap_or(machine) * MIB,
            file: limit.map(|_| "/c/memory.max".into()),
        };
        let wanted = wanted.map(|wanted| ("MYSQL_MEMORY".to_owned(), wanted * MIB));
        MemoryInput::choose(wanted, limit)
    }

    /// Case L1: a limit, none, and what asks for less or more than it.
    #[test]
    fn choose_which_amount_counts() {
        for (wanted, limit, machine, budget, bound, told) in [
            (None, Some(256), 8192, 256, 256, "256M, from /c/memory.max"),
            (
                Some(128),
                Some(256),
                8192,
                128,
                128,
                "128M, from MYSQL_MEMORY",
            ),
            (
                Some(512),
                Some(256),
                8192,
                256,
                256,
                "256M, from /c/memory.max",
            ),
            (Some(4096), None, 8192, 4096, 4096, "4G, from MYSQL_MEMORY"),
            (
                None,
                None,
                8192,
                1024,
                8192,
                "1G, a modest part of this machine's 8G: there is no limit",
            ),
            (
                None,
                None,
                1000,
                500,
                1000,
                "500M, a modest part of this machine's 1000M: there is no limit",
            ),
        ] {
            let input = chosen(wanted, limit, machine);
            let memory = Memory {
                budget: budget * MIB,
                bound: bound * MIB,
            };
            assert_eq!(input.memory, memory, "{told}");
            assert_eq!(input.told(), told);
        }
    }

    #[test]
    fn warning_only_for_an_input_above_the_limit() {
        let warning = chosen(Some(512), Some(256), 8192).warning();
        let text = "MYSQL_MEMORY asks for 512M, and the limit is 256M: planning for that";
        assert_eq!(warning.as_deref(), Some(text));
        assert_eq!(chosen(Some(256), Some(256), 8192).warning(), None);
        assert_eq!(chosen(Some(512), None, 8192).warning(), None);
    }

    #[test]
    fn from_environment_names_and_sizes() {
        let read = |name: &str, value: &str| {
            MemoryInput::from_environment(&[(name, value)].into_iter().collect())
        };
        for name in [
            "MYSQL_MEMORY",
            "MARIADB_MEMORY",
            "SERVICE_CONFIG_MYSQL_MEMORY",
        ] {
            let input = read(name, "64m").unwrap();
            assert_eq!(input.memory.budget, 64 * MIB);
            assert_eq!(input.origin, MemoryOrigin::Variable(name.to_owned()));
        }
        for value in ["512", "lots", "512MB", "-1M", "1.5G"] {
            assert_eq!(
                read("MYSQL_MEMORY", value).unwrap_err().to_string(),
                format!("MYSQL_MEMORY is '{value}', which is not an amount of memory")
            );
        }
    }
}
