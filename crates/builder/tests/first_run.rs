//! The built executable and first-run files: what it takes along, and what it refuses by name before it
//! changes anything (C3, C4, H5, H6 of tests/README.md).

mod service;

use std::fs;
use testbed::sandbox;

use sandbox::{Sandbox, mode, set_mode};
use service::{SCRIPT, builder, gzip, refused, service_with, vendors_with_client, xz};

fn service() -> Sandbox {
    let sandbox = service_with(SCRIPT.as_bytes());
    let tarball = gzip(&vendors_with_client(SCRIPT.as_bytes()));
    sandbox.write("code/hooks/m.tar.gz", tarball);
    sandbox
}

#[test]
fn files_of_every_format_go_along_and_build_twice_builds_once() {
    let sandbox = service();
    for (name, content) in [
        ("1.sql", b"SELECT 1;".to_vec()),
        ("2.sql.gz", gzip(b"SELECT 2;")),
        ("3.sql.xz", xz(b"SELECT 3;")),
        ("4.sql.zst", zstd::encode_all(&b"SELECT 4;"[..], 1).unwrap()),
        (".gitkeep", Vec::new()),
    ] {
        sandbox.write(&format!("code/hooks/initdb.d/{name}"), content);
    }
    let built = sandbox.outcome(&mut builder(&sandbox));
    let line = "- a fresh database begins with 1.sql, 2.sql.gz, 3.sql.xz, 4.sql.zst\n";
    assert!(built.stderr.contains(line), "{}", built.stderr);
    let copies = sandbox.home().join("mysql/initdb.d");
    assert_eq!(fs::read(copies.join("1.sql")).unwrap(), b"SELECT 1;");
    assert_eq!(fs::read_dir(&copies).unwrap().count(), 4);
    assert_eq!((mode(&copies), mode(&copies.join("1.sql"))), (0o700, 0o600));
    let before = sandbox.listing();
    let again = sandbox.outcome(&mut builder(&sandbox));
    assert!(again.stderr.contains(line), "{}", again.stderr);
    assert_eq!(sandbox.listing(), before);
}

#[test]
fn check_files_go_along_and_other_names_are_refused() {
    let sandbox = service();
    sandbox.write("code/hooks/check.d/1.sql", "SELECT 1;");
    sandbox.write("code/hooks/check.d/2.sh", "");
    let names = "- tarball {dir}/code/hooks/m.tar.gz\n\
                 builder: error: {dir}/code/hooks/check.d holds what is not SQL: 2.sh\n  next: name check \
                 files *.sql, *.sql.gz, *.sql.xz or *.sql.zst, in lower case, move everything else \
                 elsewhere (no scripts are run), push again\n";
    refused(&sandbox, &mut builder(&sandbox), names);
    fs::remove_file(sandbox.path().join("code/hooks/check.d/2.sh")).unwrap();
    let built = sandbox.outcome(&mut builder(&sandbox));
    let line = "- a copy is tried out with 1.sql\n";
    assert!(built.stderr.contains(line), "{}", built.stderr);
    let copy = sandbox.home().join("mysql/check.d/1.sql");
    assert_eq!(fs::read(&copy).unwrap(), b"SELECT 1;");
    assert_eq!(mode(&copy), 0o600);
}

#[test]
fn c3_empty_directory_is_none() {
    let sandbox = service();
    sandbox.write("code/hooks/initdb.d/.gitkeep", "");
    let built = sandbox.outcome(&mut builder(&sandbox));
    assert!(!built.stderr.contains("begins with"), "{}", built.stderr);
    assert!(!sandbox.home().join("mysql/initdb.d").exists());
}

#[test]
fn h6_other_names_are_refused_together() {
    let sandbox = service();
    for name in ["1.sql", "2.SQL", "3.sh", "README.md"] {
        sandbox.write(&format!("code/hooks/initdb.d/{name}"), "");
    }
    refused(
        &sandbox,
        &mut builder(&sandbox),
        "- tarball {dir}/code/hooks/m.tar.gz\n\
         builder: error: {dir}/code/hooks/initdb.d holds what is not SQL: 2.SQL, 3.sh, README.md\n  \
         next: name first-run files *.sql, *.sql.gz, *.sql.xz or *.sql.zst, in lower case, move \
         everything else elsewhere (no scripts are run), push again\n",
    );
}

#[test]
fn h5_c4_unreadable_files_are_refused() {
    let sandbox = service();
    let path = sandbox.write("code/hooks/initdb.d/1.sql.gz", gzip(b"SELECT 1;"));
    let error = "- tarball {dir}/code/hooks/m.tar.gz\n\
                 builder: error: cannot read the first-run file \
                 {dir}/code/hooks/initdb.d/1.sql.gz\n  cause: ";
    set_mode(&path, 0);
    let denied = "permission denied (os error 13)\n  next: make it readable for this user, push \
                  again\n";
    // Not `refused`: the listing could not read it either.
    let outcome = sandbox.outcome(&mut builder(&sandbox));
    sandbox::assert_refused(&outcome, "builder", &format!("{error}{denied}"));
    set_mode(path.parent().unwrap(), 0);
    let outcome = sandbox.outcome(&mut builder(&sandbox));
    let error = "- tarball {dir}/code/hooks/m.tar.gz\n\
                 builder: error: cannot list {dir}/code/hooks/initdb.d\n  cause: ";
    sandbox::assert_refused(&outcome, "builder", &format!("{error}{denied}"));
    assert_eq!(fs::read_dir(sandbox.home()).unwrap().count(), 0);
}

#[test]
fn tarball_without_a_client_is_refused() {
    let sandbox = service_with(SCRIPT.as_bytes());
    sandbox.write("code/hooks/initdb.d/1.sql", "");
    let outcome = sandbox.outcome(&mut builder(&sandbox));
    let end = "builder: error: there are first-run files, and the tarball of MySQL 9.7.4 has no \
               client to run them\n  next: push the vendor's whole tarball, with bin/mysql or \
               bin/mariadb, or take the files out of initdb.d\n";
    assert!(outcome.stderr.ends_with(end), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(1));
    assert!(!sandbox.home().join("starttest").exists());
}
