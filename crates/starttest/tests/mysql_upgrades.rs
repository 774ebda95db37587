//! What stands in the way of upgrading a real MySQL: accounts that the new release would lock out, and a
//! server that was killed. No registry has a release that MySQL 9.7 could be upgraded from or to, so the
//! same release poses as the next one: what is tried here is refused, or told, before any server starts.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod real;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use testbed::sandbox;

use mycnf::{AccountPlugin, Shutdown, account_plugins, last_mysql_shutdown};
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
use real::{Instance, Running, Server, release};
use sandbox::{hand_over, listing, wait_for};

const PASSWORD: &str = "known";

fn with_password(instance: &Instance) -> Command {
    let mut command = instance.hook("starttest");
    command.env("MYSQL_ROOT_PASSWORD", PASSWORD);
    command
}

/// A database whose server runs, for `sql`.
fn running_with(sql: &[&str]) -> (Instance, Running, Conn) {
    let instance = Instance::in_memory(Server::MySql9);
    let running = instance.start(&mut with_password(&instance));
    let mut root = instance.connect(PASSWORD);
    for statement in sql {
        root.query_drop(statement).unwrap();
    }
    (instance, running, root)
}

fn stop(running: Running) {
    running.signal("TERM");
    assert!(running.end().success());
}

/// The release that the data is of, called `version`.
fn pose_as(instance: &Instance, version: &str) {
    let place = instance.sandbox.path().join(version);
    fs::create_dir(&place).unwrap();
    for entry in fs::read_dir(release(Server::MySql9)).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "mysqld-version.txt" {
            symlink(entry.path(), place.join(entry.file_name())).unwrap();
        }
    }
    let stamp = format!("mysqld  Ver {version} (MySQL)\n");
    fs::write(place.join("mysqld-version.txt"), stamp).unwrap();
    let link = instance.home().join("mysql/install");
    fs::remove_file(&link).unwrap();
    symlink(place, link).unwrap();
    hand_over(&instance.home());
}

/// What the release says of itself.
fn version() -> String {
    let stamp = fs::read_to_string(release(Server::MySql9).join("mysqld-version.txt")).unwrap();
    stamp.split_whitespace().nth(2).unwrap().to_owned()
}

fn said(instance: &Instance) -> String {
    let text = fs::read_to_string(instance.sandbox.path().join("starttest.log")).unwrap();
    text.replace(instance.sandbox.path().to_str().unwrap(), "{dir}")
}

