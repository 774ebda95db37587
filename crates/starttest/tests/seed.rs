//! First starts of real servers from the seed: what is unique to each, who may log in, and that
//! nobody may before the server was told.
mod real;

use std::fs;
use std::process::{Command, Stdio};
use testbed::sandbox;

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
use real::{Instance, Kind, Running, release, series};
use sandbox::wait_for;

/// The most by which a release may make the snapshot grow.
const SEED_MOST: u64 = 3_000_000;

const PASSWORD: &str = " it's \"q\" \\n #1; -- `x` %s $HOME ü€密 ";

fn login(instance: &Instance, user: &str, password: &str) -> mysql::Result<Conn> {
    let options = OptsBuilder::new()
        .ip_or_hostname(Some("127.0.0.1"))
        .tcp_port(instance.port)
        .prefer_socket(false)
        .user(Some(user))
        .pass(Some(password));
    Conn::new(options)
}

#[test]
fn seed_is_small() {
    for server in series() {
        let seeds = fs::read_dir(server.built_home().join("mysql/seed")).unwrap();
        let sizes: Vec<u64> = seeds
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        assert!(
            matches!(sizes[..], [size] if size <= SEED_MOST),
            "{sizes:?}"
        );
    }
}

#[test]
fn a1_b5_without_inputs_two_instances_differ_in_uuid_keys_and_password() {
    for server in series() {
        let start = || {
            let instance = Instance::new(server);
            let running = instance.start(&mut instance.hook("starttest"));
            let password = wait_for("the credentials", || {
                instance
                    .home()
                    .join("data/mysql-credentials.cnf")
                    .exists()
                    .then(|| instance.written_password())
            });
            let mut root = instance.connect(&password);
            let uuid: Option<String> = match server.kind() {
                Kind::MariaDb => None,
                _ => root.query_first("SELECT @@server_uuid").unwrap(),
            };
            drop(running);
            let key = instance.home().join("data/mysqldb/server-key.pem");
            (password, uuid, fs::read(key).ok())
        };
        let ((password0, uuid0, key0), (password1, uuid1, key1)) = (start(), start());
        assert_ne!(password0, password1, "{server:?}");
        assert!(
            server.kind() == Kind::MariaDb || uuid0 != uuid1,
            "{uuid0:?}"
        );
        assert_eq!(key0.is_some(), server.kind() == Kind::MySql8, "{server:?}");
        assert!(key0.is_none() || key0 != key1, "{server:?}");
    }
}

/// The server as somebody would start it who knows nothing of `--init-file`.
#[test]
fn b3_seed_lets_nobody_in_by_itself() {
    for server in series() {
        let instance = Instance::new(server);
        let made = instance.sandbox.outcome(&mut instance.hook("postinstall"));
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        assert!(made.stderr.contains(", from the seed\n"), "{}", made.stderr);
        let executable = ["bin/mariadbd", "bin/mysqld"]
            .map(|name| release(server).join(name))
            .into_iter()
            .find(|path| path.is_file());
        let option_file = format!("--defaults-file={}/.my.cnf", instance.home().display());
        let mut command = instance.sandbox.command(&executable.unwrap());
        command.arg(option_file).stderr(Stdio::null());
        let running = Running(command.spawn().unwrap());
        wait_for("the server's refusal", || {
            for password in ["", &instance.written_password()] {
                match login(&instance, "root", password) {
                    Ok(_) => panic!("{server:?} lets root in"),
                    Err(mysql::Error::MySqlError(_)) => {}
                    Err(_) => return None,
                }
            }
            Some(())
        });
        drop(running);
    }
}

fn has_root_from_elsewhere(root: &mut Conn) -> bool {
    let query = "SELECT COUNT(*) FROM mysql.user WHERE User='root' AND Host='127.%'";
    root.query_first(query).ok().flatten() == Some(1)
}

#[test]
fn b7_b9_e4_e5_database_and_accounts_are_made_whenever_they_are_missing() {
    for server in series() {
        let instance = Instance::new(server);
        let secret = instance
            .sandbox
            .write("home/secret", format!("{PASSWORD}\n"));
        let hook = |root: &str| -> Command {
            let mut command = instance.hook("starttest");
            command
                .env("MARIADB_ROOT_PASSWORD", root)
                .env("MYSQL_ROOT_HOST", "127.%")
                .env("MYSQL_DATABASE", "my_shop-1.x/y '`é")
                .env("MYSQL_USER", "joe.app@1'")
                .env("MYSQL_PASSWORD_FILE", &secret);
            command
        };
        let running = instance.start(&mut hook("first"));
        let mut root = instance.connect("first");
        let mut app = login(&instance, "joe.app@1'", PASSWORD).unwrap();
        app.query_drop("CREATE TABLE `my_shop-1.x/y '``é`.t (i INT)")
            .unwrap();
        app.query_drop("CREATE DATABASE `myxshop-1.x/y '``é`")
            .unwrap_err();
        assert!(has_root_from_elsewhere(&mut root), "{server:?}");
        root.query_drop("REVOKE DROP ON `my\\_shop-1.x/y '``é`.* FROM `joe.app@1'`@'%'")
            .unwrap();
        root.query_drop("DROP USER root@'127.%'").unwrap();
        running.signal("TERM");
        assert!(running.end().success());

        // A changed password counts, what is missing is made, and rights stay as they are.
        let running = instance.start(
            hook(PASSWORD)
                .env("MYSQL_PASSWORD_FILE", "")
                .env("MYSQL_PASSWORD", "another one"),
        );
        let mut root = instance.connect(PASSWORD);
        assert!(instance.try_root(Some("first")).is_none());
        login(&instance, "joe.app@1'", PASSWORD).unwrap_err();
        let mut app = login(&instance, "joe.app@1'", "another one").unwrap();
        app.query_drop("DROP TABLE `my_shop-1.x/y '``é`.t")
            .unwrap_err();
        assert!(has_root_from_elsewhere(&mut root), "{server:?}");
        root.query_drop("DROP USER `joe.app@1'`").unwrap();
        root.query_drop("DROP DATABASE `my_shop-1.x/y '``é`")
            .unwrap();
        running.signal("TERM");
        assert!(running.end().success());

        let running = instance.start(&mut hook(PASSWORD));
        instance.connect(PASSWORD);
        let mut app = login(&instance, "joe.app@1'", PASSWORD).unwrap();
        app.query_drop("CREATE TABLE `my_shop-1.x/y '``é`.t (i INT)")
            .unwrap();
        drop(running);
        let log = fs::read_to_string(instance.home().join("data/logs/error.log")).unwrap();
        assert!(!log.contains("$HOME"), "no password in the log");
    }
}
