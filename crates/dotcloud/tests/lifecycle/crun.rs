//! A real crun: where it refuses, another runtime is taken, or the reason told; where it works, it
//! does what a push, a limit, a restart and the end ask of it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::RUNTIME;
use crate::mounts::{can_mount, with_mounts};
use crate::world::{Printed, World, is_root};

/// Where crun is, if it can be tested here; says so, past the harness, if not.
fn crun() -> Option<PathBuf> {
    let found = executable("crun").filter(|_| is_root());
    if found.is_none() {
        let _ = writeln!(
            io::stderr(),
            "\n*** NOT TESTED: crun. It takes root, and crun to be installed"
        );
    }
    found
}

fn executable(name: &str) -> Option<PathBuf> {
    ["/usr/local/bin", "/usr/bin", "/usr/sbin"]
        .into_iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.exists())
}

/// `push` with the code's `bin` first on the path.
fn push(world: &World, runtime: &str) -> Printed {
    let path = format!("{}:/usr/bin:/bin", world.code("bin").display());
    let mut command = world.command(["push", "--runtime", runtime]);
    let output = command.env("PATH", path).output().unwrap();
    Printed {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Whether crun refuses, as it does where version 2 of control groups is mounted beside version 1.
fn refuses() -> bool {
    let hybrid = Path::new("/sys/fs/cgroup/unified/cgroup.procs").exists();
    if !hybrid {
        let _ = writeln!(
            io::stderr(),
            "\n*** NOT TESTED: a crun that refuses. The control groups of this machine suit it"
        );
    }
    hybrid
}

#[test]
fn crun_that_refuses_is_passed_over() {
    let (Some(crun), Some(runc), true) = (crun(), executable("runc"), refuses()) else {
        return;
    };
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    // runc's name is asked first.
    let second = world.code("bin/crun");
    fs::create_dir(world.code("bin")).unwrap();
    symlink(&crun, world.code("bin/runc")).unwrap();
    symlink(&runc, &second).unwrap();
    let push = push(&world, "oci").with_status(0);
    push.position(&format!("--> Runtime: oci, by {}\n", second.display()));
    assert_eq!(world.ask("db.0").matches("started").count(), 1);
    assert!(!world.state("trial").exists());

    // A container stays with what it was made with.
    fs::remove_file(&second).unwrap();
    let destroy = world.dotcloud(["destroy", "-y"]).with_status(1);
    destroy.position(&format!("  cause: cannot run {}\n", second.display()));
    destroy.position("  next: put that program back: the container was made with it\n");
    symlink(&runc, &second).unwrap();
    world.dotcloud(["destroy", "-y"]).with_status(0);
}

#[test]
fn crun_that_refuses_where_nothing_else_works_is_told_with_its_reason() {
    let (Some(crun), true) = (crun(), refuses()) else {
        return;
    };
    let world = World::of_user(None);
    for other in ["bin/runc", "bin/youki"] {
        world.script(other, "exit 1");
    }
    let push = push(&world, "auto").with_status(0);
    push.position("--> Runtime: process: ");
    push.position(&format!(
        "{} ended with status 1: cgroups in hybrid mode not supported",
        crun.display()
    ));
}

#[test]
fn crun_that_works_pushes_limits_restarts_and_leaves_nothing() {
    if crun().is_none() || !can_mount("crun") {
        return;
    }
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script("bin/runc", "exit 1");
    let script = r#"
        PATH="$PWD/bin:$PATH"
        beside=/sys/fs/cgroup/unified
        # Without it crun takes the rest for version 1 alone, and that it knows.
        if [ -e "$beside/cgroup.procs" ]; then mount -t tmpfs none "$beside"; fi
        "$DOTCLOUD" push >&2
        "$DOTCLOUD" info db | sed -n 's/^runtime: *\(oci, by \).*\//\1/p'
        "$DOTCLOUD" run db 'id -un; id -u; id -g; hostname; grep CapBnd /proc/self/status'
        "$DOTCLOUD" scale db:memory=64M >&2
        "$DOTCLOUD" run db 'head -c 300M /dev/zero | tail >/dev/null' || echo "killed: $?"
        "$DOTCLOUD" restart db.0 >&2
        "$DOTCLOUD" push >&2
        "$DOTCLOUD" run db 'grep -c started ~/data/history'
        "$DOTCLOUD" run db 'head -c 300M /dev/zero | tail >/dev/null' || echo "killed: $?"
        group=$(ls "$DOTCLOUD_HOME"/apps/app/db.0/*/engine)
        find /sys/fs/cgroup -path "$beside" -prune -o -name "$group" -print | grep -c /memory/
        "$DOTCLOUD" destroy -y >&2
        # Groups of other tests end meanwhile: find tells it.
        find /sys/fs/cgroup -path "$beside" -prune -o -name "$group" -print || true
        grep "$DOTCLOUD_HOME" /proc/self/mountinfo || echo clean
    "#;
    let uid = world.uid();
    let output = with_mounts(&world, script);
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(
        stdout,
        format!(
            "oci, by crun\ndotcloud\n{uid}\n33\napp-default-db-0\nCapBnd:\t0000000000000000\n\
             killed: 137\n3\nkilled: 137\n1\nclean\n"
        ),
        "{stderr}"
    );
    assert!(output.status.success(), "{stderr}");
}

#[test]
fn engine_that_fails_leaves_no_control_group() {
    let groups = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"];
    let Some(groups) = groups.into_iter().find(|path| Path::new(path).is_dir()) else {
        return;
    };
    let trial = Path::new(groups).join(format!("dotcloud-test-{}", std::process::id()));
    if !is_root() || fs::create_dir(&trial).is_err() {
        let _ = writeln!(
            io::stderr(),
            "\n*** NOT TESTED: groups that an engine leaves"
        );
        return;
    }
    fs::remove_dir(&trial).unwrap();
    let world = World::of_user(None);
    let made = world.code("made");
    for other in ["bin/crun", "bin/youki"] {
        world.script(other, "exit 1");
    }
    let lines = format!(
        "for last; do :; done; mkdir '{groups}'/\"$last\"; echo \"$last\" >>'{}'; exit 1",
        made.display()
    );
    world.script("bin/runc", &lines);
    push(&world, "auto")
        .with_status(0)
        .position("--> Runtime: process: ");
    let made = fs::read_to_string(made).unwrap();
    assert_eq!(made.lines().count(), 1);
    assert!(!Path::new(groups).join(made.trim()).exists());
}
