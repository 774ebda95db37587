//! What happens to real servers' initialisation when it is killed, told to stop, or runs out of
//! disk: nothing half-made is ever used, and root is never open.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod real;
#[path = "../../hook/tests/sandbox/mod.rs"]
mod sandbox;

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use real::{Instance, Running, Server};
use sandbox::{in_mount_namespace, wait_for};

const PASSWORD: &str = "known";

fn hook(instance: &Instance, name: &str) -> Command {
    let mut command = instance.hook(name);
    command
        .env("MYSQL_ROOT_PASSWORD", PASSWORD)
        .stderr(Stdio::null());
    command
}

/// Starts as supervisord would, again and again while an orphaned initialiser has the lock; then
/// the server answers, with root's password and no other way in.
fn start_and_check(instance: &Instance) {
    let running = wait_for("a start", || {
        let mut running = instance.start(&mut hook(instance, "starttest"));
        let socket = instance.home().join("mysql/run/mysqld.sock");
        wait_for("the server or its refusal", || {
            let refused = running.0.try_wait().unwrap().is_some();
            (refused || socket.exists()).then_some(!refused)
        })
        .then_some(running)
    });
    let mut root = instance.connect(PASSWORD);
    let nobody: u64 = root
        .query_first("SELECT COUNT(*) FROM mysql.user WHERE User = ''")
        .unwrap()
        .unwrap();
    assert_eq!(nobody, 0);
    drop(running);
}

fn killed_at_random(server: Server) {
    let uninterrupted = Instance::new(server);
    let whole = Instant::now();
    let running = uninterrupted.start(&mut hook(&uninterrupted, "starttest"));
    uninterrupted.connect(PASSWORD);
    let whole = whole.elapsed();
    drop(running);
    let seed = RandomState::new().hash_one(());
    for point in 0..3 {
        let hash = seed.rotate_left(point * 16) & 0xffff;
        let delay = whole * u32::try_from(hash).unwrap() / 0x1_0000;
        println!("{server:?}: seed {seed:#x}, killed after {delay:?} of {whole:?}");
        let instance = Instance::new(server);
        let starttest = Running(hook(&instance, "starttest").spawn().unwrap());
        let moment = Instant::now() + delay;
        wait_for("that moment", || (Instant::now() > moment).then_some(()));
        starttest.signal("KILL");
        starttest.end();
        start_and_check(&instance);
        assert!(!instance.home().join("data/mysqldb.initialising").exists());
    }
}

#[test]
fn mariadb_killed_at_random_during_its_first_start_starts() {
    killed_at_random(Server::MariaDb);
}

#[test]
fn mysql_5_6_killed_at_random_during_its_first_start_starts() {
    killed_at_random(Server::MySql56);
}

#[test]
fn mysql_9_killed_at_random_during_its_first_start_starts() {
    killed_at_random(Server::MySql9);
}

#[test]
fn term_leaves_no_initialiser_behind() {
    for server in real::SERVERS {
        let instance = Instance::new(server);
        // Only the vendor's initialiser takes long enough to be stopped.
        fs::remove_dir_all(instance.home().join("mysql/seed")).unwrap();
        let starttest = Running(hook(&instance, "starttest").spawn().unwrap());
        let unfinished = instance.home().join("data/mysqldb.initialising");
        wait_for("the initialiser", || {
            unfinished.join("ibdata1").exists().then_some(())
        });
        let begin = Instant::now();
        starttest.signal("TERM");
        assert_eq!(starttest.end().signal(), Some(15), "{server:?}");
        assert!(begin.elapsed() < Duration::from_secs(10), "{server:?}");
        let lock = fs::File::open(instance.home().join("data/mysqldb.lock")).unwrap();
        lock.try_lock()
            .expect("the lock, which the initialiser had too");
        drop(lock);
        assert!(!unfinished.exists());
        assert!(!instance.home().join("data/mysqldb").exists());
        start_and_check(&instance);
    }
}

#[test]
fn full_disk_while_initialising_leaves_nothing_and_the_next_run_succeeds() {
    for server in real::SERVERS {
        let instance = Instance::new(server);
        fs::create_dir(instance.home().join("data")).unwrap();
        instance.sandbox.hand_over();
        let mut command = in_mount_namespace(
            "mount -t tmpfs -o size=6m,mode=0777 none \"$HOME/data\"\n\
             $AS_USER \"$HOME/postinstall\" || echo \"status $?\"\n\
             find \"$HOME/data\" -mindepth 1 | sort\n\
             mount --options-mode ignore -o remount,size=600m \"$HOME/data\"\n\
             $AS_USER \"$HOME/postinstall\" && test -e \"$HOME/data/mysqldb/ibdata1\"\n",
        );
        command
            .env("HOME", instance.home())
            .env("PORT_DB", instance.port.to_string());
        let outcome = instance.sandbox.outcome(&mut command);
        let next =
            "  next: make room on the disk, start again: nothing was left behind that takes any\n";
        assert!(outcome.stderr.contains(next), "{}", outcome.stderr);
        assert_eq!(
            outcome.stdout,
            "status 1\n\
             {dir}/home/data/logs\n\
             {dir}/home/data/mysql-credentials.cnf\n\
             {dir}/home/data/mysqldb.lock\n",
            "{server:?}"
        );
        assert_eq!(outcome.code, Some(0), "{server:?}");
    }
}
