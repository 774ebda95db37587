//! The load: more rows than the pool holds, and clients that read, sort, group, join and write them all
//! at once.

use std::fs;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{ScopedJoinHandle, park_timeout, scope};
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};

use crate::cgroup::Cgroup;
use crate::real::{Instance, Running};

/// How many clients are connected at the same time.
pub(crate) const CLIENTS: u32 = 30;

/// Bytes of a row, without its index entry.
const ROW: u64 = 230;

/// Rows that one client sorts and groups: more than stays in memory at the smallest limits.
const SPAN: u32 = 6_000;

/// What was seen while it ran, in bytes.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) pool: u64,
    pub(crate) connections: u64,
    pub(crate) performance_schema: bool,
    /// The server's resident memory, at most (executable and libraries included).
    pub(crate) resident: u64,
    /// The cgroup's anonymous memory, at most, sampled.
    pub(crate) anonymous: u64,
}

/// Fills the pool of `running` and lets [`CLIENTS`] work through `rounds` each. Panics if one of them
/// is refused or fails.
pub(crate) fn work(
    instance: &Instance,
    running: &Running,
    cgroup: &Cgroup,
    password: &str,
    rounds: u32,
) -> Seen {
    let mut root = instance.connect(password);
    let pool: u64 = variable(&mut root, "innodb_buffer_pool_size");
    let rows = fill(&mut root, pool + pool / 4);
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let together = Barrier::new(CLIENTS as usize);
    scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(cgroup.anonymous(), Ordering::Relaxed);
                park_timeout(Duration::from_millis(20));
            }
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let together = &together;
                scope.spawn(move || {
                    let connection = connect(instance, password);
                    // Those that could not as well: nobody waits for them.
                    together.wait();
                    client(&mut connection?, number, rows, rounds)
                })
            })
            .collect();
        let worked: Vec<_> = clients.into_iter().map(ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        for worked in worked {
            let worked = worked.unwrap();
            let log = instance.home().join("data/logs/error.log");
            let log = || fs::read_to_string(&log).unwrap_or_default();
            assert!(worked.is_ok(), "{:?}\n{}", worked.unwrap_err(), log());
        }
    });
    let read: (String, u64) = root
        .query_first("SHOW GLOBAL STATUS LIKE 'Innodb_data_read'")
        .unwrap()
        .unwrap();
    assert!(read.1 > pool, "the pool was never full: {read:?}");
    Seen {
        pool,
        connections: variable(&mut root, "max_connections"),
        performance_schema: variable(&mut root, "performance_schema") == 1,
        resident: resident_peak(running.0.id()),
        anonymous: peak.into_inner(),
    }
}

fn variable(root: &mut Conn, name: &str) -> u64 {
    root.query_first(format!("SELECT @@GLOBAL.{name}"))
        .unwrap()
        .unwrap()
}

fn connect(instance: &Instance, password: &str) -> mysql::Result<Conn> {
    let socket = instance.home().join("mysql/run/mysqld.sock");
    let options = OptsBuilder::new()
        .user(Some("root"))
        .pass(Some(password))
        .db_name(Some("d"))
        .socket(socket.to_str());
    Conn::new(options)
}

const TEXT: &str = "REPEAT(SHA2(RAND(), 256), 3)";

/// Makes at least `bytes` of rows; how many they are.
fn fill(root: &mut Conn, bytes: u64) -> u32 {
    root.query_drop("CREATE DATABASE d").unwrap();
    root.query_drop("USE d").unwrap();
    root.query_drop(
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT, b VARCHAR(255), KEY (a)) \
         ENGINE = InnoDB",
    )
    .unwrap();
    root.query_drop("INSERT INTO t (a, b) VALUES (1, 'x')")
        .unwrap();
    // By SELECT ... LIMIT, as one statement doubling gigabytes would hold all its locks and undo.
    let rows = (bytes / ROW).max(u64::from(2 * SPAN));
    let mut made: u64 = 1;
    while made < rows {
        let more = made.min(rows - made).min(100_000);
        root.query_drop(format!(
            "INSERT INTO t (a, b) SELECT FLOOR(RAND() * 1000000), {TEXT} FROM t LIMIT {more}"
        ))
        .unwrap();
        made += more;
    }
    made.try_into().unwrap()
}

/// One client's work; `number` gives each other rows, so that nobody waits for somebody's lock.
fn client(connection: &mut Conn, number: u32, rows: u32, rounds: u32) -> mysql::Result<()> {
    let share = (rows - SPAN) / CLIENTS;
    let first = 1 + share * number;
    let span = format!("id BETWEEN {first} AND {}", first + SPAN);
    let sorted = format!("SELECT id, b FROM t WHERE {span} ORDER BY b LIMIT 10");
    let grouped =
        format!("SELECT b, COUNT(*) n FROM t WHERE {span} GROUP BY b ORDER BY n, b LIMIT 10");
    let joined = format!(
        "SELECT COUNT(*) FROM t x JOIN t y ON x.b = y.b WHERE x.id BETWEEN {first} AND {first} + 300 \
         AND y.id BETWEEN {first} AND {first} + 600"
    );
    let updated = format!("UPDATE t SET b = {TEXT} WHERE id BETWEEN {first} AND {first} + 99");
    // All clients together read the whole table, through the pool.
    let scanned = format!(
        "SELECT MAX(b) FROM t WHERE id BETWEEN {first} AND {}",
        first + share.max(SPAN)
    );
    for _ in 0..rounds {
        let _: Vec<(u32, String)> = connection.query(&sorted)?;
        let _: Vec<(String, u64)> = connection.query(&grouped)?;
        let _: Option<u64> = connection.query_first(&joined)?;
        connection.query_drop(&updated)?;
        let _: Option<Option<String>> = connection.query_first(&scanned)?;
    }
    Ok(())
}

/// `VmHWM` of proc(5).
fn resident_peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() * 1024
}
