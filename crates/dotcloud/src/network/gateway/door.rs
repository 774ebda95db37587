//! The thread at the public port: takes clients in, finds each an instance, has it wait where the
//! route says so, and hands both to a pump. Obeys a new route as soon as its file is there.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::fs::inotify;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::SocketFlags;

use super::check::{self, Checks};
use super::log;
use super::pump::{Joined, Pump};
use super::route::{Route, Target};
use super::traffic::{self, Book, Counters};
use crate::host::connect::{self, Attempt};

const LISTENER: u64 = 0;
const ROUTES: u64 = 1;
const CHECKS: u64 = 2;
const END: u64 = 3;
/// Of the first client that an instance has yet to answer.
const FIRST: u64 = 16;

/// Taken in at once, before others are looked after.
const BATCH: usize = 64;
/// Between two attempts to find an instance for those who wait, and two looks at a route that the
/// kernel does not tell of.
const RETRY: Duration = Duration::from_millis(50);
/// An instance is on this machine: it answers at once or not at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// For the first answer of a check.
const CHECK_LIMIT: Duration = Duration::from_secs(5);
/// Out of descriptors: until some are free again.
const PAUSE: Duration = Duration::from_millis(100);
/// A connection that came this short a time before its instance has to go may be about to end.
const YOUNG: Duration = Duration::from_secs(5);
/// How long an instance that has to go is kept for those.
const DRAIN: Duration = Duration::from_secs(2);
const DRAIN_TICK: Duration = Duration::from_millis(10);
/// Between two records of what passed.
const RECORD: Duration = Duration::from_secs(5);
/// Between two complaints about the same.
const COMPLAINTS: Duration = Duration::from_secs(10);

/// Where a relay reads and writes.
pub(super) struct Files {
    pub(super) route: PathBuf,
    pub(super) traffic: PathBuf,
    /// Where it repeats the token of the route that it obeys.
    pub(super) obeyed: PathBuf,
}

pub(super) struct Door {
    listener: TcpListener,
    files: Files,
    epoll: OwnedFd,
    /// Of the directory with the route, where the kernel tells of changes.
    notices: Option<OwnedFd>,
    bell: Arc<OwnedFd>,
    pumps: Vec<Pump>,
    turn: usize,
    route: Route,
    checks: Checks,
    waiting: Vec<Client>,
    retried: Instant,
    connecting: HashMap<u64, Connecting>,
    next: u64,
    recent: Vec<Recent>,
    drain: Option<Instant>,
    /// Until when nobody is taken in.
    paused: Option<Instant>,
    complained: Option<Instant>,
    counters: Arc<Counters>,
    book: Book,
    recorded: Instant,
}

/// Somebody without an instance.
struct Client {
    stream: TcpStream,
    until: Instant,
    /// A descriptor in use for nothing, closed before the connection to an instance takes its place: who was
    /// accepted is not closed because descriptors ran out meanwhile.
    room: Option<OwnedFd>,
}

struct Connecting {
    client: Client,
    instance: TcpStream,
    target: SocketAddr,
    alive: Arc<()>,
    until: Instant,
}

struct Recent {
    since: Instant,
    target: SocketAddr,
    alive: Weak<()>,
}

