//! `--rollback`: what does not come up gives `~/data` back.

use std::process::Stdio;

use super::RUNTIME;
use crate::world::{Running, World, wait_for};

/// Starts, notes it in `~/data`, and ends.
const BROKEN: &str = "echo broken >> ~/data/history; exit 3";

fn broken_push(world: &World) {
    world.script("app/server", BROKEN);
}

#[test]
fn rollback_brings_the_previous_container_and_its_data_back() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let address = world.address("db.0");
    broken_push(&world);
    let push = world.dotcloud(["push", "--rollback"]).with_status(2);
    push.position("db.0 failed to launch: rolling back");
    push.position("the new container of db.0 failed to launch: the previous one has its data back");
    // The same address, the same data, and what the new one did to them.
    assert_eq!(world.address("db.0"), address);
    let history = world.ask("db.0");
    assert_eq!(history.matches("started").count(), 2, "{history}");
    assert!(history.contains("broken"), "{history}");
    let containers = std::fs::read_dir(world.state("db.0")).unwrap().count();
    assert_eq!(containers, 1);

    world.write("app/server", crate::world::SERVER);
    world.push(0);
    assert_eq!(world.ask("db.0").matches("started").count(), 3);
}

#[test]
fn rollback_of_a_first_push_has_nothing_to_go_back_to() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script("app/server", "exit 3");
    let push = world.dotcloud(["push", "--rollback"]).with_status(2);
    push.position("db.0 does not serve: its new container failed to launch");
}

#[test]
fn rollback_killed_while_it_stops_the_new_one_loses_nothing() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    // Comes up, does not answer, and takes its time to end.
    let slow =
        "trap 'sleep 4; exit 0' TERM; echo slow >> ~/data/history; while true; do sleep 0.1; done";
    world.script("app/server", slow);
    let mut push = world.command(["push", "--rollback"]);
    push.env("DOTCLOUD_LAUNCH_LIMIT", "2")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut push = Running(push.spawn().unwrap());
    let log = world.state("deployments/2.log");
    wait_for("the way back", || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let back = text.split_once("rolling back")?.1;
        back.contains("Stopping").then_some(())
    });
    push.0.kill().unwrap();
    push.0.wait().unwrap();
    world.write("app/server", crate::world::SERVER);
    world.push(0);
    let history = world.ask("db.0");
    assert!(history.contains("slow"), "{history}");
    assert!(history.matches("started").count() >= 2, "{history}");
}
