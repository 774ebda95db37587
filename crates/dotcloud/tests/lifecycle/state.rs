//! A state directory that is full, read-only or damaged: the cause is told, what served serves on,
//! and once it is mended everything is as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::RUNTIME;
use crate::mounts::{can_mount, lose_power, with_mounts};
use crate::world::{Runtime, World, processes_below, wait_for};

const WHAT: &str = "what a full or read-only state directory does";

#[test]
fn full_disk_at_any_step_of_a_push_leaves_the_old_one_serving() {
    if !can_mount(WHAT) {
        return;
    }
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script(
        "app/builder",
        "cp app/server ~; head -c 8000000 /dev/urandom > ~/ballast",
    );
    // From nothing at all over the snapshot to the new container.
    let script = r#"
        mount -t tmpfs -o size=1g,mode=0755 none "$DOTCLOUD_HOME"
        "$DOTCLOUD" create -o disk >&2
        "$DOTCLOUD" -A disk push >&2
        for free in 0 64 4000 9000 14000; do
            head -c "${free}K" /dev/zero > "$DOTCLOUD_HOME/room"
            head -c 2G /dev/zero > "$DOTCLOUD_HOME/filler" 2>/dev/null || true
            rm "$DOTCLOUD_HOME/room"
            status=0
            "$DOTCLOUD" -A disk push > /dev/shm/out.$$ || status=$?
            next=$(grep -c "next: make room on its file system" /dev/shm/out.$$ || true)
            [ "$next" = 1 ] || cat /dev/shm/out.$$ >&2
            rm "$DOTCLOUD_HOME/filler" /dev/shm/out.$$
            started=$("$DOTCLOUD" -A disk run db.0 'grep -c started ~/data/history')
            echo "$free: status $status, advice $next, started $started"
        done
        "$DOTCLOUD" -A disk push >&2
        "$DOTCLOUD" -A disk run db.0 'grep -c started ~/data/history'
        "$DOTCLOUD" -A disk destroy -y >&2
    "#;
    let output = with_mounts(&world, script);
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines.len(), 6, "{stdout}\n{stderr}");
    for line in &lines[..5] {
        assert!(line.ends_with("advice 1, started 1"), "{stdout}\n{stderr}");
    }
    // Not begun, and begun.
    assert!(lines[0].contains("status 1,"), "{stdout}");
    assert!(lines[3].contains("status 2,"), "{stdout}");
    assert_eq!(lines[5], "2", "{stdout}");
}

#[test]
fn read_only_state_directory_is_told_and_changes_nothing() {
    if !can_mount(WHAT) {
        return;
    }
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let script = r#"
        mount --bind "$DOTCLOUD_HOME" "$DOTCLOUD_HOME"
        mount -o remount,ro,bind "$DOTCLOUD_HOME"
        exec "$DOTCLOUD" push
    "#;
    let output = with_mounts(&world, script);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(
        stdout.contains("next: mount it writable, or set DOTCLOUD_HOME to a directory that is"),
        "{stdout}"
    );
    assert_eq!(world.ask("db.0").matches("started").count(), 1);
    world.push(0);
}

#[test]
fn damaged_record_is_refused_by_every_verb_until_it_is_back() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let address = world.address("db.0");
    let record = world.state("state.json");
    let good = fs::read(&record).unwrap();
    for damage in [&b""[..], b"{", &good[..good.len() / 2]] {
        fs::write(&record, damage).unwrap();
        for verb in ["push", "info", "up", "down", "destroy"] {
            let printed = world.dotcloud([verb, "-y"]).with_status(1);
            printed.position("state.json is damaged");
            printed
                .position("state.json back from a backup; the data of its services is untouched");
        }
    }
    assert_eq!(fs::read(&record).unwrap(), &good[..good.len() / 2]);
    let history = crate::world::read(&address).unwrap();
    assert_eq!(history.matches("started").count(), 1);
    fs::write(&record, good).unwrap();
    world.push(0);
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
}

#[test]
fn record_of_a_newer_dotcloud_is_refused_by_every_verb_and_left_alone() {
    let world = World::new(RUNTIME).unwrap();
    world.push(0);
    let address = world.address("db.0");
    let record = world.state("state.json");
    let good = fs::read(&record).unwrap();
    let newer = br#"{"version": 2, "services": "of another form"}"#;
    fs::write(&record, newer).unwrap();
    for words in [
        &["push"][..],
        &["info"],
        &["list"],
        &["up"],
        &["down"],
        &["run", "db", "true"],
        &["env", "set", "A=b"],
        &["scale", "db=2"],
        &["destroy", "-y"],
    ] {
        let printed = world.dotcloud(words).with_status(1);
        printed.position("state.json has format 2; this dotcloud knows format 1\n");
        printed.position("  next: use the dotcloud that wrote it, or a newer one\n");
    }
    assert_eq!(fs::read(&record).unwrap(), newer);
    let history = crate::world::read(&address).unwrap();
    assert_eq!(history.matches("started").count(), 1);
    fs::write(&record, good).unwrap();
    world.push(0);
}

