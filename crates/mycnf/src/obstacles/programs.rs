//! Routines, events and triggers of MySQL 5.7 that 8.0 cannot parse, because a name in them has become a word of its
//! own. Triggers are in text files, the others are rows of `mysql.proc` and `mysql.event`, tables of `MyISAM`
//! (described in the server's `mi_dynrec.c`).

use std::fs;
use std::path::Path;

use super::{Obstacle, ObstacleKind};
use crate::big_endian;
use crate::server::Version;

/// Words that 8.0 reserves and that mean nothing in 5.7, so that each is a name there (manual 8.0, "Keywords and
/// Reserved Words"; those that 5.7 has in its grammar, such as ROWS, are left out).
const WORDS: [(&str, Version); 20] = [
    ("cume_dist", Version::new(8, 0, 2)),
    ("dense_rank", Version::new(8, 0, 2)),
    ("empty", Version::new(8, 0, 4)),
    ("except", Version::new(8, 0, 0)),
    ("first_value", Version::new(8, 0, 2)),
    ("grouping", Version::new(8, 0, 1)),
    ("groups", Version::new(8, 0, 2)),
    ("intersect", Version::new(8, 0, 31)),
    ("json_table", Version::new(8, 0, 4)),
    ("lag", Version::new(8, 0, 2)),
    ("last_value", Version::new(8, 0, 2)),
    ("lateral", Version::new(8, 0, 14)),
    ("lead", Version::new(8, 0, 2)),
    ("nth_value", Version::new(8, 0, 2)),
    ("ntile", Version::new(8, 0, 2)),
    ("percent_rank", Version::new(8, 0, 2)),
    ("rank", Version::new(8, 0, 2)),
    ("row_number", Version::new(8, 0, 2)),
    ("system", Version::new(8, 0, 3)),
    ("window", Version::new(8, 0, 2)),
];

/// More than any table of them has.
const LARGEST: u64 = 256 << 20;

/// Those of both tables. A routine of the database `sys` is made anew.
pub(super) fn obstacles(data_dir: &Path, to: Version) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for table in ["proc", "event"] {
        let path = data_dir.join("mysql").join(table).with_extension("MYD");
        let is_small = path.metadata().is_ok_and(|file| file.len() <= LARGEST);
        let Some(bytes) = is_small.then(|| fs::read(&path).ok()).flatten() else {
            continue;
        };
        for record in records(&bytes) {
            let Some(program) = Program::of(&record) else {
                continue;
            };
            if program.schema == "sys" {
                continue;
            }
            let word = program.texts.iter().find_map(|text| word_of(text, to));
            found.extend(word.map(|word| Obstacle {
                name: format!("{}.{}", program.schema, program.name),
                kind: ObstacleKind::Word(word),
            }));
        }
    }
    found
}

/// The first word of `to`'s own that is a name in a statement.
fn word_of(statement: &[u8], to: Version) -> Option<String> {
    names(statement)
        .map(|word| word.to_lowercase())
        .find(|word| WORDS.iter().any(|(own, since)| own == word && *since <= to))
}

/// The same of a table's triggers, in its `.TRG` file.
pub(super) fn word_of_triggers(file: &[u8], to: Version) -> Option<String> {
    let mut lines = file.split(|byte| *byte == b'\n');
    let statements = lines.find_map(|line| line.strip_prefix(b"triggers="))?;
    let mut rest = statements;
    while let Some(begin) = rest.iter().position(|byte| *byte == b'\'') {
        rest = &rest[begin..];
        let length = quoted(rest);
        let word = word_of(&unescaped(&rest[1..length.max(2) - 1]), to);
        if word.is_some() {
            return word;
        }
        rest = &rest[length..];
    }
    None
}

/// As the server keeps text in its files: a line's end and quotes behind a backslash.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.iter();
    let mut plain = Vec::new();
    while let Some(&byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(other) => *other,
                None => b'\\',
            },
            other => other,
        });
    }
    plain
}

/// A row of `mysql.proc` or `mysql.event`.
struct Program<'a> {
    schema: String,
    name: String,
    /// Parameters, if there are some, and the body.
    texts: Vec<&'a [u8]>,
}

