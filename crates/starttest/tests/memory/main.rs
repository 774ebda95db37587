//! Real servers in real memory cgroups. Case L2: at its smallest limit each is initialised, filled,
//! worked on by 30 clients at once, killed and recovered, and the kernel kills nothing. Case L6: below
//! it the hooks refuse and write nothing.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod load;
#[path = "../real/mod.rs"]
mod real;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use testbed::{cgroup, sandbox};

use cgroup::Cgroup;
use load::Seen;
use mysql::Conn;
use real::{Instance, Kind, Running, Server, builder, fill_approot, others};
use sandbox::{Sandbox, assert_refused, wait_for};

const MIB: u64 = 1 << 20;
const PASSWORD: &str = "x";

/// The smallest limit of each, as docs/hooks.md has it.
fn floor(server: Server) -> u64 {
    match server.kind() {
        _ if server == Server::MariaDb114 => 224 * MIB,
        Kind::MariaDb | Kind::MySql56 | Kind::MySql57 => 128 * MIB,
        Kind::MySql8 => 256 * MIB,
    }
}

/// A hook as the platform calls it, but with no opinion of ours on its memory.
fn hook(instance: &Instance, name: &str) -> Command {
    let mut command = instance.hook(name);
    command.env("MYSQL_ROOT_PASSWORD", PASSWORD);
    command
}

/// How much is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The server's own initialiser makes the database; one round of the load, a kill, the recovery.
    Short,
    /// The database comes from the seed; three rounds.
    Long,
}

/// Runs `server` beside a supervisord in a cgroup of `limit` bytes: a first start and the load. `None`,
/// said loudly, where there are no cgroups.
fn lives(server: Server, limit: u64, form: Form) -> Option<Seen> {
    let what = format!("{server:?} under {} MiB", limit / MIB);
    let cgroup = Cgroup::new(limit, &what)?;
    let instance = Instance::new(server);
    let _supervisord = supervisord(&instance, &cgroup);
    let (made, rounds) = match form {
        Form::Long => (", from the seed\n", 3),
        Form::Short => {
            fs::remove_dir_all(instance.home().join("mysql/seed")).unwrap();
            ("data/mysqldb\n", 1)
        }
    };
    let mut postinstall = cgroup.command(&hook(&instance, "postinstall"));
    let prepared = instance.sandbox.outcome(&mut postinstall);
    assert_eq!(prepared.code, Some(0), "{}", prepared.stderr);
    assert!(prepared.stderr.contains(made), "{}", prepared.stderr);
    let running = start(&instance, &cgroup);
    let peaks = load::work(&instance, &running, &cgroup, PASSWORD, rounds);
    assert_eq!(cgroup.oom_kills(), 0, "{what}");
    let pid = fs::read_to_string(instance.home().join("mysql/run/mysqld.pid")).unwrap();
    assert_eq!(pid.trim(), running.0.id().to_string(), "the same process");
    if form == Form::Short {
        recovers(&instance, &cgroup, running);
    }
    Some(peaks)
}

fn start(instance: &Instance, cgroup: &Cgroup) -> Running {
    instance.start(&mut cgroup.command(&hook(instance, "starttest")))
}

/// Kills the server in the middle of its dirty pages; the next one has no more memory.
fn recovers(instance: &Instance, cgroup: &Cgroup, running: Running) {
    running.signal("KILL");
    running.end();
    let running = start(instance, cgroup);
    let _: Conn = instance.connect(PASSWORD);
    running.signal("TERM");
    let status = running.end();
    assert!(status.success(), "{status:?}");
    assert_eq!(cgroup.oom_kills(), 0, "recovering");
}

/// A real one, as it is in every container; without a program of its own.
fn supervisord(instance: &Instance, cgroup: &Cgroup) -> Running {
    let log = instance.sandbox.path().join("home/supervisord.log");
    let config = format!(
        "[supervisord]\nnodaemon = true\nlogfile = {0}\npidfile = {0}.pid\n",
        log.display()
    );
    let config = instance.sandbox.write("supervisord.conf", config);
    let mut command = instance.sandbox.command(Path::new("supervisord"));
    command.arg("-c").arg(config);
    let mut command = cgroup.command(&command);
    let child = command.stdout(Stdio::null()).spawn().unwrap();
    wait_for("supervisord", || log.exists().then_some(()));
    Running(child)
}

#[test]
fn l2_mariadb_lives_at_its_floor() {
    lives(Server::MariaDb, floor(Server::MariaDb), Form::Short);
}

