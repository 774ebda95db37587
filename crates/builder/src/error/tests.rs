//! Every failure as its reader sees it, in the order of the enums.

use std::path::{Path, PathBuf};

use hook::{CommandError, EnvironmentError, ExitStatus};
use mycnf::OptionFile;

use super::*;

fn path() -> PathBuf {
    "/h/x".into()
}

fn source() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

#[track_caller]
fn assert_rendered(error: impl Into<Error>, expected: &str) {
    let mut out = Vec::new();
    let status = hook::render("builder", &error.into(), &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("builder: error: {expected}\n")
    );
    assert_eq!(status, ExitStatus::Failed);
}

const ROOM: &str = "\n  cause: permission denied\n  next: make room on the disk, or make it writable \
                    for this user, push again";
const READABLE: &str =
    "\n  cause: permission denied\n  next: make it readable for this user, push again";

#[test]
fn settings_errors_have_exact_texts() {
    let home =
        "\n  next: set HOME to the service's home directory, as an absolute path that exists";
    assert_rendered(
        SettingsError::Home(EnvironmentError::HomeUnset),
        &format!("HOME is not set{home}"),
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        SettingsError::Home(EnvironmentError::FindHome {
            path: path_,
            source: source_,
        }),
        &format!("cannot find the home directory /h/x\n  cause: permission denied{home}"),
    );
    assert_rendered(
        SettingsError::Size {
            name: "MYSQL_TARBALL_MAX_SIZE".to_owned(),
            value: "huge".to_owned(),
        },
        "MYSQL_TARBALL_MAX_SIZE is 'huge', which is no number of bytes such as 512M or 32G\n  next: \
         correct MYSQL_TARBALL_MAX_SIZE, or take it out, push again",
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        SettingsError::FindApproot {
            path: path_,
            source: source_,
        },
        "cannot find the approot /h/x\n  cause: permission denied\n  next: correct approot in \
         dotcloud.yml, or call builder in the directory of dotcloud.yml",
    );
    assert_rendered(
        SettingsError::HomeIsApproot { path: path() },
        "the home directory and the approot are the same, /h/x\n  next: set HOME to a directory of \
         its own: builder copies the approot's files there",
    );
}

#[test]
fn tarball_errors_have_exact_texts() {
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    let (path_, source_) = (path(), source());
    assert_rendered(
        TarballError::ReadApproot {
            path: path_,
            source: source_,
        },
        &format!("cannot read the approot /h/x{READABLE}"),
    );
    assert_rendered(
        TarballError::None {
            path: path(),
            names: Vec::new(),
        },
        "no server tarball in /h/x\n  next: put the vendor's Linux tarball (.tar.xz or .tar.gz) \
         there, best made small with 'repack', push again; git does not upload what .gitignore \
         names",
    );
    let two = names(&["a.tgz", "b.tgz"]);
    assert_rendered(
        TarballError::Several {
            path: path(),
            names: two,
        },
        "2 server tarballs in /h/x: a.tgz, b.tgz\n  next: keep one of them there, or set \
         MYSQL_TARBALL to its name, push again",
    );
    for (seen, next) in [
        (
            &["a.tgz", "b.tgz"][..],
            "set MYSQL_TARBALL to one of: a.tgz, b.tgz",
        ),
        (&[], "put that tarball there, push again"),
    ] {
        let (wanted, names) = ("c.tgz".to_owned(), names(seen));
        assert_rendered(
            TarballError::Unknown {
                path: path(),
                wanted,
                names,
            },
            &format!("MYSQL_TARBALL is 'c.tgz', which is not a tarball in /h/x\n  next: {next}"),
        );
    }
    let (path_, source_) = (path(), source());
    assert_rendered(
        TarballError::Read {
            path: path_,
            source: source_,
        },
        &format!("cannot read the tarball /h/x{READABLE}"),
    );
}

