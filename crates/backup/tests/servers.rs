//! Copies of real servers, while they run and while they do not, and what becomes of them elsewhere.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

#[path = "../../starttest/tests/real/mod.rs"]
mod real;
mod world;
#[path = "../../starttest/tests/real/writer.rs"]
mod writer;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use testbed::sandbox;

use mysql::Conn;
use mysql::prelude::Queryable;
use real::{Instance, Server};
use world::{
    BACKUP, assert_filled, backup, cold_copy, fill, home, lend_programs, outcome, place_for,
    service, start, succeed,
};
use writer::{Writer, make_table};

fn method(copy: &Path) -> String {
    let text = fs::read_to_string(copy.join("manifest.json")).unwrap();
    let line = text
        .lines()
        .find(|line| line.contains("\"method\""))
        .unwrap();
    line.split('"').nth(3).unwrap().to_owned()
}

/// Four clients write while it is copied; what they were told before is in the copy.
fn copied_while_it_is_written(server: Server, instance: &Instance, expected: &str) {
    let (running, mut root) = start(instance);
    fill(&mut root, server);
    make_table(&mut root);
    let home_of = instance.home();
    let writer = Writer::start(move || {
        let socket = home_of.join("mysql/run/mysqld.sock");
        let options = mysql::OptsBuilder::new()
            .user(Some("root"))
            .pass(Some(world::PASSWORD))
            .socket(socket.to_str());
        Conn::new(options).ok()
    });
    sandbox::wait_for("rows", || (writer.acknowledged() > 20).then_some(()));
    let before = writer.acknowledged();
    let copy = place_for(instance, "copy");
    let said = succeed(instance, &["take", copy.to_str().unwrap()]);
    assert_eq!(method(&copy), expected, "{}", said.stderr);
    writer.check(&mut root);
    assert_filled(&mut root, server);
    running.signal("TERM");
    running.end();

    let scratch = home(server);
    check_files(
        &scratch,
        &[("1.sql", "SELECT id FROM shop.sale WHERE id <> 1;\n")],
    );
    let checked = succeed(&scratch, &["check", copy.to_str().unwrap()]);
    let told = "check files found nothing: 1.sql";
    assert!(checked.stderr.contains(told), "{}", checked.stderr);
    let told = "tables are in order";
    assert!(checked.stderr.contains(told), "{}", checked.stderr);
    let checked = fs::read_to_string(copy.join("checked.json")).unwrap();
    assert!(checked.contains("\"shop.sale\": 1"), "{checked}");

    let other = home(server);
    succeed(&other, &["place", "--move", copy.to_str().unwrap()]);
    let (_running, mut root) = start(&other);
    assert_filled(&mut root, server);
    let rows: u64 = root
        .query_first("SELECT COUNT(*) FROM ledger.entry")
        .unwrap()
        .unwrap();
    assert!(rows >= before, "{rows} of {before}");
}

/// As builder puts them there.
fn check_files(instance: &Instance, files: &[(&str, &str)]) {
    let directory = instance.home().join("mysql/check.d");
    fs::create_dir_all(&directory).unwrap();
    for (name, sql) in files {
        fs::write(directory.join(name), sql).unwrap();
    }
    instance.sandbox.hand_over();
}

#[test]
fn running_mysql_9_is_cloned() {
    let server = Server::MySql9;
    copied_while_it_is_written(server, &service(server), "clone");
}

#[test]
fn running_mariadb_is_copied_by_its_tool() {
    for server in [Server::MariaDb, Server::MariaDb11] {
        copied_while_it_is_written(server, &service(server), "mariadb-backup");
    }
}

