//! `up` after a reboot, `open`, and what `down` means for the next `up`.

use std::os::unix::fs::PermissionsExt;

use super::RUNTIME;
use crate::mounts::lose_power;
use crate::world::{SERVER, World, processes_below, wait_for};

#[test]
fn up_brings_every_application_back_at_its_address() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    world.dotcloud(["create", "-o", "empty"]).with_status(0);
    world.dotcloud(["create", "-o", "second"]).with_status(0);
    world.dotcloud(["push", "-A", "second"]).with_status(0);
    let address = world.address("db.0");
    lose_power(&world);

    let up = world.dotcloud(["up"]).with_status(0);
    up.position("==> app: started 1 of 1 instance(s)");
    up.position("==> empty: nothing was pushed yet");
    up.position("==> second: started 1 of 1 instance(s)");
    assert_eq!(world.address("db.0"), address);
    let history = wait_for("the service", || {
        crate::world::read(&address)
            .ok()
            .filter(|text| text.contains("started"))
    });
    assert_eq!(history.matches("started").count(), 2, "{history}");
    // Once more changes nothing.
    let up = world.dotcloud(["up"]).with_status(0);
    up.position("==> app: started 0 of 1 instance(s)");
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
    world
        .dotcloud(["destroy", "-y", "-A", "second"])
        .with_status(0);
    world
        .dotcloud(["destroy", "-y", "-A", "empty"])
        .with_status(0);
}

#[test]
fn up_leaves_alone_what_was_stopped_on_purpose_unless_it_is_named() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    world.dotcloud(["down"]).with_status(0);
    let up = world.dotcloud(["up"]).with_status(0);
    assert_eq!(up.stdout, "");
    assert_eq!(processes_below(&world.home()), []);
    let named = world.dotcloud(["up", "-A", "app"]).with_status(0);
    named.position("app: started 1 of 1");
    let address = world.address("db.0");
    wait_for("the service", || {
        crate::world::read(&address)
            .ok()
            .filter(|text| !text.is_empty())
    });
    lose_power(&world);
    world
        .dotcloud(["up"])
        .with_status(0)
        .position("app: started 1 of 1");
}

#[test]
fn up_goes_on_after_an_application_that_is_broken() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    world.dotcloud(["create", "-o", "second"]).with_status(0);
    world.dotcloud(["push", "-A", "second"]).with_status(0);
    lose_power(&world);
    let container = world.state("db.0/1");
    std::fs::rename(&container, container.with_extension("away")).unwrap();
    let up = world.dotcloud(["up"]).with_status(1);
    up.position("==> second: started 1 of 1 instance(s)");
    up.position("not every application could be started: app");
    up.position("next: do what is said above, then 'dotcloud up -A app'");
    std::fs::rename(container.with_extension("away"), &container).unwrap();
    world
        .dotcloud(["destroy", "-y", "-A", "second"])
        .with_status(0);
}

#[test]
fn open_calls_the_browser_with_the_page() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let none = world.dotcloud(["open"]).with_status(1);
    none.position("app has no web page");
    let page = "python3 -m http.server --bind 127.0.0.1 $PORT_WWW";
    world.write(
        "dotcloud.yml",
        &format!("web:\n  type: custom\n  process: {page}\n  ports:\n    www: http\n"),
    );
    world.push(0);
    let bin = tempfile::tempdir().unwrap();
    let browser = bin.path().join("xdg-open");
    let said = bin.path().join("said");
    std::fs::write(
        &browser,
        format!("#!/bin/sh\necho \"$@\" > {}\n", said.display()),
    )
    .unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.path().display());
    let mut open = world.command(["open"]);
    let output = open.env("PATH", path).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    let url = line.trim_end().strip_prefix("web:  ").unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{line}");
    let opened = wait_for("the browser", || {
        std::fs::read_to_string(&said)
            .ok()
            .filter(|text| !text.is_empty())
    });
    assert_eq!(opened.trim_end(), url);
    assert!(output.status.success());
}

#[test]
fn up_starts_what_a_killed_deployment_had_stopped() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    // Its supervisord stays, as after a kill between the two.
    let url = format!(
        "unix://{}",
        world.state("db.0/1/run/supervisor.sock").display()
    );
    let mut stop = std::process::Command::new("supervisorctl");
    stop.args(["--serverurl", &url, "stop", "all"]);
    assert!(stop.status().unwrap().success());
    let up = world.dotcloud(["up"]).with_status(0);
    up.position("app: started 1 of 1");
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
}

#[test]
fn up_and_status_wait_until_everything_serves() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let status = world.dotcloud(["status", "--wait=1s"]).with_status(0);
    assert_eq!(status.stdout, "");
    // As slow as ~/data/slow says, at every start but the first.
    world.write(
        "app/server",
        &SERVER.replace(
            "server = socket.socket()\n",
            "if os.path.exists(home + \"/data/slow\"):\n    \
             time.sleep(float(open(home + \"/data/slow\").read()))\nserver = socket.socket()\n",
        ),
    );
    world.push(0);
    world.run("db", "echo 3 >~/data/slow");
    world.dotcloud(["down"]).with_status(0);
    world.dotcloud(["up", "-A", "app"]).with_status(0);
    // It answers now, not some time later.
    assert!(!world.ask("db.0").is_empty());

    world.dotcloud(["down"]).with_status(0);
    world
        .dotcloud(["up", "-A", "app", "--no-wait"])
        .with_status(0);
    let waited = world.dotcloud(["status", "--wait", "db"]).with_status(0);
    assert!(waited.stderr.contains("Waiting for db.0: "), "{waited:?}");
    waited.position("db.0:  up");
    assert!(!world.ask("db.0").is_empty());

    world.run("db", "echo 1000 >~/data/slow");
    world.dotcloud(["down"]).with_status(0);
    let mut up = world.command(["up", "-A", "app"]);
    let up = up.env("DOTCLOUD_LAUNCH_LIMIT", "4").output().unwrap();
    let said = String::from_utf8(up.stdout).unwrap();
    assert_eq!(up.status.code(), Some(1), "{said}");
    assert!(said.contains("error: db.0 does not serve\n"), "{said}");
    let waited = world.dotcloud(["status", "--wait=1s"]).with_status(1);
    waited.position("db.0 does not serve after 1 s: it waits for port db (");
}
