//! Strips ELF executables and libraries: drops debug information and symbol tables, which nothing
//! needs to run. What is loaded stays as it is, byte for byte and in its place, dynamic symbols
//! included; linkers put all else behind it. Works on headers only, whatever the file's size;
//! refuses what is not laid out like that.

use std::io::{Read, Seek};

use object::elf::{
    ET_DYN, ET_EXEC, FileHeader64, SHF_ALLOC, SHF_INFO_LINK, SHT_REL, SHT_RELA, SHT_STRTAB,
    SHT_SYMTAB, SHT_SYMTAB_SHNDX, SectionHeader64, SymbolSection,
};
use object::pod::{bytes_of, bytes_of_slice};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, SectionTable};
use object::{Endianness, ReadCache, ReadRef};
use thiserror::Error;

/// What an ELF file starts with.
pub(crate) const MAGIC: [u8; 4] = *b"\x7fELF";
/// Servers have about 40 sections.
pub(crate) const MOST_SECTIONS: u16 = 4096;
/// What is kept behind the loaded part is names and notes of some hundred bytes.
const LARGEST_TAIL: u64 = 1 << 20;

type Header = FileHeader64<Endianness>;
type Section = SectionHeader64<Endianness>;

/// A stripped file: `head`, then the input's own bytes up to `loaded`, then `tail`.
#[derive(Debug)]
pub(crate) struct Stripped {
    pub(crate) head: Vec<u8>,
    pub(crate) loaded: u64,
    pub(crate) tail: Vec<u8>,
}

impl Stripped {
    pub(crate) fn size(&self) -> u64 {
        self.loaded + self.tail.len() as u64
    }
}

/// Why a file stays as it is although it looks like one to strip: the rest of a sentence that
/// starts with its name.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum StripError {
    #[error("is no 64-bit ELF file, or damaged")]
    Unreadable(#[from] object::read::Error),
    #[error("is cut off")]
    CutOff,
    #[error("has data after its sections")]
    DataAfterEnd,
    #[error("has sections in an unusual order")]
    UnusualOrder,
    #[error("has too many or too large sections")]
    TooMuch,
}

/// How to strip `file`; `None` if there is nothing to strip.
pub(crate) fn strip(file: impl Read + Seek) -> Result<Option<Stripped>, StripError> {
    let data = &ReadCache::new(file);
    let header = Header::parse(data)?;
    let endian = header.endian()?;
    let kind = header.e_type(endian);
    if ![ET_EXEC, ET_DYN].contains(&kind) || header.e_shoff(endian) == 0 {
        return Ok(None);
    }
    // Zero stands for a number too large for the field.
    if !(1..=MOST_SECTIONS).contains(&header.e_shnum(endian)) {
        return Err(StripError::TooMuch);
    }
    let sections = header.sections(endian, data)?;
    let names = header.shstrndx(endian, data)? as usize;
    let dropped = dropped(endian, &sections, names)?;
    if !dropped.contains(&true) {
        return Ok(None);
    }
    let size = data.len().map_err(|()| StripError::CutOff)?;
    let loaded = loaded_end(header, endian, data, &sections)?;
    let known = sections.iter().filter_map(|section| end(endian, section));
    let table = header.e_shoff(endian) + size_of::<Section>() as u64 * sections.len() as u64;
    match known.chain([table, loaded]).max() {
        Some(last) if last > size => return Err(StripError::CutOff),
        Some(last) if last < size => return Err(StripError::DataAfterEnd),
        _ => {}
    }
    let mut tail = Tail::after(loaded);
    let kept = renumbered(endian, &sections, &dropped)?;
    let kept = tail.take_in(endian, data, kept)?;
    let mut head = *header;
    head.e_shoff.set(endian, tail.end());
    head.e_shnum.set(endian, new_index(&dropped, dropped.len()));
    let names = new_index(&dropped, names);
    head.e_shstrndx
        .set(endian, SymbolSection::new(names.into()));
    tail.bytes.extend(bytes_of_slice(&kept));
    let stripped = Stripped {
        head: bytes_of(&head).to_vec(),
        loaded,
        tail: tail.bytes,
    };
    Ok((stripped.size() < size).then_some(stripped))
}

