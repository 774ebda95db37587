//! What postinstall refuses, with its exact words; a refusal changes nothing.

use std::fs;
use std::process::Command;
use testbed::{fake, sandbox};

use fake::{built, with_database};
use sandbox::{Sandbox, assert_refused, in_mount_namespace, set_mode};

const POSTINSTALL: &str = env!("CARGO_BIN_EXE_postinstall");

const SERVER: &str = "- server MySQL 9.7.4, from {dir}/home/mysql/install\n";

fn postinstall(sandbox: &Sandbox) -> Command {
    fake::hook(sandbox, POSTINSTALL, 42800)
}

/// Runs `command` and checks that it refuses with `stderr` and changes nothing.
#[track_caller]
fn refused(sandbox: &Sandbox, command: &mut Command, stderr: &str) {
    let before = sandbox.listing();
    assert_refused(&sandbox.outcome(command), "postinstall", stderr);
    assert_eq!(sandbox.listing(), before, "nothing changed");
}

#[test]
fn j1_home_unusable_is_refused() {
    let sandbox = built();
    let next =
        "  next: set HOME to the service's home directory, as an absolute path that exists\n";
    refused(
        &sandbox,
        postinstall(&sandbox).env_remove("HOME"),
        &format!("postinstall: error: HOME is not set\n{next}"),
    );
    refused(
        &sandbox,
        postinstall(&sandbox).env("HOME", "home"),
        &format!("postinstall: error: HOME is 'home', which is not an absolute path\n{next}"),
    );
    refused(
        &sandbox,
        postinstall(&sandbox).env("HOME", sandbox.path().join("absent")),
        &format!(
            "postinstall: error: cannot find the home directory {{dir}}/absent\n  \
             cause: no such file or directory (os error 2)\n{next}"
        ),
    );
    let deep = "d".repeat(100);
    fs::create_dir(sandbox.path().join(&deep)).unwrap();
    let length = sandbox.path().as_os_str().len() + 1 + 100 + "/mysql/run/mysqld.sock".len();
    refused(
        &sandbox,
        postinstall(&sandbox).env("HOME", sandbox.path().join(&deep)),
        &format!(
            "postinstall: error: the socket's path {{dir}}/{deep}/mysql/run/mysqld.sock has \
             {length} bytes, and 107 is the most\n  next: use a shorter home directory: with \
             'dotcloud', set DOTCLOUD_HOME to a short path\n"
        ),
    );
}

#[test]
fn i5_j4_read_only_home_is_refused() {
    let sandbox = built();
    set_mode(&sandbox.home(), 0o555);
    let run = "{dir}/home/mysql/run";
    let stderr = format!(
        "postinstall: error: neither {{dir}}/home nor {run} can be written\n  next: make the home \
         directory writable for this user, or mount a directory at {run} that is (--tmpfs \
         {run}:mode=1777 in Docker, an emptyDir in Kubernetes), start again\n"
    );
    refused(&sandbox, &mut postinstall(&sandbox), &stderr);
    let mut command = in_mount_namespace(
        "mount --bind \"$HOME\" \"$HOME\"\n\
         mount -o remount,ro,bind \"$HOME\"\n\
         exec $AS_USER \"$POSTINSTALL\"\n",
    );
    command
        .env("HOME", sandbox.home())
        .env("POSTINSTALL", POSTINSTALL)
        .env("PORT_DB", "42800");
    refused(&sandbox, &mut command, &stderr);
}

#[test]
fn port_missing_or_ambiguous_is_refused() {
    let sandbox = built();
    refused(
        &sandbox,
        postinstall(&sandbox).env_remove("PORT_TESTBEDDB"),
        "postinstall: error: no port to listen on: no PORT_* variable is set\n  \
         next: give the service a tcp port in dotcloud.yml (ports: {testbeddb: tcp}), push again\n",
    );
    let which = "  next: set MYSQL_PORT_NAME to the name of the database's port, as in \
                 dotcloud.yml's ports, push again\n";
    refused(
        &sandbox,
        postinstall(&sandbox).env("PORT_ADMIN", "42801"),
        &format!(
            "postinstall: error: no PORT_MYSQL among the ports of this service: PORT_ADMIN, \
             PORT_TESTBEDDB\n{which}"
        ),
    );
    refused(
        &sandbox,
        postinstall(&sandbox).env("MYSQL_PORT_NAME", "db"),
        &format!(
            "postinstall: error: no PORT_DB among the ports of this service: PORT_TESTBEDDB\n{which}"
        ),
    );
    refused(
        &sandbox,
        postinstall(&sandbox).env("PORT_TESTBEDDB", "70000"),
        "postinstall: error: PORT_TESTBEDDB is '70000', which is not a port number\n  \
         next: the platform sets it: run the hook through 'dotcloud push', or set a number from 1 \
         to 65535\n",
    );
}

