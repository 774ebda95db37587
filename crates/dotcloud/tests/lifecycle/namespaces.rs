//! What an ordinary user gets of containers: all verbs where the kernel allows user namespaces, plain
//! processes and the reason where it does not.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use super::RUNTIME;
use crate::machine::limits_memory;
use crate::world::{Printed, World, processes_below, read, wait_for};

fn starts(world: &World) -> usize {
    world.ask("db.0").matches("started").count()
}

#[test]
fn every_verb_works_and_every_file_stays_the_users() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let push = world.dotcloud(["push", "--runtime", "auto"]).with_status(0);
    push.position("--> Runtime: oci, by /");
    push.position(", rootless");
    let user = world.home().metadata().unwrap().uid();
    let is_users = |world: &World| {
        for (pid, command) in processes_below(&world.home()) {
            let owner = std::fs::metadata(format!("/proc/{pid}")).unwrap().uid();
            assert_eq!(owner, user, "{command}");
        }
        for entry in walkdir::WalkDir::new(world.home()) {
            let entry = entry.unwrap();
            let owner = entry.metadata().unwrap().uid();
            assert_eq!(owner, user, "{}", entry.path().display());
        }
    };
    is_users(&world);
    // The data moves on.
    world.push(0);
    assert_eq!(starts(&world), 2);
    assert_eq!(world.ask("db.0").matches("ended").count(), 1);

    let run = world.dotcloud(["run", "db", "echo $HOME; exit 7"]);
    assert_eq!(run.with_status(7).stdout, "/home/dotcloud\n");
    // One can look at the other.
    let looked = world.run("db", "readlink /proc/$(pgrep -f ^python3.*server)/cwd");
    assert_eq!(looked, "/home/dotcloud\n");

    world.dotcloud(["restart", "db.0"]).with_status(0);
    let started = |count| {
        wait_for("the next start", || {
            let history = read(&world.address("db.0")).unwrap_or_default();
            (history.matches("started").count() == count).then_some(())
        });
    };
    started(3);
    world.dotcloud(["down"]).with_status(0);
    assert_eq!(processes_below(&world.home()), Vec::new());
    world.dotcloud(["up", "-A", "app"]).with_status(0);
    started(4);
    world.dotcloud(["env", "set", "COLOUR=blue"]).with_status(0);
    assert_eq!(starts(&world), 5);
    world.dotcloud(["scale", "db=2"]).with_status(0);
    assert_eq!(starts(&world), 6);
    assert_eq!(world.ask("db.1").matches("started").count(), 1);
    assert_eq!(world.run("db.1", "echo $COLOUR"), "blue\n");
    is_users(&world);
    world.dotcloud(["destroy", "-y"]).with_status(0);
    assert!(!world.state("").exists());
}

#[test]
fn orphan_is_reported_and_ended_and_a_killed_supervisord_started_again() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script("app/wrapper", "sleep 601 >/dev/null 2>&1 &\nexec ~/server");
    world.script("app/builder", "cp app/server app/wrapper ~");
    let yml = crate::world::BUILD_FILE.replace("~/server", "~/wrapper");
    world.write("dotcloud.yml", &yml);
    world.push(0);
    let push = world.push(0);
    push.position("is an orphan: it outlived what started it and is ended now: sleep 601");
    assert!(!push.stdout.contains("unshare"), "{}", push.stdout);
    for (pid, _) in processes_below(&world.state("db.0")) {
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
    }
    world.dotcloud(["restart", "db.0"]).with_status(0);
    wait_for("the third start", || {
        let history = read(&world.address("db.0")).unwrap_or_default();
        (history.matches("started").count() == 3).then_some(())
    });
}

#[test]
fn memory_without_a_limit_is_said_at_the_push_and_at_scale() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let push = world.push(0);
    let limited = limits_memory(RUNTIME);
    let told = push
        .stdout
        .matches("nothing limits the memory of the services: ");
    assert_eq!(told.count(), usize::from(!limited), "{}", push.stdout);
    let scale = world.dotcloud(["scale", "db:memory=64M"]).with_status(0);
    let warning = "Warning: nothing enforces a limit here: ";
    assert_eq!(scale.stdout.contains(warning), !limited, "{}", scale.stdout);
}

/// `push` where the kernel allows no user namespace: in one whose own limit of them is 0.
fn push_without_namespaces(world: &World, choice: &str) -> Printed {
    let user = world
        .code("dotcloud.yml")
        .parent()
        .unwrap()
        .metadata()
        .unwrap()
        .uid();
    let forbid = "echo 0 >/proc/sys/user/max_user_namespaces && \
                  exec setpriv --inh-caps=-all --ambient-caps=-all \"$@\"";
    let mut push = world.program("unshare");
    push.args(["--user", "--keep-caps"])
        .args([format!("--map-user={user}"), format!("--map-group={user}")])
        .args(["sh", "-c", forbid, "sh", env!("CARGO_BIN_EXE_dotcloud")])
        .args(["push", "--runtime", choice]);
    Printed::of(&push.output().unwrap())
}

#[test]
fn without_user_namespaces_it_is_plain_processes_and_the_reason() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let reason = "ordinary users may not make containers here: user.max_user_namespaces is 0";
    let push = push_without_namespaces(&world, "oci").with_status(1);
    push.position(&format!(
        "dotcloud: error: {reason}\n  next: have root allow it (sysctl -w \
         user.max_user_namespaces=15000); --runtime process does without\n"
    ));
    // Nothing was uploaded, or recorded.
    assert!(!push.stderr.contains("Uploaded"), "{}", push.stderr);
    assert_eq!(world.dotcloud(["revisions"]).stdout, "");
    for absent in ["code", "revisions", "trial"] {
        assert!(!world.state(absent).exists(), "{absent}");
    }
    let push = push_without_namespaces(&world, "auto").with_status(0);
    push.position("--> Runtime: process: ");
    push.position(&format!(
        "warning: no OCI runtime works here, so nothing isolates or limits the services: {reason} \
         (as root: sysctl -w user.max_user_namespaces=15000)\n"
    ));
    assert_eq!(starts(&world), 1);
    // Once it is allowed the data moves on.
    world
        .dotcloud(["push"])
        .with_status(0)
        .position("--> Runtime: oci, by /");
    assert_eq!(starts(&world), 2);
}
