//! The uids of services where root may choose them: one for every application, so that no service is
//! somebody else to the kernel, neither a person nor another application.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use thiserror::Error;

use crate::host::account::{self, Account};
use crate::state::store::{Store, StoreError};

/// A uid for a new application, which keeps it until it is destroyed; None for whoever is not root.
/// The caller holds the lock of what is given away.
pub(crate) fn next(store: &Store) -> Result<Option<u32>, UidError> {
    if !Account::of_gateways().drops() {
        return Ok(None);
    }
    let recorded: BTreeSet<u32> = store
        .load_all()?
        .iter()
        .filter_map(|application| application.uid)
        .collect();
    let mut taken = of_processes();
    taken.extend(recorded);
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    taken.extend(of_users(&users));
    choose(&taken, store.port_offset()).map(Some)
}

/// Applications of other state directories are known only while they run: each begins elsewhere.
fn choose(taken: &BTreeSet<u32>, offset: usize) -> Result<u32, UidError> {
    let range = account::OF_APPLICATIONS;
    let offset = offset % range.clone().count();
    range
        .clone()
        .skip(offset)
        .chain(range.clone().take(offset))
        .find(|uid| !taken.contains(uid))
        .ok_or(UidError::Exhausted {
            first: *range.start(),
            last: *range.end(),
        })
}

fn of_processes() -> BTreeSet<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| Some(process.metadata().ok()?.uid()))
        .collect()
}

fn of_users(users: &str) -> BTreeSet<u32> {
    let numbers = users.lines().filter_map(|line| line.split(':').nth(2));
    numbers.filter_map(|number| number.parse().ok()).collect()
}

/// No uid can be given away.
#[derive(Debug, Error)]
pub(crate) enum UidError {
    #[error("no uid from {first} to {last} is free")]
    Exhausted { first: u32, last: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choose_gives_what_nobody_has() {
        let mut taken = BTreeSet::from([60_600, 60_601, 61_099]);
        assert_eq!(choose(&taken, 0).unwrap(), 60_602);
        assert_eq!(choose(&taken, 499).unwrap(), 60_602);
        assert_eq!(choose(&taken, 510).unwrap(), 60_610);
        taken.extend(account::OF_APPLICATIONS);
        assert_eq!(
            choose(&taken, 7).unwrap_err().to_string(),
            "no uid from 60600 to 61099 is free"
        );
    }

    #[test]
    fn of_users_are_those_of_the_machine() {
        let users = "root:x:0:0::/root:/bin/sh\nbroken\nme:x:60600:1::/:/bin/sh\n";
        assert_eq!(of_users(users), BTreeSet::from([0, 60_600]));
        assert!(of_processes().contains(&rustix::process::geteuid().as_raw()));
    }
}
