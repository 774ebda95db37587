//! Checksums: what was asked for, and what the bytes have. SHA-256 is always computed, to be noted;
//! MD5, the one that MySQL's pages show, only where it is asked for.

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256};

/// A checksum in lower-case hexadecimal, with what computed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    Sha256(String),
    Md5(String),
}

impl Checksum {
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "SHA-256",
            Self::Md5(_) => "MD5",
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Sha256(hex) | Self::Md5(hex)) = self;
        f.write_str(hex)
    }
}

/// For the command line: 64 hexadecimal digits, in any form that people paste.
pub(crate) fn sha256(text: &str) -> Result<Checksum, String> {
    hexadecimal(text, 64).map(Checksum::Sha256)
}

/// For the command line: 32 hexadecimal digits, in any form that people paste.
pub(crate) fn md5(text: &str) -> Result<Checksum, String> {
    hexadecimal(text, 32).map(Checksum::Md5)
}

/// The only word of so many hexadecimal digits: alone, in a line of sha256sum (`HEX  FILE`) or of BSD's
/// (`SHA256 (FILE) = HEX`), behind `sha256:`, in capitals.
fn hexadecimal(text: &str, digits: usize) -> Result<String, String> {
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ':' | '=' | '*');
    let is_digits =
        |word: &&str| word.len() == digits && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut words = text.split(is_separator).filter(is_digits);
    match (words.next(), words.next()) {
        (Some(word), None) => Ok(word.to_ascii_lowercase()),
        _ => Err(format!("it has {digits} hexadecimal digits")),
    }
}

/// Computes while bytes pass by.
#[derive(Clone)]
pub(crate) struct Hasher {
    sha256: Sha256,
    md5: Option<Md5>,
}

impl Hasher {
    /// For comparing with `expected` in the end.
    pub(crate) fn new(expected: Option<&Checksum>) -> Self {
        let md5 = matches!(expected, Some(Checksum::Md5(_))).then(Md5::new);
        Self {
            sha256: Sha256::new(),
            md5,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    /// The SHA-256; or the checksum expected, and what the bytes have instead.
    pub(crate) fn finish(
        self,
        expected: Option<&Checksum>,
    ) -> Result<String, (Checksum, Checksum)> {
        let sha256 = hook::hexadecimal(&self.sha256.finalize());
        let found = match self.md5 {
            Some(md5) => Checksum::Md5(hook::hexadecimal(&md5.finalize())),
            None => Checksum::Sha256(sha256.clone()),
        };
        match expected {
            Some(expected) if *expected != found => Err((expected.clone(), found)),
            _ => Ok(sha256),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_read_in_each_form_that_people_paste() {
        let hex = "0123456789abcdef0123456789ABCDEF";
        let rows = [
            hex.to_owned(),
            format!(" {hex}\n"),
            format!("{hex}  mysql-8.4.6.tar.xz"),
            format!("{hex} *mysql-8.4.6.tar.xz"),
            format!("md5:{hex}"),
            format!("MD5: {hex}"),
            format!("MD5 (mysql-8.4.6.tar.xz) = {hex}"),
        ];
        for text in rows {
            let read = md5(&text).map(|it| it.to_string());
            assert_eq!(read, Ok(hex.to_lowercase()), "{text}");
        }
        for text in ["", "12", &format!("{hex} {hex}"), &hex[1..]] {
            let error = "it has 32 hexadecimal digits".to_owned();
            assert_eq!(md5(text), Err(error), "{text}");
        }
    }

    #[test]
    fn checksum_of_known_bytes_is_the_known_one() {
        let md5sum = md5("900150983CD24FB0D6963F7D28E17F72").unwrap();
        let mut hasher = Hasher::new(Some(&md5sum));
        hasher.update(b"a");
        hasher.update(b"bc");
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hasher.clone().finish(Some(&md5sum)), Ok(sum.into()));
        hasher.update(b"d");
        let (expected, found) = hasher.finish(Some(&md5sum)).unwrap_err();
        assert_eq!(expected, md5sum);
        assert_eq!(found.to_string(), "e2fc714c4727ee9395f324cd2e7f331f");
        assert_eq!(found.algorithm(), "MD5");
    }
}
