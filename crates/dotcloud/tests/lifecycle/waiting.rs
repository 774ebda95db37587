//! Commands at the same time: one waits for the other.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::RUNTIME;
use crate::world::{Running, World, wait_for};

#[test]
fn second_push_waits_for_the_first() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script(
        "app/builder",
        "while [ -e /proc/$PPID ] && [ ! -e \"$SERVICE_GATE\" ]; do sleep 0.05; done\ncp app/server ~",
    );
    let gate = world.code("gate");
    let yml = format!("{}  gate: {}\n", crate::world::BUILD_FILE, gate.display());
    world.write("dotcloud.yml", &yml);
    let mut first = Running(
        world
            .command(["push"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    wait_for("the first build", || {
        world.state("db.build/code").exists().then_some(())
    });
    let mut second = Running(
        world
            .command(["push"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut stderr = BufReader::new(second.0.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("waiting until it is done"), "{line}");
    std::fs::write(&gate, "").unwrap();
    assert_eq!(first.0.wait().unwrap().code(), Some(0));
    // Its pipe must not fill up.
    std::io::copy(&mut stderr, &mut std::io::sink()).unwrap();
    assert_eq!(second.0.wait().unwrap().code(), Some(0));
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
}
