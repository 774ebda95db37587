//! Can this machine run the server? Its architecture, and every shared library it needs, read from
//! the executable, so that all that is missing is named at once, with the package that has it.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use hook::Executable;
use judge::NoServer;
use mycnf::{LIBRARY_DIRECTORIES, LINKED_LIBRARIES, RENAMED_LIBRARIES, SERVER_EXECUTABLES};
use object::read::{Object, ReadCache};
use thiserror::Error;

/// Where this system keeps its libraries, besides what /etc/ld.so.conf adds.
const SYSTEM: [&str; 4] = ["/lib", "/usr/lib", "/lib64", "/usr/lib64"];

/// What the vendors' own initialisers run besides the server.
const HELPERS: [&str; 2] = ["bin/my_print_defaults", "bin/resolveip"];

/// Checks every server executable below `basedir`, where `tarball` was unpacked, and what its initialiser
/// runs: nothing that is not for this machine is ever run. A library that the system has under another
/// name is linked into the release. Scripts that start a server are judged by what
/// they start.
pub(crate) fn check(basedir: &Path, tarball: &Path) -> Result<(), LibrariesError> {
    let mut missing = BTreeSet::new();
    for name in SERVER_EXECUTABLES.iter().chain(&HELPERS) {
        let path = basedir.join(name);
        if path.is_file() {
            check_program(&path, name, tarball)?;
        }
    }
    for name in SERVER_EXECUTABLES {
        let path = basedir.join(name);
        if path.is_file() {
            missing.extend(unresolved_libraries(basedir, &path)?);
        }
    }
    link_renamed(basedir, &mut missing, &system_directories())?;
    all_found(missing, "server")
}

/// Checks the release's `client`.
pub(crate) fn check_client(basedir: &Path, client: &Path) -> Result<(), LibrariesError> {
    let name = client.strip_prefix(basedir).unwrap_or(client);
    check_program(client, &name.to_string_lossy(), basedir)?;
    let missing = unresolved_libraries(basedir, client)?;
    all_found(missing.into_iter().collect(), "client")
}

/// Whether the program `path`, called `name` in `tarball`, is one for this machine.
fn check_program(path: &Path, name: &str, tarball: &Path) -> Result<(), LibrariesError> {
    let executable =
        Executable::of_file(path).map_err(|source| LibrariesError::ReadExecutable {
            path: path.to_owned(),
            source,
        })?;
    match executable {
        Executable::Script | Executable::Native => Ok(()),
        Executable::OtherMachine(found) => Err(LibrariesError::Architecture {
            path: path.to_owned(),
            found,
            here: std::env::consts::ARCH,
        }),
        Executable::OtherSystem(system) => Err(NoServer::for_system(tarball, name, system).into()),
        Executable::Unknown => Err(NoServer::no_program(tarball, name).into()),
    }
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

/// Links each of `missing` that one of the `directories` has under the name of newer systems into the
/// release, and takes it out of them.
fn link_renamed(
    basedir: &Path,
    missing: &mut BTreeSet<String>,
    directories: &[PathBuf],
) -> Result<(), LibrariesError> {
    for (name, renamed) in RENAMED_LIBRARIES {
        let mut places = directories.iter().map(|dir| dir.join(renamed));
        let Some(there) = places.find(|path| missing.contains(name) && path.is_file()) else {
            continue;
        };
        let dir = basedir.join(LINKED_LIBRARIES);
        let path = dir.join(name);
        fs::create_dir_all(dir)
            .and_then(|()| symlink(there, &path))
            .map_err(|source| LibrariesError::Link { path, source })?;
        missing.remove(name);
    }
    Ok(())
}

/// The names of all libraries that the release or the system offers.
fn available_libraries(basedir: &Path) -> HashSet<String> {
    let bundled = LIBRARY_DIRECTORIES.iter().chain(&[LINKED_LIBRARIES]);
    bundled
        .map(|dir| basedir.join(dir))
        .chain(system_directories())
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

fn system_directories() -> Vec<PathBuf> {
    let system = SYSTEM.iter().map(PathBuf::from).flat_map(|dir| {
        // Debian keeps them below the architecture's triplet.
        let triplet = dir.join(format!("{}-linux-gnu", std::env::consts::ARCH));
        [dir, triplet]
    });
    system.chain(configured_directories()).collect()
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
    /// Made for another system, or for none.
    #[error(transparent)]
    Foreign(#[from] NoServer),
    /// Made for another processor.
    #[error("the server is for {found}, and this machine is {here}")]
    Architecture {
        /// The server's executable.
        path: PathBuf,
        /// The executable's architecture.
        found: &'static str,
        /// This machine's.
        here: &'static str,
    },
    /// A library that the system has under another name.
    #[error("cannot make the link {path}", path = path.display())]
    Link {
        /// The link.
        path: PathBuf,
        /// Why.
        source: io::Error,
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

    fn check(basedir: &Path) -> Result<(), LibrariesError> {
        super::check(basedir, Path::new("m.tar.gz"))
    }

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
    fn link_renamed_only_what_is_missing_and_there() {
        let (release, system) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let link = release.path().join("lib/linked/libaio.so.1");
        let mut missing: BTreeSet<String> = ["libaio.so.1", "libx.so.9"].map(str::to_owned).into();
        let directories = [PathBuf::from("/nowhere"), system.path().to_owned()];
        let mut link_all = || {
            link_renamed(release.path(), &mut missing, &directories).unwrap();
            missing.len()
        };
        assert_eq!(link_all(), 2);
        assert!(!release.path().join("lib").exists());
        let there = system.path().join("libaio.so.1t64");
        fs::write(&there, "").unwrap();
        assert_eq!(link_all(), 1);
        assert_eq!(fs::read_link(&link).unwrap(), there);
        assert_eq!(link_all(), 1, "not missing any more");
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
    fn check_what_is_for_no_linux_is_told() {
        let text = |content: &[u8]| check(release(content).path()).unwrap_err().to_string();
        assert_eq!(
            text(b"\xcf\xfa\xed\xfe\ntouch x\n"),
            "m.tar.gz is for macOS, as its bin/mysqld shows"
        );
        assert_eq!(
            text(b"MZ\x90\0"),
            "m.tar.gz is for Windows, as its bin/mysqld shows"
        );
        let neither = "m.tar.gz has a bin/mysqld that is neither a program for Linux nor a script";
        assert_eq!(text(b"exit 0\n"), neither);
        assert_eq!(text(b""), neither);
        let helped = release(b"#!/bin/sh\n");
        fs::write(helped.path().join("bin/resolveip"), "exit 0\n").unwrap();
        assert_eq!(
            check(helped.path()).unwrap_err().to_string(),
            neither.replace("mysqld", "resolveip")
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
}
