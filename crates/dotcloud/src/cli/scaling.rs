//! The operands of `scale`: which service is to have how many instances or how much memory, rounded
//! as the platform's client did.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::model::application::Selection;
use crate::model::memory::{Memory, MemoryError};

/// `SVC=N`, `SVC:instances=N` or `SVC:memory=SIZE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scaling {
    pub(crate) service: String,
    pub(crate) change: Change,
}

/// What is to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Instances(u32),
    Memory(Memory),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instances(count) => write!(f, "{count}"),
            Self::Memory(memory) => memory.fmt(f),
        }
    }
}

impl Change {
    /// What is changed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Instances(_) => "instances",
            Self::Memory(_) => "memory",
        }
    }
}

impl FromStr for Scaling {
    type Err = ScalingError;

    fn from_str(text: &str) -> Result<Self, ScalingError> {
        let form = || ScalingError::Form {
            text: text.to_owned(),
        };
        let (what, value) = text.split_once('=').ok_or_else(form)?;
        let (service, key) = what.split_once(':').unwrap_or((what, "instances"));
        // The same rule as everywhere else, and no number.
        let selection: Selection = service.parse().map_err(|_| form())?;
        if selection.number.is_some() {
            return Err(form());
        }
        let change = match key {
            "instances" => match value.parse() {
                Ok(count @ 1..) => Change::Instances(count),
                _ => {
                    return Err(ScalingError::Instances {
                        text: value.to_owned(),
                    });
                }
            },
            "memory" => Change::Memory(value.parse()?),
            _ => return Err(form()),
        };
        Ok(Self {
            service: selection.service,
            change,
        })
    }
}

/// An operand of `scale` that means nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ScalingError {
    #[error("'{text}' is neither SERVICE=N, SERVICE:instances=N nor SERVICE:memory=SIZE")]
    Form { text: String },
    #[error("'{text}' is not a number of instances from 1")]
    Instances { text: String },
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_operands_are_read() {
        let scaling = |text: &str| {
            let scaling: Scaling = text.parse().unwrap();
            (scaling.service, scaling.change)
        };
        let db = || "db".to_owned();
        assert_eq!(scaling("db=3"), (db(), Change::Instances(3)));
        assert_eq!(scaling("db:instances=1"), (db(), Change::Instances(1)));
        let memory = "32M".parse().unwrap();
        assert_eq!(scaling("db:memory=1B"), (db(), Change::Memory(memory)));
    }

    #[test]
    fn scaling_errors_have_exact_texts() {
        let form = |text: &str| {
            format!("'{text}' is neither SERVICE=N, SERVICE:instances=N nor SERVICE:memory=SIZE")
        };
        let number = |text: &str| format!("'{text}' is not a number of instances from 1");
        let size = |text: &str| format!("'{text}' is not an amount of memory, such as 512M or 2G");
        let much = |text: &str| format!("'{text}' is more than 64G of memory");
        for (operand, text) in [
            ("db", form("db")),
            ("db.1=2", form("db.1=2")),
            ("Db=2", form("Db=2")),
            ("db:disk=2", form("db:disk=2")),
            ("db=0", number("0")),
            ("db=-1", number("-1")),
            ("db=x", number("x")),
            ("db:memory=", size("")),
            ("db:memory=M", size("M")),
            ("db:memory=1.5G", size("1.5G")),
            ("db:memory=1T", size("1T")),
            ("db:memory=-1M", size("-1M")),
            ("db:memory=65G", much("65G")),
            ("db:memory=99999999999999999G", much("99999999999999999G")),
        ] {
            assert_eq!(operand.parse::<Scaling>().unwrap_err().to_string(), text);
        }
    }
}
