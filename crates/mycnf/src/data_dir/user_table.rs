//! The accounts of MySQL from 8.0 on and what they log in with, as `mysql.user` has them in the file of a
//! server that was shut down cleanly; read-only. No server can be asked before an upgrade: the old one is
//! not here any more, and the new one upgrades the file first.

use std::path::Path;

use serde_json::Value;

use super::tablespace::{PAGE_INDEX, Record, Tablespace, variable_length};

/// An account and the authentication plugin it has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountPlugin {
    /// Its name.
    pub user: String,
    /// Where it comes from.
    pub host: String,
    /// Such as `mysql_native_password`.
    pub plugin: String,
    /// There is something that the plugin compares with: a password's hash.
    pub has_secret: bool,
    /// It lets nobody in.
    pub is_locked: bool,
}

/// Every account in the data directory `dir`, sorted. `None` if there is no file of a kind that we can
/// read: of another release than 8.0 and later, encrypted, damaged.
#[must_use]
pub fn account_plugins(dir: &Path) -> Option<Vec<AccountPlugin>> {
    let file = Tablespace::open(&dir.join("mysql.ibd")).ok()??;
    let table = file.description("mysql", "user")?;
    let columns = Columns::of(&table)?;
    let key_length = |record: Record<'_>| columns.key_length(record);
    let mut accounts = Vec::new();
    file.each_record(root(&table)?, PAGE_INDEX, &key_length, |record| {
        let text = |name| {
            let bytes = columns.value(record, name)?;
            Some(String::from_utf8_lossy(bytes).trim_end().to_owned())
        };
        accounts.push(AccountPlugin {
            user: text("User")?,
            host: text("Host")?,
            plugin: text("plugin")?,
            has_secret: !columns.value(record, "authentication_string")?.is_empty(),
            // An enumeration's second value is Y.
            is_locked: columns.value(record, "account_locked")? == [2],
        });
        Some(())
    })?;
    accounts.sort();
    Some(accounts)
}

fn root(table: &Value) -> Option<u32> {
    let data = table["indexes"][0]["se_private_data"].as_str()?;
    let root = data.split(';').find_map(|part| part.strip_prefix("root="));
    root?.parse().ok()
}

/// The columns of a table in the order in which its records have them, up to the last that we know of.
struct Columns {
    /// Their names and kinds, and whether their values may be missing.
    kinds: Vec<(String, Kind, bool)>,
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
            let nullable = column["is_nullable"] == true;
            columns.push((column["name"].as_str()?.to_owned(), kind, nullable));
        }
        // The hidden columns follow the key.
        let key = columns.iter().position(|(name, ..)| name == "DB_TRX_ID")?;
        let nullable = all.iter().filter(|column| column["is_nullable"] == true);
        Some(Self {
            kinds: columns,
            key,
            nulls: nullable.count().div_ceil(8),
        })
    }

    fn value<'a>(&self, record: Record<'a>, wanted: &str) -> Option<&'a [u8]> {
        let at = self.kinds.iter().position(|(name, ..)| name == wanted)?;
        let (begin, end) = self.place(record, at)?;
        record.page.get(begin..end)
    }

    fn key_length(&self, record: Record<'_>) -> Option<usize> {
        let (_, end) = self.place(record, self.key.checked_sub(1)?)?;
        end.checked_sub(record.at)
    }

    /// Where a column's value begins and ends: at one place, where it is missing.
    fn place(&self, record: Record<'_>, wanted: usize) -> Option<(usize, usize)> {
        // Lengths stand before the record, backwards, behind its own five bytes and the bits.
        let bits = record.at.checked_sub(6 + record.version_bytes()?)?;
        let mut lengths = bits.checked_sub(self.nulls)?;
        let mut begin = record.at;
        let mut bit = 0;
        for (index, (_, kind, nullable)) in self.kinds.iter().enumerate() {
            let byte = record.page.get(bits.checked_sub(bit / 8)?)?;
            let missing = *nullable && (byte >> (bit % 8)) & 1 == 1;
            bit += usize::from(*nullable);
            let length = match *kind {
                _ if missing => 0,
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
    /// `None` if we do not know.
    fn of(column: &Value) -> Option<Self> {
        let length = usize::try_from(column["char_length"].as_u64()?).ok()?;
        let text = column["column_type_utf8"].as_str()?;
        match column["name"].as_str()? {
            "DB_TRX_ID" => return Some(Self::Fixed(6)),
            "DB_ROLL_PTR" => return Some(Self::Fixed(7)),
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
        } else if begins(&["smallint"]) {
            Some(Self::Fixed(2))
        } else if begins(&["int", "timestamp"]) && !text.contains("timestamp(") {
            Some(Self::Fixed(4))
        } else if begins(&["blob", "text"]) {
            Some(Self::Variable { may_be_long: true })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tablespace::PAGE_SDI;
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
        let mut chain = page(0, PAGE_SDI);
        // From the one before the first to two that lead to each other.
        chain[3 * 16_384 + 98] = 101;
        chain[3 * 16_384 + 199] = 50;
        chain[3 * 16_384 + 248..][..2].copy_from_slice(&(-50_i16).to_be_bytes());
        for (bytes, reason) in [
            (vec![], "empty"),
            (vec![0xff; 70_000], "nonsense"),
            (page(0, 0), "no descriptions"),
            (page(0, PAGE_SDI), "no records"),
            (page(1 << 13, PAGE_SDI), "encrypted"),
            (page(9 << 6, PAGE_SDI), "no size of a page"),
            (circle, "a circle of levels"),
            (chain, "a circle of records"),
        ] {
            fs::write(dir.path().join("mysql.ibd"), bytes).unwrap();
            assert_eq!(account_plugins(dir.path()), None, "{reason}");
        }
    }
}
