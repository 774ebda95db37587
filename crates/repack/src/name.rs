//! Entry names as they stand in the archive, made into a top directory and a path below it.
//! Refuses names that could lead out of the directory one unpacks in.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

/// `top/inner`; `inner` is empty for the top directory itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) top: OsString,
    pub(crate) inner: PathBuf,
}

/// Why a name is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum NameError {
    #[error("is an absolute path")]
    Absolute,
    #[error("contains '..'")]
    Parent,
    #[error("contains a NUL byte")]
    Nul,
    #[error("is more than 64 directories deep")]
    Deep,
    #[error("is long and not UTF-8")]
    Encoding,
}

/// Every directory above a path is judged too, which deep ones could make take for ever. Vendors go
/// ten deep.
const DEEPEST: usize = 64;

/// A tar header's own field for a name. Longer ones the `tar` crate writes as UTF-8 only.
const HEADER_NAME: usize = 100;

impl Name {
    /// Reads a name; `None` for `./`, which many tarballs start with.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, NameError> {
        if bytes.contains(&0) {
            return Err(NameError::Nul);
        }
        // A directory's name gets a slash.
        if bytes.len() >= HEADER_NAME && str::from_utf8(bytes).is_err() {
            return Err(NameError::Encoding);
        }
        let mut parts = Vec::new();
        for component in Path::new(OsStr::from_bytes(bytes)).components() {
            match component {
                Component::Normal(part) => parts.push(part),
                Component::CurDir => {}
                Component::ParentDir => return Err(NameError::Parent),
                Component::RootDir | Component::Prefix(_) => return Err(NameError::Absolute),
            }
        }
        if parts.len() > DEEPEST + 1 {
            return Err(NameError::Deep);
        }
        Ok(parts.split_first().map(|(top, inner)| Self {
            top: top.into(),
            inner: inner.iter().collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_each_shape_is_split_or_refused() {
        let name = |top: &str, inner: &str| {
            let (top, inner) = (top.into(), inner.into());
            Ok(Some(Name { top, inner }))
        };
        let rows: &[(&[u8], _, &str)] = &[
            (b"top/bin/mysqld", name("top", "bin/mysqld"), "the usual"),
            (b"./top/bin/", name("top", "bin"), "tar -C dir ."),
            (b"top", name("top", ""), "the top directory"),
            (b"top//a/./b", name("top", "a/b"), "redundant parts"),
            (b"./", Ok(None), "the directory packed"),
            (b"", Ok(None), "no name at all"),
            (b"/etc/passwd", Err(NameError::Absolute), "absolute"),
            (b"top/../../x", Err(NameError::Parent), "leads out"),
            (
                b"top/a/../b",
                Err(NameError::Parent),
                "stays in, but no vendor writes it",
            ),
            (b"top/..a/b..", name("top", "..a/b.."), "dots inside a name"),
            (
                b"top/a\0b",
                Err(NameError::Nul),
                "only a PAX header can hold it",
            ),
        ];
        for (bytes, expected, reason) in rows {
            assert_eq!(&Name::parse(bytes), expected, "{reason}");
        }
        let latin_1 = |length| Name::parse(&b"\xfc".repeat(length)).err();
        assert_eq!(
            [latin_1(99), latin_1(100)],
            [None, Some(NameError::Encoding)]
        );
        let deep = |depth| Name::parse(&b"d/".repeat(depth)).err();
        assert_eq!([deep(65), deep(66)], [None, Some(NameError::Deep)]);
    }

    #[test]
    fn name_error_of_each_kind_has_exact_text() {
        assert_eq!(NameError::Absolute.to_string(), "is an absolute path");
        assert_eq!(NameError::Parent.to_string(), "contains '..'");
        assert_eq!(NameError::Nul.to_string(), "contains a NUL byte");
        assert_eq!(
            NameError::Deep.to_string(),
            "is more than 64 directories deep"
        );
        assert_eq!(NameError::Encoding.to_string(), "is long and not UTF-8");
    }
}
