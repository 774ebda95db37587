use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use tempfile::TempDir;

use super::*;

const LOCAL: (&str, u16) = ("127.0.0.1", 0);
const DEADLINE: Duration = Duration::from_secs(30);

struct Endpoint {
    directory: TempDir,
    address: SocketAddr,
    /// Closed, it ends the relay.
    _end: UnixStream,
}

impl Endpoint {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("routes")).unwrap();
        let listener = TcpListener::bind(LOCAL).unwrap();
        let address = listener.local_addr().unwrap();
        keep_alive(&listener);
        let state = directory.path().join("p");
        let files = Files {
            route: directory.path().join("routes/p"),
            traffic: traffic_file(&state),
            obeyed: obeyed(&state),
        };
        let mut door = Door::new(listener, files, PUMPS).unwrap();
        let (end, told) = UnixStream::pair().unwrap();
        thread::spawn(move || door.serve(&told));
        Self {
            directory,
            address,
            _end: end,
        }
    }

    fn write(&self, text: &str) {
        let beside = self.directory.path().join("new");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, self.directory.path().join("routes/p")).unwrap();
    }

    fn lead(&self, route: &Route) {
        self.write(&serde_json::to_string(route).unwrap());
    }

    fn lead_to(&self, listener: &TcpListener) {
        self.lead(&route(&[listener]));
    }

    fn call(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    fn obeyed(&self) -> u64 {
        let path = obeyed(&self.directory.path().join("p"));
        let text = fs::read_to_string(path).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }

    fn traffic(&self) -> Traffic {
        Traffic::read(&traffic_file(&self.directory.path().join("p"))).unwrap_or_default()
    }
}

fn target(listener: &TcpListener) -> Target {
    Target {
        address: listener.local_addr().unwrap(),
        check: None,
    }
}

fn route(listeners: &[&TcpListener]) -> Route {
    Route {
        token: 1,
        targets: listeners.iter().copied().map(target).collect(),
        hold: None,
        shortcut: None,
    }
}

fn instance() -> TcpListener {
    TcpListener::bind(LOCAL).unwrap()
}

/// The next one that comes.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let mut found = None;
    wait_for("a connection", || {
        found = listener.accept().ok();
        found.is_some()
    });
    let (stream, _) = found.unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// True for both ways to see that the other end closed without a word.
fn is_closed(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(0) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
        Ok(_) => false,
    }
}