#[test]
fn file_errors_have_exact_texts() {
    let (path_, source_) = (path(), source());
    assert_rendered(
        FilesError::Read {
            path: path_,
            source: source_,
        },
        &format!("cannot read /h/x{READABLE}"),
    );
    let (path_, source_) = (path(), io::ErrorKind::NotFound.into());
    assert_rendered(
        FilesError::Read {
            path: path_,
            source: source_,
        },
        "cannot read /h/x\n  cause: entity not found\n  next: the approot needs my.cnf, profile, \
         postinstall and starttest ('make hooks' builds the last two); add it, push again",
    );
    let flawed = OptionFile::parse(Path::new("/h/x"), b"[mysql\n").unwrap_err();
    assert_rendered(
        FilesError::OptionFile(flawed),
        "/h/x:1:1: group header without its closing ']'\n  | 1:1: group header without its closing \
         ']'\n  |   [mysql\n  |   accepted: [mysqld]\n  next: correct my.cnf, push again",
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        FilesError::Write {
            path: path_,
            source: source_,
        },
        &format!("cannot write /h/x{ROOM}"),
    );
}

#[test]
fn release_errors_have_exact_texts() {
    let (path_, source_) = (path(), source());
    assert_rendered(
        ReleaseError::Prepare {
            path: path_,
            source: source_,
        },
        &format!("cannot prepare /h/x{ROOM}"),
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        ReleaseError::PutInPlace {
            path: path_,
            source: source_,
        },
        &format!("cannot put /h/x in place{ROOM}"),
    );
}

#[test]
fn unpack_errors_of_other_files_have_exact_texts() {
    assert_rendered(
        TarballError::NoTarball(judge::NoTarball::judge(&path(), b"BZh9").unwrap_err()),
        "/h/x is a bzip2 file, not a .tar, .tar.gz, .tar.xz or .tar.zst\n  next: convert it: unpack it \
         and run 'tar czf NAME.tar.gz DIRECTORY'",
    );
    let unpack = |error| ReleaseError::Unpack(error);
    assert_rendered(
        unpack(UnpackError::TooMuchMemory { path: path() }),
        "/h/x needs more than 128 MiB of memory to inflate\n  next: recompress it with 'repack', or \
         with 'zstd --long=27', push again",
    );
    assert_rendered(
        unpack(UnpackError::TooLarge {
            path: path(),
            limit: 5,
        }),
        "/h/x inflates to more than 5 bytes\n  next: if it is the vendor's (compare its checksum), \
         allow more with MYSQL_TARBALL_MAX_SIZE, push again",
    );
    assert_rendered(
        unpack(judge::NoTarball::Twice { path: path() }.into()),
        "/h/x is compressed twice\n  next: inflate it once, for example with 'gzip -dc FILE \
         >NAME.tar.gz', and take what comes out",
    );
    let (entry, why) = ("a".into(), "is a symbolic link to an absolute path");
    assert_rendered(
        unpack(EntryError::Refused { entry, why }.into()),
        "the tarball's entry 'a' is a symbolic link to an absolute path\n  next: 'repack --drop PATH \
         FILE' leaves it out, its path below the top directory, if you trust the rest; push that",
    );
    assert_rendered(
        unpack(judge::NoServer::unknown("/h/x".as_ref()).into()),
        "/h/x has no server\n  next: pass the vendor's binary tarball (linux-generic, not the source, \
         not the test suite)",
    );
}

