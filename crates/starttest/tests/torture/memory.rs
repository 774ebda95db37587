//! The memory limit strikes during the first start. It needs the right to make a memory cgroup, and
//! says so where there is none.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::check::{PASSWORD, hook, on_each, start_and_check};
use crate::points::Sweep;
use crate::real::{Instance, Running, Server};
use crate::sandbox::{GROUP, USER, wait_for};

/// A server that swaps its own pages in and out may take for ever.
const PATIENCE: Duration = Duration::from_secs(20);

const MEGABYTE: u64 = 1 << 20;

/// A cgroup with a limit; removed with the test.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str, limit: u64) -> io::Result<Self> {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (top, file) = if v1.is_dir() {
            (v1, "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        };
        let path = top.join(format!("mysql-on-dotcloud-{}-{name}", std::process::id()));
        fs::create_dir(&path)?;
        let cgroup = Self(path);
        fs::write(cgroup.0.join(file), limit.to_string())?;
        Ok(cgroup)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // What was killed leaves it a moment later.
        wait_for("the cgroup's end", || fs::remove_dir(&self.0).ok());
    }
}

/// Whether the server served, although it had only `limit`.
fn serves(server: Server, instance: &Instance, name: &str, limit: u64) -> io::Result<bool> {
    let cgroup = Cgroup::new(name, limit)?;
    // Root joins, then gives up its rights.
    let mut command = std::process::Command::new("/bin/sh");
    command
        .env_clear()
        .envs(
            hook(instance, "starttest")
                .get_envs()
                .filter_map(|(k, v)| Some((k, v?))),
        )
        .current_dir(instance.home())
        .args([
            "-ec",
            "echo $$ >\"$0/cgroup.procs\"\n\
             exec setpriv --reuid=\"$1\" --regid=\"$2\" --clear-groups \"$3\"",
        ])
        .arg(&cgroup.0)
        .args([USER.to_string(), GROUP.to_string()])
        .arg(instance.home().join("starttest"));
    let mut running: Running = instance.start(&mut command);
    let begin = Instant::now();
    let outcome = loop {
        assert!(
            instance.try_root(None).is_none(),
            "{server:?}: root is open"
        );
        if instance.try_root(Some(PASSWORD)).is_some() {
            break true;
        }
        if running.0.try_wait()?.is_some() || begin.elapsed() > PATIENCE {
            break false;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    };
    // Orphaned initialisers too: the cgroup has to be empty.
    drop(running);
    for pid in fs::read_to_string(cgroup.0.join("cgroup.procs"))?.lines() {
        let _ = std::process::Command::new("kill")
            .args(["-KILL", pid])
            .status();
    }
    Ok(outcome)
}

#[test]
fn g6_first_start_out_of_memory_ends_complete() {
    if let Err(error) = Cgroup::new("probe", MEGABYTE) {
        let _ = writeln!(
            io::stderr(),
            "NOT TESTED: no memory cgroup can be made here: {error}"
        );
        return;
    }
    on_each(sweep);
}

fn sweep(server: Server) {
    Sweep::new(&format!("first start of {server:?} with little memory"), 5).each(1, |point| {
        let instance = Instance::new(server);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 5 to 9.3"
        )]
        let limit = (5.0 + 4.3 * point.fraction).exp2() as u64 * MEGABYTE;
        if point.index % 3 == 2 {
            // The vendor's initialiser takes more.
            fs::remove_dir_all(instance.home().join("mysql/seed")).unwrap();
        }
        let name = format!("{server:?}-{}", point.index);
        let answered = serves(server, &instance, &name, limit).unwrap();
        println!(
            "{server:?} with {} MB: answered: {answered}",
            limit / MEGABYTE
        );
        start_and_check(server, &instance);
    });
}
