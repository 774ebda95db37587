//! First-run files: the SQL that a fresh database begins with, in the order of the files' names.
//! Knows their names and how to read them; a name that says nothing is an error, never passed over.

mod run;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use thiserror::Error;
use xz2::bufread::XzDecoder;

pub(crate) use run::log_errors;
pub use run::{FirstRun, FirstRunError, client_errors, log_evidence};

/// Compressed input is read in pieces of this size.
const BUFFER: usize = 1 << 16;

/// A file of `initdb.d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstRunFile {
    /// Where it is.
    pub path: PathBuf,
    compression: Option<Compression>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    Gzip,
    Xz,
    Zstd,
}

impl FirstRunFile {
    /// The files in `directory`, sorted by the bytes of their names; none if it is not there. Hidden
    /// files, such as `.gitkeep`, do not count.
    pub fn all(directory: &Path) -> Result<Vec<Self>, FirstRunFileError> {
        let Listing { files, strangers } = Listing::of(directory)?;
        if strangers.is_empty() {
            return Ok(files);
        }
        Err(FirstRunFileError::Name {
            path: directory.to_owned(),
            names: strangers,
        })
    }

    /// Those in `directory` as whoever starts a container mounts it for the official images, and the names
    /// of what is left out. Scripts, which those would run, are refused.
    pub fn mounted(directory: &Path) -> Result<(Vec<Self>, Vec<String>), FirstRunFileError> {
        let Listing { files, strangers } = Listing::of(directory)?;
        let is_script = |name: &String| Path::new(name).extension() == Some("sh".as_ref());
        let (scripts, left_out): (Vec<_>, Vec<_>) = strangers.into_iter().partition(is_script);
        if scripts.is_empty() {
            return Ok((files, left_out));
        }
        Err(FirstRunFileError::Script {
            path: directory.to_owned(),
            names: scripts,
        })
    }

    /// The file `path` by its name, if that is a first-run file's.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy();
        Some(Self {
            path: path.to_owned(),
            compression: compression(&name)?,
        })
    }

    /// Its name, for narration.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
    /// Its SQL, without a first line that is meant for another client. A compressed file that is damaged
    /// or cut short fails while it is read.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let mut sql = BufReader::with_capacity(BUFFER, self.content()?);
        let mut begin = first_bytes(&mut sql)?;
        let skipped = sandbox_line(&begin).unwrap_or(0);
        let begin = io::Cursor::new(begin.split_off(skipped));
        Ok(Box::new(begin.chain(sql)))
    }

    fn content(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = File::open(&self.path)?;
        let Some(compression) = self.compression else {
            return Ok(Box::new(file));
        };
        let file = BufReader::with_capacity(BUFFER, file);
        Ok(match compression {
            Compression::Gzip => Box::new(MultiGzDecoder::new(file)),
            Compression::Xz => Box::new(XzDecoder::new_multi_decoder(file)),
            Compression::Zstd => Box::new(zstd::Decoder::with_buffer(file)?),
        })
    }

    /// Reads it to its end, as a first start will.
    pub fn check(&self) -> Result<(), FirstRunFileError> {
        self.open()
            .and_then(|mut sql| io::copy(&mut sql, &mut io::sink()))
            .map(drop)
            .map_err(|source| self.unreadable(source))
    }

    pub(crate) fn unreadable(&self, source: io::Error) -> FirstRunFileError {
        let path = self.path.clone();
        FirstRunFileError::Read { path, source }
    }
}

/// What is in a directory of first-run files.
#[derive(Default)]
struct Listing {
    /// Sorted by the bytes of their names.
    files: Vec<FirstRunFile>,
    /// The names of everything else but hidden files, sorted.
    strangers: Vec<String>,
}

impl Listing {
    /// Empty if `directory` is not there.
    fn of(directory: &Path) -> Result<Self, FirstRunFileError> {
        let list = |source| FirstRunFileError::List {
            path: directory.to_owned(),
            source,
        };
        let entries = match directory.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(list(error)),
        };
        let (mut files, mut strangers) = (Vec::new(), Vec::new());
        for entry in entries {
            let name = entry.map_err(list)?.file_name();
            let name_text = name.to_string_lossy();
            if name_text.starts_with('.') {
                continue;
            }
            match compression(&name_text) {
                Some(compression) => files.push(FirstRunFile {
                    path: directory.join(&name),
                    compression,
                }),
                None => strangers.push(name_text.into_owned()),
            }
        }
        strangers.sort();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files, strangers })
    }
}

/// How MariaDB's dumps begin since 2024: a command for its own clients of then. Older ones and MySQL's end
/// there with "Unknown command".
const SANDBOX: [&str; 2] = [
    "/*!999999\\- enable the sandbox mode */",
    "/*M!999999\\- enable the sandbox mode */",
];

/// As many as such a line may have, if there are that many.
fn first_bytes(sql: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut begin = Vec::new();
    sql.take(64).read_to_end(&mut begin)?;
    Ok(begin)
}

/// The length of such a line at the beginning, without its end: the lines keep their numbers.
fn sandbox_line(begin: &[u8]) -> Option<usize> {
    let line = |text: &&str| begin.starts_with(text.as_bytes());
    SANDBOX
        .iter()
        .find(|text| line(text))
        .map(|text| text.len())
}

/// What `name` ends in; `None` if it is not the name of a first-run file.
#[expect(
    clippy::option_option,
    reason = "plain SQL is not compressed, other names are nothing"
)]
fn compression(name: &str) -> Option<Option<Compression>> {
    [
        (".sql", None),
        (".sql.gz", Some(Compression::Gzip)),
        (".sql.xz", Some(Compression::Xz)),
        (".sql.zst", Some(Compression::Zstd)),
    ]
    .into_iter()
    .find(|(ending, _)| name.ends_with(ending))
    .map(|(_, compression)| compression)
}

