//! The agent without a server: its command line, and whoever asks what it should not be asked.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod openmetrics;
#[path = "../../starttest/tests/real/mod.rs"]
mod real;
mod world;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};
use testbed::sandbox;

use real::free_port;
use sandbox::{Outcome, Sandbox, wait_for};
use world::Agent;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn outcome(sandbox: &Sandbox, arguments: &[&str], port: Option<&str>) -> Outcome {
    let mut command = sandbox.command(Path::new(AGENT));
    command.args(arguments);
    if let Some(port) = port {
        command.env("PORT_AGENT", port);
    }
    sandbox.outcome(&mut command)
}

#[test]
fn command_line_answers_and_refusals_have_exact_texts() {
    let sandbox = Sandbox::new();
    let help = outcome(&sandbox, &["--help"], None);
    assert_eq!((help.code, &help.stdout[..]), (Some(0), agent::ABOUT));
    let version = outcome(&sandbox, &["--version"], None);
    let expected = concat!("agent ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((version.code, &version.stdout[..]), (Some(0), expected));
    let busy = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = busy.local_addr().unwrap().to_string();
    let next = "  next: say serve [--listen ADDRESS:PORT], check live or check ready; 'agent --help' \
                tells more\n";
    for (arguments, port, code, said) in [
        (
            &["check", "alive"][..],
            None,
            2,
            format!("agent: error: cannot understand 'check alive'\n{next}"),
        ),
        (
            &["serve"],
            None,
            1,
            "agent: error: no port to listen on: PORT_AGENT is not set\n  next: say --listen \
             127.0.0.1:PORT, or give the service a port for it in dotcloud.yml (ports: {agent: tcp}), \
             push again\n"
                .to_owned(),
        ),
        (
            &["serve"],
            Some("none"),
            1,
            "agent: error: PORT_AGENT is 'none', which is not a port number\n  next: say --listen \
             127.0.0.1:PORT, or give the service a port for it in dotcloud.yml (ports: {agent: tcp}), \
             push again\n"
                .to_owned(),
        ),
        (
            &["serve", "--listen", &taken],
            None,
            1,
            format!(
                "agent: error: cannot listen on {taken}\n  cause: address already in use (os error \
                 98)\n  next: stop the process that listens there ('ss -ltnp' shows it), or name \
                 another address after --listen, start again\n"
            ),
        ),
    ] {
        let outcome = outcome(&sandbox, arguments, port);
        assert_eq!((outcome.code, outcome.stderr), (Some(code), said));
    }
    drop(busy);
    for (question, said) in [("live", "not live"), ("ready", "not ready")] {
        let outcome = outcome(&sandbox, &["check", question], None);
        let text = format!("{said}: no server runs: nobody has the data directory\n");
        assert_eq!((outcome.code, outcome.stdout), (Some(1), text));
    }
}

fn descriptors(agent: &Agent) -> usize {
    fs::read_dir(format!("/proc/{}/fd", agent.process.id()))
        .unwrap()
        .count()
}

#[test]
fn metrics_of_backups_are_those_of_the_file_and_a_missed_one_is_a_failure() {
    let sandbox = Sandbox::new();
    let agent = Agent::spawn(&mut sandbox.command(Path::new(AGENT)), free_port());
    let of = |metrics: &std::collections::BTreeMap<String, f64>, kind: &str| -> Vec<String> {
        let of = |(name, _): &(&String, &f64)| name.contains(kind);
        let shown = |(name, value): (&String, &f64)| format!("{name} {value}");
        metrics.iter().filter(of).map(shown).collect()
    };
    let metrics = agent.metrics();
    assert!(of(&metrics, "backup").is_empty() && of(&metrics, "changes").is_empty());
    let left = |text: &str| {
        sandbox.write("home/data/backups.json", text);
        agent.metrics()
    };
    let metrics = left(
        "{\"copies\": {\"good\": 1700000000, \"verified\": 1600000000, \"failed\": false, \"overdue\": \
         99999999999}, \"changes\": {\"good\": 99999999999, \"failed\": true}}",
    );
    let value = |name: &str| metrics[&format!("mysql_agent_{name}")].to_string();
    for (name, expected) in [
        ("backup_failed", "0"),
        ("backup_last_success_timestamp_seconds", "1700000000"),
        ("backup_last_verified_timestamp_seconds", "1600000000"),
        ("changes_failed", "1"),
        // The clock was set back.
        ("changes_age_seconds", "0"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    let ages = ["backup_verified_age_seconds", "backup_age_seconds"];
    let [older, newer] = ages.map(|name| metrics[&format!("mysql_agent_{name}")]);
    assert!(older >= newer + 99_999_999.0, "{older} {newer}");
    let metrics = left("{\"copies\": {\"failed\": false, \"overdue\": 1700000000}}");
    assert_eq!(of(&metrics, "backup"), ["mysql_agent_backup_failed 1"]);
    let metrics = left("{\"copies\": {\"fai");
    assert_eq!(of(&metrics, "backup"), ["mysql_agent_backup_failed 1"]);
    agent.stop();
}

#[test]
fn hostile_requests_are_refused_and_hurt_nobody() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(Path::new(AGENT));
    let agent = Agent::spawn(&mut command, free_port());
    for (request, answer) in [
        (&b"GET /live HTTP/1.1\r\n\r\n"[..], "HTTP/1.1 200 OK\r\n"),
        (b"HEAD /live HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n"),
        (
            b"GET /ready HTTP/1.1\r\n\r\n",
            "HTTP/1.1 503 Service Unavailable\r\n",
        ),
        (
            b"GET /nothing HTTP/1.1\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\n",
        ),
        (
            b"POST /live HTTP/1.1\r\n\r\n",
            "HTTP/1.1 405 Method Not Allowed\r\n",
        ),
        (b"\x16\x03\x01\x02\x00\x01", "HTTP/1.1 400 Bad Request\r\n"),
        (b"GET /live HTTP/9\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"),
    ] {
        let said = agent.exchange(request);
        assert!(said.starts_with(answer), "{said}");
    }
    assert!(
        agent
            .exchange(b"HEAD /live HTTP/1.0\r\n\r\n")
            .ends_with("close\r\n\r\n")
    );
    // Cut off in the middle, whatever was said.
    let mut long = b"GET /live HTTP/1.1\r\nA: ".to_vec();
    long.extend(vec![b'x'; 1_000_000]);
    let mut stream = TcpStream::connect(("127.0.0.1", agent.port)).unwrap();
    let _ = stream.write_all(&long);
    let _ = stream.read_to_end(&mut Vec::new());
    // A thousand that never finish.
    let mut slow = Vec::new();
    for _ in 0..1000 {
        let mut stream = TcpStream::connect(("127.0.0.1", agent.port)).unwrap();
        let _ = stream.write_all(b"GET /live HTTP/1.1\r\nX: ");
        slow.push(stream);
        if slow.len() % 100 == 0 {
            let asked = Instant::now();
            assert_eq!(agent.get("/live").0, 200);
            assert!(asked.elapsed() < Duration::from_secs(1));
        }
    }
    assert!(descriptors(&agent) < 100, "{}", descriptors(&agent));
    // Nor are those kept that ask and do not read, or say a byte at a time.
    wait_for("the slow ones to be cut", || {
        (descriptors(&agent) < 20).then_some(())
    });
    let status = fs::read_to_string(format!("/proc/{}/status", agent.process.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 12 << 10, "{peak} kB");
    agent.stop();
}
