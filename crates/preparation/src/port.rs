//! The server's port, looked at before the server starts.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use hook::Report;

/// For a client's connection to end.
const PATIENCE: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(50);

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
        if !may_wait || hook::is_listened_on(number).unwrap_or(true) {
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