fn wait_for(what: &str, mut check: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !check() {
        assert!(begin.elapsed() < DEADLINE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// One byte there, one back.
fn exchange(one: &mut TcpStream, other: &mut TcpStream) {
    let mut byte = [0];
    one.write_all(b"a").unwrap();
    other.read_exact(&mut byte).unwrap();
    other.write_all(b"b").unwrap();
    one.read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"b");
}

#[test]
fn relay_without_a_route_closes_the_connection() {
    let endpoint = Endpoint::start();
    assert!(is_closed(&endpoint.call()), "absent route");
    for unusable in ["", "\n", "nonsense\n", "{}"] {
        endpoint.write(unusable);
        assert!(is_closed(&endpoint.call()), "{unusable:?}");
    }
    let listener = instance();
    let gone = route(&[&listener]);
    drop(listener);
    endpoint.lead(&gone);
    assert!(is_closed(&endpoint.call()), "nobody listens");
}

#[test]
fn relay_half_close_works_both_ways_with_much_data() {
    let endpoint = Endpoint::start();
    let listener = instance();
    endpoint.lead_to(&listener);
    let much: Vec<u8> = (0..8_usize << 20).map(|n| n.to_le_bytes()[n % 3]).collect();
    for client_first in [true, false] {
        let client = endpoint.call();
        let server = accept(&listener);
        let (mut first, mut second) = if client_first {
            (client, server)
        } else {
            (server, client)
        };
        let sent = much.clone();
        let writer = thread::spawn(move || {
            first.write_all(&sent).unwrap();
            first.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            first.read_to_end(&mut answer).unwrap();
            answer
        });
        // Slow: what does not fit has to be kept, and nothing spun on.
        thread::sleep(Duration::from_millis(200));
        let mut got = Vec::new();
        second.read_to_end(&mut got).unwrap();
        assert!(got == much);
        second.write_all(&much).unwrap();
        drop(second);
        assert!(writer.join().unwrap() == much);
    }
}

#[test]
fn relay_end_and_reset_of_the_instance_reach_the_client() {
    let endpoint = Endpoint::start();
    let listener = instance();
    endpoint.lead_to(&listener);
    let mut client = endpoint.call();
    let stream = accept(&listener);
    drop(stream);
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "an end is no reset");

    let mut client = endpoint.call();
    let mut stream = accept(&listener);
    exchange(&mut client, &mut stream);
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn relay_goes_on_after_clients_that_close_first() {
    let endpoint = Endpoint::start();
    let listener = instance();
    endpoint.lead_to(&listener);
    // Of every pump one stays.
    let mut staying: Vec<(TcpStream, TcpStream)> = (0..PUMPS)
        .map(|_| (endpoint.call(), accept(&listener)))
        .collect();
    for _ in 0..4 * PUMPS {
        let mut client = endpoint.call();
        let mut stream = accept(&listener);
        exchange(&mut client, &mut stream);
        drop(client);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        drop(stream);
        for (client, stream) in &mut staying {
            exchange(client, stream);
        }
    }
}

#[test]
fn relay_client_that_never_closes_is_closed_after_the_instance() {
    let endpoint = Endpoint::start();
    let listener = instance();
    endpoint.lead_to(&listener);
    let mut silent: Vec<TcpStream> = Vec::new();
    for _ in 0..300 {
        silent.push(endpoint.call());
        drop(accept(&listener));
    }
    // One more is served at once, whatever they do.
    let mut client = endpoint.call();
    let mut stream = accept(&listener);
    exchange(&mut client, &mut stream);
    // Without a word from them, only the one that lives is left.
    wait_for("the farewells", || {
        endpoint.traffic().open == 1 && endpoint.traffic().total.connections == 301
    });
    exchange(&mut client, &mut stream);
}

#[test]
fn relay_has_no_limit_of_its_own() {
    let endpoint = Endpoint::start();
    let listener = instance();
    endpoint.lead_to(&listener);
    raise_limit();
    let mut all: Vec<(TcpStream, TcpStream)> = (0..400)
        .map(|_| (endpoint.call(), accept(&listener)))
        .collect();
    for (client, stream) in &mut all {
        exchange(client, stream);
    }
}

#[test]
fn relay_new_route_leaves_open_connections_alone() {
    let endpoint = Endpoint::start();
    let (old, new) = (instance(), instance());
    endpoint.lead_to(&old);
    let mut first = endpoint.call();
    let mut old_stream = accept(&old);
    endpoint.lead_to(&new);
    let mut second = endpoint.call();
    let mut new_stream = accept(&new);
    exchange(&mut first, &mut old_stream);
    exchange(&mut second, &mut new_stream);
}

#[test]
fn relay_that_holds_lets_clients_wait_for_the_next_instance() {
    let endpoint = Endpoint::start();
    let hold = |limit| Route {
        hold: Some(Hold::new(Duration::from_secs(limit), DEADLINE)),
        ..Route::default()
    };
    endpoint.lead(&hold(30));
    let mut waiting: Vec<TcpStream> = (0..5).map(|_| endpoint.call()).collect();
    for client in &mut waiting {
        client.write_all(b"first words").unwrap();
    }
    // Nobody listens there yet.
    let listener = instance();
    let mut next = route(&[&listener]);
    drop(listener);
    next.hold = hold(30).hold;
    endpoint.lead(&next);
    thread::sleep(Duration::from_millis(200));
    let listener = TcpListener::bind(next.targets[0].address).unwrap();
    for _ in &waiting {
        let mut stream = accept(&listener);
        let mut words = [0; 11];
        stream.read_exact(&mut words).unwrap();
        assert_eq!(words, *b"first words");
        stream.write_all(b"!").unwrap();
    }
    for client in &mut waiting {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
    }
    // Not for ever, and not when nobody comes any more.
    endpoint.lead(&hold(1));
    let begin = Instant::now();
    assert!(is_closed(&endpoint.call()));
    assert!(begin.elapsed() >= Duration::from_millis(900));
    endpoint.lead(&hold(30));
    let client = endpoint.call();
    endpoint.lead(&Route::default());
    assert!(is_closed(&client));
}

#[test]
fn relay_obeys_when_the_young_have_ended_or_had_time() {
    let endpoint = Endpoint::start();
    let listener = instance();
    endpoint.lead_to(&listener);
    let client = endpoint.call();
    let stream = accept(&listener);
    wait_for("the first route", || endpoint.obeyed() == 1);
    let begin = Instant::now();
    endpoint.lead(&Route {
        token: 2,
        ..Route::default()
    });
    assert!(is_closed(&endpoint.call()), "the new route counts at once");
    thread::sleep(Duration::from_millis(100));
    assert_eq!(endpoint.obeyed(), 1, "a young connection is left its time");
    drop((client, stream));
    wait_for("the second route", || endpoint.obeyed() == 2);
    let quick = begin.elapsed();

    endpoint.lead_to(&listener);
    let _client = endpoint.call();
    let _stream = accept(&listener);
    endpoint.lead(&Route {
        token: 3,
        ..Route::default()
    });
    wait_for("the third route", || endpoint.obeyed() == 3);
    assert!(quick < DEADLINE);
}

#[test]
fn relay_follows_the_check_of_each_instance() {
    let endpoint = Endpoint::start();
    let (first, second) = (instance(), instance());
    let agent = |status: &'static str| {
        let listener = instance();
        let address = listener.local_addr().unwrap();
        let (change, changes) = std::sync::mpsc::channel::<&'static str>();
        thread::spawn(move || {
            let mut status = status;
            loop {
                let (mut stream, _) = listener.accept().unwrap();
                status = changes.try_iter().last().unwrap_or(status);
                let _ = stream.read(&mut [0; 512]);
                let _ = stream.write_all(format!("HTTP/1.0 {status} X\r\n\r\n").as_bytes());
            }
        });
        let check = Check {
            address,
            path: "/primary".to_owned(),
            milliseconds: 20,
        };
        (check, change)
    };
    let (first_check, change_first) = agent("200");
    let (second_check, change_second) = agent("503");
    let mut both = route(&[&first, &second]);
    both.targets[0].check = Some(first_check);
    both.targets[1].check = Some(second_check);
    endpoint.lead(&both);
    let mut client = endpoint.call();
    let mut stream = accept(&first);
    exchange(&mut client, &mut stream);
    // It fails: what it has is cut, and nobody comes any more, not even while nobody passes.
    change_first.send("503").unwrap();
    assert!(is_closed(&client));
    assert!(is_closed(&endpoint.call()));
    change_second.send("200").unwrap();
    second.set_nonblocking(true).unwrap();
    wait_for("the second instance", || {
        let _client = endpoint.call();
        thread::sleep(Duration::from_millis(20));
        second.accept().is_ok()
    });
}

#[test]
fn serve_waits_for_its_port_and_ends_when_told() {
    let stranger = TcpListener::bind(LOCAL).unwrap();
    let address = stranger.local_addr().unwrap();
    let (end, told) = UnixStream::pair().unwrap();
    end.set_nonblocking(true).unwrap();
    let waiting = thread::spawn(move || bind(address, &end));
    thread::sleep(Duration::from_millis(300));
    drop(stranger);
    let listener = waiting.join().unwrap().unwrap();
    assert_eq!(listener.local_addr().unwrap(), address);

    let (end, _) = UnixStream::pair().unwrap();
    end.set_nonblocking(true).unwrap();
    drop(told);
    assert!(bind(address, &end).is_none(), "told to end");
}

#[test]
fn gateway_errors_have_exact_texts() {
    let source = || io::Error::other("x");
    for (error, text) in [
        (
            GatewayError::Serve { source: source() },
            "cannot relay connections",
        ),
        (
            GatewayError::Shortcuts { source: source() },
            "cannot lead clients past the relays",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
