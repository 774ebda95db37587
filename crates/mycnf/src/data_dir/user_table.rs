//! The accounts of MySQL from 8.0 on and the plugins they log in with, as `mysql.user` has them in the
//! file of a server that was shut down cleanly; read-only. No server can be asked before an upgrade: the
//! old one is not here any more, and the new one upgrades the file first.
//!
//! The formats are described in the servers' page0page.h, rem0rec.h and ib0sdi.h: `mysql.ibd` is made of
//! pages; a tree of them holds a description of every table in it (SDI: JSON), which tells the root of
//! `mysql.user` and its columns.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::ZlibDecoder;
use serde_json::Value;

/// An account and the authentication plugin it has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountPlugin {
    /// Its name.
    pub user: String,
    /// Where it comes from.
    pub host: String,
    /// Such as `mysql_native_password`.
    pub plugin: String,
}

/// Every account in the data directory `dir`, sorted. `None` if there is no file of a kind that we can
/// read: of another release than 8.0 and later, encrypted, damaged.
#[must_use]
pub fn account_plugins(dir: &Path) -> Option<Vec<AccountPlugin>> {
    let file = Tablespace::open(&dir.join("mysql.ibd")).ok()??;
    let table = file.description("mysql", "user")?;
    let columns = Columns::of(&table)?;
    let mut accounts = Vec::new();
    file.each_record(root(&table)?, Some(&columns), |page, at| {
        let record = Record { page, at };
        let text = |name| {
            let bytes = columns.value(record, name)?;
            Some(String::from_utf8_lossy(bytes).trim_end().to_owned())
        };
        accounts.push(AccountPlugin {
            user: text("User")?,
            host: text("Host")?,
            plugin: text("plugin")?,
        });
        Some(())
    })?;
    accounts.sort();
    Some(accounts)
}

/// Where the tree of descriptions begins in this tablespace.
const SDI_ROOT: u32 = 3;

/// Kinds of pages.
const PAGE_SDI: u16 = 17_853;
const PAGE_INDEX: u16 = 17_855;

/// The records before the first and behind the last of a page.
const INFIMUM: usize = 99;
const SUPREMUM: usize = 112;

/// Its two bits of a record's first byte of bits: it is not there any more.
const DELETED: u8 = 0x20;

/// No page.
const NONE: u32 = u32::MAX;

/// More than any tree of these tables is deep, and more pages than it has at a level.
const MOST_LEVELS: usize = 10;
const MOST_PAGES: usize = 100_000;

struct Tablespace {
    file: File,
    page_size: usize,
}

impl Tablespace {
    /// `None` if it is encrypted or none.
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let mut head = [0; 58];
        file.read_exact_at(&mut head, 0)?;
        let flags = number(&head, 54, 4).unwrap_or_default();
        let (size, is_encrypted) = (flags >> 6 & 0xf, flags >> 13 & 1 == 1);
        let page_size = match size {
            0 => 16_384,
            3..=7 => 512 << size,
            _ => return Ok(None),
        };
        Ok((!is_encrypted).then_some(Self { file, page_size }))
    }

    fn page(&self, number: u32) -> Option<Vec<u8>> {
        let mut page = vec![0; self.page_size];
        let offset = u64::from(number) * self.page_size as u64;
        self.file.read_exact_at(&mut page, offset).ok()?;
        Some(page)
    }

    /// What the dictionary says of a table.
    fn description(&self, schema: &str, name: &str) -> Option<Value> {
        let mut found = None;
        self.each_record(SDI_ROOT, None, |page, at| {
            if let Some(text) = description(page, at) {
                let value: Value = serde_json::from_slice(&text).ok()?;
                let object = &value["dd_object"];
                if object["schema_ref"] == schema && object["name"] == name {
                    found = Some(object.clone());
                }
            }
            Some(())
        })?;
        found
    }

    /// Calls `each` with every record of the tree's leaves, by its page and its place there. `columns` are
    /// those of its keys, where they are not a description's. `None` if the tree is not one, or as soon as
    /// `each` says so.
    fn each_record(
        &self,
        root: u32,
        columns: Option<&Columns>,
        mut each: impl FnMut(&[u8], usize) -> Option<()>,
    ) -> Option<()> {
        let kind = u64::from(columns.map_or(PAGE_SDI, |_| PAGE_INDEX));
        let mut at = root;
        for _ in 0..MOST_LEVELS {
            let page = self.page(at)?;
            if number(&page, 24, 2)? != kind {
                return None;
            }
            if number(&page, 64, 2)? > 0 {
                at = first_child(&page, columns)?;
                continue;
            }
            return self.each_leaf(at, |page| {
                let mut place = INFIMUM;
                loop {
                    place = next_record(page, place)?;
                    if place == SUPREMUM {
                        return Some(());
                    }
                    if page.get(place - 5)? & DELETED == 0 {
                        each(page, place)?;
                    }
                }
            });
        }
        None
    }

    fn each_leaf(&self, first: u32, mut each: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
        let mut at = first;
        for _ in 0..MOST_PAGES {
            let page = self.page(at)?;
            each(&page)?;
            at = u32::try_from(number(&page, 12, 4)?).ok()?;
            if at == NONE {
                return Some(());
            }
        }
        None
    }
}

