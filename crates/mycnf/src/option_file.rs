//! A MySQL or MariaDB option file as bytes: what is not edited renders back byte for byte.
//! Reads a line exactly as the servers do (their `my_print_defaults` is the judge), and refuses what
//! they refuse or would quietly misread. [`OptionFile::resolve`] follows what it includes.

mod command_line;
mod edit;
mod error;
mod name;
mod parse;
mod quote;
mod resolve;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use command_line::{COMMAND_LINE, CommandLine, CommandLineError};
pub use error::{Flaw, OptionFileError, Problem};
pub use resolve::{IncludeError, Resolved, SkipReason, Skipped};

/// An option file: a list of lines, each with what the servers see in it.
#[derive(Clone, Debug)]
pub struct OptionFile {
    path: PathBuf,
    lines: Vec<Line>,
}

/// One line with its terminator, as it stands in the file.
#[derive(Clone, Debug)]
struct Line {
    bytes: Vec<u8>,
    meaning: Meaning,
    /// Which argument of the command line it was, from 1, where it was one.
    argument: Option<usize>,
}

/// What the servers see in a line. Ranges are positions in its bytes.
#[derive(Clone, Debug)]
enum Meaning {
    /// Blank, a comment, or a directive that the servers skip.
    Nothing,
    Group(Vec<u8>),
    Option {
        name: Range<usize>,
        /// With its quotes; `None` without a `=`.
        value: Option<Range<usize>>,
    },
    Include {
        kind: IncludeKind,
        path: PathBuf,
    },
}

/// What the servers act on, in the file's order.
enum Entry {
    Option(Value),
    Include(Include),
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Line number, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// An option as one line of the file sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The option's name as written: `max_connections`, `loose-skip-mysqlx`.
    pub name: Vec<u8>,
    /// Its value, without quotes and escapes; `None` if the line is the bare name.
    pub value: Option<Vec<u8>>,
    /// The group it stands in.
    pub group: Vec<u8>,
    /// Where it stands.
    pub place: Place,
}

/// A line that makes the servers read more files at this point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// Which directive it is.
    pub kind: IncludeKind,
    /// The file or directory, as written.
    pub path: PathBuf,
    /// Where it stands.
    pub place: Place,
}

/// How many files a directive is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncludeKind {
    /// `!include`: one.
    File,
    /// `!includedir`: those of a directory whose name ends in `.cnf`.
    Directory,
}

impl OptionFile {
    /// Reads `bytes`, the content of `path`. All problems are told at once.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, OptionFileError> {
        let lines = parse::lines(bytes).map_err(|problems| OptionFileError {
            path: path.to_owned(),
            problems,
        })?;
        Ok(Self {
            path: path.to_owned(),
            lines,
        })
    }

    /// A file without a line.
    #[must_use]
    pub fn empty(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            lines: Vec::new(),
        }
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's content.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        self.lines
            .iter()
            .flat_map(|line| &line.bytes)
            .copied()
            .collect()
    }

    /// The options of `groups` in the file's order, repeated ones repeated: what
    /// `my_print_defaults` prints for a file without [`Self::includes`].
    pub fn options(&self, groups: &[&str]) -> impl Iterator<Item = Value> {
        self.entries().filter_map(|entry| match entry {
            Entry::Option(value) if in_groups(&value, groups) => Some(value),
            Entry::Option(_) | Entry::Include(_) => None,
        })
    }

    /// What `option` is set to in this file for a program that reads `groups`: the last line wins.
    /// What it includes does not count here, but in [`Resolved::get`].
    ///
    /// `-` and `_` are the same in names; `loose-` is looked through; `skip-X` and `disable-X` set X
    /// to 0, `enable-X` to 1. Shortened names are not recognised.
    #[must_use]
    pub fn get(&self, groups: &[&str], option: &str) -> Option<Value> {
        last(self.options(groups), option)
    }

    /// The lines that make the servers read more files.
    pub fn includes(&self) -> impl Iterator<Item = Include> {
        self.entries().filter_map(|entry| match entry {
            Entry::Include(include) => Some(include),
            Entry::Option(_) => None,
        })
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        self.numbered_entries().map(|(_, entry)| entry)
    }

    /// Each with its line's index.
    fn numbered_entries(&self) -> impl Iterator<Item = (usize, Entry)> {
        let mut group: &[u8] = b"";
        self.lines
            .iter()
            .enumerate()
            .filter_map(move |(index, line)| {
                let place = || match line.argument {
                    Some(number) => Place {
                        path: COMMAND_LINE.into(),
                        line: number,
                    },
                    None => Place {
                        path: self.path.clone(),
                        line: index + 1,
                    },
                };
                let entry = match &line.meaning {
                    Meaning::Nothing => None,
                    Meaning::Group(name) => {
                        group = name;
                        None
                    }
                    Meaning::Option { name, value } => Some(Entry::Option(Value {
                        name: line.bytes[name.clone()].to_vec(),
                        value: value.clone().map(|range| quote::decode(&line.bytes[range])),
                        group: group.to_vec(),
                        place: place(),
                    })),
                    Meaning::Include { kind, path } => Some(Entry::Include(Include {
                        kind: *kind,
                        path: path.clone(),
                        place: place(),
                    })),
                };
                entry.map(|entry| (index, entry))
            })
    }
}

