//! The tables that InnoDB up to 5.7 knows of: `SYS_TABLES` in the system tablespace, whose records are in the format of
//! before 5.0 (described in the servers' `rem0rec.h` and `dict0boot.h`).

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::big_endian::number;

/// The system tablespace of 5.7 has pages of this size, unless somebody chose another: then it is not read.
const PAGE: usize = 16_384;

/// The page of the dictionary, and where it has the number of the page at which `SYS_TABLES` begins.
const DICTIONARY_PAGE: u32 = 7;
const ROOT_OF_TABLES: usize = 38 + 32;

/// The records before the first and behind the last of a page.
const INFIMUM: usize = 101;
const SUPREMUM: usize = 116;

/// A page of a tree.
const PAGE_INDEX: u64 = 17_855;

/// A bit of a record: deleted, and not yet purged.
const DELETED: u8 = 0x20;

/// No page.
const NONE: u32 = u32::MAX;

/// So that a damaged tree has an end.
const MOST_LEVELS: usize = 10;
const MOST_PAGES: usize = 100_000;

/// Columns of `SYS_TABLES`: the two hidden ones follow the key.
const NAME: usize = 0;
const TYPE: usize = 5;
const SPACE: usize = 9;

/// Bits of a table's type: its file is elsewhere, or a tablespace of several tables.
const ELSEWHERE: u64 = 0x40 | 0x80;

/// InnoDB's tables and partitions by `database/name`, and whether each has a file of its own there.
#[derive(Debug)]
pub(super) struct Tables(BTreeMap<String, bool>);

/// Where a table is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// Its name, or that of a partition, without the database.
    pub(super) name: &'a str,
    /// In a file of that name.
    pub(super) is_own_file: bool,
}

impl Tables {
    /// `None` if it cannot be read.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let page = |number: u32| {
            let mut page = vec![0; PAGE];
            let offset = u64::from(number) * PAGE as u64;
            file.read_exact_at(&mut page, offset).ok()?;
            Some(page)
        };
        // The size of pages, which is not said where it is the usual one.
        if number(&page(0)?, 54, 4)? >> 6 & 0xf != 0 {
            return None;
        }
        let mut at = page_number(&page(DICTIONARY_PAGE)?, ROOT_OF_TABLES)?;
        for _ in 0..MOST_LEVELS {
            let node = page(at)?;
            if number(&node, 24, 2)? != PAGE_INDEX {
                return None;
            }
            if number(&node, 64, 2)? == 0 {
                break;
            }
            let first = Record::after(&node, INFIMUM)?;
            let (begin, _) = first.place(first.columns()?.checked_sub(1)?)?;
            at = page_number(&node, begin)?;
        }
        let mut tables = BTreeMap::new();
        for _ in 0..MOST_PAGES {
            let leaf = page(at)?;
            read_leaf(&leaf, &mut tables)?;
            at = page_number(&leaf, 12)?;
            if at == NONE {
                return (!tables.is_empty()).then_some(Self(tables));
            }
        }
        None
    }

    /// A table, or one of its partitions: one whose file is not where the others are, if there is one.
    pub(super) fn find(&self, schema: &str, table: &str) -> Option<Place<'_>> {
        let name = format!("{schema}/{table}");
        let (full, is_own_file) = match self.0.get_key_value(&name) {
            Some(found) => found,
            None => self.0.range(name.clone()..).find(|(other, _)| {
                let rest = other.strip_prefix(name.as_str()).unwrap_or_default();
                rest.starts_with("#P#") || rest.starts_with("#p#")
            })?,
        };
        Some(Place {
            name: full.split_once('/')?.1,
            is_own_file: *is_own_file,
        })
    }
}

fn read_leaf(page: &[u8], tables: &mut BTreeMap<String, bool>) -> Option<()> {
    let mut record = Record::after(page, INFIMUM)?;
    // No record is shorter than its own six bytes.
    for _ in 0..page.len() / 6 {
        if record.at == SUPREMUM {
            return Some(());
        }
        if page.get(record.at - 6)? & DELETED == 0 {
            let (begin, end) = record.place(NAME)?;
            let name = String::from_utf8_lossy(page.get(begin..end)?).into_owned();
            let value = |column| number(page, record.place(column)?.0, 4);
            let is_own_file = value(SPACE)? != 0 && value(TYPE)? & ELSEWHERE == 0;
            tables.insert(name, is_own_file);
        }
        record = Record::after(page, record.at)?;
    }
    None
}

/// A record and its place on its page.
struct Record<'a> {
    page: &'a [u8],
    at: usize,
}

impl<'a> Record<'a> {
    /// The one behind that at `at`.
    fn after(page: &'a [u8], at: usize) -> Option<Self> {
        let at = usize::try_from(number(page, at.checked_sub(2)?, 2)?).ok()?;
        (at > INFIMUM && at < page.len()).then_some(Self { page, at })
    }

    /// How many columns it has.
    fn columns(&self) -> Option<usize> {
        let bits = number(self.page, self.at.checked_sub(4)?, 2)?;
        usize::try_from(bits >> 1 & 0x3ff).ok()
    }

    /// Where a column begins and ends. The ends stand before the record, backwards, in a byte or two each.
    fn place(&self, column: usize) -> Option<(usize, usize)> {
        let is_short = self.page.get(self.at.checked_sub(3)?)? & 1 == 1;
        let (width, mask) = if is_short { (1, 0x7f) } else { (2, 0x3fff) };
        let end = |column: usize| {
            let at = self.at.checked_sub(6 + width * (column + 1))?;
            usize::try_from(number(self.page, at, width)? & mask).ok()
        };
        if column >= self.columns()? {
            return None;
        }
        let begin = match column {
            0 => 0,
            later => end(later - 1)?,
        };
        Some((self.at + begin, self.at + end(column)?))
    }
}

fn page_number(page: &[u8], at: usize) -> Option<u32> {
    u32::try_from(number(page, at, 4)?).ok()
}
