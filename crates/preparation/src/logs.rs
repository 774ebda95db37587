//! The server's logs before it starts, while nobody writes to them: those that have grown too long to be
//! read are renamed, and few of these are kept; what the binary log takes is told.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use hook::Report;
use mycnf::{Lineage, LineageError, is_binary_log_index, shown_size};

use crate::judgement::Case;

/// A log that is longer is renamed.
const LONGEST: u64 = 50 << 20;

/// How many are kept of each: `error.log.1` is the newest, `error.log.5` is replaced.
const KEPT: u32 = 5;

/// Those beside the error log, each with the options that name it, and the end of the name that it has
/// otherwise.
const LOGS: [(&[&str], &str); 2] = [
    (&["general-log-file"], ".log"),
    (&["slow-query-log-file", "log-slow-query-file"], "-slow.log"),
];

/// Renames what is too long. What cannot be renamed goes on as it is.
pub(crate) fn rotate(place: &Case<'_>, report: &mut Report) {
    for path in paths(place) {
        match rotate_one(&path) {
            Ok(None) => {}
            Ok(Some(renamed)) => report.bullet(format!(
                "renamed {} to {}, of which {KEPT} are kept",
                path.display(),
                renamed.file_name().unwrap_or_default().display()
            )),
            Err(error) => {
                report.warning(format!("cannot rename {}: {error}", path.display()));
            }
        }
    }
}

/// Where the server writes its logs: as the option file says, with the servers' own way of naming.
pub(crate) fn error_log(place: &Case<'_>) -> PathBuf {
    let found = place.user_set("log-error").and_then(|found| found.value);
    let Some(value) = found.filter(|value| !value.is_empty()) else {
        return place.layout.error_log();
    };
    let path = place.data_dir.join(OsStr::from_bytes(&value));
    if path.extension().is_some() {
        return path;
    }
    let mut name = OsString::from(path);
    name.push(".err");
    name.into()
}

fn paths(place: &Case<'_>) -> Vec<PathBuf> {
    let named = |option: &&str| place.user_set(option)?.value;
    let mut paths = vec![error_log(place), place.layout.slow_log()];
    for (options, end) in LOGS {
        let value = options.iter().find_map(named);
        let default = || format!("{}{end}", place.settings.host_name).into_bytes();
        let name = value.unwrap_or_else(default);
        paths.push(place.data_dir.join(OsStr::from_bytes(&name)));
    }
    paths.dedup();
    paths
}

/// Its new name, if it is too long. Killed in between, it leaves a gap, which the next one fills.
fn rotate_one(path: &Path) -> io::Result<Option<PathBuf>> {
    let is_long =
        fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() > LONGEST);
    if !is_long {
        return Ok(None);
    }
    let numbered = |number: u32| {
        let mut name = OsString::from(path);
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let free = (1..KEPT).find(|number| !numbered(*number).exists());
    for number in (1..free.unwrap_or(KEPT)).rev() {
        durable::rename_unsynced(numbered(number), numbered(number + 1))?;
    }
    let renamed = numbered(1);
    durable::rename_unsynced(path, &renamed)?;
    Ok(Some(renamed))
}

/// Whether the binary logs of the server that starts now follow on those that are there.
pub(crate) fn keep_changes(place: &Case<'_>, report: &mut Report) -> Result<(), LineageError> {
    let directory = place.layout.binary_logs();
    if !place.settings.keeps_changes() {
        return Lineage::end(&directory);
    }
    let (_, new) = Lineage::ensure(&directory, place.server)?;
    if new {
        report.bullet(format!(
            "every change from now on is in {}: after the next backup the database can be brought back \
             to a point in time",
            directory.display()
        ));
    }
    Ok(())
}

/// Tells what the binary log of the database takes, if it has one.
pub(crate) fn tell_binary_log(place: &Case<'_>, report: &mut Report) {
    let own = place.user_set("log-bin").and_then(|found| found.value);
    let own = own.map(|value| place.data_dir.join(OsStr::from_bytes(&value)));
    let own = own.as_deref().and_then(Path::parent);
    let kept = place.layout.binary_logs();
    let keeps = place.settings.keeps_changes();
    let directories = [
        Some(place.data_dir),
        own.filter(|dir| *dir != place.data_dir && !keeps),
        keeps.then_some(&*kept),
    ];
    for dir in directories.into_iter().flatten() {
        let (files, bytes) = binary_log(dir, place.data_dir);
        if files > 0 {
            report.bullet(format!(
                "the binary log takes {} in {files} {}, in {}",
                shown_size(bytes),
                if files == 1 { "file" } else { "files" },
                dir.display()
            ));
        }
    }
}

/// How many files the indexes in `dir` name, and their size.
fn binary_log(dir: &Path, data_dir: &Path) -> (usize, u64) {
    let mut found = (0, 0);
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if !is_binary_log_index(&entry.file_name()) {
            continue;
        }
        let index = fs::read(entry.path()).unwrap_or_default();
        let names = index
            .split(|byte| *byte == b'\n')
            .filter(|name| !name.is_empty());
        for name in names {
            let path = data_dir.join(OsStr::from_bytes(name));
            if let Ok(file) = fs::symlink_metadata(path) {
                found = (found.0 + 1, found.1 + file.len());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(path: &Path, mark: &str) {
        let file = fs::File::create(path).unwrap();
        io::Write::write_all(&mut &file, mark.as_bytes()).unwrap();
        file.set_len(LONGEST + 1).unwrap();
    }

    fn marks(dir: &Path) -> Vec<(String, String)> {
        let mut marks: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = fs::read(entry.path()).unwrap();
                let mark = String::from_utf8_lossy(&text[..1]).into_owned();
                (entry.file_name().into_string().unwrap(), mark)
            })
            .collect();
        marks.sort();
        marks
    }

    #[test]
    fn rotate_one_keeps_five_and_fills_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("error.log");
        fs::write(&log, "short").unwrap();
        assert_eq!(rotate_one(&log).unwrap(), None);
        for mark in ["a", "b", "c", "d", "e", "f"] {
            long(&log, mark);
            assert!(rotate_one(&log).unwrap().is_some());
        }
        let names = |marks: Vec<(String, String)>| {
            let shown = marks
                .into_iter()
                .map(|(name, mark)| format!("{name}={mark}"));
            shown.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            names(marks(dir.path())),
            "error.log.1=f error.log.2=e error.log.3=d error.log.4=c error.log.5=b"
        );
        // As a kill leaves it.
        durable::rename_unsynced(
            dir.path().join("error.log.2"),
            dir.path().join("error.log.3"),
        )
        .unwrap();
        long(&log, "g");
        rotate_one(&log).unwrap();
        assert_eq!(
            names(marks(dir.path())),
            "error.log.1=g error.log.2=f error.log.3=e error.log.4=c error.log.5=b"
        );
        let link = dir.path().join("link.log");
        std::os::unix::fs::symlink(dir.path().join("error.log.1"), &link).unwrap();
        assert_eq!(rotate_one(&link).unwrap(), None, "no file of the server's");
    }

    #[test]
    fn binary_log_is_what_its_index_names() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("binlog.000007", "seven");
        write("binlog.000008", "eight");
        write(
            "binlog.index",
            "./binlog.000006\n./binlog.000007\n./binlog.000008\n",
        );
        write("vm-relay-bin.index", "./binlog.000007\n");
        assert_eq!(binary_log(dir.path(), dir.path()), (2, 10));
    }
}
