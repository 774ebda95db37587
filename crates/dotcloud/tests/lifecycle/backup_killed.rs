//! Copies of changes and their replay, killed with -9 at random points: `make torture` does it a hundred times.

use std::fs;
use std::time::{Duration, Instant};

use super::backup::{backups, made, world};
use crate::points::Sweep;
use crate::world::{World, wait_for};

/// In the far future: everything.
const EVERYTHING: [&str; 6] = [
    "restore",
    "-y",
    "db",
    "latest",
    "--at",
    "2100-01-01 00:00:00Z",
];

fn write(world: &World, line: &str) {
    world.run("db.0", &format!("echo {line} >> ~/data/history"));
}

/// Kills `dotcloud` with `words` after `time`.
fn kill_after(world: &World, words: &[&str], time: Duration) {
    let mut child = world.command(words).spawn().unwrap();
    std::thread::sleep(time);
    let _ = child.kill();
    let _ = child.wait();
}

/// How often `line` was replayed, as the service tells its lines.
fn replayed(history: &str, line: &str) -> usize {
    let (_, replayed) = history
        .split_once("replayed until")
        .unwrap_or_else(|| panic!("nothing was replayed: {history}"));
    let is_it = |found: &&str| found.split_whitespace().any(|word| word == line);
    replayed.lines().filter(is_it).count()
}

#[test]
#[ignore = "long; make torture runs it"]
fn ship_killed_at_random_copies_every_change_once() {
    let Some(world) = world() else { return };
    made(&world, &["backup"]);
    let ship = ["backup", "--ship"];
    write(&world, "line");
    let begin = Instant::now();
    world.dotcloud(ship).with_status(0);
    let whole = begin.elapsed();
    let mut points = 0;
    Sweep::usually("ship", 3).in_turn(|point| {
        write(&world, &format!("line-{}", point.index));
        kill_after(&world, &ship, whole.mul_f64(point.fraction * 1.1));
        // What serves is untouched, and what is listed can be read back.
        assert!(world.ask("db.0").contains(&format!("line-{}", point.index)));
        points = point.index + 1;
    });
    world.dotcloud(ship).with_status(0);
    let staging = fs::read_dir(backups(&world).join("staging")).unwrap();
    assert_eq!(staging.count(), 0);
    world.dotcloud(EVERYTHING).with_status(0);
    let history = world.ask("db.0");
    for point in 0..points {
        let line = format!("line-{point}");
        assert_eq!(replayed(&history, &line), 1, "{line}: {history}");
    }
}

#[test]
#[ignore = "long; make torture runs it"]
fn restore_to_a_moment_killed_at_random_goes_back_or_on() {
    let Some(world) = world() else { return };
    let id = made(&world, &["backup"]);
    write(&world, "changed");
    world.dotcloud(["backup", "--ship"]).with_status(0);
    let begin = Instant::now();
    world.dotcloud(EVERYTHING).with_status(0);
    let whole = begin.elapsed();
    // The service in miniature numbers its lines only: those that were replayed would be copied as new ones.
    let as_before = || {
        world
            .dotcloud(["restore", "-y", "db.0", &id])
            .with_status(0);
    };
    let mut complete = 0;
    Sweep::usually("restore --at", 3).in_turn(|point| {
        as_before();
        let mark = format!("mark-{}", point.index);
        write(&world, &mark);
        // Longer than the first one, which had nothing to copy first.
        kill_after(&world, &EVERYTHING, whole.mul_f64(point.fraction * 1.5));
        world.dotcloud(["restart", "db.0"]).with_status(0);
        let history = wait_for("the service", || {
            let text = world.ask("db.0");
            (!text.is_empty()).then_some(text)
        });
        if history.contains("replayed until") {
            complete += 1;
            assert_eq!(replayed(&history, "changed"), 1, "{history}");
        } else {
            assert!(history.contains(&mark), "{history}");
        }
    });
    println!("{complete} were complete");
    as_before();
    world.dotcloud(EVERYTHING).with_status(0);
    assert_eq!(replayed(&world.ask("db.0"), "changed"), 1);
}
