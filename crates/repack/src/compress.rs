//! Compressing the result by several threads: as a zstd frame, as gzip members, or as the blocks of an
//! xz file. None lets the number of threads show in the bytes.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::ValueEnum;
use tarball::member;
use thiserror::Error;

use crate::blocks::{self, Blocks};
use crate::frame::{self, Frame};
use crate::members::Members;

/// How the result is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compression {
    /// Read by everything
    Gz,
    /// Smaller than gz, and slow
    Xz,
    /// Small and fast
    Zst,
}

/// Endings of names of compressed tarballs, and what they promise.
const ENDINGS: [(&str, Compression); 9] = [
    (".tar.gz", Compression::Gz),
    (".tgz", Compression::Gz),
    (".gz", Compression::Gz),
    (".tar.xz", Compression::Xz),
    (".txz", Compression::Xz),
    (".xz", Compression::Xz),
    (".tar.zst", Compression::Zst),
    (".tzst", Compression::Zst),
    (".zst", Compression::Zst),
];

/// Endings that promise what is never written.
const OTHERS: [&str; 14] = [
    ".tar", ".zip", ".7z", ".rar", ".bz2", ".tbz", ".tbz2", ".lz", ".lz4", ".lzma", ".lzo", ".z",
    ".rpm", ".deb",
];

impl Compression {
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Gz => ".tar.gz",
            Self::Xz => ".tar.xz",
            Self::Zst => ".tar.zst",
        }
    }

    /// The levels it has, and the one it has unless told otherwise.
    pub(crate) fn levels(self) -> (RangeInclusive<u32>, u32) {
        match self {
            Self::Gz | Self::Xz => (1..=9, 6),
            // From 13 on zstd takes more memory than docs/repack.md promises.
            Self::Zst => (1..=12, 3),
        }
    }

    /// What to compress with, by the name of the file to write and what was asked for.
    pub(crate) fn choose(
        name: Option<&Path>,
        asked: Option<Self>,
        level: Option<u32>,
    ) -> Result<(Self, u32), ChoiceError> {
        let promised = name.map_or(Ok(None), promised)?;
        let chosen = match (promised, asked) {
            (Some((ending, promised)), Some(asked)) if promised != asked => {
                return Err(ChoiceError::Contradiction { ending, asked });
            }
            (promised, asked) => asked.or(promised.map(|(_, format)| format)),
        };
        let chosen = chosen.unwrap_or(Self::Zst);
        let (levels, default) = chosen.levels();
        let level = level.unwrap_or(default);
        if !levels.contains(&level) {
            let most = *levels.end();
            return Err(ChoiceError::Level {
                level,
                chosen,
                most,
            });
        }
        Ok((chosen, level))
    }

    fn name(self) -> &'static str {
        self.suffix().trim_start_matches(".tar.")
    }
}

/// What a file called `name` has to be, if the name says so.
fn promised(name: &Path) -> Result<Option<(&'static str, Compression)>, ChoiceError> {
    let name = name
        .file_name()
        .map_or(&b""[..], OsStr::as_bytes)
        .to_ascii_lowercase();
    let known = ENDINGS
        .iter()
        .find(|(ending, _)| name.ends_with(ending.as_bytes()));
    let other = OTHERS
        .iter()
        .find(|ending| name.ends_with(ending.as_bytes()));
    match (known, other) {
        (Some(known), _) => Ok(Some(*known)),
        (None, Some(ending)) => Err(ChoiceError::Ending { ending }),
        (None, None) => Ok(None),
    }
}

/// The options and the name of the file to write do not go together.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum ChoiceError {
    #[error(
        "--output ends in '{ending}', and --format is '{asked}': leave out --format, or name the file \
         *{suffix}",
        asked = asked.name(),
        suffix = asked.suffix()
    )]
    Contradiction {
        ending: &'static str,
        asked: Compression,
    },
    #[error(
        "--output ends in '{ending}', which repack does not write: name it *.tar.zst, *.tar.gz or *.tar.xz"
    )]
    Ending { ending: &'static str },
    #[error("--level is {level}, and '{chosen}' has 1 to {most}", chosen = chosen.name())]
    Level {
        level: u32,
        chosen: Compression,
        most: u32,
    },
}

