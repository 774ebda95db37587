//! `env`: variables of the whole application, and that their values stay secret.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::RUNTIME;
use crate::world::{BUILD_FILE, World, processes_below};

const SECRET: &str = "hunter2=x y";

#[test]
fn env_overrides_the_build_file_and_redeploys() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let before = world.dotcloud(["env", "set", "COLOUR=red"]).with_status(0);
    before.position("==> The variables are recorded, for the first push");
    world.write(
        "dotcloud.yml",
        &format!("{BUILD_FILE}  environment:\n    COLOUR: blue\n    SIZE: 7\n"),
    );
    world.script(
        "app/builder",
        "echo \"build: $COLOUR $SIZE\"\ncp app/server ~",
    );
    world.push(0).position("[db] build: red 7");
    assert_eq!(world.run("db", "echo $COLOUR $SIZE"), "red 7\n");

    // The code that lies here now is not what is deployed.
    world.script("app/builder", "exit 1");
    let assignment = format!("PASSWORD={SECRET}");
    let set = world
        .dotcloud(["env", "set", &assignment, "EMPTY="])
        .with_status(0);
    set.position("[db.0] Moved ~/data");
    set.position("==> The variables are recorded\n");
    assert!(set.stderr.contains("Setting PASSWORD, EMPTY for"));
    assert_eq!(world.run("db", "echo \"$PASSWORD\""), format!("{SECRET}\n"));
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
    assert!(!format!("{}{}", set.stdout, set.stderr).contains("hunter2"));
    for log in fs::read_dir(world.state("deployments")).unwrap() {
        let text = fs::read_to_string(log.unwrap().path()).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
    }
    for (_, command) in processes_below(&world.home()) {
        assert!(!command.contains("hunter2"), "{command}");
    }
    let record = world.state("state.json").metadata().unwrap();
    assert_eq!(record.mode() & 0o777, 0o600);

    let list = world.dotcloud(["env", "list"]).with_status(0).stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines.is_sorted(), "{list}");
    let address = world.address("db.0");
    for line in [
        &*assignment,
        "COLOUR=red",
        "EMPTY=",
        "DOTCLOUD_PROJECT=app",
        "DOTCLOUD_DB_INSTANCES=1",
        &format!("DOTCLOUD_DB_DB_URL=tcp://{address}"),
    ] {
        assert!(lines.contains(&line), "{line}\n{list}");
    }
    world.dotcloud(["env", "unset", "COLOUR"]).with_status(0);
    assert_eq!(world.run("db", "echo $COLOUR"), "blue\n");
}

#[test]
fn env_whose_deployment_fails_ends_with_0_and_says_so() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script("app/builder", "cp app/server ~\ntest -z \"$BREAK\"");
    world.push(0);
    let before = world.ask("db.0");
    let set = world.dotcloud(["env", "set", "BREAK=1"]).with_status(0);
    set.position("dotcloud: error: the build of db failed");
    set.position("THE DEPLOYMENT FAILED");
    set.position("The variables are recorded, for the next deployment");
    assert_eq!(world.ask("db.0"), before);
    let list = world.dotcloud(["env", "list"]).stdout;
    assert!(list.starts_with("BREAK=1\n"), "{list}");
    world.push(2);
    let unset = world.dotcloud(["env", "unset", "BREAK"]).with_status(0);
    unset.position("Deployment finished successfully");
}
