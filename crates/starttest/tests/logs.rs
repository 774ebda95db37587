//! What real servers leave in ~/data besides the database: the log of slow statements, logs that have
//! grown too long, the binary log.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod real;

use std::fs::{self, OpenOptions};
use std::process::Command;
use testbed::sandbox;

use mysql::prelude::Queryable;
use real::{Instance, Running, Server};

const PASSWORD: &str = "a-long-Password-1";

const ALL: [Server; 4] = [
    Server::MariaDb,
    Server::MySql56,
    Server::MySql9,
    Server::MariaDb11,
];

fn start(instance: &Instance) -> Command {
    let mut command = instance.hook("starttest");
    command
        .env("MYSQL_ROOT_PASSWORD", PASSWORD)
        .env("MYSQL_SLOW_LOG", "200ms");
    command
}

fn stop(running: Running) {
    running.signal("TERM");
    assert!(running.end().success());
}

fn said(instance: &Instance) -> String {
    fs::read_to_string(instance.sandbox.path().join("starttest.log")).unwrap()
}

#[test]
fn slow_log_is_on_long_logs_are_renamed_and_the_binary_log_is_told() {
    for server in ALL {
        let instance = Instance::in_memory(server);
        let my_cnf = "[mysqld]\nlog_bin = binlog\nserver_id = 7\nlong_query_time = 3\n";
        instance.sandbox.write("home/mysql/my.cnf", my_cnf);
        let running = instance.start(&mut start(&instance));
        let mut root = instance.connect(PASSWORD);
        let slept: Option<u8> = root.query_first("SELECT SLEEP(0.4)").unwrap();
        assert_eq!(slept, Some(0));
        root.query_drop("CREATE DATABASE d").unwrap();
        drop(root);
        stop(running);
        let logs = instance.home().join("data/logs");
        let slow = fs::read_to_string(logs.join("slow.log")).unwrap();
        assert!(slow.contains("SLEEP(0.4)"), "{server:?}: {slow}");
        assert!(!slow.contains(PASSWORD), "{server:?}: {slow}");
        let why = "- long-query-time = 0.2 (from MYSQL_SLOW_LOG; my.cnf line 4 does not count)\n";
        assert!(said(&instance).contains(why), "{}", said(&instance));

        for name in ["error.log", "slow.log"] {
            let file = OpenOptions::new().write(true).open(logs.join(name));
            file.unwrap().set_len((50 << 20) + 1).unwrap();
        }
        let running = instance.start(&mut start(&instance));
        drop(instance.connect(PASSWORD));
        stop(running);
        for name in ["error.log", "slow.log"] {
            let path = logs.join(name);
            let told = format!(
                "- renamed {} to {name}.1, of which 5 are kept\n",
                path.display()
            );
            assert!(said(&instance).contains(&told), "{}", said(&instance));
            let old = fs::metadata(logs.join(format!("{name}.1"))).unwrap();
            assert!(old.len() > 50 << 20 && fs::metadata(path).unwrap().len() < 1 << 20);
        }
        let told = "- the binary log takes ";
        assert!(
            said(&instance).contains(told),
            "{server:?}: {}",
            said(&instance)
        );
    }
}
