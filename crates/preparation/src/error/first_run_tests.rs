//! Every failure of first-run files as its reader sees it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use hook::CommandError;

use super::tests::assert_rendered;
use super::*;

fn path() -> PathBuf {
    "/h/x".into()
}

fn source() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

fn failed(words: &str) -> CommandError {
    CommandError::Fail {
        program: "mysql".into(),
        status: std::process::ExitStatus::from_raw(1 << 8),
        last_words: words.to_owned(),
    }
}

#[test]
fn file_errors_have_exact_texts() {
    let readable = "\n  next: make it readable for this user, or push it again: it may be damaged or cut short";
    let list = FirstRunFileError::List {
        path: path(),
        source: source(),
    };
    let text = format!("cannot list /h/x\n  cause: permission denied{readable}");
    assert_rendered(PrepareError::FirstRunFile(list), &text);
    let names = FirstRunFileError::Name {
        path: path(),
        names: ["a.sh", "b"].map(str::to_owned).into(),
    };
    assert_rendered(
        PrepareError::FirstRunFile(names),
        "/h/x holds what is not SQL: a.sh, b\n  next: name first-run files *.sql, *.sql.gz, \
         *.sql.xz or *.sql.zst, push again",
    );
    let script = FirstRunFileError::Script {
        path: "/docker-entrypoint-initdb.d".into(),
        names: vec!["a.sh".to_owned()],
    };
    assert_rendered(
        PrepareError::from(script),
        "/docker-entrypoint-initdb.d holds scripts, which are not run: a.sh\n  next: put what they do \
         into *.sql files, or take them away, start again",
    );
    let read = FirstRunFileError::Read {
        path: path(),
        source: source(),
    };
    let text = format!("cannot read the first-run file /h/x\n  cause: permission denied{readable}");
    assert_rendered(initialise(FirstRunError::File(read)), &text);
}

fn initialise(error: FirstRunError) -> PrepareError {
    PrepareError::Initialise(InitialiseError::FirstRun(error))
}

#[test]
fn failing_file_is_quoted_and_a_full_disk_is_known() {
    let fail = |words: &str| {
        initialise(FirstRunError::Fail {
            path: path(),
            log: "/nowhere".into(),
            source: failed(words),
        })
    };
    let text = "the first-run file /h/x failed\n  cause: mysql ended with status 1\n  | ERROR";
    assert_rendered(
        fail("ERROR 1064 (42000) at line 3: syntax"),
        &format!(
            "{text} 1064 (42000) at line 3: syntax\n  next: correct that file, push again: the \
             database is begun anew, with all of them"
        ),
    );
    assert_rendered(
        fail("ERROR 3 (HY000) at line 1: Error writing (OS errno: 28)"),
        &format!(
            "{text} 3 (HY000) at line 1: Error writing (OS errno: 28)\n  next: make room on the \
             disk, start again: nothing was left behind that takes any"
        ),
    );
}

const REFUSED: &str = "the server refuses the accounts as they are asked for";
const POLICY: &str = "choose a MYSQL_ROOT_PASSWORD and a MYSQL_PASSWORD that its policy allows, or \
                      change the policy's options in my.cnf";

#[test]
fn refused_accounts_of_a_fresh_database_have_exact_texts() {
    let options = "correct the option of my.cnf that it names, or MYSQL_ROOT_PASSWORD, \
                   MYSQL_DATABASE, MYSQL_USER or MYSQL_PASSWORD";
    for (said, next) in [
        ("ERROR: 1819  Your password", POLICY),
        ("ERROR: 1290  The server", options),
    ] {
        let refusal = said.to_owned();
        assert_rendered(
            initialise(FirstRunError::Server(TemporaryServerError::Refused {
                refusal,
            })),
            &format!("{REFUSED}\n  | {said}\n  next: {next}, push again: nothing was left behind"),
        );
    }
}

#[test]
fn refused_password_of_an_existing_database_has_exact_text() {
    let refusal = "[ERROR] [MY-000061] [Server] 1819  Your password".to_owned();
    assert_rendered(
        PrepareError::Opening(TemporaryServerError::Refused {
            refusal: refusal.clone(),
        }),
        &format!(
            "{REFUSED}\n  | {refusal}\n  next: {POLICY}, start again: root's password stays the one \
             in ~/data/mysql-credentials.cnf"
        ),
    );
    let refusal = "[ERROR] [MY-000061] [Server] 1114  The table 'user' is full".to_owned();
    assert_rendered(
        PrepareError::Opening(TemporaryServerError::Refused {
            refusal: refusal.clone(),
        }),
        &format!(
            "{REFUSED}\n  | {refusal}\n  next: make room on the disk, start again: root's password \
             stays the one in ~/data/mysql-credentials.cnf"
        ),
    );
}

#[test]
fn temporary_server_errors_have_exact_texts() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    std::fs::write(&log, "[ERROR] no\n").unwrap();
    let server = |error| initialise(FirstRunError::Server(error));

    let correct = "\n  | [ERROR] no\n  next: correct what it says, start again: nothing was left \
                   behind that counts";
    let ended = "\n  cause: mysql ended with status 1";
    for (error, text) in [
        (
            TemporaryServerError::FindClient { path: path() },
            "no bin/mysql or bin/mariadb in /h/x\n  next: push the vendor's tarball, or repack it \
             again: it was cut too short"
                .to_owned(),
        ),
        (
            TemporaryServerError::Prepare {
                path: path(),
                source: source(),
            },
            "cannot prepare /h/x\n  cause: permission denied\n  next: make room on the disk, or make \
             it writable for this user, start again"
                .to_owned(),
        ),
        (
            TemporaryServerError::HandOver { source: source() },
            "cannot hand the accounts' SQL to the temporary server\n  cause: permission denied\n  \
             next: raise /proc/sys/fs/pipe-max-size"
                .to_owned(),
        ),
        (
            TemporaryServerError::Start {
                log: log.clone(),
                source: failed(""),
            },
            format!("the temporary server did not start{ended}{correct}"),
        ),
        (
            TemporaryServerError::LogIn {
                log: log.clone(),
                source: failed("ERROR 1045 (28000): Access denied"),
            },
            format!(
                "root cannot log in to the temporary server{ended}\n  | ERROR 1045 (28000): Access \
                 denied{correct}"
            ),
        ),
        (
            TemporaryServerError::Stop {
                log: log.clone(),
                source: failed(""),
            },
            format!("the temporary server did not stop cleanly{ended}{correct}"),
        ),
    ] {
        assert_rendered(server(error), &text);
    }
}
