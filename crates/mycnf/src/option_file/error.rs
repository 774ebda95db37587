//! What is wrong with an option file, and the form that is accepted instead.

use std::path::PathBuf;

use thiserror::Error;

/// An option file that the servers would refuse or misread. Never empty of problems.
#[derive(Debug, Error)]
#[error("{path}:{place}", place = place(problems))]
pub struct OptionFileError {
    /// The file.
    pub path: PathBuf,
    /// Everything wrong with it, in the file's order.
    pub problems: Vec<Problem>,
}

/// One thing wrong with an option file.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub flaw: Flaw,
    /// Line number, from 1.
    pub line: usize,
    /// Byte position in the line, from 1.
    pub column: usize,
    /// The line, invisible characters shown, long ones shortened, passwords left out.
    pub text: String,
}

/// What can be wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Flaw {
    /// The servers take the mark for an option.
    #[error("the file starts with a byte order mark")]
    ByteOrderMark,
    /// `[mysqld`
    #[error("group header without its closing ']'")]
    OpenGroup,
    /// An option, and no header above it.
    #[error("option before any [group]")]
    NoGroup,
    /// `= value`
    #[error("value without an option name")]
    NoName,
    /// `!include` and nothing after it.
    #[error("!include without a path")]
    EmptyInclude,
    /// MySQL 8 and later take it for a comment, other servers for part of the path.
    #[error("'#' in an include, which servers read differently")]
    HashInInclude,
    /// `MariaDB` and older servers drop the path's last character then.
    #[error("include on the last line without its line end")]
    OpenInclude,
    /// More than the servers read at once.
    #[error("line longer than 4094 bytes")]
    TooLong,
    /// The servers stop reading the line there.
    #[error("NUL byte in the line")]
    NulByte,
}

impl Flaw {
    /// The form that is accepted.
    #[must_use]
    pub fn accepted(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "UTF-8 without a byte order mark",
            Self::OpenGroup => "[mysqld]",
            Self::NoGroup => "a [group] line above the first option",
            Self::NoName => "option = value",
            Self::EmptyInclude => "!include /path/to/file.cnf",
            Self::HashInInclude => {
                "!include and a path without '#'; comments on lines of their own"
            }
            Self::OpenInclude => "a line end after the last line",
            Self::TooLong => "lines of up to 4094 bytes (the servers read longer ones in pieces)",
            Self::NulByte => "text without NUL bytes (is it UTF-16? save it as UTF-8)",
        }
    }
}

impl OptionFileError {
    /// Each problem with its line and the accepted form, for [`hook::Advice::detail`].
    #[must_use]
    pub fn detail(&self) -> String {
        self.problems
            .iter()
            .map(|problem| {
                format!(
                    "{line}:{column}: {flaw}\n  {text}\n  accepted: {accepted}",
                    line = problem.line,
                    column = problem.column,
                    flaw = problem.flaw,
                    text = problem.text,
                    accepted = problem.flaw.accepted(),
                )
            })
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Problem {
    pub(super) fn new(flaw: Flaw, line: usize, offset: usize, bytes: &[u8]) -> Self {
        Self {
            flaw,
            line,
            column: offset + 1,
            text: visible(bytes),
        }
    }
}

fn place(problems: &[Problem]) -> String {
    let [first, rest @ ..] = problems else {
        return String::new();
    };
    let more = match rest.len() {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    format!("{}:{}: {}{more}", first.line, first.column, first.flaw)
}

/// `line` without its terminator, on one line of printable characters; a password is left out.
fn visible(line: &[u8]) -> String {
    const SHOWN: usize = 60;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    if let Some((name, _)) = text.split_once('=')
        && name.to_ascii_lowercase().contains("password")
    {
        return "(line not shown: it holds a password)".to_owned();
    }
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(|char| match char {
            '\u{feff}' => "<BOM>".chars().collect::<Vec<_>>(),
            '\u{a0}' => "<NBSP>".chars().collect(),
            char if char.is_control() => char.escape_default().collect(),
            char => vec![char],
        })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::OptionFile;

    use super::*;

    fn refused(bytes: &[u8]) -> OptionFileError {
        OptionFile::parse(Path::new("/home/me/my.cnf"), bytes).unwrap_err()
    }

    #[test]
    fn display_every_flaw_has_exact_text() {
        let long = [b"[mysqld]\n#", &[b'x'; 4094][..], b"\n"].concat();
        for (bytes, text) in [
            (
                &b"\xef\xbb\xbf[mysqld]\nport=1\n"[..],
                "1:1: the file starts with a byte order mark",
            ),
            (
                b"[client]\n [mysqld\nport=1\n",
                "2:2: group header without its closing ']'",
            ),
            (b"# x\n\tport=1\n", "2:2: option before any [group]"),
            (b"[mysqld]\n= 1\n", "2:1: value without an option name"),
            (b"[mysqld]\n!include \n", "2:1: !include without a path"),
            (
                b"[mysqld]\n!include /x # mine\n",
                "2:13: '#' in an include, which servers read differently",
            ),
            (
                b"[mysqld]\n!include /x",
                "2:12: include on the last line without its line end",
            ),
            (&long, "2:4095: line longer than 4094 bytes"),
            (b"[mysqld]\nport=1\0\n", "2:7: NUL byte in the line"),
        ] {
            assert_eq!(
                refused(bytes).to_string(),
                format!("/home/me/my.cnf:{text}")
            );
        }
    }

    #[test]
    fn detail_shows_every_problem_with_invisible_characters() {
        let error = refused(b"po\x01rt\xc2\xa0= 1\r\n[mysqld\n=\tx\n");
        assert_eq!(
            error.to_string(),
            "/home/me/my.cnf:1:1: option before any [group] (and 2 more)"
        );
        assert_eq!(
            error.detail(),
            "1:1: option before any [group]\n\
             \x20 po\\u{1}rt<NBSP>= 1\n\
             \x20 accepted: a [group] line above the first option\n\
             2:1: group header without its closing ']'\n\
             \x20 [mysqld\n\
             \x20 accepted: [mysqld]\n\
             3:1: value without an option name\n\
             \x20 =\\tx\n\
             \x20 accepted: option = value"
        );
    }

    #[test]
    fn detail_password_is_not_shown() {
        let detail = refused(b"Master_Password = secret\n").detail();
        assert!(!detail.contains("secret"), "{detail}");
    }

    #[test]
    fn detail_long_line_is_shortened() {
        let error = refused(&[&[b'x'; 70][..], b"=1\n"].concat());
        assert_eq!(error.problems[0].text, format!("{}…", "x".repeat(60)));
    }
}
