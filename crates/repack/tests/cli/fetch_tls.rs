//! `repack fetch` over https: whom it believes, and that it stays there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::fetch::{NAME, body, case};
use crate::server::{Reply, Server, proper, response};
use crate::{Case, text};

/// Takes TLS off and hands the bytes on: CERTIFICATE KEY PORT; prints its own port.
const FRONT: &str = r"
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
def serve(connection):
    try:
        client = context.wrap_socket(connection, server_side=True)
        server = socket.create_connection(('127.0.0.1', int(sys.argv[3])))
        server.sendall(client.recv(65536))
        while data := server.recv(65536):
            client.sendall(data)
        client.unwrap()
    except OSError:
        pass
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
";

/// A server behind TLS, for 127.0.0.1.
struct Front {
    server: Server,
    python: Child,
    port: u16,
    _directory: TempDir,
}

impl Front {
    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.python.kill();
        let _ = self.python.wait();
    }
}

fn openssl(directory: &TempDir, arguments: &str) {
    let status = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory.path())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "openssl {arguments}");
}

/// A server for 127.0.0.1, and the certificate of the organisation that vouches for it.
fn server(name: &str, reply: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> (Front, String) {
    let directory = TempDir::new().unwrap();
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        &directory,
        &format!("req -x509 {new} -days 2 -subj /CN={name} -keyout ca.key -out ca.pem"),
    );
    openssl(
        &directory,
        &format!(
            "req -x509 {new} -days 2 -CA ca.pem -CAkey ca.key -subj /CN=127.0.0.1 \
             -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
             -keyout key.pem -out cert.pem"
        ),
    );
    let content = body(100_000);
    let server = Server::start(move |request, _| {
        let answer = reply(&request.path);
        Reply::Send(answer.unwrap_or_else(|| proper(&content, "\"1\"", request)))
    });
    let mut python = Command::new("python3")
        .args(["-c", FRONT, "cert.pem", "key.pem"])
        .arg(server.address().port().to_string())
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = python.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let organisation = fs::read_to_string(directory.path().join("ca.pem")).unwrap();
    let front = Front {
        server,
        python,
        port: line.trim().parse().unwrap(),
        _directory: directory,
    };
    (front, organisation)
}

fn fetch(case: &Case, server: &Front, trusted: &str) -> Output {
    let trust = case.path("trusted.pem");
    fs::write(&trust, trusted).unwrap();
    let output = case
        .command()
        .env("SSL_CERT_FILE", &trust)
        .args(["fetch", &server.url("/my-1.tar.gz")])
        .output()
        .unwrap();
    fs::remove_file(trust).unwrap();
    output
}

#[test]
fn server_of_an_organisation_that_is_trusted_is_believed() {
    let (server, organisation) = server("known", |_| None);
    let case = case();
    let output = fetch(&case, &server, &organisation);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(fs::read(case.path(NAME)).unwrap() == body(100_000));
}

#[test]
fn server_of_nobody_known_is_refused_at_once() {
    let (server, _) = server("nobody", |_| None);
    let (_, another) = self::server("known", |_| None);
    let case = case();
    let output = fetch(&case, &server, &another);
    let url = server.url("/my-1.tar.gz");
    assert_eq!(
        text(&output.stderr),
        format!(
            "repack: error: cannot fetch {url}\n  \
             cause: its certificate is not one to be trusted\n  \
             cause: curl: SSL certificate problem: unable to get local issuer certificate\n  \
             next: install ca-certificates, or name your organisation's certificates in \
             SSL_CERT_FILE\n"
        )
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(case.files(), [""; 0]);
    assert_eq!(server.server.requests(), []);
}

#[test]
fn redirect_away_from_https_is_refused() {
    let plain = Server::well_behaved(&body(1000));
    let location = format!("Location: {}", plain.url("/my-1.tar.gz"));
    let (server, organisation) = server("known", move |_| {
        let headers = [location.as_str(), "Content-Length: 0"];
        Some(response("302 Found", &headers, b""))
    });
    let case = case();
    let output = fetch(&case, &server, &organisation);
    let url = server.url("/my-1.tar.gz");
    assert_eq!(
        text(&output.stderr),
        format!(
            "repack: error: cannot fetch {url}\n  cause: it leads to a server without TLS\n  \
             next: pass the URL that it leads to, with --sha256 from a page you trust\n"
        )
    );
    assert_eq!(case.files(), [""; 0]);
    assert_eq!(plain.requests(), []);
}