/// A first-run file cannot be used.
#[derive(Debug, Error)]
pub enum FirstRunFileError {
    /// The directory.
    #[error("cannot list {path}", path = path.display())]
    List {
        /// The directory of first-run files.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Names that are not those of first-run files.
    #[error("{path} holds what is not SQL: {list}", path = path.display(), list = names.join(", "))]
    Name {
        /// The directory of first-run files.
        path: PathBuf,
        /// All of them.
        names: Vec<String>,
    },
    /// What the official images would run.
    #[error("{path} holds scripts, which are not run: {list}", path = path.display(), list = names.join(", "))]
    Script {
        /// The directory of first-run files.
        path: PathBuf,
        /// All of them.
        names: Vec<String>,
    },
    /// Unreadable, damaged or cut short.
    #[error("cannot read the first-run file {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    const SQL: &[u8] = b"CREATE TABLE t (i INT);\n";

    fn write(dir: &Path, name: &str, content: &[u8]) {
        fs::write(dir.join(name), content).unwrap();
    }

    /// `SQL` twice, each compressed by itself: a stream of two members.
    fn two_members(name: &str) -> Vec<u8> {
        let member = |bytes: &[u8]| match name.rsplit('.').next() {
            Some("gz") => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Some("xz") => {
                let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Some("zst") => zstd::encode_all(bytes, 1).unwrap(),
            _ => bytes.to_vec(),
        };
        [member(SQL), member(SQL)].concat()
    }

    #[test]
    fn all_every_format_is_read_in_name_order() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["10-a.sql.zst", "9-b.sql.gz", "B.sql", "a.sql.xz"];
        for name in ["a.sql.xz", "B.sql", "9-b.sql.gz", "10-a.sql.zst"] {
            write(dir.path(), name, &two_members(name));
        }
        write(dir.path(), ".gitkeep", b"");
        let files = FirstRunFile::all(dir.path()).unwrap();
        assert_eq!(
            files.iter().map(FirstRunFile::name).collect::<Vec<_>>(),
            names
        );
        for file in files {
            let mut sql = Vec::new();
            file.open().unwrap().read_to_end(&mut sql).unwrap();
            assert_eq!(sql, [SQL, SQL].concat(), "{}", file.name());
            file.check().unwrap();
        }
    }

    #[test]
    fn open_first_line_for_another_client_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for (text, expected) in [
            (
                "/*!999999\\- enable the sandbox mode */ \nDO 1;\n",
                " \nDO 1;\n",
            ),
            (
                "/*M!999999\\- enable the sandbox mode */\r\nDO 1;",
                "\r\nDO 1;",
            ),
            ("/*!999999 DO 1 */;", "/*!999999 DO 1 */;"),
            ("", ""),
        ] {
            write(dir.path(), "a.sql", text.as_bytes());
            let [file] = &FirstRunFile::all(dir.path()).unwrap()[..] else {
                panic!("one file");
            };
            let mut sql = String::new();
            file.open().unwrap().read_to_string(&mut sql).unwrap();
            assert_eq!(sql, expected, "{text}");
        }
    }

    #[test]
    fn all_absent_directory_holds_none() {
        let dir = tempfile::tempdir().unwrap();
        let absent = dir.path().join("initdb.d");
        assert_eq!(FirstRunFile::all(&absent).unwrap(), []);
        fs::write(&absent, "a file").unwrap();
        let error = FirstRunFile::all(&absent).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot list {}", absent.display())
        );
    }

    #[test]
    fn all_other_names_are_refused_together() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["1.sql", "2.SQL", "3.sh", "4.sql.bz2", "README"] {
            write(dir.path(), name, b"");
        }
        assert_eq!(
            FirstRunFile::all(dir.path()).unwrap_err().to_string(),
            format!(
                "{} holds what is not SQL: 2.SQL, 3.sh, 4.sql.bz2, README",
                dir.path().display()
            )
        );
    }

    #[test]
    fn mounted_scripts_are_refused_and_others_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["1.sql", "2.sql.bz2", "README"] {
            write(dir.path(), name, b"");
        }
        let (files, left_out) = FirstRunFile::mounted(dir.path()).unwrap();
        assert_eq!(files[0].name(), "1.sql");
        assert_eq!(
            (files.len(), left_out),
            (1, vec!["2.sql.bz2".into(), "README".into()])
        );
        for name in ["b.sh", "a.sh"] {
            write(dir.path(), name, b"");
        }
        assert_eq!(
            FirstRunFile::mounted(dir.path()).unwrap_err().to_string(),
            format!(
                "{} holds scripts, which are not run: a.sh, b.sh",
                dir.path().display()
            )
        );
        let absent = dir.path().join("absent");
        assert_eq!(FirstRunFile::mounted(&absent).unwrap(), (vec![], vec![]));
    }

    #[test]
    fn check_damaged_or_cut_short_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.sql.gz", "a.sql.xz", "a.sql.zst"] {
            let whole = two_members(name);
            for length in [whole.len() - 1, whole.len() / 2 + 3, 3] {
                write(dir.path(), name, &whole[..length]);
                let [file] = &FirstRunFile::all(dir.path()).unwrap()[..] else {
                    panic!("one file");
                };
                let path = dir.path().join(name);
                assert_eq!(
                    file.check().unwrap_err().to_string(),
                    format!("cannot read the first-run file {}", path.display()),
                    "{length} bytes"
                );
            }
            fs::remove_file(dir.path().join(name)).unwrap();
        }
    }
}
