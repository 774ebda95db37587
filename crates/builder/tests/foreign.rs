//! Real servers for other machines, which builder must refuse, by name, and never run.
#![cfg(target_arch = "x86_64")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod service;

use std::fs;
use std::path::Path;
use testbed::sandbox;

use service::{builder, service};

/// builder refuses the tarball of a fixture with `error`, and changes nothing.
#[track_caller]
fn assert_refuses(fixture: &str, error: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fixtures");
    let tarball = fs::read_dir(fixtures.join(fixture))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains(".tar."))
        .unwrap_or_else(|| panic!("no {fixture}: 'fixtures/assemble {fixture}' makes it"));
    let sandbox = service();
    let name = tarball.file_name().unwrap().to_str().unwrap();
    sandbox.write(&format!("code/hooks/{name}"), fs::read(&tarball).unwrap());
    let error = error.replace("{tarball}", &format!("{{dir}}/code/hooks/{name}"));
    let before = sandbox.listing();
    let outcome = sandbox.outcome(&mut builder(&sandbox));
    assert!(outcome.stderr.ends_with(&error), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(sandbox.listing(), before, "nothing changed");
}

#[test]
fn servers_for_other_processors_are_refused() {
    for (fixture, machine) in [("mysql-5.6-i386", "i386"), ("mysql-9-arm64", "aarch64")] {
        let error = format!(
            "builder: error: the server is for {machine}, and this machine is x86_64\n  next: put \
             the vendor's tarball for Linux on x86_64 there, push again\n"
        );
        assert_refuses(fixture, &error);
    }
}

#[test]
fn server_for_another_system_is_refused() {
    assert_refuses(
        "mysql-5.6-macos",
        "builder: error: {tarball} is for macOS, as its bin/mysqld shows\n  next: download the \
         vendor's binary tarball: 'Linux - Generic', a .tar.xz or .tar.gz\n",
    );
}
