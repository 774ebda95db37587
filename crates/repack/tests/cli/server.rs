//! An HTTP server that does what a test says, however wrong. On loopback, on a free port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// The first byte, of `Range`.
    pub(crate) from: Option<usize>,
    pub(crate) if_range: Option<String>,
}

/// What it gets. The connection is closed then.
pub(crate) enum Reply {
    Send(Vec<u8>),
    /// And nothing more, until the client goes.
    Hang(Vec<u8>),
}

/// Ends with its last user.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `reply` gets each request and its number, from 0.
    pub(crate) fn start(reply: impl Fn(&Request, usize) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (log, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                serve(connection, &log, &reply);
            }
        });
        Self {
            address,
            requests,
            stop,
            thread: Some(thread),
        }
    }

    /// Serves `body` under every path, and the rest of it, with an `ETag`, as it should be.
    pub(crate) fn well_behaved(body: &[u8]) -> Self {
        let body = body.to_vec();
        Self::start(move |request, _| Reply::Send(proper(&body, "\"1\"", request)))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        let requests = self.requests().into_iter();
        requests.map(|request| request.path).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(
    mut connection: impl Read + Write,
    log: &Mutex<Vec<Request>>,
    reply: impl Fn(&Request, usize) -> Reply,
) {
    let Some(request) = read(&mut connection) else {
        return;
    };
    let number = log.lock().unwrap().len();
    log.lock().unwrap().push(request.clone());
    let reply = reply(&request, number);
    let (Reply::Send(bytes) | Reply::Hang(bytes)) = &reply;
    // A client that had enough is no failure.
    let _ = connection
        .write_all(bytes)
        .and_then(|()| connection.flush());
    if matches!(reply, Reply::Hang(_)) {
        let _ = connection.read(&mut [0]);
    }
}

fn read(connection: &mut impl Read) -> Option<Request> {
    let mut lines = BufReader::new(connection).lines();
    let first = lines.next()?.ok()?;
    let mut request = Request {
        path: first.split(' ').nth(1)?.to_owned(),
        from: None,
        if_range: None,
    };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(": ") else {
            return Some(request);
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                request.from = value
                    .strip_prefix("bytes=")
                    .and_then(|range| range.strip_suffix('-'))
                    .map(|from| from.parse().unwrap());
            }
            "if-range" => request.if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    None
}

/// A response of `status` (`200 OK`) with `headers` and `body`, and no word about its length.
pub(crate) fn response(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\nConnection: close\r\n").into_bytes();
    for header in headers {
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// A response without a body.
pub(crate) fn status(status: &str) -> Reply {
    Reply::Send(response(status, &["Content-Length: 0"], b""))
}

/// The whole `body`.
pub(crate) fn whole(body: &[u8], tag: &str) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    response("200 OK", &[&length, &format!("ETag: {tag}")], body)
}

/// `body` from the byte `from` on.
pub(crate) fn rest(body: &[u8], tag: &str, from: usize) -> Vec<u8> {
    let (all, part) = (body.len(), &body[from..]);
    let headers = [
        format!("Content-Length: {}", part.len()),
        format!("Content-Range: bytes {from}-{}/{all}", all - 1),
        format!("ETag: {tag}"),
    ];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    response("206 Partial Content", &headers, part)
}

/// What a server that knows its trade sends.
pub(crate) fn proper(body: &[u8], tag: &str, request: &Request) -> Vec<u8> {
    match (request.from, &request.if_range) {
        (Some(from), Some(known)) if known == tag => rest(body, tag, from),
        _ => whole(body, tag),
    }
}

/// The first half of a response's body, and all that comes before it.
pub(crate) fn halved(mut response: Vec<u8>, body: usize) -> Vec<u8> {
    response.truncate(response.len() - body.div_ceil(2));
    response
}
