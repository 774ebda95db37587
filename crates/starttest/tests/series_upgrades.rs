//! Upgrades as users make them, one release series after the other, with real servers: what is in the
//! database is there afterwards, and a step that skips one is refused with the data as it was.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

#[path = "series/mysql_5.rs"]
mod mysql_5;
mod real;
#[path = "series/upgrade_check.rs"]
mod upgrade_check;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use testbed::{points, sandbox};

use mysql::Conn;
use mysql::prelude::Queryable;
use points::Sweep;
use real::{Instance, Running, Server};
use sandbox::{listing, wait_for};

const PASSWORD: &str = "known";

/// What users have beside tables.
const MADE: [&str; 9] = [
    "CREATE DATABASE shop",
    "CREATE TABLE shop.sold (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(50)) ENGINE=InnoDB",
    "CREATE TABLE shop.log (id INT, what VARCHAR(50)) ENGINE=MyISAM",
    "CREATE TRIGGER shop.note AFTER INSERT ON shop.sold FOR EACH ROW INSERT INTO shop.log \
     VALUES (NEW.id, NEW.what)",
    "CREATE VIEW shop.names AS SELECT what FROM shop.sold",
    "CREATE PROCEDURE shop.sell(IN name VARCHAR(50)) INSERT INTO shop.sold (what) VALUES (name)",
    "CREATE EVENT shop.tidy ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.log",
    "CREATE USER app@'%' IDENTIFIED BY 'Secret-1'",
    "GRANT SELECT, EXECUTE ON shop.* TO app@'%'",
];

fn with_password(instance: &Instance) -> Command {
    let mut command = instance.hook("starttest");
    command.env("MYSQL_ROOT_PASSWORD", PASSWORD);
    command
}

fn said(instance: &Instance) -> String {
    fs::read_to_string(instance.sandbox.path().join("starttest.log")).unwrap()
}

fn stop(running: Running) {
    running.signal("TERM");
    assert!(running.end().success());
}

/// All of it works, and one more is sold at each call.
fn check(root: &mut Conn, sold: u32, step: &str) {
    root.query_drop("CALL shop.sell('ü')").unwrap();
    for table in ["shop.sold", "shop.log", "shop.names"] {
        let query = format!("SELECT COUNT(*) FROM {table} WHERE what = 'ü'");
        let rows: Option<u32> = root.query_first(query).unwrap();
        assert_eq!(rows, Some(sold), "{step}: {table}");
    }
    let query = "SELECT status FROM information_schema.events WHERE event_name = 'tidy'";
    let event: Option<String> = root.query_first(query).unwrap();
    assert_eq!(event.as_deref(), Some("ENABLED"), "{step}");
    let grants: Vec<String> = root.query("SHOW GRANTS FOR app@'%'").unwrap();
    let shop = |grant: &String| grant.contains("SELECT, EXECUTE ON `shop`.*");
    assert!(grants.iter().any(shop), "{step}: {grants:?}");
}

/// A database with all of that, its server running.
fn filled(server: Server) -> (Instance, Running) {
    let instance = Instance::in_memory(server);
    let running = instance.start(&mut with_password(&instance));
    let mut root = instance.connect(PASSWORD);
    for sql in MADE {
        root.query_drop(sql).unwrap();
    }
    check(&mut root, 1, &server.title());
    (instance, running)
}

/// Goes on with the next of `series`, each stopped cleanly.
fn upgrade_through(series: &[Server]) -> Instance {
    let (instance, mut running) = filled(series[0]);
    for (server, sold) in series[1..].iter().zip(2..) {
        stop(running);
        instance.install(*server);
        running = instance.start(&mut with_password(&instance));
        let mut root = instance.connect(PASSWORD);
        check(&mut root, sold, &server.title());
        assert!(said(&instance).contains("upgrad"), "{}", said(&instance));
    }
    stop(running);
    instance
}