#[test]
fn damaged_record_of_one_application_hides_and_stops_no_other() {
    let world = World::new(RUNTIME).unwrap();
    world.push(0);
    // Before the other in every list.
    world.dotcloud(["create", "-o", "aaa"]).with_status(0);
    let other = world.home().join("apps/aaa/state.json");
    let good = fs::read(&other).unwrap();
    fs::write(&other, "").unwrap();
    let list = world.dotcloud(["list"]).with_status(1);
    assert!(list.position("* app  live\n") < list.position("aaa/state.json is damaged"));
    // Whose ports are taken is not known.
    world.push(2).position("aaa/state.json is damaged");
    let address = world.address("db.0");
    lose_power(&world);
    let up = world.dotcloud(["up"]).with_status(1);
    up.position("aaa/state.json is damaged");
    up.position("app: started 1 of 1 instance(s)");
    up.position("not every application could be started: aaa\n");
    let history = wait_for("the service", || {
        let history = crate::world::read(&address).unwrap_or_default();
        (history.matches("started").count() == 2).then_some(history)
    });
    assert!(!history.contains("ended"), "{history}");
    fs::write(&other, good).unwrap();
    world
        .dotcloud(["-A", "aaa", "destroy", "-y"])
        .with_status(0);
}

/// `words` with another state directory.
#[track_caller]
fn with_home(world: &World, home: &Path, words: &[&str], status: i32) -> String {
    let mut command = world.command(words);
    let output = command.env("DOTCLOUD_HOME", home).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(status),
        "{words:?}: {text}{output:?}"
    );
    text
}

/// An application in another state directory, which goes with it even if the test fails.
struct Far<'a> {
    world: &'a World,
    home: &'a Path,
}

impl Drop for Far<'_> {
    fn drop(&mut self) {
        let mut destroy = self.world.command(["destroy", "-y", "-A", "far"]);
        let _ = destroy.env("DOTCLOUD_HOME", self.home).output();
    }
}

#[test]
fn state_directory_may_have_any_letters_and_lie_on_another_file_system() {
    for (runtime, name) in [(Runtime::Process, "process"), (Runtime::Oci, "oci")] {
        let Some(world) = World::new(runtime) else {
            continue;
        };
        // In memory.
        let elsewhere = tempfile::Builder::new()
            .prefix("dc ü'ß$\"")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/dev/shm")
            .unwrap();
        let home = elsewhere.path().join("état 1");
        let _far = Far {
            world: &world,
            home: &home,
        };
        let dotcloud = |words: &[&str]| {
            let words = [words, &["-A", "far"]].concat();
            with_home(&world, &home, &words, 0)
        };
        with_home(
            &world,
            &home,
            &["create", "-o", "far", "--runtime", name],
            0,
        );
        dotcloud(&["push"]);
        dotcloud(&["push"]);
        let logs = dotcloud(&["logs", "-N", "db.0"]);
        assert!(logs.contains("data at start: history"), "{logs}");
        dotcloud(&["restart", "db.0"]);
        let count = ["-A", "far", "run", "db", "grep -c started ~/data/history"];
        wait_for("the third start", || {
            (with_home(&world, &home, &count, 0) == "3\n").then_some(())
        });
        dotcloud(&["destroy", "-y"]);
        assert_eq!(processes_below(elsewhere.path()), []);
    }
}

#[test]
fn damaged_snapshot_is_told_with_the_way_out() {
    let world = World::new(RUNTIME).unwrap();
    world.push(0);
    let snapshots = fs::read_dir(world.state("snapshots")).unwrap();
    let paths: Vec<_> = snapshots.map(|entry| entry.unwrap().path()).collect();
    let [snapshot] = &paths[..] else {
        panic!("{paths:?}");
    };
    let advice = format!(
        "  next: remove {}, and build it again: 'dotcloud push --clean'\n",
        snapshot.display()
    );
    fs::write(snapshot, "").unwrap();
    for words in [&["push"][..], &["push", "--clean"]] {
        world.dotcloud(words).with_status(2).position(&advice);
    }
    assert_eq!(world.ask("db.0").matches("started").count(), 1);
    fs::remove_file(snapshot).unwrap();
    world.push(2).position(&advice);
    world.dotcloud(["push", "--clean"]).with_status(0);
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
}

#[test]
fn state_directory_with_a_long_path_works_or_is_refused_before_anything_is_built() {
    let world = World::new(RUNTIME).unwrap();
    // What follows it: /apps/app/db.10/100/run/supervisor.sock, and at most 99 bytes fit.
    let longest = 99 - "/apps/app/db.10/100/run/supervisor.sock".len();
    let of_length = |length: usize| {
        let begin = world.home().join("");
        let rest = length - begin.as_os_str().len();
        begin.join("x".repeat(rest))
    };
    for (length, status) in [(longest + 1, 2), (longest, 0)] {
        let home = of_length(length);
        let create = ["create", "-o", "app", "--runtime", "process"];
        with_home(&world, &home, &create, 0);
        let push = with_home(&world, &home, &["push"], status);
        if status == 2 {
            assert!(
                push.contains("/supervisor.sock is 100 bytes long, and at most 99 fit"),
                "{push}"
            );
            assert!(
                push.contains("  next: set DOTCLOUD_HOME to a shorter path\n"),
                "{push}"
            );
            assert!(!push.contains("Build of"), "{push}");
            assert!(!home.join("apps/app/db.0").exists());
        } else {
            let run = with_home(&world, &home, &["run", "db", "cat ~/data/history"], 0);
            assert!(run.starts_with("started"), "{run}");
        }
        with_home(&world, &home, &["destroy", "-y"], 0);
    }
    let unspeakable = world.home().join("100%");
    with_home(&world, &unspeakable, &["create", "-o", "app"], 0);
    let push = with_home(&world, &unspeakable, &["push", "--runtime", "process"], 2);
    assert!(
        push.contains("configuration cannot hold the path"),
        "{push}"
    );
    assert!(!push.contains("Build of"), "{push}");
}
