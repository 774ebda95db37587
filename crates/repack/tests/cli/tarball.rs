//! Tar archives entry by entry, well-formed or not, and what a result holds.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Builder, EntryType, Header};
use xz2::read::XzDecoder;
use xz2::write::XzEncoder;

pub(crate) struct Tarball(Builder<Vec<u8>>);

impl Tarball {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.entry(name, (EntryType::Directory, 0o755), "", b"")
    }

    pub(crate) fn file(self, name: &str, mode: u32, content: &[u8]) -> Self {
        self.entry(name, (EntryType::Regular, mode), "", content)
    }

    /// What no server starts without.
    pub(crate) fn share(self) -> Self {
        self.file("my-1/share/english/errmsg.sys", 0o644, b"").file(
            "my-1/share/charsets/Index.xml",
            0o644,
            b"",
        )
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(name, (EntryType::Symlink, 0o777), target, b"")
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(name, (EntryType::Link, 0o644), target, b"")
    }

    pub(crate) fn special(self, name: &str, kind: EntryType) -> Self {
        self.entry(name, (kind, 0o644), "", b"")
    }

    /// A file with one PAX header before it.
    pub(crate) fn pax(mut self, name: &str, key: &str, value: &str, content: &[u8]) -> Self {
        let pair = (key, value.as_bytes());
        self.0.append_pax_extensions([pair]).unwrap();
        self.file(name, 0o644, content)
    }

    /// An entry whose header promises `size` bytes, and `content`, as much as there is of it.
    pub(crate) fn promising(mut self, kind: EntryType, size: u64, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_path("my-1/promise").unwrap();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.0.get_mut().extend_from_slice(header.as_bytes());
        self.0.get_mut().extend_from_slice(content);
        let end = self.0.get_ref().len().next_multiple_of(512);
        self.0.get_mut().resize(end, 0);
        self
    }

    /// Names go in as they are: the builder would refuse hostile ones. Long ones get the GNU way.
    fn entry(
        mut self,
        name: &str,
        (kind, mode): (EntryType, u32),
        target: &str,
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_600_000_000);
        header.set_uid(1234);
        header.set_gid(5678);
        header.set_username("builder").unwrap();
        header.set_size(content.len() as u64);
        let old = header.as_old_mut();
        old.linkname[..target.len()].copy_from_slice(target.as_bytes());
        if name.len() > old.name.len() {
            self.0.append_data(&mut header, name, content).unwrap();
        } else {
            old.name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            self.0.append(&header, content).unwrap();
        }
        self
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = XzEncoder::new(Vec::new(), 0);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A little of everything a vendor packs.
pub(crate) fn vendor() -> Tarball {
    Tarball::new()
        .directory("my-1/")
        .file("my-1/bin/mysqld", 0o755, b"server")
        .file("my-1/bin/mysqld-debug", 0o755, b"debug server")
        .file("my-1/bin/mysqltest", 0o755, b"tester")
        .symlink("my-1/bin/tester", "mysqltest")
        .symlink("my-1/lib/libmysqlclient.so", "libmysqlclient.so.1")
        .symlink("my-1/lib/never-there", "nowhere")
        .file("my-1/lib/libmysqlclient.so.1", 0o644, b"library")
        .file("my-1/lib/libmysqlclient.a", 0o644, b"archive")
        .hard_link("my-1/bin/mysqld-again", "my-1/bin/mysqld")
        .directory("my-1/mysql-test/")
        .file("my-1/mysql-test/t/1st.test", 0o644, &[b'x'; 2000])
        .hard_link("my-1/mysql-test/t/2nd.test", "my-1/mysql-test/t/1st.test")
        .share()
}

/// What [`Tarball::share`] adds.
pub(crate) const SHARE: [&str; 2] = [
    "my-1/share/english/errmsg.sys 644 ",
    "my-1/share/charsets/Index.xml 644 ",
];

/// What `standard` makes of it: name, mode, and content or target.
pub(crate) const KEPT: [&str; 8] = [
    "my-1/ 755 ",
    "my-1/bin/mysqld 755 server",
    "my-1/lib/libmysqlclient.so.1 644 library",
    "my-1/bin/mysqld-again 644 -> my-1/bin/mysqld",
    SHARE[0],
    SHARE[1],
    "my-1/lib/libmysqlclient.so 777 -> libmysqlclient.so.1",
    "my-1/lib/never-there 777 -> nowhere",
];

/// What a result inflates to, whatever it is compressed with.
pub(crate) fn inflated(path: &Path) -> Box<dyn Read> {
    let mut file = File::open(path).unwrap();
    let mut start = [0; 2];
    file.read_exact(&mut start).unwrap();
    file.rewind().unwrap();
    match start {
        [0x1f, 0x8b] => Box::new(MultiGzDecoder::new(file)),
        [0xfd, b'7'] => Box::new(XzDecoder::new(file)),
        _ => Box::new(zstd::Decoder::new(file).unwrap()),
    }
}

/// The entries of a result, in order; they must all belong to 0/0 and keep their time.
#[track_caller]
pub(crate) fn contents(path: &Path) -> Vec<String> {
    let mut archive = Archive::new(inflated(path));
    let mut lines = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.username_bytes(), Some(&b""[..]));
        assert_eq!(header.mtime().unwrap(), 1_600_000_000);
        let name = String::from_utf8(entry.path_bytes().into()).unwrap();
        let mut rest = String::new();
        match entry.link_name().unwrap() {
            Some(target) => rest = format!("-> {}", target.display()),
            None => drop(entry.read_to_string(&mut rest).unwrap()),
        }
        lines.push(format!("{name} {:o} {rest}", header.mode().unwrap()));
    }
    lines
}
