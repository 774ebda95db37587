//! Connecting to an instance.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::socket_error;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect as connect_socket, socket_with};

/// How an attempt stands.
pub(crate) enum Attempt {
    Done(TcpStream),
    /// The kernel tells when it can be written to.
    Begun(TcpStream),
}

/// Connects to `address`, an instance's port. Those are among the ports that the system gives to
/// clients: where nobody listens, a connection may be given that very port, and reach itself.
pub(crate) fn reach(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, limit)?;
    not_itself(&stream, stream.peer_addr()?)?;
    Ok(stream)
}

/// The same without waiting. On one machine it is done or refused as a rule before it returns.
pub(crate) fn connect(address: SocketAddr) -> io::Result<Attempt> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    let begun = connect_socket(&socket, &address);
    let stream = TcpStream::from(socket);
    // About latency, not correctness: a refusal is no reason to give up.
    let _ = stream.set_nodelay(true);
    match begun {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    match stream.peer_addr() {
        Ok(peer) => {
            not_itself(&stream, peer)?;
            Ok(Attempt::Done(stream))
        }
        Err(_) => match socket_error(&stream)? {
            Ok(()) => Ok(Attempt::Begun(stream)),
            Err(error) => Err(error.into()),
        },
    }
}

/// How what was begun ended.
pub(crate) fn outcome(stream: &TcpStream) -> io::Result<()> {
    socket_error(stream)??;
    not_itself(stream, stream.peer_addr()?)
}

fn not_itself(stream: &TcpStream, peer: SocketAddr) -> io::Result<()> {
    if stream.local_addr()? == peer {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustix::net::{bind, getsockname, socket};

    use super::*;

    const LOCAL: (&str, u16) = ("127.0.0.1", 0);

    #[test]
    fn reach_itself_is_nobody() {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let own: SocketAddr = getsockname(&socket).unwrap().try_into().unwrap();
        connect_socket(&socket, &own).unwrap();
        let error = not_itself(&TcpStream::from(socket), own).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn connect_and_reach_follow_the_listener() {
        let listener = TcpListener::bind(LOCAL).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(reach(address, Duration::from_secs(5)).is_ok());
        assert!(matches!(connect(address), Ok(Attempt::Done(_))));
        drop(listener);
        assert!(reach(address, Duration::from_secs(5)).is_err());
        let refused = connect(address).map(drop).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
