//! Directories with the bytes that tell of their servers, as real ones write them.

use std::fs;
use std::path::Path;

use super::*;

fn put(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A table's definition by the server with this `MYSQL_VERSION_ID`.
fn definition(id: u32) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[..2].copy_from_slice(&[0xfe, 1]);
    bytes[0x33..0x37].copy_from_slice(&id.to_le_bytes());
    bytes
}

fn tablespace(id: u32) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    bytes[8..12].copy_from_slice(&id.to_be_bytes());
    bytes
}

fn redo_log(creator: &str) -> Vec<u8> {
    let mut bytes = b"Phys".to_vec();
    bytes.resize(16, 0);
    bytes.extend(creator.as_bytes());
    bytes.resize(12_288, 0);
    bytes
}

const HISTORY: &str = r#"{"file_format":"1","upgrade_history":[{"date":"2026-11-22 17:34:06",
"version":"8.4.6","maturity":"LTS","initialize":true},{"date":"2026-11-23 00:00:00",
"version":"9.7.4-2","maturity":"LTS","update_history":[{"version_with_update":"9.7.4.0-2"}]}]}"#;

/// A file's name and its content.
type Entry = (&'static str, Vec<u8>);

/// Asserts whose the database of these files is.
#[track_caller]
fn assert_found(files: Vec<Entry>, family: Family, versions: [&str; 2], reason: &str) {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        put(dir.path(), name, bytes);
    }
    let [version, system_tables] = versions.map(Version::parse);
    let expected = Database {
        family,
        version: version.unwrap(),
        system_tables,
    };
    let state = inspect(dir.path()).unwrap();
    assert_eq!(state, DataDirState::Database(expected), "{reason}");
    assert_eq!(expected.to_string(), format!("{family} {}", versions[0]));
}

fn text(name: &'static str, text: &str) -> Entry {
    (name, text.as_bytes().to_vec())
}

#[test]
fn inspect_mysql_is_told_by_its_files() {
    let ibd = |id: u32| -> Entry { ("mysql.ibd", tablespace(id)) };
    let frm = |name: &'static str, id: u32| -> Entry { (name, definition(id)) };
    for (files, version, reason) in [
        (vec![ibd(80_036)], "8.0.36", "8.0 keeps no history"),
        (
            vec![ibd(80_406), text("mysql_upgrade_history", HISTORY)],
            "9.7.4",
            "the newest of the history",
        ),
        (
            vec![ibd(90_704), text("aria_log_control", "stray")],
            "9.7.4",
            "MariaDB was started on it, and failed",
        ),
        (
            vec![frm("mysql/db.frm", 50_624), frm("logs/x.frm", 50_700)],
            "5.6.24",
            "the earlier recipe's logs are no evidence",
        ),
        (
            vec![
                frm("mysql/db.frm", 50_624),
                text("mysql_upgrade_info", "5.7.44"),
            ],
            "5.7.44",
            "not every table is defined anew by an upgrade",
        ),
    ] {
        assert_found(files, Family::MySql, [version, version], reason);
    }
}

#[test]
fn inspect_mariadb_is_told_by_its_files() {
    let frm = |name: &'static str, id: u32| -> Entry { (name, definition(id)) };
    let log = |creator: &str| -> Entry { ("ib_logfile0", redo_log(creator)) };
    for (files, versions, reason) in [
        (
            vec![
                frm("mysql/db.frm", 101_119),
                text("mysql/user.frm", "TYPE=VIEW"),
                text("mysql_upgrade_info", "10.11.19-MariaDB"),
            ],
            ["10.11.19", "10.11.19"],
            "MariaDB up to 10.11",
        ),
        (
            vec![frm("mysql/db.frm", 101_119), log("MariaDB 11.8.9")],
            ["11.8.9", "10.11.19"],
            "a newer one was started, its tool has not run",
        ),
        (
            vec![
                frm("mysql/db.frm", 110_809),
                frm("mysql/gtid_slave_pos.frm", 101_119),
                text("mariadb_upgrade_info", "11.8.9-MariaDB\n"),
                log("MariaDB 10.11.19"),
            ],
            ["11.8.9", "11.8.9"],
            "upgraded: the redo log keeps its maker",
        ),
        (
            vec![
                frm("mysql/db.frm", 110_809),
                text("mariadb_upgrade_info", ""),
            ],
            ["11.8.9", ""],
            "the tool was interrupted",
        ),
    ] {
        assert_found(files, Family::MariaDb, versions, reason);
    }
}

#[test]
fn inspect_what_is_no_database_is_not_taken_for_one() {
    let unrecognised = |names: &[&str]| {
        DataDirState::Unrecognised(names.iter().map(|&name| name.to_owned()).collect())
    };
    let cases: [(Vec<Entry>, DataDirState, &str); 6] = [
        (vec![], DataDirState::Absent, "an empty directory"),
        (
            vec![("ibdata1", vec![0; 64])],
            unrecognised(&["ibdata1"]),
            "an initialiser killed half-way",
        ),
        (
            vec![("mysql.ibd", vec![0; 64])],
            unrecognised(&["mysql.ibd"]),
            "no server's version in it",
        ),
        (
            vec![
                ("mysql.ibd", tablespace(80_036)),
                ("mysql/db.frm", definition(101_119)),
            ],
            unrecognised(&["mysql", "mysql.ibd"]),
            "two servers' files",
        ),
        (
            vec![
                ("mysql/db.frm", definition(50_624)),
                ("aria_log_control", vec![0]),
            ],
            unrecognised(&["aria_log_control", "mysql"]),
            "MariaDB was started on MySQL's",
        ),
        (
            ["f", "e", "d", "c", "b", "a"]
                .map(|name| (name, vec![0]))
                .into(),
            unrecognised(&["a", "b", "c", "d", "e"]),
            "somebody's files",
        ),
    ];
    for (files, expected, reason) in cases {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            put(dir.path(), name, bytes);
        }
        assert_eq!(inspect(dir.path()).unwrap(), expected, "{reason}");
    }
}

#[test]
fn inspect_absent_and_unreadable() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("mysqldb");
    assert_eq!(inspect(&absent).unwrap(), DataDirState::Absent);
    fs::write(&absent, "a file").unwrap();
    assert_eq!(
        inspect(&absent).unwrap_err().to_string(),
        format!(
            "cannot look into the data directory {}/mysqldb",
            dir.path().display()
        )
    );
}

/// As 8.0.33 left it when it was killed between its dictionary and the end of 5.7's.
#[test]
fn inspect_a_half_upgraded_dictionary_is_named_first() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["#ib_0", "a", "b", "c", "d", HALF_UPGRADED] {
        put(dir.path(), name, "");
    }
    put(dir.path(), "mysql/user.frm", definition(50_722));
    put(dir.path(), "mysql.ibd", tablespace(80_033));
    let DataDirState::Unrecognised(names) = inspect(dir.path()).unwrap() else {
        panic!("files of both")
    };
    assert_eq!(names, [HALF_UPGRADED, "#ib_0", "a", "b", "c"]);
}
