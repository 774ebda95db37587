//! What a failed deployment leaves: the previous instance, serving; status 2; and the reason.

use std::fs;

use super::RUNTIME;
use crate::world::{BUILD_FILE, World, processes_below};

/// Breaks a working application by `break_it`, pushes, and sees that the old instance serves on.
#[track_caller]
fn fails_and_old_one_serves(break_it: impl FnOnce(&World), reason: &str, error: &str) {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let before = world.ask("db.0");
    break_it(&world);
    let push = world.push(2);
    push.position(reason);
    assert!(push.stdout.contains(error), "{}", push.stdout);
    assert!(push.stdout.contains("next: "), "{}", push.stdout);
    assert_eq!(world.ask("db.0"), before);
    assert!(world.state("db.0/1").exists());
    assert!(!world.state("db.0/2").exists());
    assert!(!world.state("db.build").exists());
    assert_eq!(
        world.dotcloud(["status", "db"]).stdout.lines().next(),
        Some("db.0:  up")
    );
}

#[test]
fn failing_prebuild_leaves_the_old_one() {
    fails_and_old_one_serves(
        |world| {
            let yml = format!("{BUILD_FILE}  prebuild: echo no; exit 3\n");
            world.write("dotcloud.yml", &yml);
        },
        "[db] no\n",
        "the build of db failed\n  cause: its prebuild failed\n  cause: it ended with exit status: 3",
    );
}

#[test]
fn failing_buildscript_leaves_the_old_one() {
    fails_and_old_one_serves(
        |world| world.script("app/builder", "echo no >&2; exit 1"),
        "[db] no\n",
        "its buildscript failed",
    );
}

#[test]
fn failing_postbuild_leaves_the_old_one() {
    fails_and_old_one_serves(
        |world| {
            world.write(
                "dotcloud.yml",
                &format!("{BUILD_FILE}  postbuild: 'false'\n"),
            );
        },
        "[db] Running postbuild",
        "its postbuild failed",
    );
}

#[test]
fn failing_postinstall_leaves_the_old_one() {
    fails_and_old_one_serves(
        |world| world.script("app/postinstall", "mkdir -p ~/data; echo no; exit 4"),
        "[db.0] no\n",
        "the postinstall of db.0 failed\n  cause: it ended with exit status: 4",
    );
}

/// A re-push that sets the limit `name` to a second ends with 2; the old one serves, and nothing
/// that the hook started is left.
fn over_its_limit(world: &World, name: &str) {
    let begun = processes_below(&world.home()).len();
    let output = world.command(["push"]).env(name, "1").output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{stdout}");
    assert!(
        stdout.contains("it was killed: it took longer than 1 s"),
        "{stdout}"
    );
    assert_eq!(processes_below(&world.home()).len(), begun);
    assert_eq!(world.ask("db.0").matches("started").count(), 1);
}

#[test]
fn build_and_postinstall_over_their_limits_are_killed_and_the_old_one_serves() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    world.script("app/builder", "echo begun; sleep 601 & sleep 600");
    over_its_limit(&world, "DOTCLOUD_BUILD_LIMIT");
    world.script("app/builder", "cp app/server ~/server");
    world.script("app/postinstall", "echo begun; sleep 601 & sleep 600");
    over_its_limit(&world, "DOTCLOUD_POSTINSTALL_LIMIT");
}

#[test]
fn program_that_does_not_stay_up_fails_the_first_push_with_its_last_words() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script("app/server", "echo my last words; exit 1");
    let push = world.push(2);
    push.position("--> Deployment failed: db.0 does not serve");
    assert!(push.stdout.contains("  | my last words"), "{}", push.stdout);
    let data = world.state("db.0/1/home");
    assert!(
        push.stdout.contains(&*data.to_string_lossy()),
        "{}",
        push.stdout
    );
    assert_eq!(
        world.dotcloud(["status", "db"]).stdout.lines().next(),
        Some("db.0:  down")
    );
    let log = world.dotcloud(["logs", "-N", "db"]).with_status(0).stdout;
    assert!(log.contains("[db.0] my last words"), "{log}");
}

#[test]
fn failed_launch_after_the_move_keeps_the_data_and_the_next_push_serves_it() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    world.script("app/server", "echo broken; exit 1");
    world.push(2);
    let kept = world.state("db.0/2/home/data/history");
    assert!(fs::read_to_string(&kept).unwrap().starts_with("started"));
    world.write("app/server", crate::world::SERVER);
    world.push(0);
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
}

#[test]
fn failed_launch_beside_an_old_one_without_data_leaves_it_serving() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let plain = crate::world::SERVER
        .replace("/data/history", "/history")
        .replace("os.makedirs(home + \"/data\", exist_ok=True)\n", "");
    world.write("app/server", &plain);
    world.push(0);
    let before = world.ask("db.0");
    world.script("app/server", "exit 1");
    let push = world.push(2);
    assert!(
        push.stdout.contains("the previous one serves on"),
        "{}",
        push.stdout
    );
    assert_eq!(world.ask("db.0"), before);
}

#[test]
fn silent_port_fails_after_the_limit() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script("app/server", "exec sleep 600");
    let output = world
        .command(["push"])
        .env("DOTCLOUD_LAUNCH_LIMIT", "2")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{stdout}");
    assert!(stdout.contains("does not answer after 2 s"), "{stdout}");
}

#[test]
fn bad_build_file_changes_nothing() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let before = world.ask("db.0");
    let record = fs::read_to_string(world.state("state.json")).unwrap();
    world.write("new-file", "x");
    for (content, text) in [
        (
            Some("db:\n  type: nonsense\n"),
            "dotcloud.yml has 1 problem",
        ),
        (Some(""), "dotcloud.yml has 1 problem"),
        (None, "cannot read "),
    ] {
        match content {
            Some(content) => world.write("dotcloud.yml", content),
            None => fs::remove_file(world.code("dotcloud.yml")).unwrap(),
        }
        let push = world.push(1);
        assert!(push.stdout.contains(text), "{}", push.stdout);
        assert!(
            push.stdout.contains("nothing was changed"),
            "{}",
            push.stdout
        );
    }
    assert!(!world.state("code/new-file").exists());
    assert_eq!(
        fs::read_to_string(world.state("state.json")).unwrap(),
        record
    );
    assert_eq!(world.ask("db.0"), before);
}
