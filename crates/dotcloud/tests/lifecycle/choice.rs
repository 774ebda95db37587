//! Which runtime is taken on a machine whose OCI runtimes do not work, and what plain processes do
//! not enforce.

use std::path::PathBuf;

use super::RUNTIME;
use crate::world::{Printed, World};

/// `push` where every OCI runtime fails.
fn push(world: &World, choice: &str) -> Printed {
    let bin = world.code("bin");
    for name in ["runc", "crun"] {
        world.script(
            &format!("bin/{name}"),
            "echo first; echo \"no $0 here\" >&2; exit 1",
        );
    }
    // One that claims to have started something.
    world.script(
        "bin/youki",
        "until [ $# = 0 ]; do if [ $1 = --pid-file ]; then echo 1 >$2; fi; shift; done",
    );
    let path = [bin, PathBuf::from("/usr/bin"), PathBuf::from("/bin")];
    let output = world
        .command(["push", "--runtime", choice])
        .env("PATH", std::env::join_paths(path).unwrap())
        .output()
        .unwrap();
    Printed::of(&output)
}

#[test]
fn auto_takes_plain_processes_and_says_why() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let push = push(&world, "auto").with_status(0);
    push.position(
        "--> Runtime: process: no limit of memory or processes, no private file system\n",
    );
    push.position(
        "warning: no OCI runtime works here, so nothing isolates or limits the services: ",
    );
    push.position("/bin/crun ended with status 1: no ");
    push.position("/bin/youki: the container ");
    push.position("/trial is not running\n");
    assert_eq!(world.ask("db.0").matches("started").count(), 1);
    assert!(!world.state("trial").exists());
}

#[test]
fn oci_that_does_not_work_touches_nothing_that_runs() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let push = push(&world, "oci").with_status(1);
    push.position("dotcloud: error: no OCI runtime works on this machine\n  | /tmp/");
    push.position("\n  next: install one that does");
    assert_eq!(world.ask("db.0").matches("started").count(), 1);
    assert!(!world.state("trial").exists());
}

#[test]
fn memory_of_plain_processes_is_recorded_without_a_deployment() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let scale = world.dotcloud(["scale", "db:memory=500M"]).with_status(0);
    assert_eq!(
        scale.stdout,
        "Warning: nothing enforces a limit here: the memory is recorded and shown, and a service \
         can use more\n==> The scale is recorded\n"
    );
    assert!(
        scale
            .stderr
            .contains("==> Changing memory of db to 512.0 M"),
        "{}",
        scale.stderr
    );
    let info = world.dotcloud(["info", "db"]).stdout;
    assert!(info.contains("\nreserved memory: 512.0 M\n"), "{info}");
    world.push(0);
    let info = world.dotcloud(["info"]).stdout;
    assert!(
        info.contains("| db   | custom | 1          | 512.0 M "),
        "{info}"
    );
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
}