#[test]
fn unpack_errors_have_exact_texts() {
    let unpack = |error: UnpackError| Error::Release(ReleaseError::Unpack(error));
    let again = "\n  next: fetch the tarball again from the vendor and compare its checksum";
    let mistaken = "\n  next: put the vendor's Linux tarball there; a download page saved under its \
                    name is the usual mistake";
    let (path_, source_) = (path(), source());
    assert_rendered(
        unpack(UnpackError::Read {
            path: path_,
            source: source_,
        }),
        "cannot read /h/x to its end\n  cause: permission denied\n  next: fetch the tarball again \
         (it is cut short or damaged), compare its checksum with the vendor's, push again",
    );
    assert_rendered(
        unpack(UnpackError::Empty { path: path() }),
        &format!("/h/x is an empty tarball{mistaken}"),
    );
    let (first, second) = ("a".into(), "b".into());
    assert_rendered(
        unpack(UnpackError::SeveralTops { first, second }),
        "the tarball has two top directories, 'a' and 'b'\n  next: pack one directory that holds bin, \
         lib and share, push again",
    );
    assert_rendered(
        unpack(EntryError::Name { source: source() }.into()),
        &format!(
            "the tarball has an entry with an unreadable name\n  cause: permission denied{again}"
        ),
    );
    let (entry, why) = ("a".into(), "leads out of the directory");
    assert_rendered(
        unpack(EntryError::Refused { entry, why }.into()),
        &format!("the tarball's entry 'a' leads out of the directory{again}"),
    );
    let (entry, source_) = ("a".into(), source());
    assert_rendered(
        unpack(UnpackError::Write {
            entry,
            source: source_,
        }),
        &format!("cannot unpack 'a'{ROOM}"),
    );
}

#[test]
fn library_errors_have_exact_texts() {
    let library = |error: LibrariesError| Error::Release(ReleaseError::Libraries(error));
    let again = "\n  next: fetch the tarball again and compare its checksum with the vendor's";
    let (path_, source_) = (path(), source());
    assert_rendered(
        library(LibrariesError::ReadExecutable {
            path: path_,
            source: source_,
        }),
        &format!("cannot read /h/x\n  cause: permission denied{again}"),
    );
    let source_ = object::File::parse(&b"no elf"[..]).unwrap_err();
    let cause = source_.to_string().to_lowercase();
    assert_rendered(
        library(LibrariesError::Parse {
            path: path(),
            source: source_,
        }),
        &format!("/h/x is damaged\n  cause: {cause}{again}"),
    );
    let (found, here) = ("aarch64", "x86_64");
    assert_rendered(
        library(LibrariesError::Architecture {
            path: path(),
            found,
            here,
        }),
        "the server is for aarch64, and this machine is x86_64\n  next: put the vendor's tarball \
         for Linux on x86_64 there, push again",
    );
    assert_rendered(
        library(LibrariesError::Link {
            path: path(),
            source: source(),
        }),
        "cannot make the link /h/x\n  cause: permission denied\n  next: make room on the disk, or make \
         the directory writable for this user, push again",
    );
    let libraries = ["libaio.so.1", "libnuma.so.1", "libx.so.9"].map(str::to_owned);
    assert_rendered(
        library(LibrariesError::Missing {
            program: "server",
            libraries: libraries.into(),
        }),
        "the server needs libaio.so.1, libnuma.so.1, libx.so.9, which neither the tarball nor this \
         system has\n  | libaio.so.1: package libaio1, or libaio1t64 from Debian 13 and Ubuntu \
         24.04 on\n  | libnuma.so.1: package libnuma1\n  | libx.so.9: 'apt-file search libx.so.9' \
         names the package\n  next: list the packages that have them under systempackages in \
         dotcloud.yml, push again",
    );
}

#[test]
fn time_zone_errors_have_exact_texts() {
    let (variable, value) = ("MYSQL_INITDB_SKIP_TZINFO".to_owned(), "yes".into());
    assert_rendered(
        SettingsError::Switch(hook::SwitchError { variable, value }),
        "MYSQL_INITDB_SKIP_TZINFO is 'yes', which is neither 0 nor 1\n  next: set it to 1 or 0, push \
         again",
    );
    let source = CommandError::Start {
        program: "/r/bin/mysql_tzinfo_to_sql".into(),
        source: source(),
    };
    assert_rendered(
        SeedError::ReadTimeZones { source },
        "cannot read the system's time zones\n  cause: cannot run /r/bin/mysql_tzinfo_to_sql\n  \
         cause: permission denied\n  next: reinstall the system's zone files (package tzdata), or \
         set MYSQL_INITDB_SKIP_TZINFO to 1 to do without, push again",
    );
}

