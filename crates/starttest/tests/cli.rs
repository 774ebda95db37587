//! The built executable with a server that only records how it is called: what the server gets to
//! see, that it is the hook's own process, that it has the lock.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use testbed::{fake, sandbox};

use fake::{Call, calls};
use sandbox::{Sandbox, set_mode, wait_for};

const STARTTEST: &str = env!("CARGO_BIN_EXE_starttest");

/// A database whose root has the password that the hook is told.
fn with_database() -> Sandbox {
    let sandbox = fake::with_database();
    write_credentials(&sandbox, "secret 'root'");
    sandbox
}

fn write_credentials(sandbox: &Sandbox, password: &str) {
    let text = format!("[client]\nuser = root\npassword = \"{password}\"\n");
    sandbox.write("home/data/mysql-credentials.cnf", text);
}

/// On a port that was free a moment ago.
fn starttest(sandbox: &Sandbox) -> Command {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    fake::hook(sandbox, STARTTEST, port)
}

/// The server that a hook became; killed with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_start(call: &Call) -> bool {
    !call.arguments.iter().any(|a| a == "--validate-config")
}

/// Starts the hook and waits until it has become the server; with the server's call.
fn running(sandbox: &Sandbox, command: &mut Command) -> (Running, Call) {
    let running = Running(command.stderr(Stdio::null()).spawn().unwrap());
    let call = wait_for("the server", || calls(sandbox).into_iter().find(is_start));
    (running, call)
}

#[test]
fn d8_arguments_are_answered_or_refused() {
    let run = |arguments: &[&str]| {
        assert_cmd::Command::new(STARTTEST)
            .env_clear()
            .args(arguments)
            .assert()
    };
    let version = format!("starttest {}\n", env!("CARGO_PKG_VERSION"));
    run(&["--version"]).success().stdout(version).stderr("");
    let help = format!(
        "Usage: starttest [{}--help | --version]\n\n{}",
        starttest::FORMS,
        starttest::ABOUT
    );
    run(&["--help"]).success().stdout(help).stderr("");
}

#[test]
fn command_line_reaches_the_server_checked_like_my_cnf() {
    let sandbox = with_database();
    let mut command = starttest(&sandbox);
    command.args(["--max-connections=77", "--character-set-server", "latin1"]);
    let (_server, call) = running(&sandbox, &mut command);
    let option_file = fs::read_to_string(sandbox.home().join(".my.cnf")).unwrap();
    for line in ["max-connections = 77\n", "character-set-server = latin1\n"] {
        assert!(option_file.contains(line), "{option_file}");
    }
    assert!(
        call.arguments
            .iter()
            .all(|argument| !argument.contains("77")),
        "the option file has them: {:?}",
        call.arguments
    );
}