fn in_groups(value: &Value, groups: &[&str]) -> bool {
    groups
        .iter()
        .any(|wanted| same_group(wanted.as_bytes(), &value.group))
}

/// The last of `options` that sets `option`, with the value that its spelling means.
fn last(options: impl Iterator<Item = Value>, option: &str) -> Option<Value> {
    options
        .filter_map(|found| {
            let value = match name::relate(&found.name, option)? {
                name::Form::Plain => found.value,
                name::Form::Off => Some(switch(found.value.as_deref(), false)),
                name::Form::On => Some(switch(found.value.as_deref(), true)),
            };
            Some(Value { value, ..found })
        })
        .last()
}

/// The servers compare group names without regard to case.
fn same_group(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// `skip-X=0` switches X on again; any other value changes nothing.
fn switch(value: Option<&[u8]>, on: bool) -> Vec<u8> {
    let on = on != (value == Some(b"0"));
    if on { b"1".to_vec() } else { b"0".to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> OptionFile {
        OptionFile::parse(Path::new("my.cnf"), text.as_bytes()).unwrap()
    }

    #[test]
    fn get_last_line_of_the_groups_wins_in_the_files_order() {
        let file = file("[server]\nport=1\n[mysqld]\nport=2\n[client]\nport=3\n[SERVER]\nport=4\n");
        let found = file.get(&["mysqld", "server"], "port").unwrap();
        assert_eq!(
            found,
            Value {
                name: b"port".to_vec(),
                value: Some(b"4".to_vec()),
                group: b"SERVER".to_vec(),
                place: Place {
                    path: "my.cnf".into(),
                    line: 8,
                },
            }
        );
        assert_eq!(file.get(&["mysqld"], "port").unwrap().place.line, 4);
        assert_eq!(file.get(&["mysqld"], "socket"), None);
    }

    #[test]
    fn get_prefixes_switch_as_the_servers_do() {
        for (line, value) in [
            ("log-bin", None),
            ("log_bin = x", Some("x")),
            ("skip-log-bin", Some("0")),
            ("skip_log_bin = 1", Some("0")),
            ("skip-log-bin = 0", Some("1")),
            ("loose-disable-log-bin", Some("0")),
            ("enable-log-bin", Some("1")),
            ("enable-log-bin = 0", Some("0")),
        ] {
            let found = file(&format!("[mysqld]\n{line}\n")).get(&["mysqld"], "log_bin");
            let value = value.map(|value| value.as_bytes().to_vec());
            assert_eq!(found.unwrap().value, value, "{line}");
        }
    }

    #[test]
    fn includes_are_told_and_not_followed() {
        let file = file("!include /a b.cnf \n[mysqld]\n  ! includedir\t/c\n!included /d\n");
        let includes: Vec<_> = file
            .includes()
            .map(|i| (i.kind, i.path, i.place.to_string()))
            .collect();
        assert_eq!(
            includes,
            [
                (IncludeKind::File, "/a b.cnf".into(), "my.cnf:1".to_owned()),
                (IncludeKind::Directory, "/c".into(), "my.cnf:3".to_owned()),
            ]
        );
    }
}
