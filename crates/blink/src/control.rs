//! What runs inside a run may ask it for one more server: `blink new`, through a socket in the directory of
//! the first. Whoever connects asks; the answer is a line of JSON.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use hook::Environment;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The variable that names the socket.
pub(crate) const VARIABLE: &str = "BLINK_SOCKET";

/// The answer to whoever asks for a server.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Answer {
    /// As lines for a shell; as JSON.
    server: Option<(String, String)>,
    /// Why there is none.
    error: Option<String>,
}

/// The socket of a run.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Listens in `home`, which is ours alone.
    pub(crate) fn listen(home: &Path) -> Result<Self, ControlError> {
        let path = home.join("blink.sock");
        let listen = || {
            let listener = UnixListener::bind(&path)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        match listen() {
            Ok(listener) => Ok(Self { listener, path }),
            Err(source) => Err(ControlError::Listen { path, source }),
        }
    }

    /// The socket.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Becomes readable when somebody asks.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Answers whoever has asked: what `start` makes, as lines and as JSON, or why it did not.
    pub(crate) fn answer(&self, start: impl FnOnce() -> Result<(String, String), String>) {
        let Ok((mut stream, _)) = self.listener.accept() else {
            return;
        };
        let (server, error) = match start() {
            Ok(server) => (Some(server), None),
            Err(error) => (None, Some(error)),
        };
        let answer = serde_json::to_vec(&Answer { server, error }).unwrap_or_default();
        // Whoever asked may be gone by now.
        let _ = stream.write_all(&answer);
    }
}

/// Asks the run that we are inside of for one more server: its lines, or its JSON.
pub(crate) fn ask(environment: &Environment, json: bool) -> Result<String, ControlError> {
    let path = environment.get(VARIABLE).ok_or(ControlError::Outside)?;
    let path = PathBuf::from(path);
    let answer = || -> io::Result<Answer> {
        let mut answer = Vec::new();
        UnixStream::connect(&path)?.read_to_end(&mut answer)?;
        serde_json::from_slice(&answer).map_err(io::Error::other)
    };
    match answer() {
        Err(source) => Err(ControlError::Ask { path, source }),
        Ok(Answer {
            server: Some((lines, object)),
            ..
        }) => Ok(if json { object } else { lines }),
        Ok(Answer { error, .. }) => Err(ControlError::Refused {
            why: error.unwrap_or_default(),
        }),
    }
}

/// There is no further server.
#[derive(Debug, Error)]
pub(crate) enum ControlError {
    /// No socket to be asked through.
    #[error("cannot listen on {path}", path = path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no run that we are inside of.
    #[error("{VARIABLE} is not set")]
    Outside,
    /// It does not answer.
    #[error("cannot ask {path} for a server", path = path.display())]
    Ask {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not start one.
    #[error("there is no further server: {why}")]
    Refused {
        /// As it was told.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ask_gets_what_was_started_or_why_not() {
        let dir = tempfile::tempdir().unwrap();
        let control = Control::listen(dir.path()).unwrap();
        control.listener.set_nonblocking(false).unwrap();
        let environment = Environment::from_iter([(VARIABLE, control.path())]);
        let asked = |json, answer: Result<(String, String), String>| {
            std::thread::scope(|scope| {
                let asked = scope.spawn(|| ask(&environment, json));
                control.answer(|| answer);
                asked.join().unwrap()
            })
        };
        let server = || Ok(("A=1\n".to_owned(), "{}\n".to_owned()));
        assert_eq!(asked(false, server()).unwrap(), "A=1\n");
        assert_eq!(asked(true, server()).unwrap(), "{}\n");
        assert_eq!(
            asked(true, Err("full".to_owned())).unwrap_err().to_string(),
            "there is no further server: full"
        );
    }
}
