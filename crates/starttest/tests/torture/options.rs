//! First starts under a my.cnf that gets in the way of careless SQL, of passwords, or of paths.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};

use crate::check::{PASSWORD, assert_closed, hook, on_each, start};
use crate::real::{Instance, Kind, Server};
use crate::sandbox::wait_for;

/// A container whose my.cnf says `options` too.
fn container(server: Server, options: &str) -> Instance {
    let instance = Instance::new(server);
    let path = instance.home().join("mysql/my.cnf");
    let my_cnf = fs::read_to_string(path).unwrap() + "\n[mysqld]\n" + options + "\n";
    instance.sandbox.write("home/mysql/my.cnf", my_cnf);
    instance
}

fn with_accounts(instance: &Instance) -> Command {
    let mut command = hook(instance, "starttest");
    command
        .env("MYSQL_DATABASE", "my_shop-1")
        .env("MYSQL_USER", "the app-1")
        .env("MYSQL_PASSWORD", PASSWORD);
    command
}

#[test]
fn d1_d2_d3_d4_d7_first_start_under_hostile_options_is_complete_and_not_in_the_binary_log() {
    on_each(|server| {
        let mut options = "default-time-zone = '+09:00'\nautocommit = 0\nlog-bin = binlog\n\
                           server-id = 7\ncharacter-set-server = latin1\n\
                           collation-server = latin1_german2_ci\nsql_mode = \
                           ANSI_QUOTES,NO_BACKSLASH_ESCAPES,ONLY_FULL_GROUP_BY,NO_ZERO_DATE"
            .to_owned();
        match server.kind() {
            Kind::MariaDb => options += "\nenforce-storage-engine = InnoDB",
            Kind::MySql8 => options += "\nrequire-secure-transport = 1",
            Kind::MySql56 | Kind::MySql57 => {}
        }
        let instance = container(server, &options);
        let running = instance.start(&mut with_accounts(&instance));
        let mut root = wait_for("root", || instance.try_root(Some(PASSWORD)));
        let collation: String = root
            .query_first(
                "SELECT default_collation_name FROM information_schema.schemata WHERE \
                          schema_name = 'my_shop-1'",
            )
            .unwrap()
            .unwrap();
        assert_eq!(collation, "latin1_german2_ci");
        let logs: Vec<mysql::Row> = root.query("SHOW BINARY LOGS").unwrap();
        for log in logs {
            let name: String = log.get(0).unwrap();
            let events: Vec<mysql::Row> = root
                .query(format!("SHOW BINLOG EVENTS IN '{name}'"))
                .unwrap();
            for event in events {
                let kind: String = event.get(2).unwrap();
                assert!(
                    !matches!(
                        kind.as_str(),
                        "Query" | "Write_rows" | "Update_rows" | "Gtid"
                    ),
                    "{server:?}: {event:?}"
                );
            }
        }
        let mut app = socket_login(&instance, "the app-1").unwrap();
        app.query_drop("CREATE TABLE `my_shop-1`.t (i INT)")
            .unwrap();
        app.query_drop("CREATE DATABASE `myxshop-1`").unwrap_err();
        running.signal("TERM");
        assert!(running.end().success(), "{server:?}");
        start(&instance);
    });
}

fn socket_login(instance: &Instance, user: &str) -> mysql::Result<Conn> {
    let socket = instance.home().join("mysql/run/mysqld.sock");
    let options = OptsBuilder::new().user(Some(user)).pass(Some(PASSWORD));
    Conn::new(options.socket(socket.to_str()))
}

/// What refuses a weak password. 5.6 and 5.7 come without.
fn password_policy(server: Server) -> Option<&'static str> {
    match server.kind() {
        Kind::MariaDb => Some("plugin-load-add = simple_password_check"),
        Kind::MySql8 => Some("plugin-load-add = validate_password.so"),
        Kind::MySql56 | Kind::MySql57 => None,
    }
}

