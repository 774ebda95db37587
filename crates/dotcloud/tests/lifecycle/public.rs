//! Public ports: who connects while an instance is exchanged waits, whatever has a port instead of us
//! is named, and what serves them is out of reach of the services.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::RUNTIME;
use crate::world::{Running, World, is_root, processes_below, read, wait_for};

/// Connects and asks, again and again, until it is told to end.
struct Asking {
    end: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Vec<String>, Duration)>,
}

impl Asking {
    fn start(address: &str) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let (ended, address) = (Arc::clone(&end), address.to_owned());
        let thread = thread::spawn(move || {
            let (mut asked, mut errors, mut longest) = (0, Vec::new(), Duration::ZERO);
            while !ended.load(Ordering::Relaxed) {
                let begin = Instant::now();
                match read(&address) {
                    Ok(text) if text.contains("started") => {}
                    Ok(text) => errors.push(format!("{text:?}")),
                    Err(error) => errors.push(error.to_string()),
                }
                asked += 1;
                longest = longest.max(begin.elapsed());
                thread::sleep(Duration::from_millis(2));
            }
            (asked, errors, longest)
        });
        Self { end, thread }
    }

    #[track_caller]
    fn end(self) -> (usize, Duration) {
        self.end.store(true, Ordering::Relaxed);
        let (asked, errors, longest) = self.thread.join().unwrap();
        assert!(errors.is_empty(), "of {asked}: {errors:?}");
        (asked, longest)
    }
}

#[test]
fn client_in_a_loop_sees_no_error_through_pushes_and_restarts() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let address = world.address("db.0");
    let asking = Asking::start(&address);
    exchange_instances(&world, &address, asking, 3);
}

#[test]
#[ignore = "long; make torture runs it"]
fn client_in_a_loop_sees_no_error_through_ten_pushes() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let address = world.address("db.0");
    let asking = Asking::start(&address);
    exchange_instances(&world, &address, asking, 10);
}

fn exchange_instances(world: &World, address: &str, asking: Asking, rounds: usize) {
    for _ in 0..rounds {
        world.push(0);
    }
    world.dotcloud(["restart", "db.0"]).with_status(0);
    wait_for("the restarted service", || {
        let history = read(address).ok()?;
        (history.matches("started").count() == rounds + 2).then_some(())
    });
    let (asked, _) = asking.end();
    assert!(asked > 10 * rounds, "{asked}");
    // And one that comes while it is down is not kept waiting.
    world.dotcloud(["down"]).with_status(0);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn port_of_a_stranger_is_named_until_it_is_ours_again() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let address = world.address("db.0");
    world.dotcloud(["down"]).with_status(0);
    let stranger = TcpListener::bind(&address).unwrap();
    let named = format!("port db of db.0 is not served: {address} is taken by ");
    let who = format!("(process {} of user ", std::process::id());
    for verb in [
        &["up", "-A", "app"][..],
        &["restart", "db.0"],
        &["status", "db"],
    ] {
        let printed = world.dotcloud(verb);
        assert_ne!(printed.status, 0, "{verb:?} {printed:?}");
        printed.position(&named);
        if world.user().is_none() {
            printed.position(&who);
        }
    }
    let push = world.push(2);
    push.position(&named);
    assert!(!push.stdout.contains("live at"), "{}", push.stdout);
    // As soon as it goes the gateway, which waits for it, has the port.
    drop(stranger);
    wait_for("our gateway", || {
        (world.dotcloud(["status", "db"]).status == 0).then_some(())
    });
    assert!(world.ask("db.0").contains("started"));
    world.push(0).position("live at tcp://");
}

#[test]
fn gateways_that_were_killed_or_orphaned_are_replaced() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let address = world.address("db.0");
    let gateways = || -> Vec<(i32, String)> {
        let public = world.state("public");
        let mut found = processes_below(&public);
        found.retain(|(_, command)| command.contains("public") || command.contains("gateway"));
        found
    };
    let kill = |which: &str| {
        for (pid, command) in gateways() {
            if command.contains(which) {
                let pid = pid.to_string();
                std::process::Command::new("kill")
                    .args(["-9", &pid])
                    .status()
                    .unwrap();
            }
        }
    };
    for verb in [&["up", "-A", "app"][..], &["restart", "db.0"], &["push"]] {
        // Its gateways have the ports, and nobody looks after them.
        kill("supervisord");
        world.dotcloud(verb).with_status(0);
        assert!(world.ask("db.0").contains("started"), "{verb:?}");
        world.dotcloud(["status", "db"]).with_status(0);
        let listening = gateways()
            .iter()
            .filter(|(_, command)| command.contains("--listen"))
            .count();
        assert_eq!(listening, 1, "{verb:?}");
    }
    kill("supervisord");
    kill("--listen");
    world.dotcloud(["up", "-A", "app"]).with_status(0);
    assert!(read(&address).unwrap().contains("started"));
}

#[test]
fn gateways_are_out_of_reach_of_the_services() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    let public = world.state("public");
    let service = fs::metadata(world.state("db.0/1/home")).unwrap().uid();
    let of_gateways = fs::metadata(public.join("run/supervisor.sock")).unwrap();
    assert_eq!(
        fs::metadata(public.join("run")).unwrap().mode() & 0o777,
        0o700
    );
    if !is_root() || world.user().is_some() {
        return;
    }
    assert!(
        ![0, service].contains(&of_gateways.uid()),
        "{of_gateways:?}"
    );
    for path in ["", "routes", "routes/db-0-db", "supervisord.conf"] {
        let found = fs::metadata(public.join(path)).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o022), (0, 0), "{path}");
    }
    for (pid, command) in processes_below(&public) {
        if command.contains("--listen") || command.contains("supervisord") {
            let found = fs::metadata(Path::new("/proc").join(pid.to_string())).unwrap();
            assert_eq!(found.uid(), of_gateways.uid(), "{command}");
        }
    }
}

