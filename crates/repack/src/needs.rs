//! What an executable or a library asks the loader for: the names of libraries, and where to look for
//! them first. Reads headers only, whatever the file's size, and of 64-bit ELF files only.

use std::io::{Read, Seek};

use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, FileHeader64, SHT_DYNAMIC};
use object::read::elf::{FileHeader, SectionHeader};
use object::{Endianness, ReadCache};

use crate::strip::MOST_SECTIONS;

/// The server of MySQL 9 has 40 entries of 16 bytes.
const LARGEST_TABLE: u64 = 64 << 10;

/// What a file needs to be loaded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) libraries: Vec<String>,
    /// Directories (RPATH and RUNPATH, see ld.so(8)), `$ORIGIN` in them not replaced.
    pub(crate) search: Vec<String>,
}

/// What `file` needs; nothing if that cannot be told.
pub(crate) fn needs(file: impl Read + Seek) -> Needs {
    read(file).unwrap_or_default()
}

fn read(file: impl Read + Seek) -> object::read::Result<Needs> {
    let data = &ReadCache::new(file);
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let mut needs = Needs::default();
    if header.e_shnum(endian) > MOST_SECTIONS {
        return Ok(needs);
    }
    let sections = header.sections(endian, data)?;
    let mut tables = sections
        .iter()
        .filter(|section| section.sh_type(endian) == SHT_DYNAMIC);
    if tables.any(|section| section.sh_size(endian) > LARGEST_TABLE) {
        return Ok(needs);
    }
    let table = sections.dynamic_table(endian, data)?;
    for entry in &table {
        let text = || table.string(entry).map(String::from_utf8_lossy);
        match entry.tag {
            DT_NEEDED => needs.libraries.push(text()?.into_owned()),
            DT_RPATH | DT_RUNPATH => {
                needs.search.extend(text()?.split(':').map(str::to_owned));
            }
            _ => {}
        }
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;

    use super::*;

    #[test]
    fn needs_of_an_executable_and_of_something_else() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let libraries = needs(Cursor::new(&own)).libraries;
        assert!(libraries.contains(&"libc.so.6".to_owned()), "{libraries:?}");
        assert_eq!(needs(Cursor::new(&own[..5000])), Needs::default());
        assert_eq!(needs(Cursor::new(b"#!/bin/sh\n")), Needs::default());
    }
}
