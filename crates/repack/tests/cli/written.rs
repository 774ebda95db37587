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
    assert_eq!(text(&output.stdout), "in-repacked.tar.zst\n");
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
    assert!(total.contains(" -> in-repacked.tar.zst "), "{total}");
    assert_eq!(contents(&case.path("in-repacked.tar.zst")), KEPT);
    assert_eq!(case.files(), ["in-repacked.tar.zst", "in.tar.gz"]);
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
    assert_eq!(
        bytes[..6],
        *b"\x28\xb5\x2f\xfd\x04\x88",
        "a window of 128 MiB, a checksum"
    );
    assert!(case.run(&["in", "-o", "out.tgz"]).status.success());
    let bytes = fs::read(case.path("out.tgz")).unwrap();
    assert_eq!(bytes[4..8], [0; 4], "the time in the gzip header");
}

#[test]
fn format_is_what_the_name_says_and_a_contradiction_is_refused() {
    let case = Case::new(&gzip(&vendor().bytes()));
    let rows: [(&str, &[u8]); 5] = [
        ("a.tar.gz", b"\x1f\x8b"),
        ("A.TGZ", b"\x1f\x8b"),
        ("a.tar.xz", b"\xfd7zXZ"),
        ("a.tar.zst", b"\x28\xb5\x2f\xfd"),
        ("a", b"\x28\xb5\x2f\xfd"),
    ];
    for (name, magic) in rows {
        assert!(case.run(&["in.tar.gz", "-o", name]).status.success());
        assert!(
            fs::read(case.path(name)).unwrap().starts_with(magic),
            "{name}"
        );
        assert_eq!(contents(&case.path(name)), KEPT);
    }
    let contradicted: [(&[&str], &str); 6] = [
        (
            &["-o", "b.tar.gz", "--format", "xz"],
            "--output ends in '.tar.gz', and --format is 'xz': leave out --format, or name the file *.tar.xz",
        ),
        (
            &["-o", "b.zip"],
            "--output ends in '.zip', which repack does not write: name it *.tar.zst, *.tar.gz or *.tar.xz",
        ),
        (
            &["-o", "b.tgz", "--level", "10"],
            "--level is 10, and 'gz' has 1 to 9",
        ),
        (&["--level", "13"], "--level is 13, and 'zst' has 1 to 12"),
        (
            &["-o", "b", "--report", "./b"],
            "--output and --report name the same file",
        ),
        (
            &["--report", "-"],
            "--report needs the name of a file: '-' is none",
        ),
    ];
    let before = case.files();
    for (options, problem) in contradicted {
        let output = case.run(&[&["in.tar.gz"], options].concat());
        let stderr = text(&output.stderr);
        assert!(
            stderr.starts_with(&format!("error: {problem}\n")),
            "{stderr}"
        );
        assert_eq!(output.status.code(), Some(2), "{options:?}");
    }
    assert_eq!(case.files(), before);
}

