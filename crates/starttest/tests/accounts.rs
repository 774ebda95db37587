//! Who may log in, whatever my.cnf and an adopted database bring along: a refusal is a failed start, no
//! option changes what the accounts' SQL does, no log gets a password.

mod real;

use std::fs;
use std::process::Command;
use testbed::sandbox;

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
use real::{Instance, Kind, Running, Server};
use sandbox::{Outcome, walk};

const PASSWORD: &str = "Geheim-99-geheim";
const APP_PASSWORD: &str = "AppGeheim-7-app";

fn instance(server: Server, options: &str) -> Instance {
    let instance = Instance::new(server);
    configure(&instance, options);
    instance
}

fn configure(instance: &Instance, options: &str) {
    let text = format!("[mysqld]\n{options}\n");
    instance.sandbox.write("home/mysql/my.cnf", text);
}

fn start(instance: &Instance, root: Option<&str>, app: Option<&str>) -> Command {
    let mut command = instance.hook("starttest");
    if let Some(password) = root {
        command.env("MYSQL_ROOT_PASSWORD", password);
    }
    if let Some(password) = app {
        command
            .env("MYSQL_DATABASE", "my_shop")
            .env("MYSQL_USER", "app")
            .env("MYSQL_PASSWORD", password);
    }
    command
}

fn login(instance: &Instance, user: &str, password: &str) -> Result<Conn, mysql::Error> {
    let socket = instance.home().join("mysql/run/mysqld.sock");
    Conn::new(
        OptsBuilder::new()
            .user(Some(user))
            .pass(Some(password))
            .socket(socket.to_str()),
    )
}

fn stop(running: Running) {
    running.signal("TERM");
    assert!(running.end().success());
}

#[track_caller]
fn assert_failed(outcome: &Outcome, lines: &[&str]) {
    for line in lines {
        assert!(outcome.stderr.contains(line), "{line}: {}", outcome.stderr);
    }
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
}

/// A policy that each has, and how it says so.
fn policy(server: Server) -> (&'static str, &'static str) {
    match server.kind() {
        Kind::MariaDb => (
            "plugin-load-add = simple_password_check",
            "1819  Your password does not satisfy the current policy requirements",
        ),
        Kind::MySql56 | Kind::MySql57 | Kind::MySql8 => (
            "plugin-load-add = validate_password.so",
            "1819  Your password does not satisfy the current policy requirements",
        ),
    }
}

#[test]
fn refused_first_start_fails_and_leaves_nothing() {
    // The fixture of MySQL 5.6 has no policy.
    for server in [Server::MariaDb, Server::MySql9] {
        let (options, said) = policy(server);
        let instance = instance(server, options);
        let refused = "the server refuses the accounts as they are asked for\n";
        let next = "  next: choose a MYSQL_ROOT_PASSWORD and a MYSQL_PASSWORD that its policy \
                    allows, or change the policy's options in my.cnf, push again: nothing was \
                    left behind\n";
        // Already before the old instance is stopped.
        for hook in ["postinstall", "starttest"] {
            let mut command = instance.hook(hook);
            command
                .env("MYSQL_ROOT_PASSWORD", PASSWORD)
                .env("MYSQL_USER", "app")
                .env("MYSQL_PASSWORD", "app");
            let outcome = instance.sandbox.outcome(&mut command);
            assert_failed(&outcome, &[refused, said, next]);
            assert!(!instance.home().join("data/mysqldb").exists());
        }
        let running = instance.start(&mut start(&instance, Some(PASSWORD), Some(APP_PASSWORD)));
        instance.connect(PASSWORD);
        login(&instance, "app", APP_PASSWORD).unwrap();
        drop(running);
    }
}

