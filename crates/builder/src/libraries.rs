//! Can this machine run the server? Its architecture, and every shared library it needs, read from
//! the executable, so that all that is missing is named at once, with the package that has it.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use mycnf::SERVER_EXECUTABLES;
use object::read::{Object, ReadCache};
use thiserror::Error;

/// Where vendors put the libraries they bring, below the release's top directory.
const BUNDLED: [&str; 5] = [
    "lib",
    "lib64",
    "lib/private",
    "lib/mysql",
    "lib/mysql/private",
];

/// Where this system keeps its libraries, besides what /etc/ld.so.conf adds.
const SYSTEM: [&str; 4] = ["/lib", "/usr/lib", "/lib64", "/usr/lib64"];

/// Which Debian or Ubuntu package has a library that servers need: older releases' name first,
/// since the 64-bit time transition's `t64` names came later.
const PACKAGES: [(&str, &str); 16] = [
    (
        "libaio.so.1",
        "libaio1 (Debian 13 and Ubuntu 24.04 have libaio1t64 instead, whose \
         libaio.so.1t64 needs a link of this name)",
    ),
    ("libaio.so.1t64", "libaio1t64"),
    ("libnuma.so.1", "libnuma1"),
    ("libncurses.so.5", "libncurses5"),
    ("libtinfo.so.5", "libtinfo5"),
    ("libncurses.so.6", "libncurses6"),
    ("libtinfo.so.6", "libtinfo6"),
    ("libssl.so.1.1", "libssl1.1"),
    (
        "libssl.so.3",
        "libssl3, or libssl3t64 from Debian 13 and Ubuntu 24.04 on",
    ),
    (
        "libcrypto.so.3",
        "libssl3, or libssl3t64 from Debian 13 and Ubuntu 24.04 on",
    ),
    ("liburing.so.2", "liburing2"),
    ("libsnappy.so.1", "libsnappy1v5"),
    ("libpcre2-8.so.0", "libpcre2-8-0"),
    ("libcrypt.so.1", "libcrypt1"),
    ("libsystemd.so.0", "libsystemd0"),
    ("libstdc++.so.6", "libstdc++6"),
];

/// Checks every server executable below `basedir`; scripts that start one are not ELF and are
/// judged by what they start.
pub(crate) fn check(basedir: &Path) -> Result<(), LibrariesError> {
    let mut missing = BTreeSet::new();
    for name in SERVER_EXECUTABLES {
        let path = basedir.join(name);
        if path.is_file() {
            missing.extend(unresolved_libraries(basedir, &path)?);
        }
    }
    all_found(missing, "server")
}

/// Checks the release's `client`.
pub(crate) fn check_client(basedir: &Path, client: &Path) -> Result<(), LibrariesError> {
    let missing = unresolved_libraries(basedir, client)?;
    all_found(missing.into_iter().collect(), "client")
}

fn all_found(missing: BTreeSet<String>, program: &'static str) -> Result<(), LibrariesError> {
    if missing.is_empty() {
        Ok(())
    } else {
        Err(LibrariesError::Missing {
            program,
            libraries: missing.into_iter().collect(),
        })
    }
}

fn unresolved_libraries(basedir: &Path, path: &Path) -> Result<Vec<String>, LibrariesError> {
    let read = |source| LibrariesError::ReadExecutable {
        path: path.to_owned(),
        source,
    };
    // Not the whole file: an unstripped server has 80 MB.
    let cache = ReadCache::new(File::open(path).map_err(read)?);
    let Ok(elf) = object::File::parse(&cache) else {
        return Ok(Vec::new());
    };
    let (found, here) = (format!("{:?}", elf.architecture()), std::env::consts::ARCH);
    if !found.eq_ignore_ascii_case(here) {
        return Err(LibrariesError::Architecture {
            path: path.to_owned(),
            found: found.to_lowercase(),
            here,
        });
    }
    let available = available_libraries(basedir);
    let parse = |source| LibrariesError::Parse {
        path: path.to_owned(),
        source,
    };
    let mut unresolved = Vec::new();
    for library in elf.import_libraries().map_err(parse)? {
        let library = library.map_err(parse)?;
        let name = String::from_utf8_lossy(library.name()).into_owned();
        if !available.contains(&name) {
            unresolved.push(name);
        }
    }
    Ok(unresolved)
}

