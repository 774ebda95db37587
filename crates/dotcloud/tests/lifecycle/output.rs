//! What others write reaches a terminal as text, and neither fills our memory nor the disk.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use super::RUNTIME;
use crate::world::{BUILD_FILE, Running, Runtime, World, wait_for};

/// Says whether any of it could move a cursor, turn the direction, or be no UTF-8.
#[track_caller]
fn check_fit(what: &str, text: &[u8]) {
    let text = std::str::from_utf8(text).unwrap_or_else(|_| panic!("{what}: no UTF-8"));
    for c in text.chars() {
        let harmless = matches!(c, '\n' | '\t');
        let direction = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(harmless || !c.is_control() && !direction, "{what}: {text}");
    }
}

#[test]
fn output_of_others_is_never_obeyed() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.write(
        "dotcloud.yml",
        &format!("{BUILD_FILE}  environment:\n    HOSTILE: \"a\\nDOTCLOUD_FAKE=1\\e[2J\"\n"),
    );
    let hostile = r"\033]0;x\007\r99:99:99: --> forged\n\xc2\x9b2J\xe2\x80\xae\xff\n";
    world.script(
        "app/builder",
        &format!(
            "cp app/server ~\nprintf '{hostile}'\n\
             setsid bash -c 'exec -a \"$1\" sleep 1000' x $'sleep\\n\\e[2J-->forged' &"
        ),
    );
    world.write("a\n\u{1b}[2J\u{202e}", "");
    let mut push = world.command(["push", "--verbose"]);
    let push = push.output().unwrap();
    check_fit("push", &push.stdout);
    check_fit("push", &push.stderr);
    let said = String::from_utf8(push.stdout).unwrap();
    assert_eq!(push.status.code(), Some(0), "{said}");
    assert!(said.contains("[db] \\u{1b}]0;x\\u{7}\n"), "{said}");
    // A container ends without a word what is left in it.
    if RUNTIME == Runtime::Process {
        assert!(said.contains("is an orphan"), "{said}");
    }
    for line in said.lines().filter(|line| line.contains("forged")) {
        assert!(line.contains("[db] "), "{line}");
    }

    let logs = fs::read_dir(world.state("db.0")).unwrap();
    let logs = logs.filter_map(|entry| Some(entry.ok()?.path().join("log")));
    for directory in logs.filter(|path| path.is_dir()) {
        let name = "x\n\u{1b}[31mFORGED [other.0] == line ==.log";
        fs::write(directory.join(name), b"\x1b[2J\r[db.9] forged\n\xff\n").unwrap();
    }
    for words in [
        &["logs", "-N"][..],
        &["dlogs", "latest"],
        &["status", "db"],
        &["info", "db"],
        &["info", "--json"],
        &["env", "list"],
        &["env", "list", "--json"],
        &["list"],
        &["-A", "a\n\u{1b}[2J", "info"],
        &["-A", "app", "--\u{1b}[2J"],
        &["status", "\u{1b}[2J"],
        &["dlogs", "\u{1b}[2J"],
        &["push", "/nowhere\n\u{1b}[2J"],
    ] {
        let output = world.command(words).output().unwrap();
        check_fit(words[0], &output.stdout);
        check_fit(words[0], &output.stderr);
    }
    let logs = world.dotcloud(["logs", "-N"]).with_status(0).stdout;
    assert!(logs.contains("/x\\n\\u{1b}[31mFORGED"), "{logs}");
    let list = world.dotcloud(["env", "list"]).with_status(0).stdout;
    assert!(!list.contains("\nDOTCLOUD_FAKE"), "{list}");
}

