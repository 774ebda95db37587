//! Passing bytes on between the two ends of many connections, in one thread that sleeps until the
//! kernel has something for it. A message is on its way again after one read and one write; what the
//! other end does not take at once is kept, and nothing more is read until it is gone.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;

use super::traffic::Counters;

/// For a client to close, too, once the instance has, and nothing comes from it any more.
pub(super) const FAREWELL: Duration = Duration::from_secs(10);
/// Of one thread, whatever the number of its connections.
const BUFFER: usize = 64 << 10;
const EVENTS: usize = 256;
/// Of the descriptor that tells of new orders.
const ORDERS: u64 = u64::MAX;
/// Between two looks at farewells.
const TICK: Duration = Duration::from_secs(1);

/// A client and the instance that serves it.
pub(super) struct Joined {
    pub(super) client: TcpStream,
    pub(super) instance: TcpStream,
    pub(super) target: SocketAddr,
    /// Dropped with the connection: whoever holds a weak one sees its end.
    pub(super) alive: Arc<()>,
}

enum Order {
    Join(Joined),
    Cut(SocketAddr),
}

/// A thread that passes bytes on.
pub(super) struct Pump {
    orders: Arc<Orders>,
}

struct Orders {
    list: Mutex<Vec<Order>>,
    bell: OwnedFd,
}

impl Pump {
    pub(super) fn start(counters: Arc<Counters>) -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let orders = Arc::new(Orders {
            list: Mutex::default(),
            bell: eventfd(0, flags)?,
        });
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let data = EventData::new_u64(ORDERS);
        epoll::add(&epoll, &orders.bell, data, EventFlags::IN)?;
        let mut thread = Thread {
            epoll,
            orders: Arc::clone(&orders),
            pairs: Vec::new(),
            free: Vec::new(),
            buffer: vec![0; BUFFER],
            farewells: 0,
            looked: Instant::now(),
            counters,
        };
        thread::Builder::new().spawn(move || thread.work())?;
        Ok(Self { orders })
    }

    pub(super) fn join(&self, joined: Joined) {
        self.give(Order::Join(joined));
    }

    /// Ends every connection with `target`.
    pub(super) fn cut(&self, target: SocketAddr) {
        self.give(Order::Cut(target));
    }

    fn give(&self, order: Order) {
        let mut list = self.orders.list.lock();
        list.as_mut()
            .unwrap_or_else(|poisoned| poisoned.get_mut())
            .push(order);
        drop(list);
        // Only refused if it rings already.
        let _ = rustix::io::write(&self.orders.bell, &1_u64.to_ne_bytes());
    }
}

struct Thread {
    epoll: OwnedFd,
    orders: Arc<Orders>,
    pairs: Vec<Option<Pair>>,
    /// Of `pairs`.
    free: Vec<usize>,
    buffer: Vec<u8>,
    /// How many pairs have one.
    farewells: usize,
    looked: Instant,
    counters: Arc<Counters>,
}

struct Pair {
    /// The client's, the instance's.
    ends: [End; 2],
    target: SocketAddr,
    /// When the client has to have closed.
    farewell: Option<Instant>,
    _alive: Arc<()>,
}

struct End {
    stream: TcpStream,
    /// Read from the other end, to be written to this one.
    pending: Vec<u8>,
    /// What the kernel is asked for; `None` while it is asked for nothing.
    interest: Option<EventFlags>,
    /// Nothing more comes from here.
    ended: bool,
    /// Nothing more goes there.
    shut: bool,
}

/// What becomes of a pair.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Goes,
    Ended,
    /// One end broke off: so is the other.
    Reset,
}

impl Thread {
    fn work(&mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let timeout = (self.farewells > 0)
                .then(|| Timespec::try_from(TICK).ok())
                .flatten();
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    super::log(format_args!("cannot wait for connections: {error}"));
                    thread::sleep(TICK);
                }
            }
            let mut ordered = false;
            let mut gone = Vec::new();
            for event in &events {
                let data = event.data.u64();
                if data == ORDERS {
                    ordered = true;
                    continue;
                }
                let Ok(index) = usize::try_from(data >> 1) else {
                    continue;
                };
                let end = usize::from(data & 1 == 1);
                let Some(Some(pair)) = self.pairs.get_mut(index) else {
                    continue;
                };
                let had = pair.farewell.is_some();
                let fate = pair.serve(end, event.flags, &mut self.buffer, &self.counters);
                // Also of one that ends at once: its end takes it off again.
                self.farewells += usize::from(!had && pair.farewell.is_some());
                if fate == Fate::Goes {
                    pair.ask(&self.epoll, index);
                } else {
                    self.end(index, fate);
                    gone.push(index);
                }
            }
            // Only now: events of this round may still name them.
            self.free.append(&mut gone);
            if self.farewells > 0 && self.looked.elapsed() >= TICK {
                self.end_farewells();
            }
            if ordered {
                self.obey();
            }
        }
    }

    fn obey(&mut self) {
        let _ = rustix::io::read(&self.orders.bell, &mut [0; 8]);
        let orders = {
            let mut list = self
                .orders
                .list
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *list)
        };
        for order in orders {
            match order {
                Order::Join(joined) => self.join(joined),
                Order::Cut(target) => {
                    self.end_all(|pair| pair.target == target);
                }
            }
        }
    }

    fn join(&mut self, joined: Joined) {
        let index = self.free.pop().unwrap_or(self.pairs.len());
        if index == self.pairs.len() {
            self.pairs.push(None);
        }
        let mut pair = Pair {
            ends: [joined.client, joined.instance].map(End::new),
            target: joined.target,
            farewell: None,
            _alive: joined.alive,
        };
        for (which, end) in pair.ends.iter_mut().enumerate() {
            let flags = EventFlags::IN;
            if let Err(error) = epoll::add(&self.epoll, &end.stream, data(index, which), flags) {
                super::log(format_args!("cannot serve a connection: {error}"));
                self.counters.closed();
                self.free.push(index);
                return;
            }
            end.interest = Some(flags);
        }
        self.pairs[index] = Some(pair);
    }

    fn end_farewells(&mut self) {
        let now = Instant::now();
        self.looked = now;
        // Whoever has not got all yet is only slow.
        self.end_all(|pair| {
            pair.farewell.is_some_and(|limit| limit <= now) && pair.ends[0].pending.is_empty()
        });
    }

    fn end_all(&mut self, is_meant: impl Fn(&Pair) -> bool) {
        for index in 0..self.pairs.len() {
            if self.pairs[index].as_ref().is_some_and(&is_meant) {
                self.end(index, Fate::Ended);
                self.free.push(index);
            }
        }
    }

    fn end(&mut self, index: usize, fate: Fate) {
        let Some(pair) = self.pairs[index].take() else {
            return;
        };
        if fate == Fate::Reset {
            for end in &pair.ends {
                // Closing it then tells its peer what happened, not that all was said.
                let _ = set_socket_linger(&end.stream, Some(Duration::ZERO));
            }
        }
        self.farewells -= usize::from(pair.farewell.is_some());
        // The sockets close before whoever counts hears of it.
        let Pair { ends, _alive, .. } = pair;
        drop(ends);
        self.counters.closed();
    }
}

