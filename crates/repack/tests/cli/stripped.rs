//! ELF files in the tarball: what is stripped runs, what cannot be stripped is left alone.

use std::fs;
use std::process::Command;

use tar::Archive;

use crate::tarball::{Tarball, gzip, inflated};
use crate::{Case, text};

/// repack itself, linked dynamically and with its symbols, stands for a server.
fn server() -> Vec<u8> {
    fs::read(assert_cmd::cargo::cargo_bin!("repack")).unwrap()
}

fn case() -> Case {
    let mut appended = server();
    appended.extend(b"appended");
    let input = Tarball::new()
        .file("my-1/bin/mysqld", 0o755, &server())
        .file("my-1/bin/odd", 0o755, &appended)
        .file("my-1/bin/tiny", 0o755, b"\x7fELF")
        .file("my-1/bin/script", 0o755, b"#!/bin/sh\n")
        .share();
    Case::new(&gzip(&input.bytes()))
}

fn unpacked(case: &Case, name: &str) -> Vec<u64> {
    let mut archive = Archive::new(inflated(&case.path(name)));
    archive.unpack(case.path("unpacked")).unwrap();
    let size = |file: &str| {
        let path = case.path("unpacked/my-1/bin").join(file);
        fs::metadata(path).unwrap().len()
    };
    ["mysqld", "odd", "tiny", "script"].map(size).to_vec()
}

#[test]
fn executable_is_stripped_and_runs_the_rest_is_as_it_was() {
    let case = case();
    let output = case.run(&["in.tar.gz", "-o", "out", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stderr),
        "- not stripped: bin/odd has data after its sections\n\
         - not stripped: bin/tiny is no 64-bit ELF file, or damaged\n"
    );
    let before = server().len() as u64;
    let sizes = unpacked(&case, "out");
    assert!(sizes[0] < before / 2, "{sizes:?}");
    assert_eq!(sizes[1..], [before + 8, 4, 10]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["stripped"]["files"], 1);
    assert_eq!(json["stripped"]["bytes"], before - sizes[0]);
    assert_eq!(json["kept"]["bytes"], sizes.iter().sum::<u64>());
    let version = Command::new(case.path("unpacked/my-1/bin/mysqld"))
        .arg("--version")
        .output()
        .unwrap();
    assert!(version.status.success());
    // Once more changes nothing.
    let again = case.run(&["out", "-o", "again"]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let same = fs::read(case.path("out")).unwrap() == fs::read(case.path("again")).unwrap();
    assert!(same);
    assert_eq!(case.files(), ["again", "in.tar.gz", "out", "unpacked"]);
}

#[test]
fn no_strip_keeps_executables_byte_for_byte() {
    let case = case();
    let output = case.run(&["in.tar.gz", "-o", "out", "--no-strip"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("strip"));
    unpacked(&case, "out");
    let path = case.path("unpacked/my-1/bin/mysqld");
    assert!(fs::read(path).unwrap() == server());
}
