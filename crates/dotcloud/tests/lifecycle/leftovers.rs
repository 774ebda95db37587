//! What a service leaves in its `$HOME` to be in everybody's way: trees without an end, files that
//! are nearly all hole, processes that hide.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::RUNTIME;
use crate::world::{Printed, Runtime, World, is_root, processes_below, wait_for};

/// Makes directories in one another.
const DEEP: &str = "cp app/server ~\n[ -e app/levels ] || exit 0\ncd ~\npython3 -c 'import os, sys
for level in range(int(sys.argv[1])):
    os.mkdir(\"d\")
    os.chdir(\"d\")
open(\"end\", \"w\").close()
os.chmod(\".\", 0)' $(cat ~-/app/levels)";

/// With few descriptors, as most have it.
fn dotcloud(world: &World, words: &[&str]) -> Printed {
    let mut command = world.program("/bin/sh");
    command
        .args(["-c", "ulimit -n 1024; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_dotcloud"))
        .args(words);
    Printed::of(&command.output().unwrap())
}

#[test]
fn deep_tree_is_kept_or_refused_and_never_in_the_way() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script("app/builder", DEEP);
    world.write("app/levels", "1500");
    for _ in 0..2 {
        dotcloud(&world, &["push", "--clean"]).with_status(0);
    }
    let depth = world.run("db", "find . -name d | wc -l");
    // The deepest is closed, and was made so by the build.
    assert_eq!(depth, "1500\n");
    world.write("app/levels", "20000");
    let refused = dotcloud(&world, &["push", "--clean"]).with_status(2);
    refused.position("a path in it is longer than 4095 bytes");
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
    fs::remove_file(world.code("app/levels")).unwrap();
    dotcloud(&world, &["push", "--clean"]).with_status(0);
    // And in what is only moved.
    let deep = "cd ~/data; python3 -c 'import os
for level in range(20000):
    os.mkdir(\"d\")
    os.chdir(\"d\")'";
    world.run("db", deep);
    dotcloud(&world, &["push"]).with_status(0);
    dotcloud(&world, &["destroy", "-y"]).with_status(0);
    assert!(!world.state("").exists());
}

#[test]
fn file_that_is_all_hole_costs_nothing() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let script = "cp app/server ~\ntruncate -s 8T ~/core\nprintf end >>~/core\nln -f ~/core ~/same";
    world.script("app/builder", script);
    world.push(0);
    world.push(0);
    let core = world.state("db.0/2/home/core").metadata().unwrap();
    assert_eq!(core.len(), (8 << 40) + 3);
    assert!(core.blocks() < 64, "{}", core.blocks());
    assert_eq!(
        world.run("db", "tail -c 3 ~/core; stat -c %h ~/core"),
        "end2\n"
    );
}

#[test]
fn closed_and_read_only_parts_of_a_build_are_kept_as_they_are() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    fs::create_dir(world.code("app/fixed")).unwrap();
    world.write("app/fixed/file", "x");
    let mode = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(world.code("app/fixed"), mode(0o755)).unwrap();
    let script = "cp app/server ~\n[ ! -e ~/a ] || exit 0\nmkdir -p ~/a/b\necho secret >~/a/b/file\nchmod 0 ~/a/b/file ~/a/b\n\
                  chmod 555 ~/a";
    world.script("app/builder", script);
    world.push(0);
    world.push(0);
    let shown = world.run(
        "db",
        "stat -c %a ~/a ~/a/b; chmod 700 ~/a/b; stat -c %a ~/a/b/file",
    );
    assert_eq!(shown, "555\n0\n0\n");
}

/// Processes that keep `$HOME` without anything that /proc tells of them: no variable, no directory;
/// what they hold is on its way through a socket, or belongs to one of their threads.
const HIDING: &str = r#"#!/usr/bin/env python3
import ctypes, os, socket, sys, threading, time
home = os.environ["HOME"]
if len(sys.argv) == 1:
    sys.argv.append("flight")
    if os.fork() == 0:
        sys.argv[1] = "thread"
if os.fork():
    sys.exit(0)
os.setsid()
null = os.open("/dev/null", os.O_RDWR)
for stream in range(3):
    os.dup2(null, stream)
if sys.argv[1] == "flight":
    held = os.open(home, os.O_RDONLY)
    a, b = socket.socketpair()
    socket.send_fds(a, [b"x"], [held])
    for end in (a, b):
        os.set_inheritable(end.fileno(), True)
    os.closerange(3, min(a.fileno(), b.fileno()))
    os.chdir("/")
    os.execve("/usr/bin/python3", ["python3", "-c", "import time; time.sleep(900) # flight"], {})
else:
    os.chdir("/")
    code = "import ctypes, os, threading, time\ndef hide():\n    ctypes.CDLL(None).unshare(0x600)\n" \
           "    os.chdir(%r)\n    time.sleep(900)\n" \
           "threading.Thread(target=hide).start() # thread" % home
    os.execve("/usr/bin/python3", ["python3", "-c", code], {})
"#;

/// How many of them there are, which have no other name.
fn hiding(kind: &str) -> usize {
    let mut found = 0;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        found += usize::from(line.starts_with("python3\0-c\0") && line.contains(kind));
    }
    found
}

/// Whether what hides in a socket is found: not by an ordinary user without containers.
fn finds_all() -> bool {
    RUNTIME != Runtime::Process || is_root()
}

#[test]
fn hidden_process_of_a_build_or_a_service_ends_with_it() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    // Of this test and this run only.
    let mark = world.home().display().to_string().replace('/', "_");
    let script = HIDING.replace("# flight", &format!("# flight{mark}"));
    let script = script.replace("# thread", &format!("# thread{mark}"));
    let kinds = [format!("# flight{mark}"), format!("# thread{mark}")];
    let kinds = &kinds[usize::from(!finds_all())..];
    world.write("app/hide", &script);
    world.executable("app/hide");
    let start = if finds_all() {
        "app/hide"
    } else {
        "app/hide thread"
    };
    world.script(
        "app/builder",
        &format!("cp app/server app/hide ~\n{start}\nsleep 1"),
    );
    let push = world.push(0);
    if RUNTIME == Runtime::Process {
        push.position("is an orphan");
    }
    for kind in kinds {
        assert_eq!(hiding(kind), 0, "{kind}");
    }
    let start = start.replace("app/", "~/");
    for verbs in [&["down"][..], &["destroy", "-y"]] {
        world.write(
            "app/server",
            &format!("#!/bin/sh\n{start}\nexec sleep 1000\n"),
        );
        world.write("dotcloud.yml", "db:\n  type: custom\n  approot: app\n  buildscript: app/builder\n  process: ~/server\n");
        world.script("app/builder", "cp app/server app/hide ~");
        world.push(0);
        for kind in kinds {
            wait_for(kind, || (hiding(kind) > 0).then_some(()));
        }
        world.dotcloud(verbs).with_status(0);
        for kind in kinds {
            assert_eq!(hiding(kind), 0, "{kind} after {verbs:?}");
        }
    }
    assert_eq!(processes_below(&world.home()), Vec::new());
}

/// As on a full disk: nothing can be written.
fn without_room(world: &World, words: &[&str]) -> Printed {
    let mut command = world.program("/bin/sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_dotcloud"))
        .args(words);
    Printed::of(&command.output().unwrap())
}

#[test]
fn full_disk_keeps_nobody_from_stopping_and_restarts_nothing_by_half() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let before = world.ask("db.0");
    without_room(&world, &["restart", "db.0"]).with_status(1);
    assert_eq!(world.ask("db.0"), before);

    let down = without_room(&world, &["down"]).with_status(1);
    let told = "it is stopped all the same";
    assert!(down.stderr.contains(told), "{}", down.stderr);
    assert_eq!(processes_below(&world.home()), Vec::new());
    world.dotcloud(["down"]).with_status(0);
    world.dotcloud(["up", "-A", "app"]).with_status(0);
    wait_for("the second start", || {
        let history = crate::world::read(&world.address("db.0")).unwrap_or_default();
        (history.matches("started").count() == 2).then_some(())
    });
}
