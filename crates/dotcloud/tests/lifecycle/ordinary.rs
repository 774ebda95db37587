//! What an ordinary user's `dotcloud` does, which needs no root; as root we can be one.

use crate::world::{BUILD_FILE, World, is_root};

#[test]
fn ordinary_user_runs_everything_as_that_user() {
    // As root we can be one; else we are one already.
    let world = World::of_user(is_root().then_some(65534));
    world.push(0);
    world.push(0);
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
    if is_root() {
        assert_eq!(world.run("db.0", "id -u"), "65534\n");
    }
}

#[test]
fn missing_packages_are_named_with_the_command_that_installs_them_and_nothing_changes() {
    // As root they would be installed.
    let world = World::of_user(is_root().then_some(65534));
    world.push(0);
    // But for the use of memory, which changes by itself.
    let info = || {
        let told = world.dotcloud(["info", "db"]).stdout;
        let lines = told.lines().filter(|line| !line.starts_with("memory: "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (before, revisions) = (info(), world.dotcloud(["revisions"]));
    let with = |packages: &str| format!("{BUILD_FILE}  systempackages: [{packages}]\n");
    let other = with("none-1, none-2").replace("db:\n  type", "web:\n  type");
    world.write("dotcloud.yml", &(with("bash, none-1") + &other));
    let push = world.push(2);
    let error = push.position("dotcloud: error: ");
    assert_eq!(
        push.stdout[error..],
        *"dotcloud: error: the services' systempackages are not there\n  cause: not installed on this \
          machine: none-1, none-2\n  next: sudo apt-get install --no-install-recommends none-1 none-2\n"
    );
    assert!(!push.stdout.contains("Build of"), "{}", push.stdout);
    assert_eq!(info(), before);
    // What was uploaded is there, and does not run.
    let now = world.dotcloud(["revisions"]).stdout;
    assert!(now.starts_with(&revisions.stdout), "{now}");
    assert_eq!(now.matches('*').count(), 1, "{now}");
    assert_eq!(world.ask("db.0").matches("started").count(), 1);
    world.write("dotcloud.yml", &with("bash"));
    world.push(0);
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
}

#[test]
fn data_that_cannot_be_moved_stays_and_its_owner_is_started_again() {
    // Root could move it all the same.
    let world = World::of_user(is_root().then_some(65534));
    world.push(0);
    world.run("db.0", "chmod 0500 ~");
    let push = world.push(2);
    assert!(push.stdout.contains("cannot move "), "{}", push.stdout);
    let history = crate::world::wait_for("the old one", || {
        let history = crate::world::read(&world.address("db.0")).unwrap_or_default();
        (history.matches("started").count() == 2).then_some(history)
    });
    assert!(history.contains("ended"), "{history}");
    world.run("db.0", "chmod 0700 ~");
    world.push(0);
    assert_eq!(world.ask("db.0").matches("started").count(), 3);
}
