//! The logs that the option file switches on or off: the binary log and that of slow statements.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{MAIN_GROUP, Origin, Rendering, Settings, names};
use crate::{Flavour, Layout, Version};

impl Rendering<'_> {
    /// `MYSQL_SLOW_LOG`; where the file is, the user may say.
    pub(super) fn impose_slow_log(&mut self, settings: &Settings<'_>) {
        let Some(seconds) = settings.slow_log else {
            return;
        };
        let why = "from MYSQL_SLOW_LOG";
        self.impose("slow-query-log", b"1", why);
        self.impose("long-query-time", seconds.as_bytes(), why);
        // MariaDB's other name of the same.
        if self.user_set("log-slow-query-file").is_none() {
            let path = settings.layout.slow_log();
            let why = "survives a push, outside the data directory";
            self.fill(
                "slow-query-log-file",
                "slow-query-log-file",
                path.as_os_str().as_bytes(),
                why,
            );
        }
    }

    /// `MYSQL_PITR`: every change in binary logs that can be copied when they are closed, and replayed.
    pub(super) fn impose_binary_log(&mut self, settings: &Settings<'_>) {
        let why = "from MYSQL_PITR";
        let data_dir = self.user_set("datadir").and_then(|found| found.value);
        let data_dir = data_dir.map_or(settings.layout.data_dir(), |path| {
            OsStr::from_bytes(&path).into()
        });
        let base = from_data_dir(settings.layout, &data_dir).join(BINARY_LOG);
        self.impose("log-bin", base.as_os_str().as_bytes(), why);
        let mut index = base.into_os_string();
        index.push(".index");
        self.impose("log-bin-index", index.as_bytes(), why);
        let mysql = settings.flavour != Flavour::MariaDb;
        let since = |major, minor, patch| settings.version >= Version::new(major, minor, patch);
        let closed = "a closed one is copied; small ones are copied soon";
        self.fill("max-binlog-size", "max-binlog-size", b"64M", closed);
        if !mysql || !since(5, 7, 7) {
            let why = "what was changed, not how: it means the same whenever it is replayed";
            self.fill("binlog-format", "binlog-format", b"ROW", why);
        }
        if mysql && !since(8, 0, 3) {
            let why = "this server keeps no binary log without one";
            self.fill("server-id", "server-id", b"1", why);
        }
        if mysql && since(5, 7, 6) {
            let why = "a transaction can be named, and is never replayed twice";
            self.fill("gtid-mode", "gtid-mode", b"ON", why);
            let option = "enforce-gtid-consistency";
            self.fill(option, option, b"ON", why);
        }
        // Else nobody but root may make routines and triggers any more.
        let why = "rows are logged, so no routine can make a replay differ";
        let option = "log-bin-trust-function-creators";
        self.fill(option, option, b"1", why);
        let seconds = if mysql {
            since(8, 0, 1)
        } else {
            since(10, 6, 1)
        };
        let why =
            "'backup logs' removes what was copied, by size; this is for those that nobody copies";
        if seconds {
            let option = "binlog-expire-logs-seconds";
            self.fill(option, option, b"604800", why);
        } else {
            self.fill("expire-logs-days", "expire-logs-days", b"7", why);
        }
    }

    /// MySQL keeps a binary log by default from 8.0 on, 30 days of it, for replicas that there may never
    /// be. A database that has one keeps it.
    pub(super) fn fill_binary_log(&mut self, layout: &Layout) {
        let data_dir = self.user_set("datadir").and_then(|found| found.value);
        let data_dir = data_dir.map_or(layout.data_dir(), |path| OsStr::from_bytes(&path).into());
        let groups = names(&self.server_groups);
        let wanted = self.user.options(&groups).any(|option| {
            let name = String::from_utf8_lossy(&option.name).replace('_', "-");
            let name = name.strip_prefix("loose-").unwrap_or(&name);
            WANT_BINARY_LOG.iter().any(|begin| name.starts_with(begin))
        });
        if wanted || has_binary_log(&data_dir) {
            return;
        }
        let why = "the binary log would take the disk, 30 days of it: for replicas or recovery to a point \
                   in time, set log_bin in my.cnf";
        self.file.set(MAIN_GROUP, "skip-log-bin", b"1", why);
        self.choose("log-bin", b"off", Origin::Added { why });
    }
}

/// The directory of the binary logs, as the server in `data_dir` names it in their index: the same
/// wherever the home is, which may be elsewhere after a push.
fn from_data_dir(layout: &Layout, data_dir: &Path) -> PathBuf {
    let directory = layout.binary_logs();
    let (Ok(below), Some(name)) = (data_dir.strip_prefix(layout.data()), directory.file_name())
    else {
        return directory;
    };
    let mut path: PathBuf = below.iter().map(|_| "..").collect();
    path.push(name);
    path
}

/// The binary logs are called that and a number.
pub const BINARY_LOG: &str = "binlog";

/// Beginnings of options that somebody sets who wants the binary log, or has decided about it.
const WANT_BINARY_LOG: [&str; 12] = [
    "log-bin",
    "skip-log-bin",
    "disable-log-bin",
    "binlog-",
    "server-id",
    "gtid-",
    "enforce-gtid",
    "log-replica-updates",
    "log-slave-updates",
    "group-replication",
    "rpl-",
    "report-host",
];

/// Whether there is the index of a binary log that has no path of its own.
fn has_binary_log(data_dir: &Path) -> bool {
    let names = fs::read_dir(data_dir).into_iter().flatten().flatten();
    names
        .map(|entry| entry.file_name())
        .any(|name| is_binary_log_index(&name))
}

/// Whether the file `name` lists the files of a binary log. A replica's relay log has such a list too.
#[must_use]
pub fn is_binary_log_index(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.ends_with(".index") && !name.contains("relay")
}