fn data(index: usize, end: usize) -> EventData {
    // An index counts things in memory: half of the numbers are more than enough.
    EventData::new_u64((index as u64) << 1 | end as u64)
}

impl Pair {
    /// Does what `flags` of one of its ends ask for.
    fn serve(
        &mut self,
        end: usize,
        flags: EventFlags,
        buffer: &mut [u8],
        counters: &Counters,
    ) -> Fate {
        if flags.contains(EventFlags::OUT) && !self.ends[end].pending.is_empty() {
            if self.ends[end].flush().is_err() {
                return Fate::Reset;
            }
            self.pass_end_on(end);
        }
        let other = 1 - end;
        let readable = flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR);
        if readable && !self.ends[end].ended && self.ends[other].pending.is_empty() {
            let [client, instance] = &mut self.ends;
            let (from, to) = if end == 0 {
                (client, instance)
            } else {
                (instance, client)
            };
            match from.stream.read(buffer) {
                Ok(0) => {
                    from.ended = true;
                    self.pass_end_on(other);
                }
                Ok(length) => {
                    counters.add(end, length);
                    if to.send(&buffer[..length]).is_err() {
                        return Fate::Reset;
                    }
                }
                Err(error) if is_momentary(&error) => {}
                Err(_) => return Fate::Reset,
            }
        } else if flags.contains(EventFlags::ERR) {
            return Fate::Reset;
        }
        if self.ends[1].ended {
            self.farewell = Some(Instant::now() + FAREWELL);
        }
        if self.ends.iter().all(|end| end.ended && end.shut) {
            return Fate::Ended;
        }
        Fate::Goes
    }

    /// Tells the end `to` that the other one has said all, once it has got all.
    fn pass_end_on(&mut self, to: usize) {
        let ended = self.ends[1 - to].ended;
        let to = &mut self.ends[to];
        if ended && !to.shut && to.pending.is_empty() {
            // A refused shutdown means that the peer is gone already.
            let _ = to.stream.shutdown(Shutdown::Write);
            to.shut = true;
        }
    }

    /// Asks the kernel for what either end waits for now.
    fn ask(&mut self, epoll: &OwnedFd, index: usize) {
        for which in 0..2 {
            let blocked = !self.ends[1 - which].pending.is_empty();
            let end = &mut self.ends[which];
            let mut wanted = EventFlags::empty();
            wanted.set(EventFlags::IN, !end.ended && !blocked);
            wanted.set(EventFlags::OUT, !end.pending.is_empty());
            // Hung up, it would be reported for as long as the other end has to read.
            let silent = wanted.is_empty() && end.shut;
            let done = match end.interest {
                Some(_) if silent => epoll::delete(epoll, &end.stream),
                None if !silent => epoll::add(epoll, &end.stream, data(index, which), wanted),
                Some(asked) if asked != wanted => {
                    epoll::modify(epoll, &end.stream, data(index, which), wanted)
                }
                _ => continue,
            };
            if let Err(error) = done {
                super::log(format_args!("cannot wait for a connection: {error}"));
            }
            end.interest = (!silent).then_some(wanted);
        }
    }
}

impl End {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            pending: Vec::new(),
            interest: None,
            ended: false,
            shut: false,
        }
    }

    /// Sends what fits and keeps the rest.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = match self.stream.write(bytes) {
            Ok(sent) => sent,
            Err(error) if is_momentary(&error) => 0,
            Err(error) => return Err(error),
        };
        self.pending.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.stream.write(&self.pending) {
            Ok(sent) if sent == self.pending.len() => {
                // An idle connection is to cost nothing.
                self.pending = Vec::new();
                Ok(())
            }
            Ok(sent) => {
                self.pending.drain(..sent);
                Ok(())
            }
            Err(error) if is_momentary(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn is_momentary(error: &io::Error) -> bool {
    [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind())
}