/// starttest refuses with `error` at the end of what it says, and changes nothing.
#[track_caller]
fn assert_refused(instance: &Instance, error: &str) {
    let before = listing(&instance.home());
    let outcome = instance.sandbox.outcome(&mut with_password(instance));
    assert!(outcome.stderr.ends_with(error), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(listing(&instance.home()), before);
}

#[test]
fn mariadb_is_upgraded_from_10_5_through_10_11_to_11_8() {
    let series = [Server::MariaDb105, Server::MariaDb, Server::MariaDb11];
    upgrade_through(&series);
}

/// What there is of 11.4 is a server without its upgrade tool.
#[test]
fn mariadb_10_11_is_refused_by_an_11_4_without_its_tool_and_11_4_is_upgraded_to_11_8() {
    if !Server::MariaDb114.is_there() {
        return;
    }
    let (instance, running) = filled(Server::MariaDb);
    stop(running);
    instance.install(Server::MariaDb114);
    assert_refused(
        &instance,
        "starttest: error: no mariadb-upgrade in {dir}/home/mysql/install\n  next: push the vendor's \
         tarball, or repack it again: it was cut too short\n",
    );
    instance.install(Server::MariaDb);
    let running = instance.start(&mut with_password(&instance));
    check(&mut instance.connect(PASSWORD), 2, "10.11 once more");
    stop(running);
    upgrade_through(&[Server::MariaDb114, Server::MariaDb11]);
}

#[test]
fn mariadb_10_5_that_was_killed_is_refused_until_it_was_started_once_more() {
    let (instance, running) = filled(Server::MariaDb105);
    running.signal("KILL");
    running.end();
    instance.install(Server::MariaDb);
    let (old, new) = (Server::MariaDb105.title(), Server::MariaDb.title());
    assert_refused(
        &instance,
        &format!(
            "starttest: error: {old} was not shut down cleanly in {{dir}}/home/data/mysqldb, so \
             {new} cannot upgrade it\n  next: the data is untouched: push {old} again, wait until \
             it answers, then push the newer one\n"
        ),
    );
    for (server, sold) in [(Server::MariaDb105, 2), (Server::MariaDb, 3)] {
        instance.install(server);
        let running = instance.start(&mut with_password(&instance));
        check(&mut instance.connect(PASSWORD), sold, &server.title());
        stop(running);
    }
}

#[test]
fn mysql_is_upgraded_from_5_7_to_8_0_and_refused_by_9_7() {
    if !Server::MySql57.is_there() {
        return;
    }
    let instance = upgrade_through(&[Server::MySql57, Server::MySql80]);
    instance.install(Server::MySql9);
    let (old, new) = (Server::MySql80.title(), Server::MySql9.title());
    assert_refused(
        &instance,
        &format!(
            "starttest: error: the data directory {{dir}}/home/data/mysqldb is of {old}, which is \
             too old for the server, {new}\n  next: the data is untouched: push the newest MySQL \
             8.4, one after the other, each until it answers, then this one\n"
        ),
    );
}

#[test]
fn mysql_5_7_that_was_killed_is_refused_by_8_0_until_it_was_started_once_more() {
    if !Server::MySql57.is_there() {
        return;
    }
    let (instance, running) = filled(Server::MySql57);
    running.signal("KILL");
    running.end();
    instance.install(Server::MySql80);
    let (old, new) = (Server::MySql57.title(), Server::MySql80.title());
    assert_refused(
        &instance,
        &format!(
            "starttest: error: {old} was not shut down cleanly in {{dir}}/home/data/mysqldb, so \
             {new} cannot upgrade it\n  next: the data is untouched: push {old} again, wait until \
             it answers, then push the newer one (if it was {new} that was killed while it \
             upgraded it, MYSQL_UPGRADE_ANYWAY=1 lets it go on)\n"
        ),
    );
    for (server, sold) in [(Server::MySql57, 2), (Server::MySql80, 3)] {
        instance.install(server);
        let running = instance.start(&mut with_password(&instance));
        check(&mut instance.connect(PASSWORD), sold, &server.title());
        stop(running);
    }
}

#[test]
fn mysql_5_6_is_refused_by_8_0() {
    if !Server::MySql80.is_there() {
        return;
    }
    let (instance, running) = filled(Server::MySql56);
    stop(running);
    instance.install(Server::MySql80);
    let outcome = instance.sandbox.outcome(&mut with_password(&instance));
    let error = "push the newest MySQL 5.7, one after the other, each until it answers, then this \
                 one\n";
    assert!(outcome.stderr.ends_with(error), "{}", outcome.stderr);
}

/// A container of `server` with a copy of the `~/data` of `from`.
fn with_copy(from: &Instance, server: Server) -> Instance {
    let instance = Instance::in_memory(server);
    let mut cp = Command::new("cp");
    cp.args(["-rp", "--sparse=always"])
        .arg(from.home().join("data"))
        .arg(instance.home());
    assert!(cp.status().unwrap().success());
    instance
}

fn kill_after(instance: &Instance, after: Duration) {
    let mut command = with_password(instance);
    let starttest = Running(command.stderr(Stdio::null()).spawn().unwrap());
    let moment = Instant::now() + after;
    wait_for("that moment", || (Instant::now() > moment).then_some(()));
    starttest.signal("KILL");
    starttest.end();
}

/// Kills the upgrade at points spread over it; the next start completes it.
fn killed_anywhere(from: Server, to: Server) {
    let (old, running) = filled(from);
    stop(running);
    killed_anywhere_on(&old, &from.title(), to);
}

fn killed_anywhere_on(old: &Instance, from: &str, to: Server) {
    let uninterrupted = with_copy(old, to);
    let begin = Instant::now();
    let running = uninterrupted.start(&mut with_password(&uninterrupted));
    uninterrupted.connect(PASSWORD);
    let whole = begin.elapsed();
    drop(running);
    let name = format!("upgrade from {from} to {}", to.title());
    Sweep::usually(&name, 4).each(1, |point| {
        let instance = with_copy(old, to);
        kill_after(&instance, whole.mul_f64(point.fraction));
        let running = instance.start(&mut with_password(&instance));
        check(&mut instance.connect(PASSWORD), 2, &name);
        stop(running);
    });
}

#[test]
fn upgrade_from_mariadb_10_5_killed_anywhere_is_completed_by_the_next_start() {
    killed_anywhere(Server::MariaDb105, Server::MariaDb);
}
