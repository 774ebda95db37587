//! Which glibc this machine runs. Read from the library itself: repack is linked statically, so it
//! cannot ask its own. Runs no other program.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use thiserror::Error;

/// Where Debian, Red Hat, SUSE and Arch keep it, on both processors.
const PLACES: [&str; 6] = [
    "lib64/libc.so.6",
    "lib/x86_64-linux-gnu/libc.so.6",
    "lib/aarch64-linux-gnu/libc.so.6",
    "usr/lib64/libc.so.6",
    "usr/lib/libc.so.6",
    "lib/libc.so.6",
];

/// The library prints this when it is run as a program; 2.0 and 2.41 alike.
const BANNER: &[u8] = b" release version ";

/// A glibc version, as in `glibc2.28`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Glibc(pub(crate) u32, pub(crate) u32);

impl Glibc {
    /// That of the system below `root`, if there is one.
    pub(crate) fn below(root: &Path) -> Option<Self> {
        PLACES
            .iter()
            .filter_map(|place| fs::read(root.join(place)).ok())
            .find_map(|library| Self::in_banner(&library))
    }

    fn in_banner(library: &[u8]) -> Option<Self> {
        let at = library
            .windows(BANNER.len())
            .position(|bytes| bytes == BANNER)?;
        let rest = &library[at + BANNER.len()..];
        let is_version = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let end = rest.iter().position(|byte| !is_version(byte))?;
        let text = std::str::from_utf8(&rest[..end]).ok()?;
        text.trim_end_matches('.').parse().ok()
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Not a glibc version.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a glibc version is two numbers, such as 2.28")]
pub(crate) struct GlibcError;

impl FromStr for Glibc {
    type Err = GlibcError;

    fn from_str(text: &str) -> Result<Self, GlibcError> {
        let mut numbers = text.split('.').map(|number| number.parse().ok());
        // Releases such as 2.12.2 fit whatever 2.12 fits.
        match (numbers.next(), numbers.next()) {
            (Some(Some(major)), Some(Some(minor))) => Ok(Self(major, minor)),
            _ => Err(GlibcError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banner_of_each_distribution_is_read() {
        let rows = [
            (
                "GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.\n",
                Glibc(2, 36),
            ),
            (
                "GNU C Library (GNU libc) stable release version 2.34.\n",
                Glibc(2, 34),
            ),
            (
                "GNU C Library stable release version 2.12, by Roland McGrath et al.\n",
                Glibc(2, 12),
            ),
            (
                "GNU C Library stable release version 2.11.3 (20110527), by",
                Glibc(2, 11),
            ),
        ];
        for (banner, version) in rows {
            let library = [b"\x7fELF\0\0", banner.as_bytes(), b"\0\0"].concat();
            assert_eq!(Glibc::in_banner(&library), Some(version), "{banner}");
        }
        assert_eq!(Glibc::in_banner(b"\x7fELF musl libc"), None);
    }

    #[test]
    fn glibc_of_this_machine_is_what_its_loader_says() {
        let output = std::process::Command::new("getconf")
            .arg("GNU_LIBC_VERSION")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let here = Glibc::below(Path::new("/")).unwrap();
        assert_eq!(text.trim(), format!("glibc {here}"));
    }

    #[test]
    fn version_that_is_none_is_refused_with_exact_text() {
        assert_eq!("2.28".parse(), Ok(Glibc(2, 28)));
        assert!(Glibc(2, 4) < Glibc(2, 12));
        for text in ["", "2", "two.three", "2."] {
            let error = text.parse::<Glibc>().unwrap_err();
            assert_eq!(
                error.to_string(),
                "a glibc version is two numbers, such as 2.28"
            );
        }
    }
}