#[test]
fn settings_unusable_are_refused() {
    let sandbox = built();
    let next = "  next: choose another one, or unset it to get a random one, push again\n";
    refused(
        &sandbox,
        postinstall(&sandbox).env("MYSQL_ROOT_PASSWORD", "sec\nret"),
        &format!(
            "postinstall: error: the password in MYSQL_ROOT_PASSWORD cannot be used\n  \
             cause: the password holds a line break or a NUL byte\n{next}"
        ),
    );
    refused(
        &sandbox,
        postinstall(&sandbox).env("MYSQL_BIND_ADDRESS", "any where"),
        "postinstall: error: MYSQL_BIND_ADDRESS is 'any where', which is not one word\n  \
         next: set it to one word without spaces, push again\n",
    );
    refused(
        &sandbox,
        postinstall(&sandbox).env("MYSQL_REQUIRE_DATA", "yes"),
        "postinstall: error: MYSQL_REQUIRE_DATA is 'yes', which is neither 0 nor 1\n  \
         next: set it to 1 or 0, push again\n",
    );
}

#[test]
fn release_missing_is_refused() {
    let sandbox = built();
    let next = "  next: push again: builder puts the server there\n";
    fs::remove_file(sandbox.home().join("mysql/install/mysqld-version.txt")).unwrap();
    refused(
        &sandbox,
        &mut postinstall(&sandbox),
        &format!(
            "postinstall: error: cannot read {{dir}}/home/mysql/install/mysqld-version.txt\n  \
             cause: no such file or directory (os error 2)\n{next}"
        ),
    );
    fs::remove_dir_all(sandbox.home().join("mysql/install")).unwrap();
    refused(
        &sandbox,
        &mut postinstall(&sandbox),
        &format!("postinstall: error: no MySQL server in {{dir}}/home/mysql/install\n{next}"),
    );
}

#[test]
fn my_cnf_unusable_is_refused() {
    let sandbox = built();
    sandbox.write("home/mysql/my.cnf", "[mysqld]\nport = \"1\n\n[mysql\n");
    refused(
        &sandbox,
        &mut postinstall(&sandbox),
        &format!(
            "{SERVER}postinstall: error: {{dir}}/home/mysql/my.cnf:4:1: group header without \
         its closing ']'\n  | 4:1: group header without its closing ']'\n  |   [mysql\n  \
         |   accepted: [mysqld]\n  next: correct my.cnf, push again\n"
        ),
    );
    sandbox.write("home/mysql/my.cnf", "[mysqld]\ndatadir = /var/lib/mysql\n");
    refused(
        &sandbox,
        &mut postinstall(&sandbox),
        &format!(
            "{SERVER}postinstall: error: datadir is /var/lib/mysql, which is not below \
             {{dir}}/home/data\n  next: remove datadir from my.cnf (~/data/mysqldb is the default), \
             or name a directory below ~/data by its full path, push again: only ~/data survives a \
             push\n"
        ),
    );
    let unreadable = |cause: &str| {
        format!(
            "{SERVER}postinstall: error: cannot read {{dir}}/home/mysql/my.cnf\n  cause: {cause}\n  \
             next: push again: builder copies my.cnf there; if it is there, make it readable\n"
        )
    };
    let my_cnf = sandbox.home().join("mysql/my.cnf");
    set_mode(&my_cnf, 0);
    let outcome = sandbox.outcome(&mut postinstall(&sandbox));
    let denied = unreadable("permission denied (os error 13)");
    assert_refused(&outcome, "postinstall", &denied);
    fs::remove_file(my_cnf).unwrap();
    let absent = unreadable("no such file or directory (os error 2)");
    refused(&sandbox, &mut postinstall(&sandbox), &absent);
    assert!(!sandbox.home().join("data").exists());
}

#[test]
fn option_that_the_server_does_not_know_is_refused_before_initialising() {
    let sandbox = built();
    sandbox.write(
        "home/refuse",
        "[ERROR] unknown variable 'max-conections=10'.\n[ERROR] Aborting\n",
    );
    let outcome = sandbox.outcome(&mut postinstall(&sandbox));
    let end = "postinstall: error: the server does not accept the option file\n  \
               cause: {dir}/home/mysql/install/bin/mysqld ended with status 1\n  \
               | [ERROR] unknown variable 'max-conections=10'.\n  \
               | [ERROR] Aborting\n  \
               next: correct that option in my.cnf, push again\n";
    assert!(outcome.stderr.ends_with(end), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(1));
    let made = |name: &str| sandbox.home().join(name).exists();
    assert!(!made("data/mysqldb") && !made("data/mysqldb.initialising"));
}

#[test]
fn g5_failed_initialiser_is_quoted_and_leaves_no_data_directory() {
    let sandbox = built();
    sandbox.write("home/broken", "[ERROR] Something is wrong\n");
    let outcome = sandbox.outcome(&mut postinstall(&sandbox));
    let end = "- initialising {dir}/home/data/mysqldb\n\
               postinstall: error: the server could not initialise its data directory\n  \
               cause: {dir}/home/mysql/install/bin/mysqld ended with status 1\n  \
               | [ERROR] Something is wrong\n  \
               next: correct what it says, start again: \
               nothing was left behind that counts\n";
    assert!(outcome.stderr.ends_with(end), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(1));
    let names = [
        "data/mysqldb",
        "data/mysqldb.initialising",
        "mysql/run/initialise.sql",
    ];
    for name in names {
        assert!(!sandbox.home().join(name).exists(), "{name}");
    }
}

