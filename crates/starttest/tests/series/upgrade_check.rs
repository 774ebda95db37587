//! What MySQL 8.0 does not take of the data of 5.7, made by a real 5.7: told before 8.0 touches it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::real::{Instance, Running, Server};
use crate::sandbox::hand_over;
use crate::{PASSWORD, assert_refused, said, stop, with_password};

/// Each harmless, and close to what is not.
const HARMLESS: [&str; 20] = [
    // Else nobody has zeros for a date.
    "SET SESSION sql_mode = ''",
    "CREATE DATABASE shop",
    "CREATE DATABASE `ü-x`",
    "CREATE TABLE `ü-x`.`ß t` (i INT PRIMARY KEY)",
    "USE shop",
    "CREATE TABLE keep (i INT PRIMARY KEY)",
    "INSERT INTO keep VALUES (1), (2)",
    "CREATE TABLE `rank` (`system` INT, `window` INT, d DATE DEFAULT '0000-00-00')",
    "CREATE VIEW word AS SELECT `rank`.`system` AS `lead` FROM `rank`",
    "CREATE TABLE parts (i INT) PARTITION BY HASH(i) PARTITIONS 2",
    "CREATE TABLE times (a DATETIME, b TIMESTAMP NULL, c TIME(3)) ENGINE=MyISAM",
    "CREATE TABLESPACE g ADD DATAFILE 'g.ibd'",
    "CREATE TABLE general (i INT) TABLESPACE g",
    "CREATE TABLE own (i INT) DATA DIRECTORY='{elsewhere}'",
    "SET GLOBAL innodb_file_per_table = OFF",
    "CREATE TABLE shared (i INT)",
    "SET GLOBAL innodb_file_per_table = ON",
    "CREATE PROCEDURE quoted(a INT) BEGIN DECLARE `rank` INT; SET @rank = 'lead', @x = 1; \
     SELECT `rank`.`system` /* rank */ FROM `rank`; END",
    "CREATE TRIGGER quoted BEFORE INSERT ON `rank` FOR EACH ROW SET NEW.window = 1",
    "CREATE EVENT quoted ON SCHEDULE EVERY 1 DAY DO DELETE FROM `rank` WHERE `rank`.window = 3",
];

/// Each refused by 8.0.33 as it starts (docs/hooks.md, "Upgrades").
const REFUSED: [&str; 10] = [
    "CREATE TABLE split (i INT) ENGINE=MyISAM PARTITION BY HASH(i) PARTITIONS 2",
    "CREATE TABLE remote (i INT) ENGINE=FEDERATED CONNECTION='mysql://u@127.0.0.1:9/x/t'",
    "CREATE TABLE lost (i INT)",
    "CREATE TABLE mysql.catalogs (i INT)",
    "CREATE PROCEDURE body() SELECT COUNT(*) AS rank FROM keep",
    "CREATE PROCEDURE parameter(Window INT) SELECT 1",
    "CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC RETURN (SELECT MAX(i) AS lead FROM keep)",
    "CREATE EVENT later ON SCHEDULE EVERY 1 DAY DO DELETE FROM keep WHERE i = (SELECT 3 AS groups)",
    "CREATE TABLE noted (i INT)",
    "CREATE TRIGGER note BEFORE INSERT ON noted FOR EACH ROW SET @a = (SELECT MAX(i) AS lag FROM keep)",
];

const LIST: &str = "a trigger of shop.noted has the name lag without backquotes (create it anew); \
    mysql.catalogs has the name of a table of the dictionary (RENAME TABLE); \
    shop.body has the name rank without backquotes (create it anew); \
    shop.f has the name lead without backquotes (create it anew); \
    shop.later has the name groups without backquotes (create it anew); \
    shop.lost has lost its .ibd file (DROP TABLE); \
    shop.orphan has a definition and is no table of InnoDB's (remove its .frm file); \
    shop.parameter has the name window without backquotes (create it anew); \
    shop.remote is FEDERATED's (ALTER TABLE … ENGINE=…, or federated = ON in my.cnf); \
    shop.split is partitioned, and not InnoDB's (ALTER TABLE … ENGINE=InnoDB)";

const MENDED: [&str; 10] = [
    "USE shop",
    "ALTER TABLE split ENGINE=InnoDB",
    "DROP TABLE remote",
    "DROP TABLE lost",
    "RENAME TABLE mysql.catalogs TO shop.catalogs",
    "DROP PROCEDURE body",
    "DROP PROCEDURE parameter",
    "DROP FUNCTION f",
    "DROP EVENT later",
    "DROP TRIGGER note",
];

/// 5.7 with the engine that nobody has without asking.
fn start(instance: &Instance) -> (Running, Conn) {
    let mut command = with_password(instance);
    command.arg("--federated");
    let running = instance.start(&mut command);
    (running, instance.connect(PASSWORD))
}

fn run(root: &mut Conn, statements: &[&str], instance: &Instance) {
    let elsewhere = instance.sandbox.path().join("elsewhere");
    for sql in statements {
        let sql = sql.replace("{elsewhere}", elsewhere.to_str().unwrap());
        let result = root.query_drop(&sql);
        assert!(result.is_ok(), "{sql}: {result:?}");
    }
}

#[test]
fn what_8_0_does_not_take_of_5_7_is_told_before_it_touches_it() {
    if !Server::MySql57.is_there() {
        return;
    }
    let instance = Instance::in_memory(Server::MySql57);
    let elsewhere = instance.sandbox.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o700)).unwrap();
    hand_over(&elsewhere);
    let (running, mut root) = start(&instance);
    run(&mut root, &HARMLESS, &instance);
    run(&mut root, &REFUSED, &instance);
    drop(root);
    stop(running);
    let shop = instance.home().join("data/mysqldb/shop");
    for copy in ["orphan.frm", "#sql-12_3.frm"] {
        let mut cp = Command::new("cp");
        cp.arg("-p").arg(shop.join("keep.frm")).arg(shop.join(copy));
        assert!(cp.status().unwrap().success());
    }
    fs::remove_file(shop.join("lost.ibd")).unwrap();

    instance.install(Server::MySql80);
    let (old, new) = (Server::MySql57.title(), Server::MySql80.title());
    assert_refused(
        &instance,
        &format!(
            "starttest: error: {new} does not take these of {old} in {{dir}}/home/data/mysqldb: \
             {LIST}\n  next: the data is untouched: push {old} again, mend each of them, then push \
             the newer one; MYSQL_UPGRADE_ANYWAY=1 lets {new} say what it thinks of them\n"
        ),
    );

    instance.install(Server::MySql57);
    let (running, mut root) = start(&instance);
    run(&mut root, &MENDED, &instance);
    drop(root);
    stop(running);
    fs::remove_file(shop.join("orphan.frm")).unwrap();
    instance.install(Server::MySql80);
    let running = instance.start(&mut with_password(&instance));
    let mut root = instance.connect(PASSWORD);
    let rows: Option<u32> = root.query_first("SELECT COUNT(*) FROM shop.keep").unwrap();
    assert_eq!(rows, Some(2), "{}", said(&instance));
    stop(running);
}
