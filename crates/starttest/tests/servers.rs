//! builder, postinstall and starttest by hand, with real servers: what clients find, and what is
//! refused. Each test takes all servers that differ in the matter.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod real;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use testbed::sandbox;

use mysql::Conn;
use mysql::prelude::Queryable;
use real::{Instance, Kind, SERVERS, Server, builder, on_others, release, series};
use sandbox::mode;

/// Whatever a quoting mistake would stumble over.
const PASSWORD: &str = " it's \"q\" \\n #1; -- `x` %s $HOME ü€密 ";

fn lifecycle(server: Server) {
    let instance = Instance::new(server);
    let hook = |name: &str| {
        let mut command = instance.hook(name);
        command.env("MYSQL_ROOT_PASSWORD", PASSWORD);
        command
    };
    let first = instance.sandbox.outcome(&mut hook("postinstall"));
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    for name in [".my.cnf", "data/mysql-credentials.cnf"] {
        assert_eq!(mode(&instance.home().join(name)), 0o600, "{name}");
    }
    let before = listing(&instance);
    let second = instance.sandbox.outcome(&mut hook("postinstall"));
    assert!(
        second.stderr.contains("- kept the data directory"),
        "{}",
        second.stderr
    );
    assert_eq!(listing(&instance), before);

    let running = instance.start(&mut hook("starttest"));
    let mut root = instance.connect(PASSWORD);
    check_accounts(server, &mut root);
    let port: u16 = root.query_first("SELECT @@port").unwrap().unwrap();
    assert_eq!(port, instance.port);
    let tmpdir: String = root.query_first("SELECT @@tmpdir").unwrap().unwrap();
    assert_eq!(tmpdir, instance.home().join("mysql/tmp").to_str().unwrap());
    root.query_drop("CREATE DATABASE d").unwrap();
    root.query_drop("CREATE TABLE d.t (i INT) ENGINE=InnoDB")
        .unwrap();
    root.query_drop("INSERT INTO d.t VALUES (1), (2), (3)")
        .unwrap();
    check_own_client(server, &instance);
    let pid: String = fs::read_to_string(instance.home().join("mysql/run/mysqld.pid")).unwrap();
    assert_eq!(
        pid.trim(),
        running.0.id().to_string(),
        "the hook's own process"
    );
    running.signal("TERM");
    let status = running.end();
    let log = fs::read_to_string(instance.home().join("data/logs/error.log")).unwrap();
    assert!(status.success(), "{status:?}\n{log}");
    let last = log.to_lowercase();
    assert!(last.contains("shutdown complete"), "{log}");

    let running = instance.start(&mut hook("starttest"));
    let mut root = instance.connect(PASSWORD);
    let rows: u64 = root
        .query_first("SELECT COUNT(*) FROM d.t")
        .unwrap()
        .unwrap();
    assert_eq!(rows, 3);
    drop(running);
    let running = instance.start(&mut hook("starttest"));
    let mut root = instance.connect(PASSWORD);
    let rows: u64 = root
        .query_first("SELECT COUNT(*) FROM d.t")
        .unwrap()
        .unwrap();
    assert_eq!(rows, 3, "after kill -9");
    drop(running);
}

/// Everything but the lock, in which the last holder's pid stays; and the option file, if it has to say how
/// many undo tablespaces there are from the second time on.
fn listing(instance: &Instance) -> Vec<String> {
    let mut listing = instance.sandbox.listing();
    listing.retain(|line| !line.contains("mysqldb.lock"));
    if instance.home().join("data/mysqldb/undo001").exists() {
        listing.retain(|line| !line.contains("home/.my.cnf"));
    }
    listing
}

