//! A vendor's outer archive: Oracle packs the tarballs of the server, of its test suite and of the
//! router into one .tar. The server's is picked by its name and read through, without a copy.

use std::io::{self, Read};

use thiserror::Error;

use crate::archive::{Archive, ArchiveError, Entry};
use crate::entry::shown;
use crate::name::Name;

/// What a tarball may be called.
const ENDINGS: [&[u8]; 7] = [
    b".tar.xz",
    b".txz",
    b".tar.gz",
    b".tgz",
    b".tar.zst",
    b".tzst",
    b".tar",
];

/// What vendors call tarballs that hold no server.
const OTHERS: [&[u8]; 7] = [
    b"test",
    b"router",
    b"shell",
    b"debug",
    b"connector",
    b"backup",
    b"client",
];

/// The server's tarball inside of another archive. At its end, the rest of that archive is verified:
/// that it is whole, and holds no second server.
pub(crate) struct Wrapped<R> {
    archive: Archive<R>,
    chosen: String,
    finished: bool,
}

impl<R: Read> Wrapped<R> {
    /// Goes to the server's tarball in `outer`.
    pub(crate) fn find(outer: R) -> io::Result<Self> {
        let mut archive = Archive::new(outer);
        let mut others = Vec::new();
        while let Some(entry) = archive.next().map_err(in_stream)? {
            match Inner::of(&entry) {
                Inner::Server(chosen) => {
                    let finished = false;
                    return Ok(Self {
                        archive,
                        chosen,
                        finished,
                    });
                }
                // A few are enough for a message.
                Inner::Other(name) if others.len() < 8 => others.push(name),
                Inner::Other(_) | Inner::NoTarball => {}
            }
        }
        if !archive.ended() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Err(io::Error::other(WrapperError::NoServer { names: others }))
    }

    /// The name of the server's tarball.
    pub(crate) fn chosen(&self) -> &str {
        &self.chosen
    }

    fn finish(&mut self) -> io::Result<()> {
        let first = &self.chosen;
        while let Some(entry) = self.archive.next().map_err(in_stream)? {
            if let Inner::Server(second) = Inner::of(&entry) {
                let names = vec![first.clone(), second];
                return Err(io::Error::other(WrapperError::Several { names }));
            }
        }
        if !self.archive.ended() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !self.archive.rest_is_zeros(&mut [0; 8192])? {
            return Err(io::Error::other(WrapperError::AfterEnd));
        }
        self.finished = true;
        Ok(())
    }
}

impl<R: Read> Read for Wrapped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.finished {
            return Ok(0);
        }
        let read = self.archive.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            self.finish()?;
        }
        Ok(read)
    }
}

/// Whether an archive that starts like this wraps tarballs: one is among its first files, and those
/// before it, a signature or a text, are in no directory either.
pub(crate) fn is_wrapper(start: &[u8]) -> bool {
    let mut archive = Archive::new(start);
    while let Ok(Some(entry)) = archive.next() {
        match (Name::parse(&entry.name), Inner::of(&entry)) {
            (_, Inner::Server(_) | Inner::Other(_)) => return true,
            // What `tar -C directory .` starts with.
            (Ok(None), _) => {}
            (Ok(Some(name)), _)
                if name.inner.as_os_str().is_empty() && entry.header.entry_type().is_file() => {}
            _ => return false,
        }
    }
    false
}

enum Inner {
    Server(String),
    Other(String),
    NoTarball,
}

impl Inner {
    fn of(entry: &Entry) -> Self {
        let Ok(Some(Name { top, inner })) = Name::parse(&entry.name) else {
            return Self::NoTarball;
        };
        let name = top.as_encoded_bytes().to_ascii_lowercase();
        let tarball = ENDINGS.iter().any(|ending| name.ends_with(ending));
        if !tarball || !inner.as_os_str().is_empty() || !entry.header.entry_type().is_file() {
            return Self::NoTarball;
        }
        let mut words = name.split(|byte| !byte.is_ascii_alphanumeric());
        let shown = shown(top.as_encoded_bytes());
        if words.any(|word| OTHERS.contains(&word)) {
            Self::Other(shown)
        } else {
            Self::Server(shown)
        }
    }
}

/// The outer archive's failures travel through the decoder of the inner one.
fn in_stream(error: ArchiveError) -> io::Error {
    match error {
        ArchiveError::Read { source } => source,
        ArchiveError::CutOff => io::ErrorKind::UnexpectedEof.into(),
        error => io::Error::other(error),
    }
}

/// Which tarball is meant cannot be told.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum WrapperError {
    #[error("holds no server's tarball, only {list}", list = names.join(", "))]
    NoServer { names: Vec<String> },
    #[error("holds several servers' tarballs: {list}", list = names.join(", "))]
    Several { names: Vec<String> },
    #[error("goes on after its end")]
    AfterEnd,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        Entry {
            name: name.into(),
            target: None,
            header,
            size: 0,
            sparse: false,
        }
    }

    #[test]
    fn inner_of_each_name_is_told() {
        let server = |name: &str| matches!(Inner::of(&entry(name)), Inner::Server(_));
        for name in [
            "mysql-8.4.6-linux-glibc2.28-x86_64.tar.xz",
            "./mysql-8.4.6-linux-glibc2.28-x86_64.tar.xz",
            "mysql-5.7.44-linux-glibc2.12-x86_64.tar.gz",
            "mysql-8.0.33-linux-glibc2.17-x86_64-minimal.tar.xz",
            "mysql-cluster-8.0.33-linux-glibc2.12-x86_64.tar.gz",
            "Percona-XtraDB-Cluster_8.0.36-28.1_Linux.x86_64.glibc2.35.tar.gz",
            "mariadb-11.4.5-linux-systemd-x86_64.tar.gz",
            "server.TGZ",
        ] {
            assert!(server(name), "{name}");
        }
        let other = |name: &str| matches!(Inner::of(&entry(name)), Inner::Other(_));
        for name in [
            "mysql-test-8.4.6-linux-glibc2.28-x86_64.tar.xz",
            "mysql-router-8.4.6-linux-glibc2.28-x86_64.tar.xz",
            "mysql-shell-8.4.6-linux-glibc2.28-x86-64bit.tar.gz",
        ] {
            assert!(other(name), "{name}");
        }
        let neither = |name: &str| matches!(Inner::of(&entry(name)), Inner::NoTarball);
        for name in [
            "README",
            "mysql-8.4.6.tar.xz.asc",
            "mysql-8.4.6/mysql-8.4.6.tar.xz",
            "../mysql-8.4.6.tar.xz",
            "./",
        ] {
            assert!(neither(name), "{name}");
        }
    }
}
