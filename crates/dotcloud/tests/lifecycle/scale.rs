//! `scale`: instances come and go with their data.

use super::RUNTIME;
use crate::world::{BUILD_FILE, World, processes_below};

#[test]
fn scale_up_and_down_wins_over_the_build_file_and_asks_before_data_goes() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let first = world.address("db.0");
    let up = world.dotcloud(["scale", "db=3"]).with_status(0);
    up.position("[db.2] Launching");
    up.position("==> The scale is recorded\n");
    assert!(
        up.stderr.contains("==> Changing instances of db to 3\n"),
        "{}",
        up.stderr
    );
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
    let second = world.address("db.1");
    let variables = world.run("db.2", "env");
    for line in [
        "DOTCLOUD_DB_INSTANCES=3".to_owned(),
        format!("DOTCLOUD_DB_DB_URL_1=tcp://{second}"),
    ] {
        assert!(variables.lines().any(|found| found == line), "{variables}");
    }
    let push = world.push(0);
    assert!(!push.stdout.contains("warning"), "{}", push.stdout);
    assert_eq!(world.address("db.1"), second);

    let down = world.dotcloud(["scale", "db:instances=1"]).with_status(1);
    let question = "Remove db.1 with its ~/data, db.2 with its ~/data for ever? [y/N]: ";
    assert!(down.stderr.contains(question), "{}", down.stderr);
    down.position("error: nothing was scaled");
    assert_eq!(world.ask("db.1").matches("started").count(), 2);

    let down = world.dotcloud(["scale", "-y", "db=1"]).with_status(0);
    down.position("[db.2] Removing the instance and its data: scaled down");
    assert!(!world.run("db.0", "env").contains("DB_DB_URL_1="));
    assert!(!world.state("db.1").exists());
    assert!(std::net::TcpStream::connect(second).is_err());
    assert_eq!(world.address("db.0"), first);
    assert_eq!(world.ask("db.0").matches("started").count(), 4);
    let below = |name: &str| processes_below(&world.state(name));
    assert_eq!((below("db.1"), below("db.2")), (Vec::new(), Vec::new()));
    // Not what was there before.
    world.dotcloud(["scale", "db=2"]).with_status(0);
    assert_eq!(world.ask("db.1").matches("started").count(), 1);
}

#[test]
fn scale_down_whose_deployment_fails_removes_nothing_yet() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.write("dotcloud.yml", &format!("{BUILD_FILE}  instances: 2\n"));
    world.script("app/postinstall", "test -z \"$BREAK\"");
    world.push(0);
    world.dotcloud(["env", "set", "BREAK=1"]).with_status(0);
    let down = world.dotcloud(["scale", "-y", "db=1"]).with_status(0);
    down.position("THE DEPLOYMENT FAILED");
    down.position("The scale is recorded, for the next deployment");
    assert!(world.ask("db.1").starts_with("started"));
    // Taken back in time.
    world.dotcloud(["scale", "db=2"]).with_status(0);
    world.dotcloud(["env", "unset", "BREAK"]).with_status(0);
    assert_eq!(world.ask("db.1").matches("started").count(), 2);
}

#[test]
fn scale_needs_every_service_in_the_build_file() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let other = BUILD_FILE.replace("db:\n  type", "other:\n  type");
    world.write("dotcloud.yml", &format!("{BUILD_FILE}{other}"));
    world.push(0);
    world.write("dotcloud.yml", BUILD_FILE);
    world.push(0);
    let scale = world.dotcloud(["scale", "db=2"]).with_status(1);
    scale.position("the service 'other' exists, but is not in the dotcloud.yml");
    world.dotcloud(["scale", "web=2"]).with_status(1);
    world.dotcloud(["scale", "db=0"]).with_status(1);
    world.dotcloud(["scale", "other:memory=1G"]).with_status(0);
}
