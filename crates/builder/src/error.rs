//! What to do about each failure of the build.

use std::io;

use hook::{Advice, Explain, Kind};
use mycnf::{FirstRunFileError, ProbeError, package_of};
use thiserror::Error;

use crate::entry::EntryError;
use crate::files::FilesError;
use crate::first_run::FirstRunError;
use crate::libraries::LibrariesError;
use crate::release::ReleaseError;
use crate::seed::SeedError;
use crate::settings::SettingsError;
use crate::tarball::TarballError;
use crate::unpack::UnpackError;

/// Why the build failed. The previous build is untouched.
#[derive(Debug, Error)]
pub enum Error {
    /// Its inputs.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Which tarball.
    #[error(transparent)]
    Tarball(#[from] TarballError),
    /// The approot's files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The first-run files.
    #[error(transparent)]
    FirstRun(#[from] FirstRunError),
    /// Installing the release.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// Making the seed.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

impl Explain for Error {
    fn advice(&self) -> Advice {
        match self {
            Self::Settings(error) => settings(error),
            Self::Tarball(error) => tarball(error),
            Self::Files(error) => files(error),
            Self::FirstRun(error) => first_run(error),
            Self::Release(error) => release(error),
            Self::Seed(error) => seed(error),
        }
    }
}

impl Explain for ReleaseError {
    fn advice(&self) -> Advice {
        release(self)
    }
}

fn settings(error: &SettingsError) -> Advice {
    match error {
        SettingsError::Home(_) => Advice::new(
            Kind::Environment,
            "set HOME to the service's home directory, as an absolute path that exists",
        ),
        SettingsError::Switch(_) => {
            Advice::new(Kind::Configuration, "set it to 1 or 0, push again")
        }
        SettingsError::Size { name, .. } => Advice::new(
            Kind::Configuration,
            format!("correct {name}, or take it out, push again"),
        ),
        SettingsError::FindApproot { .. } => Advice::new(
            Kind::Configuration,
            "correct approot in dotcloud.yml, or call builder in the directory of dotcloud.yml",
        ),
        SettingsError::HomeIsApproot { .. } => Advice::new(
            Kind::Environment,
            "set HOME to a directory of its own: builder copies the approot's files there",
        ),
    }
}

fn tarball(error: &TarballError) -> Advice {
    match error {
        TarballError::ReadApproot { .. } | TarballError::Read { .. } => Advice::new(
            Kind::Environment,
            "make it readable for this user, push again",
        ),
        TarballError::None { .. } => Advice::new(
            Kind::Configuration,
            "put the vendor's Linux tarball (.tar.xz or .tar.gz) there, best made small with \
             'repack', push again; git does not upload what .gitignore names",
        ),
        TarballError::NoTarball(file) => Advice::new(Kind::Configuration, file.next()),
        TarballError::Several { .. } => Advice::new(
            Kind::Configuration,
            "keep one of them there, or set MYSQL_TARBALL to its name, push again",
        ),
        TarballError::Unknown { names, .. } => Advice::new(
            Kind::Configuration,
            if names.is_empty() {
                "put that tarball there, push again".to_owned()
            } else {
                format!("set MYSQL_TARBALL to one of: {}", names.join(", "))
            },
        ),
    }
}

fn files(error: &FilesError) -> Advice {
    match error {
        FilesError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Advice::new(
            Kind::Configuration,
            "the approot needs my.cnf, profile, postinstall and starttest ('make hooks' builds the \
             last two); add it, push again",
        ),
        FilesError::Read { .. } => Advice::new(
            Kind::Environment,
            "make it readable for this user, push again",
        ),
        FilesError::OptionFile(error) => {
            Advice::new(Kind::Configuration, "correct my.cnf, push again").detail(error.detail())
        }
        FilesError::Write { .. } => room_or_rights(),
    }
}

fn first_run(error: &FirstRunError) -> Advice {
    let configuration = |next: &str| Advice::new(Kind::Configuration, next);
    match error {
        FirstRunError::File(FirstRunFileError::Name { path, .. }) if path.ends_with("check.d") => {
            configuration(
                "name check files *.sql, *.sql.gz, *.sql.xz or *.sql.zst, in lower case, move \
                 everything else elsewhere (no scripts are run), push again",
            )
        }
        FirstRunError::File(FirstRunFileError::Name { .. } | FirstRunFileError::Script { .. }) => {
            configuration(
                "name first-run files *.sql, *.sql.gz, *.sql.xz or *.sql.zst, in lower case, move \
             everything else elsewhere (no scripts are run), push again",
            )
        }
        FirstRunError::File(FirstRunFileError::List { .. } | FirstRunFileError::Read { .. })
        | FirstRunError::ReadCheck { .. } => Advice::new(
            Kind::Environment,
            "make it readable for this user, push again",
        ),
        FirstRunError::FindClient { directory, .. } => configuration(&format!(
            "push the vendor's whole tarball, with bin/mysql or bin/mariadb, or take the files out \
             of {directory}"
        )),
        FirstRunError::Libraries(error) => libraries(error),
        FirstRunError::Write { .. } => room_or_rights(),
    }
}

fn release(error: &ReleaseError) -> Advice {
    match error {
        ReleaseError::Prepare { .. } | ReleaseError::PutInPlace { .. } => room_or_rights(),
        ReleaseError::Tarball(error) => tarball(error),
        ReleaseError::Unpack(error) => unpack(error),
        ReleaseError::Libraries(error) => libraries(error),
        ReleaseError::Probe(error) => probe(error),
    }
}

fn unpack(error: &UnpackError) -> Advice {
    match error {
        UnpackError::Read { .. } => Advice::new(
            Kind::Configuration,
            "fetch the tarball again (it is cut short or damaged), compare its checksum with the \
             vendor's, push again",
        ),
        UnpackError::TooMuchMemory { .. } => Advice::new(
            Kind::Configuration,
            "recompress it with 'repack', or with 'zstd --long=27', push again",
        ),
        UnpackError::TooLarge { .. } => Advice::new(
            Kind::Configuration,
            "if it is the vendor's (compare its checksum), allow more with MYSQL_TARBALL_MAX_SIZE, \
             push again",
        ),
        UnpackError::NoTarball(file) => Advice::new(Kind::Configuration, file.next()),
        UnpackError::NoServer(archive) => Advice::new(Kind::Configuration, archive.next()),
        UnpackError::Empty { .. } => Advice::new(
            Kind::Configuration,
            "put the vendor's Linux tarball there; a download page saved under its name is the \
             usual mistake",
        ),
        UnpackError::SeveralTops { .. } => Advice::new(
            Kind::Configuration,
            "pack one directory that holds bin, lib and share, push again",
        ),
        UnpackError::Entry(EntryError::Refused { why, .. }) if can_be_left_out(why) => Advice::new(
            Kind::Configuration,
            "'repack --drop PATH FILE' leaves it out, its path below the top directory, if you trust \
             the rest; push that",
        ),
        UnpackError::Entry(_) => Advice::new(
            Kind::Configuration,
            "fetch the tarball again from the vendor and compare its checksum",
        ),
        UnpackError::Write { .. } => room_or_rights(),
    }
}

/// Whether an entry that is refused for this does without harm in the server.
fn can_be_left_out(why: &str) -> bool {
    let kinds = ["is a symbolic link", "is a sparse file", "is a device"];
    kinds.iter().any(|kind| why.starts_with(kind))
}

fn libraries(error: &LibrariesError) -> Advice {
    match error {
        LibrariesError::Foreign(archive) => Advice::new(Kind::Configuration, archive.next()),
        LibrariesError::ReadExecutable { .. } | LibrariesError::Parse { .. } => Advice::new(
            Kind::Configuration,
            "fetch the tarball again and compare its checksum with the vendor's",
        ),
        LibrariesError::Architecture { here, .. } => Advice::new(
            Kind::Configuration,
            format!("put the vendor's tarball for Linux on {here} there, push again"),
        ),
        LibrariesError::Link { .. } => Advice::new(
            Kind::Environment,
            "make room on the disk, or make the directory writable for this user, push again",
        ),
        LibrariesError::Missing { libraries, .. } => Advice::new(
            Kind::Configuration,
            "list the packages that have them under systempackages in dotcloud.yml, push again",
        )
        .detail(
            libraries
                .iter()
                .map(|library| match package_of(library) {
                    Some(package) => format!("{library}: package {package}\n"),
                    None => format!("{library}: 'apt-file search {library}' names the package\n"),
                })
                .collect::<String>(),
        ),
    }
}

fn probe(error: &ProbeError) -> Advice {
    match error {
        ProbeError::NoServer { .. } => Advice::new(
            Kind::Configuration,
            "put a tarball with bin/mysqld or bin/mariadbd there: not the source, the client or \
             the test suite alone",
        ),
        ProbeError::RunServer { source } => Advice::new(
            Kind::Configuration,
            "put the vendor's tarball for this machine's processor and C library there",
        )
        .detail(source.last_words()),
        ProbeError::UnknownVersion { .. } => Advice::new(
            Kind::Configuration,
            "put a tarball of MySQL, Percona Server or MariaDB there",
        ),
        ProbeError::ReadStamp { .. } => Advice::new(
            Kind::Environment,
            "remove that release's directory, or push --clean",
        ),
    }
}

fn seed(error: &SeedError) -> Advice {
    match error {
        SeedError::Prepare { .. } | SeedError::Write(_) | SeedError::Store { .. } => {
            room_or_rights()
        }
        SeedError::Render(_) => Advice::new(
            Kind::Configuration,
            "correct the includes of my.cnf, push again",
        ),
        SeedError::ReadTimeZones { source } => Advice::new(
            Kind::Environment,
            "reinstall the system's zone files (package tzdata), or set MYSQL_INITDB_SKIP_TZINFO to \
             1 to do without, push again",
        )
        .detail(source.last_words()),
        SeedError::Initialise { evidence, .. } => Advice::new(
            Kind::Environment,
            "make room on the disk if it is full, else correct what the server says in my.cnf or \
             the tarball, push again",
        )
        .detail(evidence),
    }
}

fn room_or_rights() -> Advice {
    Advice::new(
        Kind::Environment,
        "make room on the disk, or make it writable for this user, push again",
    )
}

#[cfg(test)]
mod tests;
