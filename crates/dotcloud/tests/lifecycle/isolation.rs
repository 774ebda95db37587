//! What only a container has: rights it lacks, what it cannot see, limits that hold; and that nothing
//! of it stays.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::RUNTIME;
use crate::world::{BUILD_FILE, Runtime, World, processes_below, read, wait_for};

/// Beside the database a program that takes as many mebibytes as `~/eat` says.
const HOG: &str = r#"#!/usr/bin/env python3
import os, time
home = os.environ["HOME"]
with open(home + "/hogs", "a") as out:
    out.write("started\n")
while not os.path.exists(home + "/eat"):
    time.sleep(0.05)
size = int(open(home + "/eat").read())
os.rename(home + "/eat", home + "/eating")
held = bytearray(size << 20)
for page in range(0, len(held), 4096):
    held[page] = 1
os.rename(home + "/eating", home + "/eaten")
time.sleep(600)
"#;

fn with_hog() -> Option<World> {
    let world = World::that_limits_memory(RUNTIME)?;
    world.script("app/builder", "cp app/server app/hog ~");
    world.write("app/hog", HOG);
    world.executable("app/hog");
    let processes = "  processes:\n    db: ~/server\n    hog: ~/hog\n";
    let yml = BUILD_FILE.replace("  process: ~/server\n", processes);
    world.write("dotcloud.yml", &yml);
    world.push(0);
    Some(world)
}

/// How often the hog has started.
fn hogs(world: &World) -> usize {
    world.run("db", "cat ~/hogs").lines().count()
}

#[test]
fn service_has_the_platforms_user_and_no_right_beyond() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let show = "id -un; id -u; id -g; id -G; hostname; ulimit -c; \
                grep -hE '^(Cap|NoNewPrivs)' /proc/self/status";
    world.script("app/postinstall", show);
    let push = world.push(0);
    let capabilities = ["Inh", "Prm", "Eff", "Bnd", "Amb"]
        .map(|set| format!("Cap{set}:\t0000000000000000\n"))
        .concat();
    let uid = match RUNTIME {
        Runtime::Rootless => 1000,
        Runtime::Oci | Runtime::Process => world.uid(),
    };
    let expected =
        format!("dotcloud\n{uid}\n33\n33\napp-default-db-0\n0\n{capabilities}NoNewPrivs:\t1\n");
    let shown = world.run("db", show);
    // Entering a user namespace gives the bounding set back; without new privileges it is good for
    // nothing.
    let comparable = |text: &str| -> Vec<String> {
        let bounding = |line: &&str| RUNTIME != Runtime::Rootless || !line.starts_with("CapBnd");
        text.lines().filter(bounding).map(str::to_owned).collect()
    };
    assert_eq!(comparable(&shown), comparable(&expected));
    for line in expected.lines() {
        push.position(&format!("[db.0] {line}\n"));
    }
    // What supervisord runs, as this machine sees it.
    for (pid, command) in processes_below(&world.state("db.0")) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        // What stays behind in the outer namespace may map it, and nothing else.
        let outer = RUNTIME == Runtime::Rootless && command.contains("unshare --user");
        let rights = if outer { "80000000" } else { "00000000" };
        let rights = format!("CapEff:\t00000000{rights}\n");
        for line in [&*rights, "NoNewPrivs:\t1"] {
            assert!(status.contains(line), "{command}\n{status}");
        }
    }
}

#[test]
fn service_has_the_system_calls_it_needs_and_no_way_to_new_rights() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let refused = "for call in 'unshare -Urm' 'unshare -m' 'unshare -Un' 'unshare --pid --fork' 'mount -t \
                   tmpfs x /tmp' 'nsenter -m -t 1' 'chroot /'; do $call true 2>/dev/null && echo \
                   \"$call\"; done; grep -E '^Seccomp:' /proc/self/status";
    world.script("app/postinstall", refused);
    let push = world.push(0);
    push.position("[db.0] Seccomp:\t2\n");
    assert_eq!(world.run("db", refused), "Seccomp:\t2\n");
    for (_, status) in processes_below(&world.state("db.0"))
        .into_iter()
        .map(|(pid, command)| {
            (
                command,
                fs::read_to_string(format!("/proc/{pid}/status")).unwrap(),
            )
        })
        .filter(|(command, _)| command.contains("/server"))
    {
        assert!(status.contains("Seccomp:\t2\n"), "{status}");
    }
    // Threads, memory on nodes, asynchronous files: what servers use is there, or not in the kernel.
    let used = r#"python3 -c '
