//! A state directory that is not where it was: moved, it goes on; copied, it leaves the original alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::RUNTIME;
use crate::world::{Printed, World, processes_below, wait_for};

/// A name beside the state directory.
fn beside(world: &World, name: &str) -> PathBuf {
    world.home().with_file_name(name)
}

fn with(world: &World, home: &Path, words: &[&str]) -> Printed {
    let mut command = world.command(words);
    Printed::of(&command.env("DOTCLOUD_HOME", home).output().unwrap())
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

/// How often the service was started, once it has been `times` times.
#[track_caller]
fn started(address: &str, times: usize) {
    wait_for("the service", || {
        let history = crate::world::read(address).unwrap_or_default();
        (history.matches("started").count() == times).then_some(())
    });
}

#[test]
fn moved_state_directory_comes_up_where_it_is() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let address = world.address("db.0");
    world.dotcloud(["down"]).with_status(0);
    let (first, second) = (beside(&world, "h2"), beside(&world, "h3"));
    std::fs::rename(world.home(), &first).unwrap();
    let up = with(&world, &first, &["up", "-A", "app"]).with_status(0);
    up.position("app: started 1 of 1 instance(s)");
    let moved = format!("was moved here from {}: ", world.home().display());
    assert!(up.stderr.contains(&moved), "{}", up.stderr);
    started(&address, 2);
    // Once is enough.
    let again = with(&world, &first, &["up", "-A", "app"]).with_status(0);
    again.position("app: started 0 of 1 instance(s)");
    assert!(!again.stderr.contains("moved"), "{}", again.stderr);

    // By another name it was not moved.
    let link = beside(&world, "h4");
    std::os::unix::fs::symlink(&first, &link).unwrap();
    let again = with(&world, &link, &["up", "-A", "app"]).with_status(0);
    again.position("app: started 0 of 1 instance(s)");
    assert!(!again.stderr.contains("moved"), "{}", again.stderr);
    started(&address, 2);

    // While it runs; whatever follows.
    std::fs::rename(&first, &second).unwrap();
    with(&world, &second, &["restart", "db.0"]).with_status(0);
    started(&address, 3);
    let home = with(
        &world,
        &second,
        &["run", "db.0", "echo $HOME; cat ~/data/history"],
    );
    assert_eq!(home.with_status(0).stdout.matches("started").count(), 3);
    std::fs::rename(&second, &first).unwrap();
    with(&world, &first, &["push"]).with_status(0);
    started(&address, 4);
    std::fs::rename(&first, &second).unwrap();
    with(&world, &second, &["up"])
        .with_status(0)
        .position("app: started 1 of 1");
    started(&address, 5);
    with(&world, &second, &["destroy", "-y"]).with_status(0);
    assert_eq!(processes_below(&second), []);
}

#[test]
fn copied_state_directory_leaves_the_original_alone() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let address = world.address("db.0");
    let backup = beside(&world, "h2");
    copy(&world.home(), &backup);
    let refused = format!(
        "{} is a copy of the state directory {}, which is still there\n",
        backup.display(),
        world.home().display()
    );
    let refuse = || {
        for words in [
            &["up", "-A", "app"][..],
            &["push"],
            &["restart", "db.0"],
            &["run", "db.0", "true"],
            &["scale", "db=2"],
            &["env", "set", "A=b"],
            &["create", "-o", "other"],
        ] {
            with(&world, &backup, words)
                .with_status(1)
                .position(&refused);
        }
        let status = with(&world, &backup, &["status", "db"]).with_status(0);
        assert!(status.stdout.starts_with("db.0:  down\n"), "{status:?}");
        let says = format!(
            "is a copy of {}: nothing of it runs",
            world.home().display()
        );
        assert!(status.stderr.contains(&says), "{status:?}");
    };
    let running = processes_below(&world.home());
    refuse();
    assert_eq!(processes_below(&world.home()), running);
    with(&world, &backup, &["down"]).with_status(0);
    started(&address, 1);
    world.dotcloud(["down"]).with_status(0);
    refuse();
    world.dotcloud(["up", "-A", "app"]).with_status(0);
    started(&address, 2);
    let running = processes_below(&world.home());
    with(&world, &backup, &["destroy", "-y"]).with_status(0);
    assert_eq!(processes_below(&world.home()), running);
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
}

#[test]
fn copied_state_directory_comes_up_when_the_original_is_gone() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let address = world.address("db.0");
    let backup = beside(&world, "h2");
    copy(&world.home(), &backup);
    world.run("db.0", "echo later > ~/data/later");
    world.dotcloud(["destroy", "-y"]).with_status(0);
    with(&world, &backup, &["up"])
        .with_status(0)
        .position("app: started 1 of 1");
    started(&address, 2);
    let data = with(&world, &backup, &["run", "db.0", "ls ~/data"]).with_status(0);
    assert_eq!(data.stdout, "history\n");
    with(&world, &backup, &["push"]).with_status(0);
    started(&address, 3);
    with(&world, &backup, &["destroy", "-y"]).with_status(0);
    assert_eq!(processes_below(&backup), []);
}

#[test]
fn copied_state_directory_gets_ports_of_its_own_when_told() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    world
        .dotcloud(["up", "--as-copy"])
        .with_status(1)
        .position("is no copy of a state directory that is still there\n");
    let address = world.address("db.0");
    let copied = beside(&world, "h2");
    copy(&world.home(), &copied);
    let up = with(&world, &copied, &["up", "--as-copy"]).with_status(0);
    up.position("==> Application is live at ");
    let url = with(&world, &copied, &["url", "db"]).with_status(0).stdout;
    let (_, own) = url.trim().split_once("tcp://").unwrap();
    assert_ne!(own, address);
    // Each has the rows of then, and goes on by itself.
    started(own, 2);
    started(&address, 1);
    with(&world, &copied, &["restart", "db.0"]).with_status(0);
    started(own, 3);
    with(&world, &copied, &["destroy", "-y"]).with_status(0);
    started(&address, 1);
    assert_eq!(processes_below(&copied), []);
}
