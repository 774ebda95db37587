//! The built executable with a server that only records how it is called: what is written, what the
//! server gets to see, that a second run and TERM leave things as they should be.

use std::fs;
use std::process::{Command, Stdio};
use testbed::{fake, sandbox};

use fake::{built, calls, with_database};
use sandbox::{Sandbox, mode, wait_for};

const POSTINSTALL: &str = env!("CARGO_BIN_EXE_postinstall");

fn postinstall(sandbox: &Sandbox) -> Command {
    fake::hook(sandbox, POSTINSTALL, 42800)
}

#[test]
fn arguments_are_answered_or_refused() {
    let example = "HOME=/home/dotcloud PORT_TESTBEDDB=42800 ~/postinstall";
    sandbox::assert_answers(POSTINSTALL, "postinstall", postinstall::ABOUT, example);
}

const RENDERED: &str = " {dir}/home/.my.cnf, with port 42800 from PORT_TESTBEDDB
  - port = 42800 (given by the platform; this file is rendered at every start, edit the my.cnf you push)
  - basedir = {dir}/home/mysql/install (the current release)
  - datadir = {dir}/home/data/mysqldb (survives a push)
  - socket = {dir}/home/mysql/run/mysqld.sock (outside ~/data: a stale one would travel)
  - pid-file = {dir}/home/mysql/run/mysqld.pid (outside ~/data: a stale one would travel)
  - log-error = {dir}/home/data/logs/error.log (survives a push, outside the data directory)
  - secure-file-priv = NULL (as in the vendor's tarballs; other builds refuse to start without their package's /var/lib/mysql-files)
  - mysqlx = 0 (the X protocol would listen on port 33060 of every interface)
  - log-bin = off (the binary log would take the disk, 30 days of it: for replicas or recovery to a point in time, set log_bin in my.cnf)
  - table-open-cache = 400 (each open table takes memory, and so does what is recorded of it)
  - table-definition-cache = 400 (each open table takes memory, and so does what is recorded of it)
  - performance-schema = OFF (takes more memory than the limit has to spare)
  - innodb-log-buffer-size = 4M (its share of the memory limit)
  - key-buffer-size = 2M (its share of the memory limit)
  - temptable-max-ram = 8M (its share of the memory limit)
  - max-connections = 36 (all connections together must stay below the memory limit)
  - innodb-buffer-pool-size = 32M (what the memory limit leaves beside the server itself and its connections)
  - temptable-max-mmap = 1G (temporary tables beyond temptable-max-ram are files in tmpdir; without, some queries find theirs missing (ERROR 1146))
- memory 256M, from MYSQL_MEMORY
  - supervisord 24M + the server itself 120M + innodb-log-buffer-size 4M + key-buffer-size 2M + temptable-max-ram 8M + the page cache 16M + 36 connections of 1.3M 46.2M + innodb-buffer-pool-size 32M with its overhead 35.2M = 256M
";

#[test]
fn first_run_prepares_and_second_changes_nothing() {
    let sandbox = built();
    let first = sandbox.outcome(&mut postinstall(&sandbox));
    assert_eq!(
        first.stderr,
        format!(
            "postinstall 0.1.0\n\
             - server MySQL 9.7.4, from {{dir}}/home/mysql/install\n\
             - wrote root's password, as MYSQL_ROOT_PASSWORD says, to \
             {{dir}}/home/data/mysql-credentials.cnf\n\
             - wrote{RENDERED}\
             - initialising {{dir}}/home/data/mysqldb\n\
             - initialised: root is locked until the server gives it its password, nobody else has \
             an account\n"
        )
    );
    assert_eq!((first.code, first.stdout.as_str()), (Some(0), ""));
    for name in [".my.cnf", "data/mysql-credentials.cnf", "data/mysqldb.lock"] {
        assert_eq!(mode(&sandbox.home().join(name)), 0o600, "{name}");
    }
    for name in ["data", "data/logs", "data/mysqldb", "mysql/run"] {
        assert_eq!(mode(&sandbox.home().join(name)), 0o700, "{name}");
    }
    fs::remove_file(sandbox.home().join("record")).unwrap();
    fs::write(sandbox.home().join("data/mysqldb.lock"), "").unwrap();
    let before = sandbox.listing();
    let second = sandbox.outcome(&mut postinstall(&sandbox));
    assert_eq!(
        second.stderr,
        format!(
            "postinstall 0.1.0\n\
             - server MySQL 9.7.4, from {{dir}}/home/mysql/install\n\
             - kept root's password in {{dir}}/home/data/mysql-credentials.cnf\n\
             - kept{RENDERED}\
             - kept the data directory {{dir}}/home/data/mysqldb\n"
        )
    );
    assert_eq!(second.code, Some(0));
    assert!(calls(&sandbox).is_empty(), "the server is not asked again");
    fs::write(sandbox.home().join("data/mysqldb.lock"), "").unwrap();
    assert_eq!(sandbox.listing(), before);
}

