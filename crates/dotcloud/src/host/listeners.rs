//! Who listens at a port of this machine, as the kernel tells it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use hook::{LISTENING, socket_tables};

/// A socket that listens where clients of a public port would reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    number: u16,
    uid: u32,
    inode: u64,
    /// At that address, not at all of them: what clients reach if there are both.
    exact: bool,
}

/// Every listener of this network namespace that is reached at `address`.
pub(crate) fn all(address: Ipv4Addr) -> io::Result<Vec<Listener>> {
    let tables = socket_tables()?;
    let lines = tables.iter().flat_map(|table| table.lines());
    Ok(lines.filter_map(|line| parse(line, address)).collect())
}

/// A line of the kernel's table, if it is such a listener.
fn parse(line: &str, address: Ipv4Addr) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state) = (fields.get(1)?, fields.get(3)?);
    if *state != LISTENING {
        return None;
    }
    let (host, number) = local.split_once(':')?;
    let word = format!("{:08X}", u32::from_ne_bytes(address.octets()));
    let mapped = format!(
        "{:016}{:08X}{word}",
        0,
        u32::from_ne_bytes([0, 0, 0xff, 0xff])
    );
    let exact = host == word || host == mapped;
    if !exact && host.bytes().any(|digit| digit != b'0') {
        return None;
    }
    Some(Listener {
        number: u16::from_str_radix(number, 16).ok()?,
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
        exact,
    })
}

/// Whether clients of `number` reach one of the sockets `own`.
pub(crate) fn is_ours(listeners: &[Listener], number: u16, own: &BTreeSet<u64>) -> bool {
    let ours = |listener: &&Listener| listener.exact && own.contains(&listener.inode);
    let mut at = listeners
        .iter()
        .filter(|listener| listener.number == number);
    at.any(|listener| ours(&listener))
}

/// Whether whoever clients of `number` reach belongs to the user `uid`.
pub(crate) fn is_of(listeners: &[Listener], number: u16, uid: u32) -> bool {
    reached(listeners, number).is_some_and(|listener| listener.uid == uid)
}

/// Who it is that listens at `number`, if anybody does.
pub(crate) fn holder(listeners: &[Listener], number: u16) -> Option<Holder> {
    let listener = reached(listeners, number)?;
    Some(Holder {
        uid: listener.uid,
        process: owner(listener.inode),
    })
}

fn reached(listeners: &[Listener], number: u16) -> Option<&Listener> {
    let at = |exact| {
        listeners
            .iter()
            .find(move |listener| listener.number == number && listener.exact == exact)
    };
    at(true).or_else(|| at(false))
}

/// The ports of every connection that both ends of have open, as each end sees them: its own and
/// its peer's.
pub(crate) fn connections() -> io::Result<BTreeSet<(u16, u16)>> {
    let mut found = BTreeSet::new();
    for table in socket_tables()? {
        found.extend(table.lines().filter_map(open_connection));
    }
    Ok(found)
}

fn open_connection(line: &str) -> Option<(u16, u16)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    // Established, or waiting for its own program to close.
    if !["01", "08"].contains(fields.get(3)?) {
        return None;
    }
    let port = |field: &str| u16::from_str_radix(field.rsplit_once(':')?.1, 16).ok();
    Some((port(fields.get(1)?)?, port(fields.get(2)?)?))
}

/// The sockets that the process `pid` has open; none if we may not know.
pub(crate) fn sockets(pid: i32) -> BTreeSet<u64> {
    let directory = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            let inode = target.to_str()?.strip_prefix("socket:[")?;
            inode.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

fn owner(inode: u64) -> Option<(i32, String)> {
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        let name: OsString = entry.file_name();
        name.to_str()?.parse::<i32>().ok()
    });
    let pid = pids
        .into_iter()
        .find(|&pid| sockets(pid).contains(&inode))?;
    let name = Path::new("/proc").join(pid.to_string()).join("comm");
    let name = fs::read(name).unwrap_or_default();
    // Its own choice: not to be trusted with the terminal.
    let name = hook::escape_controls(String::from_utf8_lossy(&name).trim_end(), &[]);
    Some((pid, name))
}

/// Whoever has a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    uid: u32,
    /// Where we may know.
    process: Option<(i32, String)>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some((pid, name)) => write!(f, "{name} (process {pid} of user {})", self.uid),
            None => write!(f, "another program (of user {})", self.uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;

    #[test]
    fn listeners_are_told_by_their_sockets() {
        let ours = i32::try_from(std::process::id()).unwrap();
        for host in ["127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "[::]"] {
            let Ok(listener) = TcpListener::bind(format!("{host}:0")) else {
                continue;
            };
            let number = listener.local_addr().unwrap().port();
            let all = all(LOCAL).unwrap();
            let exact = host.contains("127");
            assert_eq!(is_ours(&all, number, &sockets(ours)), exact, "{host}");
            let uid = rustix::process::geteuid().as_raw();
            assert!(is_of(&all, number, uid), "{host}");
            assert!(!is_of(&all, number, uid + 1), "{host}");
            assert!(!is_ours(&all, number, &BTreeSet::new()), "{host}");
            let holder = holder(&all, number).unwrap();
            assert_eq!(holder.process.as_ref().unwrap().0, ours, "{host}");
        }
        let free = TcpListener::bind("127.0.0.2:0").unwrap();
        let number = free.local_addr().unwrap().port();
        assert_eq!(holder(&all(LOCAL).unwrap(), number), None);
    }

    #[test]
    fn connections_are_those_that_are_open() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let number = listener.local_addr().unwrap().port();
        let client = std::net::TcpStream::connect(("127.0.0.1", number)).unwrap();
        let own = client.local_addr().unwrap().port();
        let found = connections().unwrap();
        assert!(found.contains(&(own, number)) && found.contains(&(number, own)));
        drop(client);
        drop(listener.accept().unwrap());
        let found = connections().unwrap();
        assert!(!found.contains(&(own, number)) && !found.contains(&(number, own)));
    }

    #[test]
    fn holder_is_named_as_far_as_it_is_known() {
        let process = Some((7, "python3".to_owned()));
        let known = Holder { uid: 1000, process };
        assert_eq!(known.to_string(), "python3 (process 7 of user 1000)");
        let unknown = Holder {
            uid: 1000,
            process: None,
        };
        assert_eq!(unknown.to_string(), "another program (of user 1000)");
    }
}
