//! The public endpoint of one port: a TCP relay that looks up, at every new connection, which
//! instance serves. Knows no protocol, and sets no limit of its own to connections: one costs two
//! descriptors and no thread.

mod check;
mod door;
mod pump;
mod route;
mod shortcut;
mod traffic;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_nodelay,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

pub(crate) use check::{Answer, ask};
use door::{Door, Files};
pub(crate) use route::{Check, Hold, Route, Shortcut, Target};
pub(crate) use shortcut::{Options as ShortcutOptions, serve as serve_shortcuts};
#[cfg(test)]
pub(crate) use traffic::Span;
pub(crate) use traffic::{Amount, Traffic, now};

/// One passes on more than a server on two processors asks for; two let one of many busy
/// connections not wait for another.
const PUMPS: usize = 2;
/// Between two attempts to get the port, which somebody else has.
const BIND_RETRY: Duration = Duration::from_millis(200);

/// Where a relay listens and what it follows.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The public address
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// The file that tells where the instance is
    #[arg(long)]
    pub(crate) route: PathBuf,
    /// What it writes, without an extension
    #[arg(long)]
    pub(crate) state: PathBuf,
}

/// The file in which the relay with this `state` repeats the token of the route that it obeys.
pub(crate) fn obeyed(state: &Path) -> PathBuf {
    state.with_extension("obeyed")
}

/// The file in which it records what passed.
pub(crate) fn traffic_file(state: &Path) -> PathBuf {
    state.with_extension("traffic")
}

/// Relays connections until TERM. While somebody else has the port it waits for it: whoever started
/// us sees that it is not ours, and to whom it belongs.
pub(crate) fn serve(options: &Options) -> Result<(), GatewayError> {
    let (end, told) = UnixStream::pair().map_err(|source| GatewayError::Serve { source })?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, told)
        .map_err(|source| GatewayError::Serve { source })?;
    end.set_nonblocking(true)
        .map_err(|source| GatewayError::Serve { source })?;
    raise_limit();
    let Some(listener) = bind(options.listen, &end) else {
        return Ok(());
    };
    keep_alive(&listener);
    let files = Files {
        route: options.route.clone(),
        traffic: traffic_file(&options.state),
        obeyed: obeyed(&options.state),
    };
    Door::new(listener, files, PUMPS)
        .and_then(|mut door| door.serve(&end))
        .map_err(|source| GatewayError::Serve { source })
}

/// `None` if we were told to end before the port was free.
fn bind(listen: SocketAddr, end: &UnixStream) -> Option<TcpListener> {
    let mut told = false;
    loop {
        match TcpListener::bind(listen) {
            Ok(listener) => return Some(listener),
            Err(error) if !told => {
                log(format_args!("cannot listen on {listen} yet: {error}"));
                told = true;
            }
            Err(_) => {}
        }
        if io::Read::read(&mut &*end, &mut [0]).is_ok() {
            return None;
        }
        thread::sleep(BIND_RETRY);
    }
}

/// Two descriptors for every connection: the usual limit was made for programs that use `select`.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        log(format_args!(
            "cannot raise the limit of descriptors: {error}"
        ));
    }
}

/// What the clients' sockets inherit. A client that died without a word holds nothing for longer
/// than two minutes. No limit to how long one may take to read: that is its instance's business.
fn keep_alive(listener: &TcpListener) {
    // All of it is about latency and leaks, not correctness: a refusal is no reason to give up.
    let _ = set_tcp_nodelay(listener, true);
    let _ = set_socket_keepalive(listener, true);
    let _ = set_tcp_keepidle(listener, Duration::from_mins(1));
    let _ = set_tcp_keepintvl(listener, Duration::from_secs(10));
    let _ = set_tcp_keepcnt(listener, 6);
}

/// The endpoint cannot be offered.
#[derive(Debug, Error)]
pub(crate) enum GatewayError {
    #[error("cannot relay connections")]
    Serve { source: io::Error },
    /// The relays go on without.
    #[error("cannot lead clients past the relays")]
    Shortcuts { source: io::Error },
}

/// Standard error is the endpoint's log file.
fn log(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "gateway: {line}");
}
