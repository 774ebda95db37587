//! From the first push to the last, once for each server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use mysql::prelude::Queryable;

use crate::text;
use crate::world::{World, column, eventually, login, tarball};

const ROWS: u32 = 10_000;

/// What differs from server to server.
struct Server {
    fixture: &'static str,
    /// How `SELECT VERSION()` begins.
    version: &'static str,
    /// The server ships `mysqladmin`.
    has_mysqladmin: bool,
    /// What the error log says when a server began to stop, ended, and was started.
    stopping: &'static str,
    stopped: &'static str,
    ready: &'static str,
}

const MYSQL_9: Server = Server {
    fixture: "mysql-9",
    version: "9.",
    has_mysqladmin: true,
    stopping: "Received SHUTDOWN from user",
    stopped: "Shutdown complete",
    ready: "ready for connections",
};

const MYSQL_5_6: Server = Server {
    fixture: "mysql-5.6",
    version: "5.6.",
    has_mysqladmin: false,
    stopping: "Normal shutdown",
    stopped: "Shutdown complete",
    ready: "ready for connections",
};

const MARIADB: Server = Server {
    fixture: "mariadb",
    version: "10.",
    has_mysqladmin: true,
    stopping: "Normal shutdown",
    stopped: "Shutdown complete",
    ready: "ready for connections",
};

#[test]
fn mysql_9_keeps_every_row() {
    main_job(&World::new(MYSQL_9.fixture), &MYSQL_9);
}

#[test]
fn mysql_5_6_keeps_every_row() {
    main_job(&World::new(MYSQL_5_6.fixture), &MYSQL_5_6);
}

#[test]
fn mariadb_keeps_every_row() {
    main_job(&World::new(MARIADB.fixture), &MARIADB);
}

#[test]
fn mysql_9_in_a_container_keeps_every_row() {
    main_job_in_container(&MYSQL_9);
}

#[test]
fn mysql_5_6_in_a_container_keeps_every_row() {
    main_job_in_container(&MYSQL_5_6);
}

#[test]
fn mariadb_in_a_container_keeps_every_row() {
    main_job_in_container(&MARIADB);
}

#[test]
fn mariadb_in_a_container_without_root_keeps_every_row() {
    if let Some(world) = World::in_containers_without_root(MARIADB.fixture) {
        first_push(&world, &MARIADB);
        insert_rows(&world);
        second_push(&world, &MARIADB);
    }
}

fn main_job_in_container(server: &Server) {
    if let Some(world) = World::in_containers(server.fixture) {
        main_job(&world, server);
    }
}

fn main_job(world: &World, server: &Server) {
    first_push(world, server);
    if server.has_mysqladmin {
        recipes_own_commands(world, "mysqladmin", "");
    } else {
        command_through_the_containers_name(world);
    }
    text::is_stored_as_it_was_sent(world, server.has_mysqladmin);
    insert_rows(world);
    second_push(world, server);
    killed_server_comes_back(world);
    failing_hooks_leave_the_old_instance_serving(world);
    stop_and_start(world);
}

fn first_push(world: &World, server: &Server) {
    world.push(0);
    let mut conn = world.connect(0);
    let version = column(&mut conn, "SELECT VERSION()").remove(0);
    assert!(version.starts_with(server.version), "{version}");
    let public = world.public_port(0);
    let bound = world.run("testbed.0", "echo $PORT_TESTBEDDB");
    assert_ne!(bound, public.to_string(), "platform-contract.md §4.3");

    for password in [None, Some("wrong")] {
        let refused = login(public, "root", password).unwrap_err().to_string();
        assert!(refused.contains("Access denied"), "{refused}");
        for user in ["", "nobody"] {
            login(public, user, password).unwrap_err();
        }
    }
    assert_eq!(
        column(&mut conn, "SELECT User FROM mysql.user WHERE User=''"),
        [""; 0],
        "no anonymous account"
    );
    assert_eq!(
        column(&mut conn, "SHOW DATABASES LIKE 'test%'"),
        [""; 0],
        "no test database"
    );
    let modes = world.run(
        "testbed.0",
        "stat -c %a ~/.my.cnf ~/data/mysql-credentials.cnf",
    );
    assert_eq!(modes, "600\n600");
}

/// What the README of the recipe tells its reader to type; then back again.
fn recipes_own_commands(world: &World, mysqladmin: &str, host: &str) {
    let password = world.password(0);
    world.run(
        "testbed.0",
        &format!("{mysqladmin} --defaults-file=~/.my.cnf -u root {host} password new-password"),
    );
    let port = world.public_port(0);
    login(port, "root", Some(&password)).unwrap_err();
    let mut conn = login(port, "root", Some("new-password")).unwrap();
    let literal = if column(&mut conn, "SELECT VERSION()")[0].starts_with("9.") {
        format!("'{password}'")
    } else {
        format!("PASSWORD('{password}')")
    };
    conn.query_drop(format!("SET PASSWORD FOR 'root'@'localhost' = {literal}"))
        .unwrap();
}

