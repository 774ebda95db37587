//! A remote CLONE between two real servers: the receiver ends itself, is started again as supervisord
//! does, and says whose accounts it has, until it has a password of its own again.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod real;

use std::fs;
use std::process::Command;
use testbed::sandbox;

use mysql::Conn;
use mysql::prelude::Queryable;
use real::{Instance, Running, Server};

fn with_password(instance: &Instance, password: &str) -> Command {
    let mut command = instance.hook("starttest");
    command.env("MYSQL_ROOT_PASSWORD", password);
    command
}

fn running(password: &str) -> (Instance, Running, Conn) {
    let instance = Instance::new(Server::MySql9);
    let running = instance.start(&mut with_password(&instance, password));
    let mut root = instance.connect(password);
    root.query_drop("INSTALL PLUGIN clone SONAME 'mysql_clone.so'")
        .unwrap();
    (instance, running, root)
}

fn said(instance: &Instance) -> String {
    fs::read_to_string(instance.sandbox.path().join("starttest.log")).unwrap()
}

#[test]
fn remote_clone_is_served_and_its_accounts_are_told_until_there_is_a_password() {
    let (donor, donor_running, mut root) = running("the-donors");
    for sql in [
        "CREATE DATABASE d",
        "CREATE TABLE d.t (i INT PRIMARY KEY)",
        "INSERT INTO d.t VALUES (1), (2), (3)",
        "CREATE USER cl@'%' IDENTIFIED BY 'clone'",
        "GRANT BACKUP_ADMIN ON *.* TO cl@'%'",
    ] {
        root.query_drop(sql).unwrap();
    }
    let (receiver, receiver_running, mut root) = running("the-receivers");
    let allowed = format!(
        "SET GLOBAL clone_valid_donor_list = '127.0.0.1:{}'",
        donor.port
    );
    root.query_drop(allowed).unwrap();
    let clone = format!(
        "CLONE INSTANCE FROM cl@'127.0.0.1':{} IDENTIFIED BY 'clone'",
        donor.port
    );
    // The answer is lost with the server.
    let _ = root.query_drop(clone);
    let ended = receiver_running.end().code();
    assert_eq!(ended, Some(16), "for whoever starts it again");

    let warning = format!(
        "- warning: the database was cloned from another server, whose accounts it has: set \
         MYSQL_ROOT_PASSWORD, or write that server's into {}/data/mysql-credentials.cnf\n",
        receiver.home().display()
    );
    for _ in 0..2 {
        let running = receiver.start(&mut receiver.hook("starttest"));
        let mut root = receiver.connect("the-donors");
        let rows: Option<u32> = root.query_first("SELECT COUNT(*) FROM d.t").unwrap();
        assert_eq!(rows, Some(3));
        assert!(said(&receiver).contains(&warning), "{}", said(&receiver));
        running.signal("TERM");
        assert!(running.end().success());
    }
    let running = receiver.start(&mut with_password(&receiver, "the-receivers"));
    receiver.connect("the-receivers");
    assert_eq!(receiver.written_password(), "the-receivers");
    assert!(receiver.try_root(Some("the-donors")).is_none());
    running.signal("TERM");
    assert!(running.end().success());
    let running = receiver.start(&mut receiver.hook("starttest"));
    receiver.connect("the-receivers");
    assert!(!said(&receiver).contains("cloned"), "{}", said(&receiver));
    drop((running, donor_running));
}
