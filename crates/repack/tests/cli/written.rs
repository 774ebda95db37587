//! What is in the result, and what is said about it.

use std::fs;

use crate::tarball::{KEPT, SHARE, Tarball, contents, gzip, vendor, xz, zstd};
use crate::{Case, text};

#[test]
fn standard_keeps_the_server_and_tells_what_it_dropped() {
    let case = Case::new(&gzip(&vendor().bytes()));
    let output = case.run(&["in.tar.gz"]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(text(&output.stdout), "in-repacked.tar.gz\n");
    let (table, total) = stderr.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(
        table,
        "- left out the link bin/tester: mysqltest is left out\n\
         left out                 files        size\n\
         \x20 test suite                 2     2.00 kB\n\
         \x20 test program               1         6 B\n\
         \x20 debug build                1        12 B\n\
         \x20 static library             1         7 B\n\
         \x20 link to the above          1         0 B\n\
         \x20 together                   6     2.02 kB\n\
         kept                         7        13 B"
    );
    assert!(total.contains(" -> in-repacked.tar.gz "), "{total}");
    assert_eq!(contents(&case.path("in-repacked.tar.gz")), KEPT);
    assert_eq!(case.files(), ["in-repacked.tar.gz", "in.tar.gz"]);
}

#[test]
fn same_input_is_same_bytes_whatever_its_compression_or_the_threads() {
    let case = Case::new(&gzip(&vendor().bytes()));
    // Names mean nothing.
    fs::write(case.path("in.zip"), xz(&vendor().bytes())).unwrap();
    fs::write(case.path("in.xz"), zstd(&vendor().bytes())).unwrap();
    fs::write(case.path("in"), vendor().bytes()).unwrap();
    let inputs = ["in.tar.gz", "in.tar.gz", "in.zip", "in.xz", "in"];
    let mut results = Vec::new();
    for (input, threads) in inputs.into_iter().zip(["1", "7", "2", "1", "2"]) {
        let run = case.run(&[input, "-o", "out", "--threads", threads]);
        assert!(run.status.success(), "{}", text(&run.stderr));
        results.push(fs::read(case.path("out")).unwrap());
    }
    let bytes = &results[0];
    assert!(results.iter().all(|other| other == bytes));
    assert_eq!(bytes[4..8], [0; 4], "the time in the gzip header");
}

#[test]
fn xz_result_is_the_same_archive_whatever_the_threads() {
    let case = Case::new(&gzip(&vendor().bytes()));
    let xz = ["in.tar.gz", "--format", "xz", "--level", "1"];
    let output = case.run(&xz);
    assert_eq!(text(&output.stdout), "in-repacked.tar.xz\n");
    let more = ["--threads", "5", "-o", "b"];
    assert!(case.run(&[&xz[..], &more].concat()).status.success());
    let bytes = fs::read(case.path("in-repacked.tar.xz")).unwrap();
    assert!(bytes == fs::read(case.path("b")).unwrap());
    // What comes out is what went in, if nothing is left out once more.
    assert!(case.run(&["b", "-o", "c"]).status.success());
    assert_eq!(contents(&case.path("c")), KEPT);
}

#[test]
fn many_members_or_streams_are_read_to_the_last() {
    let tar = vendor().bytes();
    let (first, rest) = tar.split_at(3 * 512 + 100);
    let (second, third) = rest.split_at(1000);
    for compress in [gzip, xz, zstd] {
        let parts = [compress(first), compress(second), compress(third)];
        let case = Case::new(&parts.concat());
        let output = case.run(&["in.tar.gz", "-o", "out"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(contents(&case.path("out")), KEPT);
    }
}

#[test]
fn long_names_and_odd_modes_are_kept_but_no_set_user_id() {
    let long = format!("my-1/share/{}/{}", "d".repeat(90), "f".repeat(120));
    let pax = format!("my-1/{}", "p".repeat(300));
    let input = Tarball::new()
        .directory("./")
        .file("./my-1/bin/mariadbd", 0o4755, b"server")
        .symlink("my-1/bin/mysqld", "mariadbd")
        .file(&long, 0o600, b"gnu")
        .pax("my-1/short", "path", &pax, b"pax")
        .share()
        .special("my-1/mysql-test/fifo", tar::EntryType::Fifo);
    let case = Case::new(&gzip(&input.bytes()));
    let output = case.run(&["in.tar.gz", "-o", "out"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let expected = [
        "my-1/bin/mariadbd 755 server".to_owned(),
        format!("{long} 600 gnu"),
        format!("{pax} 644 pax"),
        SHARE[0].to_owned(),
        SHARE[1].to_owned(),
        "my-1/bin/mysqld 777 -> mariadbd".to_owned(),
    ];
    assert_eq!(contents(&case.path("out")), expected);
}

#[test]
fn links_are_dropped_only_if_their_target_was() {
    let input = Tarball::new()
        .file("my-1/bin/mysqld", 0o755, b"server")
        .symlink("my-1/a", "b")
        .symlink("my-1/b", "suite/x")
        .symlink("my-1/suite", "mysql-test")
        .file("my-1/mysql-test/x", 0o644, b"x")
        .symlink("my-1/loop", "loop")
        .symlink("my-1/lib/sub", "../bin")
        .symlink("my-1/through", "lib/sub/mysqld")
        .symlink("my-1/top", "bin/..")
        .hard_link("my-1/twin", "my-1/through")
        .share();
    let case = Case::new(&gzip(&input.bytes()));
    let output = case.run(&["in.tar.gz", "-o", "out"]);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let notes: Vec<&str> = stderr
        .lines()
        .filter(|line| line.starts_with('-'))
        .collect();
    let expected = [
        "- left out the link a: b is left out",
        "- left out the link b: suite/x is left out",
        "- left out the link suite: mysql-test is left out",
    ];
    assert_eq!(notes, expected);
    let expected = [
        "my-1/bin/mysqld 755 server",
        SHARE[0],
        SHARE[1],
        "my-1/loop 777 -> loop",
        "my-1/lib/sub 777 -> ../bin",
        "my-1/through 777 -> lib/sub/mysqld",
        "my-1/top 777 -> bin/..",
        "my-1/twin 644 -> lib/sub/mysqld",
    ];
    assert_eq!(contents(&case.path("out")), expected);
}

#[test]
fn keep_and_drop_change_what_is_kept_and_warn_when_idle() {
    let case = Case::new(&gzip(&vendor().bytes()));
    let keep = ["--keep", "mysql-test/t", "--keep", "nothing/*"];
    let drop = ["--drop", "lib/*.so.1", "--drop", "bin/mysqld-*"];
    let output = case.run(&[&["in.tar.gz", "-o", "out"], &keep[..], &drop].concat());
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.starts_with(
        "- warning: --keep 'nothing/*' matches nothing in the tarball\n- left out the link"
    ));
    let x = "x".repeat(2000);
    let expected = [
        "my-1/ 755 ",
        "my-1/bin/mysqld 755 server",
        &format!("my-1/mysql-test/t/1st.test 644 {x}"),
        "my-1/mysql-test/t/2nd.test 644 -> my-1/mysql-test/t/1st.test",
        SHARE[0],
        SHARE[1],
        "my-1/lib/never-there 777 -> nowhere",
    ];
    assert_eq!(contents(&case.path("out")), expected);
}

#[test]
fn dry_run_prints_the_table_and_writes_nothing() {
    let case = Case::new(&gzip(&vendor().bytes()));
    let output = case.run(&["in.tar.gz", "--dry-run"]);
    assert_eq!(output.status.code(), Some(0));
    let stdout = text(&output.stdout);
    assert!(stdout.starts_with("left out  "), "{stdout}");
    assert!(stdout.ends_with("; nothing was written\n"), "{stdout}");
    assert_eq!(case.files(), ["in.tar.gz"]);
}

#[test]
fn json_names_and_counts_everything() {
    let case = Case::new(&gzip(&vendor().bytes()));
    let output = case.run(&["in.tar.gz", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let size = fs::metadata(case.path("in-repacked.tar.gz")).unwrap().len();
    assert_eq!(json["input"], "in.tar.gz");
    assert_eq!(json["output"], "in-repacked.tar.gz");
    assert_eq!(json["output_bytes"], size);
    assert_eq!(json["kept"]["files"], 7);
    assert_eq!(json["dropped"]["test suite"]["bytes"], 2000);
    assert_eq!(json["dead_links"][0], "bin/tester");
    let dry = case.run(&["in.tar.gz", "--json", "--dry-run"]);
    let json: serde_json::Value = serde_json::from_slice(&dry.stdout).unwrap();
    assert_eq!(json["output"], serde_json::Value::Null);
}

#[test]
fn minimal_keeps_what_is_listed_only() {
    let input = Tarball::new()
        .directory("my-1/")
        .directory("my-1/bin/")
        .directory("my-1/man/")
        .file("my-1/man/mysql.1", 0o644, b"manual")
        .file("my-1/bin/mysqld", 0o755, b"server")
        .file("my-1/bin/mysqlslap", 0o755, b"slap")
        .share()
        .symlink("my-1/bin/mariadbd", "mysqld")
        .symlink("my-1/bin/mariadb-slap", "mysqlslap");
    let case = Case::new(&gzip(&input.bytes()));
    let output = case.run(&["in.tar.gz", "-o", "out", "--profile", "minimal"]);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("  not in minimal             3        10 B\n"),
        "{stderr}"
    );
    let expected = [
        "my-1/ 755 ",
        "my-1/bin/ 755 ",
        "my-1/bin/mysqld 755 server",
        SHARE[0],
        SHARE[1],
        "my-1/bin/mariadbd 777 -> mysqld",
    ];
    assert_eq!(contents(&case.path("out")), expected);
}