/// For each section whether it is dropped.
fn dropped<'data, R: ReadRef<'data>>(
    endian: Endianness,
    sections: &SectionTable<'data, Header, R>,
    names: usize,
) -> Result<Vec<bool>, StripError> {
    let mut dropped = vec![false; sections.len()];
    let mut last_loaded = 0;
    for (index, section) in sections.enumerate() {
        if section.sh_flags(endian).contains(SHF_ALLOC) {
            last_loaded = index.0;
            continue;
        }
        let kind = section.sh_type(endian);
        let name = sections.section_name(endian, section)?;
        // Relocations that are not loaded refer to a symbol table that is not.
        let symbols = [SHT_SYMTAB, SHT_SYMTAB_SHNDX, SHT_REL, SHT_RELA].contains(&kind);
        dropped[index.0] |= symbols || is_debug(name);
        if kind == SHT_SYMTAB {
            let strings = section.sh_link(endian) as usize;
            let loaded = |strings: &Section| strings.sh_flags(endian).contains(SHF_ALLOC);
            if let Some(strings_section) = sections.iter().nth(strings)
                && strings != names
                && strings_section.sh_type(endian) == SHT_STRTAB
                && !loaded(strings_section)
            {
                dropped[strings] = true;
            }
        }
    }
    dropped[names] = false;
    // Dynamic symbols know their sections by number.
    if dropped.iter().take(last_loaded).any(|dropped| *dropped) {
        return Err(StripError::UnusualOrder);
    }
    Ok(dropped)
}

/// Not `.gnu_debuglink`: through that a debugger finds symbols that are kept elsewhere.
fn is_debug(name: &[u8]) -> bool {
    const STARTS: [&[u8]; 5] = [
        b".debug",
        b".zdebug",
        b".stab",
        b".gnu_debugdata",
        b".gdb_index",
    ];
    STARTS.iter().any(|start| name.starts_with(start))
}

/// Where the part of the file ends that a system loads or that says what to load.
fn loaded_end<'data, R: ReadRef<'data>>(
    header: &Header,
    endian: Endianness,
    data: R,
    sections: &SectionTable<'data, Header, R>,
) -> Result<u64, StripError> {
    let segments = header.program_headers(endian, data)?;
    let table = header.e_phoff(endian) + size_of_val(segments) as u64;
    let mut loaded = table.max(size_of::<Header>() as u64);
    for segment in segments {
        let (offset, size) = segment.file_range(endian);
        if size > 0 {
            let end = offset.checked_add(size).ok_or(StripError::CutOff)?;
            loaded = loaded.max(end);
        }
    }
    let alloc = |section: &&Section| section.sh_flags(endian).contains(SHF_ALLOC);
    let ends = sections.iter().filter(alloc);
    let ends = ends.filter_map(|section| end(endian, section));
    Ok(ends.fold(loaded, u64::max))
}

/// Where a section ends that has bytes in the file; far out if that cannot be.
fn end(endian: Endianness, section: &Section) -> Option<u64> {
    let (offset, size) = section.file_range(endian)?;
    Some(offset.saturating_add(size))
}

/// The number of a section once those dropped before it are gone.
fn new_index(dropped: &[bool], index: usize) -> u16 {
    let kept = dropped.iter().take(index).filter(|dropped| !**dropped);
    u16::try_from(kept.count()).unwrap_or(MOST_SECTIONS)
}

/// The sections that stay, referring to each other by their new numbers.
fn renumbered<'data, R: ReadRef<'data>>(
    endian: Endianness,
    sections: &SectionTable<'data, Header, R>,
    dropped: &[bool],
) -> Result<Vec<Section>, StripError> {
    let renumber = |old: u32| match dropped.get(old as usize) {
        Some(false) => Ok(new_index(dropped, old as usize).into()),
        Some(true) => Ok(0),
        None => Err(StripError::UnusualOrder),
    };
    let kept = sections
        .iter()
        .zip(dropped)
        .filter(|(_, dropped)| !**dropped);
    kept.map(|(section, _)| {
        let mut section = *section;
        let kind = section.sh_type(endian);
        let link = renumber(section.sh_link(endian))?;
        section.sh_link.set(endian, link);
        let names_section = section.sh_flags(endian).contains(SHF_INFO_LINK);
        if names_section || [SHT_REL, SHT_RELA].contains(&kind) {
            let info = renumber(section.sh_info(endian))?;
            section.sh_info.set(endian, info);
        }
        Ok(section)
    })
    .collect()
}

/// What comes behind the loaded part.
struct Tail {
    loaded: u64,
    bytes: Vec<u8>,
}

impl Tail {
    fn after(loaded: u64) -> Self {
        let bytes = Vec::new();
        Self { loaded, bytes }
    }

