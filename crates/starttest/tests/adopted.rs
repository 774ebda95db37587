//! Data directories that this project did not make: those of the earlier recipe, with the vendor's
//! accounts, root without a password and logs/ inside. They start, and say what to do about that.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod real;

use std::fs;
use std::process::{Command, Stdio};
use testbed::sandbox;

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
use real::{Instance, Kind, Running, SERVERS, Server, release, series};
use sandbox::wait_for;

/// The server's or the initialiser's own command, as the recipe called it.
fn vendors(instance: &Instance, server: Server, program: &str) -> Command {
    let basedir = release(server);
    let mut command = instance.sandbox.command(&basedir.join(program));
    command
        .env("PATH", "/usr/bin:/bin")
        .arg("--no-defaults")
        .arg(format!("--basedir={}", basedir.display()))
        .arg(format!(
            "--datadir={}/data/mysqldb",
            instance.home().display()
        ))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// What the release's own initialiser makes.
fn initialise(instance: &Instance, server: Server) {
    let data_dir = instance.home().join("data/mysqldb");
    fs::create_dir_all(data_dir.join("mysql")).unwrap();
    instance.sandbox.hand_over();
    let mut command = if matches!(server.kind(), Kind::MySql57 | Kind::MySql8) {
        fs::remove_dir(data_dir.join("mysql")).unwrap();
        let mut command = vendors(instance, server, "bin/mysqld");
        command.arg("--initialize-insecure");
        command
    } else if server.kind() == Kind::MySql56 {
        let mut sql = b"USE mysql;\n".to_vec();
        for name in ["tables", "tables_data"] {
            let file = release(server).join(format!("share/mysql_system_{name}.sql"));
            sql.extend(fs::read(file).unwrap());
        }
        let sql = instance.sandbox.write("system.sql", sql);
        let mut command = vendors(instance, server, "bin/mysqld");
        command
            .arg("--bootstrap")
            .stdin(fs::File::open(sql).unwrap());
        command
    } else {
        fs::remove_dir(data_dir.join("mysql")).unwrap();
        let mut command = vendors(instance, server, "scripts/mariadb-install-db");
        command.arg("--auth-root-authentication-method=normal");
        command
    };
    assert!(command.status().unwrap().success());
    fs::create_dir(data_dir.join("logs")).unwrap();
    instance
        .sandbox
        .write("home/data/mysqldb/logs/error.log", "of then\n");
}

fn without_password(instance: &Instance) -> Conn {
    wait_for("the server", || instance.try_root(None))
}

/// Rows, as the recipe's user made them, and a stop or not.
fn fill(instance: &Instance, server: Server) {
    let socket = instance.sandbox.path().join("home/then.sock");
    let mut command = vendors(instance, server, "bin/mysqld");
    command
        .arg("--skip-networking")
        .arg(format!("--socket={}", socket.display()));
    let running = Running(command.spawn().unwrap());
    let mut root = wait_for("the server", || {
        let options = OptsBuilder::new()
            .user(Some("root"))
            .socket(socket.to_str());
        Conn::new(options).ok()
    });
    root.query_drop("CREATE DATABASE shop").unwrap();
    root.query_drop("CREATE TABLE shop.t (i INT) ENGINE=InnoDB")
        .unwrap();
    root.query_drop("INSERT INTO shop.t VALUES (1), (2), (3)")
        .unwrap();
    drop(root);
    running.signal("TERM");
    assert!(running.end().success());
}

/// The recipe knew those that `mysql_install_db` makes; `make torture` takes every other.
fn adopted() -> Vec<Server> {
    let earlier = |server: &Server| *server != Server::MySql9 || others_are_tried();
    series().into_iter().filter(earlier).collect()
}

fn others_are_tried() -> bool {
    series().len() > SERVERS.len()
}

#[test]
fn earlier_recipes_data_directory_starts_and_says_how_to_set_the_password() {
    for server in adopted() {
        let instance = Instance::in_memory(server);
        initialise(&instance, server);
        fill(&instance, server);

        let running = instance.start(&mut instance.hook("starttest"));
        let mut root = without_password(&instance);
        let rows: Vec<u32> = root.query("SELECT i FROM shop.t ORDER BY i").unwrap();
        assert_eq!(rows, [1, 2, 3], "{server:?}");
        drop(root);
        running.signal("TERM");
        assert!(running.end().success());
        let said = fs::read_to_string(instance.sandbox.path().join("starttest.log")).unwrap();
        let warning = format!(
            "- warning: {}/data/mysql-credentials.cnf is not there: the clients need root's \
             password from elsewhere, or set MYSQL_ROOT_PASSWORD to give it a new one; if root has \
             none, as in the data of an earlier recipe, whoever reaches the port is root until you \
             do\n",
            instance.home().display()
        );
        assert!(said.contains(&warning), "{said}");
        let log = fs::read_to_string(instance.home().join("data/logs/error.log")).unwrap();
        assert!(!log.is_empty());
        let of_then = fs::read_to_string(instance.home().join("data/mysqldb/logs/error.log"));
        assert_eq!(of_then.unwrap(), "of then\n");

        let mut with_password = instance.hook("starttest");
        with_password.env("MYSQL_ROOT_PASSWORD", "known");
        let running = instance.start(&mut with_password);
        let mut root = wait_for("root", || instance.try_root(Some("known")));
        assert!(instance.try_root(None).is_none(), "{server:?}");
        let rows: Vec<u32> = root.query("SELECT i FROM shop.t ORDER BY i").unwrap();
        assert_eq!(rows, [1, 2, 3]);
        drop(running);
    }
}