#[test]
fn first_run_errors_have_exact_texts() {
    let write = FirstRunError::Write {
        path: path(),
        source: source(),
    };
    assert_rendered(write, &format!("cannot write /h/x{ROOM}"));
    assert_rendered(
        FirstRunError::ReadCheck {
            path: path(),
            source: source(),
        },
        "cannot read the check file /h/x\n  cause: permission denied\n  next: make it readable for this \
         user, push again",
    );
    assert_rendered(
        FirstRunError::FindClient {
            files: "check files",
            directory: "check.d",
            server: "MySQL 9.7.4".to_owned(),
        },
        "there are check files, and the tarball of MySQL 9.7.4 has no client to run them\n  next: push the \
         vendor's whole tarball, with bin/mysql or bin/mariadb, or take the files out of check.d",
    );
    let libraries = LibrariesError::Missing {
        program: "client",
        libraries: vec!["libtinfo.so.5".to_owned()],
    };
    assert_rendered(
        FirstRunError::Libraries(libraries),
        "the client needs libtinfo.so.5, which neither the tarball nor this system has\n  | \
         libtinfo.so.5: package libtinfo5\n  next: list the packages that have them under \
         systempackages in dotcloud.yml, push again",
    );
}

#[test]
fn probe_errors_have_exact_texts() {
    let probe = |error: ProbeError| Error::Release(ReleaseError::Probe(error));
    assert_rendered(
        probe(ProbeError::NoServer { path: path() }),
        "no MySQL server in /h/x\n  next: put a tarball with bin/mysqld or bin/mariadbd there: not \
         the source, the client or the test suite alone",
    );
    let run = CommandError::Start {
        program: "/r/mysqld".into(),
        source: source(),
    };
    assert_rendered(
        probe(ProbeError::RunServer { source: run }),
        "the server does not run on this machine\n  cause: cannot run /r/mysqld\n  cause: \
         permission denied\n  next: put the vendor's tarball for this machine's processor and C \
         library there",
    );
    let text = "?".to_owned();
    assert_rendered(
        probe(ProbeError::UnknownVersion { path: path(), text }),
        "cannot tell the version of /h/x from '?'\n  next: put a tarball of MySQL, Percona Server \
         or MariaDB there",
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        probe(ProbeError::ReadStamp {
            path: path_,
            source: source_,
        }),
        "cannot read /h/x\n  cause: permission denied\n  next: remove that release's directory, or \
         push --clean",
    );
}

#[test]
fn seed_errors_have_exact_texts() {
    let (path_, source_) = (path(), source());
    assert_rendered(
        SeedError::Prepare {
            path: path_,
            source: source_,
        },
        &format!("cannot prepare /h/x{ROOM}"),
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        SeedError::Store {
            path: path_,
            source: source_,
        },
        &format!("cannot write the seed /h/x{ROOM}"),
    );
    let (path_, source_) = (path(), source());
    assert_rendered(
        SeedError::Write(mycnf::WriteError {
            path: path_,
            source: source_,
        }),
        &format!("cannot write /h/x{ROOM}"),
    );
    let by = mycnf::Place {
        path: path(),
        line: 3,
    };
    let cycle = mycnf::IncludeError::Cycle { path: path(), by };
    let text = cycle.to_string();
    assert_rendered(
        SeedError::Render(cycle),
        &format!("{text}\n  next: correct the includes of my.cnf, push again"),
    );
    assert_rendered(
        SeedError::Initialise {
            evidence: "[ERROR] b".to_owned(),
            source: Box::new(mycnf::InitialiseError::FindInitialiser {
                path: path(),
                wanted: "scripts/mariadb-install-db",
            }),
        },
        "cannot make the seed of the first starts\n  cause: no scripts/mariadb-install-db in /h/x\n  \
         | [ERROR] b\n  next: make room on the disk if it is full, else correct what the server says \
         in my.cnf or the tarball, push again",
    );
}
