//! Records of a tablespace's trees in the file of a server that was shut down cleanly; read-only.
//!
//! The formats are described in the servers' page0page.h, rem0rec.h and ib0sdi.h: a tablespace is made of
//! pages; one tree of them holds a description of every table in it (SDI: JSON).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::ZlibDecoder;
use serde_json::Value;

use crate::big_endian::number;

/// Where the tree of descriptions begins in this tablespace.
const SDI_ROOT: u32 = 3;

/// A kind and an object's number.
const SDI_KEY: usize = 4 + 8;

/// Kinds of pages.
pub(super) const PAGE_SDI: u16 = 17_853;
pub(super) const PAGE_INDEX: u16 = 17_855;

/// The records before the first and behind the last of a page.
const INFIMUM: usize = 99;
const SUPREMUM: usize = 112;

/// A bit five bytes before a record: it is deleted, and not yet purged.
const DELETED: u8 = 0x20;

/// No page.
const NONE: u32 = u32::MAX;

/// More levels than any tree of these tables has, and more leaves, so that a damaged one has an end.
const MOST_LEVELS: usize = 10;
const MOST_PAGES: usize = 10_000;

/// Longer than any description of a table.
const LONGEST_DESCRIPTION: u64 = 16 << 20;

/// The file of one or more tables.
pub(super) struct Tablespace {
    file: File,
    page_size: usize,
}

impl Tablespace {
    /// `None` if it is encrypted or none.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
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
    pub(super) fn description(&self, schema: &str, name: &str) -> Option<Value> {
        let mut found = None;
        let key_length = |_: Record<'_>| Some(SDI_KEY);
        self.each_record(SDI_ROOT, PAGE_SDI, &key_length, |record| {
            if let Some(text) = description(record) {
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

    /// Calls `each` with every record of the leaves of the tree of pages of `kind`, whose keys have
    /// `key_length` bytes. `None` if the tree is not one, or as soon as `each` says so.
    pub(super) fn each_record(
        &self,
        root: u32,
        kind: u16,
        key_length: &dyn Fn(Record<'_>) -> Option<usize>,
        mut each: impl FnMut(Record<'_>) -> Option<()>,
    ) -> Option<()> {
        let mut at = root;
        for _ in 0..MOST_LEVELS {
            let page = self.page(at)?;
            if number(&page, 24, 2)? != u64::from(kind) {
                return None;
            }
            if number(&page, 64, 2)? > 0 {
                // An inner record has a key, and then the number of a page.
                let at_first = next_record(&page, INFIMUM)?;
                let first = Record {
                    page: &page,
                    at: at_first,
                };
                let key = key_length(first)?;
                at = u32::try_from(number(&page, at_first + key, 4)?).ok()?;
                continue;
            }
            return self.each_leaf(at, |page| {
                let mut at = INFIMUM;
                // No record is shorter than its own five bytes.
                for _ in 0..page.len() / 5 {
                    at = next_record(page, at)?;
                    if at == SUPREMUM {
                        return Some(());
                    }
                    if page.get(at - 5)? & DELETED == 0 {
                        each(Record { page, at })?;
                    }
                }
                None
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

/// Records are chained by distances.
fn next_record(page: &[u8], at: usize) -> Option<usize> {
    let distance = usize::try_from(number(page, at.checked_sub(2)?, 2)?).ok()?;
    let next = (at + distance) & 0xffff;
    (distance != 0 && next < page.len() && next >= INFIMUM).then_some(next)
}

/// The JSON of a description, which is compressed: behind its key, two hidden columns, its length and
/// its compressed length.
fn description(record: Record<'_>) -> Option<Vec<u8>> {
    const HEAD: usize = SDI_KEY + 6 + 7;
    let Record { page, at } = record;
    let length = usize::try_from(number(page, at + HEAD + 4, 4)?).ok()?;
    let (_, elsewhere) = variable_length(page, at.checked_sub(6)?, true)?;
    if elsewhere {
        return None;
    }
    let begin = at + HEAD + 8;
    let compressed = page.get(begin..begin + length)?;
    let mut text = Vec::new();
    let mut inflated = ZlibDecoder::new(compressed).take(LONGEST_DESCRIPTION);
    inflated.read_to_end(&mut text).ok()?;
    Some(text)
}

/// A record's page and its place there.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) page: &'a [u8],
    pub(super) at: usize,
}

impl Record<'_> {
    /// How many bytes tell for which version of the table it was written: columns were added since
    /// without rewriting it. They are behind those that we look at.
    pub(super) fn version_bytes(self) -> Option<usize> {
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
pub(super) fn variable_length(page: &[u8], at: usize, may_be_long: bool) -> Option<(usize, bool)> {
    let first = usize::from(*page.get(at)?);
    if !may_be_long || first & 0x80 == 0 {
        return Some((first, false));
    }
    let second = usize::from(*page.get(at.checked_sub(1)?)?);
    Some(((first & 0x3f) << 8 | second, first & 0x40 != 0))
}
