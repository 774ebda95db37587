//! Copies of data directories whose holes stay holes: most of a fresh one is zeros.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// A filesystem's block: the smallest hole.
const BLOCK: usize = 4096;

/// What is read at once.
const BUFFER: usize = 64 * BLOCK;

/// Copies the directory `from` to the new directory `to`: directories and files, for their owner only.
/// Nothing else belongs into a data directory, and nothing else is copied. `omit`: what is not copied,
/// by its name.
pub(crate) fn copy(from: &Path, to: &Path, omit: &dyn Fn(&str) -> bool) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if omit(&name.to_string_lossy()) {
            continue;
        }
        let (kind, from, to) = (entry.file_type()?, entry.path(), to.join(&name));
        if kind.is_dir() {
            copy(&from, &to, omit)?;
        } else if kind.is_file() {
            copy_file(&from, &to)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let from = File::open(from)?;
    let to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    let size = from.metadata()?.len();
    to.set_len(size)?;
    let mut buffer = vec![0; BUFFER];
    let mut offset = 0;
    while let Some(start) = data_after(&from, offset)? {
        let end = seek(&from, SeekFrom::Hole(start))?;
        copy_range(&from, &to, start..end, &mut buffer)?;
        offset = end;
    }
    Ok(())
}

/// Where the next byte is that is not in a hole.
fn data_after(file: &File, offset: u64) -> io::Result<Option<u64>> {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(start) => Ok(Some(start)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Without blocks of zeros, which some servers write.
fn copy_range(
    from: &File,
    to: &File,
    range: std::ops::Range<u64>,
    buffer: &mut [u8],
) -> io::Result<()> {
    let mut offset = range.start;
    while offset < range.end {
        let most =
            usize::try_from(range.end - offset).map_or(buffer.len(), |n| n.min(buffer.len()));
        let length = from.read_at(&mut buffer[..most], offset)?;
        if length == 0 {
            return Ok(());
        }
        let mut at = offset;
        // Neighbours that hold something go at once.
        for run in buffer[..length]
            .chunks(BLOCK)
            .collect::<Vec<_>>()
            .chunk_by(|a, b| is_zero(a) == is_zero(b))
        {
            let length: usize = run.iter().map(|block| block.len()).sum();
            if !run.first().is_some_and(|block| is_zero(block)) {
                let begin = usize::try_from(at - offset).unwrap_or_default();
                to.write_all_at(&buffer[begin..begin + length], at)?;
            }
            at += length as u64;
        }
        offset += length as u64;
    }
    Ok(())
}

fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn copy_same_bytes_with_holes_and_without_what_is_omitted() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("mysql")).unwrap();
        let mut bytes = vec![0; 3 << 20];
        bytes[5000..5003].copy_from_slice(b"one");
        bytes[1 << 20..(1 << 20) + 70_000].fill(7);
        let end = bytes.len() - 1;
        bytes[end] = 9;
        fs::write(from.join("mysql/ibdata1"), &bytes).unwrap();
        fs::write(from.join("empty"), "").unwrap();
        fs::write(from.join("auto.cnf"), "x").unwrap();
        copy(&from, &to, &|name| name == "auto.cnf").unwrap();
        assert!(fs::read(to.join("mysql/ibdata1")).unwrap() == bytes);
        let blocks = fs::metadata(to.join("mysql/ibdata1")).unwrap().blocks();
        assert!(blocks * 512 < 1 << 20, "{blocks}");
        assert_eq!(fs::read(to.join("empty")).unwrap(), b"");
        assert!(!to.join("auto.cnf").exists());
        copy(&from, &to, &|_| false).unwrap_err();
    }
}
