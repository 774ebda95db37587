//! The versions that servers leave in their own files. What each file proves was tried with real
//! servers; docs/hooks.md has the table.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::server::Version;

/// What the files of a data directory say about who wrote them.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Of `mysql.ibd`, the data dictionary of MySQL from 8.0 on.
    pub(super) dictionary: Option<Version>,
    /// The newest entry of `mysql_upgrade_history`, which MySQL from 8.4 on writes.
    pub(super) history: Option<Version>,
    /// The newest that defined a system table: `mysql/*.frm` of MySQL 5.x and MariaDB.
    pub(super) definitions: Option<Version>,
    /// `mariadb_upgrade_info`, or `mysql_upgrade_info` of MySQL 5.x and MariaDB before 11.
    pub(super) upgrade_info: UpgradeInfo,
    /// Who made the redo log, MariaDB from 10.8 on.
    pub(super) redo_log_creator: Option<Version>,
    /// There is Aria's control file, which MariaDB alone keeps.
    pub(super) aria: bool,
}

/// What the upgrade tool of MariaDB and MySQL 5.x says about its work.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum UpgradeInfo {
    /// Nothing: it never ran.
    #[default]
    Absent,
    /// It began: MariaDB's empties the file first and writes its version last; before MySQL's it is us who
    /// do that.
    Begun,
    /// It did its work for this release; an initialiser writes the same.
    Complete(Version),
}

impl UpgradeInfo {
    pub(super) fn version(&self) -> Option<Version> {
        match self {
            Self::Complete(version) => Some(*version),
            Self::Absent | Self::Begun => None,
        }
    }

    /// The release that the system tables are for, some of which `definitions` defined.
    pub(super) fn system_tables(&self, definitions: Version) -> Option<Version> {
        match self {
            Self::Complete(version) => Some(*version),
            Self::Absent => Some(definitions),
            Self::Begun => None,
        }
    }
}

impl Evidence {
    pub(super) fn collect(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            dictionary: head(&dir.join("mysql.ibd"))?.and_then(|page| dictionary(&page)),
            history: text(&dir.join("mysql_upgrade_history"))?.and_then(|text| history(&text)),
            definitions: definitions(&dir.join("mysql"))?,
            upgrade_info: match text(&dir.join("mariadb_upgrade_info"))? {
                None => text(&dir.join("mysql_upgrade_info"))?,
                some => some,
            }
            .map_or(UpgradeInfo::Absent, |text| {
                Version::parse(&text).map_or(UpgradeInfo::Begun, UpgradeInfo::Complete)
            }),
            redo_log_creator: head(&dir.join("ib_logfile0"))?.and_then(|head| creator(&head)),
            aria: dir.join("aria_log_control").is_file(),
        })
    }
}

/// `FIL_PAGE_SRV_VERSION` of a tablespace's first page.
fn dictionary(page: &[u8]) -> Option<Version> {
    let id = u32::from_be_bytes(page.get(8..12)?.try_into().ok()?);
    (id >= 80_000).then(|| Version::from_id(id))
}

/// The newest `"version":"9.7.4-2"`. A parser for the whole of it would tell us nothing more.
fn history(text: &str) -> Option<Version> {
    let values = text.split("\"version\"").skip(1);
    values
        .filter_map(|rest| Version::parse(rest.trim_start_matches([' ', ':', '"'])))
        .max()
}

/// `MYSQL_VERSION_ID` in a table's definition; views are text.
fn definition(head: &[u8]) -> Option<Version> {
    let id = u32::from_le_bytes(head.get(0x33..0x37)?.try_into().ok()?);
    (head.starts_with(&[0xfe, 1]) && id >= 50_000).then(|| Version::from_id(id))
}

fn definitions(dir: &Path) -> io::Result<Option<Version>> {
    let entries = match dir.read_dir() {
        Ok(entries) => entries,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut newest = None;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "frm") {
            newest = newest.max(head(&path)?.and_then(|head| definition(&head)));
        }
    }
    Ok(newest)
}

/// `MariaDB 10.11.19` in the header of a redo log in the format of 10.8 and later.
fn creator(head: &[u8]) -> Option<Version> {
    let creator = head.get(16..48)?.strip_prefix(b"MariaDB ")?;
    Version::parse(&String::from_utf8_lossy(creator))
}

/// The first bytes of a file, or fewer; `None` if there is no such file.
fn head(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(64).read_to_end(&mut bytes)?,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(bytes))
}

fn text(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
