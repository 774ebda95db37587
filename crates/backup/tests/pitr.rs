//! Real servers brought back to a second, to a transaction, over a gap and not over one; killed while logs
//! are copied and replayed.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

#[path = "../../starttest/tests/real/mod.rs"]
mod real;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::park_timeout;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use testbed::{points, sandbox};

use mysql::Conn;
use mysql::prelude::Queryable;
use points::Sweep;
use real::{Instance, Running, Server};
use sandbox::Outcome;
use world::{hook, place_for};

/// Any program of the service, with binary logs.
fn kept(instance: &Instance, name: &str) -> Command {
    let mut command = hook(instance, name);
    command.env("MYSQL_PITR", "1");
    command
}

fn service(server: Server) -> Instance {
    let instance = world::home(server);
    let prepared = instance
        .sandbox
        .outcome(&mut kept(&instance, "postinstall"));
    assert_eq!(prepared.code, Some(0), "{}", prepared.stderr);
    instance
}

fn start(instance: &Instance) -> (Running, Conn) {
    let running = instance.start(&mut kept(instance, "starttest"));
    let root = instance.connect(world::PASSWORD);
    (running, root)
}

fn backup(instance: &Instance, arguments: &[&str]) -> Outcome {
    let mut command = kept(instance, "backup");
    command.args(arguments);
    instance.sandbox.outcome(&mut command)
}

#[track_caller]
fn succeed(instance: &Instance, arguments: &[&str]) -> Outcome {
    let outcome = backup(instance, arguments);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome
}

/// Copies the logs as the platform would, after those that were copied before.
fn ship(instance: &Instance) -> Option<PathBuf> {
    let place = place_for(instance, "ships");
    fs::create_dir_all(&place).unwrap();
    let before = ships(&place);
    let next = place.join(format!("{:04}", before.len()));
    fs::create_dir(&next).unwrap();
    if let Some(last) = before.last() {
        fs::copy(last.join("manifest.json"), next.join("after.json")).unwrap();
    }
    instance.sandbox.hand_over();
    succeed(instance, &["logs", next.to_str().unwrap()]);
    if manifest(&next)["files"].as_array().unwrap().is_empty() {
        fs::remove_dir_all(&next).unwrap();
        return None;
    }
    Some(next)
}

fn ships(place: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(place)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

fn manifest(copy: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(copy.join("manifest.json")).unwrap()).unwrap()
}

fn insert(root: &mut Conn, ids: std::ops::Range<u32>) {
    for id in ids {
        root.query_drop(format!("INSERT INTO shop.t VALUES ({id})"))
            .unwrap();
    }
}

fn ids(root: &mut Conn) -> Vec<u32> {
    root.query("SELECT id FROM shop.t ORDER BY id").unwrap()
}

/// The beginning of the next second, and nothing was or is committed near it: what the servers note may be
/// rounded down.
fn second() -> u64 {
    park_timeout(Duration::from_millis(1100));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let next = now.as_secs() + 1;
    let end = Duration::from_secs(next) + Duration::from_millis(20);
    park_timeout(end.saturating_sub(now));
    next
}

/// A home in which nothing was lost but the data.
fn emptied(server: Server) -> Instance {
    let other = service(server);
    let data = other.home().join("data");
    fs::remove_dir_all(&data).unwrap();
    fs::create_dir(&data).unwrap();
    other.sandbox.hand_over();
    other
}

fn place(instance: &Instance, copy: &Path, moment: &str, more: &[&str]) -> Outcome {
    let ships = copy.with_file_name("ships");
    let mut words = vec![
        "place",
        "--until",
        moment,
        "--logs",
        ships.to_str().unwrap(),
    ];
    words.extend(more);
    words.push(copy.to_str().unwrap());
    backup(instance, &words)
}

