//! The vendor's outer archive around the server's tarball, and standard input.

use std::fs;

use crate::tarball::{KEPT, Tarball, contents, gzip, vendor, xz, zstd};
use crate::{Case, text};

const SERVER: &str = "mysql-8.4.6-linux-glibc2.28-x86_64.tar.xz";
const TESTS: &str = "mysql-test-8.4.6-linux-glibc2.28-x86_64.tar.xz";
const ROUTER: &str = "mysql-router-8.4.6-linux-glibc2.28-x86_64.tar.xz";

/// An outer archive of tarballs; those that must not be read hold nothing readable.
fn outer(tarballs: &[(&str, &[u8])]) -> Vec<u8> {
    let add = |outer: Tarball, (name, content): &(&str, &[u8])| outer.file(name, 0o644, content);
    tarballs.iter().fold(Tarball::new(), add).bytes()
}

#[test]
fn servers_tarball_is_taken_out_of_the_outer_one_wherever_it_is() {
    let (server, no) = (xz(&vendor().bytes()), b"not to be read");
    let before = outer(&[(SERVER, &server), (TESTS, no), (ROUTER, no)]);
    let after = outer(&[(TESTS, no), (ROUTER, no), ("README", no), (SERVER, &server)]);
    let dot = Tarball::new().directory("./");
    let dot = dot.file(&format!("./{SERVER}"), 0o644, &server).bytes();
    let signed = outer(&[("m.tar.xz.asc", b"-----BEGIN"), (SERVER, &server)]);
    let gz = gzip(&vendor().bytes());
    let named_tgz = outer(&[("mariadb-11.4.5-linux-systemd-x86_64.tgz", &gz)]);
    for (input, name) in [
        (before.clone(), SERVER),
        (gzip(&before), SERVER),
        (zstd(&after), SERVER),
        (after, SERVER),
        (dot, SERVER),
        (signed, SERVER),
        (named_tgz, "mariadb-11.4.5-linux-systemd-x86_64.tgz"),
    ] {
        let case = Case::new(&input);
        let output = case.run(&["in.tar.gz", "-o", "out"]);
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let note = format!("- took {name} out of in.tar.gz\n");
        assert!(stderr.starts_with(&note), "{stderr}");
        assert_eq!(contents(&case.path("out")), KEPT);
        assert_eq!(case.files(), ["in.tar.gz", "out"]);
    }
}

#[test]
fn outer_archive_without_one_server_is_refused_with_what_it_holds() {
    let server = xz(&vendor().bytes());
    let percona = "Percona-Server-8.0.36-28-Linux.x86_64.glibc2.17.tar.gz";
    let rows = [
        (
            outer(&[(TESTS, b"x"), (ROUTER, b"x")]),
            format!("holds no server's tarball, only {TESTS}, {ROUTER}"),
            "pass the tarball that holds the server (bin/mysqld or bin/mariadbd)",
        ),
        (
            outer(&[(SERVER, &server), (TESTS, b"x"), (percona, b"x")]),
            format!("holds several servers' tarballs: {SERVER}, {percona}"),
            "unpack it, and pass the one of them that you want",
        ),
        (
            [outer(&[(SERVER, &server)]), vec![b'x'; 512]].concat(),
            "goes on after its end".into(),
            "compare its size and checksum with the vendor's, and download it again",
        ),
    ];
    for (input, problem, next) in rows {
        let stderr = format!("repack: error: in.tar.gz {problem}\n  next: {next}\n");
        Case::new(&input).refuses(&[], &stderr);
    }
}

#[test]
fn outer_archive_cut_off_or_corrupt_is_refused() {
    let again = "compare its size and checksum with the vendor's, and download it again";
    let whole = outer(&[(SERVER, &xz(&vendor().bytes())), (TESTS, b"x")]);
    // Within the server's tarball, behind it, before the archive's end.
    for end in [1200, whole.len() - 2000, whole.len() - 1024] {
        let stderr = format!("repack: error: in.tar.gz is cut off\n  next: {again}\n");
        Case::new(&whole[..end]).refuses(&[], &stderr);
    }
    let mut corrupt = whole.clone();
    corrupt[512 + 100] ^= 0xff;
    let stderr =
        format!("repack: error: in.tar.gz is corrupt\n  cause: lzma data error\n  next: {again}\n");
    Case::new(&corrupt).refuses(&[], &stderr);
    let empty = outer(&[(SERVER, b"")]);
    let stderr = format!("repack: error: in.tar.gz/{SERVER} is empty\n  next: {again}\n");
    Case::new(&empty).refuses(&[], &stderr);
}

#[test]
fn standard_input_is_read_and_needs_an_output() {
    let case = Case::new(b"");
    for input in [
        gzip(&vendor().bytes()),
        outer(&[(SERVER, &xz(&vendor().bytes()))]),
    ] {
        let output = case.run_on(&input, &["-", "-o", "out", "--json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(contents(&case.path("out")), KEPT);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["input"], "standard input");
        assert_eq!(json["input_bytes"], input.len());
        fs::remove_file(case.path("out")).unwrap();
    }
    let output = case.run_on(&gzip(&vendor().bytes()), &["-"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with(
        "error: standard input has no name to derive the output's from: add --output OUT\n"
    ));
    let dry = case.run_on(&gzip(&vendor().bytes()), &["-", "--dry-run"]);
    assert!(dry.status.success(), "{}", text(&dry.stderr));
    let output = case.run_on(b"", &["-", "-o", "out"]);
    assert_eq!(
        text(&output.stderr),
        "repack: error: standard input is empty\n  next: compare its size and checksum with the \
         vendor's, and download it again\n"
    );
    assert_eq!(case.files(), ["in.tar.gz"]);
}
