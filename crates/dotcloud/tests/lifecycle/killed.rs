//! `dotcloud` killed in the middle of a push: the next one finds out who owns the data.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::RUNTIME;
use crate::world::{Running, World, processes_below, wait_for};

fn begun_push(world: &World) -> Running {
    let mut push = world.command(["push"]);
    push.stdout(Stdio::null()).stderr(Stdio::null());
    Running(push.spawn().unwrap())
}

#[test]
fn push_killed_during_postinstall_is_cleared_away_by_the_next() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    world.script("app/postinstall", "echo begun > ~/begun; exec sleep 600");
    let mut push = begun_push(&world);
    let begun = world.state("db.0/2/home/begun");
    wait_for("postinstall", || begun.exists().then_some(()));
    push.0.kill().unwrap();
    push.0.wait().unwrap();
    assert_eq!(world.ask("db.0").matches("started").count(), 1);

    world.script("app/postinstall", "true");
    world.push(0);
    let history = world.ask("db.0");
    assert_eq!(history.matches("started").count(), 2, "{history}");
    assert!(!world.state("db.0/2").exists());
    let sleeping = processes_below(&world.home())
        .into_iter()
        .any(|(_, command)| command.contains("sleep 600"));
    assert!(!sleeping);
}

#[test]
fn push_killed_while_the_old_one_stops_leaves_the_data_where_it_is() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    // Long enough to be hit, shorter than supervisord's patience.
    let slow = crate::world::SERVER.replace("time.sleep(0.3)", "time.sleep(3)");
    world.write("app/server", &slow);
    world.push(0);
    let mut push = begun_push(&world);
    let record = world.state("state.json");
    wait_for("the handover", || {
        let text = fs::read_to_string(&record).unwrap();
        text.contains("taking-over").then_some(())
    });
    push.0.kill().unwrap();
    push.0.wait().unwrap();
    assert!(world.state("db.0/1/home/data/history").exists());

    let push = world.push(0);
    push.position("interrupted before ~/data moved: the previous instance keeps it");
    let history = world.ask("db.0");
    assert!(history.matches("started").count() >= 2, "{history}");
    assert!(history.matches("ended").count() >= 1, "{history}");
}

#[test]
fn push_killed_after_the_move_keeps_the_data_in_the_new_one() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    world.push(0);
    // As a kill between the rename and the record of it would leave it: by hand, since no test
    // can hit that moment.
    world.script("app/postinstall", "echo begun > ~/begun; exec sleep 600");
    let mut push = begun_push(&world);
    let begun = world.state("db.0/3/home/begun");
    wait_for("postinstall", || begun.exists().then_some(()));
    push.0.kill().unwrap();
    push.0.wait().unwrap();
    let record = world.state("state.json");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replace("\"preparing\"", "\"taking-over\"")).unwrap();
    let data = |generation| world.state(&format!("db.0/{generation}/home/data"));
    fs::rename(data(2), data(3)).unwrap();

    world.script("app/postinstall", "true");
    let push = world.push(0);
    push.position("interrupted after ~/data had moved: the new instance keeps it");
    let history = world.ask("db.0");
    assert!(history.matches("started").count() >= 3, "{history}");
    assert!(!world.state("db.0/2").exists());
}

#[test]
fn interrupted_push_ends_its_hook_and_says_so() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script("app/builder", "exec sleep 600");
    let mut child = Running(
        world
            .command(["push"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    wait_for("the builder", || {
        processes_below(&world.home())
            .iter()
            .any(|(_, command)| command.contains("sleep 600"))
            .then_some(())
    });
    let pid = child.0.id().to_string();
    std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    let status = child.0.wait().unwrap();
    assert_eq!(status.code(), Some(2));
    let mut text = String::new();
    let mut stdout = child.0.stdout.take().unwrap();
    std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
    assert!(text.contains("it was interrupted"), "{text}");
    assert_eq!(processes_below(&world.home()), Vec::new());
}

#[test]
fn pushes_killed_at_any_moment_never_lose_a_row() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script(
        "app/postinstall",
        "mkdir -p ~/data; echo shadow > ~/data/shadow",
    );
    world.push(0);
    world.run("db.0", "echo row > ~/data/row");
    // A push takes about 3 s; what matters most happens in its second half.
    for delay in (200..3600).step_by(340) {
        let mut push = Running(
            world
                .command(["push"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let end = Instant::now() + Duration::from_millis(delay);
        wait_for("the moment to kill", || {
            (Instant::now() >= end || push.0.try_wait().unwrap().is_some()).then_some(())
        });
        push.0.kill().unwrap();
        push.0.wait().unwrap();
    }
    world.push(0);
    assert_eq!(world.run("db.0", "cat ~/data/row"), "row\n");
    let history = world.ask("db.0");
    let servers = processes_below(&world.home())
        .into_iter()
        .filter(|(_, command)| command.contains("python3") && command.trim().ends_with("/server"));
    assert_eq!(servers.count(), 1, "{history}");
    let containers = fs::read_dir(world.state("db.0")).unwrap().count();
    assert_eq!(containers, 1);
}
