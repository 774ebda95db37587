//! kill -9 of starttest and postinstall, with their whole process group, at points spread over the
//! first start, from the seed and without, and over later starts of a database with rows.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;

use crate::check::{hook, start, start_and_check};
use crate::points::{Point, Sweep};
use crate::real::{Instance, Server, others};
use crate::sandbox::wait_for;

/// How many of a server's points are tried at a time: servers mostly wait.
const THREADS: usize = 2;

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// starttest in a new container, until its server answers.
    Starttest,
    /// postinstall in a new container.
    Postinstall,
}

/// How long each takes when nobody kills it.
struct Durations {
    postinstall: Duration,
    server: Duration,
}

impl Durations {
    fn measure(server: Server, seed: bool) -> Self {
        let instance = container(server, seed);
        let begin = Instant::now();
        let done = hook(&instance, "postinstall").status().unwrap();
        assert!(done.success());
        let postinstall = begin.elapsed();
        let begin = Instant::now();
        start(&instance);
        let server = begin.elapsed();
        Self {
            postinstall,
            server,
        }
    }

    fn of(&self, victim: Victim) -> Duration {
        match victim {
            Victim::Postinstall => self.postinstall,
            Victim::Starttest => self.postinstall + self.server,
        }
    }
}

/// A new container, whose snapshot has a seed or has none: then the vendor's initialiser runs.
fn container(server: Server, seed: bool) -> Instance {
    let instance = Instance::new(server);
    if !seed {
        fs::remove_dir_all(instance.home().join("mysql/seed")).unwrap();
    }
    instance
}

/// Starts `hook` as the leader of a process group and kills that after `delay`.
fn kill_after(mut hook: Command, delay: Duration) {
    let mut child = hook.process_group(0).spawn().unwrap();
    let moment = Instant::now() + delay;
    wait_for("that moment", || (Instant::now() >= moment).then_some(()));
    kill_group(&child);
    child.wait().unwrap();
}

fn kill_group(leader: &Child) {
    let group = format!("-{}", leader.id());
    let kill = Command::new("kill").args(["-KILL", "--", &group]).status();
    assert!(kill.unwrap().success());
}

/// One in five without a seed; of either kind, starttest and postinstall in turn.
fn plan(point: &Point) -> (bool, Victim) {
    let turn = point.index / 5 + point.index % 5;
    let victim = match turn % 2 {
        0 => Victim::Starttest,
        _ => Victim::Postinstall,
    };
    (point.index % 5 != 4, victim)
}

fn first_start(server: Server, usual: u32) {
    let [vendors, seeds] = [false, true].map(|seed| Durations::measure(server, seed));
    Sweep::usually(&format!("first start of {server:?} killed"), usual).each(THREADS, |point| {
        let (seed, victim) = plan(point);
        let durations = if seed { &seeds } else { &vendors };
        let instance = container(server, seed);
        let name = match victim {
            Victim::Starttest => "starttest",
            Victim::Postinstall => "postinstall",
        };
        let delay = durations.of(victim).mul_f64(point.fraction);
        println!(
            "point {}: {name}, seed: {seed}, after {delay:?}",
            point.index
        );
        kill_after(hook(&instance, name), delay);
        start_and_check(server, &instance);
    });
}

#[test]
fn g1_first_start_killed_anywhere_ends_complete_mariadb() {
    first_start(Server::MariaDb, 20);
}

#[test]
fn g1_first_start_killed_anywhere_ends_complete_mysql_5_6() {
    first_start(Server::MySql56, 20);
}

#[test]
fn g1_first_start_killed_anywhere_ends_complete_mysql_9() {
    first_start(Server::MySql9, 20);
}

#[test]
fn g1_first_start_killed_anywhere_ends_complete_every_other_series() {
    for server in others() {
        first_start(server, 5);
    }
}

/// A database with rows, one more for every point, while hooks and servers are killed.
fn later_start(server: Server) {
    let instance = Instance::new(server);
    let (running, mut root) = start_and_check(server, &instance);
    root.query_drop("CREATE DATABASE d").unwrap();
    root.query_drop("CREATE TABLE d.t (i INT PRIMARY KEY) ENGINE=InnoDB")
        .unwrap();
    drop(running);
    let begin = Instant::now();
    start(&instance);
    let whole = begin.elapsed();
    Sweep::new(&format!("later start of {server:?} killed"), 4).each(1, |point| {
        // Its work is done in the first hundredth.
        let (name, of) = match point.index % 2 {
            0 => ("starttest", whole),
            _ => ("postinstall", whole / 20),
        };
        let delay = of.mul_f64(point.fraction);
        println!("point {}: {name} after {delay:?}", point.index);
        kill_after(hook(&instance, name), delay);
        let (_running, mut root) = start_and_check(server, &instance);
        let rows: Vec<u32> = root.query("SELECT i FROM d.t ORDER BY i").unwrap();
        assert_eq!(rows, (0..point.index).collect::<Vec<_>>());
        root.query_drop(format!("INSERT INTO d.t VALUES ({})", point.index))
            .unwrap();
    });
}

#[test]
fn e3_later_start_killed_anywhere_keeps_every_row_mariadb() {
    later_start(Server::MariaDb);
}

#[test]
fn e3_later_start_killed_anywhere_keeps_every_row_mysql_5_6() {
    later_start(Server::MySql56);
}

#[test]
fn e3_later_start_killed_anywhere_keeps_every_row_mysql_9() {
    later_start(Server::MySql9);
}

#[test]
fn e3_later_start_killed_anywhere_keeps_every_row_every_other_series() {
    for server in others() {
        later_start(server);
    }
}
