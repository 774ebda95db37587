//! What a deployment says while it goes on: every line to the person who pushed and to a file.

use std::fmt::Display;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};

use crate::files::{self, FileError};

/// The log of one deployment. A terminal that goes away does not stop it.
pub(crate) struct DeploymentLog {
    file: Option<File>,
    out: Box<dyn Write>,
    colour: bool,
}

impl DeploymentLog {
    /// Begins the log in the new file `path`, and on standard output.
    pub(crate) fn begin(path: &Path) -> Result<Self, FileError> {
        let file = File::create_new(path).map_err(files::failed("create", path))?;
        let out = std::io::stdout();
        Ok(Self {
            file: Some(file),
            colour: out.is_terminal(),
            out: Box::new(out),
        })
    }

    /// For what is no deployment but may have the same things to say.
    pub(crate) fn to_stderr() -> Self {
        let err = std::io::stderr();
        Self {
            file: None,
            colour: err.is_terminal(),
            out: Box::new(err),
        }
    }

    /// The platform itself speaks.
    pub(crate) fn platform(&mut self, text: impl Display) {
        self.write(Style::new(), &format!("--> {text}"));
    }

    /// The platform speaks of one service or instance.
    pub(crate) fn of(&mut self, whom: impl Display, text: impl Display) {
        self.write(Style::new(), &format!("[{whom}] {text}"));
    }

    /// Something to look at although the deployment goes on.
    pub(crate) fn warning(&mut self, whom: impl Display, text: impl Display) {
        let yellow = AnsiColor::Yellow.on_default();
        self.write(yellow, &format!("[{whom}] warning: {text}"));
    }

    /// Why the deployment ends.
    pub(crate) fn failure(&mut self, text: impl Display) {
        self.write(AnsiColor::Red.on_default(), &format!("--> {text}"));
    }

    fn write(&mut self, style: Style, text: &str) {
        let line = format!("{}: {text}\n", jiff::Zoned::now().strftime("%H:%M:%S.%6f"));
        if let Some(file) = &mut self.file {
            let _ = file.write_all(line.as_bytes());
        }
        let shown = if self.colour {
            format!("{style}{}{style:#}\n", line.trim_end_matches('\n'))
        } else {
            line
        };
        let _ = self.out.write_all(shown.as_bytes());
        let _ = self.out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_time_and_speaker() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.log");
        let mut log = DeploymentLog::begin(&path).unwrap();
        log.platform("Build started");
        log.of("db", "hello");
        log.warning("db.0", "old");
        log.failure("gave up");
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<(&str, &str)> = text.lines().map(|line| line.split_at(17)).collect();
        let said: Vec<&str> = lines.iter().map(|(_, said)| *said).collect();
        assert_eq!(
            said,
            [
                "--> Build started",
                "[db] hello",
                "[db.0] warning: old",
                "--> gave up"
            ]
        );
        let shape: String = lines[0]
            .0
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "00:00:00.000000: ");
        assert!(DeploymentLog::begin(&path).is_err());
    }
}
