//! Whoever has a database is killed at any point, or blink itself is: no process is left, and after the next
//! run no directory. `MOD_POINTS` and `MOD_SEED` say how often and where.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach helpers"
)]

mod world;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use testbed::points;

use blink::Blink;

use points::{Point, Sweep};
use world::{BLINK, SERVERS, World, cache, tarball, wait_until};

/// Where the caller finds the release's tarball, in its working directory; and says that it has a server.
const RELEASE: &str = "release";
const READY: &str = "ready";

/// Not a test by itself: a program that has a database until it is killed.
#[test]
#[ignore = "the tests here start it"]
fn caller() {
    let here = std::env::current_dir().unwrap();
    let release = fs::read_to_string(here.join(RELEASE)).unwrap();
    let _database = Blink::release(release)
        .executable(BLINK)
        .cache(cache())
        .directory(&here)
        .start()
        .unwrap();
    fs::write(here.join(READY), "").unwrap();
    std::thread::sleep(Duration::from_mins(10));
}

fn start_caller(world: &World, server: &str) -> Child {
    let release = tarball(server);
    fs::write(world.path().join(RELEASE), release.to_str().unwrap()).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["caller", "--exact", "--ignored"])
        .current_dir(world.path())
        .env_clear()
        .env("TMPDIR", world.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Processes that work in the directory `path`, as the caller and its `blink` do, from before they are
/// that, or whose arguments name it; and that have `also` among their arguments.
fn processes(path: &Path, also: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|pid| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words);
            let here = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == path);
            (here || words.contains(path.to_str().unwrap())) && words.contains(also)
        })
        .collect()
}

/// How long one takes to have a database, now.
fn usual(server: &str) -> Duration {
    let world = World::new();
    let start = Instant::now();
    let mut caller = start_caller(&world, server);
    wait_until("a database", || world.path().join(READY).exists());
    caller.kill().unwrap();
    caller.wait().unwrap();
    wait_until("its end", || processes(world.path(), "").is_empty());
    start.elapsed()
}

fn kill_at(point: &Point, server: &str, usual: Duration) {
    let world = World::new();
    let mut caller = start_caller(&world, server);
    std::thread::sleep(usual.mul_f64(point.fraction));
    if point.index.is_multiple_of(2) {
        caller.kill().unwrap();
    } else {
        for pid in processes(world.path(), "--until-eof") {
            let mut kill = Command::new("kill");
            let _ = kill.args(["-KILL", &pid]).stderr(Stdio::null()).status();
        }
        // It has seen that.
        let _ = caller.kill();
    }
    caller.wait().unwrap();
    wait_until("the end of all processes", || {
        processes(world.path(), "").is_empty()
    });
    let mut next = world.blink();
    next.arg(tarball(server)).args(["--", "true"]);
    assert!(next.status().unwrap().success());
    assert!(world.homes().is_empty(), "{:?}", world.homes());
    let own = world
        .path()
        .join(format!("blink-{}", rustix::process::geteuid().as_raw()));
    assert_eq!(fs::read_dir(own).unwrap().count(), 0, "no lock either");
}

#[test]
fn killed_at_any_point_nothing_is_left() {
    let usual: Vec<Duration> = SERVERS.iter().map(|server| usual(server)).collect();
    Sweep::new("killed_at_any_point_nothing_is_left", 1).each(2, |point| {
        let at = usize::try_from(point.index / 2).unwrap() % SERVERS.len();
        kill_at(point, SERVERS[at], usual[at]);
    });
}