#[test]
fn traffic_is_told_and_survives_the_gateway() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.push(0);
    for round in 1..=2 {
        world.ask("db.0");
        world.dotcloud(["down"]).with_status(0);
        let traffic = world.dotcloud(["traffic", "db.0", "--json"]).with_status(0);
        let told: serde_json::Value = serde_json::from_str(&traffic.stdout).unwrap();
        let told = &told["db"];
        assert_eq!(told["total"]["connections"], round, "{told}");
        assert_eq!(told["open"], 0, "{told}");
        let spans = told["spans"].as_array().unwrap();
        assert_eq!(spans.len(), 60);
        let sum: u64 = spans
            .iter()
            .map(|span| span["connections"].as_u64().unwrap())
            .sum();
        assert_eq!(sum, round);
        world.dotcloud(["up", "-A", "app"]).with_status(0);
        wait_for("the service", || {
            (world.dotcloud(["status", "db"]).status == 0).then_some(())
        });
    }
    let text = world.dotcloud(["traffic", "db.0", "1M"]).with_status(0);
    text.position("=== db.0 db, by 1440 minute(s)");
    let info = world.dotcloud(["info", "db"]).with_status(0);
    info.position("  db: 2 connection(s), 0 open; 0 B in, ");
}

#[test]
fn push_killed_while_clients_wait_lets_them_go_and_the_next_verb_mends_it() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    let slow = crate::world::SERVER.replace("time.sleep(0.3)", "time.sleep(3)");
    world.write("app/server", &slow);
    world.push(0);
    let address = world.address("db.0");
    let mut push = world.command(["push"]);
    push.env("DOTCLOUD_LAUNCH_LIMIT", "2");
    push.stdout(Stdio::null()).stderr(Stdio::null());
    let mut push = Running(push.spawn().unwrap());
    let route = world.state("public/routes/db-0-db");
    wait_for("the hold", || {
        let text = fs::read_to_string(&route).ok()?;
        text.contains("\"targets\":[],\"hold\":{\"limit\":2,")
            .then_some(())
    });
    push.0.kill().unwrap();
    push.0.wait().unwrap();
    // A relay that has not read its route yet leads to the old one, which takes three seconds to end.
    let waited = wait_for("a client who is let go", || {
        let begin = Instant::now();
        let answer = read(&address).unwrap_or_default();
        answer.is_empty().then(|| begin.elapsed())
    });
    // Whoever comes waits for no longer than a launch may take.
    assert!(waited < Duration::from_secs(20), "{waited:?}");
    world.dotcloud(["up", "-A", "app"]).with_status(0);
    assert!(world.ask("db.0").contains("started"));
}

const CHECKED: &str = "\
db:
  type: custom
  approot: app
  instances: 2
  process: ~/current/checked
  ports:
    db: {type: tcp, check: {port: agent, path: /primary, every: 100ms}}
    agent: http
";

/// Passes if a file says so, and tells its number to whoever connects.
const CHECKED_SERVER: &str = r#"#!/usr/bin/env python3
import os, socket, threading, http.server
home, number = os.environ["HOME"], os.environ["DOTCLOUD_SERVICE_ID"]
class Agent(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        passes = os.path.exists(home + "/passes") or self.path != "/primary"
        self.send_response(200 if passes else 503)
        self.end_headers()
        self.wfile.write(b"it does\n" if passes else b"it does not\n")
    do_HEAD = do_GET
    def log_message(self, *_): pass
agent = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT_AGENT"])), Agent)
threading.Thread(target=agent.serve_forever, daemon=True).start()
server = socket.create_server(("127.0.0.1", int(os.environ["PORT_DB"])))
held = []
while True:
    client, _ = server.accept()
    client.sendall(number.encode())
    held.append(client)
"#;

fn says(address: &str) -> Option<(TcpStream, u8)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    Some((stream, byte[0]))
}

#[test]
fn checked_port_leads_to_whoever_passes_at_any_address() {
    let Some(world) = World::new(RUNTIME) else {
        return;
    };
    world.write("dotcloud.yml", CHECKED);
    world.write("app/checked", CHECKED_SERVER);
    world.executable("app/checked");
    world.push(0);
    let addresses = ["db.0", "db.1"].map(|name| world.address(name));
    let set = |instance: &str, passes: bool| {
        let script = if passes {
            "touch ~/passes"
        } else {
            "rm ~/passes"
        };
        world.run(instance, script);
    };
    // Nobody passes yet.
    assert!(says(&addresses[0]).is_none());
    set("db.1", true);
    let status = world
        .dotcloud(["status", "-A", "app"])
        .with_status(0)
        .stdout;
    for line in [
        "  check of db -> FAILS it does not\n",
        "  check of db -> PASSES it does\n",
    ] {
        assert!(status.contains(line), "{status}");
    }
    let info = world.dotcloud(["info", "db.1", "-A", "app"]).with_status(0);
    assert!(
        info.stdout.contains("check of db: passes: it does\n"),
        "{info:?}"
    );
    for address in &addresses {
        wait_for("the second instance", || {
            says(address).filter(|(_, byte)| *byte == b'1')
        });
    }
    let (mut open, _) = wait_for("a connection", || says(&addresses[0]));
    // The other takes over; what the first had is cut.
    set("db.1", false);
    let cut = open.read(&mut [0]);
    assert!(!matches!(cut, Ok(1..)), "{cut:?}");
    set("db.0", true);
    for address in &addresses {
        wait_for("the first instance", || {
            says(address).filter(|(_, byte)| *byte == b'0')
        });
    }
}
