//! What a verb says to the person who called it: information on standard error; results, success
//! and warnings on standard output, as the platform's own client had it. Asks questions.
//!
//! Every line passes through [`Foreign`]: whatever names, values and output of others it holds, it
//! stays one line that a terminal shows and does not obey.

use std::fmt::Display;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use hook::Foreign;

/// The first line of a result that could not be written. What is done goes on nevertheless; the
/// exit status tells of it in the end.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// How questions are answered without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assume {
    /// The person is asked.
    Nothing,
    Yes,
    No,
}

/// `==>`, in blue, on standard error: something is being done.
pub(crate) fn info(text: impl Display) {
    let mut err = io::stderr();
    let style = marked(err.is_terminal(), AnsiColor::Blue);
    let _ = writeln!(err, "{style}==>{style:#} {}", one_line(text));
}

/// `==>`, in green, on standard output: it is done.
pub(crate) fn success(text: impl Display) {
    let style = marked(io::stdout().is_terminal(), AnsiColor::Green);
    let _ = written(writeln!(
        io::stdout(),
        "{style}==>{style:#} {}",
        one_line(text)
    ));
}

/// Something to look at, on standard output, although the work goes on.
pub(crate) fn warning(text: impl Display) {
    let style = if io::stdout().is_terminal() {
        AnsiColor::Yellow.on_default()
    } else {
        Style::new()
    };
    let _ = written(writeln!(
        io::stdout(),
        "{style}Warning:{style:#} {}",
        one_line(text)
    ));
}

/// A line of a result.
pub(crate) fn print(text: impl Display) {
    let _ = try_print(text);
}

/// The same, for what has no end unless its reader goes away.
pub(crate) fn try_print(text: impl Display) -> io::Result<()> {
    written(writeln!(io::stdout(), "{}", one_line(text)))
}

/// Text of our own making, as it is.
pub(crate) fn print_verbatim(text: &[u8]) {
    let mut out = io::stdout();
    let _ = written(out.write_all(text).and_then(|()| out.flush()));
}

/// Takes notice of a result that could not be written.
pub(crate) fn written(result: io::Result<()>) -> io::Result<()> {
    if let Err(error) = &result {
        // A reader who has seen enough, as `head` has, is no failure.
        if error.kind() != ErrorKind::BrokenPipe {
            let again = error.raw_os_error().map(io::Error::from_raw_os_error);
            let _ = FAILURE.set(again.unwrap_or_else(|| error.kind().into()));
        }
    }
    result
}

/// Why not everything reached standard output, if so.
pub(crate) fn failure() -> Option<&'static io::Error> {
    // What is still held back has to show, too.
    let _ = written(io::stdout().flush());
    FAILURE.get()
}

fn one_line(text: impl Display) -> String {
    Foreign::new(&text.to_string()).to_string()
}

fn marked(colour: bool, arrow: AnsiColor) -> Style {
    if colour {
        arrow.on_default().bold()
    } else {
        Style::new()
    }
}

/// Asks a yes-no question; the end of the input is a no.
pub(crate) fn ask(question: &str, default: bool, assume: Assume) -> bool {
    match assume {
        Assume::Yes => return true,
        Assume::No => return false,
        Assume::Nothing => {}
    }
    let choices = if default { "[Y/n]" } else { "[y/N]" };
    let mut err = io::stderr();
    let question = one_line(question);
    let _ = write!(err, "{question} {choices}: ");
    let _ = err.flush();
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => {
            let _ = writeln!(err);
            false
        }
        Ok(_) => read_answer(&line, default),
    }
}

fn read_answer(line: &str, default: bool) -> bool {
    match line.trim().to_lowercase().as_str() {
        "" => default,
        answer => answer == "y" || answer == "yes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_answer_takes_yes_or_the_default() {
        for (line, default, expected) in [
            ("\n", true, true),
            ("\n", false, false),
            ("Y\n", false, true),
            ("yes\n", false, true),
            ("no\n", true, false),
            ("what\n", true, false),
        ] {
            assert_eq!(read_answer(line, default), expected, "{line:?}");
        }
    }
}