#[test]
fn b5_random_password_passes_the_servers_policies() {
    on_each(|server| {
        let Some(policy) = password_policy(server) else {
            return;
        };
        let instance = container(server, policy);
        let _running = instance.start(&mut instance.hook("starttest"));
        wait_for("the credentials", || {
            let path = instance.home().join("data/mysql-credentials.cnf");
            path.exists().then_some(())
        });
        let password = instance.written_password();
        let mut root = instance.connect(&password);
        root.query_drop(format!("CREATE USER other IDENTIFIED BY '{password}'"))
            .unwrap();
        root.query_drop("CREATE USER weak IDENTIFIED BY 'weak'")
            .unwrap_err();
    });
}

/// A third road to the open door of other images: the statements that set the accounts fail.
#[test]
fn h1_accounts_that_the_server_refuses_fail_the_start_and_the_next_one_repairs_it() {
    on_each(|server| {
        // MySQL 5.6 refuses no account that we let through: the next test.
        let Some(policy) = password_policy(server) else {
            return;
        };
        let instance = container(server, policy);
        let mut refused = hook(&instance, "starttest");
        refused
            .env("MYSQL_USER", "app")
            .env("MYSQL_PASSWORD", "weak");
        let outcome = instance.sandbox.outcome(&mut refused);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert!(!instance.home().join("data/mysqldb").exists());
        let mut repaired = hook(&instance, "starttest");
        repaired
            .env("MYSQL_ROOT_PASSWORD", "Better-1")
            .env("MYSQL_USER", "app")
            .env("MYSQL_PASSWORD", "Better-2");
        let _running = instance.start(&mut repaired);
        let mut root = instance.connect("Better-1");
        let app: u64 = root
            .query_first("SELECT COUNT(*) FROM mysql.user WHERE User = 'app'")
            .unwrap()
            .unwrap();
        assert_eq!(app, 1, "{server:?}");
    });
}

#[test]
fn h1_name_that_is_too_long_for_mysql_5_6_is_refused_before_anything_is_made() {
    let instance = Instance::new(Server::MySql56);
    let mut refused = instance.hook("postinstall");
    refused
        .env("MYSQL_USER", "seventeen_letters")
        .env("MYSQL_PASSWORD", "known");
    let outcome = instance.sandbox.outcome(&mut refused);
    let error = "postinstall: error: the name in MYSQL_USER is longer than 16 characters, which is \
                 the most for MySQL 5.6.24\n  next: choose another one, push again\n";
    assert!(outcome.stderr.ends_with(error), "{}", outcome.stderr);
    assert!(!instance.home().join("data").exists());
}

/// Where other images' temporary servers are polled for half a minute and given up.
#[test]
fn g4_l3_slow_first_start_answers_nobody_before_it_is_done() {
    on_each(|server| {
        let instance = Instance::new(server);
        let file = instance
            .sandbox
            .write("home/mysql/slow.sql", "DO SLEEP(3);\n");
        let my_cnf = format!("[mysqld]\ninit-file = {}\n", file.display());
        instance.sandbox.write("home/mysql/my.cnf", my_cnf);
        let begin = Instant::now();
        let _running = instance.start(&mut hook(&instance, "starttest"));
        // Refuses root without a password all the while.
        instance.connect(PASSWORD);
        assert!(begin.elapsed() >= Duration::from_secs(3), "{server:?}");
        assert_closed(&instance);
    });
}

#[test]
fn d9_paths_with_blanks() {
    on_each(|server| {
        let instance = Instance::new(server);
        let data_dir = instance.home().join("data/my data");
        let options = format!("datadir = \"{}\"\nsocket = mysqld.sock", data_dir.display());
        let my_cnf = format!("[mysqld]\n{options}\n");
        instance.sandbox.write("home/mysql/my.cnf", my_cnf);
        let _running = instance.start(&mut hook(&instance, "starttest"));
        let socket = data_dir.join("mysqld.sock");
        let mut root = wait_for("root", || {
            let options = OptsBuilder::new().user(Some("root")).pass(Some(PASSWORD));
            Conn::new(options.socket(socket.to_str())).ok()
        });
        let found: String = root.query_first("SELECT @@datadir").unwrap().unwrap();
        assert_eq!(found.trim_end_matches('/'), data_dir.to_str().unwrap());
    });
}
