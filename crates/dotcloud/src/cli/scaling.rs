//! The operands of `scale`: which service is to have how many instances or how much memory, rounded
//! as the platform's client did.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::application::Selection;

const MIB: u64 = 1 << 20;
/// Memory is given out in blocks of this size.
const BLOCK: u64 = 32 * MIB;
const MOST: u64 = 64 << 30;

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

/// An amount of memory, in whole blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Memory {
    bytes: u64,
}

impl Memory {
    pub(crate) fn bytes(self) -> u64 {
        self.bytes
    }
}

/// `512.0 M`.
impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.0 M", self.bytes / MIB)
    }
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

impl FromStr for Memory {
    type Err = ScalingError;

    /// Digits, then B, K, M or G, then maybe a B; digits alone are bytes. To the nearest block,
    /// half a block up, at least one.
    fn from_str(text: &str) -> Result<Self, ScalingError> {
        let bad = || ScalingError::Memory {
            text: text.to_owned(),
        };
        let upper = text.to_ascii_uppercase();
        let unit_at = upper
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(upper.len());
        let (digits, unit) = upper.split_at(unit_at);
        let shift = match unit {
            "" | "B" => 0,
            "K" | "KB" => 10,
            "M" | "MB" => 20,
            "G" | "GB" => 30,
            _ => return Err(bad()),
        };
        let count: u64 = digits.parse().map_err(|_| bad())?;
        let too_much = || ScalingError::TooMuch {
            text: text.to_owned(),
        };
        let bytes = count.checked_mul(1 << shift).ok_or_else(too_much)?;
        if bytes > MOST {
            return Err(too_much());
        }
        let blocks = ((bytes + BLOCK / 2) / BLOCK).max(1);
        Ok(Self {
            bytes: blocks * BLOCK,
        })
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
    #[error("'{text}' is not an amount of memory, such as 512M or 2G")]
    Memory { text: String },
    #[error("'{text}' is more than 64G of memory")]
    TooMuch { text: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_rounded_to_blocks() {
        for (text, mebibytes) in [
            ("512M", 512),
            ("500M", 512),
            ("47M", 32),
            ("48M", 64),
            ("49m", 64),
            // Bytes: the platform's own trap.
            ("512", 32),
            ("0", 32),
            ("512B", 32),
            ("1K", 32),
            ("65536kb", 64),
            ("1g", 1024),
            ("1GB", 1024),
            ("64G", 65536),
            ("134217728", 128),
        ] {
            let memory: Memory = text.parse().unwrap();
            assert_eq!(memory.bytes, mebibytes << 20, "{text}");
        }
        assert_eq!("1G".parse::<Memory>().unwrap().to_string(), "1024.0 M");
    }

    #[test]
    fn scaling_operands_are_read() {
        let scaling = |text: &str| {
            let scaling: Scaling = text.parse().unwrap();
            (scaling.service, scaling.change)
        };
        let db = || "db".to_owned();
        assert_eq!(scaling("db=3"), (db(), Change::Instances(3)));
        assert_eq!(scaling("db:instances=1"), (db(), Change::Instances(1)));
        let memory = Memory { bytes: BLOCK };
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
