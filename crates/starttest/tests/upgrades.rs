//! Real data of one MariaDB under another: upgraded, refused, interrupted, taken up again. (What no
//! upgrade leads to is in servers.rs.) Named after cases F and K of the entrypoints' catalogue.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod real;

use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use testbed::{points, sandbox};

use mysql::Conn;
use mysql::prelude::Queryable;
use points::{Point, Sweep};
use real::{Instance, Running, Server, release};
use sandbox::{hand_over, in_sealed_home, listing, mode, wait_for};

const PASSWORD: &str = "known";

/// What 10.11 says of itself, and what follows of that.
fn version(server: Server) -> String {
    let stamp = fs::read_to_string(release(server).join("mysqld-version.txt")).unwrap();
    stamp.split_whitespace().nth(2).unwrap().to_owned()
}

fn with_password(instance: &Instance) -> Command {
    let mut command = instance.hook("starttest");
    command.env("MYSQL_ROOT_PASSWORD", PASSWORD);
    command
}

/// An instance with rows in each engine's tables, and an account, whose server runs.
fn running_with_rows(server: Server) -> (Instance, Running, Conn) {
    let instance = Instance::in_memory(server);
    let running = instance.start(&mut with_password(&instance));
    let mut root = instance.connect(PASSWORD);
    for sql in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.innodb (i INT PRIMARY KEY AUTO_INCREMENT) ENGINE=InnoDB",
        "CREATE TABLE shop.aria (i INT PRIMARY KEY) ENGINE=Aria",
        "CREATE TABLE shop.myisam (i INT PRIMARY KEY) ENGINE=MyISAM",
        "INSERT INTO shop.innodb VALUES (1), (2), (3)",
        "INSERT INTO shop.aria VALUES (1), (2), (3)",
        "INSERT INTO shop.myisam VALUES (1), (2), (3)",
        "CREATE USER app@'%' IDENTIFIED BY 'app'",
        "CREATE EVENT shop.tidy ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.aria WHERE i > 3",
    ] {
        root.query_drop(sql).unwrap();
    }
    (instance, running, root)
}

/// The same, stopped as the platform stops it.
fn with_rows(server: Server) -> Instance {
    let (instance, running, root) = running_with_rows(server);
    drop(root);
    running.signal("TERM");
    assert!(running.end().success());
    instance
}

#[track_caller]
fn check_rows(root: &mut Conn) {
    for table in ["innodb", "aria", "myisam"] {
        let query = format!("SELECT COUNT(*) FROM shop.{table} WHERE i <= 3");
        let rows: u64 = root.query_first(query).unwrap().unwrap();
        assert_eq!(rows, 3, "{table}");
    }
    let app: u64 = root
        .query_first("SELECT COUNT(*) FROM mysql.user WHERE User = 'app'")
        .unwrap()
        .unwrap();
    assert_eq!(app, 1);
    let event: Option<String> = root
        .query_first("SELECT event_name FROM information_schema.events")
        .unwrap();
    assert_eq!(event.as_deref(), Some("tidy"));
}

/// What is in `~/data` beside the usual.
fn extras(instance: &Instance) -> Vec<String> {
    let usual = ["logs", "mysql-credentials.cnf", "mysqldb", "mysqldb.lock"];
    let mut names: Vec<String> = fs::read_dir(instance.home().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !usual.contains(&name.as_str()))
        .collect();
    names.sort();
    names
}

fn journal(instance: &Instance) -> PathBuf {
    instance.home().join("data/mysqldb.upgrading")
}

fn said(instance: &Instance) -> String {
    let text = fs::read_to_string(instance.sandbox.path().join("starttest.log")).unwrap();
    text.replace(instance.sandbox.path().to_str().unwrap(), "{dir}")
}

