//! What others write reaches a terminal as text, and neither fills our memory nor the disk.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use super::RUNTIME;
use crate::world::{BUILD_FILE, World};

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
    assert!(said.contains("is an orphan"), "{said}");
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
    let script = "\"$@\" >/dev/null; status=$?; ulimit -v unlimited; exit $status";
    let mut shell = world.program("/bin/bash");
    shell.args(["-c", &format!("ulimit -v 400000; {script}"), "bash"]);
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