#[test]
fn j2_k6_data_that_is_not_the_servers_is_refused_untouched() {
    let sandbox = built();
    for (id, maker, next) in [
        (
            101_119_u32,
            "MariaDB 10.11.19, and the server is MySQL 9.7.4",
            "push MariaDB 10.11 again, and move the data with a dump",
        ),
        (
            50_624,
            "MySQL 5.6.24, which is too old for the server, MySQL 9.7.4",
            "push the newest MySQL 5.7, 8.0, 8.4, one after the other, each until it answers, then \
             this one",
        ),
    ] {
        let mut definition = [0; 64];
        definition[..2].copy_from_slice(&[0xfe, 1]);
        definition[0x33..0x37].copy_from_slice(&id.to_le_bytes());
        sandbox.write("home/data/mysqldb/mysql/db.frm", definition);
        refused(
            &sandbox,
            &mut postinstall(&sandbox),
            &format!(
                "{SERVER}postinstall: error: the data directory {{dir}}/home/data/mysqldb is of \
                 {maker}\n  next: the data is untouched: {next}\n"
            ),
        );
        fs::remove_dir_all(sandbox.home().join("data")).unwrap();
    }
    for name in ["a", "b", "c", "d", "e", "f", "ibdata1"] {
        sandbox.write(&format!("home/data/mysqldb/{name}"), "data");
    }
    refused(
        &sandbox,
        &mut postinstall(&sandbox),
        &format!(
            "{SERVER}postinstall: error: {{dir}}/home/data/mysqldb is not a data directory: it holds \
             a, b, c, d, e\n  next: nothing was touched: move these files away to get a fresh \
             database, or put the real data directory there\n"
        ),
    );
    let data_dir = sandbox.home().join("data/mysqldb");
    set_mode(&data_dir, 0);
    let outcome = sandbox.outcome(&mut postinstall(&sandbox));
    assert_refused(
        &outcome,
        "postinstall",
        &format!(
            "{SERVER}postinstall: error: cannot look into the data directory \
             {{dir}}/home/data/mysqldb\n  cause: permission denied (os error 13)\n  \
             next: make it readable for this user, start again\n"
        ),
    );
}

#[test]
fn required_data_missing_is_refused() {
    let sandbox = built();
    refused(
        &sandbox,
        postinstall(&sandbox).env("MYSQL_REQUIRE_DATA", "1"),
        &format!(
            "{SERVER}postinstall: error: there is no data directory {{dir}}/home/data/mysqldb, and \
             MYSQL_REQUIRE_DATA forbids a fresh one\n  next: put the data back, or unset \
             MYSQL_REQUIRE_DATA to begin with a fresh database\n"
        ),
    );
    let sandbox = with_database();
    let mut command = postinstall(&sandbox);
    let outcome = sandbox.outcome(command.env("MYSQL_REQUIRE_DATA", "1"));
    assert_eq!(outcome.code, Some(0));
}

#[test]
fn credentials_unusable_are_refused() {
    let sandbox = with_database();
    let file = "data/mysql-credentials.cnf";
    let path = sandbox.write(&format!("home/{file}"), "[client]\nuser = root\n");
    refused(
        &sandbox,
        &mut postinstall(&sandbox),
        &format!(
            "{SERVER}postinstall: error: {{dir}}/home/{file} sets no password in [client]\n  \
             next: write user and password below [client] in that file, as ~/.my.cnf would have \
             them, start again\n"
        ),
    );
    set_mode(&path, 0);
    assert_refused(
        &sandbox.outcome(&mut postinstall(&sandbox)),
        "postinstall",
        &format!(
            "{SERVER}postinstall: error: cannot read {{dir}}/home/{file}\n  \
             cause: permission denied (os error 13)\n  \
             next: make it readable for this user (mode 0600), start again\n"
        ),
    );
}

#[test]
fn lock_held_or_unusable_is_refused() {
    let sandbox = with_database();
    let lock = sandbox.write("home/data/mysqldb.lock", "4711\n");
    for name in ["mysql/run", "mysql/tmp", "data/logs"] {
        fs::create_dir_all(sandbox.home().join(name)).unwrap();
    }
    sandbox.hand_over();
    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    refused(
        &sandbox,
        &mut postinstall(&sandbox),
        &format!(
            "{SERVER}postinstall: error: process 4711 is using the data directory (it holds \
             {{dir}}/home/data/mysqldb.lock)\n  next: stop that process ('kill 4711' stops a server \
             cleanly), start again; two servers on one data directory would destroy it\n"
        ),
    );
    drop(held);
    set_mode(&lock, 0o400);
    refused(
        &sandbox,
        &mut postinstall(&sandbox),
        &format!(
            "{SERVER}postinstall: error: cannot lock {{dir}}/home/data/mysqldb.lock\n  \
             cause: permission denied (os error 13)\n  \
             next: make room on the disk, or make the directory writable for this user, start \
             again\n"
        ),
    );
}