#[test]
fn refused_new_password_leaves_the_old_one_valid_and_known() {
    let server = Server::MySql9;
    let instance = instance(server, "");
    let running = instance.start(&mut start(&instance, None, None));
    let random = {
        let path = instance.home().join("data/mysql-credentials.cnf");
        sandbox::wait_for("the credentials", || fs::metadata(&path).ok());
        instance.written_password()
    };
    instance.connect(&random);
    stop(running);
    configure(&instance, policy(server).0);
    let refused = instance
        .sandbox
        .outcome(&mut start(&instance, Some("weak"), None));
    let next = "start again: root's password stays the one in ~/data/mysql-credentials.cnf\n";
    assert_failed(&refused, &[policy(server).1, next]);
    assert_eq!(instance.written_password(), random);
    let running = instance.start(&mut start(&instance, None, None));
    instance.connect(&random);
    stop(running);
    let running = instance.start(&mut start(&instance, Some(PASSWORD), None));
    instance.connect(PASSWORD);
    assert_eq!(instance.written_password(), PASSWORD);
    assert!(instance.try_root(Some(&random)).is_none());
    drop(running);
}

/// A policy came after the password, which the environment still has: it is no reason not to serve.
#[test]
fn unchanged_weak_password_of_the_account_stops_no_start() {
    let altering = "1396  Operation ALTER USER failed";
    for (server, refusal) in [
        (Server::MySql9, policy(Server::MySql9).1),
        (Server::MariaDb, altering),
    ] {
        let instance = instance(server, "");
        let running = instance.start(&mut start(&instance, Some(PASSWORD), Some("app")));
        instance.connect(PASSWORD);
        login(&instance, "app", "app").unwrap();
        stop(running);
        configure(&instance, policy(server).0);
        for _ in 0..2 {
            let running = instance.start(&mut start(&instance, Some(PASSWORD), Some("app")));
            instance.connect(PASSWORD);
            login(&instance, "app", "app").unwrap();
            stop(running);
            let said = fs::read_to_string(instance.sandbox.path().join("starttest.log")).unwrap();
            let warning = said.lines().find(|line| {
                line.starts_with(
                    "- warning: the server refuses MYSQL_DATABASE, MYSQL_USER or MYSQL_ROOT_HOST as \
                     they are asked for, and the database goes on without: ",
                )
            });
            assert!(warning.unwrap().contains(refusal), "{said}");
        }
        // What is new has to be accepted, whatever else is refused. (MariaDB's root is no matter of its
        // policies.)
        if server == Server::MySql9 {
            let mut command = start(&instance, Some("weak"), Some("app"));
            assert_failed(&instance.sandbox.outcome(&mut command), &[refusal]);
        }
        let running = instance.start(&mut start(
            &instance,
            Some("Another-Password-2"),
            Some("app"),
        ));
        instance.connect("Another-Password-2");
        drop(running);
    }
}

/// What an option file can preset, each with the servers that know it.
const PRESET: [(&str, &[Server]); 22] = [
    ("max_prepared_stmt_count = 0", &ALL),
    (
        "sql_mode = ANSI_QUOTES,NO_BACKSLASH_ESCAPES,TRADITIONAL",
        &ALL,
    ),
    ("completion_type = RELEASE", &ALL),
    ("autocommit = 0", &ALL),
    ("init_connect = 'SET NAMES latin1'", &ALL),
    ("character_set_server = utf16", &ALL),
    ("general_log = 1", &ALL),
    ("slow_query_log = 1", &ALL),
    ("long_query_time = 0", &ALL),
    ("log_queries_not_using_indexes = 1", &ALL),
    ("log_output = FILE,TABLE", &ALL),
    ("log_bin = binlog", &ALL),
    ("server_id = 7", &ALL),
    ("read_only = 1", &ALL),
    ("event_scheduler = ON", &ALL),
    (
        "old_passwords = 1",
        &[Server::MySql56, Server::MariaDb, Server::MariaDb11],
    ),
    ("super_read_only = 1", &[Server::MySql9]),
    ("transaction_read_only = 1", &[Server::MySql9]),
    ("password_history = 5", &[Server::MySql9]),
    ("partial_revokes = ON", &[Server::MySql9]),
    (
        "max_statement_time = 0.001",
        &[Server::MariaDb, Server::MariaDb11],
    ),
    ("sql_safe_updates = 1", &[Server::MariaDb11]),
];

const ALL: [Server; 4] = [
    Server::MariaDb,
    Server::MySql56,
    Server::MySql9,
    Server::MariaDb11,
];

fn preset(server: Server) -> String {
    let known = PRESET
        .iter()
        .filter(|(_, servers)| servers.contains(&server));
    let lines: Vec<&str> = known.map(|(option, _)| *option).collect();
    lines.join("\n")
}

