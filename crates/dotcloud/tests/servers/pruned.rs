//! The biggest tarball, made small, still is a server.

use std::path::Path;
use std::process::Command;

use crate::world::{World, column, root, tarball};

#[test]
fn repacked_full_tarball_is_pushed_and_answers() {
    let full = tarball("mysql-9-full");
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("mysql-9-small.tar.gz");
    let repacked = Command::new(root().join("target/bin/repack"))
        .arg(&full)
        .arg("-o")
        .arg(&small)
        .output()
        .expect("target/bin/repack; run `make test`");
    assert!(
        repacked.status.success(),
        "{}",
        String::from_utf8_lossy(&repacked.stderr)
    );
    let size = |path: &Path| path.metadata().unwrap().len();
    assert!(
        size(&small) * 3 < size(&full),
        "{} of {}",
        size(&small),
        size(&full)
    );

    let world = World::with_tarball(&small);
    world.push(0);
    let version = column(&mut world.connect(0), "SELECT VERSION()").remove(0);
    assert!(version.starts_with("9."), "{version}");
}
