//! The public endpoint of one port: a TCP relay that looks up, at every new connection, which
//! instance serves. Knows no protocol, and refuses more than a bounded number of connections.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::{fmt, fs};

use rustix::net::sockopt::set_socket_keepalive;
use thiserror::Error;

/// Two threads and at most six descriptors each: two sockets, and a pipe for each direction that
/// `io::copy` splices through. Stays below a soft limit of 1024 descriptors.
const CONNECTIONS: usize = 160;

/// An instance is on this machine: it answers at once or not at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Relays connections to `listen` to the address that the file `route` holds; never returns.
///
/// The file is one line, `ADDRESS:PORT`, and is replaced atomically. While it is absent or empty
/// no instance serves: connections are accepted and closed. Open connections outlive a change.
pub(crate) fn serve(listen: SocketAddr, route: &Path) -> Result<Infallible, GatewayError> {
    match TcpListener::bind(listen) {
        Ok(listener) => relay(&listener, route, CONNECTIONS),
        Err(source) => Err(GatewayError::Bind { listen, source }),
    }
}

/// Connects to `address`, an instance's port. Those are among the ports that the system gives to
/// clients: where nobody listens, a connection may be given that very port, and reach itself.
pub(crate) fn reach(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    not_itself(TcpStream::connect_timeout(&address, limit)?)
}

