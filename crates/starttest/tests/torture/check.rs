//! What must be so after whatever happened: a plain start succeeds, only root is let in and only with
//! the password, nothing half-made is left.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};

use crate::real::{Instance, Kind, Running, SERVERS, Server};
use crate::sandbox::wait_for;

pub(crate) const PASSWORD: &str = "it's known";

/// A hook that gives root [`PASSWORD`].
pub(crate) fn hook(instance: &Instance, name: &str) -> Command {
    let mut command = instance.hook(name);
    command
        .env("MYSQL_ROOT_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// With every server, at the same time: they mostly wait.
pub(crate) fn on_each(check: impl Fn(Server) + Sync) {
    std::thread::scope(|scope| {
        for server in SERVERS {
            let check = &check;
            scope.spawn(move || check(server));
        }
    });
}

/// How long starts may take altogether, the initialiser of a killed hook included.
const PATIENCE: Duration = Duration::from_mins(3);

/// Starts as supervisord would: again while an orphaned initialiser has the lock, for no other reason.
#[track_caller]
pub(crate) fn start(instance: &Instance) -> (Running, Conn) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut running = instance.start(&mut hook(instance, "starttest"));
        let (refused, root) = wait_for("an answer or a refusal", || {
            let refused = running.0.try_wait().unwrap().is_some();
            let root = instance.try_root(Some(PASSWORD));
            (refused || root.is_some()).then_some((refused, root))
        });
        if let Some(root) = root {
            return (running, root);
        }
        let said = said(instance);
        let held = refused && said.contains("is using the data directory (it holds ");
        assert!(held && Instant::now() < deadline, "{said}");
    }
}

fn said(instance: &Instance) -> String {
    ["starttest.log", "home/data/logs/error.log"]
        .map(|name| fs::read_to_string(instance.sandbox.path().join(name)).unwrap_or_default())
        .join("\n")
}

/// A plain start succeeds, and what it made is complete and secure. The server is still running.
#[track_caller]
pub(crate) fn start_and_check(server: Server, instance: &Instance) -> (Running, Conn) {
    let (running, mut root) = start(instance);
    assert_closed(instance);
    let count = |root: &mut Conn, what: &str| -> u64 {
        let query = format!("SELECT COUNT(*) FROM {what}");
        root.query_first(query).unwrap().unwrap()
    };
    assert_eq!(count(&mut root, "mysql.user WHERE User = ''"), 0);
    let test = "information_schema.schemata WHERE schema_name LIKE 'test%'";
    assert_eq!(count(&mut root, test), 0);
    let locked = match server.kind() {
        Kind::MariaDb => {
            "mysql.global_priv WHERE User = 'root' AND \
             JSON_VALUE(Priv, '$.authentication_string') NOT RLIKE '^\\\\*[0-9A-F]{40}$'"
        }
        Kind::MySql56 => "mysql.user WHERE NOT Password RLIKE '^\\\\*[0-9A-F]{40}$'",
        Kind::MySql57 | Kind::MySql8 => "mysql.user WHERE User = 'root' AND account_locked <> 'N'",
    };
    assert_eq!(count(&mut root, locked), 0, "every root has the password");
    if server == Server::MySql9 {
        let expires = "SHOW GLOBAL STATUS LIKE 'Ssl_server_not_after'";
        let (_, expires): (String, String) = root.query_first(expires).unwrap().unwrap();
        assert_ne!(expires, "", "TLS works");
    }
    assert_nothing_half_made(instance);
    (running, root)
}

/// Neither without a password nor with another one, nor as nobody, through TCP and the socket.
#[track_caller]
pub(crate) fn assert_closed(instance: &Instance) {
    let socket = instance.home().join("mysql/run/mysqld.sock");
    for (user, password) in [("root", None), ("root", Some("x")), ("", None)] {
        let options = OptsBuilder::new().user(Some(user)).pass(password);
        let tcp = options
            .clone()
            .ip_or_hostname(Some("127.0.0.1"))
            .tcp_port(instance.port)
            .prefer_socket(false);
        for options in [tcp, options.socket(socket.to_str())] {
            match Conn::new(options) {
                // Access denied; the account is locked.
                Err(mysql::Error::MySqlError(error)) if [1045, 3118].contains(&error.code) => {}
                // To unknown users MySQL 9 proposes any method, to hide that they are unknown.
                Err(mysql::Error::DriverError(_)) => {}
                other => panic!("'{user}' with {password:?}: {other:?}"),
            }
        }
    }
}

/// The names there may be while a server runs; all others are somebody's leftovers.
const KNOWN: [(&str, &[&str]); 5] = [
    (
        "",
        &[
            ".my.cnf",
            "data",
            "mysql",
            "postinstall",
            "profile",
            "starttest",
        ],
    ),
    (
        "mysql",
        &["install", "my.cnf", "my.cnf.accepted", "run", "seed", "tmp"],
    ),
    (
        "mysql/run",
        &["mysqld.pid", "mysqld.sock", "mysqld.sock.lock"],
    ),
    ("mysql/tmp", &[]),
    (
        "data",
        &["logs", "mysql-credentials.cnf", "mysqldb", "mysqldb.lock"],
    ),
];

#[track_caller]
fn assert_nothing_half_made(instance: &Instance) {
    for (directory, known) in KNOWN {
        let found = names(&instance.home().join(directory));
        let unknown: Vec<&String> = found
            .iter()
            .filter(|name| !known.contains(&name.as_str()))
            .collect();
        assert!(unknown.is_empty(), "in ~/{directory}: {unknown:?}");
    }
}

pub(crate) fn names(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
