//! The exact text of every failure, as it is told.

use std::path::PathBuf;
use std::process::ExitStatus as ProcessStatus;

use hook::render;
use mycnf::PasswordError;

use super::*;

fn told(error: impl Into<Error>) -> String {
    let mut text = Vec::new();
    render("blink", &error.into(), &mut text);
    String::from_utf8(text).unwrap()
}

fn denied() -> io::Error {
    io::Error::from_raw_os_error(13)
}

fn failed() -> CommandError {
    CommandError::Fail {
        program: "mysqld".into(),
        status: <ProcessStatus as std::os::unix::process::ExitStatusExt>::from_raw(1 << 8),
        last_words: "its words".to_owned(),
    }
}

const DENIED: &str = "  cause: permission denied (os error 13)\n";

#[track_caller]
fn assert_told(error: impl Into<Error>, first: &str, rest: &str) {
    assert_eq!(told(error), format!("blink: error: {first}\n{rest}"));
}

fn room(cause: &str) -> String {
    format!("{cause}  next: {ROOM}\n")
}

#[test]
fn places_and_the_cache_are_told() {
    let path = || PathBuf::from("/p");
    let source = denied();
    assert_told(
        PlaceError::Make {
            path: path(),
            source,
        },
        "cannot make /p",
        &format!("{DENIED}  next: set TMPDIR to a directory that you may write to\n"),
    );
    assert_told(
        PlaceError::Foreign { path: path() },
        "/p is not a directory of ours alone",
        "  next: set TMPDIR to a directory that only you may write to: somebody else made this one\n",
    );
    let source = denied();
    assert_told(
        CacheError::Open {
            path: path(),
            source,
        },
        "cannot open the cache /p",
        &room(DENIED),
    );
    let source = denied();
    assert_told(
        CacheError::Write {
            path: path(),
            source,
        },
        "cannot write /p",
        &room(DENIED),
    );
    assert_told(
        CacheError::Used { path: path() },
        "others are using the cache /p",
        "  next: end the other runs of blink first\n",
    );
}

#[test]
fn releases_are_told() {
    let path = || PathBuf::from("/p");
    assert_told(
        FindError::Empty { path: path() },
        "there is no release in the cache /p yet",
        "  next: name a vendor's tarball (blink mysql-8.4.6-linux-glibc2.28-x86_64.tar.xz), or a \
         version to fetch (blink 8.4)\n",
    );
    let wanted = "latest".to_owned();
    assert_told(
        FindError::Unknown { wanted },
        "'latest' is neither a tarball, a directory nor a version",
        "  next: write a path, or a version such as 8.4, 8.4.6 or mariadb-11.4; the command comes \
         after --\n",
    );
    let source = denied();
    assert_told(
        FindError::Read {
            path: path(),
            source,
        },
        "cannot read /p",
        &format!("{DENIED}  next: see whether it is there, and readable for you\n"),
    );
    assert_told(
        FindError::Probe(mycnf::ProbeError::NoServer { path: path() }),
        "no MySQL server in /p",
        "  next: name the top directory of an unpacked tarball, with bin/mysqld in it, for this \
         machine\n",
    );
    let source = denied();
    assert_told(
        FindError::Unpack(ReleaseError::PutInPlace {
            path: path(),
            source,
        }),
        "cannot put /p in place",
        &room(DENIED),
    );
    let none = builder::TarballError::None {
        path: path(),
        names: Vec::new(),
    };
    let text = told(FindError::Unpack(none.into()));
    assert!(
        text.ends_with("does not upload what .gitignore names\n")
            && text.contains("run blink again")
    );
}

#[test]
fn seeds_are_told() {
    let name = || "base".to_owned();
    assert_told(
        SeedError::Name {
            name: "../x".to_owned(),
        },
        "'../x' cannot be the name of a seed",
        "  next: use letters, digits, '-', '_' and '.', and none of those first\n",
    );
    assert_told(
        SeedError::Unknown {
            name: name(),
            names: Vec::new(),
        },
        "there is no seed 'base'",
        "  next: keep one first: blink RELEASE --save NAME -- COMMAND\n",
    );
    assert_told(
        SeedError::Unknown {
            name: name(),
            names: vec!["a".to_owned(), "b".to_owned()],
        },
        "there is no seed 'base'",
        "  next: name one of: a, b\n",
    );
    let (saved, wanted) = ("MySQL 8.4.6".to_owned(), "MySQL 9.7.4".to_owned());
    assert_told(
        SeedError::OtherServer {
            name: name(),
            saved,
            wanted,
        },
        "the seed 'base' is of MySQL 8.4.6, not of MySQL 9.7.4",
        "  next: save one of that server, or leave the release out\n",
    );
}

