//! The seed: a data directory that was initialised once for a release and its frozen options, root
//! locked, stopped cleanly, stored small. A first start unpacks it instead of initialising.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use xz2::read::XzDecoder;
use xz2::write::XzEncoder;

use crate::layout::Layout;
use crate::option_file::OptionFile;
use crate::rendering::server_groups;
use crate::server::Server;

/// Changes when a seed of an earlier builder must not be used any more.
const FORMAT: &str = "2";

/// What a server can be told at initialisation only.
const FROZEN: [&str; 6] = [
    "lower-case-table-names",
    "innodb-page-size",
    "innodb-data-file-path",
    "innodb-undo-tablespaces",
    "innodb-checksum-algorithm",
    "aria-block-size",
];

/// These put a part of the database elsewhere, where a seed does not reach.
const ELSEWHERE: [&str; 5] = [
    "innodb-data-home-dir",
    "innodb-log-group-home-dir",
    "innodb-undo-directory",
    "aria-log-dir-path",
    "early-plugin-load",
];

/// Smallest hole worth making: a filesystem's block.
const BLOCK: usize = 4096;

/// Half a second for the largest; 6 saves a tenth and takes four times as long.
const XZ_LEVEL: u32 = 3;

/// Where the seed for a release and an option file is, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    path: PathBuf,
    options: Vec<(&'static str, Vec<u8>)>,
}

impl Seed {
    /// The seed for `release`, the name of `server`'s directory, and the user's `template`, with or
    /// without `time_zones`. `None` if my.cnf keeps parts of the database apart, or includes files
    /// that may.
    #[must_use]
    pub fn of(
        layout: &Layout,
        release: &OsStr,
        server: &Server,
        template: &OptionFile,
        time_zones: bool,
    ) -> Option<Self> {
        let groups = server_groups(server.flavour, server.version);
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let elsewhere = |option: &&str| template.get(&groups, option).is_some();
        if template.includes().next().is_some() || ELSEWHERE.iter().any(elsewhere) {
            return None;
        }
        let mut options = Vec::new();
        for option in FROZEN {
            if let Some(found) = template.get(&groups, option) {
                options.push((option, found.value?));
            }
        }
        let mut name = release.to_owned();
        name.push(format!("-{}.tar.xz", digest(&options, time_zones)));
        let path = layout.seeds().join(name);
        Some(Self { path, options })
    }

    /// The archive.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The user's option file, reduced to what counts at initialisation.
    #[must_use]
    pub fn option_file(&self, path: &Path) -> OptionFile {
        let mut file = OptionFile::empty(path);
        for (option, value) in &self.options {
            file.set("mysqld", option, value, "frozen at initialisation");
        }
        file
    }
}

fn digest(options: &[(&str, Vec<u8>)], time_zones: bool) -> String {
    let mut hasher = Sha256::new();
    hasher.update(FORMAT);
    hasher.update([u8::from(time_zones)]);
    for (option, value) in options {
        hasher.update(option);
        hasher.update([0]);
        hasher.update(value);
        hasher.update([0]);
    }
    hook::hexadecimal(&hasher.finalize()[..4])
}

/// Writes `data_dir`, whose server was stopped cleanly, to `archive` as a compressed tarball: without
/// its holes, without what must be unique (server UUID, TLS keys), and without what a server makes
/// anew after a clean stop (double-write buffer and redo log of MySQL 8.0.30 and later; their
/// directory must stay). Takes those out of `data_dir` too. Aria's log stays: MariaDB makes it anew as
/// well, but does not recover then when it is killed afterwards.
pub fn pack(data_dir: &Path, archive: impl Write) -> io::Result<()> {
    for directory in [data_dir.to_owned(), data_dir.join("#innodb_redo")] {
        remove_dispensable(&directory)?;
    }
    punch_holes(data_dir)?;
    let mut tar = tar::Builder::new(XzEncoder::new(archive, XZ_LEVEL));
    tar.append_dir_all("", data_dir)?;
    tar.into_inner()?.finish()?.flush()
}

fn remove_dispensable(directory: &Path) -> io::Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let unique = name == "auto.cnf" || name.ends_with(".pem");
        if unique || name == "ib_buffer_pool" || name.starts_with("#ib_") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Unpacks `archive` into the existing directory `data_dir`, holes as holes. See [`fill_holes`].
pub(crate) fn unpack(archive: &Path, data_dir: &Path) -> io::Result<()> {
    let file = io::BufReader::new(File::open(archive)?);
    let mut tar = tar::Archive::new(XzDecoder::new(file));
    tar.set_preserve_mtime(false);
    tar.unpack(data_dir)?;
    // A damaged end must not pass for a whole archive.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map(drop)
}

/// Gives every file below `dir` all of its blocks, as the vendor's initialiser does: a server that meets
/// a full disk at a hole within a page leaves a torn page behind, which it can never read again
/// (MySQL 9.7; case G7). On a filesystem that cannot, the holes stay.
pub(crate) fn fill_holes(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fill_holes(&entry.path())?;
            continue;
        }
        let file = OpenOptions::new().write(true).open(entry.path())?;
        let size = file.metadata()?.len();
        let filled = fallocate(&file, FallocateFlags::empty(), 0, size);
        if filled == Err(Errno::NOSPC) {
            return Ok(filled?);
        }
    }
    Ok(())
}

/// Gives back the blocks that hold nothing but zeros, of every file below `dir`. On a filesystem
/// that cannot, they stay.
fn punch_holes(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            punch_holes(&entry.path())?;
            continue;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(entry.path())?;
        let mut block = vec![0; 16 * BLOCK];
        let (mut offset, mut hole) = (0, None);
        loop {
            let length = file.read_at(&mut block, offset)?;
            if length == 0 {
                break;
            }
            for part in block[..length].chunks(BLOCK) {
                if part.len() == BLOCK && part.iter().all(|byte| *byte == 0) {
                    hole = hole.or(Some(offset));
                } else if let Some(start) = hole.take() {
                    punch_hole(&file, start..offset);
                }
                offset += part.len() as u64;
            }
        }
        if let Some(start) = hole {
            punch_hole(&file, start..offset);
        }
    }
    Ok(())
}

/// Once for each hole, however large: every call waits for the file's pages to be on the disk.
fn punch_hole(file: &File, hole: Range<u64>) {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let _ = fallocate(file, flags, hole.start, hole.end - hole.start);
}