#[test]
fn standard_output_gets_the_result_and_nothing_else() {
    let case = Case::new(&gzip(&vendor().bytes()));
    assert!(case.run(&["in.tar.gz", "-o", "out"]).status.success());
    let output = case.run(&["in.tar.gz", "-o", "-"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(output.stdout == fs::read(case.path("out")).unwrap());
    assert!(text(&output.stderr).contains(" -> standard output "));
    let gz = case.run(&["in.tar.gz", "-o", "-", "--format", "gz"]);
    assert!(gz.stdout.starts_with(b"\x1f\x8b"));
    let json = case.run(&["in.tar.gz", "-o", "-", "--json"]);
    assert_eq!(json.status.code(), Some(2));
    let problem = "error: --json and --output - both want standard output\n";
    assert!(text(&json.stderr).starts_with(problem));
    assert_eq!(case.files(), ["in.tar.gz", "out"]);
    // Into the input itself.
    let own = fs::OpenOptions::new()
        .append(true)
        .open(case.path("in.tar.gz"));
    let mut command = case.command();
    command.args(["in.tar.gz", "-o", "-"]).stdout(own.unwrap());
    assert_eq!(
        text(&command.output().unwrap().stderr),
        "repack: error: the output standard output is the input itself\n  next: choose another file with -o\n"
    );
    let command = format!(
        "exec script -qec '{} in.tar.gz -o -' /dev/null </dev/null",
        case.command().get_program().display()
    );
    let mut terminal = std::process::Command::new("/bin/sh");
    let output = terminal.args(["-c", &command]).current_dir(case.path("."));
    let said = String::from_utf8_lossy(&output.output().unwrap().stdout).into_owned();
    let problem = "standard output is a terminal: redirect it, or name a file with --output";
    assert!(said.contains(problem), "{said}");
}

#[test]
fn standard_output_whose_reader_ended_is_told() {
    let case = Case::new(&gzip(&vendor().bytes()));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = case
        .command()
        .args(["in.tar.gz", "-o", "-"])
        .stdout(writer)
        .output();
    assert_eq!(
        text(&output.unwrap().stderr),
        "repack: error: cannot write standard output\n  cause: broken pipe (os error 32)\n  \
         next: see why the program that reads it ended\n"
    );
}

#[test]
fn result_no_smaller_than_its_input_is_told() {
    let small_with = |server: &str| {
        let small = Tarball::new().file("my-1/bin/mysqld", 0o755, server.as_bytes());
        small.share()
    };
    let best = zstd::encode_all(&small_with("server").bytes()[..], 19).unwrap();
    let case = Case::new(&best);
    let output = case.run(&["in.tar.gz", "-o", "out", "--level", "1"]);
    assert!(output.status.success());
    let note = "- warning: out is not worth having: it is no smaller than in.tar.gz, of which nothing \
                was left out; push in.tar.gz itself\n";
    let stderr = text(&output.stderr);
    assert!(stderr.contains(note), "{stderr}");
    // Something was left out, and yet.
    let lines: Vec<String> = (0..5000).map(|n| format!("line {n}")).collect();
    let pages = lines.join("\n");
    let left_out = small_with(&pages).file("my-1/mysql-test/x", 0o644, b"");
    let case = Case::new(&zstd::encode_all(&left_out.bytes()[..], 19).unwrap());
    let output = case.run(&["in.tar.gz", "-o", "out.tgz", "--level", "1"]);
    let note = "- warning: out.tgz is no smaller than in.tar.gz, which is compressed harder: a higher \
                --level, or --format xz, makes it smaller\n";
    let stderr = text(&output.stderr);
    assert!(stderr.contains(note), "{stderr}");
}

#[test]
fn notes_have_no_control_characters() {
    let input = Tarball::new()
        .file("my-1/bin/mysqld", 0o755, b"server")
        .file("my-1/bin/mysqltest", 0o755, b"tester")
        .file("my-1/bin/\u{9b}\n\u{1b}]0;x\u{7}", 0o755, b"\x7fELF")
        .symlink("my-1/bin/\u{1b}[2J", "mysqltest")
        .share();
    let case = Case::new(&gzip(&input.bytes()));
    let output = case.run(&["in.tar.gz", "-o", "out", "--keep", "\u{1b}[31m"]);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("- left out the link bin/\\u{1b}[2J: "),
        "{stderr}"
    );
    assert!(
        stderr.contains("- not stripped: bin/\\u{9b}\\n\\u{1b}]0;x\\u{7} "),
        "{stderr}"
    );
    let shown = |line: &str| !line.contains(char::is_control);
    assert!(stderr.lines().all(shown), "{stderr:?}");
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
    let size = fs::metadata(case.path("in-repacked.tar.zst"))
        .unwrap()
        .len();
    assert_eq!(json["input"], "in.tar.gz");
    assert_eq!(json["output"], "in-repacked.tar.zst");
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
