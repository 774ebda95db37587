//! What a file is, by its first bytes.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// RFC 1952.
    Gzip,
    /// With LZMA2.
    Xz,
    /// RFC 8878.
    Zstd,
}

/// What a file's first bytes say it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Something that inflates.
    Compressed(Codec),
    /// An archive, not compressed.
    Tar,
    /// Something known that is no tarball.
    Foreign(Foreign),
    /// Nothing known.
    Unknown,
}

/// Something known that is no tarball.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// By its usual name.
    pub what: &'static str,
    /// What to do instead.
    pub next: &'static str,
}

const fn foreign(what: &'static str, next: &'static str) -> Foreign {
    Foreign { what, next }
}

const CONVERT: &str = "convert it: unpack it and run 'tar czf NAME.tar.gz DIRECTORY'";
const INSTEAD: &str =
    "download the vendor's binary tarball instead: 'Linux - Generic', a .tar.xz or .tar.gz";
const BESIDE: &str = "it goes with the tarball: download that too";
const ANSWER: &str = "open it to see why the vendor sent it; download the tarball again";
const AGAIN: &str = "compare its size and checksum with the vendor's, and download it again";
const PAGE: Foreign = foreign("a web page", ANSWER);

/// What files start with. The first that matches counts.
const MAGICS: [(&[u8], Foreign); 20] = [
    (
        b"PK\x03\x04",
        foreign(
            "a zip file",
            "vendors ship zip for Windows only: download 'Linux - Generic', a .tar.xz or .tar.gz",
        ),
    ),
    (b"BZh", foreign("a bzip2 file", CONVERT)),
    (b"7z\xbc\xaf\x27\x1c", foreign("a 7z file", CONVERT)),
    (b"Rar!", foreign("a rar file", CONVERT)),
    (b"LZIP", foreign("an lzip file", CONVERT)),
    (b"\x04\x22\x4d\x18", foreign("an lz4 file", CONVERT)),
    (b"\x1f\x9d", foreign("a file of 'compress'", CONVERT)),
    (b"\xed\xab\xee\xdb", foreign("an RPM package", INSTEAD)),
    (b"!<arch>\ndebian", foreign("a Debian package", INSTEAD)),
    (b"!<arch>", foreign("a static library", INSTEAD)),
    (b"xar!", foreign("a macOS package", INSTEAD)),
    (b"\xd0\xcf\x11\xe0", foreign("a Windows installer", INSTEAD)),
    (b"MZ", foreign("a Windows program", INSTEAD)),
    (b"\x7fELF", foreign("an executable", INSTEAD)),
    (b"\xcf\xfa\xed\xfe", foreign("a macOS program", INSTEAD)),
    (b"\xca\xfe\xba\xbe", foreign("a macOS program", INSTEAD)),
    (b"#!", foreign("a script", INSTEAD)),
    (b"-----BEGIN PGP", foreign("a signature", BESIDE)),
    (
        b"version https://git-lfs",
        foreign("a Git LFS pointer, not the file", "run 'git lfs pull'"),
    ),
    (b"{", foreign("a JSON document", ANSWER)),
];

impl Format {
    /// Tells the format by the first bytes; 512 are enough.
    #[must_use]
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => return Self::Compressed(Codec::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => return Self::Compressed(Codec::Xz),
            // A frame, or one to be skipped, as pzstd starts its files.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                return Self::Compressed(Codec::Zstd);
            }
            _ if is_archive(start) => return Self::Tar,
            _ => {}
        }
        let known = MAGICS.iter().find(|(magic, _)| start.starts_with(magic));
        let text = without_bom(start).trim_ascii_start();
        match known {
            Some((_, foreign)) => Self::Foreign(*foreign),
            None if text.first() == Some(&b'<') => Self::Foreign(PAGE),
            None if is_checksum(text) => Self::Foreign(foreign("a checksum", BESIDE)),
            None => Self::Unknown,
        }
    }
}

/// Text in UTF-8 or UTF-16, the latter's zeros included, without its mark.
fn without_bom(start: &[u8]) -> &[u8] {
    const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff\0"];
    let mark = MARKS.iter().find_map(|mark| start.strip_prefix(*mark));
    mark.unwrap_or(start)
}

/// What md5sum, sha256sum and their kin write.
fn is_checksum(text: &[u8]) -> bool {
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let digits = digits.count();
    let ends = text.get(digits).is_none_or(u8::is_ascii_whitespace);
    [32, 40, 64, 128].contains(&digits) && ends
}

const BLOCK: usize = 512;

/// Whether a file that starts like this is an archive: its first block has the checksum of a header, which is
/// the sum of its bytes, those of the sum itself counted as spaces.
#[must_use]
pub fn is_archive(start: &[u8]) -> bool {
    const SUM: std::ops::Range<usize> = 148..156;
    let Some(block) = start.first_chunk::<BLOCK>() else {
        return false;
    };
    let digits = block[SUM].trim_ascii_start();
    let digits = digits.split(|byte| [0, b' '].contains(byte)).next();
    let recorded = digits
        .and_then(|digits| str::from_utf8(digits).ok())
        .and_then(|digits| u32::from_str_radix(digits, 8).ok());
    let others = block[..SUM.start].iter().chain(&block[SUM.end..]);
    let sum = others.map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
    recorded == Some(sum)
}