#[test]
fn server_sees_option_file_first_and_no_secret() {
    let sandbox = built();
    assert_eq!(sandbox.outcome(&mut postinstall(&sandbox)).code, Some(0));
    let calls = calls(&sandbox);
    let option_file = "--defaults-file={dir}/home/.my.cnf";
    let arguments: Vec<&[String]> = calls.iter().map(|call| &call.arguments[..]).collect();
    assert_eq!(
        arguments,
        [
            &[option_file, "--validate-config"][..],
            &[
                option_file,
                "--datadir={dir}/home/data/mysqldb.initialising",
                "--log-error={dir}/home/data/logs/initialise.log",
                "--default-time-zone=SYSTEM",
                "--initialize-insecure",
                "--init-file={dir}/home/mysql/run/initialise.sql",
            ]
        ]
    );
    assert_eq!(calls[0].variables, ["HOME={dir}/home"]);
    assert_eq!(
        calls[1].variables,
        [
            "HOME={dir}/home",
            "PATH=/usr/local/bin:/usr/bin:/bin",
            "TMPDIR={dir}/home/mysql/tmp",
        ]
    );
    assert_eq!(
        fs::read_to_string(sandbox.home().join("init-file")).unwrap(),
        "SET NAMES utf8mb4;\nSET SESSION sql_mode = '';\n\
         ALTER USER 'root'@'localhost' ACCOUNT LOCK;\n"
    );
    assert!(!sandbox.home().join("mysql/run/initialise.sql").exists());
}

#[test]
fn b11_narration_shows_no_password() {
    let sandbox = built();
    let narrated = sandbox.outcome(postinstall(&sandbox).env("HOOK_LOG", "debug"));
    assert!(!narrated.stderr.contains("secret"), "{}", narrated.stderr);
}

/// Case L6, for options of the user's; the servers' floors are tested with real servers.
#[test]
fn l6_pool_that_cannot_fit_is_refused_and_nothing_changes() {
    let sandbox = built();
    sandbox.write(
        "home/mysql/my.cnf",
        "[mysqld]\ninnodb_buffer_pool_size = 1G\n",
    );
    let before = sandbox.listing();
    let sum = "supervisord 24M + the server itself 120M + innodb-log-buffer-size 4M + key-buffer-size \
               2M + temptable-max-ram 8M + the page cache 16M + innodb-buffer-pool-size 1G with its \
               overhead 1127M + 36 connections of 1.3M 46.2M = 1347M";
    let stderr = format!(
        "- server MySQL 9.7.4, from {{dir}}/home/mysql/install\n\
         postinstall: error: with the options of my.cnf the server needs 1440M of memory, and the \
         limit is 256M, from MYSQL_MEMORY\n  | {sum}\n  \
         next: lower them, or set MYSQL_MEMORY to 1440M or more, push again\n"
    );
    let outcome = sandbox.outcome(&mut postinstall(&sandbox));
    sandbox::assert_refused(&outcome, "postinstall", &stderr);
    assert_eq!(sandbox.listing(), before);
}

#[test]
fn connections_that_may_not_fit_are_warned_about() {
    let sandbox = built();
    sandbox.write("home/mysql/my.cnf", "[mysqld]\nmax_connections = 500\n");
    let outcome = sandbox.outcome(&mut postinstall(&sandbox));
    let warning = "- warning: clients that use all they may have get the server killed: lower \
                   max_connections or the buffers in my.cnf, or set MYSQL_MEMORY to 864M or more\n";
    assert!(outcome.stderr.contains(warning), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(0));
}