/// starttest refuses with `error` as the end of what it says, and changes nothing whatever.
#[track_caller]
fn assert_refused(instance: &Instance, error: &str) {
    let before = listing(&instance.home());
    let outcome = instance.sandbox.outcome(&mut with_password(instance));
    assert!(outcome.stderr.ends_with(error), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(listing(&instance.home()), before);
}

/// Cases F2, F3, F5, K2, K3 and K8; and root's password is nobody's business in an upgrade.
#[test]
fn f2_older_mariadb_is_upgraded_once_and_the_older_one_refused_from_then_on() {
    let (instance, running, mut root) = running_with_rows(Server::MariaDb);
    root.query_drop("SET PASSWORD FOR root@localhost = PASSWORD('changed')")
        .unwrap();
    drop(root);
    running.signal("TERM");
    assert!(running.end().success());
    fs::remove_file(instance.home().join("data/mysql-credentials.cnf")).unwrap();
    let (old, new) = (version(Server::MariaDb), version(Server::MariaDb11));
    instance.install(Server::MariaDb11);

    let running = instance.start(&mut instance.hook("starttest"));
    let run = instance.home().join("mysql/run");
    wait_for("the port", || {
        // The upgrade's server asks nobody for a password: only the service's own uid may come near its socket.
        assert_eq!(mode(&run), 0o700);
        TcpStream::connect(("127.0.0.1", instance.port)).ok()
    });
    assert!(!journal(&instance).exists(), "the port opened too early");
    check_rows(&mut instance.connect("changed"));
    let narration = said(&instance);
    let steps = format!(
        "- kept the data directory {{dir}}/home/data/mysqldb\n\
         - upgrading it from {old} to MariaDB {new}\n  \
         - saved the system tables as {{dir}}/home/data/mysqldb-before-{old}.sql\n  \
         - mariadb-upgrade is done\n\
         - upgraded it to MariaDB {new}\n\
         - becoming"
    );
    assert!(narration.contains(&steps), "{narration}");
    let dump = format!("mysqldb-before-{old}.sql");
    assert_eq!(extras(&instance), [dump.as_str()]);
    let dump = instance.home().join("data").join(dump);
    assert_eq!(mode(&dump), 0o600);
    let text = fs::read_to_string(dump).unwrap();
    assert!(text.contains("CREATE TABLE `global_priv`") && text.contains("Dump completed"));
    assert!(!instance.home().join("mysql/run/upgrade").exists());
    let undo = instance.home().join("data/mysqldb/undo001");
    assert!(
        !undo.exists(),
        "a kill while they are made loses the database"
    );
    let evidence = fs::read_to_string(instance.home().join("data/mysqldb/mariadb_upgrade_info"));
    assert!(evidence.unwrap().starts_with(&new));
    running.signal("TERM");
    assert!(running.end().success());

    let running = instance.start(&mut with_password(&instance));
    check_rows(&mut instance.connect(PASSWORD));
    assert!(!said(&instance).contains("upgrad"), "{}", said(&instance));
    running.signal("TERM");
    assert!(running.end().success());

    instance.install(Server::MariaDb);
    assert_refused(
        &instance,
        &format!(
            "starttest: error: the data directory {{dir}}/home/data/mysqldb is of MariaDB {new}, \
             which is newer than the server, MariaDB {old}\n  next: the data is untouched: push \
             the tarball of MariaDB {new} or newer\n"
        ),
    );
}

/// As in an image: a home that cannot be written, and a run directory that is somebody else's.
#[test]
fn older_mariadb_is_upgraded_in_a_sealed_home() {
    let old = with_rows(Server::MariaDb);
    let instance = with_copy(&old);
    let mut command = in_sealed_home(&instance.home(), "exec $AS_USER \"$HOME/starttest\"\n");
    command
        .env("PORT_TESTBEDDB", instance.port.to_string())
        .env("MYSQL_BIND_ADDRESS", "127.0.0.1")
        .env("MYSQL_ROOT_PASSWORD", PASSWORD);
    let running = instance.start(&mut command);
    // Until it greets: a TERM between its first listening and that may be lost on it.
    wait_for("a greeting", || {
        let narration = said(&instance);
        assert!(!narration.contains("error: "), "{narration}");
        let mut client = TcpStream::connect(("127.0.0.1", instance.port)).ok()?;
        client.read_exact(&mut [0]).ok()
    });
    assert!(said(&instance).contains("mariadb-upgrade is done"));
    let evidence = fs::read_to_string(instance.home().join("data/mysqldb/mariadb_upgrade_info"));
    assert!(evidence.unwrap().starts_with(&version(Server::MariaDb11)));
    running.signal("TERM");
    assert!(running.end().success());
}

/// Case K1.
#[test]
fn k1_killed_mariadb_is_not_upgraded_until_it_was_started_once_more() {
    let (instance, running, mut root) = running_with_rows(Server::MariaDb);
    let writer = std::thread::spawn(move || {
        let mut rows = 0;
        while root
            .query_drop("INSERT INTO shop.innodb VALUES (NULL)")
            .is_ok()
        {
            rows += 1;
        }
        rows
    });
    let mut watcher = instance.connect(PASSWORD);
    wait_for("some rows", || {
        let rows: u64 = watcher
            .query_first("SELECT COUNT(*) FROM shop.innodb")
            .unwrap()
            .unwrap();
        (rows > 100).then_some(())
    });
    running.signal("KILL");
    running.end();
    let acknowledged = writer.join().unwrap();
    instance.install(Server::MariaDb11);
    let (old, new) = (version(Server::MariaDb), version(Server::MariaDb11));
    assert_refused(
        &instance,
        &format!(
            "starttest: error: MariaDB {old} was not shut down cleanly in \
             {{dir}}/home/data/mysqldb, so MariaDB {new} cannot upgrade it\n  next: the data is \
             untouched: push MariaDB {old} again, wait until it answers, then push the newer one\n"
        ),
    );
    for server in [Server::MariaDb, Server::MariaDb11] {
        instance.install(server);
        let running = instance.start(&mut with_password(&instance));
        let mut root = instance.connect(PASSWORD);
        check_rows(&mut root);
        let rows: u64 = root
            .query_first("SELECT COUNT(*) FROM shop.innodb")
            .unwrap()
            .unwrap();
        assert!(rows >= acknowledged + 3, "{rows} of {acknowledged}");
        drop(root);
        running.signal("TERM");
        assert!(running.end().success());
    }
}

/// The newer release with a tool that fails.
fn with_failing_tool(instance: &Instance) {
    let place = instance.sandbox.path().join("broken");
    let real = release(Server::MariaDb11);
    let link_all = |from: &Path, to: &Path| {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            symlink(from.join(&name), to.join(&name)).unwrap();
        }
    };
    link_all(&real, &place);
    fs::remove_file(place.join("bin")).unwrap();
    link_all(&real.join("bin"), &place.join("bin"));
    fs::remove_file(place.join("bin/mariadb-upgrade")).unwrap();
    let script = "#!/bin/sh\necho 'Phase 1/8'; echo 'FATAL ERROR: Upgrade failed' >&2; exit 5\n";
    instance
        .sandbox
        .write_executable("broken/bin/mariadb-upgrade", script);
    let link = instance.home().join("mysql/install");
    fs::remove_file(&link).unwrap();
    symlink(&place, link).unwrap();
    hand_over(&instance.home());
}

