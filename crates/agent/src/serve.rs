//! The loop that answers: one thread for all connections, each of which has a few seconds and a few
//! kilobytes.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::http::{LONGEST, Parsed, Status, answer, parse};
use crate::metrics;
use crate::state;
use crate::watch::Watch;

/// Of so many connections the oldest goes when another one comes.
const MOST: usize = 64;

/// A request and its answer take no longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A scrape waits no longer for the server's numbers.
const SCRAPE: Duration = Duration::from_secs(3);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// A connection.
#[derive(Debug)]
struct Client {
    stream: TcpStream,
    since: Instant,
    input: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    Reading,
    /// For the numbers of a scrape.
    Waiting {
        head: bool,
    },
    Writing(Vec<u8>),
    Done,
}

/// What answers.
#[derive(Debug)]
pub(crate) struct Service<'w> {
    watch: &'w Watch,
    listener: TcpListener,
    clients: VecDeque<Client>,
    /// No more connections before then: the machine has no descriptor left.
    pause: Option<Instant>,
}

impl<'w> Service<'w> {
    /// Listens at `address`.
    pub(crate) fn bind(address: SocketAddr, watch: &'w Watch) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            watch,
            listener,
            clients: VecDeque::new(),
            pause: None,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop` has something to read. `sampled` has, whenever there are new numbers.
    pub(crate) fn run(&mut self, stop: &UnixStream, sampled: &UnixStream) -> io::Result<()> {
        sampled.set_nonblocking(true)?;
        loop {
            let (stopped, news) = self.wait(stop, sampled)?;
            if stopped {
                return Ok(());
            }
            if news {
                let _ = (&*sampled).read(&mut [0; 64]);
            }
            self.accept();
            let watch = self.watch;
            for client in &mut self.clients {
                client.proceed(watch);
            }
            self.clients
                .retain(|client| !matches!(client.state, State::Done));
        }
    }

    /// Until something can be done.
    fn wait(&mut self, stop: &UnixStream, sampled: &UnixStream) -> io::Result<(bool, bool)> {
        let now = Instant::now();
        self.pause = self.pause.filter(|until| *until > now);
        let ends = self.clients.iter().map(Client::deadline).chain(self.pause);
        let timeout = ends.min().map(|end| {
            let left = end.saturating_duration_since(now) + Duration::from_millis(1);
            Timespec::try_from(left).unwrap_or_default()
        });
        let mut fds = vec![
            PollFd::new(stop, PollFlags::IN),
            PollFd::new(sampled, PollFlags::IN),
        ];
        if self.pause.is_none() {
            fds.push(PollFd::new(&self.listener, PollFlags::IN));
        }
        for client in &self.clients {
            let flags = match client.state {
                State::Reading => PollFlags::IN,
                State::Writing(_) => PollFlags::OUT,
                // That it has gone is told anyway.
                State::Waiting { .. } | State::Done => PollFlags::empty(),
            };
            fds.push(PollFd::new(&client.stream, flags));
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok((false, false)),
            Err(errno) => return Err(errno.into()),
        }
        let told = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        Ok((told(0), told(1)))
    }

    fn accept(&mut self) {
        if self.pause.is_some() {
            return;
        }
        // No more at a time than there may be: those that are in have their turn.
        for _ in 0..MOST {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if stream.set_nonblocking(true).is_err() {
                        continue;
                    }
                    if self.clients.len() >= MOST {
                        self.clients.pop_front();
                    }
                    let mut client = Client::new(stream);
                    // Before the next one can push it out.
                    client.proceed(self.watch);
                    self.clients.push_back(client);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Gone again before we looked.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    self.pause = Some(Instant::now() + Duration::from_millis(100));
                    return;
                }
            }
        }
    }
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            since: Instant::now(),
            input: Vec::new(),
            state: State::Reading,
        }
    }

    fn deadline(&self) -> Instant {
        match self.state {
            State::Waiting { .. } => self.since + SCRAPE,
            State::Reading | State::Writing(_) | State::Done => self.since + PATIENCE,
        }
    }

    /// Does what can be done without waiting.
    fn proceed(&mut self, watch: &Watch) {
        if let State::Reading = self.state {
            self.read(watch);
        }
        if let State::Waiting { head } = self.state {
            let sample = watch.sample();
            if sample.is_some() || Instant::now() >= self.deadline() {
                let text = metrics::render(&watch.view(), sample.as_deref());
                self.state = State::Writing(answer(Status::Ok, metrics::CONTENT_TYPE, &text, head));
            }
        }
        if let State::Writing(rest) = &mut self.state {
            match write(&mut self.stream, rest) {
                Ok(true) => {
                    let _ = self.stream.shutdown(Shutdown::Write);
                    self.state = State::Done;
                }
                Ok(false) => {}
                Err(_) => self.state = State::Done,
            }
        }
        if Instant::now() >= self.since + PATIENCE {
            self.state = State::Done;
        }
    }

    fn read(&mut self, watch: &Watch) {
        let mut buffer = [0; 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return self.state = State::Done,
                Ok(count) => self.input.extend(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return self.state = State::Done,
            }
            self.state = match parse(&self.input) {
                Parsed::Partial if self.input.len() < LONGEST => continue,
                Parsed::Partial => refuse(Status::TooLarge),
                Parsed::Refused(status) => refuse(status),
                Parsed::Request { path, head } => respond(watch, &path, head),
            };
            self.input = Vec::new();
            return;
        }
    }
}

fn refuse(status: Status) -> State {
    State::Writing(answer(status, TEXT, &status.text(), false))
}

fn respond(watch: &Watch, path: &str, head: bool) -> State {
    let probe = |verdict: crate::verdict::Verdict, yes: &str, no: &str| {
        let (status, word) = if verdict.good {
            (Status::Ok, yes)
        } else {
            (Status::Unavailable, no)
        };
        answer(status, TEXT, &format!("{word}: {}\n", verdict.why), head)
    };
    State::Writing(match path {
        "/live" => probe(watch.view().live, "live", "not live"),
        "/ready" => probe(watch.view().ready, "ready", "not ready"),
        "/state" => answer(Status::Ok, JSON, &state::render(&watch.view()), head),
        "/metrics" => {
            watch.want();
            return State::Waiting { head };
        }
        _ => answer(
            Status::NotFound,
            TEXT,
            "404 Not Found: there are /live, /ready, /metrics and /state\n",
            head,
        ),
    })
}

/// Whether all of it is written.
fn write(stream: &mut TcpStream, rest: &mut Vec<u8>) -> io::Result<bool> {
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => drop(rest.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