#[test]
fn password_at_a_later_start_is_left_to_the_server() {
    let sandbox = built();
    assert_eq!(sandbox.outcome(&mut postinstall(&sandbox)).code, Some(0));
    let path = sandbox.home().join("data/mysql-credentials.cnf");
    let before = fs::read(&path).unwrap();
    let later = sandbox.outcome(postinstall(&sandbox).env("MYSQL_ROOT_PASSWORD", "another"));
    let left = "- left root's new password to starttest, which gives it to the server\n";
    assert!(later.stderr.contains(left), "{}", later.stderr);
    assert_eq!(later.code, Some(0));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn password_of_a_failed_first_start_is_replaced() {
    let sandbox = built();
    let broken = sandbox.write("home/broken", "no luck\n");
    assert_eq!(sandbox.outcome(&mut postinstall(&sandbox)).code, Some(1));
    fs::remove_file(broken).unwrap();
    let mut command = postinstall(&sandbox);
    let retried = sandbox.outcome(command.env("MYSQL_ROOT_PASSWORD", "better"));
    assert_eq!(retried.code, Some(0));
    let credentials = fs::read_to_string(sandbox.home().join("data/mysql-credentials.cnf"));
    assert!(credentials.unwrap().contains("password = better\n"));
}

#[test]
fn database_without_credentials_is_adopted_and_that_is_said() {
    let sandbox = with_database();
    let mut command = postinstall(&sandbox);
    command
        .env_remove("MYSQL_ROOT_PASSWORD")
        .env_remove("MARIADB_ROOT_PASSWORD");
    let adopted = sandbox.outcome(&mut command);
    let warning = "- warning: {dir}/home/data/mysql-credentials.cnf is not there: the clients need \
                   root's password from elsewhere, or set MYSQL_ROOT_PASSWORD to give it a new \
                   one; if root has none, as in the data of an earlier recipe, whoever reaches the \
                   port is root until you do\n";
    assert!(adopted.stderr.contains(warning), "{}", adopted.stderr);
    assert_eq!(adopted.code, Some(0));
}

#[test]
fn term_ends_the_initialiser_and_the_hook_and_a_new_start_succeeds() {
    for (signal, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let sandbox = built();
        let slow = sandbox.write("home/slow", "");
        let child = postinstall(&sandbox)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let ibdata = sandbox.home().join("data/mysqldb.initialising/ibdata1");
        wait_for("the initialiser", || ibdata.exists().then_some(()));
        let pid = child.id().to_string();
        let kill = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(kill.unwrap().success());
        let outcome = sandbox.told(&child.wait_with_output().unwrap());
        assert_eq!(outcome.signal, Some(number));
        let said = format!(
            "- initialising {{dir}}/home/data/mysqldb\n\
             postinstall: stopped by signal {number}, and so was the program it was running\n  \
             next: start postinstall again; it goes on from where things are\n"
        );
        assert!(outcome.stderr.ends_with(&said), "{}", outcome.stderr);
        // Held by the hook and everything it started.
        let lock = fs::File::open(sandbox.home().join("data/mysqldb.lock")).unwrap();
        lock.try_lock().unwrap();
        drop(lock);
        for name in [
            "data/mysqldb",
            "data/mysqldb.initialising",
            "mysql/run/initialise.sql",
        ] {
            assert!(!sandbox.home().join(name).exists(), "{name}");
        }
        fs::remove_file(slow).unwrap();
        assert_eq!(sandbox.outcome(&mut postinstall(&sandbox)).code, Some(0));
    }
}

#[test]
fn killed_hook_takes_its_initialiser_along() {
    let sandbox = built();
    let endless = sandbox.write("home/endless", "");
    let mut child = postinstall(&sandbox).stderr(Stdio::null()).spawn().unwrap();
    let ibdata = sandbox.home().join("data/mysqldb.initialising/ibdata1");
    wait_for("the initialiser", || ibdata.exists().then_some(()));
    let lock = fs::File::open(sandbox.home().join("data/mysqldb.lock")).unwrap();
    lock.try_lock().unwrap_err();
    child.kill().unwrap();
    child.wait().unwrap();
    // Held by the hook and everything it started.
    wait_for("the initialiser's end", || lock.try_lock().ok());
    drop(lock);
    fs::remove_file(endless).unwrap();
    let next = sandbox.outcome(&mut postinstall(&sandbox));
    let removed = "- removed a data directory whose initialisation had not finished\n";
    assert!(next.stderr.contains(removed), "{}", next.stderr);
    assert_eq!(next.code, Some(0));
}

#[test]
fn term_does_not_wait_for_what_it_need_not() {
    let sandbox = built();
    fs::create_dir(sandbox.home().join("data")).unwrap();
    sandbox.hand_over();
    let path = sandbox.home().join("data/mysqldb.lock");
    let lock = fs::File::create(&path).unwrap();
    sandbox.hand_over();
    lock.lock().unwrap();
    let mut child = postinstall(&sandbox)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the directories", || {
        sandbox.home().join("mysql/run").exists().then_some(())
    });
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(15)
    );
}
