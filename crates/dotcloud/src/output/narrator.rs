//! What a command says while it changes containers: every line to the person who called it, those of
//! a deployment to its log, too.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anstyle::{AnsiColor, Style};
use hook::Foreign;

use crate::host::files::{self, FileError};
use crate::output::console;

/// How much of the beginning of a log is kept.
const HEAD: u64 = 4 << 20;
/// How the line ends that tells how much is missing between the two.
pub(crate) const LEFT_OUT: &str = " bytes of output are left out here";
/// How much of its end is kept at least; it may be twice as much.
const TAIL: u64 = 2 << 20;

/// Whoever works on the same thing has a copy of the same one. A terminal that goes away does not stop
/// it.
#[derive(Clone)]
pub(crate) struct Narrator {
    sink: Arc<Mutex<Sink>>,
}

/// What hooks report in detail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Details {
    /// In the file only.
    #[default]
    Kept,
    /// To whoever pushed, too.
    Shown,
    /// Nowhere: they are those of the service that serves.
    LeftOut,
}

impl Details {
    pub(crate) fn shown_if(shown: bool) -> Self {
        if shown { Self::Shown } else { Self::Kept }
    }
}

struct Sink {
    file: Option<Bounded>,
    out: Box<dyn Write + Send>,
    colour: bool,
    details: Details,
    /// How many lines of it are in the file only.
    hidden: usize,
}

impl Narrator {
    /// For a deployment, whose log is the new file `path`: there, and on standard output.
    pub(crate) fn begin(path: &Path) -> Result<Self, FileError> {
        let file = Bounded::create(path).map_err(files::failed("create", path))?;
        let out = std::io::stdout();
        Ok(Self::of_sink(Sink {
            file: Some(file),
            colour: out.is_terminal(),
            out: Box::new(out),
            details: Details::Shown,
            hidden: 0,
        }))
    }

    /// For any other verb, which has no log.
    pub(crate) fn to_stderr() -> Self {
        let err = std::io::stderr();
        Self::of_sink(Sink {
            file: None,
            colour: err.is_terminal(),
            out: Box::new(err),
            details: Details::Shown,
            hidden: 0,
        })
    }

