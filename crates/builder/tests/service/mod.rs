//! A service with hooks, files and a tarball, for the tests of the builder's executable. The server
//! in the tarball is a script, or this machine's own shell, patched.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "no test file uses all of it; clippy's allowance for tests does not reach helpers"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use flate2::{Compression, write::GzEncoder};
use tar::{EntryType, Header};

use crate::sandbox::{Sandbox, assert_refused};

pub const BUILDER: &str = env!("CARGO_BIN_EXE_builder");
pub const TOP: &str = "mysql-9.7.4-linux-glibc2.28-x86_64";

/// A server that only knows who it is, and makes a data directory of one file.
pub const SCRIPT: &str = "#!/bin/sh
for argument in \"$@\"; do
    case $argument in --datadir=*) echo data >\"${argument#*=}/ibdata1\" ;; esac
done
echo \"$0  Ver 9.7.4 for Linux on x86_64 (MySQL Community Server)\"
";

/// A service without a tarball.
pub fn service() -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, content) in [
        ("postinstall", "the postinstall"),
        ("starttest", "the starttest"),
        ("profile", "the profile"),
        ("my.cnf", "[mysqld]\nuser-option = 1\n"),
    ] {
        sandbox.write(&format!("code/hooks/{name}"), content);
    }
    sandbox
}

/// The same with a tarball of `server` as bin/mysqld.
pub fn service_with(server: &[u8]) -> Sandbox {
    let sandbox = service();
    sandbox.write("code/hooks/m.tar.gz", gzip(&vendors(server)));
    sandbox
}

/// The builder as the platform calls it.
pub fn builder(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command(Path::new(BUILDER));
    command
        .current_dir(sandbox.code())
        .env("SERVICE_APPROOT", "hooks");
    command
}

/// Runs `command` and checks that it refuses with `stderr` and changes nothing.
#[track_caller]
pub fn refused(sandbox: &Sandbox, command: &mut Command, stderr: &str) {
    let before = sandbox.listing();
    assert_refused(&sandbox.outcome(command), "builder", stderr);
    assert_eq!(sandbox.listing(), before, "nothing changed");
}

/// A tarball like the vendors', with `server` as its server.
pub fn vendors(server: &[u8]) -> Vec<u8> {
    tarball(&[
        (EntryType::Directory, &format!("{TOP}/"), b""),
        (EntryType::Regular, &format!("{TOP}/bin/mysqld"), server),
        (EntryType::Symlink, &format!("{TOP}/bin/alias"), b"mysqld"),
        (
            EntryType::Regular,
            &format!("{TOP}/share/big"),
            &noise(200_000),
        ),
    ])
}

/// The same with a client.
pub fn vendors_with_client(server: &[u8]) -> Vec<u8> {
    tarball(&[
        (EntryType::Directory, &format!("{TOP}/"), b""),
        (EntryType::Regular, &format!("{TOP}/bin/mysqld"), server),
        (EntryType::Regular, &format!("{TOP}/bin/mysql"), server),
    ])
}

/// The least that repack takes for a server.
pub fn repackable() -> Vec<u8> {
    tarball(&[
        (EntryType::Directory, &format!("{TOP}/"), b""),
        (
            EntryType::Regular,
            &format!("{TOP}/bin/mysqld"),
            &noise(200_000),
        ),
        (
            EntryType::Regular,
            &format!("{TOP}/share/english/errmsg.sys"),
            b"",
        ),
        (
            EntryType::Regular,
            &format!("{TOP}/share/charsets/Index.xml"),
            b"",
        ),
    ])
}

/// A row of a tarball: type, name, and link target or content.
pub type Row<'a> = (EntryType, &'a str, &'a [u8]);

/// A tarball of `rows`, past the tar crate's own checks.
pub fn tarball(rows: &[Row<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, content) in rows {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        let mut content = *content;
        if *kind == EntryType::Symlink {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content);
            content = b"";
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// As repack packs (docs/repack.md, "The format of the result"), each member `length` bytes of `bytes`.
pub fn members(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut packed = Vec::new();
    for plain in bytes.chunks(length) {
        // What flate2 writes is a header of ten bytes, the data and the trailer.
        let rest = &gzip(plain)[10..];
        let size = u32::try_from(27 + rest.len()).unwrap();
        packed.extend(b"\x1f\x8b\x08\x14\0\0\0\0\0\x03\x08\0IG\x04\0");
        packed.extend(size.to_le_bytes());
        packed.extend(b"repack\0");
        packed.extend(rest);
    }
    packed
}

pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that do not compress, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        // Knuth's multiplier for 64 bits (The Art of Computer Programming 2, 3.3.4).
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}
