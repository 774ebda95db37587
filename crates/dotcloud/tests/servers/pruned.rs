//! A tarball made small still is a server: the biggest with `standard`, every one with `minimal`.

use std::path::Path;
use std::process::Command;

use crate::world::{World, column, root, tarball};

/// Makes the tarball of `fixture` small, as `options` say.
#[track_caller]
fn repack(fixture: &str, options: &[&str], small: &Path) {
    let repacked = Command::new(root().join("target/bin/repack"))
        .arg(tarball(fixture))
        .arg("-o")
        .arg(small)
        .args(options)
        .output()
        .expect("target/bin/repack; run `make test`");
    assert!(
        repacked.status.success(),
        "{}",
        String::from_utf8_lossy(&repacked.stderr)
    );
}

/// Pushes the tarball and asks the server for its version.
#[track_caller]
fn pushed_version(tarball: &Path) -> String {
    let world = World::with_tarball(tarball);
    world.push(0);
    column(&mut world.connect(0), "SELECT VERSION()").remove(0)
}

#[test]
fn repacked_full_tarball_is_pushed_and_answers() {
    let full = tarball("mysql-9-full");
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("mysql-9-small.tar.zst");
    repack("mysql-9-full", &[], &small);
    let size = |path: &Path| path.metadata().unwrap().len();
    assert!(
        size(&small) * 3 < size(&full),
        "{} of {}",
        size(&small),
        size(&full)
    );

    let version = pushed_version(&small);
    assert!(version.starts_with("9."), "{version}");
}

/// As xz, quickly: the level changes neither the format nor what is in it.
#[track_caller]
fn minimal_is_pushed_and_answers(fixture: &str, start: &str) {
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join(format!("{fixture}-minimal.tar.xz"));
    let options = ["--profile", "minimal", "--format", "xz", "--level", "1"];
    repack(fixture, &options, &small);
    let version = pushed_version(&small);
    assert!(version.starts_with(start), "{version}");
}

#[test]
fn minimal_mysql_9_is_pushed_and_answers() {
    minimal_is_pushed_and_answers("mysql-9", "9.");
}

#[test]
fn minimal_mysql_5_6_is_pushed_and_answers() {
    minimal_is_pushed_and_answers("mysql-5.6", "5.6.");
}

#[test]
fn minimal_mariadb_is_pushed_and_answers() {
    minimal_is_pushed_and_answers("mariadb", "10.");
}
