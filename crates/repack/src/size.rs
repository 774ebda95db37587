//! Sizes as people write them on a command line: bytes, or a number with K, M, G or T.

use std::str::FromStr;

use thiserror::Error;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = SizeError;

    /// Units are powers of 1024, as in option files.
    fn from_str(text: &str) -> Result<Self, SizeError> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let factor = match text[digits.len()..].to_ascii_uppercase().as_str() {
            "" => 1,
            "K" => 1 << 10,
            "M" => 1 << 20,
            "G" => 1 << 30,
            "T" => 1 << 40,
            _ => return Err(SizeError::NotASize),
        };
        let number: u64 = digits.parse().map_err(|_| SizeError::NotASize)?;
        match number.checked_mul(factor) {
            Some(0) | None => Err(SizeError::NotASize),
            Some(bytes) => Ok(Self(bytes)),
        }
    }
}

/// What was given is no size. clap shows it with the argument.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum SizeError {
    #[error("expected a number of bytes above zero, with K, M, G or T after it if you like")]
    NotASize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_of_each_shape_is_read_or_refused() {
        let rows = [
            ("1", Some(1)),
            ("512k", Some(512 << 10)),
            ("3M", Some(3 << 20)),
            ("32G", Some(32 << 30)),
            ("1T", Some(1 << 40)),
            ("", None),
            ("0", None),
            ("G", None),
            ("1.5G", None),
            ("-1", None),
            ("1GB", None),
            ("1é", None),
            ("99999999999T", None),
        ];
        for (text, bytes) in rows {
            assert_eq!(text.parse().ok(), bytes.map(Size), "{text}");
        }
        assert_eq!(
            "x".parse::<Size>().unwrap_err().to_string(),
            "expected a number of bytes above zero, with K, M, G or T after it if you like"
        );
    }
}