#[test]
fn l2_mysql_5_6_lives_at_its_floor() {
    lives(Server::MySql56, floor(Server::MySql56), Form::Short);
}

#[test]
fn l2_mysql_9_lives_at_its_floor() {
    lives(Server::MySql9, floor(Server::MySql9), Form::Short);
}

/// One after the other: each is measured.
#[test]
fn l2_every_other_series_lives_at_its_floor() {
    for server in others() {
        lives(server, floor(server), Form::Short);
    }
}

/// At the limits of `MEMORY_LIMITS`, in MiB, that each server runs in; prints the table of docs/hooks.md.
#[test]
#[ignore = "long; make torture runs it"]
fn l2_every_server_lives_at_every_limit() {
    #[expect(clippy::disallowed_methods, reason = "a setting of the test itself")]
    let limits = std::env::var("MEMORY_LIMITS");
    let limits = limits.unwrap_or_else(|_| "128,192,256,384,512,1024,2048".to_owned());
    for limit in limits.split(',').map(|limit| limit.parse::<u64>().unwrap()) {
        for server in real::SERVERS.into_iter().chain(others()) {
            let (floor, name) = (floor(server), server.title());
            if limit * MIB < floor {
                continue;
            }
            let began = Instant::now();
            let Some(seen) = lives(server, limit * MIB, Form::Long) else {
                continue;
            };
            let schema = if seen.performance_schema { "on" } else { "off" };
            let [pool, resident, anonymous] =
                [seen.pool, seen.resident, seen.anonymous].map(|bytes| bytes / MIB);
            // Not captured by the test harness.
            let _ = writeln!(
                io::stderr(),
                "| {limit}M | {name} | {pool}M | {} | {schema} | {resident}M | {anonymous}M | ({} s)",
                seen.connections,
                began.elapsed().as_secs(),
            );
        }
    }
}

/// Runs builder in a home directory that has all but the seed: unpacking again would show nothing.
fn builder_makes_the_seed(server: Server) {
    let (limit, name) = (floor(server), server.title());
    let Some(cgroup) = Cgroup::new(limit, &format!("the seed of {name}")) else {
        return;
    };
    let sandbox = Sandbox::new();
    let releases = sandbox.home().join("mysql/releases");
    fs::create_dir_all(releases.parent().unwrap()).unwrap();
    symlink(server.built_home().join("mysql/releases"), releases).unwrap();
    fill_approot(&sandbox.approot(), &server.tarball());
    sandbox.hand_over();
    let builder = builder(&sandbox.home(), &sandbox.approot());
    let outcome = sandbox.outcome(&mut cgroup.command(&builder));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(cgroup.oom_kills(), 0, "{name}");
    assert!(
        outcome.stderr.contains("- initialised a database"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn l2_builder_makes_the_seed_of_mariadb_at_its_floor() {
    builder_makes_the_seed(Server::MariaDb);
}

#[test]
fn l2_builder_makes_the_seed_of_mysql_5_6_at_its_floor() {
    builder_makes_the_seed(Server::MySql56);
}

#[test]
fn l2_builder_makes_the_seed_of_mysql_9_at_its_floor() {
    builder_makes_the_seed(Server::MySql9);
}

#[test]
fn l6_limit_below_the_floor_is_refused_before_any_write() {
    for server in real::SERVERS {
        let (floor, server_name) = (floor(server), server.title());
        let limit = floor - 32 * MIB;
        let Some(cgroup) = Cgroup::new(limit, &format!("the refusal of {server_name}")) else {
            continue;
        };
        let instance = Instance::new(server);
        let before = instance.sandbox.listing();
        for hook_name in ["postinstall", "starttest"] {
            let mut command = hook(&instance, hook_name);
            command.env("DOTCLOUD_SERVICE_NAME", "testbed");
            let outcome = instance.sandbox.outcome(&mut cgroup.command(&command));
            let expected = format!(
                "- server {server_name}, from {}\n\
                 {hook_name}: error: the server needs {}M of memory, and the limit is {}M, from {}\n  \
                 next: give it more ('dotcloud scale testbed:memory={}M'), push again\n",
                "{dir}/home/mysql/install",
                floor / MIB,
                limit / MIB,
                cgroup.limit_file().display(),
                floor / MIB,
            );
            assert_refused(&outcome, hook_name, &expected);
        }
        assert_eq!(instance.sandbox.listing(), before, "{server_name}");
    }
}
