//! The numbers of one scrape: what the server counts, and what only this machine knows.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hook::MemoryLimit;

use crate::backups::Backups;
use crate::look::Eye;

/// What of `SHOW GLOBAL STATUS` is told, and whether it goes up and down.
pub(crate) const STATUS: [(&str, bool); 22] = [
    ("Aborted_clients", false),
    ("Aborted_connects", false),
    ("Bytes_received", false),
    ("Bytes_sent", false),
    ("Connections", false),
    ("Created_tmp_disk_tables", false),
    ("Innodb_buffer_pool_bytes_data", true),
    ("Innodb_buffer_pool_bytes_dirty", true),
    ("Innodb_buffer_pool_read_requests", false),
    ("Innodb_buffer_pool_reads", false),
    ("Innodb_data_reads", false),
    ("Innodb_data_writes", false),
    ("Innodb_log_waits", false),
    ("Innodb_row_lock_current_waits", true),
    ("Innodb_row_lock_time", false),
    ("Innodb_row_lock_waits", false),
    ("Max_used_connections", true),
    ("Questions", false),
    ("Slow_queries", false),
    ("Threads_connected", true),
    ("Threads_running", true),
    ("Uptime", true),
];

/// What of `SHOW GLOBAL VARIABLES` is told as a number.
pub(crate) const VARIABLES: [&str; 2] = ["innodb_buffer_pool_size", "max_connections"];

/// And what else is read of it.
const OTHER_VARIABLES: [&str; 4] = ["version", "version_comment", "datadir", "log_bin_basename"];

/// Directories are counted no more often: a database may have many thousand files.
const COUNTED_EVERY: Duration = Duration::from_mins(1);

/// Nor more of them at a time.
const MOST_FILES: usize = 200_000;

/// Names and values as the server has them, names in lower case.
pub(crate) type Texts = BTreeMap<String, String>;

/// One scrape's worth.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Empty, if the server did not answer.
    pub(crate) status: Texts,
    pub(crate) variables: Texts,
    pub(crate) sizes: Sizes,
    pub(crate) memory: MemoryUse,
    pub(crate) backups: Backups,
    /// When it was taken, in seconds since 1970.
    pub(crate) now: u64,
}

/// Bytes on the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sizes {
    pub(crate) data: Option<u64>,
    pub(crate) binary_logs: Option<(u64, u64)>,
    pub(crate) logs: Option<u64>,
    pub(crate) free: Option<u64>,
}

/// Bytes of memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryUse {
    pub(crate) planned: Option<u64>,
    pub(crate) resident: Option<u64>,
    pub(crate) used: Option<u64>,
    pub(crate) limit: Option<u64>,
}

/// What takes samples.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    /// What the server's memory was planned for.
    pub(crate) planned: Option<u64>,
    counted: Option<(Instant, Sizes)>,
}

impl Sampler {
    pub(crate) fn new(planned: Option<u64>) -> Self {
        Self {
            planned,
            counted: None,
        }
    }

    /// With the connection of the last look, if there is one.
    pub(crate) fn take(&mut self, eye: &mut Eye) -> Sample {
        let status = ask(eye, "STATUS", STATUS.iter().map(|(name, _)| *name));
        let variables = ask(
            eye,
            "VARIABLES",
            VARIABLES.into_iter().chain(OTHER_VARIABLES),
        );
        let layout = &eye.place.layout;
        let is_old = |(at, _): &(Instant, Sizes)| at.elapsed() > COUNTED_EVERY;
        if self.counted.as_ref().is_none_or(is_old) {
            let data = variables
                .get("datadir")
                .map_or_else(|| layout.data_dir(), PathBuf::from);
            let binary_logs = variables.get("log_bin_basename").map(PathBuf::from);
            let sizes = Sizes::count(&data, binary_logs.as_deref(), &layout.logs());
            self.counted = Some((Instant::now(), sizes));
        }
        let sizes = self.counted.as_ref().map(|(_, sizes)| sizes.clone());
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_secs());
        Sample {
            status,
            variables,
            sizes: sizes.unwrap_or_default(),
            memory: MemoryUse::of(&layout.pid_file(), self.planned),
            backups: Backups::read(&layout.backups(), now),
            now,
        }
    }
}

fn ask<'n>(eye: &mut Eye, what: &str, names: impl Iterator<Item = &'n str>) -> Texts {
    let names: Vec<String> = names.map(|name| format!("'{name}'")).collect();
    let names = names.join(",");
    let sql = format!("SHOW GLOBAL {what} WHERE Variable_name IN ({names})");
    let rows = eye.ask(&sql).unwrap_or_default();
    let pair = |row: Vec<String>| {
        let mut row = row.into_iter();
        Some((row.next()?.to_ascii_lowercase(), row.next()?))
    };
    rows.into_iter().filter_map(pair).collect()
}