/// The page that the first record of an inner page leads to: it has a key, and then the page's number.
fn first_child(page: &[u8], columns: Option<&Columns>) -> Option<u32> {
    let at = next_record(page, INFIMUM)?;
    let key = match columns {
        None => 12,
        Some(columns) => columns.key_length(Record { page, at })?,
    };
    u32::try_from(number(page, at + key, 4)?).ok()
}

/// Records are chained by distances.
fn next_record(page: &[u8], at: usize) -> Option<usize> {
    let distance = usize::try_from(number(page, at.checked_sub(2)?, 2)?).ok()?;
    let next = (at + distance) & 0xffff;
    (distance != 0 && next < page.len() && next >= INFIMUM).then_some(next)
}

/// The JSON of a description, which is compressed: behind its key, two hidden columns, its length and
/// its compressed length.
fn description(page: &[u8], at: usize) -> Option<Vec<u8>> {
    const HEAD: usize = 4 + 8 + 6 + 7;
    let length = usize::try_from(number(page, at + HEAD + 4, 4)?).ok()?;
    let (_, elsewhere) = variable_length(page, at.checked_sub(6)?, true)?;
    if elsewhere {
        return None;
    }
    let begin = at + HEAD + 8;
    let compressed = page.get(begin..begin + length)?;
    let mut text = Vec::new();
    io::Read::read_to_end(&mut ZlibDecoder::new(compressed), &mut text).ok()?;
    Some(text)
}

fn root(table: &Value) -> Option<u32> {
    let data = table["indexes"][0]["se_private_data"].as_str()?;
    let root = data.split(';').find_map(|part| part.strip_prefix("root="));
    root?.parse().ok()
}

/// The columns of a table in the order in which its records have them, up to the last that we know of.
struct Columns {
    /// Their names and kinds.
    kinds: Vec<(String, Kind)>,
    /// How many of them are the key.
    key: usize,
    /// How many bytes of a record say which columns have no value.
    nulls: usize,
}

/// How a column's value is kept.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// In so many bytes.
    Fixed(usize),
    /// Its length is told by one byte, or by two where it may be long.
    Variable { may_be_long: bool },
}

impl Columns {
    fn of(table: &Value) -> Option<Self> {
        let all = table["columns"].as_array()?;
        let elements = table["indexes"][0]["elements"].as_array()?;
        let mut columns = Vec::new();
        for element in elements {
            let column = all.get(usize::try_from(element["column_opx"].as_u64()?).ok()?)?;
            let Some(kind) = Kind::of(column) else { break };
            columns.push((column["name"].as_str()?.to_owned(), kind));
        }
        // The hidden columns follow the key.
        let key = columns.iter().position(|(name, _)| name == "DB_TRX_ID")?;
        let nullable = all.iter().filter(|column| column["is_nullable"] == true);
        Some(Self {
            kinds: columns,
            key,
            nulls: nullable.count().div_ceil(8),
        })
    }

    fn value<'a>(&self, record: Record<'a>, wanted: &str) -> Option<&'a [u8]> {
        let at = self.kinds.iter().position(|(name, _)| name == wanted)?;
        let (begin, end) = self.place(record, at)?;
        record.page.get(begin..end)
    }

    fn key_length(&self, record: Record<'_>) -> Option<usize> {
        let (_, end) = self.place(record, self.key.checked_sub(1)?)?;
        end.checked_sub(record.at)
    }

    /// Where a column without NULL begins and ends, as are all before it.
    fn place(&self, record: Record<'_>, wanted: usize) -> Option<(usize, usize)> {
        // Lengths stand before the record, backwards, behind its own five bytes and the bits.
        let mut lengths = record
            .at
            .checked_sub(6 + self.nulls + record.version_bytes()?)?;
        let mut begin = record.at;
        for (index, (_, kind)) in self.kinds.iter().enumerate() {
            let length = match *kind {
                Kind::Fixed(length) => length,
                Kind::Variable { may_be_long } => {
                    let (length, _) = variable_length(record.page, lengths, may_be_long)?;
                    let is_long = may_be_long && record.page.get(lengths)? & 0x80 != 0;
                    lengths = lengths.checked_sub(1 + usize::from(is_long))?;
                    length
                }
            };
            if index == wanted {
                return Some((begin, begin + length));
            }
            begin += length;
        }
        None
    }
}

