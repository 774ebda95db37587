//! Bytes to lines, by the servers' own rules (`mysys/my_default`), strict where they are careless:
//! a line they would read in two pieces, or only the front of, is refused.

use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

use super::error::{Flaw, Problem};
use super::{IncludeKind, Line, Meaning};

/// The servers read lines into a buffer of 4,096 bytes; what does not fit becomes the next line.
pub(super) const MAX_LINE: usize = 4094;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn lines(bytes: &[u8]) -> Result<Vec<Line>, Vec<Problem>> {
    let mut lines = Vec::new();
    let mut problems = Vec::new();
    let mut in_group = false;
    for (index, bytes) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match meaning(bytes, in_group, index == 0) {
            Ok(meaning) => {
                in_group |= matches!(meaning, Meaning::Group(_));
                lines.push(Line {
                    bytes: bytes.to_vec(),
                    meaning,
                    argument: None,
                });
            }
            Err((flaw, column)) => {
                // One broken header is one problem, not one more for each option below it.
                in_group |= matches!(flaw, Flaw::OpenGroup | Flaw::ByteOrderMark);
                problems.push(Problem::new(flaw, index + 1, column, bytes));
            }
        }
    }
    if problems.is_empty() {
        Ok(lines)
    } else {
        Err(problems)
    }
}

/// A flaw and the offset it is at.
type Flawed = (Flaw, usize);

fn meaning(line: &[u8], in_group: bool, first: bool) -> Result<Meaning, Flawed> {
    if first && line.starts_with(BYTE_ORDER_MARK) {
        return Err((Flaw::ByteOrderMark, 0));
    }
    if let Some(at) = line.iter().position(|byte| *byte == 0) {
        return Err((Flaw::NulByte, at));
    }
    // An edit below it gives the last line the end it may lack.
    let open = !line.ends_with(b"\n");
    if line.len() + if open { b"\r\n".len() } else { 0 } > MAX_LINE {
        return Err((Flaw::TooLong, MAX_LINE.min(line.len() - 1)));
    }
    let Some(start) = line.iter().position(|byte| !is_blank(*byte)) else {
        return Ok(Meaning::Nothing);
    };
    match line[start] {
        b'#' | b';' => Ok(Meaning::Nothing),
        b'!' => directive(line, start),
        b'[' => group(line, start),
        _ if !in_group => Err((Flaw::NoGroup, start)),
        _ => option(line, start),
    }
}

fn group(line: &[u8], start: usize) -> Result<Meaning, Flawed> {
    let inside = &line[start + 1..];
    let end = inside
        .iter()
        .position(|byte| *byte == b']')
        .ok_or((Flaw::OpenGroup, start))?;
    // Blanks are removed at the end only: `[ mysqld]` is not `[mysqld]`.
    Ok(Meaning::Group(trim_end(&inside[..end]).to_vec()))
}

fn directive(line: &[u8], start: usize) -> Result<Meaning, Flawed> {
    let text = trim_start(&line[start + 1..]);
    // Anything else after `!` is skipped in silence by the servers.
    let directive = [
        (&b"includedir"[..], IncludeKind::Directory),
        (b"include", IncludeKind::File),
    ]
    .into_iter()
    .find_map(|(keyword, kind)| Some((kind, text.strip_prefix(keyword)?)))
    .filter(|(_, rest)| rest.first().copied().is_none_or(is_blank));
    let Some((kind, argument)) = directive else {
        return Ok(Meaning::Nothing);
    };
    if argument.is_empty() {
        // Skipped in silence as well, until somebody gives the line its end.
        return Err((Flaw::OpenInclude, line.len()));
    }
    // No quotes: the rest of the line is the path.
    let path = trim_end(trim_start(argument));
    if path.is_empty() {
        return Err((Flaw::EmptyInclude, start));
    }
    if let Some(at) = argument.iter().position(|byte| *byte == b'#') {
        return Err((Flaw::HashInInclude, line.len() - argument.len() + at));
    }
    if !line.ends_with(b"\n") {
        return Err((Flaw::OpenInclude, line.len()));
    }
    Ok(Meaning::Include {
        kind,
        path: OsStr::from_bytes(path).into(),
    })
}

fn option(line: &[u8], start: usize) -> Result<Meaning, Flawed> {
    let end = start + without_comment(&line[start..]).len();
    let equals = line[start..end].iter().position(|byte| *byte == b'=');
    let name_end = equals.map_or(end, |at| start + at);
    let name = start..start + trim_end(&line[start..name_end]).len();
    if name.is_empty() {
        return Err((Flaw::NoName, start));
    }
    let value = equals.map(|at| trimmed(line, start + at + 1..end));
    Ok(Meaning::Option { name, value })
}

/// `text` up to a `#` that is outside quotes. A quote counts wherever it stands, so an apostrophe
/// in an unquoted value hides a `#` after it; a backslash counts inside quotes only.
fn without_comment(text: &[u8]) -> &[u8] {
    let mut quote = None;
    let mut escaped = false;
    for (index, &byte) in text.iter().enumerate() {
        match byte {
            b'\'' | b'"' if !escaped && quote.is_none() => quote = Some(byte),
            b'\'' | b'"' if !escaped && quote == Some(byte) => quote = None,
            b'#' if quote.is_none() => return &text[..index],
            _ => {}
        }
        escaped = quote.is_some() && byte == b'\\' && !escaped;
    }
    text
}

fn trimmed(line: &[u8], range: Range<usize>) -> Range<usize> {
    let text = trim_start(&line[range.clone()]);
    if text.is_empty() {
        // Not behind the line's end, which is a blank too.
        return range.start..range.start;
    }
    let start = range.end - text.len();
    start..start + trim_end(text).len()
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_blank(*byte));
    &text[start.unwrap_or(text.len())..]
}

fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !is_blank(*byte));
    &text[..end.map_or(0, |at| at + 1)]
}

/// The servers classify bytes as Latin-1, where 0xA0 is a (no-break) space: an unquoted `à` in UTF-8
/// loses its second byte at the end of a value.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d | 0xa0)
}