#[test]
fn command_line_what_is_no_option_is_refused_before_anything_is_written() {
    let sandbox = with_database();
    let before = sandbox.listing();
    for (argument, error, next) in [
        (
            "bash",
            "unexpected argument 'bash'",
            "give it the server's options only, in their long form (--max-connections=500); no \
             program to run, no -P",
        ),
        (
            "--port=3307",
            "the option --port is not taken",
            "set the PORT_ variable of the service's port, such as PORT_MYSQL=3306",
        ),
    ] {
        let outcome = sandbox.outcome(starttest(&sandbox).arg(argument));
        assert_eq!(
            outcome.stderr,
            format!(
                "starttest: error: {error}\n  next: {next}; 'starttest --help' tells what it reads\n"
            )
        );
        assert_eq!(outcome.code, Some(2));
        assert_eq!(sandbox.listing(), before);
    }
    sandbox.write("home/refuse", "unknown variable 'max-conections=77'\n");
    let outcome = sandbox.outcome(starttest(&sandbox).arg("--max-conections=77"));
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .stderr
            .contains("  | unknown variable 'max-conections=77'\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn sealed_home_needs_one_directory_besides_data() {
    let sandbox = with_database();
    for name in ["record", "init-file"] {
        sandbox.write(&format!("home/{name}"), "");
    }
    let seal = || ["home/mysql", "home"].map(|name| set_mode(&sandbox.path().join(name), 0o555));
    seal();
    let before = sandbox.listing();
    let outcome = sandbox.outcome(&mut starttest(&sandbox));
    let run = "{dir}/home/mysql/run";
    let text = format!(
        "starttest: error: neither {{dir}}/home nor {run} can be written\n  next: make the home directory \
         writable for this user, or mount a directory at {run} that is (--tmpfs {run}:mode=1777 in \
         Docker, an emptyDir in Kubernetes), start again\n"
    );
    assert!(outcome.stderr.ends_with(&text), "{}", outcome.stderr);
    assert_eq!(sandbox.listing(), before);
    set_mode(&sandbox.home().join("mysql"), 0o755);
    sandbox.write("home/mysql/run/left", "");
    seal();
    let (_server, call) = running(&sandbox, &mut starttest(&sandbox));
    let run = sandbox.home().join("mysql/run");
    assert_eq!(
        call.arguments[0],
        "--defaults-file={dir}/home/mysql/run/my.cnf"
    );
    assert!(run.join("tmp").is_dir() && run.join("my.cnf.accepted").is_file());
    assert!(!sandbox.home().join(".my.cnf").exists());
    for name in ["home", "home/mysql"] {
        set_mode(&sandbox.path().join(name), 0o755);
    }
}

#[test]
fn b11_server_is_the_hooks_process_and_sees_no_secret() {
    let sandbox = with_database();
    let mut command = starttest(&sandbox);
    command
        .env("TZ", "UTC")
        .env("LD_LIBRARY_PATH", "/nowhere")
        .env("LC_ALL", "C")
        .env("MALLOC_ARENA_MAX", "2");
    let (mut server, call) = running(&sandbox, &mut command);
    assert_eq!(call.pid, server.0.id().to_string());
    let [option_file, init_file] = &call.arguments[..] else {
        panic!("{:?}", call.arguments);
    };
    assert_eq!(option_file, "--defaults-file={dir}/home/.my.cnf");
    assert!(
        init_file.starts_with("--init-file=/proc/self/fd/"),
        "{init_file}"
    );
    let sql = fs::read_to_string(sandbox.home().join("init-file")).unwrap();
    assert!(sql.contains("BY ''secret "), "{sql}");
    let pipe = format!(
        "/proc/{}/fd/{}",
        call.pid,
        init_file.rsplit('/').next().unwrap()
    );
    let pipe = fs::read_link(pipe).unwrap();
    assert!(
        pipe.to_string_lossy().starts_with("pipe:"),
        "{}",
        pipe.display()
    );
    assert_eq!(
        call.variables,
        [
            "HOME={dir}/home",
            "LC_ALL=C",
            "LD_LIBRARY_PATH=/nowhere",
            "MALLOC_ARENA_MAX=2",
            &format!("MYSQLD_PARENT_PID={}", std::process::id()),
            "PATH=/usr/bin:/bin",
            "TMPDIR={dir}/home/mysql/tmp",
            "TZ=UTC",
        ]
    );
    let all = format!("{:?}", calls(&sandbox));
    assert!(!all.contains("secret"), "{all}");
    let pid = server.0.id().to_string();
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    assert_eq!(
        server.0.wait().unwrap().signal(),
        Some(15),
        "TERM reaches it"
    );
}

#[test]
fn limit_of_open_files_is_lowered_and_the_hard_one_stays() {
    let sandbox = with_database();
    let plain = starttest(&sandbox);
    let mut limited = Command::new("prlimit");
    limited.arg("--nofile=20000:20000").arg(plain.get_program());
    limited.args(plain.get_args()).env_clear();
    for (name, value) in plain.get_envs() {
        limited.env(name, value.unwrap());
    }
    let (_server, call) = running(&sandbox, &mut limited);
    let limits = fs::read_to_string(format!("/proc/{}/limits", call.pid)).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<&str> = line.unwrap().split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers, ["8192", "20000"]);
}