import ctypes, os, subprocess, threading
libc = ctypes.CDLL(None, use_errno=True)
for number in (237, 238, 239, 206, 425):
    ctypes.set_errno(0)
    libc.syscall(number, 0, 0, 0, 0, 0, 0)
    if ctypes.get_errno() == 1: print("refused", number)
threading.Thread(target=lambda: print("thread")).start()
print(subprocess.run(["echo", "process"], capture_output=True, text=True).stdout, end="")
'"#;
    if std::env::consts::ARCH == "x86_64" {
        let mut lines: Vec<String> = world.run("db", used).lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["process", "thread"]);
    }
}

#[test]
fn service_sees_a_read_only_system_and_nothing_of_others() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let secret = world.code("secret");
    fs::write(&secret, "s").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let hidden = [
        secret.display().to_string(),
        world.state("state.json").display().to_string(),
        "/root".to_owned(),
        "/var/lib/dotcloud".to_owned(),
        "/etc/shadow".to_owned(),
        "/etc/ssl/private".to_owned(),
        "/etc/mysql".to_owned(),
    ];
    let script = format!(
        "ls -d {} 2>/dev/null; ls /home; touch ~/x /tmp/x /var/log/supervisor/x /var/dotcloud/x \
         && echo writable; for d in / /usr /usr/bin /etc /etc/alternatives /sys/fs/cgroup /var; do \
         touch $d/x 2>&1; done; ls /tmp; ps -e | grep -c supervisord; test $(ps -e | wc -l) -lt 10 \
         && echo alone",
        hidden.join(" ")
    );
    let read_only = ["/", "/usr/", "/usr/bin/", "/etc/", "/etc/alternatives/"]
        .into_iter()
        .chain(["/sys/fs/cgroup/", "/var/"])
        .map(|directory| {
            let path = format!("{}/x", directory.trim_end_matches('/'));
            (directory, path)
        });
    let said = world.run("db", &script);
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("dotcloud"), "{said}");
    assert_eq!(lines.next(), Some("writable"), "{said}");
    for (directory, _) in read_only {
        let line = lines.next().unwrap();
        let refused = line.contains("Read-only file system") || line.contains("Permission denied");
        assert!(refused, "{directory}: {said}");
    }
    assert_eq!(lines.collect::<Vec<_>>(), ["x", "1", "alone"], "{said}");
    // As the contract has it.
    let control = world.run("db", "supervisorctl restart db");
    assert!(control.ends_with("db: started\n"), "{control}");
}

#[test]
fn memory_over_the_limit_is_killed_and_started_again_while_others_live() {
    let Some(world) = with_hog() else {
        return;
    };
    let scale = world.dotcloud(["scale", "db:memory=96M"]).with_status(0);
    assert_eq!(scale.stdout, "==> The scale is recorded\n");
    world.run("db", "echo 300 > ~/eat");
    wait_for("the hog's second start", || {
        (hogs(&world) == 2).then_some(())
    });
    assert_eq!(world.run("db", "ls ~/eaten 2>/dev/null || echo no"), "no\n");
    assert_eq!(world.ask("db.0").matches("started").count(), 1);
    // The limit is that of the next container, too.
    world.push(0);
    world.run("db", "echo 300 > ~/eat");
    wait_for("the new hog's second start", || {
        (hogs(&world) == 2).then_some(())
    });
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
}

#[test]
fn supervisord_outlives_its_programs_even_if_it_is_the_largest() {
    let Some(world) = World::that_limits_memory(RUNTIME) else {
        return;
    };
    world.push(0);
    world.dotcloud(["scale", "db:memory=32M"]).with_status(0);
    let greedy = ["run", "db", "head -c 200M /dev/zero | tail >/dev/null"];
    world.dotcloud(greedy).with_status(137);
    // In so small a container it may have been killed, too.
    wait_for("the service", || {
        let history = read(&world.address("db.0")).unwrap_or_default();
        history.contains("started").then_some(())
    });
    assert_eq!(world.run("db", "pgrep -c supervisord"), "1\n");
}