/// In `make torture`: the other series, by whatever their release brings.
#[test]
fn other_series_are_copied_while_they_are_written() {
    let series = real::series();
    for (server, expected) in [
        (Server::MySql80, "clone"),
        (Server::MariaDb105, "dump"),
        (Server::MariaDb114, "dump"),
    ] {
        if series.contains(&server) {
            copied_while_it_is_written(server, &service(server), expected);
        }
    }
    // It brings no programs.
    if series.contains(&Server::MySql57) {
        stopped(Server::MySql57, "TERM");
        stopped(Server::MySql57, "KILL");
    }
}

#[test]
fn running_mariadb_without_that_tool_is_dumped() {
    let server = Server::MariaDb11;
    let instance = service(server);
    take_the_tool_away(&instance);
    copied_while_it_is_written(server, &instance, "dump");
}

/// From a release of its own: the other tests share theirs.
fn take_the_tool_away(instance: &Instance) {
    let link = instance.home().join("mysql/install");
    let release = fs::canonicalize(&link).unwrap();
    let own = instance.home().join("mysql/releases");
    fs::create_dir_all(&own).unwrap();
    let own = own.join(release.file_name().unwrap());
    let mut cp = Command::new("cp");
    assert!(
        cp.arg("-a")
            .args([&release, &own])
            .status()
            .unwrap()
            .success()
    );
    for tool in ["mariadb-backup", "mariabackup"] {
        fs::remove_file(own.join("bin").join(tool)).unwrap();
    }
    fs::remove_file(&link).unwrap();
    symlink(&own, &link).unwrap();
    instance.sandbox.hand_over();
}

#[test]
fn running_mysql_9_with_other_engines_is_dumped() {
    let server = Server::MySql9;
    let instance = service(server);
    let (_running, mut root) = start(&instance);
    fill(&mut root, server);
    root.query_drop("CREATE TABLE shop.old (i INT) ENGINE=MyISAM")
        .unwrap();
    root.query_drop("INSERT INTO shop.old VALUES (1), (2)")
        .unwrap();
    let copy = place_for(&instance, "copy");
    let said = succeed(&instance, &["take", copy.to_str().unwrap()]).stderr;
    let why = "- MySQL 9.7.4 runs: dumping it, because shop.old is of MyISAM, which the clone plugin \
               leaves empty\n- warning: what is written meanwhile to tables without transactions may \
               be half in the dump: shop.old (MyISAM)\n";
    assert!(said.contains(why), "{said}");
    let other = home(server);
    succeed(&other, &["place", copy.to_str().unwrap()]);
    let (_running, mut root) = start(&other);
    assert_filled(&mut root, server);
    let rows: u64 = root
        .query_first("SELECT COUNT(*) FROM shop.old")
        .unwrap()
        .unwrap();
    assert_eq!(rows, 2);
}

/// Stopped as it should be, or killed.
fn stopped(server: Server, signal: &str) {
    let instance = service(server);
    let (running, mut root) = start(&instance);
    fill(&mut root, server);
    drop(root);
    running.signal(signal);
    running.end();
    let copy = place_for(&instance, "copy");
    let data = world::listing(&instance.home().join("data/mysqldb"));
    succeed(&instance, &["take", copy.to_str().unwrap()]);
    assert_eq!(method(&copy), "cold");
    assert!(world::listing(&instance.home().join("data/mysqldb")) == data);
    let other = home(server);
    succeed(&other, &["place", copy.to_str().unwrap()]);
    let (_running, mut root) = start(&other);
    assert_filled(&mut root, server);
}

#[test]
fn stopped_servers_are_copied_by_their_files() {
    stopped(Server::MySql56, "TERM");
    stopped(Server::MySql56, "KILL");
    stopped(Server::MariaDb, "KILL");
    stopped(Server::MySql9, "KILL");
}