/// starttest refuses with `error` as the end of what it says, and changes nothing whatever.
#[track_caller]
fn assert_refused(instance: &Instance, command: &mut Command, error: &str) {
    let before = listing(&instance.home());
    let outcome = instance.sandbox.outcome(command);
    assert!(outcome.stderr.ends_with(error), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(listing(&instance.home()), before);
}

fn data_dir(instance: &Instance) -> PathBuf {
    instance.home().join("data/mysqldb")
}

/// As an upgrade from 8.4 leaves them: no SQL makes such an account in MySQL 9.
const OLD_ACCOUNTS: [&str; 3] = [
    "CREATE USER app@'%' IDENTIFIED BY 'app'",
    "CREATE USER `Zoë`@'10.%' IDENTIFIED BY 'x'",
    "UPDATE mysql.user SET plugin = 'mysql_native_password', authentication_string = '*AB' WHERE \
     User IN ('app', 'Zoë', 'root')",
];

const LOCKED_OUT: &str = "'Zoë'@'10.%' (mysql_native_password), 'app'@'%' (mysql_native_password)";

fn app_can_log_in(instance: &Instance, password: &str) -> bool {
    let socket = instance.home().join("mysql/run/mysqld.sock");
    let options = OptsBuilder::new()
        .user(Some("app"))
        .pass(Some(password))
        .socket(socket.to_str());
    Conn::new(options).is_ok()
}

#[test]
fn locked_out_accounts_are_named_and_root_and_ours_are_brought_over() {
    let (instance, running, root) = running_with(&OLD_ACCOUNTS);
    drop(root);
    stop(running);
    // Without MYSQL_ROOT_PASSWORD: the credentials file's counts.
    let running = instance.start(&mut instance.hook("starttest"));
    let mut root = instance.connect(PASSWORD);
    let warning = format!(
        "- warning: nobody can log in as {LOCKED_OUT}: MySQL {} has no such plugin; root can \
         give them another (ALTER USER … IDENTIFIED WITH caching_sha2_password BY …)\n",
        version()
    );
    assert!(said(&instance).contains(&warning), "{}", said(&instance));
    assert!(!app_can_log_in(&instance, "app"));
    let plugin: Option<String> = root
        .query_first("SELECT plugin FROM mysql.user WHERE User = 'root'")
        .unwrap();
    assert_eq!(plugin.as_deref(), Some("caching_sha2_password"));
    drop(root);
    stop(running);

    let mut command = instance.hook("starttest");
    command
        .env("MYSQL_USER", "app")
        .env("MYSQL_PASSWORD", "new");
    let running = instance.start(&mut command);
    drop(instance.connect(PASSWORD));
    let named = "nobody can log in as 'Zoë'@'10.%' (mysql_native_password): ";
    assert!(said(&instance).contains(named), "{}", said(&instance));
    assert!(app_can_log_in(&instance, "new"));
    drop(running);
}

/// Whoever may reach the port is told at every start until it has a password.
#[test]
fn root_without_a_password_is_named_at_every_start() {
    let (instance, running, root) = running_with(&[
        "CREATE USER root@'%' IDENTIFIED BY ''",
        "CREATE USER root@'10.%' IDENTIFIED BY 'another'",
        "CREATE USER root@'11.%' IDENTIFIED BY '' ACCOUNT LOCK",
    ]);
    drop(root);
    stop(running);
    let warning = "- warning: 'root'@'%' needs no password: whoever reaches the port is root, until \
                   you set MYSQL_ROOT_PASSWORD or drop it\n";
    for _ in 0..2 {
        let running = instance.start(&mut instance.hook("starttest"));
        wait_for("the server", || instance.try_root(Some(PASSWORD)));
        stop(running);
        assert!(said(&instance).contains(warning), "{}", said(&instance));
    }
    for _ in 0..2 {
        let running = instance.start(&mut with_password(&instance));
        drop(instance.connect(PASSWORD));
        stop(running);
        assert!(
            !said(&instance).contains("needs no password"),
            "{}",
            said(&instance)
        );
    }
}

#[test]
fn upgrade_that_locks_accounts_out_is_refused_unless_it_is_wanted() {
    let (instance, running, root) = running_with(&OLD_ACCOUNTS);
    drop(root);
    stop(running);
    pose_as(&instance, "26.7.0");
    let refusal = format!(
        "starttest: error: MySQL 26.7.0 has no plugin for accounts of {{dir}}/home/data/mysqldb: \
         {LOCKED_OUT}\n  next: the data is untouched: push MySQL {} again, give each of them \
         another plugin (ALTER USER … IDENTIFIED WITH caching_sha2_password BY …), then push the \
         newer one; MYSQL_UPGRADE_ANYWAY=1 upgrades it and leaves them locked out\n",
        version()
    );
    assert_refused(&instance, &mut with_password(&instance), &refusal);

    let mut command = with_password(&instance);
    command.env("MYSQL_UPGRADE_ANYWAY", "1");
    let running = instance.start(&mut command);
    drop(instance.connect(PASSWORD));
    let named = format!("- warning: nobody can log in as {LOCKED_OUT}: MySQL 26.7.0 has");
    assert!(said(&instance).contains(&named), "{}", said(&instance));
    drop(running);
}

/// Case K1.
#[test]
fn k1_killed_mysql_is_not_upgraded_until_it_was_started_once_more() {
    let (instance, running, mut root) = running_with(&[
        "CREATE DATABASE d",
        "CREATE TABLE d.t (i INT PRIMARY KEY AUTO_INCREMENT, s VARCHAR(100))",
    ]);
    for _ in 0..50 {
        root.query_drop("INSERT INTO d.t (s) VALUES (REPEAT('x', 100))")
            .unwrap();
    }
    running.signal("KILL");
    running.end();
    drop(root);
    let ended = |expected| {
        let (shutdown, writer) = last_mysql_shutdown(&data_dir(&instance)).unwrap();
        assert_eq!(shutdown, expected);
        assert_eq!(writer.unwrap().series(), mycnf::Series(9, 7));
    };
    ended(Shutdown::Unclean);
    pose_as(&instance, "26.7.0");
    let version = version();
    let refusal = format!(
        "starttest: error: MySQL {version} was not shut down cleanly in {{dir}}/home/data/mysqldb, \
         so MySQL 26.7.0 cannot upgrade it\n  next: the data is untouched: push MySQL {version} \
         again, wait until it answers, then push the newer one (if it was MySQL 26.7.0 that was \
         killed while it upgraded it, MYSQL_UPGRADE_ANYWAY=1 lets it go on)\n"
    );
    assert_refused(&instance, &mut with_password(&instance), &refusal);

    instance.install(Server::MySql9);
    let running = instance.start(&mut with_password(&instance));
    drop(instance.connect(PASSWORD));
    stop(running);
    ended(Shutdown::Clean);
    pose_as(&instance, "26.8.0");
    let running = instance.start(&mut with_password(&instance));
    let mut root = instance.connect(PASSWORD);
    let rows: Option<u32> = root.query_first("SELECT COUNT(*) FROM d.t").unwrap();
    assert_eq!(rows, Some(50));
    drop(running);
}

/// The server's own answer, sorted as ours.
fn answer(root: &mut Conn) -> Vec<AccountPlugin> {
    let query = "SELECT User, Host, plugin, COALESCE(authentication_string, '') <> '', \
                 account_locked = 'Y' FROM mysql.user";
    let account = |(user, host, plugin, has_secret, is_locked)| AccountPlugin {
        user,
        host,
        plugin,
        has_secret,
        is_locked,
    };
    let mut accounts: Vec<AccountPlugin> = root.query_map(query, account).unwrap();
    accounts.sort();
    accounts
}

#[test]
fn account_plugins_are_those_that_the_server_has() {
    let (instance, running, mut root) = running_with(&OLD_ACCOUNTS[..2]);
    // More than one page of them, in every order, some of them dropped, renamed, long.
    let name = |number: u32| format!("`{number}-{}`@'10.0.{number}.%'", "ü".repeat(20));
    for number in 0..200 {
        let plugin = ["caching_sha2_password", "sha256_password"][number as usize % 2];
        let user = name(number);
        root.query_drop(format!(
            "CREATE USER {user} IDENTIFIED WITH {plugin} BY 'x'"
        ))
        .unwrap();
        match number % 5 {
            0 => root.query_drop(format!("DROP USER {user}")).unwrap(),
            1 => {
                let to = format!("RENAME USER {user} TO `{number}`@'h{number}'");
                root.query_drop(to).unwrap();
            }
            2 => root
                .query_drop(format!("ALTER USER {user} REQUIRE SUBJECT '/CN={number}'"))
                .unwrap(),
            3 => {
                let to =
                    format!("ALTER USER {user} IDENTIFIED BY '' PASSWORD EXPIRE INTERVAL 9 DAY");
                root.query_drop(to + " ACCOUNT LOCK").unwrap();
            }
            _ => {}
        }
    }
    let expected = answer(&mut root);
    drop(root);
    stop(running);
    assert_eq!(account_plugins(&data_dir(&instance)), Some(expected));
}

/// The server's own command.
fn vendors(instance: &Instance, basedir: &Path, arguments: &[&str]) -> Command {
    let mut command = instance.sandbox.command(&basedir.join("bin/mysqld"));
    command
        .env("PATH", "/usr/bin:/bin")
        .arg("--no-defaults")
        .arg(format!("--basedir={}", basedir.display()))
        .arg(format!("--datadir={}", data_dir(instance).display()))
        .arg(format!("--log-error={}/v.log", instance.home().display()))
        .args(arguments);
    command
}

/// A server of its own data directory, which answers through a socket of its own.
fn run_vendors(instance: &Instance, basedir: &Path) -> (Running, Conn) {
    let socket = instance.home().join("v.sock");
    let listen = format!("--socket={}", socket.display());
    let mut command = vendors(instance, basedir, &[&listen, "--skip-networking"]);
    let running = Running(command.spawn().unwrap());
    let root = wait_for("the server", || {
        let options = OptsBuilder::new()
            .user(Some("root"))
            .socket(socket.to_str());
        Conn::new(options).ok()
    });
    (running, root)
}

/// For each series that upgrades come from: what its log says after each end, and for 8.0 its accounts. A
/// 5.7 that was killed is refused by a real 8.0.
#[test]
fn releases_that_upgrades_come_from_are_read() {
    for server in [Server::MySql57, Server::MySql80] {
        if server.is_there() {
            read(server);
        }
    }
}

fn read(server: Server) {
    let instance = Instance::in_memory(server);
    let basedir = release(server);
    fs::create_dir_all(instance.home().join("data")).unwrap();
    instance.sandbox.hand_over();
    let mut initialise = vendors(&instance, &basedir, &["--initialize-insecure"]);
    assert!(initialise.status().unwrap().success());
    let ended = || last_mysql_shutdown(&data_dir(&instance)).unwrap().0;
    assert_eq!(ended(), Shutdown::Clean, "{server:?}");
    let (running, mut root) = run_vendors(&instance, &basedir);
    root.query_drop("CREATE DATABASE d").unwrap();
    root.query_drop("CREATE TABLE d.t (i INT PRIMARY KEY AUTO_INCREMENT)")
        .unwrap();
    for _ in 0..50 {
        root.query_drop("INSERT INTO d.t VALUES (NULL)").unwrap();
    }
    running.signal("KILL");
    running.end();
    assert_eq!(ended(), Shutdown::Unclean, "{server:?}");
    if server == Server::MySql57 && Server::MySql80.is_there() {
        refused_by_8_0(&instance);
    }
    let (running, mut root) = run_vendors(&instance, &basedir);
    for number in 0..200 {
        let user = format!("u{number}@'10.0.0.{number}'");
        let sql = format!("CREATE USER {user} IDENTIFIED WITH mysql_native_password BY 'x'");
        root.query_drop(sql).unwrap();
    }
    let expected = answer(&mut root);
    drop(root);
    stop(running);
    assert_eq!(ended(), Shutdown::Clean, "{server:?}");
    // Before 8.0 they are in another file, and no upgrade loses one of their plugins.
    let expected = (server == Server::MySql80).then_some(expected);
    assert_eq!(
        account_plugins(&data_dir(&instance)),
        expected,
        "{server:?}"
    );
}

fn refused_by_8_0(instance: &Instance) {
    instance.install(Server::MySql80);
    let (old, new) = (Server::MySql57.title(), Server::MySql80.title());
    let refusal = format!(
        "starttest: error: {old} was not shut down cleanly in {{dir}}/home/data/mysqldb, so {new} \
         cannot upgrade it\n  next: the data is untouched: push {old} again, wait until it answers, \
         then push the newer one (if it was {new} that was killed while it upgraded it, \
         MYSQL_UPGRADE_ANYWAY=1 lets it go on)\n"
    );
    assert_refused(instance, &mut with_password(instance), &refusal);
}
