//! backup killed at any moment, or without room: the server goes on, half a copy is none, and the next
//! attempt is whole.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

#[path = "../../starttest/tests/real/mod.rs"]
mod real;
mod world;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::park_timeout;
use std::time::{Duration, Instant};
use testbed::{points, sandbox};

use mysql::Conn;
use mysql::prelude::Queryable;
use points::Sweep;
use real::{Instance, Server};
use sandbox::{in_mount_namespace, wait_for};
use world::{
    assert_filled, backup, cold_copy, fill, home, outcome, place_for, service, start, succeed,
};

/// Starts it, and kills it after `time`.
fn kill_after(command: &mut Command, time: Duration) {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + time;
    while Instant::now() < end && child.try_wait().unwrap().is_none() {
        park_timeout(Duration::from_millis(1));
    }
    let _ = child.kill();
    child.wait().unwrap();
}

fn take_killed(server: Server) {
    let instance = service(server);
    let (_running, mut root) = start(&instance);
    fill(&mut root, server);
    let copy = place_for(&instance, "copy");
    let take = ["take", copy.to_str().unwrap()];
    let begin = Instant::now();
    succeed(&instance, &take);
    let whole = begin.elapsed();
    Sweep::new(&format!("backup take killed, {}", server.name()), 2).in_turn(|point| {
        // A server that clones itself notices later that nobody waits, and goes on writing meanwhile.
        // One that was killed early has made none.
        wait_for("the copy to go", || {
            let removed = fs::remove_dir_all(&copy);
            (removed.is_ok() || !copy.exists()).then_some(())
        });
        kill_after(&mut backup(&instance, &take), whole.mul_f64(point.fraction));
        assert_filled(&mut root, server);
        let read = outcome(&home(server), &["place", copy.to_str().unwrap()]);
        let incomplete = read.stderr.contains("there is no complete copy in ");
        assert!(read.code == Some(0) || incomplete, "{}", read.stderr);
    });
    wait_for("a whole copy", || {
        let _ = fs::remove_dir_all(&copy);
        (outcome(&instance, &take).code == Some(0)).then_some(())
    });
    succeed(&home(server), &["check", copy.to_str().unwrap()]);
}

#[test]
fn take_killed_at_random_harms_nobody() {
    take_killed(Server::MySql9);
    take_killed(Server::MariaDb);
}

#[test]
fn place_killed_at_random_is_done_again() {
    let server = Server::MariaDb;
    let (_instance, copy) = cold_copy(server);
    let place = ["place", copy.to_str().unwrap()];
    let begin = Instant::now();
    succeed(&home(server), &place);
    let whole = begin.elapsed();
    Sweep::new("backup place killed", 2).in_turn(|point| {
        let other = home(server);
        kill_after(&mut backup(&other, &place), whole.mul_f64(point.fraction));
        let again = outcome(&other, &place);
        // Once it has its name it is whole.
        let done = again.stderr.contains("there is a database in ");
        assert!(again.code == Some(0) || done, "{}", again.stderr);
        let (_running, mut root) = start(&other);
        assert_filled(&mut root, server);
    });
}

#[test]
fn take_without_room_leaves_no_copy() {
    let server = Server::MariaDb;
    let instance = service(server);
    let (_running, mut root) = start(&instance);
    fill(&mut root, server);
    let place = instance.home().join("small");
    fs::create_dir(&place).unwrap();
    instance.sandbox.hand_over();
    let script = "mount -t tmpfs -o size=6m,mode=777 none \"$HOME/small\"\n\
                  status=0; $AS_USER \"$HOME/backup\" take \"$HOME/small/copy\" || status=$?\n\
                  ! [ -e \"$HOME/small/copy/manifest.json\" ] && exit $status";
    let output = in_mount_namespace(script)
        .env("HOME", instance.home())
        .env("PORT_TESTBEDDB", instance.port.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let text = "backup: error: mariadb-backup could not make the copy\n";
    assert!(said.contains(text), "{said}");
    assert_filled(&mut root, server);
}

fn connect(instance: &Instance) -> Option<Conn> {
    instance.try_root(Some(world::PASSWORD))
}

/// The slowest of a hundred.
fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 99 / 100]
}

/// Thirty clients that write, and how long each insert took, until `end`.
fn write_until(instance: &Instance, first: u64, end: &AtomicBool) -> Vec<Duration> {
    let work = |number: u64| {
        let mut connection = connect(instance).expect("nobody is refused");
        let mut times = Vec::new();
        while !end.load(Ordering::Relaxed) {
            let id = first + number + 30 * times.len() as u64;
            let begin = Instant::now();
            let sql = format!("INSERT INTO shop.busy VALUES ({id})");
            connection.query_drop(sql).expect("nobody is refused");
            times.push(begin.elapsed());
        }
        times
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..30)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn thirty_clients(server: Server) {
    let instance = service(server);
    let (_running, mut root) = start(&instance);
    fill(&mut root, server);
    root.query_drop("CREATE TABLE shop.busy (id BIGINT PRIMARY KEY) ENGINE=InnoDB")
        .unwrap();
    let copy = place_for(&instance, "copy");
    let measure = |first: u64, work: &dyn Fn()| {
        let end = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writers = scope.spawn(|| write_until(&instance, first, &end));
            work();
            end.store(true, Ordering::Relaxed);
            p99(writers.join().unwrap())
        })
    };
    let quiet = measure(0, &|| park_timeout(Duration::from_secs(2)));
    let before: u64 = root
        .query_first("SELECT COUNT(*) FROM shop.busy")
        .unwrap()
        .unwrap();
    let copied = measure(1 << 40, &|| {
        succeed(&instance, &["take", copy.to_str().unwrap()]);
    });
    // Of a machine that others use it says little: told, not asserted.
    let _ = writeln!(
        std::io::stderr(),
        "{}: p99 of an insert {quiet:?}, while it is copied {copied:?}",
        server.name()
    );
    let other = home(server);
    succeed(&other, &["place", "--move", copy.to_str().unwrap()]);
    let (_running, mut root) = start(&other);
    let rows: u64 = root
        .query_first("SELECT COUNT(*) FROM shop.busy")
        .unwrap()
        .unwrap();
    assert!(rows >= before, "{rows} of {before}");
    assert!(Path::new(&copy).exists());
}

#[test]
fn thirty_clients_write_while_it_is_copied() {
    thirty_clients(Server::MySql9);
    thirty_clients(Server::MariaDb);
}
