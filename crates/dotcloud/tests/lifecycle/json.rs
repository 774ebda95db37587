//! `--json`: every reading verb, of an application that runs.

use serde_json::{Value, json};

use super::RUNTIME;
use crate::world::World;

/// What a verb prints.
#[track_caller]
fn read(world: &World, words: &[&str]) -> Value {
    let printed = world.dotcloud([words, &["--json"]].concat()).with_status(0);
    assert_eq!(printed.stderr, "");
    serde_json::from_str(&printed.stdout).unwrap()
}

/// `info` as `words` have it, without what goes on while we look.
fn info(world: &World, words: &[&str]) -> Value {
    let mut described = read(world, words);
    let service = match described.get("services") {
        Some(_) => &mut described["services"][0],
        None => &mut described,
    };
    let instance = service["instances"][0].as_object_mut().unwrap();
    let memory = instance.remove("memory").unwrap();
    assert!(memory["used"].as_u64() > Some(1 << 20), "{memory}");
    let traffic = instance.remove("traffic").unwrap();
    for name in ["connections", "open", "bytes_in", "bytes_out"] {
        assert!(traffic["db"][name].is_u64(), "{name}: {traffic}");
    }
    described
}

/// `status`, of whose program only the text differs from run to run.
fn status_without_text(world: &World) -> Value {
    let mut status = read(world, &["status", "db"]);
    let text = status[0]["programs"][0]["text"].take();
    assert!(text.as_str().unwrap().starts_with("pid "), "{text}");
    status
}

#[test]
fn json_has_stable_fields() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    world.dotcloud(["scale", "db:memory=64M"]).with_status(0);
    let url = format!("tcp://{}", world.address("db.0"));
    let revisions = read(&world, &["revisions"]);
    let revision = &revisions[0]["revision"];
    assert_eq!(
        revisions,
        json!([{ "revision": revision, "deployed": true }])
    );
    let service = json!({
        "name": "db",
        "type": "custom",
        "memory": 64 << 20,
        "instances": [{
            "name": "db.0",
            "host": "app-default-db-0",
            "container": world.state("db.0/1"),
            "runtime": "process",
            "revision": revision,
            "urls": { "db": url },
            "backup": null,
        }],
    });
    assert_eq!(info(&world, &["info", "db"]), service);
    assert_eq!(
        info(&world, &["info"]),
        json!({
            "name": "app",
            "flavor": "live",
            "revision": revision,
            "state": world.home().join("apps/app"),
            "services": [service],
        })
    );
    for call in [&["url"][..], &["url", "db"]] {
        assert_eq!(read(&world, call), json!({ "db": [url] }));
    }
    assert_eq!(
        status_without_text(&world),
        json!([{
            "instance": "db.0",
            "up": true,
            "backup": null,
            "ports_not_served": [],
            "programs": [{ "name": "db", "state": "RUNNING", "text": null }],
            "checks": [],
        }])
    );
    let deployments = read(&world, &["dlist"]);
    let date = deployments[0]["date"].as_str().unwrap();
    assert!(date.parse::<jiff::Timestamp>().is_ok(), "{date}");
    assert_eq!(
        deployments,
        json!([{ "id": 1, "date": date, "revision": revision, "result": "succeeded" }])
    );
    assert_eq!(read(&world, &["env", "list"])["DOTCLOUD_DB_DB_URL"], *url);
}