/// Whether a file that starts like this is a leftover of ours: nothing yet, or what we start with.
pub(crate) fn is_ours(start: &[u8]) -> bool {
    start.is_empty() || member::begins(start) || blocks::is_ours(start) || frame::is_ours(start)
}

/// Compresses what is written to it. Nothing is complete before [`Compressor::finish`].
pub(crate) enum Compressor<W: Write> {
    Gz(Members<W>),
    Xz(Blocks<W>),
    Zst(Frame<W>),
}

impl<W: Write> Compressor<W> {
    pub(crate) fn new(
        out: W,
        compression: Compression,
        level: u32,
        threads: NonZero<usize>,
    ) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gz => Self::Gz(Members::new(out, level, threads)?),
            Compression::Xz => Self::Xz(Blocks::new(out, level, threads)?),
            Compression::Zst => Self::Zst(Frame::new(out, level, threads)?),
        })
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Self::Gz(members) => members.finish().map(drop),
            Self::Xz(blocks) => blocks.finish(),
            Self::Zst(frame) => frame.finish(),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gz(members) => members.write(bytes),
            Self::Xz(blocks) => blocks.write(bytes),
            Self::Zst(frame) => frame.write(bytes),
        }
    }

    /// Would end a member, block or frame early, and so change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ours_only_what_is_written_here() {
        assert!(is_ours(b""), "killed before the first write");
        assert!(is_ours(&crate::blocks::tests::packed(b"x", 1)));
        assert!(is_ours(&crate::frame::tests::packed(b"x", 3, 1)));
        assert!(!is_ours(b"text"));
        let mut other = xz2::write::XzEncoder::new(Vec::new(), 0);
        other.write_all(b"x").unwrap();
        assert!(!is_ours(&other.finish().unwrap()), "one thread's xz");
        assert!(
            !is_ours(&zstd::encode_all(&b"x"[..], 3).unwrap()),
            "another window"
        );
    }

    #[test]
    fn choose_goes_by_the_name_and_refuses_what_contradicts_it() {
        use Compression::{Gz, Xz, Zst};
        let choose = |name: &str, asked| {
            Compression::choose(Some(Path::new(name)), asked, None)
                .map(|(format, _)| format)
                .map_err(|error| error.to_string())
        };
        let rows = [
            ("hooks/m.tar.gz", None, Gz),
            ("M.TGZ", None, Gz),
            ("m.tar.xz", Some(Xz), Xz),
            ("m.txz", None, Xz),
            ("m.tar.zst", None, Zst),
            ("m.tzst", None, Zst),
            ("mysql-8.4", None, Zst),
            ("out", Some(Gz), Gz),
        ];
        for (name, asked, format) in rows {
            assert_eq!(choose(name, asked), Ok(format), "{name}");
        }
        assert_eq!(Compression::choose(None, None, None), Ok((Zst, 3)));
        assert_eq!(
            choose("m.tar.gz", Some(Xz)).unwrap_err(),
            "--output ends in '.tar.gz', and --format is 'xz': leave out --format, or name the file *.tar.xz"
        );
        assert_eq!(
            choose("m.zip", Some(Gz)).unwrap_err(),
            "--output ends in '.zip', which repack does not write: name it *.tar.zst, *.tar.gz or *.tar.xz"
        );
    }

    #[test]
    fn choose_knows_the_levels_of_each_format() {
        use Compression::{Gz, Zst};
        let choose = |asked, level| Compression::choose(None, asked, Some(level));
        assert_eq!(choose(None, 12), Ok((Zst, 12)));
        assert_eq!(
            choose(Some(Gz), 10).unwrap_err().to_string(),
            "--level is 10, and 'gz' has 1 to 9"
        );
        assert_eq!(
            choose(None, 13).unwrap_err().to_string(),
            "--level is 13, and 'zst' has 1 to 12"
        );
    }
}
