//! What a service has of whoever started it: a session, a terminal and descriptors of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::RUNTIME;
use crate::world::{Runtime, World, wait_for};

/// A terminal of the test's, with a shell on it that gets lines, one as soon as the last word of the
/// one before it was seen. Everything that the terminal shows is printed.
const TERMINAL: &str = r#"
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
shown, seen, begin = b"", 0, time.time()
steps = [step.encode().decode("unicode_escape").split("|", 1) for step in sys.argv[1:]]
while time.time() - begin < 60:
    if select.select([fd], [], [], 0.05)[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        shown += data
    if steps and steps[0][0].encode() in shown[seen:]:
        seen = len(shown)
        os.write(fd, steps.pop(0)[1].encode())
sys.stdout.buffer.write(shown)
os.kill(pid, 9)
os.waitpid(pid, 0)
"#;

/// Tells what it has of others, and types into the terminal that it finds.
const PROBE: &str = r#"#!/usr/bin/env python3
import fcntl, os, sys, termios
try:
    fd = os.open("/dev/tty", os.O_RDWR)
    for c in "echo TYPED-$((6*7))\n":
        fcntl.ioctl(fd, termios.TIOCSTI, c.encode())
    os.close(fd)
    print("terminal")
except OSError as error:
    print("none", error.errno)
print("open", sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[3:-1], flush=True)
"#;

/// What a terminal shows of `steps`, each `WORD-TO-WAIT-FOR|LINE`, without its sequences.
fn on_a_terminal(world: &World, steps: &[&str]) -> String {
    let mut python = world.program("python3");
    python
        .args(["-c", TERMINAL])
        .args(steps)
        .env("PS1", "")
        .env("TERM", "dumb")
        .env("DOTCLOUD", env!("CARGO_BIN_EXE_dotcloud"));
    let output = python.output().unwrap();
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

fn with_probe() -> Option<World> {
    let world = World::new(RUNTIME)?;
    world.write("app/probe", PROBE);
    world.executable("app/probe");
    world.script("app/builder", "cp app/server app/probe ~\napp/probe");
    world.script("app/postinstall", "~/probe");
    let processes = "  processes:\n    db: ~/server\n    probe: sh -c '~/probe; sleep 1000'\n";
    let yml = crate::world::BUILD_FILE.replace("  process: ~/server\n", processes);
    world.write("dotcloud.yml", &yml);
    Some(world)
}

#[test]
fn nobody_of_a_service_reaches_the_terminal_of_a_push() {
    let Some(world) = with_probe() else {
        return;
    };
    let shown = on_a_terminal(
        &world,
        &[
            "|$DOTCLOUD push; echo push=$?\\n",
            "push=0|sleep 2; echo en''d\\n",
            "end|exit\\n",
        ],
    );
    assert!(!shown.contains("TYPED"), "{shown}");
    // In the build and in postinstall.
    assert_eq!(shown.matches("] none 6\n").count(), 2, "{shown}");
    assert_eq!(shown.matches("] open []\n").count(), 2, "{shown}");
    let log = world.state("db.0/1/log/probe.log");
    wait_for("the program's word", || {
        let text = fs::read_to_string(&log).ok()?;
        text.contains("open")
            .then(|| assert_eq!(text, "none 6\nopen []\n"))
    });
}

#[test]
fn run_has_a_terminal_of_its_own_and_gives_the_users_back() {
    let Some(world) = with_probe() else {
        return;
    };
    world.push(0);
    let shown = on_a_terminal(
        &world,
        &[
            "|$DOTCLOUD run db ./probe; echo probe=$?\\n",
            "probe=0|$DOTCLOUD run db 'stty size; exit 7'; echo size=$?\\n",
            "size=7|$DOTCLOUD run db 'echo up; exec sleep 1000'; echo int=$?\\n",
            "\nup|\\x03",
            "int=130|$DOTCLOUD run db; echo shell=$?\\n",
            ":~$ |echo to-\"file\" > f; sh -c 'echo go\"\"ing; exec sleep 999'\\n",
            "going|\\x1a",
            "Stopped|kill %1; stty -echo; exit 5\\n",
            "shell=5|$DOTCLOUD run db cat f > out; od -c out\\n",
            "0000010|stty -a; echo en''d\\n",
            "end|exit\\n",
        ],
    );
    for text in [
        "terminal\nopen []\n",
        "\n33 111\n",
        "size=7\n",
        "int=130\n",
        "dotcloud@app-default-db-0:~$ ",
        "Stopped",
        "shell=5\n",
        "0000000   t   o   -   f   i   l   e  \\n\n",
        " icanon",
        " echo ",
    ] {
        assert!(shown.contains(text), "no {text:?} in {shown}");
    }
    // What it typed was for the program's own terminal.
    assert!(!shown.contains("\nTYPED"), "{shown}");
}

#[test]
fn run_without_a_terminal_reaches_none_and_keeps_the_streams_apart() {
    let Some(world) = with_probe() else {
        return;
    };
    world.push(0);
    let shown = on_a_terminal(
        &world,
        &[
            "|$DOTCLOUD run db ./probe </dev/null; echo probe=$?\\n",
            "probe=0|$DOTCLOUD run db 'test -t 1 || test -t 2 || echo no''ne' </dev/null\\n",
            "none|echo en''d\\n",
            "end|exit\\n",
        ],
    );
    assert!(shown.contains("none 6\nopen []\n"), "{shown}");
    let apart = world.dotcloud(["run", "db", "echo out; echo err >&2; kill -TERM $$"]);
    assert_eq!((apart.status, &*apart.stdout), (143, "out\n"));
    assert!(apart.stderr.ends_with("err\n"), "{}", apart.stderr);
}

#[test]
fn what_the_caller_has_open_stays_with_the_caller() {
    let Some(world) = with_probe() else {
        return;
    };
    let secret = world.code("secret");
    fs::write(&secret, "of the caller\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    world.script("app/builder", "cp app/server app/probe ~\n! head -1 <&8");
    let lock = world.home().join("lock");
    let script = format!(
        "exec 8<{} 9>{}; flock -n 9 || exit 1; ulimit -Sn 1000\n\
         $DOTCLOUD push | cat; $DOTCLOUD run db 'ulimit -Sn; head -1 <&8'",
        secret.display(),
        lock.display()
    );
    // Its output would not end if a daemon still had the pipe.
    let output = world
        .program("bash")
        .args(["-c", &script])
        .env("DOTCLOUD", env!("CARGO_BIN_EXE_dotcloud"))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("finished successfully"), "{shown}");
    assert!(!shown.contains("of the caller"), "{shown}");
    if RUNTIME == Runtime::Process {
        assert!(shown.ends_with("\n1000\n"), "{shown}");
    }
    let free = world
        .program("flock")
        .arg("-n")
        .arg(&lock)
        .arg("true")
        .status();
    assert!(free.unwrap().success());
}