impl Sizes {
    fn count(data: &Path, binary_logs: Option<&Path>, logs: &Path) -> Self {
        let binary_logs = binary_logs.filter(|path| path.is_absolute());
        let mut left = MOST_FILES;
        let all = on_disk(data, &mut left);
        let counted = binary_logs.and_then(binary_log_files);
        let inside = binary_logs.is_some_and(|path| path.parent() == Some(data));
        let inside = if inside {
            counted.map_or(0, |(bytes, _)| bytes)
        } else {
            0
        };
        let free = rustix::fs::statvfs(data).ok();
        Self {
            data: all.map(|bytes| bytes.saturating_sub(inside)),
            binary_logs: counted,
            logs: on_disk(logs, &mut left),
            free: free.map(|found| found.f_bavail * found.f_frsize),
        }
    }
}

/// Of `NAME.000001` and so on, and of their index; and how many there are.
fn binary_log_files(base: &Path) -> Option<(u64, u64)> {
    let name = base.file_name()?.to_str()?;
    let (mut bytes, mut count) = (0, 0);
    for entry in base.parent()?.read_dir().ok()?.flatten() {
        let file = entry.file_name();
        let Some(end) = file.to_str().and_then(|file| file.strip_prefix(name)) else {
            continue;
        };
        let Some(number) = end.strip_prefix('.') else {
            continue;
        };
        let is_log = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if is_log || number == "index" {
            bytes += entry.metadata().map_or(0, |found| found.blocks() * 512);
            count += u64::from(is_log);
        }
    }
    Some((bytes, count))
}

/// What `directory` takes on the disk; nothing, if it cannot be read.
fn on_disk(directory: &Path, left: &mut usize) -> Option<u64> {
    let mut bytes = 0;
    let mut directories = vec![directory.to_owned()];
    let mut is_first = true;
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(_) if is_first => return None,
            Err(_) => continue,
        };
        is_first = false;
        for entry in entries.flatten() {
            *left = left.checked_sub(1)?;
            let Ok(found) = entry.metadata() else {
                continue;
            };
            bytes += found.blocks() * 512;
            if found.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    Some(bytes)
}

impl MemoryUse {
    /// Of the server whose process id is in `pid_file`, if it is one that we see.
    fn of(pid_file: &Path, planned: Option<u64>) -> Self {
        let mut memory = Self {
            planned,
            ..Self::default()
        };
        let pid = fs::read_to_string(pid_file).unwrap_or_default();
        let pid = pid.trim();
        let is_number = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
        let process = Path::new("/proc").join(pid);
        let read = |name: &str| fs::read_to_string(process.join(name)).ok();
        // In another container its number is somebody else's here; and an interpreter or a loader may
        // run it.
        let is_server = |words: &String| {
            let mut words = words.split('\0').map(Path::new);
            words.any(|word| word.ends_with("mysqld") || word.ends_with("mariadbd"))
        };
        if !is_number || !read("cmdline").as_ref().is_some_and(is_server) {
            return memory;
        }
        memory.resident = read("status").as_deref().and_then(resident);
        let own = fs::read_to_string("/proc/self/cgroup").ok();
        // The limits that we find are ours.
        if own.is_some()
            && own == read("cgroup")
            && let Ok(limit) = MemoryLimit::find(Path::new("/"))
        {
            memory.limit = Some(limit.bytes);
            memory.used = limit.file.as_deref().and_then(used_beside);
        }
        memory
    }
}

/// `VmRSS`, which is in kB.
fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))?;
    Some(line.trim().parse::<u64>().ok()? * 1024)
}

/// The use that the cgroup tells beside its limit.
fn used_beside(limit: &Path) -> Option<u64> {
    let name = match limit.file_name()?.to_str()? {
        "memory.max" => "memory.current",
        _ => "memory.usage_in_bytes",
    };
    fs::read_to_string(limit.with_file_name(name))
        .ok()?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_binary_logs_are_told_apart_from_data() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("mysqldb");
        fs::create_dir_all(data.join("shop")).unwrap();
        let logs = home.path().join("logs");
        let none = Sizes::count(&home.path().join("nowhere"), None, &logs);
        assert!(none.data.is_none() && none.logs.is_none());
        let before = Sizes::count(&data, None, &logs).data.unwrap();
        for name in [
            "shop/t.ibd",
            "binlog.000001",
            "binlog.000002",
            "binlog.index",
            "binlog.x",
        ] {
            fs::write(data.join(name), [1; 5000]).unwrap();
        }
        let sizes = Sizes::count(&data, Some(&data.join("binlog")), &logs);
        let (bytes, count) = sizes.binary_logs.unwrap();
        assert_eq!(count, 2);
        assert!(bytes >= 15_000, "{bytes}");
        let other = sizes.data.unwrap() - before;
        assert!((10_000..30_000).contains(&other), "{other}");
        assert!(sizes.free.unwrap() > 0);
        assert_eq!(on_disk(&data, &mut 2), None, "too many files");
    }

    #[test]
    fn resident_is_in_bytes() {
        assert_eq!(
            resident("Name:\tmysqld\nVmRSS:\t    2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(resident(""), None);
    }

    #[test]
    fn memory_of_no_server_is_what_was_planned() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in ["", "1\n", "../1", &format!("{}\n", std::process::id())] {
            fs::write(file.path(), text).unwrap();
            let memory = MemoryUse::of(file.path(), Some(7));
            assert_eq!((memory.planned, memory.resident), (Some(7), None), "{text}");
        }
    }
}
