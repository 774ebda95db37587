//! Text from outside: what others wrote or named, on its way to a terminal or into a log of ours.
//! Nothing in it may move the cursor, turn the reading direction or begin a line of its own.

use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter, Write};
use std::os::unix::ffi::OsStrExt;

/// Bytes from outside. Displayed as one line: all of [`is_unsafe`] is escaped, a tab is kept, and
/// what is no UTF-8 appears as `\xff`.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a>(&'a [u8]);

impl<'a> Foreign<'a> {
    /// A text, a name or a path.
    pub fn new(text: &'a (impl AsRef<OsStr> + ?Sized)) -> Self {
        Self(text.as_ref().as_bytes())
    }

    /// Bytes of unknown encoding.
    #[must_use]
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl Display for Foreign<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            write_escaped(f, chunk.valid(), &['\t'])?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a terminal, or who reads what it shows, could take `c` for something else than text:
/// control characters (C0, DEL, C1), line and paragraph separators, marks that turn the direction.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

/// `text` with everything that [`is_unsafe`] but `kept` escaped.
#[must_use]
pub fn escape_controls(text: &str, kept: &[char]) -> String {
    let mut plain = String::with_capacity(text.len());
    // A String takes everything.
    let _ = write_escaped(&mut plain, text, kept);
    plain
}

fn write_escaped(out: &mut dyn Write, text: &str, kept: &[char]) -> fmt::Result {
    let mut rest = text;
    while let Some((index, c)) = rest
        .char_indices()
        .find(|(_, c)| is_unsafe(*c) && !kept.contains(c))
    {
        out.write_str(&rest[..index])?;
        write!(out, "{}", c.escape_default())?;
        rest = &rest[index + c.len_utf8()..];
    }
    out.write_str(rest)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn escape_controls_all_but_those_that_are_kept() {
        let text = "cannot read '\u{1b}[2J\r'\n  |\t\u{9b}Zürich\n";
        assert_eq!(
            escape_controls(text, &['\n', '\t']),
            "cannot read '\\u{1b}[2J\\r'\n  |\t\\u{9b}Zürich\n"
        );
    }

    #[test]
    fn foreign_is_one_line_that_a_terminal_cannot_obey() {
        for (text, expected, why) in [
            (
                &b"plain, Z\xc3\xbcrich\t\\n"[..],
                "plain, Zürich\t\\n",
                "text stays",
            ),
            (b"\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}", "a title"),
            (b"a\r\x1b[2Kb\nc", "a\\r\\u{1b}[2Kb\\nc", "a forged line"),
            (b"\xc2\x9b2J", "\\u{9b}2J", "C1"),
            (b"\x9b2J", "\\x9b2J", "C1 of a terminal without UTF-8"),
            (b"\x00\x7f", "\\u{0}\\u{7f}", "the ends of ASCII"),
            (
                "\u{202e}a\u{2066}\u{200f}".as_bytes(),
                "\\u{202e}a\\u{2066}\\u{200f}",
                "direction",
            ),
            (
                "\u{2028}\u{2029}\u{85}".as_bytes(),
                "\\u{2028}\\u{2029}\\u{85}",
                "line ends",
            ),
            (b"caf\xc3", "caf\\xc3", "a character that was cut"),
        ] {
            assert_eq!(Foreign::bytes(text).to_string(), expected, "{why}");
        }
        assert_eq!(Foreign::new(Path::new("a\nb")).to_string(), "a\\nb");
    }
}
