//! Who is at the other end of a container's socket. The socket lies where the service may put
//! anything: nobody is asked or told anything who is not a process of this very container.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::SupervisorError;
use super::control::ends_within;
use crate::host::beneath::{Directory, name_of};
use crate::runtime::Runtime;
use crate::state::container::Paths;

/// The socket, below the container's root.
const SOCKET: &str = "run/supervisor.sock";

/// A supervisord that answers, and is the container's.
pub(super) struct Peer {
    pub(super) stream: UnixStream,
    /// Stays the same process, whoever gets its number later.
    pub(super) process: OwnedFd,
    pub(super) pid: Pid,
}

/// Why nobody is talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Impostor {
    /// There is no way to it without following a link.
    Link,
    /// Something else has the socket's name.
    NoSocket,
    /// Somebody from outside of the container listens.
    Stranger { pid: i32, uid: u32 },
}

impl fmt::Display for Impostor {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => write!(to, "it is reached through a symbolic link"),
            Self::NoSocket => write!(to, "it is no socket"),
            Self::Stranger { pid, uid } => write!(
                to,
                "process {pid} of user {uid} listens there, which is not in the container"
            ),
        }
    }
}

/// Connects to the supervisord of `container`, if there is one.
pub(super) fn find(
    runtime: &dyn Runtime,
    container: &Paths,
) -> Result<Option<Peer>, SupervisorError> {
    let failed = |source| SupervisorError::Connect {
        socket: container.socket(),
        source,
    };
    let foreign = |reason| SupervisorError::Foreign {
        socket: container.socket(),
        reason,
    };
    let Some(socket) = look(container).map_err(failed)? else {
        return Ok(None);
    };
    let kind = socket.metadata().map_err(failed)?.file_type();
    if kind.is_symlink() {
        return Err(foreign(Impostor::Link));
    }
    if !kind.is_socket() {
        return Err(foreign(Impostor::NoSocket));
    }
    let stream = match open(&name_of(&socket)) {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // The kernel noted it when somebody began to listen: right even for one that is about to end,
    // and answers no question any more, and for one in a pid namespace.
    let noted = socket_peercred(&stream).map_err(|error| failed(error.into()))?;
    let stranger = || {
        foreign(Impostor::Stranger {
            pid: noted.pid.as_raw_nonzero().get(),
            uid: noted.uid.as_raw(),
        })
    };
    let process = match pidfd_open(noted.pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(failed(error.into())),
    };
    let belongs = noted.uid.as_raw() == runtime.account().uid
        && runtime.runs(container, noted.pid.as_raw_nonzero().get());
    // Who has ended may have left the number to somebody else, before we looked or since.
    if ends_within(&process, Duration::ZERO).map_err(|error| failed(error.into()))? {
        return Ok(None);
    }
    if !belongs {
        return Err(stranger());
    }
    Ok(Some(Peer {
        stream,
        process,
        pid: noted.pid,
    }))
}

/// What has the socket's name. A directory on the way that is a link is told as one.
fn look(container: &Paths) -> io::Result<Option<File>> {
    let found = Directory::open(container.root()).and_then(|root| root.look(SOCKET));
    match found {
        Ok(found) => Ok(Some(found)),
        // A directory that is none, or none that we may follow, has no socket.
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            Directory::open(container.root())?.look("run").map(Some)
        }
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Nobody listens any more, as after a KILL.
fn is_nobody(error: &io::Error) -> bool {
    [ErrorKind::NotFound, ErrorKind::ConnectionRefused].contains(&error.kind())
}

/// Connects at once or not at all: a full queue is an error, nothing to wait for.
pub(super) fn open(socket: &Path) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&stream, &address)?;
    let stream = UnixStream::from(stream);
    stream.set_nonblocking(false)?;
    Ok(stream)
}
