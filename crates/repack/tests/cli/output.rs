//! The file written: never in part, never over anything but an older result.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::tarball::{KEPT, Tarball, contents, gzip, vendor};
use crate::{Case, text};

const PARTIAL: &str = ".out.repack-partial";

#[test]
fn input_is_never_overwritten() {
    let case = Case::new(&gzip(&vendor().bytes()));
    fs::hard_link(case.path("in.tar.gz"), case.path("twin")).unwrap();
    let stderr = |output: &str| {
        format!(
            "repack: error: the output {output} is the input itself\n  \
             next: choose another file with -o\n"
        )
    };
    case.refuses(&["-o", "in.tar.gz"], &stderr("in.tar.gz"));
    case.refuses(&["-o", "./in.tar.gz"], &stderr("./in.tar.gz"));
    case.refuses(&["-o", "twin"], &stderr("twin"));
}

#[test]
fn output_that_is_no_regular_file_is_refused() {
    let case = Case::new(&gzip(&vendor().bytes()));
    fs::create_dir(case.path("directory")).unwrap();
    symlink("in.tar.gz", case.path("link")).unwrap();
    for output in ["directory", "link", "/dev/null"] {
        let stderr = format!(
            "repack: error: the output {output} exists and is not a regular file\n  \
             next: choose another file with -o\n"
        );
        case.refuses(&["-o", output], &stderr);
    }
}

#[test]
fn output_in_an_absent_directory_is_refused() {
    let case = Case::new(&gzip(&vendor().bytes()));
    case.refuses(
        &["-o", "absent/out"],
        "repack: error: cannot create absent/.out.repack-partial\n  \
         cause: no such file or directory (os error 2)\n  \
         next: check that the directory exists and is yours, or choose another place with -o\n",
    );
}

#[test]
fn output_of_an_earlier_run_survives_a_failure_and_is_replaced_by_success() {
    let case = Case::new(&gzip(&vendor().bytes()[..4096]));
    fs::write(case.path("out"), "earlier").unwrap();
    assert_eq!(case.run(&["in.tar.gz", "-o", "out"]).status.code(), Some(1));
    assert_eq!(fs::read(case.path("out")).unwrap(), b"earlier");
    fs::write(case.path("in.tar.gz"), gzip(&vendor().bytes())).unwrap();
    assert!(case.run(&["in.tar.gz", "-o", "out"]).status.success());
    assert_eq!(contents(&case.path("out")), KEPT);
    assert_eq!(case.files(), ["in.tar.gz", "out"]);
}

#[test]
fn leftover_of_a_killed_run_is_taken_over_and_a_strangers_file_is_not() {
    let case = Case::new(&gzip(&vendor().bytes()));
    assert!(case.run(&["in.tar.gz", "-o", "out"]).status.success());
    assert!(case.run(&["in.tar.gz", "-o", "out.tgz"]).status.success());
    let start = |name: &str| fs::read(case.path(name)).unwrap()[..50].to_vec();
    let (zst, gz) = (start("out"), start("out.tgz"));
    fs::remove_file(case.path("out.tgz")).unwrap();
    for leftover in [&zst[..], &gz, b""] {
        fs::write(case.path(PARTIAL), leftover).unwrap();
        assert!(case.run(&["in.tar.gz", "-o", "out"]).status.success());
        assert_eq!(contents(&case.path("out")), KEPT);
        assert_eq!(case.files(), ["in.tar.gz", "out"]);
    }
    fs::write(case.path(PARTIAL), "a stranger's").unwrap();
    let in_the_way = "repack: error: .out.repack-partial is in the way, and not a leftover of \
                      repack\n  next: move it away, or choose another file with -o\n";
    case.refuses(&["-o", "out"], in_the_way);
    assert_eq!(fs::read(case.path(PARTIAL)).unwrap(), b"a stranger's");
    fs::remove_file(case.path(PARTIAL)).unwrap();
    symlink("in.tar.gz", case.path(PARTIAL)).unwrap();
    case.refuses(&["-o", "out"], in_the_way);
}

#[test]
fn output_another_run_is_writing_is_refused() {
    let case = Case::new(&gzip(&vendor().bytes()));
    let other = File::create(case.path(PARTIAL)).unwrap();
    other.lock().unwrap();
    case.refuses(
        &["-o", "out"],
        "repack: error: another repack is writing .out.repack-partial\n  \
         next: wait for it, or choose another file with -o\n",
    );
}