#[test]
fn failing_tool_is_told_and_only_the_same_release_goes_on() {
    let instance = with_rows(Server::MariaDb);
    let (old, new) = (version(Server::MariaDb), version(Server::MariaDb11));
    with_failing_tool(&instance);
    let outcome = instance.sandbox.outcome(&mut with_password(&instance));
    let error = "starttest: error: the upgrade tool failed\n  \
                 cause: {dir}/home/mysql/install/bin/mariadb-upgrade ended with status 5\n  \
                 | FATAL ERROR: Upgrade failed\n  \
                 next: correct what it says, start again: it goes on with the upgrade; until that \
                 is complete nobody can connect\n";
    assert!(outcome.stderr.ends_with(error), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(1));
    let dump = format!("mysqldb-before-{old}.sql");
    assert_eq!(extras(&instance), [&dump, "mysqldb.upgrading"]);
    let saved = fs::read(instance.home().join("data").join(&dump)).unwrap();

    instance.install(Server::MariaDb);
    assert_refused(
        &instance,
        &format!(
            "starttest: error: the upgrade of {{dir}}/home/data/mysqldb from {old} to {new} is not \
             complete, and the server is MariaDB {old}\n  next: the data is untouched: push {new} \
             again, which goes on with it; or, if the data is a backup from before, remove \
             {{dir}}/home/data/mysqldb.upgrading\n"
        ),
    );

    // As a kill in the middle of an ALTER TABLE may leave it: the accounts are gone.
    let accounts = instance.home().join("data/mysqldb/mysql/global_priv.MAD");
    let accounts = OpenOptions::new().write(true).open(accounts).unwrap();
    accounts.set_len(8192).unwrap();
    instance.install(Server::MariaDb11);
    let running = instance.start(&mut with_password(&instance));
    check_rows(&mut instance.connect(PASSWORD));
    let goes_on = format!(
        "- upgrading it from {old} to MariaDB {new}, which an earlier run began\n  \
         - restored the system tables from {{dir}}/home/data/{dump}\n  \
         - mariadb-upgrade is done\n"
    );
    assert!(said(&instance).contains(&goes_on), "{}", said(&instance));
    assert_eq!(extras(&instance), [dump.as_str()]);
    let kept = fs::read(instance.home().join("data").join(&dump)).unwrap();
    assert!(kept == saved, "the tables as they were before");
    drop(running);
}

