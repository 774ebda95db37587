//! The exact text of every failure that no test with a real server meets.

use std::io;
use std::path::PathBuf;

use hook::CommandError;
use mycnf::LockError;

use super::*;

fn rendered(error: impl Into<Error>) -> String {
    let mut out = Vec::new();
    hook::render("backup", &error.into(), &mut out);
    String::from_utf8(out).unwrap()
}

fn said() -> mysql::Error {
    io::Error::other("x").into()
}

fn path() -> PathBuf {
    "/d".into()
}

fn other() -> io::Error {
    io::Error::other("x")
}

#[test]
fn service_errors_have_exact_texts() {
    let file = "restart the service: starttest writes the option file at every start";
    for (error, text, next) in [
        (
            ServiceError::ReadOptions {
                path: path(),
                source: other(),
            },
            "cannot read /d",
            file,
        ),
        (
            ServiceError::Outside {
                path: path(),
                data: "/h/data".into(),
            },
            "the data directory /d is not below /h/data",
            "set datadir to a directory below ~/data in my.cnf, or leave it out, push again",
        ),
        (
            ServiceError::Socket {
                path: path(),
                source: other(),
            },
            "cannot reach /d",
            "call it as the service's user",
        ),
        (
            ServiceError::ReadCredentials {
                path: path(),
                source: other(),
            },
            "cannot read /d",
            "note root's name and password there, as [client] user and password, or set \
             MYSQL_ROOT_PASSWORD and restart the service",
        ),
        (
            ServiceError::LogIn {
                source: said().into(),
            },
            "the server does not let root in",
            "note root's present password in ~/data/mysql-credentials.cnf, or set \
             MYSQL_ROOT_PASSWORD and restart the service",
        ),
    ] {
        let rendered = rendered(error);
        assert!(
            rendered.starts_with(&format!("backup: error: {text}\n")),
            "{rendered}"
        );
        assert!(
            rendered.ends_with(&format!("\n  next: {next}\n")),
            "{rendered}"
        );
    }
}

#[test]
fn take_errors_have_exact_texts() {
    let clone = "see to it that there is room and that nobody else clones it, call it again; nothing of \
                 the database was changed";
    let held = LockError::Held {
        path: path(),
        holder: "7".to_owned(),
    };
    let tool = CommandError::Start {
        program: "mariadb-backup".into(),
        source: other(),
    };
    for (error, text) in [
        (
            TakeError::NotEmpty { directory: path() },
            "/d is not empty\n  next: name a directory that is not there yet".to_owned(),
        ),
        (
            TakeError::NoDatabase { path: path() },
            "there is no database in /d\n  next: start the service once: then there is a database to \
             copy"
                .to_owned(),
        ),
        (
            held.into(),
            "process 7 is using the data directory (it holds /d)\n  next: wait until the server \
             answers, or until that process has ended, call it again"
                .to_owned(),
        ),
        (
            TakeError::Ask { source: said().into() },
            "cannot ask the server what it has\n  cause: ioError { x }\n  next: see to it that the \
             server answers, call it again"
                .to_owned(),
        ),
        (
            TakeError::Plugin { source: said().into() },
            "the server does not load its clone plugin\n  cause: ioError { x }\n  next: leave \
             'plugin-load' and 'clone' out of my.cnf, or stop the service ('dotcloud down') and copy \
             its files"
                .to_owned(),
        ),
        (
            TakeError::Clone { source: said().into() },
            format!("the server did not clone itself\n  cause: ioError {{ x }}\n  next: {clone}"),
        ),
        (
            TakeError::MariadbBackup {
                what: "prepare",
                source: tool,
            },
            "mariadb-backup could not prepare the copy\n  cause: cannot run mariadb-backup\n  cause: \
             x\n  next: see to it that there is room, call it again; nothing of the database was \
             changed"
                .to_owned(),
        ),
    ] {
        assert_eq!(rendered(error), format!("backup: error: {text}\n"));
    }
}

#[test]
fn dump_errors_have_exact_texts() {
    let failed = || CommandError::Start {
        program: "mysql".into(),
        source: other(),
    };
    for (error, text) in [
        (
            DumpError::NoClient { path: path() },
            "no bin/mysql or bin/mariadb in /d\n  next: push a release with its programs ('repack' \
             keeps them)",
        ),
        (
            DumpError::Ask {
                source: said().into(),
            },
            "cannot ask the server what to dump\n  cause: ioError { x }\n  next: see to it that the \
             server answers, call it again",
        ),
        (
            DumpError::Dump { source: failed() },
            "the dump failed\n  cause: cannot run mysql\n  cause: x\n  next: do what it says, call it \
             again",
        ),
        (
            DumpError::Write { source: other() },
            "cannot write the dump\n  cause: x\n  next: see to it that there is room and the right to \
             write, call it again",
        ),
        (
            DumpError::Load { source: failed() },
            "the dump could not be loaded\n  cause: cannot run mysql\n  cause: x\n  next: change that \
             statement, and load the rest of the dump, or all of it",
        ),
    ] {
        assert_eq!(rendered(error), format!("backup: error: {text}\n"));
    }
}

#[test]
fn place_and_check_errors_have_exact_texts() {
    for (error, text) in [
        (
            Error::from(PlaceError::NoDatabase { path: path() }),
            "the copy has no database in /d\n  next: set datadir in my.cnf as it was when the copy was \
             made, push again",
        ),
        (
            PlaceError::HandOver { source: other() }.into(),
            "cannot hand the accounts' SQL to the server\n  cause: x\n  next: raise \
             /proc/sys/fs/pipe-max-size",
        ),
        (
            CheckError::Ask {
                source: said().into(),
            }
            .into(),
            "cannot ask the server that was started on the copy\n  cause: ioError { x }\n  next: call \
             it again",
        ),
        (
            CheckError::Table {
                table: "shop.t".to_owned(),
                said: "Corrupt".to_owned(),
            }
            .into(),
            "the table shop.t is damaged: Corrupt\n  next: check the same table of the database that was \
             copied ('CHECK TABLE'), then take another copy",
        ),
    ] {
        assert_eq!(rendered(error), format!("backup: error: {text}\n"));
    }
}

#[test]
fn check_file_errors_have_exact_texts() {
    for (error, text) in [
        (
            CheckError::ReadFile {
                path: path(),
                source: other(),
            },
            "cannot read the check file /d\n  cause: x\n  next: put whole files into hooks/check.d, push \
             again",
        ),
        (
            CheckError::NoClient { path: path() },
            "no bin/mysql or bin/mariadb in /d for the check files\n  next: push a release with its programs \
             ('repack' keeps them)",
        ),
        (
            CheckError::Client {
                source: CommandError::Start {
                    program: "mysql".into(),
                    source: other(),
                },
            },
            "cannot run the check files\n  cause: cannot run mysql\n  cause: x\n  next: call it again",
        ),
        (
            CheckError::Files {
                findings: ["1.sql", "2.sql"]
                    .map(|file| crate::Finding {
                        file: file.to_owned(),
                        said: "7\n8".to_owned(),
                    })
                    .into(),
            },
            "check files found something: 1.sql, 2.sql\n  | 1.sql: 7\n  | 1.sql: 8\n  | 2.sql: 7\n  | \
             2.sql: 8\n  next: see why the copy, on this release, is not as they want it, or correct them in \
             hooks/check.d",
        ),
    ] {
        assert_eq!(rendered(error), format!("backup: error: {text}\n"));
    }
}
