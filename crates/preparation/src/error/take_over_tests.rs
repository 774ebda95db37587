//! Every failure of taking over a database of another release, as its reader sees it.

use mycnf::{
    AccountPlugin, Database, Family, InspectError, Journal, JournalError, Obstacle, ObstacleKind,
    TemporaryServerError, TransitionError, UpgradeError, Version, WriteError,
};

use super::tests::{assert_rendered as assert_error, path, source};
use super::*;
use crate::take_over::TakeOverError;

fn assert_rendered(error: impl Into<TakeOverError>, text: &str) {
    assert_error(PrepareError::TakeOver(error.into()), text);
}

fn found() -> Database {
    Database {
        family: Family::MariaDb,
        version: Version::new(10, 11, 19),
        system_tables: Some(Version::new(10, 11, 19)),
    }
}

fn server() -> String {
    "MariaDB 11.8.9".to_owned()
}

#[test]
fn refusals_of_mysql_have_exact_texts() {
    let found = Database {
        family: Family::MySql,
        version: Version::new(8, 0, 46),
        system_tables: Some(Version::new(8, 0, 46)),
    };
    let server = || "MySQL 8.4.6".to_owned();
    assert_rendered(
        TakeOverError::Unclean {
            path: path(),
            found,
            server: server(),
        },
        "MySQL 8.0.46 was not shut down cleanly in /h/x, so MySQL 8.4.6 cannot upgrade it\n  next: \
         the data is untouched: push MySQL 8.0.46 again, wait until it answers, then push the newer \
         one (if it was MySQL 8.4.6 that was killed while it upgraded it, MYSQL_UPGRADE_ANYWAY=1 \
         lets it go on)",
    );
    let account = |number| AccountPlugin {
        user: format!("u{number}"),
        host: "%".to_owned(),
        plugin: "mysql_native_password".to_owned(),
        has_secret: true,
        is_locked: false,
    };
    let locked_out = |count, option| TakeOverError::LockedOut {
        path: path(),
        found,
        server: server(),
        accounts: (1..=count).map(account).collect(),
        option,
    };
    assert_rendered(
        locked_out(1, None),
        "MySQL 8.4.6 has no plugin for accounts of /h/x: 'u1'@'%' (mysql_native_password)\n  next: \
         the data is untouched: push MySQL 8.0.46 again, give each of them another plugin (ALTER \
         USER … IDENTIFIED WITH caching_sha2_password BY …), then push the newer one; \
         MYSQL_UPGRADE_ANYWAY=1 upgrades it and leaves them locked out",
    );
    let many = locked_out(12, Some("mysql_native_password"));
    let text = many.to_string();
    assert!(
        text.ends_with("'u10'@'%' (mysql_native_password) and 2 more"),
        "{text}"
    );
    let next = hook::Explain::advice(&many).next;
    assert!(
        next.contains("…), or set mysql_native_password = ON in my.cnf, then"),
        "{next}"
    );
}

#[test]
fn obstacles_have_exact_texts() {
    let found = Database {
        family: Family::MySql,
        version: Version::new(5, 7, 44),
        system_tables: Some(Version::new(5, 7, 44)),
    };
    let obstacle = |number| Obstacle {
        name: format!("shop.t{number}"),
        kind: ObstacleKind::OldTimes,
    };
    let refused = |count| TakeOverError::Obstacles {
        path: path(),
        found,
        server: "MySQL 8.0.46".to_owned(),
        obstacles: (1..=count).map(obstacle).collect(),
    };
    assert_rendered(
        refused(2),
        "MySQL 8.0.46 does not take these of MySQL 5.7.44 in /h/x: shop.t1 has times as before 5.6 \
         (ALTER TABLE … FORCE); shop.t2 has times as before 5.6 (ALTER TABLE … FORCE)\n  next: the \
         data is untouched: push MySQL 5.7.44 again, mend each of them, then push the newer one; \
         MYSQL_UPGRADE_ANYWAY=1 lets MySQL 8.0.46 say what it thinks of them",
    );
    let many = refused(12).to_string();
    assert!(
        many.ends_with("(ALTER TABLE … FORCE); and 2 more"),
        "{many}"
    );
}