/// Nobody but root, and nobody without a password.
fn check_accounts(server: Server, root: &mut Conn) {
    let (query, expected): (&str, &[&str]) = match server.kind() {
        Kind::MariaDb => (
            "SELECT CONCAT(User, '@', Host, ' ', JSON_VALUE(priv, '$.authentication_string') <> '' \
             OR COALESCE(JSON_VALUE(priv, '$.account_locked'), 0)) FROM mysql.global_priv",
            &[
                "mariadb.sys@localhost 1",
                "root@127.0.0.1 1",
                "root@::1 1",
                "root@localhost 1",
            ],
        ),
        Kind::MySql56 => (
            "SELECT CONCAT(User, '@', Host, ' ', Password <> '') FROM mysql.user",
            &[
                "root@127.0.0.1 1",
                "root@::1 1",
                "root@app-default-testbed-0 1",
                "root@localhost 1",
            ],
        ),
        Kind::MySql57 => (
            "SELECT CONCAT(User, '@', Host, ' ', authentication_string <> '') FROM mysql.user",
            &[
                "mysql.session@localhost 1",
                "mysql.sys@localhost 1",
                "root@localhost 1",
            ],
        ),
        Kind::MySql8 => (
            "SELECT CONCAT(User, '@', Host, ' ', authentication_string <> '') FROM mysql.user",
            &[
                "mysql.infoschema@localhost 1",
                "mysql.session@localhost 1",
                "mysql.sys@localhost 1",
                "root@localhost 1",
            ],
        ),
    };
    let mut accounts: Vec<String> = root.query(query).unwrap();
    // Old releases have an order of their own.
    accounts.sort();
    assert_eq!(accounts, expected, "{server:?}");
    let databases: Vec<String> = root.query("SHOW DATABASES").unwrap();
    assert!(!databases.contains(&"test".to_owned()), "{databases:?}");
}

/// The server's own client gets in with ~/.my.cnf alone.
fn check_own_client(server: Server, instance: &Instance) {
    let client = ["bin/mariadb", "bin/mysql"]
        .map(|name| release(server).join(name))
        .into_iter()
        .find(|client| client.exists());
    // Some tarballs have none.
    let Some(client) = client else { return };
    let option_file = format!("--defaults-file={}/.my.cnf", instance.home().display());
    let mut client = instance.sandbox.command(&client);
    // Without a locale: text is UTF-8 all the same.
    let query = "SELECT CURRENT_USER(), HEX('é😀')";
    mycnf::lend_libraries(&mut client, None);
    client.args([&option_file, "-N", "-e", query]);
    let outcome = instance.sandbox.outcome(&mut client);
    let answer = "root@localhost\tC3A9F09F9880\n";
    assert_eq!(outcome.stdout, answer, "{}", outcome.stderr);
}

#[test]
fn b1_b2_e2_e3_mariadb_lives_through_its_life() {
    lifecycle(Server::MariaDb);
}

#[test]
fn b1_b2_e2_e3_mysql_5_6_lives_through_its_life() {
    lifecycle(Server::MySql56);
}

#[test]
fn b1_b2_e2_e3_mysql_9_lives_through_its_life() {
    lifecycle(Server::MySql9);
}

#[test]
fn b1_b2_e2_e3_every_other_series_lives_through_its_life() {
    on_others(lifecycle);
}

