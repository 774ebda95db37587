//! TERM while the vendor's initialiser runs, rivals for one data directory, and what others left there.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;

use crate::check::{PASSWORD, hook, on_each, start, start_and_check};
use crate::real::{Instance, Running, Server, series};
use crate::sandbox::wait_for;

/// No process namespace protects us here.
#[test]
fn g2_g3_term_leaves_no_initialiser_behind() {
    for server in series() {
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
        start_and_check(server, &instance);
    }
}

/// Two at once in a new container, by a supervisor that is killed: one becomes a server, which nobody
/// looks after any more; the other names it.
#[test]
fn g8_of_two_first_starts_one_serves_orphaned_and_the_other_names_it() {
    on_each(rivals);
}

fn rivals(server: Server) {
    let instance = Instance::new(server);
    // A shell that starts both and waits, as a supervisor would.
    let starttest = instance.home().join("starttest");
    let said = |n: u8| instance.sandbox.path().join(format!("rival{n}"));
    let mut supervisor = instance.sandbox.command(Path::new("/bin/sh"));
    supervisor
        .envs(
            hook(&instance, "starttest")
                .get_envs()
                .filter_map(|(k, v)| Some((k, v?))),
        )
        .args(["-c", "\"$0\" 2>\"$1\" & \"$0\" 2>\"$2\" & wait"])
        .arg(&starttest)
        .args([said(1), said(2)]);
    instance.sandbox.hand_over();
    let mut supervisor = Running(supervisor.spawn().unwrap());
    let mut root = instance.connect(PASSWORD);
    supervisor.0.kill().unwrap();
    let pid: String = fs::read_to_string(instance.home().join("mysql/run/mysqld.pid")).unwrap();
    let pid = pid.trim();
    // Killed with the test, whatever comes.
    let _server = Orphan(pid.to_owned());
    let told = [1, 2].map(said);
    let refusal = wait_for("the other's refusal", || {
        let texts = told
            .each_ref()
            .map(|path| fs::read_to_string(path).unwrap());
        texts
            .into_iter()
            .find(|text| text.contains("starttest: error: "))
    });
    let named = format!("error: process {pid} is using the data directory (it holds ");
    assert!(refusal.contains(&named), "{server:?}: {refusal}");
    let advice = format!("next: stop that process ('kill {pid}' stops a server cleanly)");
    assert!(refusal.contains(&advice), "{server:?}: {refusal}");
    let answer: u8 = root.query_first("SELECT 1").unwrap().unwrap();
    assert_eq!(answer, 1, "the server was not disturbed");
}

/// A server that is nobody's child.
struct Orphan(String);

impl Drop for Orphan {
    fn drop(&mut self) {
        let kill = Command::new("kill").args(["-KILL", &self.0]).status();
        assert!(kill.unwrap().success());
        wait_for("its end", || {
            let gone = !Path::new("/proc").join(&self.0).exists();
            gone.then_some(())
        });
    }
}

/// What a killed server leaves, and what it leaves when it is killed at the worst moment: an empty lock
/// file of the socket, or one whose process id is somebody else's by now.
#[test]
fn j3_stale_socket_pid_and_lock_files_do_not_matter() {
    for server in series() {
        let instance = Instance::new(server);
        drop(start_and_check(server, &instance));
        let run = instance.home().join("mysql/run");
        let somebody = std::process::id().to_string();
        for content in ["", somebody.as_str()] {
            for name in ["mysqld.pid", "mysqld.sock.lock"] {
                fs::write(run.join(name), content).unwrap();
            }
            drop(start_and_check(server, &instance));
        }
    }
}

#[test]
fn j2_what_filesystems_keep_beside_the_data_does_not_matter() {
    for server in series() {
        let instance = Instance::new(server);
        for name in ["lost+found", ".snapshot"] {
            fs::create_dir_all(instance.home().join("data").join(name)).unwrap();
        }
        fs::write(instance.home().join("data/.hidden"), "").unwrap();
        instance.sandbox.hand_over();
        let (_running, mut root) = start(&instance);
        let databases: Vec<String> = root.query("SHOW DATABASES").unwrap();
        assert!(!databases.concat().contains("lost"), "{databases:?}");
    }
}