#[test]
fn output_without_an_end_costs_neither_memory_nor_disk() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script(
        "app/builder",
        "cp app/server ~\necho first\nhead -c 500000000 /dev/zero\necho\n\
         yes 'a log line that is fairly long, as compilers have them' | head -c 30000000\n\
         printf '\\nlast\\n'",
    );
    // An OCI runtime reserves more than that by itself.
    let limit = match RUNTIME {
        Runtime::Process => "ulimit -v 400000; ",
        Runtime::Oci | Runtime::Rootless => "",
    };
    let mut shell = world.program("/bin/bash");
    shell.args(["-c", &format!("{limit}exec \"$@\" >/dev/null"), "bash"]);
    shell.args([env!("CARGO_BIN_EXE_dotcloud"), "push"]);
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = world.state("deployments/1.log");
    let size = log.metadata().unwrap().size();
    assert!(size < 10 << 20, "{size}");
    let text = world.dotcloud(["dlogs", "1"]).with_status(0).stdout;
    for part in [
        "[db] first\n",
        " [line cut: 499934464 more bytes]\n",
        " bytes of output are left out here\n",
        "[db] last\n",
        "--> Deployment finished successfully",
    ] {
        assert!(text.contains(part), "no {part:?}");
    }
    let end = world.dotcloud(["dlogs", "1", "-n", "2"]).with_status(0);
    assert!(text.ends_with(&end.stdout) && end.stdout.lines().count() == 2);
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    for words in [
        &["push"][..],
        &["list"],
        &["list", "--json"],
        &["url", "--json"],
        &["info"],
        &["dlogs", "latest"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["--version"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = world.command(words).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?} {output:?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = world.command(words).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?} {output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("error"));
    }
}

#[test]
fn logs_show_all_that_was_written() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    // Two processes: one that stays, and one that rotated its log and ends without a line end.
    world.write(
        "dotcloud.yml",
        &BUILD_FILE.replace(
            "  process: ~/server\n",
            "  processes:\n    db: ~/server\n    many: ~/many\n",
        ),
    );
    world.script(
        "app/many",
        "mkdir -p ~/data/logs; cd ~/data/logs; mkfifo pipe; ln -s /etc/passwd link.log\n\
         echo 'one of the service' >own.log; echo packed >own.log.gz\n\
         seq 2500000; printf 'last words'; exec sleep 1000",
    );
    world.script("app/builder", "cp app/server app/many ~");
    world.push(0);
    let show = |words: &[&str]| {
        let words = [&["logs", "-N", "db"], words].concat();
        world.dotcloud(words).with_status(0).stdout
    };
    let all = wait_for("the last words", || {
        let all = show(&["-n", "1000000"]);
        all.contains("[db.0] last words\n").then_some(all)
    });
    let numbers: Vec<u32> = all
        .lines()
        .filter_map(|line| line.strip_prefix("[db.0] ")?.parse().ok())
        .collect();
    assert_eq!(numbers, (1_500_002..=2_500_000).collect::<Vec<u32>>());
    assert!(world.state("db.0/1/log/many.log.1").exists());
    assert!(all.contains("[db.0] one of the service\n"));
    assert!(!all.contains("root:") && !all.contains("packed") && !all.contains("== pipe"));
    let last = show(&["-n", "1"]);
    assert!(
        last.contains("[db.0] last words\n") && !last.contains("2500000"),
        "{last}"
    );
    assert_eq!(show(&["--since", "2100-01-01"]), "");
    assert!(show(&["--since", "1h", "-n", "1"]).contains("one of the service"));
}

#[test]
fn logs_that_move_with_the_data_are_not_shown_again() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script(
        "app/many",
        "mkdir -p ~/data/logs; echo 'one of the service' >~/data/logs/own.log\n\
         printf 'last words'; exec sleep 1000",
    );
    world.write(
        "dotcloud.yml",
        &BUILD_FILE.replace(
            "process: ~/server\n",
            "processes:\n    db: ~/server\n    many: ~/many\n",
        ),
    );
    world.script("app/builder", "cp app/server app/many ~");
    world.push(0);
    let mut follower = Running(
        world
            .command(["logs", "db"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(follower.0.stdout.take().unwrap()).lines();
    let mut until = |end: &str| {
        let mut seen = Vec::new();
        loop {
            let line = lines.next().unwrap().unwrap();
            seen.push(line.clone());
            if line.ends_with(end) {
                break seen.join("\n");
            }
        }
    };
    until("one of the service");
    until("last words");
    world.script(
        "app/many",
        "echo added >>~/data/logs/own.log; exec sleep 1000",
    );
    world.push(0);
    let seen = until("added");
    assert!(!seen.contains("one of the service"), "{seen}");
}
