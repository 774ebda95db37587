//! An amount of memory, as an instance is given it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

const MIB: u64 = 1 << 20;
/// Memory is given out in blocks of this size.
const BLOCK: u64 = 32 * MIB;
const MOST: u64 = 64 << 30;

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

impl FromStr for Memory {
    type Err = MemoryError;

    /// Digits, then B, K, M or G, then maybe a B; digits alone are bytes. To the nearest block,
    /// half a block up, at least one.
    fn from_str(text: &str) -> Result<Self, MemoryError> {
        let bad = || MemoryError::Form {
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
        let too_much = || MemoryError::TooMuch {
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

/// Not an amount of memory that an instance can have.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum MemoryError {
    #[error("'{text}' is not an amount of memory, such as 512M or 2G")]
    Form { text: String },
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
}