/// Out of one server and into another.
fn dumped_and_loaded(from: Server, to: Server) {
    let (source, target) = (service(from), service(to));
    lend_programs(&source, from);
    let (_running, mut root) = start(&source);
    fill(&mut root, from);
    let (_other, mut root) = start(&target);
    let dump = source.sandbox.path().join("shop.sql");
    let status = backup(&source, &["dump"])
        .stdout(fs::File::create(&dump).unwrap())
        .stderr(Stdio::inherit())
        .status();
    assert!(status.unwrap().success());
    let text = fs::read(&dump).unwrap();
    assert!(text.ends_with(b"-- backup dump completed\n"));
    let status = backup(&target, &["load"])
        .stdin(fs::File::open(&dump).unwrap())
        .status();
    assert!(status.unwrap().success());
    assert_filled(&mut root, from);
    let root_password = target.try_root(Some(world::PASSWORD));
    assert!(root_password.is_some(), "root is the target's own");
}

#[test]
fn dump_is_loaded_into_the_same_and_a_newer_series() {
    dumped_and_loaded(Server::MySql9, Server::MySql9);
    dumped_and_loaded(Server::MariaDb, Server::MariaDb11);
}

#[test]
fn dump_without_a_server_or_a_dumper_has_exact_text() {
    let instance = service(Server::MySql56);
    let refused = outcome(&instance, &["dump"]);
    sandbox::assert_refused(
        &refused,
        "backup",
        "backup: error: the server does not run\n  next: start it ('dotcloud restart SERVICE.N'), \
         call it again\n",
    );
    let (_running, _root) = start(&instance);
    let refused = outcome(&instance, &["dump"]);
    let text = "backup: error: no bin/mysqldump or bin/mariadb-dump in {dir}/home/mysql/install\n  next: \
                push a release with its programs ('repack' keeps them), or stop the service \
                ('dotcloud down') and copy its files\n";
    sandbox::assert_refused(&refused, "backup", text);
}

#[test]
fn damaged_copy_is_refused_and_nothing_touched() {
    let (_instance, copy) = cold_copy(Server::MariaDb);
    let other = home(Server::MariaDb);
    let before = other.sandbox.listing();
    let table = copy.join("data/mysqldb/shop/sale.ibd");
    let whole = fs::read(&table).unwrap();
    let mut flipped = whole.clone();
    flipped[30_000] ^= 1;
    for (content, problem) in [
        (
            &flipped[..],
            "is not what was copied: its SHA-256 is another".to_owned(),
        ),
        (
            &whole[..1000],
            format!("has 1000 bytes; when it was copied it had {}", whole.len()),
        ),
    ] {
        fs::write(&table, content).unwrap();
        for verb in ["place", "check"] {
            let refused = outcome(&other, &[verb, "--move", copy.to_str().unwrap()]);
            let text = format!(
                "backup: error: {} {problem}\n  next: take another copy: this one is not what was \
                 made, and nothing was done with it\n",
                table.display()
            );
            sandbox::assert_refused(&refused, "backup", &text);
            assert!(other.sandbox.listing() == before, "{verb}");
        }
    }
    fs::write(&table, &whole).unwrap();
    succeed(&other, &["place", "--move", copy.to_str().unwrap()]);
}