#[test]
fn second_build_changes_nothing() {
    for server in series() {
        let home = server.built_home();
        let built = || {
            // Not by content: a release has hundreds of megabytes.
            let mut find = Command::new("find");
            find.arg(home).args(["-printf", "%p %m %s %l\\n"]);
            let text = String::from_utf8(find.output().unwrap().stdout).unwrap();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let (before, release) = (built(), fs::metadata(release(server)).unwrap().ino());
        let approot = home.with_file_name("code").join("hooks");
        assert!(builder(home, &approot).status().unwrap().success());
        assert_eq!(built(), before);
        assert_eq!(fs::metadata(real::release(server)).unwrap().ino(), release);
    }
}

/// Cases F4, F5, K4, K5 and K6 of the entrypoints' catalogue.
#[test]
fn k6_data_of_another_server_is_refused_untouched() {
    for made_by in SERVERS {
        let instance = Instance::new(made_by);
        let made = instance.sandbox.outcome(&mut instance.hook("postinstall"));
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        for other in SERVERS.into_iter().filter(|server| *server != made_by) {
            instance.install(other);
            let before = listing(&instance);
            let outcome = instance.sandbox.outcome(&mut instance.hook("starttest"));
            let (found, pushed) = (made_by.title(), other.title());
            let (problem, next) = match (made_by, other) {
                (Server::MySql56, Server::MySql9) => (
                    format!(", which is too old for the server, {pushed}"),
                    "push the newest MySQL 5.7, 8.0, 8.4, one after the other, each until it answers, \
                     then this one"
                        .to_owned(),
                ),
                (Server::MySql9, Server::MySql56) => (
                    format!(", which is newer than the server, {pushed}"),
                    format!("push the tarball of {found} or newer"),
                ),
                _ => {
                    let (series, _) = found.rsplit_once('.').unwrap();
                    (
                        format!(", and the server is {pushed}"),
                        format!("push {series} again, and move the data with a dump"),
                    )
                }
            };
            let error = format!(
                "starttest: error: the data directory {{dir}}/home/data/mysqldb is of {found}\
                 {problem}\n  next: the data is untouched: {next}\n"
            );
            assert!(outcome.stderr.ends_with(&error), "{}", outcome.stderr);
            assert_eq!(outcome.code, Some(1));
            assert_eq!(listing(&instance), before);
        }
    }
}

#[test]
fn k7_unknown_option_is_told_in_the_servers_own_words_and_nothing_is_initialised() {
    for server in SERVERS {
        let instance = Instance::new(server);
        let my_cnf = "home/mysql/my.cnf";
        instance
            .sandbox
            .write(my_cnf, "[mysqld]\nmax-conections = 10\n");
        let outcome = instance.sandbox.outcome(&mut instance.hook("postinstall"));
        let error = match server {
            Server::MySql9 => "postinstall: error: the server does not accept the option file\n",
            _ => "postinstall: error: the server could not initialise its data directory\n",
        };
        assert!(outcome.stderr.contains(error), "{}", outcome.stderr);
        let said = outcome.stderr.to_lowercase();
        assert!(
            said.contains("unknown variable 'max-conections=10'"),
            "{}",
            outcome.stderr
        );
        assert_eq!(outcome.code, Some(1));
        for name in [
            "data/mysqldb",
            "data/mysqldb.initialising",
            "mysql/tmp/options",
        ] {
            assert!(!instance.home().join(name).exists(), "{name}");
        }
    }
}

/// What the server could only say at its start, when the old instance is gone.
#[test]
fn k7_what_would_stop_the_server_is_refused_while_nothing_is_made() {
    let collation = "character_set_server=utf8mb4\ncollation_server=utf8_general_ci";
    let cases = [
        (collation, "collation 'utf8"),
        (
            "log_bin=/nowhere/binlog",
            "there is no directory /nowhere\n",
        ),
        (
            "tmpdir=/nowhere",
            "my.cnf line 2: tmpdir is /nowhere, which is not there\n",
        ),
        (
            "default_time_zone=Europe/Berlni",
            "line 2: default-time-zone is Europe/Berlni, ",
        ),
        ("bind_address=192.0.2.1", "nothing can listen there\n"),
    ];
    for server in SERVERS {
        for (options, text) in cases {
            let instance = Instance::new(server);
            instance
                .sandbox
                .write("home/mysql/my.cnf", format!("[mysqld]\n{options}\n"));
            let mut hook = instance.hook("postinstall");
            let outcome = instance.sandbox.outcome(hook.env("MYSQL_BIND_ADDRESS", ""));
            assert_eq!(outcome.code, Some(1), "{server:?} {options}");
            let said = outcome.stderr.to_lowercase();
            assert!(said.contains(&text.to_lowercase()), "{}", outcome.stderr);
            assert!(!instance.home().join("data/mysqldb").exists(), "{options}");
        }
    }
}

/// Without a seed (my.cnf includes files) the tables are filled as well.
#[test]
fn d5_named_time_zone_without_a_seed() {
    // MySQL 5.6's fixture cannot read zone files.
    for server in [Server::MariaDb, Server::MySql9] {
        let instance = Instance::new(server);
        let conf_d = instance.home().join("conf.d");
        fs::create_dir(&conf_d).unwrap();
        let my_cnf = format!(
            "[mysqld]\ndefault_time_zone=Europe/Berlin\n!includedir {}\n",
            conf_d.display()
        );
        instance.sandbox.write("home/mysql/my.cnf", my_cnf);
        let mut hook = instance.hook("starttest");
        let running = instance.start(hook.env("MYSQL_ROOT_PASSWORD", PASSWORD));
        let mut root = instance.connect(PASSWORD);
        let zone: Option<String> = root.query_first("SELECT @@time_zone").unwrap();
        assert_eq!(zone.as_deref(), Some("Europe/Berlin"), "{server:?}");
        drop(running);
    }
}

/// `RESTART` as under the vendor's own supervisor, and what it is used with: settings that are persisted.
#[test]
fn restart_and_persisted_settings_work_and_what_cannot_fit_is_refused() {
    let instance = Instance::new(Server::MySql9);
    let hook = |name: &str, memory: &str| {
        let mut command = instance.hook(name);
        command
            .env("MYSQL_ROOT_PASSWORD", PASSWORD)
            .env("MYSQL_MEMORY", memory);
        command
    };
    let running = instance.start(&mut hook("starttest", "1G"));
    let mut root = instance.connect(PASSWORD);
    root.query_drop("SET PERSIST_ONLY innodb_buffer_pool_size=1073741824")
        .unwrap();
    root.query_drop("SET PERSIST max_connections=77").unwrap();
    // The answer is lost with the server.
    let _ = root.query_drop("RESTART");
    assert_eq!(
        running.end().code(),
        Some(16),
        "for whoever starts it again"
    );

    for (name, memory) in [("postinstall", "256M"), ("starttest", "1G")] {
        let refused = instance.sandbox.outcome(&mut hook(name, memory));
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        let advice = "innodb-buffer-pool-size, max-connections are persisted: \
                      persisted_globals_load=OFF in my.cnf starts without, RESET PERSIST takes them back";
        assert!(refused.stderr.contains(advice), "{}", refused.stderr);
    }
    let running = instance.start(&mut hook("starttest", "2G"));
    let mut root = instance.connect(PASSWORD);
    let pool: Option<u64> = root
        .query_first("SELECT @@innodb_buffer_pool_size")
        .unwrap();
    assert_eq!(pool, Some(1 << 30));
    let log = fs::read_to_string(instance.sandbox.path().join("starttest.log")).unwrap();
    let told = format!(
        "  - innodb-buffer-pool-size = 1073741824 (by SET PERSIST, from {}/data/mysqldb/mysqld-auto.cnf)\n",
        instance.home().display()
    );
    assert!(log.contains(&told), "{log}");
    drop(running);

    let my_cnf = "[mysqld]\npersisted_globals_load=OFF\n";
    instance.sandbox.write("home/mysql/my.cnf", my_cnf);
    let running = instance.start(&mut hook("starttest", "256M"));
    let mut root = instance.connect(PASSWORD);
    let most: Option<u64> = root.query_first("SELECT @@max_connections").unwrap();
    assert_ne!(most, Some(77));
    drop(running);

    let auto = "home/data/mysqldb/mysqld-auto.cnf";
    instance.sandbox.write(auto, "{\"Version\": 2, ");
    instance.sandbox.write("home/mysql/my.cnf", "[mysqld]\n");
    let refused = instance.sandbox.outcome(&mut hook("starttest", "1G"));
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let error =
        "/mysqld-auto.cnf, which SET PERSIST writes, is damaged\n  next: move it out of the";
    assert!(refused.stderr.contains(error), "{}", refused.stderr);
}

/// Of queries beside each other some failed with ERROR 1146, once the memory of all temporary tables was used up.
#[test]
fn temporary_tables_of_many_clients_are_found() {
    const QUERY: &str = "WITH RECURSIVE n AS (SELECT 1 i, REPEAT('x', 200) s UNION ALL SELECT i + 1, s FROM n \
                         WHERE i < 60000) SELECT COUNT(*) FROM n";
    let instance = Instance::new(Server::MySql9);
    let mut starttest = instance.hook("starttest");
    starttest.env("MYSQL_ROOT_PASSWORD", PASSWORD);
    starttest.env("MYSQL_MEMORY", "256M");
    let running = instance.start(&mut starttest);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            let mut client = instance.connect(PASSWORD);
            scope.spawn(move || {
                client
                    .query_drop("SET cte_max_recursion_depth = 1000000")
                    .unwrap();
                let rows: Option<u64> = client.query_first(QUERY).unwrap();
                assert_eq!(rows, Some(60_000));
            });
        }
    });
    running.signal("TERM");
    assert!(running.end().success());
}