fn not_itself(stream: TcpStream) -> io::Result<TcpStream> {
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

/// The endpoint cannot be offered.
#[derive(Debug, Error)]
pub(crate) enum GatewayError {
    /// Somebody else listens there, or we may not.
    #[error("cannot listen on {listen}")]
    Bind {
        listen: SocketAddr,
        source: io::Error,
    },
}

fn relay(listener: &TcpListener, route: &Path, limit: usize) -> ! {
    // Every open connection holds a clone: the count is right even after a panic.
    let slots = Arc::new(());
    let mut refusing = false;
    loop {
        let (client, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                log(format_args!("cannot accept a connection: {error}"));
                // Most likely out of descriptors: without a pause this would spin.
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if Arc::strong_count(&slots) > limit {
            if !refusing {
                log(format_args!(
                    "refusing {peer} and further connections: all {limit} are in use"
                ));
            }
            refusing = true;
            continue;
        }
        refusing = false;
        let (slot, route) = (Arc::clone(&slots), route.to_owned());
        let started = thread::Builder::new().spawn(move || {
            if let Err(error) = connect(&client, &route) {
                log(format_args!("{peer}: {error}"));
            }
            // The sockets close first, so that whoever sees them closed finds the slot free.
            drop((client, slot));
        });
        if let Err(error) = started {
            log(format_args!("{peer}: cannot start a thread: {error}"));
        }
    }
}

/// Joins `client` with the instance that serves now, until both directions have ended.
fn connect(client: &TcpStream, route: &Path) -> Result<(), ConnectionError> {
    let Some(address) = read_route(route)? else {
        return Ok(());
    };
    let instance = reach(address, CONNECT_LIMIT)
        .map_err(|source| ConnectionError::Connect { address, source })?;
    for stream in [client, &instance] {
        // Both are about latency and leaks, not correctness: a refusal is no reason to give up.
        let _ = stream.set_nodelay(true);
        let _ = set_socket_keepalive(stream, true);
    }
    thread::scope(|scope| {
        let answers = thread::Builder::new().spawn_scoped(scope, || pump(&instance, client));
        match answers {
            Ok(_) => {
                pump(client, &instance);
                Ok(())
            }
            Err(source) => Err(ConnectionError::Thread { source }),
        }
    })
}

/// Copies until `from` ends, then tells `to` so; the other direction may go on (half-close).
fn pump(mut from: &TcpStream, mut to: &TcpStream) {
    // A refused shutdown means that the peer is gone already.
    if io::copy(&mut from, &mut to).is_ok() {
        let _ = to.shutdown(Shutdown::Write);
    } else {
        // One side is broken: end both, or the other direction would wait for ever.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

fn read_route(route: &Path) -> Result<Option<SocketAddr>, ConnectionError> {
    let text = match fs::read_to_string(route) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ConnectionError::Read { source }),
    };
    match text.trim() {
        "" => Ok(None),
        address => address
            .parse()
            .map(Some)
            .map_err(|_| ConnectionError::Malformed { text }),
    }
}

/// Why one connection was closed; the endpoint goes on.
#[derive(Debug, Error)]
enum ConnectionError {
    #[error("cannot read the route: {source}")]
    Read { source: io::Error },
    #[error("the route is {text:?} instead of ADDRESS:PORT")]
    Malformed { text: String },
    #[error("cannot reach the instance at {address}: {source}")]
    Connect {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot start a thread: {source}")]
    Thread { source: io::Error },
}

/// Standard error is the endpoint's log file.
fn log(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "gateway: {line}");
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    const LOCAL: (&str, u16) = ("127.0.0.1", 0);

    struct Endpoint {
        directory: TempDir,
        address: SocketAddr,
    }

    impl Endpoint {
        /// The relay's thread ends with the test's process.
        fn start(limit: usize) -> Self {
            let directory = TempDir::new().unwrap();
            let listener = TcpListener::bind(LOCAL).unwrap();
            let address = listener.local_addr().unwrap();
            let route = directory.path().join("route");
            thread::spawn(move || relay(&listener, &route, limit));
            Self { directory, address }
        }

        fn route(&self, text: &str) {
            let beside: PathBuf = self.directory.path().join("new");
            fs::write(&beside, text).unwrap();
            fs::rename(&beside, self.directory.path().join("route")).unwrap();
        }

        fn call(&self) -> TcpStream {
            let stream = TcpStream::connect(self.address).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            stream
        }
    }

    fn instance() -> (TcpListener, String) {
        let listener = TcpListener::bind(LOCAL).unwrap();
        let line = format!("{}\n", listener.local_addr().unwrap());
        (listener, line)
    }

    /// True for both ways to see that the other end closed without a word.
    fn is_closed(mut stream: &TcpStream) -> bool {
        match stream.read(&mut [0]) {
            Ok(0) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
            Ok(_) => false,
        }
    }

    #[test]
    fn reach_itself_is_nobody() {
        use rustix::net::{AddressFamily, SocketType, bind, connect, getsockname, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let own: SocketAddr = getsockname(&socket).unwrap().try_into().unwrap();
        connect(&socket, &own).unwrap();
        let error = not_itself(TcpStream::from(socket)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn relay_without_a_route_closes_the_connection() {
        let endpoint = Endpoint::start(8);
        assert!(is_closed(&endpoint.call()), "absent route");
        for unusable in ["", "\n", "nonsense\n"] {
            endpoint.route(unusable);
            assert!(is_closed(&endpoint.call()), "{unusable:?}");
        }
        let (listener, line) = instance();
        drop(listener);
        endpoint.route(&line);
        assert!(is_closed(&endpoint.call()), "nobody listens");
    }

    #[test]
    fn relay_half_closed_client_still_gets_its_answer() {
        let endpoint = Endpoint::start(8);
        let (listener, line) = instance();
        endpoint.route(&line);
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            stream.read_to_end(&mut request).unwrap();
            stream.write_all(&request).unwrap();
        });
        let mut client = endpoint.call();
        let request = vec![b'x'; 1 << 20];
        client.write_all(&request).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer == request);
        server.join().unwrap();
    }

    #[test]
    fn relay_server_that_ends_first_ends_the_client() {
        let endpoint = Endpoint::start(8);
        let (listener, line) = instance();
        endpoint.route(&line);
        let client = endpoint.call();
        let (stream, _) = listener.accept().unwrap();
        drop(stream);
        assert!(is_closed(&client));
    }

    #[test]
    fn relay_new_route_leaves_open_connections_alone() {
        let endpoint = Endpoint::start(8);
        let (old, old_line) = instance();
        let (new, new_line) = instance();
        endpoint.route(&old_line);
        let mut first = endpoint.call();
        let (mut old_stream, _) = old.accept().unwrap();
        endpoint.route(&new_line);
        let mut second = endpoint.call();
        let (mut new_stream, _) = new.accept().unwrap();
        new_stream.write_all(b"n").unwrap();
        old_stream.write_all(b"o").unwrap();
        let mut byte = [0];
        first.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"o");
        second.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"n");
    }

    #[test]
    fn relay_full_refuses_until_a_connection_ends() {
        let endpoint = Endpoint::start(1);
        let (listener, line) = instance();
        endpoint.route(&line);
        let first = endpoint.call();
        let (held, _) = listener.accept().unwrap();
        assert!(is_closed(&endpoint.call()), "the only slot is taken");
        drop((first, held));
        listener.set_nonblocking(true).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        let mut freed = false;
        while !freed && std::time::Instant::now() < deadline {
            let client = endpoint.call();
            client
                .set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            // Refused ones are closed at once; one that is served stays open.
            freed = !is_closed(&client) && listener.accept().is_ok();
        }
        assert!(freed);
    }

    #[test]
    fn accepts_follows_the_listener() {
        let listener = TcpListener::bind(LOCAL).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(reach(address, Duration::from_secs(5)).is_ok());
        drop(listener);
        assert!(reach(address, Duration::from_secs(5)).is_err());
    }

    #[test]
    fn serve_port_in_use_is_refused_with_exact_text() {
        let listener = TcpListener::bind(LOCAL).unwrap();
        let address = listener.local_addr().unwrap();
        let error = serve(address, Path::new("/nowhere/route")).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on {address}"));
        let GatewayError::Bind { source, .. } = error;
        assert_eq!(source.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn connection_errors_have_exact_texts() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let address = SocketAddr::from(([127, 0, 0, 1], 42800));
        let texts = [
            (
                ConnectionError::Read { source: refused() },
                "cannot read the route: connection refused",
            ),
            (
                ConnectionError::Malformed { text: "x\n".into() },
                "the route is \"x\\n\" instead of ADDRESS:PORT",
            ),
            (
                ConnectionError::Connect {
                    address,
                    source: refused(),
                },
                "cannot reach the instance at 127.0.0.1:42800: connection refused",
            ),
            (
                ConnectionError::Thread { source: refused() },
                "cannot start a thread: connection refused",
            ),
        ];
        for (error, text) in texts {
            assert_eq!(error.to_string(), text);
        }
    }
}