    fn of_sink(sink: Sink) -> Self {
        Self {
            sink: Arc::new(Mutex::new(sink)),
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

    /// From now on treats the details of hooks so.
    pub(crate) fn set_details(&mut self, details: Details) {
        self.sink().details = details;
    }

    /// A hook of one service or instance speaks. Its details, points below a point (`  - …`), are for the file.
    pub(crate) fn hook(&mut self, whom: impl Display, line: &str) {
        let mut sink = self.sink();
        let text = format!("[{whom}] {line}");
        match sink.details {
            _ if !line.starts_with("  - ") => sink.write(Style::new(), &text),
            Details::LeftOut => {}
            Details::Kept if sink.file.is_some() => {
                sink.hidden += 1;
                sink.keep(&stamped(&text));
            }
            Details::Kept | Details::Shown => sink.write(Style::new(), &text),
        }
    }

    /// Says where the details are that were not shown.
    pub(crate) fn mention_details(&mut self) {
        let mut sink = self.sink();
        match sink.hidden {
            0 => {}
            1 => sink.write(
                Style::new(),
                "--> 1 line of details: 'dotcloud dlogs latest'",
            ),
            n => sink.write(
                Style::new(),
                &format!("--> {n} lines of details: 'dotcloud dlogs latest'"),
            ),
        }
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
        self.sink().write(style, text);
    }

    /// Held for whole lines, whoever else has something to say.
    fn sink(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    fn keep(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            let _ = file.write(line);
        }
    }

    fn write(&mut self, style: Style, text: &str) {
        let line = stamped(text);
        self.keep(&line);
        let shown = if self.colour {
            format!("{style}{line}{style:#}\n")
        } else {
            format!("{line}\n")
        };
        let written = self.out.write_all(shown.as_bytes());
        let _ = console::written(written.and_then(|()| self.out.flush()));
    }
}

/// What hooks print, and what processes and files are called, is others' choice.
fn stamped(text: &str) -> String {
    format!("{}: {}", time(), Foreign::new(text))
}

fn time() -> impl Display {
    jiff::Zoned::now().strftime("%H:%M:%S.%6f")
}

/// A file that does not grow for ever: of a log that is too long the middle is left out, and that is
/// said in its place.
struct Bounded {
    file: File,
    length: u64,
    /// Where the beginning ends that is kept.
    head: u64,
    /// Where the line ends that tells what is left out.
    told: u64,
    left_out: u64,
}

impl Bounded {
    fn create(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        Ok(Self {
            file,
            length: 0,
            head: 0,
            told: 0,
            left_out: 0,
        })
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let line = format!("{line}\n");
        self.file.write_all_at(line.as_bytes(), self.length)?;
        self.length += line.len() as u64;
        if self.length <= HEAD {
            (self.head, self.told) = (self.length, self.length);
        } else if self.length - self.told > 2 * TAIL {
            self.leave_out()?;
        }
        Ok(())
    }

    fn leave_out(&mut self) -> io::Result<()> {
        let mut tail = vec![0; usize::try_from(TAIL).unwrap_or_default()];
        self.file.read_exact_at(&mut tail, self.length - TAIL)?;
        let whole = tail.iter().position(|&byte| byte == b'\n');
        let tail = &tail[whole.map_or(0, |end| end + 1)..];
        self.left_out += self.length - self.told - tail.len() as u64;
        let told = format!("{}: --> {}{LEFT_OUT}\n", time(), self.left_out);
        self.file.write_all_at(told.as_bytes(), self.head)?;
        self.told = self.head + told.len() as u64;
        self.file.write_all_at(tail, self.told)?;
        self.length = self.told + tail.len() as u64;
        self.file.set_len(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_time_and_speaker() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.log");
        let mut log = Narrator::begin(&path).unwrap();
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
        assert!(Narrator::begin(&path).is_err());
    }

    #[test]
    fn details_of_hooks_are_kept_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.log");
        let mut log = Narrator::begin(&path).unwrap();
        log.hook("db", "  - shown");
        log.set_details(Details::Kept);
        log.hook("db", "- wrote my.cnf");
        log.hook("db", "  - port = 1");
        log.hook("db", "    File \"x.py\", line 1");
        log.mention_details();
        log.set_details(Details::LeftOut);
        log.hook("db", "  - socket = /s");
        let text = std::fs::read_to_string(&path).unwrap();
        let said: Vec<&str> = text.lines().map(|line| &line[17..]).collect();
        assert_eq!(
            said,
            [
                "[db]   - shown",
                "[db] - wrote my.cnf",
                "[db]   - port = 1",
                "[db]     File \"x.py\", line 1",
                "--> 1 line of details: 'dotcloud dlogs latest'"
            ]
        );
    }

    #[test]
    fn bounded_log_keeps_both_ends_and_says_what_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.log");
        let mut log = Bounded::create(&path).unwrap();
        let filler = "x".repeat(90);
        let lines = 300_000;
        for number in 0..lines {
            log.write(&format!("{number:08} {filler}")).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() < 9 << 20, "{}", text.len());
        assert!(text.starts_with("00000000 x"));
        assert!(text.ends_with(&format!("{:08} {filler}\n", lines - 1)));
        let told: Vec<&str> = text.lines().filter(|line| line.contains("-->")).collect();
        let [told] = told[..] else { panic!("{told:?}") };
        let left_out: usize = told.split(' ').nth(2).unwrap().parse().unwrap();
        assert_eq!(left_out + text.len() - told.len() - 1, lines * 100);
        // Whole lines only, and none twice.
        let numbers: Vec<&str> = text.lines().filter(|line| *line != told).collect();
        assert!(numbers.is_sorted() && numbers.iter().all(|line| line.len() == 99));
    }

    #[test]
    fn foreign_text_stays_on_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.log");
        let mut log = Narrator::begin(&path).unwrap();
        log.of(
            "db",
            "\u{1b}]52;c;x\u{7}\n12:00:00.0: --> \u{1b}[32mDeployment finished",
        );
        log.warning("db.0", "process 1 is an orphan: sleep\r\u{9b}2J\u{202e}");
        let text = std::fs::read_to_string(&path).unwrap();
        let said: Vec<&str> = text.lines().map(|line| &line[17..]).collect();
        assert_eq!(
            said,
            [
                "[db] \\u{1b}]52;c;x\\u{7}\\n12:00:00.0: --> \\u{1b}[32mDeployment finished",
                "[db.0] warning: process 1 is an orphan: sleep\\r\\u{9b}2J\\u{202e}"
            ]
        );
    }
}
