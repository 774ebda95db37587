//! The way past the relays: where root may have it, the kernel leads new connections of a public port
//! straight to the one instance of its route, and this process, which is root's, tells it to. It reads
//! routes, which only root writes, and the kernel's tables; no byte of a client or a service reaches it.
//! When it ends, in whatever way, the kernel forgets, and the relays take new connections again.

mod port;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::io::Errno;

use super::route::Route;
use super::{GatewayError, log};
use crate::host::listeners;
use port::Port;
use table::{Table, TableError};

/// Between two records of what passed.
const TICK: Duration = Duration::from_secs(5);
/// Between two looks at who listens, while an instance that is on its way does not yet.
const HOPE: Duration = Duration::from_millis(200);
/// Between two looks at connections that may be about to end.
const DRAIN_TICK: Duration = Duration::from_millis(10);

/// What it follows and where it writes. Standard input is its lock.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The directory of the routes
    #[arg(long)]
    pub(crate) routes: PathBuf,
    /// The directory in which it writes
    #[arg(long)]
    pub(crate) state: PathBuf,
    /// The program that changes the kernel's rules
    #[arg(long)]
    pub(crate) nft: PathBuf,
}

/// Keeps the shortcuts until TERM.
pub(crate) fn serve(options: &Options) -> Result<(), GatewayError> {
    let failed = |source| GatewayError::Shortcuts { source };
    // Whoever started us may have a terminal. Refused if we lead a group already: then we have none.
    let _ = rustix::process::setsid();
    introduce().map_err(failed)?;
    let (end, told) = UnixStream::pair().map_err(failed)?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, told).map_err(failed)?;
    let kept = Keeper::new(options).and_then(|mut keeper| keeper.keep(&end));
    kept.map_err(|error| failed(io::Error::other(error)))
}

/// Writes our number where whoever wants to end us looks for it.
fn introduce() -> io::Result<()> {
    let line = format!("{}\n", std::process::id());
    let lock = io::stdin();
    Ok(rustix::io::pwrite(lock, line.as_bytes(), 0).map(drop)?)
}

struct Keeper {
    options: Options,
    notices: std::os::fd::OwnedFd,
    table: Table,
    ports: BTreeMap<String, Port>,
    recorded: Instant,
}

impl Keeper {
    fn new(options: &Options) -> Result<Self, KeeperError> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let notices = inotify::init(flags)?;
        let changes = inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::DELETE;
        inotify::add_watch(&notices, &options.routes, changes)?;
        Ok(Self {
            options: options.clone(),
            notices,
            table: Table::open(&options.nft)?,
            ports: BTreeMap::new(),
            recorded: Instant::now(),
        })
    }

    fn keep(&mut self, end: &UnixStream) -> Result<(), KeeperError> {
        loop {
            self.look()?;
            let mut events = [
                PollFd::new(end, PollFlags::IN),
                PollFd::new(&self.notices, PollFlags::IN),
            ];
            let timeout = Timespec::try_from(self.timeout()).ok();
            match poll(&mut events, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !events[0].revents().is_empty() {
                return self.record();
            }
            if !events[1].revents().is_empty() {
                let mut buffer = [const { std::mem::MaybeUninit::uninit() }; 4096];
                let mut reader = inotify::Reader::new(&self.notices, &mut buffer);
                while reader.next().is_ok() {}
            }
        }
    }

    fn timeout(&self) -> Duration {
        if self.ports.values().any(Port::drains) {
            DRAIN_TICK
        } else if self.ports.values().any(Port::hopes) {
            HOPE
        } else {
            TICK
        }
    }

    fn look(&mut self) -> Result<(), KeeperError> {
        self.read_routes()?;
        self.lead()?;
        let drains = self.ports.values().any(Port::drains);
        let connections = if drains {
            listeners::connections()?
        } else {
            BTreeSet::new()
        };
        for port in self.ports.values_mut() {
            port.tell(&connections)?;
        }
        if self.recorded.elapsed() >= TICK {
            self.record()?;
        }
        Ok(())
    }

    fn read_routes(&mut self) -> Result<(), KeeperError> {
        let mut routes = BTreeMap::new();
        for entry in fs::read_dir(&self.options.routes)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // What is being written beside.
            if name.starts_with('.') {
                continue;
            }
            let route = Route::read(&entry.path()).unwrap_or_else(|error| {
                log(format_args!("{name}: {error}"));
                Route::default()
            });
            routes.insert(name, route);
        }
        if self.ports.keys().any(|name| !routes.contains_key(name)) {
            self.record()?;
            self.ports.retain(|name, _| routes.contains_key(name));
            let entries: Vec<_> = self
                .ports
                .values()
                .map(|it| it.entry(it.target()))
                .collect();
            self.table.change(&entries)?;
        }
        for (name, route) in routes {
            if let Some(port) = self.ports.get_mut(&name) {
                port.follow(route);
            } else if let Some(port) = Port::new(route, &self.options.state.join(&name)) {
                self.ports.insert(name, port);
            }
        }
        Ok(())
    }

    /// Has the kernel lead connections as the routes want it.
    fn lead(&mut self) -> Result<(), KeeperError> {
        let listeners = if self.ports.values().any(Port::hopes) {
            listeners::all(Ipv4Addr::LOCALHOST)?
        } else {
            Vec::new()
        };
        let wanted: Vec<Option<u16>> = self
            .ports
            .values()
            .map(|port| port.wanted(&listeners))
            .collect();
        let mut pairs = self.ports.values().zip(&wanted);
        if pairs.all(|(port, &target)| port.target() == target) {
            return Ok(());
        }
        let pairs = self.ports.values().zip(&wanted);
        let entries: Vec<_> = pairs.map(|(port, &target)| port.entry(target)).collect();
        self.table.change(&entries)?;
        for (port, target) in self.ports.values_mut().zip(wanted) {
            let before = port.target();
            if port.led(target) {
                let young = self.table.young(port.public())?;
                port.drain(before, young);
            }
        }
        Ok(())
    }

    fn record(&mut self) -> Result<(), KeeperError> {
        self.recorded = Instant::now();
        if self.ports.is_empty() {
            return Ok(());
        }
        let numbers: Vec<u16> = self.ports.values().map(Port::public).collect();
        let counts = self.table.counts(&numbers)?;
        let connections = listeners::connections()?;
        let timestamps = has_timestamps();
        for (port, count) in self.ports.values_mut().zip(counts) {
            port.record(count, &connections, timestamps)?;
        }
        Ok(())
    }
}

/// The kernel's default.
fn has_timestamps() -> bool {
    let path = Path::new("/proc/sys/net/ipv4/tcp_timestamps");
    fs::read_to_string(path).map_or(true, |text| text.trim() != "0")
}

/// Why it ends; the relays serve on.
#[derive(Debug, thiserror::Error)]
enum KeeperError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("{0}")]
    System(#[from] io::Error),
}

impl From<Errno> for KeeperError {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}