#[test]
fn preset_options_change_nothing_and_no_log_gets_a_password() {
    for server in ALL {
        let instance = instance(server, &preset(server));
        let own = instance
            .sandbox
            .write("home/own.sql", "SET @@GLOBAL.max_connect_errors = 4711;\n");
        let options = format!("{}\ninit_file = {}", preset(server), own.display());
        configure(&instance, &options);
        for _ in 0..3 {
            let running = instance.start(&mut start(&instance, Some(PASSWORD), Some(APP_PASSWORD)));
            let mut root = instance.connect(PASSWORD);
            let set: Option<u32> = root.query_first("SELECT @@max_connect_errors").unwrap();
            assert_eq!(set, Some(4711), "{server:?}: the user's init-file");
            drop(root);
            let mut app = login(&instance, "app", APP_PASSWORD).unwrap();
            app.query_drop("USE my_shop").unwrap();
            stop(running);
        }
        for path in walk(&instance.home().join("data")) {
            if !path.is_file() || path.ends_with("mysql-credentials.cnf") {
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            for secret in [PASSWORD, APP_PASSWORD] {
                let found = bytes
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes());
                assert!(!found, "{server:?}: a password in {}", path.display());
            }
        }
    }
}

/// Accounts of an adopted database, by what makes them.
fn adopted_roots(server: Server) -> Vec<&'static str> {
    match server.kind() {
        Kind::MySql57 | Kind::MySql8 => vec![
            "CREATE USER root@'%' IDENTIFIED BY ''",
            "CREATE USER root@'10.0.0.%' IDENTIFIED WITH mysql_no_login",
            "CREATE USER root@'127.0.0.1' IDENTIFIED BY 'another'",
            "ALTER USER root@localhost IDENTIFIED WITH auth_socket",
        ],
        Kind::MySql56 => vec![
            "GRANT ALL ON *.* TO root@'%'",
            "GRANT ALL ON *.* TO root@'10.0.0.%' IDENTIFIED BY 'another'",
        ],
        Kind::MariaDb => vec![
            "CREATE USER root@'%' IDENTIFIED BY ''",
            "CREATE USER root@'10.0.0.%' IDENTIFIED VIA mysql_native_password USING '' OR \
             unix_socket",
            "ALTER USER root@localhost IDENTIFIED VIA unix_socket",
        ],
    }
}

#[test]
fn root_password_is_given_to_every_root() {
    for server in ALL {
        let options = match server {
            Server::MySql9 => "plugin-load-add=auth_socket.so\nplugin-load-add=mysql_no_login.so",
            _ => "",
        };
        let instance = instance(server, options);
        let running = instance.start(&mut start(&instance, Some("first"), None));
        let mut root = instance.connect("first");
        for statement in adopted_roots(server) {
            root.query_drop(statement).unwrap();
        }
        drop(root);
        stop(running);
        fs::remove_file(instance.home().join("data/mysql-credentials.cnf")).unwrap();

        let running = instance.start(&mut start(&instance, Some(PASSWORD), None));
        let mut root = instance.connect(PASSWORD);
        let open = match server.kind() {
            Kind::MySql57 | Kind::MySql8 => {
                "SELECT Host FROM mysql.user WHERE User='root' AND (authentication_string='' OR \
                 plugin<>'caching_sha2_password')"
            }
            Kind::MySql56 => {
                "SELECT Host FROM mysql.user WHERE User='root' AND \
                 Password<>(SELECT Password FROM mysql.user WHERE User='root' AND Host='localhost')"
            }
            Kind::MariaDb => {
                "SELECT Host FROM mysql.global_priv WHERE User='root' AND (JSON_EXISTS(Priv, \
                 '$.auth_or') OR JSON_VALUE(Priv, '$.authentication_string')<>(SELECT \
                 JSON_VALUE(Priv, '$.authentication_string') FROM mysql.global_priv WHERE \
                 User='root' AND Host='localhost'))"
            }
        };
        let open: Vec<String> = root.query(open).unwrap();
        assert_eq!(open, [""; 0], "{server:?}");
        assert!(instance.try_root(None).is_none());
        drop(running);
    }
}
