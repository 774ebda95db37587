//! The README's section on backups, command by command, as a reader types it: up to the lost machine, on whose
//! successor the database is brought back from a repository elsewhere.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use mysql::prelude::Queryable;

use crate::world::{World, column, root};

/// What it has of commands, in its order: those of the examples, without their comments, and those in sentences.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = readme.split_once("\n## Backups\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut found = Vec::new();
    for line in section.lines() {
        if let Some(example) = line.strip_prefix("    ") {
            let command = example.split("   ").next().unwrap();
            found.push(command.trim().to_owned());
        } else {
            let quoted = line.split('`').skip(1).step_by(2);
            found.extend(quoted.map(str::to_owned));
        }
    }
    found.retain(|command| command.starts_with("dotcloud "));
    found
}

/// `dotcloud` of this build in the path, and a cron that is a file.
fn bin(world: &World) -> String {
    let bin = world.code("../bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dotcloud"), bin.join("dotcloud")).unwrap();
    let crontab = "#!/bin/sh\ntable=$(dirname \"$0\")/table\ncase $1 in\n  -l) cat \"$table\" ;;\n  -) cat > \
                   \"$table\" ;;\nesac\n";
    for (name, text) in [("crontab", crontab), ("table", "")] {
        fs::write(bin.join(name), text).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display())
}

/// Types `command`, and `y` where it asks.
#[track_caller]
fn type_in(world: &World, path: &str, command: &str) {
    let dotcloud = world.command([""; 0]);
    let surroundings = dotcloud
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut typed = Command::new("/bin/sh")
        .args(["-c", command])
        .current_dir(world.code(""))
        .envs(surroundings)
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that asks nothing may have ended.
    let _ = typed.stdin.take().unwrap().write_all(b"y\n");
    let ended = typed.wait_with_output().unwrap();
    assert!(
        ended.status.success(),
        "{command}\n{}\n{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
}

fn rows(world: &World) -> Vec<String> {
    column(&mut world.connect(0), "SELECT i FROM shop.t ORDER BY i")
}

fn insert(world: &World, row: u32) {
    let mut root = world.connect(0);
    root.query_drop(format!("INSERT INTO shop.t VALUES ({row})"))
        .unwrap();
}

/// This machine's time, with a second on both sides in which nothing is written.
fn moment() -> String {
    sleep(Duration::from_millis(2100));
    let now = Command::new("date").arg("+%F %T").output().unwrap();
    sleep(Duration::from_millis(1100));
    String::from_utf8(now.stdout).unwrap().trim().to_owned()
}

/// The machine burns: nothing is left but what is elsewhere, and the code.
fn lose(world: &World) {
    world.dotcloud(["destroy", "-y"]).with_status(0);
    fs::remove_dir_all(world.state()).unwrap();
    world.dotcloud(["create", "app", "-y"]).with_status(0);
    world.push(0);
}

#[test]
#[ignore = "long; make torture runs it"]
fn backups_of_the_readme_are_typed_in() {
    let world = World::new("mariadb");
    let path = bin(&world);
    fs::write(world.code("../.restic-password"), "it's \"secret\"\n").unwrap();
    let elsewhere = world.code("../elsewhere");
    world.push(0);
    let mut root = world.connect(0);
    root.query_drop("CREATE DATABASE shop").unwrap();
    root.query_drop("CREATE TABLE shop.t (i INT PRIMARY KEY) ENGINE=InnoDB")
        .unwrap();
    drop(root);
    let calls_at_times = !Path::new("/run/systemd/system").is_dir();
    let (mut sent, mut done) = (Vec::new(), Vec::new());
    for (row, command) in (1..).zip(commands()) {
        // Of the machine's own systemd nothing is asked.
        if !calls_at_times && (command.contains("--every") || command.contains("--never")) {
            continue;
        }
        let command = command.replace("sftp:me@host:/srv/backups", elsewhere.to_str().unwrap());
        insert(&world, row);
        let before = rows(&world);
        if command.contains("--at ") {
            let at = moment();
            insert(&world, 1000);
            type_in(&world, &path, &command.replace("2026-11-30 12:00:00", &at));
            assert_eq!(rows(&world), before, "{command}");
        } else if command.contains("--from ") {
            lose(&world);
            type_in(&world, &path, &command);
            assert_eq!(rows(&world), sent, "{command}");
        } else {
            type_in(&world, &path, &command);
            let after = rows(&world);
            // What was written after the last backup is gone.
            let is_restore = command.contains(" restore ");
            assert_eq!(after == before, !is_restore, "{command}: {after:?}");
            if command.contains("--to ") {
                sent = after;
            }
        }
        done.push(command);
    }
    let all = done.join("\n");
    for part in ["--verify", "--to", "--ship", "--at", "--rehearse", "--from"] {
        assert!(all.contains(part), "{part} is in none of\n{all}");
    }
}