#[test]
fn scale_memory_of_a_running_container_counts_at_once_without_a_restart() {
    let Some(world) = with_hog() else {
        return;
    };
    // No limit until there is one.
    world.run("db", "echo 200 > ~/eat");
    wait_for("the meal", || {
        let eaten = world.state("db.0/1/home/eaten");
        eaten.exists().then_some(())
    });
    let scale = world.dotcloud(["scale", "db:memory=64M"]);
    if scale.status == 0 {
        // Version 2 of control groups makes room instead of refusing.
        wait_for("the hog's second start", || {
            (hogs(&world) == 2).then_some(())
        });
    } else {
        scale
            .with_status(1)
            .position("dotcloud: error: cannot limit the memory of the container /tmp/");
        let info = world.dotcloud(["info", "db"]).stdout;
        assert!(info.contains("\nreserved memory: N/A\n"), "{info}");
        assert_eq!(hogs(&world), 1);
        world.dotcloud(["scale", "db:memory=512M"]).with_status(0);
        let info = world.dotcloud(["info", "db"]).stdout;
        assert!(info.contains("\nreserved memory: 512.0 M\n"), "{info}");
        assert!(info.contains("; limit 512.0 MiB\n"), "{info}");
        let told = world.dotcloud(["memory", "db"]).with_status(0).stdout;
        assert!(told.contains("\nlimit: 512.0 MiB\n"), "{told}");
    }
    assert_eq!(world.ask("db.0").matches("started").count(), 1);
    assert!(world.state("db.0/1").exists(), "no new container");
}

#[test]
fn number_of_processes_is_limited() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    // Threads count, and are cheaper.
    let script = "import threading, time\n\
                  threading.stack_size(32768)\n\
                  count = 0\n\
                  try:\n\
                  \twhile count < 9000:\n\
                  \t\tthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n\
                  \t\tcount += 1\n\
                  except RuntimeError:\n\
                  \tpass\n\
                  print(count, flush=True)\n\
                  import os\n\
                  os._exit(0)\n";
    world.write("app/many", script);
    world.script("app/builder", "cp app/server app/many ~");
    world.push(0);
    let count: u32 = world.run("db", "python3 ~/many").trim().parse().unwrap();
    assert!((3000..4096).contains(&count), "{count}");
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
}

#[test]
fn destroy_leaves_no_group_mount_or_state() {
    // Without a limit there is no group.
    let Some(world) = World::that_limits_memory(RUNTIME) else {
        return;
    };
    world.push(0);
    let (pid, _) = processes_below(&world.state("db.0"))
        .into_iter()
        .next()
        .unwrap();
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let group = groups
        .lines()
        .find_map(|line| line.rsplit_once("/dotcloud-"))
        .map(|(_, name)| format!("dotcloud-{name}"))
        .unwrap();
    let left = || -> Vec<_> {
        walkdir::WalkDir::new("/sys/fs/cgroup")
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_name() == &*group)
            .collect()
    };
    assert!(!left().is_empty());
    world.dotcloud(["destroy", "-y"]).with_status(0);
    assert!(left().is_empty(), "{:?}", left());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mounts.contains(&*world.home().to_string_lossy()),
        "{mounts}"
    );
    assert!(!world.state("").exists());
}

#[test]
fn runtime_changes_at_a_push_and_data_moves_on() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0).position("--> Runtime: oci, by /");
    world
        .dotcloud(["push", "--runtime", "process"])
        .with_status(0)
        .position("--> Runtime: process: no limit of memory");
    assert_ne!(world.run("db", "echo $HOME"), "/home/dotcloud\n");
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
    assert_eq!(world.ask("db.0").matches("ended").count(), 1);
    // It is remembered.
    world.push(0).position("--> Runtime: process: ");
    world
        .dotcloud(["push", "--runtime", "auto"])
        .with_status(0)
        .position("--> Runtime: oci, by /");
    assert_eq!(world.run("db", "echo $HOME"), "/home/dotcloud\n");
    let history = world.ask("db.0");
    assert_eq!(history.matches("started").count(), 4, "{history}");
    assert_eq!(history.matches("ended").count(), 3, "{history}");
}

#[test]
fn container_that_does_not_run_has_no_shell() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    world.dotcloud(["down"]).with_status(0);
    let run = world.dotcloud(["run", "db", "true"]).with_status(1);
    run.position("db.0/1 is not running\n  next: start it: 'dotcloud restart SERVICE.N'\n");
    world.dotcloud(["restart", "db.0"]).with_status(0);
    assert_eq!(world.run("db", "echo here"), "here\n");
}
