//! Whether instances may serve: each is asked over HTTP, again and again, by a thread of its own.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use hook::Foreign;

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

/// What an instance answered to its check, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) passes: bool,
    /// The first line of what it says, or why it says nothing.
    pub(crate) says: String,
}

/// As many bytes of an answer are looked at, and as many characters of its line shown.
const ANSWER: usize = 4096;
const LINE: usize = 200;

/// Asks once, now.
pub(crate) fn ask(check: &Check) -> Answer {
    let answer = exchange(check, ANSWER);
    match answer.and_then(|bytes| Ok((status_of(&bytes)?, bytes))) {
        Ok((status, bytes)) => {
            let text = String::from_utf8_lossy(&bytes);
            let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let line: String = body
                .lines()
                .next()
                .unwrap_or("")
                .chars()
                .take(LINE)
                .collect();
            let says = if line.is_empty() {
                format!("status {status}")
            } else {
                Foreign::new(&line).to_string()
            };
            Answer {
                passes: (200..300).contains(&status),
                says,
            }
        }
        Err(error) => Answer {
            passes: false,
            says: format!("no answer from {}: {error}", check.address),
        },
    }
}

/// The status of the answer.
fn status(check: &Check) -> io::Result<u16> {
    status_of(&exchange(check, HEAD)?)
}

/// `HTTP/1.1 200`
const HEAD: usize = 12;

fn status_of(answer: &[u8]) -> io::Result<u16> {
    let head = answer.get(..HEAD).ok_or(io::ErrorKind::UnexpectedEof)?;
    let text = std::str::from_utf8(head).unwrap_or_default();
    let digits = text.get(9..).filter(|_| text.starts_with("HTTP/1."));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The answer's first bytes, `most` or all there are, which have to come within the limit, however slowly.
fn exchange(check: &Check, most: usize) -> io::Result<Vec<u8>> {
    let begin = Instant::now();
    let mut stream = connect::reach(check.address, LIMIT)?;
    stream.set_write_timeout(Some(LIMIT))?;
    let request = format!(
        "GET {} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n",
        check.path, check.address
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = vec![0; most];
    let mut filled = 0;
    while filled < most {
        let left = LIMIT.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut answer[filled..])? {
            0 => break,
            length => filled += length,
        }
    }
    answer.truncate(filled);
    Ok(answer)
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
        asked(answer, status)
    }

    fn asked<T>(answer: &'static str, ask: impl FnOnce(&Check) -> T) -> T {
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
        let found = ask(&check);
        let request = server.join().unwrap();
        assert!(
            request.starts_with("GET /primary HTTP/1.0\r\n"),
            "{request}"
        );
        found
    }

    #[test]
    fn ask_what_it_says_is_its_first_line_made_harmless() {
        let long = "x".repeat(300);
        let long: &str = Box::leak(format!("HTTP/1.1 200 OK\r\n\r\n{long}").into_boxed_str());
        for (answer, passes, says) in [
            (
                "HTTP/1.1 200 OK\r\n\r\nready: it serves\nmore\n",
                true,
                "ready: it serves",
            ),
            (
                "HTTP/1.1 503 No\r\n\r\nnot \u{1b}[2Jready\n",
                false,
                "not \\u{1b}[2Jready",
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", true, "status 204"),
            (long, true, &"x".repeat(200)),
        ] {
            let found = asked(answer, ask);
            assert_eq!((found.passes, &found.says[..]), (passes, says));
        }
        let none = asked("SSH-2.0-OpenSSH_9.2\r\n", ask);
        assert!(!none.passes);
        assert!(
            none.says.starts_with("no answer from 127.0.0.1:"),
            "{}",
            none.says
        );
    }

    #[test]
    fn status_is_that_of_the_answer() {
        assert_eq!(answered("HTTP/1.1 200 OK\r\n\r\n").unwrap(), 200);
        assert_eq!(answered("HTTP/1.0 503 Busy\r\n\r\n").unwrap(), 503);
        assert!(answered("SSH-2.0-OpenSSH_9.2\r\n").is_err());
        assert!(answered("").is_err());
    }
}
