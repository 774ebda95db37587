//! The TCP sockets of this network namespace, as the kernel tells them (proc(5)).

use std::fs;
use std::io;

/// The state of a socket that listens, in a line of [`socket_tables`].
pub const LISTENING: &str = "0A";

/// The kernel's tables: a line for each socket, with its number, its own address, the other's, its state.
pub fn socket_tables() -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for (table, version) in [("/proc/net/tcp", 4), ("/proc/net/tcp6", 6)] {
        match fs::read_to_string(table) {
            Ok(text) => found.push(text),
            // A machine without the newer protocol.
            Err(error) if version == 6 && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Whether somebody listens on `port`, at whatever address. A connection that has that port does not count,
/// nor does a socket that is bound and does not listen yet.
pub fn is_listened_on(port: u16) -> io::Result<bool> {
    Ok(socket_tables()?.iter().any(|table| listens(table, port)))
}

fn listens(table: &str, port: u16) -> bool {
    let own = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let is_own = words.next().is_some_and(|address| address.ends_with(&own));
        is_own && words.nth(1) == Some(LISTENING)
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn listens_only_where_somebody_listens() {
        let table = "  sl  local_address rem_address   st tx_queue\n   \
                     0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000\n   \
                     1: 0100007F:0CEB 0100007F:0CEA 01 00000000:00000000\n";
        assert!(listens(table, 3306));
        assert!(!listens(table, 3307));
        assert!(!listens("", 3306));
    }

    #[test]
    fn listener_is_told_from_its_client() {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let port = |address: io::Result<std::net::SocketAddr>| address.unwrap().port();
        assert!(is_listened_on(port(server.local_addr())).unwrap());
        assert!(!is_listened_on(port(client.local_addr())).unwrap());
    }
}
