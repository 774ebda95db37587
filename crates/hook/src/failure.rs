//! One way to tell of a failure: what happened and where, the chain of causes, what to do next.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;

use crate::ExitStatus;

/// Whom a failure asks to act, which decides the exit status and the closing line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the user wrote or passed in.
    Configuration,
    /// The machine: files, space, permissions, programs.
    Environment,
    /// Our own code.
    Bug,
}

/// What the reader of a failure can do about it.
#[derive(Clone, Debug)]
pub struct Advice {
    /// Whom it concerns.
    pub kind: Kind,
    /// Lines that show the evidence: the offending line, a program's last words. May be empty.
    pub detail: String,
    /// Something the reader can do, as an imperative without a full stop.
    pub next: String,
    /// The status to end with.
    pub status: ExitStatus,
}

impl Advice {
    /// Advice of `kind`, without detail, ending with the kind's usual status.
    pub fn new(kind: Kind, next: impl Into<String>) -> Self {
        Self {
            kind,
            detail: String::new(),
            next: next.into(),
            status: match kind {
                Kind::Configuration | Kind::Environment => ExitStatus::Failed,
                Kind::Bug => ExitStatus::Bug,
            },
        }
    }

    /// The same with lines of evidence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The same, ending with `status`.
    #[must_use]
    pub fn status(mut self, status: ExitStatus) -> Self {
        self.status = status;
        self
    }
}

/// An error that knows what its reader can do next.
///
/// `Display` is one line without its source; [`render`] walks the chain.
pub trait Explain: Error {
    /// What to do about this error.
    fn advice(&self) -> Advice;
}

/// Writes `error` for a person to read and returns the status to end with.
///
/// A failing `out` changes nothing: the status must survive a full or closed stderr.
pub fn render(program: &str, error: &dyn Explain, out: &mut dyn Write) -> ExitStatus {
    let advice = error.advice();
    let mut text = format!("{program}: error: {error}\n");
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = writeln!(text, "  cause: {}", lower_first(&cause.to_string()));
        source = cause.source();
    }
    for line in advice.detail.lines() {
        let _ = writeln!(text, "  | {line}");
    }
    let _ = writeln!(text, "  next: {}", advice.next);
    if advice.kind == Kind::Bug {
        let _ = writeln!(
            text,
            "  this is a defect of {program}: please report it with these lines"
        );
    }
    let text = escape_controls(&text, &['\n', '\t']);
    // One write, so that lines of parallel programs do not interleave.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
    advice.status
}

/// `text` with every control character but `kept` escaped: names from archives and what programs say
/// may hold what a terminal obeys.
#[must_use]
pub fn escape_controls(text: &str, kept: &[char]) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !kept.contains(&c) {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// The operating system's messages start with a capital; ours do not.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("cannot write /home/dotcloud/.my.cnf")]
    struct WriteFailed {
        kind: Kind,
        source: io::Error,
    }

    impl Explain for WriteFailed {
        fn advice(&self) -> Advice {
            Advice::new(self.kind, "chown it to dotcloud, push again").detail("one\ntwo")
        }
    }

    fn rendered(kind: Kind) -> (ExitStatus, String) {
        let source = io::Error::from_raw_os_error(13);
        let mut out = Vec::new();
        let status = render("postinstall", &WriteFailed { kind, source }, &mut out);
        (status, String::from_utf8(out).unwrap())
    }

    #[test]
    fn render_environment_shows_cause_detail_and_next() {
        let (status, text) = rendered(Kind::Environment);
        assert_eq!(status, ExitStatus::Failed);
        assert_eq!(
            text,
            "postinstall: error: cannot write /home/dotcloud/.my.cnf\n\
             \x20 cause: permission denied (os error 13)\n\
             \x20 | one\n\
             \x20 | two\n\
             \x20 next: chown it to dotcloud, push again\n"
        );
    }

    #[test]
    fn escape_controls_all_but_those_that_are_kept() {
        let text = "cannot read '\u{1b}[2J\r'\n  |\t\u{9b}Zürich\n";
        assert_eq!(
            escape_controls(text, &['\n', '\t']),
            "cannot read '\\u{1b}[2J\\r'\n  |\t\\u{9b}Zürich\n"
        );
    }

    #[test]
    fn render_bug_asks_for_a_report_and_ends_with_70() {
        let (status, text) = rendered(Kind::Bug);
        assert_eq!(status, ExitStatus::Bug);
        assert!(
            text.ends_with(
                "  this is a defect of postinstall: please report it with these lines\n"
            )
        );
    }

    #[test]
    fn lower_first_acronym_is_kept() {
        assert_eq!(lower_first("No such file"), "no such file");
        assert_eq!(lower_first("ELF header"), "ELF header");
        assert_eq!(lower_first(""), "");
    }
}