/// MySQL 5.x has an account for root on the container's own host. A container knows that name; this
/// machine's resolver does not, so without one it is taught it for the one command.
fn command_through_the_containers_name(world: &World) {
    let mut conn = world.connect(0);
    let hosts = "SELECT Host FROM mysql.user WHERE User='root' AND Password<>'' ORDER BY Host";
    assert_eq!(
        column(&mut conn, hosts),
        ["127.0.0.1", "::1", "app-default-testbed-0", "localhost"]
    );
    // This server ships no client; MariaDB's knows its protocol.
    let unpacked = Command::new("tar")
        .args(["-xz", "--wildcards", "--strip-components=2", "-f"])
        .arg(tarball("mariadb"))
        .arg("*/bin/mariadb-admin")
        .current_dir(world.home(0, ""))
        .status()
        .unwrap();
    assert!(unpacked.success());
    let environment = if world.runtime == "oci" {
        ""
    } else {
        let hosts = "echo 127.0.0.1 app-default-testbed-0 > ~/hosts";
        world.run("testbed.0", hosts);
        "LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_HOSTS=$HOME/hosts"
    };
    recipes_own_commands(
        world,
        &format!("{environment} ~/mariadb-admin"),
        "-h app-default-testbed-0",
    );
}

fn insert_rows(world: &World) {
    let mut conn = world.connect(0);
    conn.query_drop("CREATE DATABASE shop").unwrap();
    conn.query_drop("CREATE TABLE shop.sale (id INT PRIMARY KEY, what VARCHAR(20)) ENGINE=InnoDB")
        .unwrap();
    for hundred in 0..ROWS / 100 {
        let rows: Vec<String> = (hundred * 100..(hundred + 1) * 100)
            .map(|id| format!("({id}, 'row {id}')"))
            .collect();
        conn.query_drop(format!("INSERT INTO shop.sale VALUES {}", rows.join(",")))
            .unwrap();
    }
    assert_rows(world);
}

#[track_caller]
fn assert_rows(world: &World) {
    let mut conn = world.connect(0);
    let check = "SELECT CONCAT(COUNT(*), ' ', SUM(what = CONCAT('row ', id))) FROM shop.sale";
    assert_eq!(column(&mut conn, check), [format!("{ROWS} {ROWS}")]);
}

/// The error log shows the order: the old server was told to stop, ended, and only then the new one
/// was started; the deployment log shows that the data moved in between.
fn second_push(world: &World, server: &Server) {
    let (old, port) = (world.server_start(0).unwrap(), world.public_port(0));
    let pushed = world.push(0);
    assert_rows(world);
    assert_ne!(world.server_start(0).unwrap(), old);
    assert_eq!(world.public_port(0), port, "stable until destroy");

    let log = world.run("testbed.0", "cat ~/data/logs/error.log");
    let stopping = log.find(server.stopping).expect("the old server got TERM");
    let stopped = stopping + log[stopping..].find(server.stopped).expect("and finished");
    assert!(
        log[stopped..].contains(server.ready),
        "then the new one:\n{log}"
    );
    assert!(!log[..stopping].contains(server.stopped), "{log}");

    let told = pushed.all();
    let mut rest = &told[..];
    for step in [
        "Running postinstall",
        "initialising /",
        "Stopping the previous instance",
        "Moving ~/data",
        "Moved ~/data",
        "Launching",
        "Re-routing",
    ] {
        let at = rest.find(step);
        rest = &rest[at.unwrap_or_else(|| panic!("no '{step}' where it belongs:\n{told}"))..];
    }
    let started = world.run(
        "testbed.0",
        "cat /proc/$(cat ~/mysql/run/mysqld.pid)/cmdline",
    );
    assert!(started.contains("--defaults-file="), "{started}");
    let starttest = world
        .dotcloud(["logs", "testbed.0", "--no-follow"])
        .with_status(0);
    assert!(
        starttest.all().contains("kept the data directory"),
        "starttest saw it: {}",
        starttest.all()
    );
}

fn killed_server_comes_back(world: &World) {
    let old = world.server_start(0);
    world.run("testbed.0", "kill -9 $(cat ~/mysql/run/mysqld.pid)");
    eventually("new server", || {
        world.server_start(0).filter(|new| Some(*new) != old)
    });
    assert_rows(world);
}

fn failing_hooks_leave_the_old_instance_serving(world: &World) {
    for hook in ["builder", "postinstall"] {
        let (path, kept) = (world.code(&format!("hooks/{hook}")), world.code("kept"));
        let server = world.server_start(0).unwrap();
        fs::rename(&path, &kept).unwrap();
        fs::write(&path, "#!/bin/sh\necho this hook fails\nexit 7\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let pushed = world.push(2);
        assert!(pushed.all().contains("this hook fails"), "{}", pushed.all());
        assert_eq!(
            world.server_start(0),
            Some(server),
            "{hook}: the same server serves"
        );
        assert_rows(world);
        fs::rename(&kept, &path).unwrap();
    }
}

/// What `make stop` and the next `make run` do.
fn stop_and_start(world: &World) {
    let port = world.public_port(0);
    world.dotcloud(["down"]).with_status(0);
    login(port, "root", None).unwrap_err();
    world.push(0);
    assert_rows(world);
}