/// The names of all libraries that the release or the system offers.
fn available_libraries(basedir: &Path) -> HashSet<String> {
    let bundled = BUNDLED.iter().map(|dir| basedir.join(dir));
    let system = SYSTEM.iter().map(PathBuf::from).flat_map(|dir| {
        // Debian keeps them below the architecture's triplet.
        let triplet = dir.join(format!("{}-linux-gnu", std::env::consts::ARCH));
        [dir, triplet]
    });
    bundled
        .chain(system)
        .chain(configured_directories())
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

/// The directories that `/etc/ld.so.conf.d/*.conf` adds (ldconfig(8)).
fn configured_directories() -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir("/etc/ld.so.conf.d") else {
        return Vec::new();
    };
    files
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
        .flat_map(|text| {
            text.lines()
                .filter(|line| line.starts_with('/'))
                .map(PathBuf::from)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The package that has `library`, as advice.
#[must_use]
pub(crate) fn package_of(library: &str) -> Option<&'static str> {
    PACKAGES
        .iter()
        .find(|(name, _)| *name == library)
        .map(|(_, package)| *package)
}

/// This machine cannot run the server.
#[derive(Debug, Error)]
pub enum LibrariesError {
    /// The executable cannot be read.
    #[error("cannot read {path}", path = path.display())]
    ReadExecutable {
        /// The server's executable.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The executable's dynamic section is damaged.
    #[error("{path} is damaged", path = path.display())]
    Parse {
        /// The server's executable.
        path: PathBuf,
        /// What is wrong with it.
        source: object::Error,
    },
    /// Made for another processor.
    #[error("the server is for {found}, and this machine is {here}")]
    Architecture {
        /// The server's executable.
        path: PathBuf,
        /// The executable's architecture.
        found: String,
        /// This machine's.
        here: &'static str,
    },
    /// Libraries that neither the tarball nor the system has.
    #[error("the {program} needs {list}, which neither the tarball nor this system has", list = libraries.join(", "))]
    Missing {
        /// What needs them: server or client.
        program: &'static str,
        /// Their names, as in the executable.
        libraries: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn release(content: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        let path = dir.path().join("bin/mysqld");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        dir
    }

    /// The first library name in this machine's /bin/sh, replaced by one of the same length.
    fn with_library(name: &[u8; 9]) -> Vec<u8> {
        let mut elf = fs::read("/bin/sh").unwrap();
        let at = elf
            .windows(10)
            .position(|window| window == b"libc.so.6\0")
            .unwrap();
        elf[at..at + 9].copy_from_slice(name);
        elf
    }

    #[test]
    fn check_this_machines_executable_and_a_script_pass() {
        check(release(&fs::read("/bin/sh").unwrap()).path()).unwrap();
        check(release(b"#!/bin/sh\n").path()).unwrap();
    }

    #[test]
    fn check_missing_library_is_named() {
        let dir = release(&with_library(b"libx.so.9"));
        assert_eq!(
            check(dir.path()).unwrap_err().to_string(),
            "the server needs libx.so.9, which neither the tarball nor this system has"
        );
        fs::create_dir_all(dir.path().join("lib/private")).unwrap();
        fs::write(dir.path().join("lib/private/libx.so.9"), "").unwrap();
        check(dir.path()).unwrap();
    }

    #[test]
    fn check_other_architecture_is_named() {
        let mut elf = fs::read("/bin/sh").unwrap();
        // e_machine, at offset 18 (elf(5)): EM_AARCH64, else EM_X86_64.
        let (machine, name) = if cfg!(target_arch = "x86_64") {
            (183_u16, "aarch64")
        } else {
            (62, "x86_64")
        };
        elf[18..20].copy_from_slice(&machine.to_le_bytes());
        assert_eq!(
            check(release(&elf).path()).unwrap_err().to_string(),
            format!(
                "the server is for {name}, and this machine is {}",
                std::env::consts::ARCH
            )
        );
    }

    #[test]
    fn errors_have_exact_texts() {
        let path = PathBuf::from("/r/bin/mysqld");
        let read = LibrariesError::ReadExecutable {
            path: path.clone(),
            source: io::Error::other("x"),
        };
        assert_eq!(read.to_string(), "cannot read /r/bin/mysqld");
        let source = object::File::parse(&b"no elf"[..]).unwrap_err();
        let parse = LibrariesError::Parse { path, source };
        assert_eq!(parse.to_string(), "/r/bin/mysqld is damaged");
    }

    #[test]
    fn package_of_known_libraries() {
        assert_eq!(package_of("libnuma.so.1"), Some("libnuma1"));
        assert_eq!(package_of("libx.so.9"), None);
    }
}
