//! `revisions`, `deploy`, `dlist` and `dlogs`: old code again, and what deployments said.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::RUNTIME;
use crate::world::{Running, World};

/// The labels of `revisions`, with their stars.
fn revisions(world: &World) -> Vec<String> {
    let text = world.dotcloud(["revisions"]).with_status(0).stdout;
    text.lines().map(str::to_owned).collect()
}

/// A builder that tells which one it is.
fn build(world: &World, text: &str) {
    let lines = format!("cp app/server ~\necho {text} > ~/built\necho built {text}");
    world.script("app/builder", &lines);
}

#[test]
fn deploy_previous_brings_old_code_back_to_the_same_data() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    for text in ["one", "two", "three"] {
        build(&world, text);
        world.push(0);
    }
    let listed = revisions(&world);
    let stars: Vec<&str> = listed.iter().map(|line| &line[..8]).collect();
    assert_eq!(stars, ["  rsync-", "  rsync-", "* rsync-"]);

    let deploy = world.dotcloud(["deploy", "previous"]).with_status(0);
    deploy.position("db was built of this revision before");
    assert!(!deploy.stdout.contains("built two"), "{}", deploy.stdout);
    deploy.position("==> Application is live at tcp://");
    assert_eq!(world.run("db", "cat ~/built"), "two\n");
    assert_eq!(world.ask("db.0").matches("started").count(), 4);
    assert!(revisions(&world)[1].starts_with("* "));
    world
        .dotcloud(["deploy", &listed[0][2..], "--clean"])
        .with_status(0)
        .position("[db] built one");
    let none = world.dotcloud(["deploy", "previous"]).with_status(1);
    none.position("no code of a revision before the deployed one is kept");

    // Like an upload it deploys the newest, and says that this is a change.
    let set = world.dotcloud(["env", "set", "A=1"]).with_status(0);
    set.position("runs, but what is deployed now is the code that was pushed last");
    set.position("[db] built three");
    assert_eq!(world.run("db", "cat ~/built"), "three\n");
    // Built without the variable.
    let deploy = world.dotcloud(["deploy", "previous"]).with_status(0);
    deploy.position("[db] built two");
    world.dotcloud(["deploy", "latest"]).with_status(0);
    assert!(revisions(&world)[2].starts_with("* "));

    let list = world.dotcloud(["dlist"]).with_status(0).stdout;
    assert_eq!(list.matches(" succeeded ").count(), 8, "{list}");
    assert!(list.contains(" | 8         | "), "{list}");
}

#[test]
fn results_of_builds_are_kept_as_long_as_their_code() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    build(&world, "first");
    world.push(0);
    let snapshots = || std::fs::read_dir(world.state("snapshots")).unwrap().count();
    for number in 1..6 {
        build(&world, &format!("number {number}"));
        world.push(0);
        assert_eq!(snapshots(), 5.min(number + 1));
    }
    // The same content is there once.
    world.push(0);
    assert_eq!(snapshots(), 4);
}

#[test]
fn deploy_of_code_that_fails_ends_with_0_and_the_log_is_kept() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    build(&world, "good");
    world.push(0);
    world.script("app/builder", "echo broken; exit 1");
    world.push(2);
    let deploy = world.dotcloud(["deploy", "latest"]).with_status(0);
    deploy.position("THE DEPLOYMENT FAILED");
    let listed = revisions(&world);
    assert!(listed[0].starts_with("* ") && listed[1].starts_with("  "));
    let list = world.dotcloud(["dlist"]).with_status(0).stdout;
    assert_eq!(list.matches(" failed ").count(), 2, "{list}");

    let first = world.dotcloud(["dlogs", "1"]).with_status(0).stdout;
    assert!(first.contains("[db.0] Launching"), "{first}");
    let build = world.dotcloud(["dlogs", "latest", "db"]).with_status(0);
    let said: Vec<&str> = build.stdout.lines().map(|line| &line[17..]).collect();
    assert_eq!(
        said,
        [
            "[db] Unpacking the result of the previous build",
            "[db] Running buildscript",
            "[db] broken"
        ]
    );
    let instance = world.dotcloud(["dlogs", "1", "db.0", "-n", "1"]).stdout;
    assert_eq!(&instance[17..], "[db.0] Re-routing to the new instance\n");
    world.dotcloud(["dlogs", "9"]).with_status(1);
}

#[test]
fn dlogs_follows_until_the_deployment_ends() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let gate = world.code("gate");
    let wait = "while [ -e /proc/$PPID ] && [ ! -e \"$SERVICE_GATE\" ]; do sleep 0.05; done";
    world.script(
        "app/builder",
        &format!("echo waits\n{wait}\ncp app/server ~"),
    );
    let yml = format!("{}  gate: {}\n", crate::world::BUILD_FILE, gate.display());
    world.write("dotcloud.yml", &yml);
    let mut push = Running(
        world
            .command(["push"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut pushed = BufReader::new(push.0.stdout.take().unwrap()).lines();
    assert!(pushed.any(|line| line.unwrap().ends_with("[db] waits")));
    let not_followed = world.dotcloud(["dlogs", "-N", "latest"]).with_status(0);
    assert!(not_followed.stdout.ends_with("[db] waits\n"));
    let mut follower = Running(
        world
            .command(["dlogs", "latest"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut shown = BufReader::new(follower.0.stdout.take().unwrap()).lines();
    assert!(shown.any(|line| line.unwrap().ends_with("[db] waits")));
    std::fs::write(&gate, "").unwrap();
    let rest: Vec<String> = shown.map(Result::unwrap).collect();
    let last = rest.last().unwrap();
    assert!(last.ends_with("Deployment finished successfully"), "{last}");
    assert_eq!(follower.0.wait().unwrap().code(), Some(0));
    pushed.for_each(drop);
    assert_eq!(push.0.wait().unwrap().code(), Some(0));
}