#[test]
fn disk_full_leaves_nothing() {
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        // Knuth's multiplier for 64 bits (The Art of Computer Programming 2, 3.3.4).
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(200_000)
    .collect();
    let input = Tarball::new()
        .share()
        .file("my-1/bin/mysqld", 0o755, &noise);
    let case = Case::new(&gzip(&input.bytes()));
    // A limit on file sizes stands for the full disk: 8 blocks of 512 bytes.
    let output = Command::new("/bin/sh")
        .args([
            "-c",
            r#"trap "" XFSZ; ulimit -f 8; exec "$0" in.tar.gz -o out"#,
        ])
        .arg(case.command().get_program())
        .current_dir(case.path("."))
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stderr),
        "repack: error: cannot write out\n  cause: file too large (os error 27)\n  \
         next: make room there, or choose another place with -o\n"
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(case.files(), ["in.tar.gz"]);
}

#[test]
fn signal_ends_the_run_like_any_program_and_leaves_nothing() {
    // Large enough to be seen at work: a gigabyte of zeros is a megabyte of gzip.
    let member = gzip(&vec![0; 16 << 20]);
    let server = Tarball::new()
        .file("my-1/bin/mysqld", 0o755, b"server")
        .share()
        .bytes();
    let mut header = tar::Header::new_gnu();
    header.set_path("my-1/zeros").unwrap();
    header.set_size(64 * (16 << 20));
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    let start = [&server[..server.len() - 1024], header.as_bytes()].concat();
    let mut input = gzip(&start);
    for _ in 0..64 {
        input.extend_from_slice(&member);
    }
    input.extend(gzip(&[0; 1024]));
    let case = Case::new(&input);
    let run = case
        .command()
        .args(["in.tar.gz", "-o", "out"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !case.path(PARTIAL).exists() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let kill = format!("kill -TERM {}", run.id());
    let killed = Command::new("/bin/sh").args(["-c", &kill]).status();
    assert!(killed.unwrap().success());
    let output = run.wait_with_output().unwrap();
    assert_eq!(
        text(&output.stderr),
        "repack: error: stopped by signal 15; nothing was written\n  next: run it again\n"
    );
    assert_eq!(output.status.signal(), Some(15));
    assert_eq!(case.files(), ["in.tar.gz"]);
}

#[test]
fn signal_ends_a_run_that_waits_for_standard_input() {
    let case = Case::new(b"");
    let mut run = case
        .command()
        .args(["-", "-o", "out"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !catches_term(run.id()) && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let kill = format!("kill -TERM {}", run.id());
    let killed = Command::new("/bin/sh").args(["-c", &kill]).status();
    assert!(killed.unwrap().success());
    let open = run.stdin.take();
    let output = run.wait_with_output().unwrap();
    drop(open);
    assert_eq!(
        text(&output.stderr),
        "repack: error: stopped by signal 15; nothing was written\n  next: run it again\n"
    );
    assert_eq!(output.status.signal(), Some(15));
}

/// Whether TERM has a handler in the process: proc(5), the mask of caught signals.
fn catches_term(id: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
    mask & (1 << 14) != 0
}

#[test]
fn usage_wrong_is_status_2_and_help_is_0() {
    let case = Case::new(b"");
    let rows: &[(&[&str], i32)] = &[
        (&[], 2),
        (&["in.tar.gz", "--level", "20"], 2),
        (&["in.tar.gz", "--level", "0"], 2),
        (&["in.tar.gz", "--keep", "/bin"], 2),
        (&["in.tar.gz", "--profile", "other"], 2),
        (&["in.tar.gz", "--unknown"], 2),
        (&["in.tar.gz", "--max-size", "huge"], 2),
        (&["-"], 2),
        (&["--help"], 0),
        (&["--version"], 0),
    ];
    for (arguments, status) in rows {
        let output = case.run(arguments);
        assert_eq!(output.status.code(), Some(*status), "{arguments:?}");
        assert_eq!(output.stdout.is_empty(), *status != 0, "{arguments:?}");
    }
    let version = format!("repack {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&case.run(&["--version"]).stdout), version);
}
