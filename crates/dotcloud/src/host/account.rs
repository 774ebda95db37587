//! Whom a service runs as: never root. Started by root, a uid of its application's own and the platform's
//! gid, without supplementary groups; started by anyone else, that user.

use std::io;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// `dotcloud` and `www-data` in every container of the platform. The uid is that of applications that
/// were created before each had its own.
const SERVICE_UID: u32 = 1000;
const SERVICE_GID: u32 = 33;
/// What root gives to the services of one application each. In none of the ranges that Debian or systemd
/// give to users, daemons or containers.
pub(crate) const OF_APPLICATIONS: RangeInclusive<u32> = 60_600..=61_099;
/// Of what serves the public ports: neither root's nor any service's, likewise.
const GATEWAY_ID: u32 = 61_100;

/// The user and group of everything a service owns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether we have to change into it.
    drops: bool,
}

impl Account {
    /// The account of the services of an application that has `uid`; None is one that was created before
    /// applications had any.
    pub(crate) fn of_services(uid: Option<u32>) -> Self {
        if rustix::process::geteuid().is_root() {
            Self {
                uid: uid
                    .filter(|uid| OF_APPLICATIONS.contains(uid))
                    .unwrap_or(SERVICE_UID),
                gid: SERVICE_GID,
                drops: true,
            }
        } else {
            Self::current()
        }
    }

    /// The account of the public ports' relays, out of reach of every service; an ordinary user has
    /// no other than their own.
    pub(crate) fn of_gateways() -> Self {
        if rustix::process::geteuid().is_root() {
            Self {
                uid: GATEWAY_ID,
                gid: GATEWAY_ID,
                drops: true,
            }
        } else {
            Self::current()
        }
    }

    /// Whoever we are.
    pub(crate) fn current() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            drops: false,
        }
    }

    /// Whether we are root and services are not.
    pub(crate) fn drops(&self) -> bool {
        self.drops
    }

    /// Gives an open file to this account.
    pub(crate) fn own_open(&self, file: &OwnedFd) -> io::Result<()> {
        if self.drops {
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            rustix::fs::fchown(file, Some(uid), Some(gid))?;
        }
        Ok(())
    }

    /// The name of somebody who signs in to this machine with the uid that services of root have.
    pub(crate) fn human(&self) -> Option<String> {
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        self.drops.then(|| person(&users, self.uid)).flatten()
    }

    /// Its numbers, as the kernel takes them.
    pub(crate) fn ids(&self) -> (Uid, Gid) {
        (Uid::from_raw(self.uid), Gid::from_raw(self.gid))
    }

    /// Does `work` with the rights of this account and no other. What is open already stays open.
    pub(crate) fn act<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        if !self.drops {
            return Ok(work());
        }
        let (user, group) = self.ids();
        // Rights are a thread's. The real user stays root: nobody else may send it a signal.
        let acting = move || -> io::Result<T> {
            set_thread_groups(&[])?;
            set_thread_res_gid(None, Some(group), None)?;
            set_thread_res_uid(None, Some(user), None)?;
            Ok(work())
        };
        std::thread::scope(|scope| match scope.spawn(acting).join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

/// Who has `uid` and a shell to sign in with, in `users`, a passwd file.
fn person(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, number, _, _, _, shell] = fields[..] else {
            return None;
        };
        let signs_in = !shell.ends_with("/nologin") && !shell.ends_with("/false");
        (number == uid.to_string() && signs_in).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_of_root_are_never_root() {
        for (uid, expected) in [
            (None, SERVICE_UID),
            (Some(0), SERVICE_UID),
            (Some(61_100), SERVICE_UID),
            (Some(60_600), 60_600),
        ] {
            let account = Account::of_services(uid);
            assert!(!account.drops() || account.uid == expected, "{account:?}");
        }
    }

    #[test]
    fn person_has_the_uid_and_a_shell() {
        let users = "root:x:0:0:root:/root:/bin/bash\nme:x:1000:1000:,,,:/home/me:/bin/bash\n\
                     daemon:x:1001:1:daemon:/:/usr/sbin/nologin\nold:x:1002:1002::/:\n";
        for (uid, expected) in [
            (1000, Some("me")),
            (1001, None),
            (1002, Some("old")),
            (7, None),
        ] {
            assert_eq!(person(users, uid).as_deref(), expected);
        }
    }
}