impl Door {
    pub(super) fn new(listener: TcpListener, files: Files, pumps: usize) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let add =
            |fd: &OwnedFd, data| epoll::add(&epoll, fd, EventData::new_u64(data), EventFlags::IN);
        let notices = files
            .route
            .parent()
            .and_then(|directory| watch(directory).ok());
        if let Some(notices) = &notices {
            add(notices, ROUTES)?;
        }
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        add(&bell, CHECKS)?;
        let data = EventData::new_u64(LISTENER);
        epoll::add(&epoll, &listener, data, EventFlags::IN)?;
        let counters = Arc::new(Counters::default());
        let pumps: Vec<Pump> = (0..pumps.max(1))
            .map(|_| Pump::start(Arc::clone(&counters)))
            .collect::<io::Result<_>>()?;
        let now = Instant::now();
        Ok(Self {
            listener,
            book: Book::open(&files.traffic),
            files,
            epoll,
            notices,
            checks: Checks::new(Arc::clone(&bell)),
            bell,
            pumps,
            turn: 0,
            route: Route::default(),
            waiting: Vec::new(),
            retried: now,
            connecting: HashMap::new(),
            next: FIRST,
            recent: Vec::new(),
            drain: None,
            paused: None,
            complained: None,
            counters,
            recorded: now,
        })
    }

    /// Serves until `end` can be read.
    pub(super) fn serve(&mut self, end: &impl std::os::fd::AsFd) -> io::Result<()> {
        epoll::add(&self.epoll, end, EventData::new_u64(END), EventFlags::IN)?;
        self.read_route();
        self.record();
        let mut events = Vec::with_capacity(BATCH);
        loop {
            let timeout = self.timeout();
            let timeout = timeout.and_then(|time| Timespec::try_from(time).ok());
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.take_in(),
                    ROUTES => {
                        self.hear_notices();
                        self.read_route();
                    }
                    CHECKS => {
                        check::hear(&self.bell);
                        self.follow_checks();
                    }
                    END => {
                        self.record();
                        return Ok(());
                    }
                    number => self.connected(number),
                }
            }
            self.look_around();
        }
    }

    /// Until something is to be done that no descriptor tells of.
    fn timeout(&self) -> Option<Duration> {
        let mut times = Vec::new();
        if self.drain.is_some() {
            times.push(DRAIN_TICK);
        }
        if !self.waiting.is_empty() || self.notices.is_none() {
            times.push(RETRY);
        }
        if self.paused.is_some() {
            times.push(PAUSE);
        }
        if !self.connecting.is_empty() {
            times.push(Duration::from_secs(1));
        }
        if self.counters.open() > 0 || self.book.is_behind(&self.counters) {
            times.push(RECORD);
        }
        times.into_iter().min()
    }

    fn look_around(&mut self) {
        let now = Instant::now();
        if self.notices.is_none() {
            self.read_route();
        }
        if self.paused.is_some_and(|until| until <= now) {
            self.paused = None;
            let data = EventData::new_u64(LISTENER);
            if let Err(error) = epoll::add(&self.epoll, &self.listener, data, EventFlags::IN) {
                self.complain(format_args!("cannot wait for connections: {error}"));
                self.paused = Some(now + PAUSE);
            }
        }
        if !self.waiting.is_empty() && now.duration_since(self.retried) >= RETRY {
            self.retry();
        }
        let late: Vec<u64> = self
            .connecting
            .iter()
            .filter(|(_, connecting)| connecting.until <= now)
            .map(|(&number, _)| number)
            .collect();
        for number in late {
            if let Some(connecting) = self.connecting.remove(&number) {
                self.not_served(connecting.client, Some(ErrorKind::TimedOut.into()));
            }
        }
        if let Some(since) = self.drain {
            self.drain(since);
        }
        if now.duration_since(self.recorded) >= RECORD {
            self.record();
        }
    }

    fn take_in(&mut self) {
        let mut came = Vec::new();
        // One more than the clients need, so that the route can still be read.
        match fcntl_dupfd_cloexec(&self.listener, 0) {
            Ok(_reserve) => self.accept(&mut came),
            Err(error) => self.pause(error),
        }
        // After they came, whether we were told of a change or not: whoever comes once a route is
        // written goes where it leads.
        self.read_route();
        let until = Instant::now() + self.patience();
        for (stream, room) in came {
            let room = Some(room);
            self.place(Client {
                stream,
                until,
                room,
            });
        }
    }

    /// Accepts who comes, each with a descriptor for its connection to an instance.
    fn accept(&mut self, came: &mut Vec<(TcpStream, OwnedFd)>) {
        while came.len() < BATCH {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let accepted = fcntl_dupfd_cloexec(&self.listener, 0).and_then(|room| {
                rustix::net::accept_with(&self.listener, flags).map(|client| (client.into(), room))
            });
            match accepted {
                Ok(client) => came.push(client),
                Err(Errno::AGAIN) => break,
                // Gone before it was taken in.
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(error) => {
                    self.pause(error);
                    break;
                }
            }
        }
    }

    /// Accepts nobody for a while: most likely descriptors ran out, which would be reported again and again.
    fn pause(&mut self, error: Errno) {
        self.complain(format_args!(
            "cannot accept a connection, and wait until others end: {error}"
        ));
        let _ = epoll::delete(&self.epoll, &self.listener);
        self.paused = Some(Instant::now() + PAUSE);
    }

    fn patience(&self) -> Duration {
        let hold = self
            .route
            .hold
            .map_or(Duration::ZERO, |hold| hold.patience());
        let unknown = |target: &Target| self.checks.passes(target).is_none();
        if self.route.targets.iter().any(unknown) {
            hold.max(CHECK_LIMIT)
        } else {
            hold
        }
    }

    /// Finds the client an instance; whether there was one.
    fn place(&mut self, mut client: Client) -> bool {
        let passing = |target: &&Target| self.checks.passes(target) == Some(true);
        let addresses: Vec<SocketAddr> = self
            .route
            .targets
            .iter()
            .filter(passing)
            .map(|target| target.address)
            .collect();
        let mut error = None;
        for target in addresses {
            client.room = None;
            match connect::connect(target) {
                Ok(Attempt::Done(instance)) => {
                    let alive = self.note(target);
                    self.hand_over(client.stream, instance, target, alive);
                    return true;
                }
                Ok(Attempt::Begun(instance)) => {
                    let alive = self.note(target);
                    let number = self.next;
                    self.next += 1;
                    let data = EventData::new_u64(number);
                    if let Err(found) = epoll::add(&self.epoll, &instance, data, EventFlags::OUT) {
                        error = Some(found.into());
                        continue;
                    }
                    let connecting = Connecting {
                        client,
                        instance,
                        target,
                        alive,
                        until: Instant::now() + CONNECT_LIMIT,
                    };
                    self.connecting.insert(number, connecting);
                    return true;
                }
                Err(found) => error = Some(found),
            }
        }
        self.not_served(client, error);
        false
    }

    /// The kernel knows how an attempt that took time ended.
    fn connected(&mut self, number: u64) {
        let Some(connecting) = self.connecting.remove(&number) else {
            return;
        };
        let Connecting {
            client,
            instance,
            target,
            alive,
            ..
        } = connecting;
        let _ = epoll::delete(&self.epoll, &instance);
        match connect::outcome(&instance) {
            Ok(()) => self.hand_over(client.stream, instance, target, alive),
            Err(error) => self.not_served(client, Some(error)),
        }
    }

    fn not_served(&mut self, mut client: Client, error: Option<io::Error>) {
        if client.until > Instant::now() {
            if client.room.is_none() {
                client.room = fcntl_dupfd_cloexec(&self.listener, 0).ok();
            }
            self.waiting.push(client);
        } else if let Some(error) = error {
            self.complain(format_args!("cannot reach the instance: {error}"));
        }
    }

    fn note(&mut self, target: SocketAddr) -> Arc<()> {
        let alive = Arc::new(());
        // Not at every connection: the list has to be gone through.
        if self.recent.len() == self.recent.capacity() {
            self.forget();
        }
        self.recent.push(Recent {
            since: Instant::now(),
            target,
            alive: Arc::downgrade(&alive),
        });
        alive
    }

    /// Those that are over or not young any more.
    fn forget(&mut self) {
        let now = Instant::now();
        self.recent.retain(|recent| {
            recent.alive.strong_count() > 0 && now.duration_since(recent.since) < YOUNG
        });
    }

    fn hand_over(
        &mut self,
        client: TcpStream,
        instance: TcpStream,
        target: SocketAddr,
        alive: Arc<()>,
    ) {
        self.counters.opened();
        let joined = Joined {
            client,
            instance,
            target,
            alive,
        };
        self.turn = (self.turn + 1) % self.pumps.len();
        self.pumps[self.turn].join(joined);
    }

    fn retry(&mut self) {
        self.retried = Instant::now();
        for client in std::mem::take(&mut self.waiting) {
            // One refusal is enough: the others need not ask.
            let found = self.waiting.is_empty();
            if found {
                self.place(client);
            } else if client.until > self.retried {
                self.waiting.push(client);
            }
        }
    }

    fn hear_notices(&mut self) {
        let Some(notices) = &self.notices else { return };
        let mut buffer = [const { std::mem::MaybeUninit::uninit() }; 4096];
        let mut reader = inotify::Reader::new(notices, &mut buffer);
        while reader.next().is_ok() {}
    }

    fn read_route(&mut self) {
        let route = match Route::read(&self.files.route) {
            Ok(route) => route,
            Err(error) => {
                self.complain(format_args!("{error}"));
                return;
            }
        };
        if route == self.route {
            return;
        }
        self.route = route;
        if let Err(error) = self.checks.follow(&self.route.targets) {
            self.complain(format_args!("cannot start a check: {error}"));
        }
        let now = Instant::now();
        let limit = now + self.patience();
        for client in &mut self.waiting {
            // Never longer than it was to wait when it came, and no longer at all if nobody comes.
            client.until = client.until.min(limit);
        }
        self.forget();
        self.drain = Some(now);
        self.drain(now);
        self.retry();
    }

    /// Says that the route is obeyed: as soon as nobody who came a moment ago needs an instance that
    /// it does not lead to any more, or has had time enough.
    fn drain(&mut self, since: Instant) {
        let route = &self.route;
        let needed = self
            .recent
            .iter()
            .any(|recent| recent.alive.strong_count() > 0 && !route.leads_to(recent.target));
        if needed && since.elapsed() < DRAIN {
            return;
        }
        self.drain = None;
        let text = format!("{}\n", self.route.token);
        if let Err(error) = traffic::replace(&self.files.obeyed, text.as_bytes()) {
            self.complain(format_args!("cannot say that the route is obeyed: {error}"));
        }
    }

    fn follow_checks(&mut self) {
        for target in &self.route.targets {
            if self.checks.passes(target) == Some(false) {
                for pump in &self.pumps {
                    pump.cut(target.address);
                }
            }
        }
        self.retry();
    }

    fn record(&mut self) {
        self.recorded = Instant::now();
        if let Err(error) = self.book.write(&self.counters) {
            self.complain(format_args!("cannot record what passed: {error}"));
        }
    }

    /// Not at every connection: a log is no place for ten thousand equal lines.
    fn complain(&mut self, line: std::fmt::Arguments<'_>) {
        let now = Instant::now();
        if self
            .complained
            .is_none_or(|last| now.duration_since(last) >= COMPLAINTS)
        {
            self.complained = Some(now);
            log(line);
        }
    }
}

fn watch(directory: &Path) -> rustix::io::Result<OwnedFd> {
    let notices = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let changes = inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CLOSE_WRITE;
    inotify::add_watch(&notices, directory, changes)?;
    Ok(notices)
}