#[test]
fn what_seeds_are_made_of_is_told() {
    let path = || PathBuf::from("/p");
    let source = denied();
    assert_told(
        SeedError::Read {
            path: path(),
            source,
        },
        "cannot read /p",
        &format!("{DENIED}  next: see whether it is there, and readable for you\n"),
    );
    assert_told(
        SeedError::NoFiles { path: path() },
        "there is no first-run file in /p",
        "  next: put *.sql files there, or leave --init out\n",
    );
    let names = vec!["x.sh".to_owned()];
    assert_told(
        SeedError::FirstRunFile(FirstRunFileError::Name {
            path: path(),
            names,
        }),
        "/p holds what is not SQL: x.sh",
        "  next: name them *.sql, *.sql.gz, *.sql.xz or *.sql.zst, in lower case; everything else is \
         a command's work: --save NAME -- COMMAND\n",
    );
    let source = denied();
    assert_told(
        SeedError::Prepare {
            path: path(),
            source,
        },
        "cannot prepare /p",
        &room(DENIED),
    );
    assert_told(
        SeedError::ReadTimeZones { source: failed() },
        "cannot read the system's time zones",
        "  cause: mysqld ended with status 1\n  | its words\n  next: see whether /usr/share/zoneinfo \
         is readable\n",
    );
    let source = InitialiseError::RunInitialiser {
        log: path(),
        source: failed(),
    };
    assert_told(
        SeedError::Initialise {
            evidence: "[ERROR] x".to_owned(),
            source: source.into(),
        },
        "cannot make a database to begin with",
        "  cause: the server could not initialise its data directory\n  cause: mysqld ended with \
         status 1\n  | [ERROR] x\n  next: act on the server's words above; it may lack memory or a \
         library\n",
    );
}

#[test]
fn servers_are_told() {
    let evidence = || "[ERROR] x".to_owned();
    assert_told(
        ServerError::Start {
            evidence: evidence(),
            source: failed(),
        },
        "the server did not start",
        "  cause: mysqld ended with status 1\n  | [ERROR] x\n  next: act on the server's words above; \
         it may lack memory\n",
    );
    assert_told(
        ServerError::Refused {
            evidence: evidence(),
        },
        "the server refuses the password of its root",
        "  | [ERROR] x\n  next: take out of the seed what forbids passwords of 32 letters, digits and \
         hyphens\n",
    );
    assert_told(
        ServerError::Stop { source: failed() },
        "the server did not stop cleanly",
        "  cause: mysqld ended with status 1\n  next: run it again; nothing was saved\n",
    );
    let (path, source) = (PathBuf::from("/p"), denied());
    assert_told(
        ServerError::Prepare { path, source },
        "cannot prepare a server in /p",
        &room(DENIED),
    );
    assert_told(
        ServerError::Password(PasswordError::Empty),
        "the password is empty",
        "  next: see to it that the kernel has random numbers\n",
    );
}

#[test]
fn what_is_around_a_server_is_told() {
    let path = || PathBuf::from("/p");
    let source = denied();
    assert_told(
        ControlError::Listen {
            path: path(),
            source,
        },
        "cannot listen on /p",
        &room(DENIED),
    );
    assert_told(
        ControlError::Outside,
        "BLINK_SOCKET is not set",
        "  next: call it in a command that blink runs: blink RELEASE -- COMMAND; elsewhere start a \
         blink\n",
    );
    let source = denied();
    assert_told(
        ControlError::Ask {
            path: path(),
            source,
        },
        "cannot ask /p for a server",
        &format!("{DENIED}  next: see whether the blink around it still runs\n"),
    );
    assert_told(
        ControlError::Refused {
            why: "full".to_owned(),
        },
        "there is no further server: full",
        "  next: see whether there is memory for another server\n",
    );
    let name = "x".to_owned();
    assert_told(
        RemoveError::Unknown { name },
        "the cache has neither a release nor a seed 'x'",
        "  next: see 'blink list' for what is there\n",
    );
    assert_told(
        failed(),
        "mysqld ended with status 1",
        "  next: see whether it runs without blink\n",
    );
    assert_told(
        Error::Wait(denied()),
        "cannot wait for the command",
        &format!(
            "{DENIED}  next: run it again\n  this is a defect of blink: please report it with these \
             lines\n"
        ),
    );
}