impl<'a> Program<'a> {
    /// Both tables begin with database and name, behind some bits, and end with the body in UTF-8.
    fn of(record: &'a [u8]) -> Option<Self> {
        let (schema, rest) = (1..=12).find_map(|at| {
            let (schema, next) = short_text(record, at)?;
            Some((schema, next))
        })?;
        let (name, behind) = short_text(record, rest)?;
        let body = last_text(record)?;
        let mut texts = vec![body];
        texts.extend(parameters(record, behind));
        Some(Self {
            schema,
            name,
            texts,
        })
    }
}

/// A name of which the length is told by a byte, and the place behind it.
fn short_text(record: &[u8], at: usize) -> Option<(String, usize)> {
    let length = usize::from(*record.get(at)?);
    let end = at + 1 + length;
    let text = String::from_utf8(record.get(at + 1..end)?.to_vec()).ok()?;
    let is_name = !text.is_empty() && !text.chars().any(char::is_control);
    is_name.then_some((text, end))
}

/// The text with which a record ends, and whose length stands before it.
fn last_text(record: &[u8]) -> Option<&[u8]> {
    (1..record.len().checked_sub(4)?).find_map(|length| {
        let begin = record.len() - length;
        let told = record.get(begin - 4..begin)?;
        let told = u32::from_le_bytes(told.try_into().ok()?);
        (usize::try_from(told).ok()? == length).then(|| &record[begin..])
    })
}

/// In `mysql.proc`, a kind, the name once more and four kinds are before them.
fn parameters(record: &[u8], behind_name: usize) -> Option<&[u8]> {
    let (_, behind) = short_text(record, behind_name + 1)?;
    let at = behind + 4;
    let length = u16::from_le_bytes(record.get(at..at + 2)?.try_into().ok()?);
    record.get(at + 2..at + 2 + usize::from(length))
}

/// The rows of a table, each out of its blocks.
fn records(file: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(block) = Block::read(file, at) {
        if let Some(record) = block.begins.then(|| whole(file, &block)).flatten() {
            found.push(record);
        }
        at = block.end;
    }
    found
}

/// Follows a record through its blocks.
fn whole(file: &[u8], first: &Block<'_>) -> Option<Vec<u8>> {
    let mut record = first.data.to_vec();
    let mut next = first.next;
    while let Some(at) = next {
        let block = Block::read(file, at)?;
        record.extend(block.data);
        // A damaged chain has an end, too.
        if block.begins || record.len() > file.len() {
            return None;
        }
        next = block.next;
    }
    Some(record)
}

/// A piece of the file, in use or deleted.
struct Block<'a> {
    data: &'a [u8],
    /// The record's next.
    next: Option<usize>,
    /// A record begins here.
    begins: bool,
    /// Where the next block of the file is.
    end: usize,
}

impl<'a> Block<'a> {
    fn read(file: &'a [u8], at: usize) -> Option<Self> {
        let number = |offset: usize, length: usize| {
            let number = big_endian::number(file, at.checked_add(offset)?, length)?;
            usize::try_from(number).ok()
        };
        let kind = *file.get(at)?;
        // Length and its place, a byte that tells what is unused behind, where the next one is told, the head.
        let (length, unused, next, head) = match kind {
            0 => (number(1, 3)?.checked_sub(20)?, 0, None, 20),
            1 | 7 => (number(1, 2)?, 0, None, 3),
            2 | 8 => (number(1, 3)?, 0, None, 4),
            3 | 9 => (number(1, 2)?, number(3, 1)?, None, 4),
            4 | 10 => (number(1, 3)?, number(4, 1)?, None, 5),
            5 => (number(3, 2)?, 0, Some(number(5, 8)?), 13),
            6 => (number(4, 3)?, 0, Some(number(7, 8)?), 15),
            11 => (number(1, 2)?, 0, Some(number(3, 8)?), 11),
            12 => (number(1, 3)?, 0, Some(number(4, 8)?), 12),
            13 => (number(5, 3)?, 0, Some(number(8, 8)?), 16),
            _ => return None,
        };
        let begin = at + head;
        let data = file.get(begin..begin.checked_add(length)?)?;
        Some(Self {
            data: if kind == 0 { &[] } else { data },
            next,
            begins: matches!(kind, 1..=6 | 13),
            end: begin + length + unused,
        })
    }
}