#[test]
fn refusals_have_exact_texts() {
    assert_rendered(
        TransitionError::Newer {
            path: path(),
            found: found(),
            server: server(),
        },
        "the data directory /h/x is of MariaDB 10.11.19, which is newer than the server, MariaDB \
         11.8.9\n  next: the data is untouched: push the tarball of MariaDB 10.11.19 or newer",
    );
    assert_rendered(
        InspectError {
            path: path(),
            source: source(),
        },
        "cannot look into the data directory /h/x\n  cause: permission denied\n  next: make it \
         readable for this user, start again",
    );
    assert_rendered(
        TakeOverError::Interrupted {
            path: path(),
            journal: Journal {
                from: Version::new(10, 6, 23),
                to: Version::new(10, 11, 19),
                saved: true,
            },
            server: server(),
        },
        "the upgrade of /h/x from 10.6.23 to 10.11.19 is not complete, and the server is MariaDB \
         11.8.9\n  next: the data is untouched: push 10.11.19 again, which goes on with it; or, if \
         the data is a backup from before, remove /h/x.upgrading",
    );
    assert_rendered(
        TakeOverError::Unclean {
            path: path(),
            found: found(),
            server: server(),
        },
        "MariaDB 10.11.19 was not shut down cleanly in /h/x, so MariaDB 11.8.9 cannot upgrade it\n  \
         next: the data is untouched: push MariaDB 10.11.19 again, wait until it answers, then push \
         the newer one",
    );
    assert_rendered(
        TakeOverError::UnknownLogs {
            path: path(),
            found: found(),
            server: server(),
        },
        "cannot tell whether MariaDB 10.11.19 was shut down cleanly in /h/x, so MariaDB 11.8.9 \
         cannot upgrade it\n  next: the data is untouched: push MariaDB 10.11.19 again, and move \
         the data with a dump",
    );
}

#[test]
fn journal_errors_have_exact_texts() {
    let room =
        "next: make room on the disk, or make the directory writable for this user, start again";
    for (error, text) in [
        (
            JournalError::Read {
                path: path(),
                source: source(),
            },
            "cannot read /h/x\n  cause: permission denied\n  next: make it readable for this user, \
             start again"
                .to_owned(),
        ),
        (
            JournalError::Parse { path: path() },
            "/h/x does not say which upgrade has begun\n  next: remove it if no upgrade was \
             interrupted, else restore it; start again"
                .to_owned(),
        ),
        (
            JournalError::Write(WriteError {
                path: path(),
                source: source(),
            }),
            format!("cannot write /h/x\n  cause: permission denied\n  {room}"),
        ),
        (
            JournalError::Remove {
                path: path(),
                source: source(),
            },
            format!("cannot remove /h/x\n  cause: permission denied\n  {room}"),
        ),
    ] {
        assert_rendered(UpgradeError::Journal(error), &text);
    }
    assert_rendered(
        JournalError::Parse { path: path() },
        "/h/x does not say which upgrade has begun\n  next: remove it if no upgrade was \
         interrupted, else restore it; start again",
    );
}

fn failed() -> hook::CommandError {
    let mut false_ = std::process::Command::new("/bin/sh");
    false_.args(["-c", "echo FATAL ERROR: Upgrade failed >&2; exit 5"]);
    hook::run(&mut false_, b"").unwrap_err()
}

#[test]
fn upgrade_errors_of_programs_have_exact_texts() {
    let again = "cause: /bin/sh ended with status 5\n  | FATAL ERROR: Upgrade failed\n  next: \
                 correct what it says, start again: it goes on with the upgrade; until that is \
                 complete nobody can connect";
    for (error, text) in [
        (
            UpgradeError::Server(TemporaryServerError::Start {
                log: "/nowhere".into(),
                source: failed(),
            }),
            format!(
                "the temporary server did not start\n  {}",
                again.replace("  | FATAL ERROR: Upgrade failed\n", "")
            ),
        ),
        (
            UpgradeError::Save { source: failed() },
            format!("the system tables could not be saved before the upgrade\n  {again}"),
        ),
        (
            UpgradeError::Restore {
                path: path(),
                source: failed(),
            },
            format!("the system tables could not be restored from /h/x\n  {again}"),
        ),
        (
            UpgradeError::RunTool { source: failed() },
            format!("the upgrade tool failed\n  {again}"),
        ),
    ] {
        assert_rendered(error, &text);
    }
}

#[test]
fn upgrade_errors_of_files_have_exact_texts() {
    for (error, text) in [
        (
            UpgradeError::FindTool {
                path: path(),
                wanted: "mariadb-upgrade",
            },
            "no mariadb-upgrade in /h/x\n  next: push the vendor's tarball, or repack it again: it \
             was cut too short",
        ),
        (
            UpgradeError::Prepare {
                path: path(),
                source: source(),
            },
            "cannot prepare /h/x\n  cause: permission denied\n  next: make room on the disk, or \
             make the directory writable for this user, start again: it goes on with the upgrade",
        ),
        (
            UpgradeError::ReadSaved {
                path: path(),
                source: source(),
            },
            "cannot read /h/x, the system tables as they were before the upgrade\n  cause: permission \
             denied\n  next: put it back, readable for this user, start again: it goes on with the \
             upgrade",
        ),
        (
            UpgradeError::NoEvidence { path: path() },
            "the upgrade tool is done, and /h/x does not show it\n  next: start again: it goes on \
             with the upgrade",
        ),
        (
            UpgradeError::Inspect(InspectError {
                path: path(),
                source: source(),
            }),
            "cannot look into the data directory /h/x\n  cause: permission denied\n  next: make it \
             readable for this user, start again",
        ),
    ] {
        assert_rendered(error, text);
    }
}
