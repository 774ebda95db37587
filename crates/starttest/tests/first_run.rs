//! First-run files on real servers: the cases of the official images' suites that apply (C1 … H7, see
//! tests/README.md), and what is left when one fails.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod real;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use testbed::sandbox;

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
use real::{Instance, Server, builder, free_port, release, series};
use sandbox::{Sandbox, set_mode, wait_for};

const PASSWORD: &str = "it's known";

/// A container of a service with first-run files, and for MySQL 5.6, whose fixture has no client, a
/// release of its own with MariaDB's.
fn instance(server: Server, files: &[(&str, &[u8])]) -> Instance {
    let instance = Instance::new(server);
    instance.lend_client(server);
    for (name, content) in files {
        let name = format!("home/mysql/initdb.d/{name}");
        instance.sandbox.write(&name, content);
    }
    instance
}

fn hook(instance: &Instance, name: &str) -> Command {
    let mut command = instance.hook(name);
    command
        .env("MYSQL_ROOT_PASSWORD", PASSWORD)
        .env("MYSQL_DATABASE", "shop");
    command
}

fn gz(sql: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(sql.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn xz(sql: &str) -> Vec<u8> {
    let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(sql.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn sum(root: &mut Conn) -> u64 {
    root.query_first("SELECT SUM(i) FROM shop.t")
        .unwrap()
        .unwrap()
}

/// C1: all formats, in name order, once. C2: in `MYSQL_DATABASE`. H7: `source` and `\G` work.
#[test]
fn c1_c2_h7_files_of_every_format_run_in_order_once() {
    for server in series() {
        let zst = zstd::encode_all(&b"INSERT INTO t VALUES (300)"[..], 1).unwrap();
        let instance = instance(
            server,
            &[
                ("10-table.sql", b"CREATE TABLE t (i INT PRIMARY KEY);\n"),
                ("20-row.sql.gz", &gz("INSERT INTO t VALUES (20);\n")),
                ("30-row.sql.xz", &xz("INSERT INTO t VALUES (4)")),
                ("40-row.sql.zst", &zst),
                (
                    "50-client.sql",
                    b"DELIMITER //\nCREATE PROCEDURE p() BEGIN INSERT INTO t VALUES (5000); END//\n\
                      DELIMITER ;\nCALL p();\nSELECT * FROM t\\G\n\
                      source mysql/initdb.d/../more\n",
                ),
            ],
        );
        instance
            .sandbox
            .write("home/mysql/more", "INSERT INTO t VALUES (60000);\n");
        let running = instance.start(&mut hook(&instance, "starttest"));
        let mut root = instance.connect(PASSWORD);
        assert_eq!(sum(&mut root), 65_324, "{server:?}");
        root.query_drop("DELETE FROM shop.t WHERE i < 5000")
            .unwrap();
        running.signal("TERM");
        assert!(running.end().success());
        let running = instance.start(&mut hook(&instance, "starttest"));
        let mut root = instance.connect(PASSWORD);
        assert_eq!(sum(&mut root), 65_000, "{server:?}: once");
        drop(running);
    }
}

/// H1: an error in the second of three; after it is corrected all run, on a database begun anew.
/// C5: what is in is seen by the application's account through TCP.
#[test]
fn h1_c5_failing_file_is_told_with_its_line_and_the_next_start_begins_anew() {
    for server in series() {
        let files: [(&str, &[u8]); 3] = [
            (
                "1.sql",
                b"CREATE TABLE t (i INT);\nINSERT INTO t VALUES (1);\n",
            ),
            (
                "2.sql.gz",
                &gz("INSERT INTO t VALUES (20);\n\nINSERT INTO x VALUES (1);\n"),
            ),
            ("3.sql", b"INSERT INTO t VALUES (300);\n"),
        ];
        let instance = instance(server, &files);
        // What clients of the real server may have must not count.
        instance.sandbox.write(
            "home/mysql/my.cnf",
            "[client]\nhost = 127.0.0.1\nprotocol = tcp\n[mysql]\nforce\nuser = app\n",
        );
        let prepared = instance
            .sandbox
            .outcome(&mut hook(&instance, "postinstall"));
        let left = "- left the database to starttest, which runs the first-run files if it has \
                    none\n";
        assert!(prepared.stderr.ends_with(left), "{}", prepared.stderr);
        assert_eq!(prepared.code, Some(0));

        let failed = instance.sandbox.outcome(&mut hook(&instance, "starttest"));
        for line in [
            "starttest: error: the first-run file {dir}/home/mysql/initdb.d/2.sql.gz failed\n",
            "  | ERROR 1146 (42S02) at line 3: Table 'shop.x' doesn't exist\n",
            "  next: correct that file, push again: the database is begun anew, with all of them\n",
        ] {
            assert!(failed.stderr.contains(line), "{}", failed.stderr);
        }
        assert!(!failed.stderr.contains(PASSWORD), "{}", failed.stderr);
        assert_eq!(failed.code, Some(1));
        assert_no_database(&instance);

        instance.sandbox.write(
            "home/mysql/initdb.d/2.sql.gz",
            gz("INSERT INTO t VALUES (20);\n"),
        );
        let mut start = hook(&instance, "starttest");
        start.env("MYSQL_USER", "app").env("MYSQL_PASSWORD", "too");
        let running = instance.start(&mut start);
        assert_eq!(sum(&mut instance.connect(PASSWORD)), 321, "{server:?}");
        let app = OptsBuilder::new()
            .ip_or_hostname(Some("127.0.0.1"))
            .tcp_port(instance.port)
            .prefer_socket(false)
            .user(Some("app"))
            .pass(Some("too"));
        assert_eq!(sum(&mut Conn::new(app).unwrap()), 321, "{server:?}");
        drop(running);
    }
}

#[track_caller]
/// What my.cnf has for clients is for those of the real server: it neither keeps ours out nor changes
/// what a file means.
#[test]
fn options_of_clients_neither_stop_nor_change_a_file() {
    for server in series() {
        let sql =
            "CREATE TABLE t (s VARCHAR(9) CHARACTER SET utf8mb4);\nINSERT INTO t VALUES ('é😀');\n";
        let instance = instance(server, &[("1.sql", sql.as_bytes())]);
        let client = "loose-ssl-mode = VERIFY_CA\nloose-ssl-verify-server-cert\nssl-ca = /nowhere/ca.pem\n\
                      host = db.example.com\nuser = someone\npassword = wrong\n";
        let my_cnf = format!(
            "[mysqld]\n[client]\n{client}[mysql]\ndatabase = shop_development\ninit-command = 'SET \
             NAMES latin1'\nsafe-updates\nexecute = 'SELECT 1'\n[mariadb-client]\n{client}"
        );
        instance.sandbox.write("home/mysql/my.cnf", my_cnf);
        let running = instance.start(&mut hook(&instance, "starttest"));
        let mut root = instance.connect(PASSWORD);
        let stored: Option<String> = root.query_first("SELECT HEX(s) FROM shop.t").unwrap();
        assert_eq!(stored.as_deref(), Some("C3A9F09F9880"), "{server:?}");
        drop(running);
    }
}

fn assert_no_database(instance: &Instance) {
    for name in ["data/mysqldb", "data/mysqldb.initialising"] {
        assert!(!instance.home().join(name).exists(), "{name}");
    }
}

/// H3, H5: damaged or made unreadable after the build, which refuses such files.
#[test]
fn h3_h5_unreadable_file_is_refused_and_leaves_nothing() {
    let whole = gz("CREATE TABLE t (i INT);\n");
    let instance = instance(
        Server::MariaDb,
        &[
            ("1.sql", b"DO 1;\n"),
            ("2.sql.gz", &whole[..whole.len() - 4]),
        ],
    );
    let refused = |cause: &str| {
        let outcome = instance.sandbox.outcome(&mut hook(&instance, "starttest"));
        let end = format!(
            "starttest: error: cannot read the first-run file \
             {{dir}}/home/mysql/initdb.d/2.sql.gz\n  cause: {cause}\n  next: make it readable for \
             this user, or push it again: it may be damaged or cut short\n"
        );
        assert!(outcome.stderr.ends_with(&end), "{}", outcome.stderr);
        assert_eq!(outcome.code, Some(1));
        assert_no_database(&instance);
    };
    refused("unexpected end of file");
    set_mode(&instance.home().join("mysql/initdb.d/2.sql.gz"), 0);
    refused("permission denied (os error 13)");
}

/// While they run there is no way in, and a hook that is told to stop, or killed, takes the temporary
/// server along.
#[test]
fn g2_g3_stopped_or_killed_hook_leaves_no_server_and_no_database() {
    for server in series() {
        let endless = "CREATE TABLE t (i INT);\nDO SLEEP(3600);\n";
        let instance = instance(server, &[("1.sql", endless.as_bytes())]);
        for signal in ["TERM", "KILL"] {
            let starttest = instance.start(&mut hook(&instance, "starttest"));
            let table = |name: &str| {
                instance
                    .home()
                    .join("data/mysqldb.initialising/shop")
                    .join(name)
            };
            wait_for("the table", || {
                ["t.frm", "t.ibd"]
                    .into_iter()
                    .find(|name| table(name).exists())
            });
            assert!(TcpStream::connect(("127.0.0.1", instance.port)).is_err());
            assert!(!instance.home().join("mysql/run/mysqld.sock").exists());
            let lock = fs::File::open(instance.home().join("data/mysqldb.lock")).unwrap();
            lock.try_lock().unwrap_err();
            let begin = Instant::now();
            starttest.signal(signal);
            assert_eq!(
                starttest.end().signal(),
                Some(if signal == "TERM" { 15 } else { 9 })
            );
            assert!(begin.elapsed() < Duration::from_secs(10), "{server:?}");
            // The temporary server has it too.
            wait_for("the server's end", || lock.try_lock().ok());
            assert!(!instance.home().join("data/mysqldb").exists());
        }
        instance.sandbox.write(
            "home/mysql/initdb.d/1.sql",
            "CREATE TABLE t (i INT);\nINSERT INTO t VALUES (7);\n",
        );
        let running = instance.start(&mut hook(&instance, "starttest"));
        assert_eq!(sum(&mut instance.connect(PASSWORD)), 7, "{server:?}");
        assert!(!instance.home().join("data/mysqldb.initialising").exists());
        drop(running);
    }
}

/// G5: a temporary server that dies at once.
#[test]
fn g5_server_that_does_not_start_is_told_in_its_own_words() {
    let instance = instance(Server::MariaDb, &[("1.sql", b"DO 1;\n")]);
    instance.sandbox.write(
        "home/mysql/my.cnf",
        "[mysqld]\nloose-log-bin = /nowhere/binlog\n",
    );
    let outcome = instance.sandbox.outcome(&mut hook(&instance, "starttest"));
    for line in [
        "starttest: error: the temporary server did not start\n",
        "/nowhere/binlog",
        "  next: correct what it says, start again: nothing was left behind that counts\n",
    ] {
        assert!(outcome.stderr.contains(line), "{}", outcome.stderr);
    }
    assert_eq!(outcome.code, Some(1));
    assert_no_database(&instance);
}

/// Whose recipes have no tool that reads the machine's time zones.
const LACK_TZINFO: [Server; 3] = [Server::MySql56, Server::MySql57, Server::MariaDb114];

/// D5, D1: named time zones, also as the server's own, from the first start on.
#[test]
fn d5_d1_seed_has_time_zones_where_the_tarball_can_make_them() {
    for server in series() {
        let instance = Instance::new(server);
        let bin = instance.home().join("mysql/install/bin");
        let zones = ["mysql_tzinfo_to_sql", "mariadb-tzinfo-to-sql"]
            .iter()
            .any(|tool| bin.join(tool).exists());
        assert_eq!(zones, !LACK_TZINFO.contains(&server), "{server:?}");
        if zones {
            instance.sandbox.write(
                "home/mysql/my.cnf",
                "[mysqld]\ndefault-time-zone = Europe/Berlin\nsql-mode = ONLY_FULL_GROUP_BY\n\
                 log-bin = binlog\nserver-id = 1\n",
            );
        }
        let running = instance.start(&mut hook(&instance, "starttest"));
        let mut root = instance.connect(PASSWORD);
        let query = "SELECT CONVERT_TZ('2026-07-01 12:00:00', 'UTC', 'Asia/Tokyo')";
        let tokyo: Option<String> = root.query_first(query).unwrap().unwrap();
        assert_eq!(tokyo.is_some(), zones, "{server:?}");
        let names = time_zones(&mut root);
        assert_eq!(names > 300, zones, "{server:?}: {names}");
        // D4: neither they nor the accounts are in the binary log.
        if zones {
            let (_, position): (String, u64) = root
                .query_first::<mysql::Row, _>(BINLOG[usize::from(server == Server::MySql9)])
                .unwrap()
                .map(|mut row| (row.take(0).unwrap(), row.take(1).unwrap()))
                .unwrap();
            assert!(position < 500, "{server:?}: {position}");
        }
        drop(running);
    }
}

#[test]
fn d5_skipped_at_build_there_are_none() {
    let sandbox = Sandbox::new();
    let release = release(Server::MariaDb);
    let releases = sandbox.home().join("mysql/releases");
    fs::create_dir_all(&releases).unwrap();
    symlink(&release, releases.join(release.file_name().unwrap())).unwrap();
    sandbox.hand_over();
    let approot = Server::MariaDb.built_home().with_file_name("code");
    let mut builder = builder(&sandbox.home(), &approot.join("hooks"));
    builder
        .env("MARIADB_INITDB_SKIP_TZINFO", "1")
        .stderr(Stdio::piped());
    let built = sandbox.outcome(&mut builder);
    let line = "- no time zone tables, as MYSQL_INITDB_SKIP_TZINFO says\n";
    assert!(built.stderr.contains(line), "{}", built.stderr);
    let instance = Instance {
        sandbox,
        port: free_port(),
    };
    let running = instance.start(&mut hook(&instance, "starttest"));
    assert_eq!(time_zones(&mut instance.connect(PASSWORD)), 0);
    drop(running);
}

/// What each calls it.
const BINLOG: [&str; 2] = ["SHOW MASTER STATUS", "SHOW BINARY LOG STATUS"];

fn time_zones(root: &mut Conn) -> u64 {
    root.query_first("SELECT COUNT(*) FROM mysql.time_zone_name")
        .unwrap()
        .unwrap()
}
