//! Giving away port numbers: to bind from 42800 up, as the platform did; public ones from 10000
//! up, below the range that outgoing connections take theirs from. Every state directory but the machine's
//! own begins elsewhere in the same ranges.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use thiserror::Error;

use crate::state::store::{Store, StoreError};

const BIND: RangeInclusive<u16> = 42_800..=60_999;
const PUBLIC: RangeInclusive<u16> = 10_000..=32_767;

/// The ports taken on this machine as far as we know, and those given away now.
///
/// A number is reserved, for every other `dotcloud` of the machine, as long as this value lives:
/// until the service that got it has bound it.
pub(crate) struct Ports {
    recorded: BTreeSet<u16>,
    reserved: Vec<UnixListener>,
    /// How far into a range the search begins. We know what belongs to the services of other state
    /// directories only while they run: between a stop and a start theirs would look free.
    offset: usize,
}

impl Ports {
    /// Knows the ports of every application in `store`.
    pub(crate) fn of(store: &Store) -> Result<Self, StoreError> {
        let mut recorded = BTreeSet::new();
        for application in store.load_all()? {
            for (_, instance) in application.instances() {
                let bound = instance.containers().flat_map(|c| c.ports.values());
                let all = bound.chain(instance.public.values());
                recorded.extend(all.map(|port| port.number));
            }
        }
        Ok(Self {
            recorded,
            reserved: Vec::new(),
            offset: store.port_offset(),
        })
    }

    /// A port for a service to bind.
    pub(crate) fn bind(&mut self) -> Result<u16, PortError> {
        self.next(BIND)
    }

    /// A port for the world to connect to.
    pub(crate) fn public(&mut self) -> Result<u16, PortError> {
        self.next(PUBLIC)
    }

    fn next(&mut self, range: RangeInclusive<u16>) -> Result<u16, PortError> {
        let (first, last) = (*range.start(), *range.end());
        let offset = self.offset % range.len();
        for number in range.clone().skip(offset).chain(range.take(offset)) {
            if self.recorded.contains(&number) {
                continue;
            }
            let Some(reservation) = reserve(number) else {
                continue;
            };
            // Somebody who knows nothing of us may have it, for TCP or UDP.
            let address = (Ipv4Addr::UNSPECIFIED, number);
            if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
                self.recorded.insert(number);
                self.reserved.push(reservation);
                return Ok(number);
            }
        }
        Err(PortError::Exhausted { first, last })
    }
}

/// An abstract socket of that name: one holder per machine (network namespace, as for the ports
/// themselves), released by the kernel however we end, no file left.
fn reserve(number: u16) -> Option<UnixListener> {
    let name = format!("dotcloud-port-{number}");
    let address = SocketAddr::from_abstract_name(name).ok()?;
    UnixListener::bind_addr(&address).ok()
}

/// No port can be given away.
#[derive(Debug, Error)]
pub(crate) enum PortError {
    #[error("no port from {first} to {last} is free")]
    Exhausted { first: u16, last: u16 },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_given_once_while_reserved() {
        let none = || Ports {
            recorded: BTreeSet::new(),
            reserved: Vec::new(),
            offset: 18_190,
        };
        let (mut ours, mut theirs) = (none(), none());
        let given = [
            ours.bind().unwrap(),
            ours.bind().unwrap(),
            theirs.bind().unwrap(),
        ];
        assert_eq!(BTreeSet::from(given).len(), 3, "{given:?}");
        assert!(given.iter().all(|number| BIND.contains(number)));
        assert!(PUBLIC.contains(&ours.public().unwrap()));
    }

    #[test]
    fn port_taken_by_a_stranger_is_passed_over() {
        let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let of_udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = [stranger.local_addr(), of_udp.local_addr()].map(|taken| taken.unwrap().port());
        for taken in taken {
            let mut ports = Ports {
                recorded: BTreeSet::new(),
                reserved: Vec::new(),
                offset: 7,
            };
            assert_eq!(
                ports.next(taken..=taken).unwrap_err().to_string(),
                format!("no port from {taken} to {taken} is free")
            );
        }
    }
}
