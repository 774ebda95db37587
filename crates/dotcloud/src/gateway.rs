//! The public endpoint of one port: a TCP relay that looks up, at every new connection, which
//! instance serves. Knows no protocol, refuses more than a bounded number of connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

/// Relays connections to `listen` to the address that the file `route` holds; never returns.
///
/// The file is one line, `ADDRESS:PORT`, replaced atomically. While it is absent or empty no
/// instance serves: connections are accepted and closed. Open connections outlive a change.
pub(crate) fn serve(listen: SocketAddr, route: &Path) -> Result<Infallible, GatewayError> {
    let _ = route;
    Err(GatewayError::Bind {
        listen,
        source: std::io::Error::other("not there yet"),
    })
}

/// Whether something accepts connections at `address`.
pub(crate) fn accepts(address: SocketAddr, timeout: Duration) -> bool {
    std::net::TcpStream::connect_timeout(&address, timeout).is_ok()
}

/// The endpoint cannot be offered.
#[derive(Debug, Error)]
pub(crate) enum GatewayError {
    /// Somebody else listens there, or we may not.
    #[error("cannot listen on {listen}")]
    Bind {
        listen: SocketAddr,
        source: std::io::Error,
    },
    /// The file's directory will never hold a route.
    #[error("{route} cannot hold a route")]
    Route {
        route: PathBuf,
        source: std::io::Error,
    },
}
