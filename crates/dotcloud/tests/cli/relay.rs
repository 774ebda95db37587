//! The relay of a public port as a process of its own: what it does when it has no descriptors left.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use crate::Place;

const DEADLINE: Duration = Duration::from_secs(30);

/// Ends with its test.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Relay {
    /// With room for `descriptors`.
    fn start(place: &Place, public: u16, instance: u16, descriptors: u32) -> Self {
        let routes = place.directory.path().join("routes");
        fs::create_dir(&routes).unwrap();
        fs::write(routes.join("p"), format!("127.0.0.1:{instance}\n")).unwrap();
        let log = fs::File::create(place.directory.path().join("log")).unwrap();
        let relay = Command::new("bash")
            .args([
                "-c",
                &format!("ulimit -n {descriptors}; exec \"$@\""),
                "bash",
            ])
            .arg(env!("CARGO_BIN_EXE_dotcloud"))
            .args([
                "gateway",
                "--listen",
                &format!("127.0.0.1:{public}"),
                "--route",
            ])
            .arg(routes.join("p"))
            .arg("--state")
            .arg(place.directory.path().join("p"))
            .stderr(log)
            .spawn()
            .unwrap();
        Self(relay)
    }

    /// What it used of a processor, in hundredths of a second.
    fn used(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let (_, rest) = text.rsplit_once(") ").unwrap();
        let field = |n: usize| -> u64 { rest.split(' ').nth(n).unwrap().parse().unwrap() };
        field(11) + field(12)
    }
}

/// Greets whoever connects, and keeps the connection until its client closes.
fn greet(listener: &TcpListener) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        thread::spawn(move || {
            let _ = stream.write_all(b"!");
            let _ = stream.read(&mut [0]);
        });
    }
}

fn call(public: u16) -> TcpStream {
    let begin = Instant::now();
    let stream = loop {
        match TcpStream::connect(("127.0.0.1", public)) {
            Ok(stream) => break stream,
            Err(error) => assert!(begin.elapsed() < DEADLINE, "{error}"),
        }
        thread::sleep(Duration::from_millis(10));
    };
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn is_greeted(mut client: &TcpStream) -> bool {
    client.read_exact(&mut [0]).is_ok()
}

#[test]
fn relay_without_descriptors_waits_for_some_and_serves_on() {
    let place = Place::new();
    let instance = TcpListener::bind("127.0.0.1:0").unwrap();
    let number = instance.local_addr().unwrap().port();
    thread::spawn(move || greet(&instance));
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let public = free.local_addr().unwrap().port();
    drop(free);
    // Two for each connection, and some of its own.
    let relay = Relay::start(&place, public, number, 64);
    let mut served = Vec::new();
    let mut waiting = Vec::new();
    for _ in 0..40 {
        let client = call(public);
        client
            .set_read_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        // Once one is not, the others are not either: they need not be waited for.
        if waiting.is_empty() && is_greeted(&client) {
            served.push(client);
        } else {
            waiting.push(client);
        }
    }
    assert!(
        served.len() >= 16 && !waiting.is_empty(),
        "{}",
        served.len()
    );
    let before = relay.used();
    thread::sleep(Duration::from_secs(2));
    // It looks ten times a second, and is not busy with it.
    let used = relay.used() - before;
    assert!(used < 50, "{used} hundredths of 2 s");
    let log = fs::read_to_string(place.directory.path().join("log")).unwrap();
    assert!(
        log.contains("cannot accept a connection, and wait until others end"),
        "{log}"
    );
    assert_eq!(log.matches('\n').count(), 1, "{log}");
    drop(served);
    // Each of them, as places come free: nobody was closed for want of descriptors.
    while !waiting.is_empty() {
        let first = waiting.remove(0);
        first.set_read_timeout(Some(DEADLINE)).unwrap();
        assert!(is_greeted(&first), "{} waited in vain", waiting.len() + 1);
    }
    assert!(is_greeted(&call(public)), "who comes then is served");
}
