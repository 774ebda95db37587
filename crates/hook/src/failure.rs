//! One way to tell of a failure: what happened and where, the chain of causes, what to do next.

use std::error::Error;
use std::fmt::{Display, Write as _};
use std::io::Write;

use crate::{ExitStatus, Foreign};

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
    // Each is one line of ours, whatever names and causes it holds.
    let line = |text: &dyn Display| Foreign::new(&text.to_string()).to_string();
    let mut text = format!("{program}: error: {}\n", line(error));
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = writeln!(text, "  cause: {}", line(&lower_first(&cause.to_string())));
        source = cause.source();
    }
    for evidence in advice.detail.lines() {
        let _ = writeln!(text, "  | {}", Foreign::new(evidence));
    }
    let _ = writeln!(text, "  next: {}", line(&advice.next));
    if advice.kind == Kind::Bug {
        let _ = writeln!(
            text,
            "  this is a defect of {program}: please report it with these lines"
        );
    }
    // One write, so that lines of parallel programs do not interleave.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
    advice.status
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
    fn render_foreign_text_begins_no_line_and_moves_no_cursor() {
        #[derive(Debug, Error)]
        #[error("cannot read /a\n  next: rm -r /")]
        struct Hostile {
            source: io::Error,
        }
        impl Explain for Hostile {
            fn advice(&self) -> Advice {
                Advice::new(Kind::Environment, "look\nat \u{202e}it").detail("1\r2\n\u{9b}2J")
            }
        }
        let source = io::Error::other("x\n  next: y");
        let mut out = Vec::new();
        render("p", &Hostile { source }, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "p: error: cannot read /a\\n  next: rm -r /\n\
             \x20 cause: x\\n  next: y\n\
             \x20 | 1\\r2\n\
             \x20 | \\u{9b}2J\n\
             \x20 next: look\\nat \\u{202e}it\n"
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
