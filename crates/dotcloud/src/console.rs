//! What a verb says to the person who called it: information on standard error; results, success
//! and warnings on standard output, as the platform's own client had it. Asks questions.

use std::fmt::Display;
use std::io::{BufRead, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

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
    let err = std::io::stderr();
    let colour = err.is_terminal();
    mark(err, colour, AnsiColor::Blue, &text.to_string());
}

/// `==>`, in green, on standard output: it is done.
pub(crate) fn success(text: impl Display) {
    let out = std::io::stdout();
    let colour = out.is_terminal();
    mark(out, colour, AnsiColor::Green, &text.to_string());
}

/// Something to look at, on standard output, although the work goes on.
pub(crate) fn warning(text: impl Display) {
    let out = std::io::stdout();
    let style = if out.is_terminal() {
        AnsiColor::Yellow.on_default()
    } else {
        Style::new()
    };
    print(format!("{style}Warning:{style:#} {text}"));
}

/// A line of a result. Whether anyone still reads it must not change the exit status.
pub(crate) fn print(text: impl Display) {
    let _ = try_print(text);
}

/// The same, for what has no end unless its reader goes away.
pub(crate) fn try_print(text: impl Display) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}

fn mark(mut out: impl Write, colour: bool, arrow: AnsiColor, text: &str) {
    let style = if colour {
        arrow.on_default().bold()
    } else {
        Style::new()
    };
    let _ = writeln!(out, "{style}==>{style:#} {text}");
}

/// Asks a yes-no question; the end of the input is a no.
pub(crate) fn ask(question: &str, default: bool, assume: Assume) -> bool {
    match assume {
        Assume::Yes => return true,
        Assume::No => return false,
        Assume::Nothing => {}
    }
    let choices = if default { "[Y/n]" } else { "[y/N]" };
    let mut err = std::io::stderr();
    let _ = write!(err, "{question} {choices}: ");
    let _ = err.flush();
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
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
