//! `run`, `restart`, `logs`, two pushes at once, and verbs without an application.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::RUNTIME;
use crate::world::{Running, World, processes_below, wait_for};

#[test]
fn run_passes_status_words_and_stdin_on() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.script(
        "app/builder",
        "cp app/server ~\necho 'export FROM_PROFILE=1' > ~/profile",
    );
    world.push(0);
    let run = world.dotcloud(["run", "db", "echo", "$FROM_PROFILE", "a  b;", "exit 7"]);
    let run = run.with_status(7);
    assert_eq!(run.stdout, "1 a b\n");
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(run.stderr.starts_with("==> "), "{}", run.stderr);

    let quoted = world.dotcloud(["run", "db.0", "echo 'a  b' \"$PWD\""]);
    let home = world.inside("db.0/1/home");
    assert_eq!(quoted.stdout, format!("a  b {home}\n"));

    let mut shell = Running(
        world
            .command(["run", "db"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    std::io::Write::write_all(
        &mut shell.0.stdin.take().unwrap(),
        b"echo $PORT_DB\nexit 5\n",
    )
    .unwrap();
    assert_eq!(shell.0.wait().unwrap().code(), Some(5));
    world.dotcloud(["run", "db.4", "true"]).with_status(1);
    world.dotcloud(["run", "web", "true"]).with_status(1);
}

#[test]
fn restart_keeps_the_container_and_starts_a_dead_supervisord() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    world.dotcloud(["restart", "db"]).with_status(1);
    world.dotcloud(["restart", "db.0"]).with_status(0);
    wait_for("the second start", || {
        let history = crate::world::read(&world.address("db.0")).unwrap_or_default();
        (history.matches("started").count() == 2).then_some(())
    });
    for (pid, _) in processes_below(&world.home()) {
        let kill = std::process::Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status();
        assert!(kill.is_ok());
    }
    wait_for("the end of all", || {
        processes_below(&world.home()).is_empty().then_some(())
    });
    // Its public port is not served either.
    let status = world.dotcloud(["status", "db"]).with_status(1).stdout;
    assert!(status.starts_with("db.0:  down\n"), "{status}");
    world.dotcloud(["restart", "db.0"]).with_status(0);
    wait_for("the third start", || {
        let history = crate::world::read(&world.address("db.0")).unwrap_or_default();
        (history.matches("started").count() == 3).then_some(())
    });
    assert!(world.state("db.0/1").exists());
}

#[test]
fn logs_follow_over_a_push() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let mut follower = Running(
        world
            .command(["logs", "db.0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(follower.0.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    let log = |generation| world.state(&format!("db.0/{generation}/log/db.log"));
    assert_eq!(next(), format!("[db.0] == {} ==", log(1).display()));
    assert_eq!(next(), "[db.0] data at start: none");
    world.push(0);
    assert_eq!(next(), format!("[db.0] == {} ==", log(2).display()));
    assert_eq!(next(), "[db.0] data at start: history");
    drop(follower);
    let last = world.dotcloud(["logs", "-N", "-n", "0"]).with_status(0);
    assert_eq!(last.stdout, "");
    world.dotcloud(["logs", "-N", "web"]).with_status(1);
}

#[test]
fn new_port_gets_a_gateway_and_the_old_one_stays() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let before = world.address("db.0");
    let server = crate::world::SERVER.replace(
        "while True:",
        "extra = socket.socket()\n\
             extra.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
             extra.bind((\"127.0.0.1\", int(os.environ[\"PORT_EXTRA\"])))\n\
             extra.listen()\n\
             while True:",
    );
    world.write("app/server", &server);
    world.write(
        "dotcloud.yml",
        &format!("{}    extra: tcp\n", crate::world::BUILD_FILE),
    );
    world.push(0);
    assert_eq!(world.address("db.0"), before);
    let url = world.dotcloud(["url", "db"]).with_status(0).stdout;
    let extra = url.trim().rsplit("tcp://").next().unwrap().to_owned();
    assert_ne!(extra, before);
    std::net::TcpStream::connect(extra).unwrap();
    assert!(world.ask("db.0").contains("started"));
}

#[test]
fn destroyed_service_comes_back_empty() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let no = world.dotcloud(["-o", "destroy", "db"]).with_status(1);
    assert!(no.stdout.contains("nothing was destroyed"), "{}", no.stdout);
    world.dotcloud(["destroy", "db", "-y"]).with_status(0);
    world.dotcloud(["info", "db"]).with_status(1);
    world.push(0);
    assert_eq!(world.ask("db.0").matches("started").count(), 1);
}

#[test]
fn http_service_is_live_at_its_url() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.write(
        "dotcloud.yml",
        "web:\n  type: custom\n  approot: app\n  ports:\n    www: http\n  \
         process: python3 -m http.server --bind 127.0.0.1 $PORT_WWW\n",
    );
    let push = world.push(0);
    let url = world.dotcloud(["url", "web"]).with_status(0).stdout;
    let address = url.trim().strip_prefix("web:  http://").unwrap();
    push.position(&format!("is live at http://{address}"));
    let environment = world.run("web", "echo $DOTCLOUD_WEB_HTTP_URL");
    assert_eq!(environment, format!("http://{address}\n"));
    let mut stream = std::net::TcpStream::connect(address.trim_end_matches('/')).unwrap();
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut first = String::new();
    BufReader::new(stream).read_line(&mut first).unwrap();
    assert!(first.contains("200 OK"), "{first}");
}

#[test]
fn service_that_left_the_build_file_runs_on_untouched() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let other = crate::world::BUILD_FILE.replace("db:\n  type", "other:\n  type");
    world.write(
        "dotcloud.yml",
        &format!("{}{other}", crate::world::BUILD_FILE),
    );
    world.push(0);
    let record = std::fs::read_to_string(world.state("state.json")).unwrap();
    assert!(record.contains("\"other\""));
    world.write("dotcloud.yml", crate::world::BUILD_FILE);
    world.push(0);
    assert_eq!(world.ask("db.0").matches("started").count(), 2);
    let status = world.dotcloud(["status", "other"]).with_status(0).stdout;
    assert!(status.starts_with("other.0:  up"), "{status}");
    assert_eq!(world.run("other", "grep -c started ~/data/history"), "1\n");
    // The one that was pushed still hears of the other.
    assert!(world.run("db", "env").contains("DOTCLOUD_OTHER_DB_URL="));
}

#[test]
fn one_failing_build_deploys_no_service() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let other = crate::world::BUILD_FILE
        .replace("db:\n  type", "other:\n  type")
        .replace("app/builder", "app/broken");
    world.push(0);
    world.script("app/broken", "exit 1");
    world.write(
        "dotcloud.yml",
        &format!("{}{other}", crate::world::BUILD_FILE),
    );
    world.push(2);
    assert_eq!(world.ask("db.0").matches("started").count(), 1);
}

