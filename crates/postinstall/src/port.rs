//! The server's port, looked at before the server starts.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use hook::Report;

/// For a client's connection to end.
const PATIENCE: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(50);
/// Of a socket that listens, in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Fails if somebody listens on the port: a server that finds it taken says so after half a minute of retries, in
/// its own log. The platform's ports are among those that the kernel gives to clients: a connection that got this one
/// is waited for.
pub(crate) fn wait_until_free(number: u16, report: &mut Report) -> io::Result<()> {
    let begin = Instant::now();
    let mut waits = false;
    loop {
        let Err(error) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)) else {
            return Ok(());
        };
        let may_wait = error.kind() == ErrorKind::AddrInUse && begin.elapsed() < PATIENCE;
        if !may_wait || is_listened_on(number)? {
            return Err(error);
        }
        if !waits {
            waits = true;
            report.bullet(format!(
                "waiting for port {number}: a client's connection has it"
            ));
        }
        thread::sleep(TICK);
    }
}

fn is_listened_on(number: u16) -> io::Result<bool> {
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match fs::read_to_string(path) {
            Ok(table) => {
                if table.lines().any(|line| listens(line, number)) {
                    return Ok(true);
                }
            }
            // A kernel without IPv6.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// `  0: 0100007F:A730 00000000:0000 0A …`: the local address, the peer's, the state.
fn listens(line: &str, number: u16) -> bool {
    let mut fields = line.split_whitespace().skip(1);
    let local = fields.next().and_then(|address| address.rsplit_once(':'));
    let is_local = local.is_some_and(|(_, port)| u16::from_str_radix(port, 16) == Ok(number));
    is_local && fields.nth(1) == Some(LISTEN)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn wait_until_free_waits_for_a_client_and_not_for_a_listener() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let number = client.local_addr().unwrap().port();
        let waiting = thread::spawn(move || {
            let (mut report, begin) = (Report::to_writer(io::sink()), Instant::now());
            wait_until_free(number, &mut report).unwrap();
            begin.elapsed()
        });
        thread::sleep(Duration::from_millis(300));
        // The server's end closes first: of the client's nothing stays.
        drop(server.accept().unwrap());
        drop(client);
        assert!(waiting.join().unwrap() >= Duration::from_millis(200));
        let taken = server.local_addr().unwrap().port();
        let refused = wait_until_free(taken, &mut Report::to_writer(io::sink())).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AddrInUse);
    }
}
