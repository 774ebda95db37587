//! A client that never gives up: inserts row after row, each a transaction of its own, and records
//! those that the server acknowledged. Included by path into the tests that take servers away from it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "no test file uses all of it; clippy's allowance for tests does not reach helpers"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, park_timeout, spawn};
use std::time::Duration;

use mysql::Conn;
use mysql::prelude::Queryable;

/// The client at work.
pub struct Writer {
    state: Arc<State>,
    thread: JoinHandle<BTreeSet<u64>>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    acknowledged: AtomicU64,
}

/// Makes the table, in a database of its own.
pub fn make_table(root: &mut Conn) {
    root.query_drop("CREATE DATABASE ledger").unwrap();
    root.query_drop("CREATE TABLE ledger.entry (id BIGINT PRIMARY KEY) ENGINE=InnoDB")
        .unwrap();
}

impl Writer {
    /// Begins to write, on whatever `connect` gives.
    pub fn start(mut connect: impl FnMut() -> Option<Conn> + Send + 'static) -> Self {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let thread = spawn(move || {
            let (mut acknowledged, mut id) = (BTreeSet::new(), 0);
            while !shared.stop.load(Ordering::Relaxed) {
                let Some(mut connection) = connect() else {
                    park_timeout(Duration::from_millis(10));
                    continue;
                };
                // Whether an insert without an answer was made is not known; its number is not used again.
                let mut insert = || {
                    id += 1;
                    let done =
                        connection.query_drop(format!("INSERT INTO ledger.entry VALUES ({id})"));
                    done.is_ok().then_some(id)
                };
                while let Some(id) = insert() {
                    acknowledged.insert(id);
                    shared.acknowledged.fetch_add(1, Ordering::Relaxed);
                    if shared.stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            }
            acknowledged
        });
        Self { state, thread }
    }

    /// How many rows the server has acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.state.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends, and checks on `root` that every acknowledged row is there. How many they are.
    #[track_caller]
    pub fn check(self, root: &mut Conn) -> usize {
        self.state.stop.store(true, Ordering::Relaxed);
        let acknowledged = self.thread.join().unwrap();
        let rows: Vec<u64> = root.query("SELECT id FROM ledger.entry").unwrap();
        let rows: BTreeSet<u64> = rows.into_iter().collect();
        let lost: Vec<&u64> = acknowledged.difference(&rows).take(10).collect();
        assert!(
            lost.is_empty(),
            "lost, among {}: {lost:?}",
            acknowledged.len()
        );
        acknowledged.len()
    }
}