/// Puts a copy of the `~/data` of `from` into a container of the newer release.
fn with_copy(from: &Instance) -> Instance {
    let instance = Instance::in_memory(Server::MariaDb11);
    let mut cp = Command::new("cp");
    cp.args(["-rp", "--sparse=always"])
        .arg(from.home().join("data"))
        .arg(instance.home());
    assert!(cp.status().unwrap().success());
    instance
}

/// Kills starttest `after` it was started, whatever it is by then, and starts it again.
fn kill_and_start(old: &Instance, after: Duration) {
    let instance = with_copy(old);
    let mut command = with_password(&instance);
    let starttest = Running(command.stderr(Stdio::null()).spawn().unwrap());
    let moment = Instant::now() + after;
    wait_for("that moment", || (Instant::now() > moment).then_some(()));
    starttest.signal("KILL");
    starttest.end();
    let running = instance.start(&mut with_password(&instance));
    let mut root = instance.connect(PASSWORD);
    assert!(!journal(&instance).exists(), "{}", said(&instance));
    check_rows(&mut root);
    drop(root);
    running.signal("TERM");
    assert!(running.end().success());
    let dump = format!("mysqldb-before-{}.sql", version(Server::MariaDb));
    assert_eq!(extras(&instance), [dump], "{}", said(&instance));
    let run: Vec<_> = fs::read_dir(instance.home().join("mysql/run"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(run.is_empty(), "{run:?}");
}

#[test]
fn upgrade_killed_at_any_point_is_completed_by_the_next_start() {
    let old = with_rows(Server::MariaDb);
    let uninterrupted = with_copy(&old);
    let begin = Instant::now();
    let running = uninterrupted.start(&mut with_password(&uninterrupted));
    uninterrupted.connect(PASSWORD);
    let whole = begin.elapsed();
    drop(running);
    let kill = |point: &Point| kill_and_start(&old, whole.mul_f64(point.fraction));
    Sweep::new("upgrade from MariaDB 10.11", 1).each(2, kill);
}
