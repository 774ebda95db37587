//! What ends a server, wherever its directories are, and what is left.

mod world;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use world::{
    SERVERS, Staying, World, connect_by_socket, homes_below, is_running, one, stderr, stdout,
    tarball, wait_until,
};

#[test]
fn a_deep_tmpdir_a_read_only_home_and_none() {
    let world = World::new();
    let deep = world.path().join("d".repeat(150));
    fs::create_dir(&deep).unwrap();
    for home in [None, Some("/proc")] {
        let mut blink = world.bare();
        blink
            .env("TMPDIR", &deep)
            .arg("--durable")
            .arg(tarball("mysql-5.6"));
        blink.envs(home.map(|home| ("HOME", home)));
        let running = Staying::start(&mut blink, 1);
        let socket = running.server()["socket"].as_str().unwrap().to_owned();
        assert!(socket.len() <= 107, "{socket}");
        one(&mut connect_by_socket(running.server()), "SELECT 'x'");
        assert_eq!(homes_below(&deep).len(), 1);
        running.signal("-TERM");
        wait_until("it removed its directory", || homes_below(&deep).is_empty());
        assert!(!std::path::Path::new(&socket).exists());
    }
    let kept = fs::read_dir(&deep).unwrap().next().unwrap().unwrap().path();
    assert!(kept.join("cache/seeds").is_dir(), "private, below TMPDIR");
}

#[test]
fn an_ordinary_user_needs_no_more_than_root() {
    if !rustix::process::geteuid().is_root() {
        // Every other test was that user.
        return;
    }
    let world = World::new();
    let (blink, copy) = (world.path().join("blink"), world.path().join("m.tar.gz"));
    fs::copy(world::BLINK, &blink).unwrap();
    fs::copy(tarball("mysql-5.6"), &copy).unwrap();
    fs::set_permissions(world.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new(&blink);
    command
        .env_clear()
        .env("TMPDIR", world.path())
        .uid(54_321)
        .gid(54_321)
        .stdin(Stdio::null())
        .arg(&copy)
        .args([
            "--",
            "/bin/sh",
            "-c",
            "id -u; ps -o uid= -C mysqld | grep -c 54321",
        ]);
    let output = command.output().unwrap();
    assert_eq!(stdout(&output), "54321\n1\n", "{}", stderr(&output));
}

#[test]
fn a_killed_blink_takes_its_server_along_and_the_next_run_its_directory() {
    for server in SERVERS {
        let world = World::new();
        let mut running = Staying::start(world.blink().arg(tarball(server)), 1);
        let pid = running.server()["pid"].as_u64().unwrap();
        assert!(is_running(pid));
        running.process.kill().unwrap();
        running.process.wait().unwrap();
        assert_eq!(world.homes().len(), 1, "nobody removed it");
        let mut next = world.blink();
        assert!(
            next.arg(tarball(server))
                .args(["--", "true"])
                .status()
                .unwrap()
                .success()
        );
        assert!(!is_running(pid));
        assert!(world.homes().is_empty());
    }
}

#[test]
fn a_killed_blink_takes_its_command_along() {
    let world = World::new();
    let mut blink = world.blink();
    blink
        .arg(tarball("mysql-5.6"))
        .args(["--", "sh", "-c", "echo $$; exec sleep 1000"]);
    let mut blink = blink.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(blink.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let pid = line.trim().parse().unwrap();
    assert!(is_running(pid));
    blink.kill().unwrap();
    blink.wait().unwrap();
    wait_until("the command is gone", || !is_running(pid));
}

#[test]
fn it_ends_with_whoever_started_it() {
    let world = World::new();
    let mut blink = world.blink();
    blink.arg(tarball("mysql-5.6"));
    let mut parent = Command::new("sh");
    parent
        .args(["-c", "\"$@\" & sleep 1000", "sh"])
        .arg(blink.get_program());
    parent.args(blink.get_args()).stdin(Stdio::null());
    let mut parent = parent.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(parent.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    assert!(line.starts_with("DATABASE_URL="), "{line}");
    let sleep = format!("/proc/{0}/task/{0}/children", parent.id());
    let children = fs::read_to_string(sleep).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("it removed its directory", || world.homes().is_empty());
    for child in children.split_whitespace() {
        let _ = Command::new("kill")
            .arg(child)
            .stderr(Stdio::null())
            .status();
    }
}

#[test]
fn a_signal_while_it_makes_a_database_leaves_none() {
    let world = World::new();
    let own = world.path().join("cache");
    let mut blink = world.bare();
    blink
        .arg("--cache")
        .arg(&own)
        .arg("--dir")
        .arg(world.path());
    let mut blink = blink.arg(tarball("mysql-5.6")).spawn().unwrap();
    wait_until("an initialiser", || {
        let data = world
            .homes()
            .pop()
            .map(|home| home.join("data/mysqldb.initialising/ibdata1"));
        data.is_some_and(|data| data.exists())
    });
    let mut kill = Command::new("kill");
    assert!(kill.arg(blink.id().to_string()).status().unwrap().success());
    assert_eq!(blink.wait().unwrap().signal(), Some(15));
    assert!(world.homes().is_empty());
    assert_eq!(fs::read_dir(own.join("seeds")).unwrap().count(), 0);
}

#[test]
fn a_server_that_ends_by_itself_is_told() {
    let world = World::new();
    let mut blink = world.blink();
    blink.arg(tarball("mysql-5.6")).stderr(Stdio::piped());
    let mut running = Staying::start(&mut blink, 1);
    let pid = running.server()["pid"].to_string();
    assert!(
        Command::new("kill")
            .args(["-KILL", &pid])
            .status()
            .unwrap()
            .success()
    );
    let mut told = String::new();
    let mut stderr = std::io::BufReader::new(running.process.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut stderr, &mut told).unwrap();
    assert!(told.contains("warning: a server has ended: "), "{told}");
}