#[track_caller]
fn placed(server: Server, copy: &Path, moment: &str) -> (Instance, Outcome) {
    let other = emptied(server);
    let said = place(&other, copy, moment, &[]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    (other, said)
}

/// The transaction that inserted last.
fn gtid(root: &mut Conn, server: Server) -> String {
    let sql = if server.name().starts_with("mariadb") {
        "SELECT @@last_gtid"
    } else {
        "SELECT @@gtid_executed"
    };
    let found: String = root.query_first(sql).unwrap().unwrap();
    match found.rsplit_once(':') {
        Some((uuid, range)) => format!("{uuid}:{}", range.rsplit('-').next().unwrap()),
        None => found,
    }
}

/// To a second between changes that are in the logs and others that are, and to a transaction.
fn brought_back(server: Server) {
    let instance = service(server);
    let (running, mut root) = start(&instance);
    root.query_drop("CREATE DATABASE shop").unwrap();
    root.query_drop("CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB")
        .unwrap();
    insert(&mut root, 0..5);
    let copy = place_for(&instance, "copy");
    succeed(&instance, &["take", copy.to_str().unwrap()]);
    assert!(
        manifest(&copy)["position"]["lineage"]
            .as_str()
            .unwrap()
            .len()
            == 16
    );
    insert(&mut root, 5..10);
    ship(&instance).unwrap();
    // Nothing was written since.
    assert_eq!(ship(&instance), None);
    root.query_drop("CREATE USER 'joe'@'%' IDENTIFIED BY 'a''\"\\\\$&'")
        .unwrap();
    insert(&mut root, 10..15);
    let named = gtid(&mut root, server);
    let time = second();
    insert(&mut root, 15..20);
    ship(&instance).unwrap();
    root.query_drop("DROP TABLE shop.t").unwrap();
    ship(&instance).unwrap();
    running.signal("TERM");
    running.end();

    let (other, said) = placed(server, &copy, &format!("@{time}"));
    assert!(said.stderr.contains("- replayed "), "{}", said.stderr);
    let (_running, mut root) = start(&other);
    assert_eq!(
        ids(&mut root),
        (0..15).collect::<Vec<_>>(),
        "{}",
        said.stderr
    );
    let joe: u32 = root
        .query_first("SELECT COUNT(*) FROM mysql.user WHERE User='joe'")
        .unwrap()
        .unwrap();
    assert_eq!(joe, 1);
    let (other, said) = placed(server, &copy, &named);
    let (_running, mut root) = start(&other);
    assert_eq!(
        ids(&mut root),
        (0..15).collect::<Vec<_>>(),
        "{}",
        said.stderr
    );
    // It serves, and its own logs begin anew.
    insert(&mut root, 90..91);
    let ship = ship(&other).unwrap();
    assert_ne!(
        manifest(&ship)["logs"]["lineage"],
        manifest(&copy)["position"]["lineage"]
    );
}

#[test]
fn mysql_9_is_brought_back_to_a_second_and_to_a_transaction() {
    brought_back(Server::MySql9);
}

#[test]
fn mariadb_is_brought_back_to_a_second_and_to_a_transaction() {
    brought_back(Server::MariaDb);
}

/// In `make torture`: every other series that has the programs for it.
#[test]
fn other_series_are_brought_back_to_a_second_and_to_a_transaction() {
    let series = real::series();
    for server in [Server::MySql80, Server::MariaDb105] {
        if series.contains(&server) {
            brought_back(server);
        }
    }
}

/// A service with a table, a copy of it, and a log for each of `logs` transactions after that.
fn with_logs(server: Server, logs: u32) -> (Instance, Running, Conn, PathBuf) {
    let instance = service(server);
    let (running, mut root) = start(&instance);
    root.query_drop("CREATE DATABASE shop").unwrap();
    root.query_drop("CREATE TABLE shop.t (id INT PRIMARY KEY) ENGINE=InnoDB")
        .unwrap();
    let copy = place_for(&instance, "copy");
    succeed(&instance, &["take", copy.to_str().unwrap()]);
    for id in 0..logs {
        insert(&mut root, id..id + 1);
        ship(&instance).unwrap();
    }
    (instance, running, root, copy)
}

/// The only log of a copy.
fn log_of(ship: &Path) -> PathBuf {
    let mut found = fs::read_dir(ship.join("logs")).unwrap();
    found.next().unwrap().unwrap().path()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn gap_is_an_error_that_names_both_logs() {
    let server = Server::MariaDb;
    let (instance, _running, _root, copy) = with_logs(server, 4);
    let ships = ships(&place_for(&instance, "ships"));
    let [before, after] = [1, 3].map(|index| name(&log_of(&ships[index])).to_owned());
    let missing = instance.sandbox.path().join("missing");
    durable::rename_unsynced(&ships[2], &missing).unwrap();
    let other = emptied(server);
    let listing = other.sandbox.listing();
    let refused = place(&other, &copy, "@9999999999", &[]);
    let text = format!(
        "backup: error: there is a gap in the binary logs between {before} and {after}\n  next: restore \
         to a time before the gap, or from a copy after it; --allow-gap replays what there is, as far \
         as it can be\n"
    );
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.ends_with(&text), "{}", refused.stderr);
    assert!(other.sandbox.listing() == listing);
    let said = place(&other, &copy, "@9999999999", &["--allow-gap"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let warning = format!("{before} and {after}: gone on all the same");
    assert!(said.stderr.contains(&warning), "{}", said.stderr);
    let (_running, mut root) = start(&other);
    assert_eq!(ids(&mut root), [0, 1, 3]);
    // One that is there and is not what was copied is worse than none.
    durable::rename_unsynced(&missing, &ships[2]).unwrap();
    let log = log_of(&ships[2]);
    let mut bytes = fs::read(&log).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&log, bytes).unwrap();
    let other = emptied(server);
    let refused = place(&other, &copy, "@9999999999", &["--allow-gap"]);
    let text = format!("{} is not what was copied", log.display());
    assert!(refused.stderr.contains(&text), "{}", refused.stderr);
}

#[test]
fn damaged_log_is_told_when_it_is_copied_and_no_log_after_it_is_replayed() {
    let server = Server::MariaDb;
    let (instance, _running, mut root, copy) = with_logs(server, 1);
    insert(&mut root, 1..2);
    let row: mysql::Row = root.query_first("SHOW MASTER STATUS").unwrap().unwrap();
    let current: (String, u64) = (row.get(0).unwrap(), row.get(1).unwrap());
    root.query_drop("FLUSH BINARY LOGS").unwrap();
    let log = instance.home().join("data/binlogs").join(&current.0);
    let mut bytes = fs::read(&log).unwrap();
    let at = usize::try_from(current.1).unwrap() - 10;
    bytes[at] ^= 1;
    fs::write(&log, bytes).unwrap();
    insert(&mut root, 2..3);
    let third = ship(&instance).unwrap();
    let problem = manifest(&third)["problem"].as_str().unwrap().to_owned();
    let begin = format!("{} is damaged at ", log.display());
    assert!(problem.starts_with(&begin), "{problem}");
    let end = ": the checksum of an event is another: there is a gap; only after the next backup can \
               the database be brought back to a point in time again";
    assert!(problem.ends_with(end), "{problem}");
    let after = log_of(&third);
    let first = log_of(&ships(&place_for(&instance, "ships"))[0]);
    let refused = place(&emptied(server), &copy, "@9999999999", &[]);
    let text = format!(
        "there is a gap in the binary logs between {} and {}",
        name(&first),
        name(&after)
    );
    assert!(refused.stderr.contains(&text), "{}", refused.stderr);
}

#[test]
fn clock_that_was_set_back_ends_a_replay_at_its_first_pass() {
    let server = Server::MariaDb;
    let (instance, _running, mut root, copy) = with_logs(server, 0);
    let mut at = |time: u64, id: u32| {
        root.query_drop(format!("SET timestamp={time}")).unwrap();
        insert(&mut root, id..id + 1);
    };
    at(2_000_000_000, 1);
    at(2_000_000_010, 2);
    at(2_000_000_020, 3);
    at(2_000_000_005, 4);
    ship(&instance).unwrap();
    let (other, said) = placed(server, &copy, "@2000000015");
    let warning = "- warning: the clock was set back: changes of 2033-05-18 03:33:25 UTC are later than \
                   the end of the replay, and are not replayed; name a transaction to get those\n";
    assert!(said.stderr.contains(warning), "{}", said.stderr);
    let (_running, mut root) = start(&other);
    assert_eq!(ids(&mut root), [1, 2]);
}

#[test]
fn logs_that_were_copied_give_way_and_a_reset_begins_a_new_row() {
    let server = Server::MySql9;
    let (instance, _running, mut root, copy) = with_logs(server, 2);
    let logs = || {
        let entries = fs::read_dir(instance.home().join("data/binlogs")).unwrap();
        entries
            .filter(|entry| name(&entry.as_ref().unwrap().path()).starts_with("binlog.0"))
            .count()
    };
    let before = logs();
    assert!(before >= 3, "{before}");
    let next = place_for(&instance, "ships").join("0002");
    fs::create_dir(&next).unwrap();
    let after = next.with_file_name("0001").join("manifest.json");
    fs::copy(after, next.join("after.json")).unwrap();
    instance.sandbox.hand_over();
    insert(&mut root, 2..3);
    let mut command = kept(&instance, "backup");
    command.env("MYSQL_PITR_SIZE", "1").arg("logs").arg(&next);
    let said = instance.sandbox.outcome(&mut command);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!(logs(), 1);
    let problem = manifest(&next)["problem"].as_str().unwrap().to_owned();
    let end = "were removed before they were known to be copied, because all logs may take 1 \
               (MYSQL_PITR_SIZE)";
    assert!(problem.ends_with(end), "{problem}");
    // It was copied all the same.
    let (other, said) = placed(server, &copy, "@9999999999");
    let (_other, mut found) = start(&other);
    assert_eq!(ids(&mut found), [0, 1, 2], "{}", said.stderr);

    root.query_drop("RESET BINARY LOGS AND GTIDS").unwrap();
    insert(&mut root, 3..4);
    let reset = ship(&instance).unwrap();
    assert_ne!(
        manifest(&reset)["logs"]["lineage"],
        manifest(&next)["logs"]["lineage"]
    );
    let problem = manifest(&reset)["problem"].as_str().unwrap().to_owned();
    let begin = "the binary logs were reset: only after the next backup";
    assert!(problem.starts_with(begin), "{problem}");
}

#[test]
fn copy_of_a_killed_server_is_brought_on_by_later_logs() {
    let every = real::series().len() > real::SERVERS.len();
    // MariaDB in `make torture` only: it takes a while.
    let servers = [Server::MySql9, Server::MariaDb];
    for server in servers.into_iter().take(if every { 2 } else { 1 }) {
        let (instance, running, mut root, _) = with_logs(server, 1);
        insert(&mut root, 1..3);
        drop(root);
        running.signal("KILL");
        running.end();
        let copy = place_for(&instance, "cold");
        succeed(&instance, &["take", copy.to_str().unwrap()]);
        let (_running, mut root) = start(&instance);
        insert(&mut root, 3..5);
        ship(&instance).unwrap();
        let time = second();
        insert(&mut root, 5..6);
        ship(&instance).unwrap();
        let (other, said) = placed(server, &copy, &format!("@{time}"));
        let (_running, mut root) = start(&other);
        assert_eq!(ids(&mut root), [0, 1, 2, 3, 4], "{}", said.stderr);
    }
}

/// Starts it, and kills it after `time`.
fn kill_after(command: &mut Command, time: Duration) {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().unwrap();
    let end = Instant::now() + time;
    while Instant::now() < end && child.try_wait().unwrap().is_none() {
        park_timeout(Duration::from_millis(1));
    }
    let _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn copying_and_replaying_logs_killed_at_random_is_done_again() {
    let server = Server::MariaDb;
    let (instance, _running, mut root, copy) = with_logs(server, 1);
    let next = instance.home().join("killed");
    let begin = Instant::now();
    let mut id = 1;
    Sweep::new("backup logs killed", 4).in_turn(|point| {
        insert(&mut root, id..id + 1);
        id += 1;
        let _ = fs::remove_dir_all(&next);
        let mut command = kept(&instance, "backup");
        command.arg("logs").arg(&next);
        kill_after(
            &mut command,
            Duration::from_millis(150).mul_f64(point.fraction),
        );
        // Whole, or not there.
        assert!(!next.join("manifest.json").exists() || manifest(&next)["logs"].is_object());
    });
    assert!(begin.elapsed() > Duration::ZERO);
    ship(&instance).unwrap();
    let all: Vec<u32> = (0..id).collect();
    let begin = Instant::now();
    placed(server, &copy, "@9999999999");
    let whole = begin.elapsed();
    Sweep::usually("backup place --until killed", 3).in_turn(|point| {
        let other = emptied(server);
        let ships = copy.with_file_name("ships");
        let mut command = kept(&other, "backup");
        command.args(["place", "--until", "@9999999999", "--logs"]);
        command.arg(ships).arg(&copy);
        kill_after(&mut command, whole.mul_f64(point.fraction));
        let again = place(&other, &copy, "@9999999999", &[]);
        let done = again.stderr.contains("there is a database in ");
        assert!(again.code == Some(0) || done, "{}", again.stderr);
        let (_running, mut root) = start(&other);
        assert_eq!(ids(&mut root), all);
    });
}
