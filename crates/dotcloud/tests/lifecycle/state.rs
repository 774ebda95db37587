//! A state directory that is full, read-only or damaged: the cause is told, what served serves on,
//! and once it is mended everything is as it was.

use std::fs;

use super::RUNTIME;
use crate::machine::{can_mount, with_mounts};
use crate::world::World;

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
