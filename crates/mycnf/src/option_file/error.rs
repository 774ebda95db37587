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
    /// The line, invisible characters shown, long ones shortened.
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
            Self::TooLong => "lines of up to 4094 bytes (the servers read longer ones in pieces)",
            Self::NulByte => "text without NUL bytes (is it UTF-16? save it as UTF-8)",
        }
    }
}

impl OptionFileError {
    /// Each offending line with a mark under the place and the accepted form, for people.
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

/// `line` without its terminator, on one line of printable characters.
fn visible(line: &[u8]) -> String {
    const SHOWN: usize = 60;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
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
