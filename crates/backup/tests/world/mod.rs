//! What the tests of backup share: a service with rows in it, its copies, and other homes in which they
//! are tried.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "no test file uses all of it; clippy's allowance for tests does not reach helpers"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::real::{Instance, Kind, Running, Server, release};
use crate::sandbox::Outcome;

pub const BACKUP: &str = env!("CARGO_BIN_EXE_backup");

/// Whatever a quoting mistake would stumble over.
pub const PASSWORD: &str = "it's \"q\" $HOME \\ & #1; `x` ü";

/// A service of `server`, prepared.
pub fn service(server: Server) -> Instance {
    let instance = home(server);
    let prepared = instance
        .sandbox
        .outcome(&mut hook(&instance, "postinstall"));
    assert_eq!(prepared.code, Some(0), "{}", prepared.stderr);
    instance
}

/// A home directory of `server` without a database.
pub fn home(server: Server) -> Instance {
    let instance = Instance::new(server);
    let mut install = Command::new("install");
    install.args(["-m", "755", BACKUP]);
    let installed = install.arg(instance.home().join("backup")).status();
    assert!(installed.unwrap().success());
    instance.sandbox.hand_over();
    instance
}

pub fn hook(instance: &Instance, name: &str) -> Command {
    let mut command = instance.hook(name);
    command.env("MYSQL_ROOT_PASSWORD", PASSWORD);
    command
}

/// Its server, and root's connection.
pub fn start(instance: &Instance) -> (Running, Conn) {
    let running = instance.start(&mut hook(instance, "starttest"));
    let root = instance.connect(PASSWORD);
    (running, root)
}

/// `backup` with `arguments`, as the service's user.
pub fn backup(instance: &Instance, arguments: &[&str]) -> Command {
    let mut command = hook(instance, "backup");
    command.args(arguments);
    command
}

/// The same run to its end.
pub fn outcome(instance: &Instance, arguments: &[&str]) -> Outcome {
    instance.sandbox.outcome(&mut backup(instance, arguments))
}

#[track_caller]
pub fn succeed(instance: &Instance, arguments: &[&str]) -> Outcome {
    let outcome = outcome(instance, arguments);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome
}

/// A directory for a copy.
pub fn place_for(instance: &Instance, name: &str) -> PathBuf {
    instance.home().join(name)
}

/// Rows, a view, a routine, a trigger, an event and accounts, in a database called `shop` and one with a
/// difficult name.
pub fn fill(root: &mut Conn, server: Server) {
    let mut statements = vec![
        "CREATE DATABASE shop",
        "CREATE DATABASE `we``ird-name`",
        "CREATE TABLE `we``ird-name`.`t able` (i INT PRIMARY KEY) ENGINE=InnoDB",
        "INSERT INTO `we``ird-name`.`t able` VALUES (1)",
        "CREATE TABLE shop.sale (id INT PRIMARY KEY, what VARBINARY(40), note TEXT CHARACTER SET \
         utf8mb4) ENGINE=InnoDB",
        "INSERT INTO shop.sale VALUES (1, x'00ff270a5c', 'it''s \"ü\" \\\\ 密')",
        "CREATE VIEW shop.sold AS SELECT id FROM shop.sale",
        "CREATE PROCEDURE shop.count_all() SELECT COUNT(*) FROM shop.sale",
        "CREATE TRIGGER shop.shout BEFORE INSERT ON shop.sale FOR EACH ROW SET NEW.id = NEW.id + 0",
        "CREATE EVENT shop.tick ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.sale WHERE id < 0",
        "CREATE USER 'joe'@'%' IDENTIFIED BY 'a''\"\\\\$&'",
        "GRANT SELECT ON shop.* TO 'joe'@'%'",
    ];
    if has_roles(server) {
        statements.extend([
            "CREATE ROLE reader",
            "GRANT SELECT ON shop.sold TO reader",
            "GRANT reader TO 'joe'@'%'",
        ]);
    }
    for statement in statements {
        root.query_drop(statement).unwrap();
    }
}

fn has_roles(server: Server) -> bool {
    matches!(server.kind(), Kind::MariaDb | Kind::MySql8)
}

/// That all of [`fill`] is there.
#[track_caller]
pub fn assert_filled(root: &mut Conn, server: Server) {
    let row: (Vec<u8>, String) = root
        .query_first("SELECT what, note FROM shop.sale WHERE id=1")
        .unwrap()
        .unwrap();
    let expected = (
        b"\x00\xff\x27\x0a\x5c".to_vec(),
        "it's \"ü\" \\ 密".to_owned(),
    );
    assert_eq!(row, expected);
    let count = |root: &mut Conn, sql: &str| -> u64 { root.query_first(sql).unwrap().unwrap() };
    for sql in [
        "SELECT COUNT(*) FROM `we``ird-name`.`t able`",
        "SELECT COUNT(*) FROM shop.sold",
        "CALL shop.count_all()",
        "SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA='shop'",
        "SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA='shop'",
    ] {
        assert_eq!(count(root, sql), 1, "{sql}");
    }
    let grants: Vec<String> = root.query("SHOW GRANTS FOR 'joe'@'%'").unwrap();
    let grants = grants.join("\n");
    assert!(grants.contains("GRANT SELECT ON `shop`.* TO "), "{grants}");
    let has_role = grants.contains("reader");
    assert_eq!(has_role, has_roles(server), "{grants}");
}

/// For MySQL 5.6, whose fixture brings no programs: MariaDB's client and dumper.
pub fn lend_programs(instance: &Instance, server: Server) {
    if server != Server::MySql56 {
        return;
    }
    instance.lend_client(server);
    let own = fs::read_link(instance.home().join("mysql/install")).unwrap();
    let dumper = release(Server::MariaDb).join("bin/mariadb-dump");
    symlink(dumper, own.join("bin/mysqldump")).unwrap();
    instance.sandbox.hand_over();
}

/// Every file and its content below a directory.
pub fn listing(directory: &Path) -> Vec<String> {
    crate::sandbox::listing(directory)
}

/// A cold copy of a service with rows.
pub fn cold_copy(server: Server) -> (Instance, PathBuf) {
    let instance = service(server);
    let (running, mut root) = start(&instance);
    fill(&mut root, server);
    drop(root);
    running.signal("TERM");
    running.end();
    let copy = place_for(&instance, "copy");
    succeed(&instance, &["take", copy.to_str().unwrap()]);
    (instance, copy)
}