/// A file that holds no tar archive.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoTarball {
    /// Not a byte.
    #[error("{path} is empty", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Something else.
    #[error("{path} is {what}, not a .tar, .tar.gz, .tar.xz or .tar.zst", path = path.display(), what = foreign.what)]
    Other {
        /// The file.
        path: PathBuf,
        /// What it is.
        foreign: Foreign,
    },
    /// Nobody knows what.
    #[error("{path} is not a .tar, .tar.gz, .tar.xz or .tar.zst", path = path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// Something else, compressed.
    #[error("{path} holds {what}, not a tar archive", path = path.display(), what = foreign.what)]
    Holds {
        /// The file.
        path: PathBuf,
        /// What is in it.
        foreign: Foreign,
    },
    /// As some servers do to what they send.
    #[error("{path} is compressed twice", path = path.display())]
    Twice {
        /// The file.
        path: PathBuf,
    },
}

impl NoTarball {
    /// How the file `path` that starts like this is compressed, if it is.
    pub fn judge(path: &Path, start: &[u8]) -> Result<Option<Codec>, Self> {
        let path = path.to_owned();
        match Format::of(start) {
            _ if start.is_empty() => Err(Self::Empty { path }),
            Format::Foreign(foreign) => Err(Self::Other { path, foreign }),
            Format::Unknown => Err(Self::Unknown { path }),
            Format::Tar => Ok(None),
            Format::Compressed(codec) => Ok(Some(codec)),
        }
    }

    /// Whether the file `path` that inflates to what starts like this can hold an archive.
    pub fn judge_inflated(path: &Path, start: &[u8]) -> Result<(), Self> {
        let path = path.to_owned();
        match Format::of(start) {
            Format::Foreign(foreign) => Err(Self::Holds { path, foreign }),
            Format::Compressed(_) => Err(Self::Twice { path }),
            // Whoever reads the archive tells a damaged one from none.
            Format::Tar | Format::Unknown => Ok(()),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            Self::Empty { .. } | Self::Unknown { .. } => AGAIN,
            Self::Other { foreign, .. } | Self::Holds { foreign, .. } => foreign.next,
            Self::Twice { .. } => {
                "inflate it once, for example with 'gzip -dc FILE >NAME.tar.gz', and take what comes out"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_of_each_magic_is_told() {
        let mut header = tar::Header::new_gnu();
        header.set_path("my-1/").unwrap();
        header.set_cksum();
        let tar = header.as_bytes();
        let mut v7 = tar::Header::new_old();
        v7.set_path("my-1/").unwrap();
        v7.set_cksum();
        let rows: &[(&[u8], Format)] = &[
            (b"\x1f\x8b\x08", Format::Compressed(Codec::Gzip)),
            (b"\xfd7zXZ\0", Format::Compressed(Codec::Xz)),
            (b"\x28\xb5\x2f\xfd", Format::Compressed(Codec::Zstd)),
            (b"\x50\x2a\x4d\x18", Format::Compressed(Codec::Zstd)),
            (tar, Format::Tar),
            (v7.as_bytes(), Format::Tar),
            (&tar[..511], Format::Unknown),
            (b"hello", Format::Unknown),
            (&[0; 600], Format::Unknown),
            (b"", Format::Unknown),
        ];
        for (start, format) in rows {
            assert_eq!(Format::of(start), *format, "{start:?}");
        }
        let others: &[(&[u8], &str)] = &[
            (b"BZh9", "a bzip2 file"),
            (b"PK\x03\x04", "a zip file"),
            (b"\n<!DOCTYPE html>", "a web page"),
            (b"\xef\xbb\xbf<html>", "a web page"),
            (b"\xff\xfe<\0h\0", "a web page"),
            (b"\xed\xab\xee\xdb\x03", "an RPM package"),
            (b"!<arch>\ndebian-binary", "a Debian package"),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                "a Git LFS pointer, not the file",
            ),
            (b"-----BEGIN PGP SIGNATURE-----\n", "a signature"),
            (
                b"d41d8cd98f00b204e9800998ecf8427e  x.tar.gz\n",
                "a checksum",
            ),
            (b"{\"error\":404}", "a JSON document"),
            (b"MZ\x90\0", "a Windows program"),
            (b"\x7fELF\x02", "an executable"),
        ];
        for (start, what) in others {
            let Format::Foreign(foreign) = Format::of(start) else {
                panic!("{what}");
            };
            assert_eq!(foreign.what, *what);
        }
    }

    #[test]
    fn no_tarball_of_each_kind_has_exact_text() {
        let path = Path::new("/m.tar.gz");
        let text = |start: &[u8]| NoTarball::judge(path, start).unwrap_err().to_string();
        let neither = "not a .tar, .tar.gz, .tar.xz or .tar.zst";
        assert_eq!(text(b""), "/m.tar.gz is empty");
        assert_eq!(text(b"hello"), format!("/m.tar.gz is {neither}"));
        assert_eq!(text(b"<p>"), format!("/m.tar.gz is a web page, {neither}"));
        let inflated = |start: &[u8]| NoTarball::judge_inflated(path, start);
        let text = |start: &[u8]| inflated(start).unwrap_err().to_string();
        assert_eq!(text(b"\x1f\x8b\x08"), "/m.tar.gz is compressed twice");
        assert_eq!(
            text(b"<p>"),
            "/m.tar.gz holds a web page, not a tar archive"
        );
        assert_eq!(inflated(b"hello"), Ok(()));
    }
}