impl Kind {
    /// `None` if we do not know, or a value may be missing.
    fn of(column: &Value) -> Option<Self> {
        let length = usize::try_from(column["char_length"].as_u64()?).ok()?;
        let text = column["column_type_utf8"].as_str()?;
        match column["name"].as_str()? {
            "DB_TRX_ID" => return Some(Self::Fixed(6)),
            "DB_ROLL_PTR" => return Some(Self::Fixed(7)),
            _ if column["is_nullable"] == true => return None,
            _ => {}
        }
        // Where a character may have more bytes than one, they are not all there.
        if let Some(characters) = text.strip_prefix("char(") {
            let characters: usize = characters.strip_suffix(')')?.parse().ok()?;
            let may_be_long = length > 255;
            return Some(if characters == length {
                Self::Fixed(length)
            } else {
                Self::Variable { may_be_long }
            });
        }
        let begins = |names: &[&str]| names.iter().any(|name| text.starts_with(name));
        if begins(&["enum("]) {
            Some(Self::Fixed(1))
        } else if begins(&["int"]) {
            Some(Self::Fixed(4))
        } else if begins(&["blob", "text"]) {
            Some(Self::Variable { may_be_long: true })
        } else {
            None
        }
    }
}

/// A record's page and its place there.
#[derive(Clone, Copy)]
struct Record<'a> {
    page: &'a [u8],
    at: usize,
}

impl Record<'_> {
    /// How many bytes tell for which version of the table it was written: columns were added since
    /// without rewriting it. They are behind those that we look at.
    fn version_bytes(self) -> Option<usize> {
        let bits = self.page.get(self.at.checked_sub(5)?)?;
        Some(match (bits & 0x80 != 0, bits & 0x40 != 0) {
            (_, true) => 1,
            (true, false) => {
                let count = self.page.get(self.at.checked_sub(6)?)?;
                1 + usize::from(count & 0x80 != 0)
            }
            (false, false) => 0,
        })
    }
}

/// The length whose first byte is at `at`, whose second before it; whether the value is elsewhere.
fn variable_length(page: &[u8], at: usize, may_be_long: bool) -> Option<(usize, bool)> {
    let first = usize::from(*page.get(at)?);
    if !may_be_long || first & 0x80 == 0 {
        return Some((first, false));
    }
    let second = usize::from(*page.get(at.checked_sub(1)?)?);
    Some(((first & 0x3f) << 8 | second, first & 0x40 != 0))
}

/// A number of so many bytes.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + length)?;
    Some(
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What real servers wrote is read by starttest's tests.
    #[test]
    fn account_plugins_of_what_is_no_such_file_are_unknown() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(account_plugins(dir.path()), None);
        let page = |flags: u32, kind: u16| {
            let mut bytes = vec![0; 16_384];
            bytes[54..58].copy_from_slice(&flags.to_be_bytes());
            let mut file = bytes.repeat(4);
            file[3 * 16_384 + 24..][..2].copy_from_slice(&kind.to_be_bytes());
            file
        };
        let mut circle = page(0, PAGE_SDI);
        // A level above the leaves, whose first record leads to the same page.
        circle[3 * 16_384 + 65] = 1;
        circle[3 * 16_384 + 98] = 101;
        circle[3 * 16_384 + 200 + 12 + 3] = 3;
        for (bytes, reason) in [
            (vec![], "empty"),
            (vec![0xff; 70_000], "nonsense"),
            (page(0, 0), "no descriptions"),
            (page(0, PAGE_SDI), "no records"),
            (page(1 << 13, PAGE_SDI), "encrypted"),
            (page(9 << 6, PAGE_SDI), "no size of a page"),
            (circle, "a circle"),
        ] {
            fs::write(dir.path().join("mysql.ibd"), bytes).unwrap();
            assert_eq!(account_plugins(dir.path()), None, "{reason}");
        }
    }
}