#[test]
fn narration_ends_with_what_it_becomes() {
    let sandbox = with_database();
    let mut command = starttest(&sandbox);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the server", || calls(&sandbox).into_iter().find(is_start));
    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    let outcome = sandbox.told(&child.wait_with_output().unwrap());
    let end = "- kept the data directory {dir}/home/data/mysqldb\n\
               - becoming MySQL 9.7.4; its log is {dir}/home/data/logs/error.log\n";
    assert!(outcome.stderr.ends_with(end), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
}

#[test]
fn second_start_is_refused_by_the_servers_lock() {
    let sandbox = with_database();
    let (server, _) = running(&sandbox, &mut starttest(&sandbox));
    let outcome = sandbox.outcome(&mut starttest(&sandbox));
    let pid = server.0.id();
    assert_eq!(
        outcome.stderr,
        format!(
            "starttest 0.1.0\n\
             - server MySQL 9.7.4, from {{dir}}/home/mysql/install\n\
             starttest: error: process {pid} is using the data directory (it holds \
             {{dir}}/home/data/mysqldb.lock)\n  next: stop that process ('kill {pid}' stops a \
             server cleanly), start again; two servers on one data directory would destroy it\n"
        )
    );
    assert_eq!(outcome.code, Some(1));
    drop(server);
    fs::remove_file(sandbox.home().join("record")).unwrap();
    running(&sandbox, &mut starttest(&sandbox));
}

/// Before anything is prepared: the next start may be on another port, with other settings.
#[test]
fn i6_port_taken_is_refused_before_anything_is_made() {
    let sandbox = fake::built();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let outcome = sandbox.outcome(&mut fake::hook(&sandbox, STARTTEST, port));
    let error = format!(
        "- server MySQL 9.7.4, from {{dir}}/home/mysql/install\n\
         starttest: error: cannot listen on port {port}, from PORT_TESTBEDDB\n  \
         cause: address already in use (os error 98)\n  \
         next: stop the process that listens there ('ss -ltnp' shows it), start again\n"
    );
    sandbox::assert_refused(&outcome, "starttest", &error);
    assert!(calls(&sandbox).is_empty(), "no server was run");
    let made: Vec<_> = sandbox::walk(&sandbox.home().join("data"))
        .iter()
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(made, ["logs", "mysqldb.lock"]);
}

/// The server's own check takes longer than all the rest.
#[test]
fn option_file_is_checked_once_and_again_when_it_changes() {
    let sandbox = with_database();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let checks = |password: &str| {
        write_credentials(&sandbox, password);
        let mut command = starttest(&sandbox);
        command
            .env("PORT_TESTBEDDB", &port)
            .env("MYSQL_ROOT_PASSWORD", password);
        let (server, _) = running(&sandbox, &mut command);
        drop(server);
        let calls = calls(&sandbox);
        fs::remove_file(sandbox.home().join("record")).unwrap();
        calls.iter().filter(|call| !is_start(call)).count()
    };
    assert_eq!((checks("a"), checks("a")), (1, 0));
    assert_eq!((checks("b"), checks("b")), (1, 0), "it is included");
    sandbox.write("home/mysql/my.cnf", "[mysqld]\nmax-connections = 10\n");
    assert_eq!((checks("b"), checks("b")), (1, 0));
    let server = sandbox.home().join("mysql/install/bin/mysqld");
    let kept = fs::read_to_string(&server).unwrap();
    sandbox.write_executable("home/mysql/install/bin/mysqld", format!("{kept}# newer\n"));
    assert_eq!(checks("b"), 1, "another server");
}

#[test]
fn server_that_cannot_be_executed_ends_as_in_a_shell() {
    let sandbox = with_database();
    let server = sandbox.home().join("mysql/install/bin/mysqld");
    let ends_with = |status: i32, cause: &str| {
        let outcome = sandbox.outcome(&mut starttest(&sandbox));
        let end = format!(
            "starttest: error: cannot become the server\n  \
             cause: cannot run {{dir}}/home/mysql/install/bin/mysqld\n  cause: {cause}\n  \
             next: push again: builder puts the server there\n"
        );
        assert!(outcome.stderr.ends_with(&end), "{}", outcome.stderr);
        assert_eq!(outcome.code, Some(status));
    };
    set_mode(&server, 0o644);
    ends_with(126, "permission denied (os error 13)");
    sandbox.write_executable("home/mysql/install/bin/mysqld", "#!/nowhere/sh\n");
    ends_with(127, "no such file or directory (os error 2)");
}

#[test]
fn settings_and_data_are_refused_as_by_postinstall() {
    let sandbox = with_database();
    let before = sandbox.listing();
    let outcome = sandbox.outcome(starttest(&sandbox).env_remove("PORT_TESTBEDDB"));
    sandbox::assert_refused(
        &outcome,
        "starttest",
        "starttest: error: no port to listen on: no PORT_* variable is set\n  \
         next: give the service a tcp port in dotcloud.yml (ports: {testbeddb: tcp}), push again\n",
    );
    assert_eq!(sandbox.listing(), before);
}
