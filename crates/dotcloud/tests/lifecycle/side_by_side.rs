//! Instances that are deployed side by side: each in its own order, a failure of one is no other's.

use super::RUNTIME;
use crate::world::{BUILD_FILE, Printed, SERVER, World, wait_for};

const COUNT: usize = 6;

fn push(world: &World, parallel: &str, status: i32) -> Printed {
    let mut command = world.command(["push"]);
    let output = command.env("DOTCLOUD_PARALLEL", parallel).output().unwrap();
    let printed = Printed::of(&output).with_status(status);
    // What several say at once stays in whole lines, each with its speaker.
    let log = world
        .dotcloud(["dlogs", "-N", "latest"])
        .with_status(0)
        .stdout;
    for line in log.lines() {
        let said = line.get(15..).unwrap_or_default();
        let whole = said.starts_with(": --> ") || said.starts_with(": [");
        assert!(whole && line.matches(": [db.").count() <= 1, "{line}");
    }
    printed
}

fn several() -> Option<World> {
    let world = World::new(RUNTIME)?;
    let several = BUILD_FILE.replace("  process", &format!("  instances: {COUNT}\n  process"));
    world.write("dotcloud.yml", &several);
    Some(world)
}

/// How often each instance was started.
fn starts(world: &World) -> Vec<usize> {
    let count = |number| {
        let history = world.ask(&format!("db.{number}"));
        history.matches("started").count()
    };
    (0..COUNT).map(count).collect()
}

#[test]
fn instances_with_data_are_switched_side_by_side_each_in_its_order() {
    let Some(world) = several() else {
        return;
    };
    push(&world, "3", 0);
    let second = push(&world, "3", 0);
    assert_eq!(starts(&world), [2; COUNT]);
    let first_done = second.position("[db.0] Re-routing");
    // The first alone, then the others.
    assert!(first_done < second.position("[db.1] Stopping"));
    assert!(second.position("[db.2] Stopping") < second.position("[db.1] Re-routing"));
    for number in 0..COUNT {
        let steps = [
            "Initialized",
            "Stopping",
            "Moving",
            "Launching",
            "Re-routing",
        ];
        let places = steps.map(|step| second.position(&format!("[db.{number}] {step}")));
        assert!(places.is_sorted(), "{places:?}");
        let history = world.ask(&format!("db.{number}"));
        let words: Vec<&str> = history
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(words, ["started", "ended", "started"]);
    }
    // One after the other, for whoever wants it so.
    let third = push(&world, "1", 0);
    for number in 1..COUNT {
        let before = third.position(&format!("[db.{}] Re-routing", number - 1));
        assert!(before < third.position(&format!("[db.{number}] Stopping")));
    }
    world.dotcloud(["down"]).with_status(0);
    world
        .dotcloud(["up", "-A", "app"])
        .with_status(0)
        .position("app: started 6 of 6 instance(s)");
    wait_for("all of them", || {
        let all = (0..COUNT).all(|number| {
            let address = world.address(&format!("db.{number}"));
            crate::world::read(&address).is_ok_and(|text| text.contains("started"))
        });
        all.then_some(())
    });
    assert_eq!(starts(&world), [4; COUNT]);
}

#[test]
fn one_instance_that_fails_leaves_the_others_what_they_have() {
    let Some(world) = several() else {
        return;
    };
    push(&world, "3", 0);
    let break_one = |number: usize| {
        let check = format!(
            "if os.environ[\"HOSTNAME\"].endswith(\"-{number}\"): sys.exit(\"not this one\")\nhome = os"
        );
        world.write("app/server", &SERVER.replace("home = os", &check));
        let failed = push(&world, "3", 2);
        failed.position(&format!(
            "db.{number} does not serve: its new container failed to launch"
        ));
        let status = world.dotcloud(["status", "db"]).with_status(0).stdout;
        assert_eq!(status.matches(":  up").count(), COUNT - 1, "{status}");
    };
    // The first of a service goes ahead: nothing was begun with the others.
    break_one(0);
    for number in 1..COUNT {
        let history = world.ask(&format!("db.{number}"));
        assert_eq!(history.matches("started").count(), 1);
    }
    break_one(1);
    world.write("app/server", SERVER);
    push(&world, "3", 0);
    let starts = starts(&world);
    assert_eq!((starts[0], starts[1]), (3, 2), "{starts:?}");
}