#[test]
fn down_ends_every_process_and_the_next_push_starts_again() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let address = world.address("db.0");
    world.dotcloud(["down"]).with_status(0);
    assert_eq!(processes_below(&world.home()), Vec::new());
    assert!(std::net::TcpStream::connect(&address).is_err());
    // That its public port is not served is what was asked for.
    let status = world.dotcloud(["status", "db"]).with_status(0).stdout;
    assert!(status.starts_with("db.0:  down\n"), "{status}");
    world.dotcloud(["restart", "db.0"]).with_status(0);
    wait_for("the second start", || {
        let history = crate::world::read(&address).unwrap_or_default();
        (history.matches("started").count() == 2).then_some(())
    });
    world.dotcloud(["down"]).with_status(0);
    world.push(0);
    assert_eq!(world.address("db.0"), address);
    assert_eq!(world.ask("db.0").matches("started").count(), 3);
}

#[test]
fn memory_tells_use_and_limit_of_an_instance_that_runs() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let told = world.dotcloud(["memory", "db", "--json"]).with_status(0);
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    // An interpreter with its supervisord.
    let used = told["used"].as_u64().unwrap();
    assert!((1 << 20..1 << 30).contains(&used), "{told}");
    assert_eq!(told["limit"], serde_json::Value::Null);
    let counted = told["counted"].as_str().unwrap();
    assert!(["group", "processes"].contains(&counted), "{told}");
    let told = world.dotcloud(["memory", "db.0"]).with_status(0).stdout;
    assert!(told.starts_with("=== db.0\nused:  "), "{told}");
    assert!(told.contains("\nlimit: none\n"), "{told}");
    let info = world.dotcloud(["info", "db"]).with_status(0).stdout;
    assert!(info.contains("\nmemory:     "), "{info}");
    world.dotcloud(["down"]).with_status(0);
    let told = world.dotcloud(["memory", "db.0"]).with_status(1).stdout;
    assert!(told.contains("error: db.0 does not run\n"), "{told}");
}
