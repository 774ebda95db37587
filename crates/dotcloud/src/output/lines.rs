//! Output of others, taken apart into lines in bounded memory.

use std::fmt::{self, Display, Formatter};

use hook::Foreign;

/// What is kept of one line. Nobody reads more of it, and it may have no end.
const LENGTH_LIMIT: usize = 64 << 10;

/// One line, fit to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    bytes: Vec<u8>,
    /// How much of it was too much.
    cut: u64,
}

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Foreign::bytes(&self.bytes))?;
        if self.cut > 0 {
            write!(f, " [line cut: {} more bytes]", self.cut)?;
        }
        Ok(())
    }
}

/// Makes lines of what is read piece by piece. A carriage return ends a line, too, as progress bars
/// have it; an empty one between two of them is none.
#[derive(Debug)]
pub(crate) struct Splitter {
    /// What is kept of one line, in bytes.
    limit: usize,
    partial: Vec<u8>,
    cut: u64,
    /// The last byte was a carriage return.
    returned: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new(LENGTH_LIMIT)
    }
}

impl Splitter {
    /// Keeps `limit` bytes of every line.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: Vec::new(),
            cut: 0,
            returned: false,
        }
    }

    /// Hands every line that ends in `bytes` to `line`.
    pub(crate) fn push(&mut self, bytes: &[u8], line: &mut dyn FnMut(Line)) {
        let mut rest = bytes;
        while let Some(index) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.add(&rest[..index]);
            let returned = rest[index] == b'\r';
            let empty = self.partial.is_empty() && self.cut == 0;
            // Of "\r\n" the first byte has ended the line.
            if !(empty && (returned || self.returned)) {
                line(self.take());
            }
            self.returned = returned;
            rest = &rest[index + 1..];
        }
        self.add(rest);
    }

    /// What has no end yet, if anything.
    pub(crate) fn rest(&mut self) -> Option<Line> {
        let any = !self.partial.is_empty() || self.cut > 0;
        any.then(|| self.take())
    }

    fn take(&mut self) -> Line {
        Line {
            bytes: std::mem::take(&mut self.partial),
            cut: std::mem::take(&mut self.cut),
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.returned = false;
        let room = self.limit - self.partial.len();
        let kept = &bytes[..bytes.len().min(room)];
        self.partial.extend_from_slice(kept);
        self.cut += (bytes.len() - kept.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut splitter = Splitter::default();
        for piece in pieces {
            splitter.push(piece, &mut |line| lines.push(line.to_string()));
        }
        lines.extend(splitter.rest().map(|line| line.to_string()));
        lines
    }

    #[test]
    fn splitter_knows_every_end_of_a_line() {
        for (pieces, expected, why) in [
            (
                &[&b"a\nb"[..]][..],
                &["a", "b"][..],
                "a last line without its end",
            ),
            (
                &[b"a", b"b\n\n", b"c\n"],
                &["ab", "", "c"],
                "pieces, an empty line",
            ),
            (
                &[b"a\r\nb\r", b"\n", b"\r\n\n"],
                &["a", "b", ""],
                "both, over a border",
            ),
            (
                &[b"\r 10%\r\r 20%\r\n"],
                &[" 10%", " 20%"],
                "a progress bar",
            ),
            (
                &[b"\x1b[2K\xff\n"],
                &["\\u{1b}[2K\\xff"],
                "what a terminal obeys",
            ),
            (&[b""], &[], "nothing"),
        ] {
            assert_eq!(split(pieces), expected, "{why}");
        }
    }

    #[test]
    fn splitter_cuts_what_is_too_long_and_says_so() {
        let long = vec![b'x'; LENGTH_LIMIT];
        let whole = String::from_utf8(long.clone()).unwrap();
        let expected = format!("{whole} [line cut: 3 more bytes]");
        assert_eq!(
            split(&[&long, b"123", b"\ny\n"]),
            [expected, "y".to_owned()]
        );
        assert_eq!(split(&[&long, b"\n"]), [whole]);
    }
}
