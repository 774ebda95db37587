//! Whether instances may serve: each is asked over HTTP, again and again, by a thread of its own.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::route::{Check, Target};
use crate::host::connect;

/// For one answer.
const LIMIT: Duration = Duration::from_secs(2);

/// What is known of every target that has a check.
pub(super) struct Checks {
    running: HashMap<Target, Arc<Watch>>,
    bell: Arc<OwnedFd>,
}

/// The last answer; none yet while it is `None`.
struct Watch {
    passes: Mutex<Option<bool>>,
}

impl Checks {
    /// `bell` rings whenever an answer differs from the one before.
    pub(super) fn new(bell: Arc<OwnedFd>) -> Self {
        Self {
            running: HashMap::new(),
            bell,
        }
    }

    /// From now on asks the checks of `targets`, and no others.
    pub(super) fn follow(&mut self, targets: &[Target]) -> io::Result<()> {
        // A thread whose watch is gone ends.
        self.running.retain(|target, _| targets.contains(target));
        for target in targets {
            let Some(check) = &target.check else { continue };
            if self.running.contains_key(target) {
                continue;
            }
            let watch = Arc::new(Watch {
                passes: Mutex::new(None),
            });
            let (weak, bell, check) = (
                Arc::downgrade(&watch),
                Arc::clone(&self.bell),
                check.clone(),
            );
            thread::Builder::new().spawn(move || ask_on(&check, &weak, &bell))?;
            self.running.insert(target.clone(), watch);
        }
        Ok(())
    }

    /// Whether `target` may serve; `None` while nobody knows.
    pub(super) fn passes(&self, target: &Target) -> Option<bool> {
        if target.check.is_none() {
            return Some(true);
        }
        let watch = self.running.get(target)?;
        *watch.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ask_on(check: &Check, watch: &Weak<Watch>, bell: &OwnedFd) {
    loop {
        let answer = Some(status(check).is_ok_and(|status| (200..300).contains(&status)));
        let Some(watch) = watch.upgrade() else { return };
        let before = {
            let mut passes = watch.passes.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *passes, answer)
        };
        drop(watch);
        if before != answer {
            let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
        }
        thread::sleep(Duration::from_millis(check.milliseconds));
    }
}

/// The status of the answer, which has to come within the limit, however slowly.
fn status(check: &Check) -> io::Result<u16> {
    let begin = Instant::now();
    let mut stream = connect::reach(check.address, LIMIT)?;
    stream.set_write_timeout(Some(LIMIT))?;
    let request = format!(
        "GET {} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n",
        check.path, check.address
    );
    stream.write_all(request.as_bytes())?;
    // `HTTP/1.1 200`
    let mut head = [0; 12];
    let mut filled = 0;
    while filled < head.len() {
        let left = LIMIT.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut head[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => filled += length,
        }
    }
    let text = std::str::from_utf8(&head).unwrap_or_default();
    let digits = text.get(9..).filter(|_| text.starts_with("HTTP/1."));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// For the loop that serves: takes the ring of a bell.
pub(super) fn hear(bell: &OwnedFd) {
    let _ = rustix::io::read(bell, &mut [0; 8]);
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};

    use super::*;

    fn answered(answer: &'static str) -> io::Result<u16> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let check = Check {
            address,
            path: "/primary".to_owned(),
            milliseconds: 10,
        };
        let status = status(&check);
        let request = server.join().unwrap();
        assert!(
            request.starts_with("GET /primary HTTP/1.0\r\n"),
            "{request}"
        );
        status
    }

    #[test]
    fn status_is_that_of_the_answer() {
        assert_eq!(answered("HTTP/1.1 200 OK\r\n\r\n").unwrap(), 200);
        assert_eq!(answered("HTTP/1.0 503 Busy\r\n\r\n").unwrap(), 503);
        assert!(answered("SSH-2.0-OpenSSH_9.2\r\n").is_err());
        assert!(answered("").is_err());
    }
}