    fn end(&self) -> u64 {
        self.loaded + self.bytes.len() as u64
    }

    fn align(&mut self, to: u64) {
        while !self.end().is_multiple_of(to.clamp(1, 64)) {
            self.bytes.push(0);
        }
    }

    /// Moves the content of the sections that lie behind the loaded part.
    fn take_in<'data, R: ReadRef<'data>>(
        &mut self,
        endian: Endianness,
        data: R,
        mut sections: Vec<Section>,
    ) -> Result<Vec<Section>, StripError> {
        for section in &mut sections {
            let range = section.file_range(endian).unwrap_or_default();
            if section.sh_offset(endian).saturating_add(range.1) <= self.loaded {
                continue;
            }
            if self.bytes.len() as u64 + range.1 > LARGEST_TAIL {
                return Err(StripError::TooMuch);
            }
            self.align(section.sh_addralign(endian));
            section.sh_offset.set(endian, self.end());
            let content = data.read_bytes_at(range.0, range.1);
            self.bytes.extend(content.map_err(|()| StripError::CutOff)?);
        }
        self.align(size_of::<u64>() as u64);
        Ok(sections)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    /// This test's own executable: linked dynamically, with symbols and debug information.
    fn executable() -> Vec<u8> {
        fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    fn stripped(file: &[u8]) -> Vec<u8> {
        let Stripped { head, loaded, tail } = strip(Cursor::new(file)).unwrap().unwrap();
        let loaded = usize::try_from(loaded).unwrap();
        [&head, &file[head.len()..loaded], &tail].concat()
    }

    fn section_names(file: &[u8]) -> Vec<String> {
        let header = Header::parse(file).unwrap();
        let endian = header.endian().unwrap();
        let sections = header.sections(endian, file).unwrap();
        let name = |section| sections.section_name(endian, section).unwrap();
        let names = sections.iter().map(name);
        names
            .map(|name| String::from_utf8(name.into()).unwrap())
            .collect()
    }

    #[test]
    fn stripped_executable_runs_and_has_its_dynamic_symbols_only() {
        let (before, after) = (executable(), stripped(&executable()));
        assert!(after.len() < before.len() / 2);
        let (before, names) = (section_names(&before), section_names(&after));
        for kept in [".dynsym", ".dynstr", ".shstrtab", ".text", ".comment"] {
            assert_eq!(
                names.iter().any(|name| name == kept),
                before.iter().any(|name| name == kept),
                "{kept}"
            );
        }
        for dropped in [".symtab", ".strtab", ".debug_info"] {
            assert!(before.iter().any(|name| name == dropped), "{dropped}");
            assert!(!names.iter().any(|name| name == dropped), "{dropped}");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stripped");
        fs::write(&path, after).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let output = Command::new(path).arg("--list").output().unwrap();
        assert!(output.status.success());
    }

    #[test]
    fn stripped_again_is_unchanged() {
        let once = stripped(&executable());
        assert!(strip(Cursor::new(once)).unwrap().is_none());
    }

    #[test]
    fn strip_what_cannot_be_stripped_says_why() {
        let whole = executable();
        let reason = |file: &[u8]| strip(Cursor::new(file)).unwrap_err().to_string();
        let unreadable = "is no 64-bit ELF file, or damaged";
        assert_eq!(reason(&MAGIC), unreadable);
        assert_eq!(reason(&whole[..whole.len() / 2]), unreadable);
        let mut long = whole.clone();
        long.extend(b"payload");
        assert_eq!(reason(&long), "has data after its sections");
        let mut many = whole.clone();
        many[60..62].copy_from_slice(&[0xff, 0x7f]);
        assert_eq!(reason(&many), "has too many or too large sections");
        assert_eq!(StripError::CutOff.to_string(), "is cut off");
        let order = StripError::UnusualOrder.to_string();
        assert_eq!(order, "has sections in an unusual order");
    }

    #[test]
    fn strip_damaged_anywhere_in_its_headers_never_panics() {
        let mut file = executable();
        let table = file[40..48].try_into().unwrap();
        let table = usize::try_from(u64::from_le_bytes(table)).unwrap();
        let bytes = (0..64).chain(table..file.len());
        for at in bytes {
            for value in [0, 1, 0x7f, 0xff] {
                let good = std::mem::replace(&mut file[at], value);
                let _ = strip(Cursor::new(&file));
                file[at] = good;
            }
        }
    }
}
