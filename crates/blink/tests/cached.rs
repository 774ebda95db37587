//! What is kept from run to run: releases by name, by version, by directory.

#[path = "../../repack/tests/cli/server.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers of another crate's tests"
)]
mod server;
mod world;

use std::fs;

use world::{Staying, World, cache, stderr, stdout, tarball};

#[test]
fn the_home_of_a_service_and_a_version_in_the_cache_are_releases() {
    let world = World::new();
    let run = |release: &std::path::Path| {
        let mut blink = world.blink();
        blink.arg(release).args(["--", "true"]);
        blink.output().unwrap()
    };
    assert!(run(&tarball("mysql-5.6")).status.success());
    assert!(run("5.6".as_ref()).status.success());
    assert!(run("mysql-5.6.24".as_ref()).status.success());
    let releases = cache().join("mysql/releases");
    let mut releases = fs::read_dir(releases).unwrap().flatten();
    let release = releases
        .find(|entry| entry.file_name().to_string_lossy().contains("mysql-5.6"))
        .unwrap()
        .path();
    fs::create_dir(world.path().join("mysql")).unwrap();
    std::os::unix::fs::symlink(release, world.path().join("mysql/install")).unwrap();
    assert!(run(world.path()).status.success());
}

#[test]
fn a_cache_is_listed_and_emptied_when_nobody_uses_it() {
    let world = World::new();
    let own = world.path().join("cache");
    let mut blink = world.bare();
    blink.arg("--cache").arg(&own).arg(tarball("mysql-5.6"));
    let mut running = Staying::start(&mut blink, 1);
    let verb = |words: &[&str]| {
        let output = world
            .bare()
            .args(words)
            .arg("--cache")
            .arg(&own)
            .output()
            .unwrap();
        (output.status.code(), stdout(&output) + &stderr(&output))
    };
    let (_, list) = verb(&["list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["releases"][0]["server"], "MySQL 5.6.24");
    let name = list["releases"][0]["name"].as_str().unwrap().to_owned();
    let table = verb(&["list"]);
    assert_eq!(
        table,
        (Some(0), format!("release  MySQL 5.6.24         {name}\n"))
    );
    let used = format!(
        "blink: error: others are using the cache {}\n  next: end the other runs of blink first\n",
        own.display()
    );
    assert_eq!(verb(&["remove", &name]), (Some(1), used));
    running.signal("-TERM");
    running.process.wait().unwrap();
    assert_eq!(
        verb(&["remove", &name]),
        (Some(0), format!("- removed {name}\n"))
    );
    assert_eq!(verb(&["list"]), (Some(0), String::new()));
    let unknown = format!(
        "blink: error: the cache has neither a release nor a seed '{name}'\n  next: see 'blink list' \
         for what is there\n"
    );
    assert_eq!(verb(&["remove", &name]), (Some(1), unknown));
}

#[test]
fn a_version_that_is_not_in_the_cache_is_fetched_once() {
    let world = World::new();
    let own = world.path().join("cache");
    let body = fs::read(tarball("mysql-5.6")).unwrap();
    let vendor = server::Server::well_behaved(&body);
    let run = |version: &str| {
        let mut blink = world.bare();
        blink.env("REPACK_MIRROR", vendor.url("/"));
        blink.arg("--cache").arg(&own).args([version, "--", "true"]);
        let output = blink.output().unwrap();
        (output.status.code(), stderr(&output))
    };
    let (status, told) = run("5.6.24");
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains("found MySQL 5.6.24"), "{told}");
    let asked = vendor.requests().len();
    assert!(asked > 0);
    assert_eq!(run("5.6"), (Some(0), String::new()));
    assert_eq!(vendor.requests().len(), asked);
    let (status, told) = run("11.4");
    assert_eq!(status, Some(1));
    assert_eq!(
        told,
        "blink: error: 11.4 is none of MySQL's versions; MariaDB's is called mariadb-11.4\n  next: \
         name a version that the vendor has released\n"
    );
}
