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
fn missing_package_is_named_with_the_command_that_installs_it() {
    // As root it would be installed, which needs a network.
    let user = is_root().then_some(65534);
    let world = World::of_user(user);
    let yml = format!("{BUILD_FILE}  systempackages: [bash, no-such-package-1]\n");
    world.write("dotcloud.yml", &yml);
    let push = world.push(2);
    assert!(
        push.stdout.contains(
            "  cause: not installed on this machine: no-such-package-1\n  next: sudo apt-get \
             install --no-install-recommends no-such-package-1\n"
        ),
        "{}",
        push.stdout
    );
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
