//! One public port as whoever keeps the shortcuts sees it: what its route wants, what the kernel does,
//! and what passed.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::route::{Route, Shortcut};
use super::super::traffic::{self, Amount, Book};
use super::table::{Count, Entry};
use crate::host::listeners::{self, Listener};

/// How long an instance that has to go is kept for connections that may be about to end.
const DRAIN: Duration = Duration::from_secs(2);

pub(super) struct Port {
    pub(super) route: Route,
    /// What its route said last of a shortcut, and still holds for connections that are there.
    shortcut: Shortcut,
    /// Where the kernel leads new connections.
    target: Option<u16>,
    /// Where it led them before.
    served: Option<u16>,
    drain: Option<Drain>,
    /// The token that was repeated last.
    told: u64,
    obeyed: PathBuf,
    book: Book,
}

/// Young connections with an instance that has to go.
struct Drain {
    until: Instant,
    instance: u16,
    clients: BTreeSet<u16>,
}

impl Port {
    /// `None` as long as the route never spoke of a shortcut, and `state` is without an extension.
    pub(super) fn new(route: Route, state: &Path) -> Option<Self> {
        Some(Self {
            shortcut: route.shortcut?,
            route,
            target: None,
            served: None,
            drain: None,
            told: 0,
            obeyed: super::super::obeyed(state),
            book: Book::open(&super::super::traffic_file(state)),
        })
    }

    pub(super) fn follow(&mut self, route: Route) {
        self.shortcut = route.shortcut.unwrap_or(self.shortcut);
        self.route = route;
    }

    pub(super) fn public(&self) -> u16 {
        self.shortcut.public
    }

    /// Where new connections are to be led: to an instance that listens, from a port that our relay
    /// holds. Then it stays, whoever listens later: the kernel lets nobody else answer.
    pub(super) fn wanted(&self, listeners: &[Listener]) -> Option<u16> {
        let (shortcut, number) = self.goal()?;
        let both = || {
            listeners::is_of(listeners, shortcut.public, shortcut.relay)
                && listeners::is_of(listeners, number, shortcut.service)
        };
        (self.target == Some(number) || both()).then_some(number)
    }

    fn goal(&self) -> Option<(Shortcut, u16)> {
        let [target] = &self.route.targets[..] else {
            return None;
        };
        let number = target.address.port();
        target
            .check
            .is_none()
            .then_some((self.route.shortcut?, number))
    }

    /// Whether it may be led past the relay as soon as its instance listens.
    pub(super) fn hopes(&self) -> bool {
        self.goal()
            .is_some_and(|(_, number)| self.target != Some(number))
    }

    pub(super) fn entry(&self, target: Option<u16>) -> Entry {
        Entry {
            public: self.shortcut.public,
            service: self.shortcut.service,
            target,
        }
    }

    pub(super) fn target(&self) -> Option<u16> {
        self.target
    }

    /// The kernel leads new connections to `target`. Returns whether who came a moment ago needs an
    /// instance that the route does not lead to any more.
    pub(super) fn led(&mut self, target: Option<u16>) -> bool {
        let before = std::mem::replace(&mut self.target, target);
        self.served = target.or(before).or(self.served);
        let leads = |port| {
            self.route
                .targets
                .iter()
                .any(|it| it.address.port() == port)
        };
        before.is_some_and(|before| Some(before) != target && !leads(before))
    }

    /// Leaves `clients` of `instance` time to end.
    pub(super) fn drain(&mut self, instance: Option<u16>, clients: BTreeSet<u16>) {
        self.drain = instance.map(|instance| Drain {
            until: Instant::now() + DRAIN,
            instance,
            clients,
        });
    }

    pub(super) fn drains(&self) -> bool {
        self.drain.is_some()
    }

    /// Repeats the route's token, once nobody needs what it does not lead to.
    pub(super) fn tell(&mut self, connections: &BTreeSet<(u16, u16)>) -> io::Result<()> {
        if let Some(drain) = &self.drain {
            let open = |&client: &u16| connections.contains(&(drain.instance, client));
            if drain.clients.iter().any(open) && Instant::now() < drain.until {
                return Ok(());
            }
            self.drain = None;
        }
        if self.told != self.route.token {
            let text = format!("{}\n", self.route.token);
            traffic::replace(&self.obeyed, text.as_bytes())?;
            self.told = self.route.token;
        }
        Ok(())
    }

    /// Records what was counted. `timestamps`: whether the kernel's packets have them.
    pub(super) fn record(
        &mut self,
        count: Count,
        connections: &BTreeSet<(u16, u16)>,
        timestamps: bool,
    ) -> io::Result<()> {
        self.book.record(
            amount(count, timestamps),
            self.served.map_or(0, |instance| {
                open(connections, self.shortcut.public, instance)
            }),
        )
    }
}

/// How many clients of `public` have a connection with `instance`: others, whom a relay led there or
/// nobody, see no such peer.
fn open(connections: &BTreeSet<(u16, u16)>, public: u16, instance: u16) -> u64 {
    let of_instance = connections.range((instance, 0)..=(instance, u16::MAX));
    of_instance
        .filter(|&&(_, client)| connections.contains(&(client, public)))
        .count() as u64
}

/// Without the headers: of every packet 20 bytes for IP and 20 for TCP, 12 more with time stamps, and
/// what else the first packet of either end says.
fn amount(count: Count, timestamps: bool) -> Amount {
    let (header, first) = if timestamps { (52, 8) } else { (40, 12) };
    let payload = |(packets, bytes): (u64, u64)| {
        bytes.saturating_sub(packets * header + count.connections * first)
    };
    Amount {
        connections: count.connections,
        bytes_in: payload(count.from_clients),
        bytes_out: payload(count.from_instances),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amount_is_without_headers() {
        let count = Count {
            from_clients: (4, 60 + 3 * 52 + 100),
            from_instances: (3, 60 + 2 * 52 + 7),
            connections: 1,
        };
        let expected = Amount {
            connections: 1,
            bytes_in: 100,
            bytes_out: 7,
        };
        assert_eq!(amount(count, true), expected);
        assert_eq!(amount(Count::default(), false), Amount::default());
    }

    #[test]
    fn open_counts_who_came_by_the_public_port() {
        let (public, instance) = (10_000, 42_800);
        let connections = BTreeSet::from([
            // Led past the relay.
            (instance, 1),
            (1, public),
            // Through the relay.
            (2, public),
            (public, 2),
            (3, instance),
            (instance, 3),
        ]);
        assert_eq!(open(&connections, public, instance), 1);
    }
}