/// The words of a statement that stand alone: without quotes, not part of a qualified name or a variable, and
/// not in a comment.
fn names(text: &[u8]) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let mut at = 0;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80 || b"_$".contains(&byte);
    while let Some(&byte) = text.get(at) {
        let rest = &text[at..];
        let skip_to = |end: &[u8]| {
            let found = rest.windows(end.len()).skip(1).position(|part| part == end);
            found.map_or(rest.len(), |position| position + 1 + end.len())
        };
        at += match byte {
            b'\'' | b'"' | b'`' => quoted(rest),
            b'#' => skip_to(b"\n"),
            b'-' if rest.starts_with(b"-- ") => skip_to(b"\n"),
            b'/' if rest.starts_with(b"/*") => skip_to(b"*/"),
            _ if is_word(byte) => {
                let length = rest.iter().take_while(|byte| is_word(**byte)).count();
                let before = at.checked_sub(1).and_then(|before| text.get(before));
                if !before.is_some_and(|byte| b".@".contains(byte)) {
                    found.push(String::from_utf8_lossy(&rest[..length]).into_owned());
                }
                length
            }
            _ => 1,
        };
    }
    found.into_iter()
}

/// How long what begins with a quote is, to its other one. Doubled, it begins the next one at once.
fn quoted(text: &[u8]) -> usize {
    let quote = text[0];
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte == quote {
            break;
        }
        // No escapes in names.
        if byte == b'\\' && quote != b'`' {
            at += 1;
        }
    }
    at.min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_stands_alone() {
        for (text, expected) in [
            ("select rank from t", &["select", "rank", "from", "t"][..]),
            ("t.rank, @rank, `rank`, 'rank', \"rank\"", &["t"]),
            (
                "a -- rank\n b # rank\n c /* rank */ d",
                &["a", "b", "c", "d"],
            ),
            ("'it''s \\' rank' x", &["x"]),
            ("a--rank", &["a", "rank"]),
            ("'open rank", &[]),
            ("/* open", &[]),
            ("rank(ü) rank_2 $rank", &["rank", "ü", "rank_2", "$rank"]),
        ] {
            let found: Vec<String> = names(text.as_bytes()).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn word_of_triggers_is_that_of_any() {
        let to = Version::new(8, 0, 33);
        for (statements, expected) in [
            (
                r"'CREATE TRIGGER a SET x = \'rank\'' 'CREATE TRIGGER b SET\nrank = 1'",
                Some("rank"),
            ),
            (r"'CREATE TRIGGER a SET x = \'rank\''", None),
            ("'", None),
            ("", None),
        ] {
            let file = format!("TYPE=TRIGGERS\ntriggers={statements}\nsql_modes=0 0\n");
            let word = word_of_triggers(file.as_bytes(), to);
            assert_eq!(word.as_deref(), expected, "{statements}");
        }
        assert_eq!(
            word_of(b"select 1 intersect select 2", Version::new(8, 0, 30)),
            None
        );
    }

    #[test]
    fn records_are_put_together_of_their_blocks() {
        let mut file = Vec::new();
        // A deleted block, the first part of a record, another one with an unused byte, the rest of the first.
        file.extend([[0, 0, 0, 20].as_slice(), &[0xff; 16]].concat());
        file.extend([5, 0, 6, 0, 3, 0, 0, 0, 0, 0, 0, 0, 43, b'a', b'b', b'c']);
        file.extend([3, 0, 2, 1, b'x', b'y', 0]);
        assert_eq!(file.len(), 43);
        file.extend([7, 0, 3, b'd', b'e', b'f']);
        assert_eq!(records(&file), [b"abcdef".to_vec(), b"xy".to_vec()]);
        // Damaged: a record that follows itself.
        file[32] = 20;
        assert_eq!(records(&file), [b"xy".to_vec()]);
    }
}