#[test]
fn copy_obeys_the_rules_of_an_upgrade() {
    let (_instance, copy) = cold_copy(Server::MariaDb);
    let copy = copy.to_str().unwrap();
    let family = home(Server::MySql9);
    let before = family.sandbox.listing();
    let refused = outcome(&family, &["place", copy]).stderr;
    let said = format!(
        "backup: error: the data directory {copy}/data/mysqldb is of MariaDB 10.11.19, and the server \
         is MySQL 9.7.4\n"
    );
    assert!(refused.contains(&said), "{refused}");
    assert!(family.sandbox.listing() == before);

    // By MariaDB's tool, in a home that is thrown away.
    let newer = home(Server::MariaDb11);
    let checked = succeed(&newer, &["check", copy]).stderr;
    assert!(
        checked.contains("MariaDB 11.8.9 started on it"),
        "{checked}"
    );

    // What its user's own files find is told at once.
    let doubtful = home(Server::MariaDb11);
    check_files(
        &doubtful,
        &[
            ("1.sql", "DELIMITER //\nSELECT id, note FROM shop.sale//\n"),
            ("2.sql", "DELETE FROM shop.sale; SELECT * FROM shop.gone;\n"),
            ("3.sql", "SELECT * FROM shop.sale;\n"),
        ],
    );
    let found = outcome(&doubtful, &["check", copy]);
    let said = "backup: error: check files found something: 1.sql, 2.sql\n  | 1.sql: 1\tit's \"ü\" \\\\ 密\n  \
                | 2.sql: ERROR 1146 (42S02) at line 1: Table 'shop.gone' doesn't exist\n  next: see why the \
                copy, on this release, is not as they want it, or correct them in hooks/check.d\n";
    assert!(found.stderr.ends_with(said), "{}", found.stderr);
    assert_eq!(found.code, Some(1));

    let occupied = service(Server::MariaDb);
    let before = world::listing(&occupied.home().join("data"));
    let refused = outcome(&occupied, &["place", copy]);
    let said = "backup: error: there is a database in {dir}/home/data/mysqldb already\n  next: \
                'dotcloud restore' moves it aside first; by hand: stop the service, move ~/data away\n";
    assert!(refused.stderr.ends_with(said), "{}", refused.stderr);
    assert!(world::listing(&occupied.home().join("data")) == before);
}

#[test]
fn memory_of_a_copy_is_bounded() {
    let (instance, copy) = cold_copy(Server::MySql56);
    // Sparse, as a large database might be; the digest reads every byte.
    let large = fs::File::create(instance.home().join("data/mysqldb/shop/large.bin")).unwrap();
    large.set_len(2 << 30).unwrap();
    instance.sandbox.hand_over();
    let again = copy.with_file_name("again");
    let mut limited = instance.sandbox.command(Path::new("/bin/sh"));
    limited
        .args(["-c", "ulimit -v 262144; exec \"$0\" take \"$1\"", BACKUP])
        .arg(&again);
    let status = limited.stderr(Stdio::null()).status();
    assert!(status.unwrap().success());
    let copied = again
        .join("data/mysqldb/shop/large.bin")
        .metadata()
        .unwrap();
    assert_eq!((copied.len(), copied.blocks() < 100), (2 << 30, true));
}

/// In a container with a read-only root, where the option file is in `~/mysql/run`; and the agent's account,
/// which is this service's own, is in no dump.
#[test]
fn take_and_dump_in_a_read_only_home() {
    let instance = home(Server::MariaDb);
    fs::write(instance.home().join("agent"), "").unwrap();
    let output = sandbox::in_sealed_home(
        &instance.home(),
        "$AS_USER \"$HOME/starttest\" 2>\"$HOME/data/said\" &\n\
         for i in $(seq 300); do [ -S \"$HOME/mysql/run/mysqld.sock\" ] && break; sleep 0.1; done\n\
         status=0\n\
         $AS_USER \"$HOME/backup\" take \"$HOME/data/copy\" || status=$?\n\
         $AS_USER \"$HOME/backup\" dump >\"$HOME/data/dump\" || status=$?\n\
         kill $!; wait $! || :\n\
         exit $status\n",
    )
    .env("PORT_TESTBEDDB", instance.port.to_string())
    .env("MYSQL_BIND_ADDRESS", "127.0.0.1")
    .env("MYSQL_USER", "app")
    .env("MYSQL_PASSWORD", "secret")
    .output()
    .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(method(&instance.home().join("data/copy")), "mariadb-backup");
    let dump = fs::read(instance.home().join("data/dump")).unwrap();
    let dump = String::from_utf8_lossy(&dump);
    assert!(dump.contains("CREATE USER IF NOT EXISTS `app`"), "{dump}");
    assert!(!dump.contains("dotcloud-agent"), "{dump}");
    assert!(instance.home().join("data/mysql-agent.cnf").exists());
}
