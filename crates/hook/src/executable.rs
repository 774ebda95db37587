//! What an executable file is made for, by its first bytes. Whatever is neither a script nor made for this
//! machine is never run: `execvp` of the C library hands what the kernel refuses to `/bin/sh`, which obeys
//! any text that happens to be in it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::io::Errno;

/// What runs an executable file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executable {
    /// The interpreter that its first line names.
    Script,
    /// This machine.
    Native,
    /// Linux on another machine.
    OtherMachine(&'static str),
    /// Another system.
    OtherSystem(&'static str),
    /// Nobody knows what.
    Unknown,
}

/// The numbers of machines in ELF files (`e_machine`), and their usual names.
const MACHINES: [(u16, &str); 12] = [
    (2, "sparc"),
    (3, "i386"),
    (8, "mips"),
    (20, "powerpc"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (43, "sparc64"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (258, "loongarch64"),
];

impl Executable {
    /// As many bytes tell it.
    pub const START: usize = 20;

    /// Tells it by the file's first bytes.
    #[must_use]
    pub fn of(start: &[u8]) -> Self {
        match start {
            [b'#', b'!', ..] => Self::Script,
            [0x7f, b'E', b'L', b'F', ..] => elf(start),
            [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..]
            | [0xfe, 0xed, 0xfa, 0xcf | 0xce, ..]
            | [0xca, 0xfe, 0xba, 0xbe | 0xbf, ..] => Self::OtherSystem("macOS"),
            [b'M', b'Z', ..] => Self::OtherSystem("Windows"),
            _ => Self::Unknown,
        }
    }

    /// Tells it by reading the file `path`.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut start = Vec::new();
        let file = File::open(path)?;
        file.take(Self::START as u64).read_to_end(&mut start)?;
        Ok(Self::of(&start))
    }

    /// Refuses to run the file `path`, as the kernel would, if it is for anything else than this machine.
    /// What cannot be read is left to whoever runs it.
    pub(crate) fn check(path: &Path) -> io::Result<()> {
        // Without a slash it is one of the system's own programs, looked up in PATH.
        if path.components().count() < 2 {
            return Ok(());
        }
        match Self::of_file(path) {
            Ok(Self::OtherMachine(_) | Self::OtherSystem(_) | Self::Unknown) => {
                Err(Errno::NOEXEC.into())
            }
            Ok(Self::Script | Self::Native) | Err(_) => Ok(()),
        }
    }
}

/// An ELF file by its header (elf(5)): class, byte order, system, machine.
fn elf(start: &[u8]) -> Executable {
    let Some(header) = start.first_chunk::<{ Executable::START }>() else {
        return Executable::Unknown;
    };
    let number = [header[18], header[19]];
    let machine = match header[5] {
        1 => u16::from_le_bytes(number),
        2 => u16::from_be_bytes(number),
        _ => return Executable::Unknown,
    };
    match header[7] {
        2 => return Executable::OtherSystem("NetBSD"),
        6 => return Executable::OtherSystem("Solaris"),
        9 => return Executable::OtherSystem("FreeBSD"),
        12 => return Executable::OtherSystem("OpenBSD"),
        _ => {}
    }
    let known = MACHINES.iter().find(|(number, _)| *number == machine);
    let name = match (known, header[4]) {
        (Some((_, "x86_64")), 1) => "x32",
        (Some((_, name)), _) => name,
        (None, _) => return Executable::Unknown,
    };
    if name == std::env::consts::ARCH {
        Executable::Native
    } else {
        Executable::OtherMachine(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of an ELF file of this class, byte order, system and machine.
    fn elf(class: u8, order: u8, system: u8, machine: [u8; 2]) -> Vec<u8> {
        let mut start = b"\x7fELF".to_vec();
        start.extend([class, order, 1, system]);
        start.resize(18, 0);
        start.extend(machine);
        start
    }

    #[test]
    fn executable_of_each_kind_is_told() {
        use Executable::{Native, OtherMachine, OtherSystem, Script, Unknown};
        let of = |start: &[u8]| Executable::of(start);
        let own = Executable::of_file(&std::env::current_exe().unwrap());
        assert_eq!(own.unwrap(), Native);
        assert_eq!(of(b"#!/bin/sh\n"), Script);
        assert_eq!(of(&elf(1, 1, 0, [3, 0])), OtherMachine("i386"));
        assert_eq!(of(&elf(1, 1, 0, [62, 0])), OtherMachine("x32"));
        assert_eq!(of(&elf(2, 2, 0, [0, 22])), OtherMachine("s390x"));
        assert_eq!(of(&elf(2, 1, 9, [62, 0])), OtherSystem("FreeBSD"));
        assert_eq!(of(&elf(2, 1, 0, [0xff, 0xff])), Unknown);
        assert_eq!(of(b"\x7fELF\x02"), Unknown);
        assert_eq!(of(b"\xcf\xfa\xed\xfe\x07"), OtherSystem("macOS"));
        assert_eq!(of(b"\xca\xfe\xba\xbe\0\0\0\x02"), OtherSystem("macOS"));
        assert_eq!(of(b"MZ\x90"), OtherSystem("Windows"));
        assert_eq!(of(b"touch x\n"), Unknown);
        assert_eq!(of(b""), Unknown);
    }

    #[test]
    fn check_refuses_by_path_what_a_shell_would_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        for (content, runs) in [
            (&b"exit 0\n"[..], false),
            (b"#!/bin/sh\n", true),
            (b"", false),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(Executable::check(&path).is_ok(), runs, "{content:?}");
        }
        Executable::check(Path::new("sh")).unwrap();
        Executable::check(&dir.path().join("absent")).unwrap();
    }
}
