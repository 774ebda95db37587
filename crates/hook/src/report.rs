//! Narration: every step taken and every value chosen, with its origin. One stream (stderr),
//! so that the order survives when a platform merges streams.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use crate::{Environment, Foreign};

/// Where the narration goes. Failing writes are ignored: they must not change the exit status.
pub struct Report {
    out: Box<dyn Write + Send>,
    colour: bool,
    debug: bool,
}

impl Report {
    /// To standard error; coloured on a terminal unless `NO_COLOR`; detailed with
    /// `HOOK_LOG=debug`.
    #[must_use]
    pub fn to_stderr(environment: &Environment) -> Self {
        let stderr = std::io::stderr();
        Self {
            colour: stderr.is_terminal() && environment.get("NO_COLOR").is_none(),
            debug: environment.get("HOOK_LOG").is_some_and(|v| v == "debug"),
            out: Box::new(stderr),
        }
    }

    /// To `out`, without colour, with detail.
    #[must_use]
    pub fn to_writer(out: impl Write + Send + 'static) -> Self {
        Self {
            out: Box::new(out),
            colour: false,
            debug: true,
        }
    }

    /// What is being worked on.
    pub fn heading(&mut self, text: impl AsRef<str>) {
        self.line(Style::new().bold(), "", text.as_ref());
    }

    /// A step taken, in the past tense, or a value chosen, with its origin.
    pub fn bullet(&mut self, text: impl AsRef<str>) {
        self.line(Style::new(), "- ", text.as_ref());
    }

    /// A part of the step above.
    pub fn sub_bullet(&mut self, text: impl AsRef<str>) {
        self.line(Style::new(), "  - ", text.as_ref());
    }

    /// Something the reader should act on although the work went on.
    pub fn warning(&mut self, text: impl AsRef<str>) {
        let yellow = AnsiColor::Yellow.on_default();
        self.line(yellow, "- warning: ", text.as_ref());
    }

    /// Detail, shown with `HOOK_LOG=debug` only.
    pub fn debug(&mut self, text: impl AsRef<str>) {
        if self.debug {
            self.line(Style::new().dimmed(), "  # ", text.as_ref());
        }
    }

    fn line(&mut self, style: Style, prefix: &str, text: &str) {
        // Names and values in it come from outside.
        let text = Foreign::new(text);
        let line = if self.colour {
            format!("{style}{prefix}{text}{style:#}\n")
        } else {
            format!("{prefix}{text}\n")
        };
        let _ = self.out.write_all(line.as_bytes());
        let _ = self.out.flush();
    }
}
