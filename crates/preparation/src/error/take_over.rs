//! What to do where the server cannot have the database that is there.

use hook::{Advice, Explain, Kind};
use mycnf::{Family, Journal, JournalError, Series, UpgradeError};

use crate::take_over::TakeOverError;

/// From here on, the next MySQL upgrades the data as it starts.
const UPGRADED_AT_START: Series = Series(5, 7);

impl Explain for TakeOverError {
    fn advice(&self) -> Advice {
        let environment = |next: String| Advice::new(Kind::Environment, next);
        let configuration = |next: String| Advice::new(Kind::Configuration, next);
        match self {
            Self::Transition(error) => configuration(error.next_step()),
            Self::Inspect(_) => {
                environment("make it readable for this user, start again".to_owned())
            }
            Self::Journal(error) => journal(error),
            Self::Interrupted { path, journal, .. } => configuration(format!(
                "the data is untouched: push {} again, which goes on with it; or, if the data is a \
                 backup from before, remove {}",
                journal.to,
                Journal::path(path).display()
            )),
            Self::Unclean { found, server, .. } => {
                let begun = match found.family {
                    Family::MySql if found.version.series() >= UPGRADED_AT_START => format!(
                        " (if it was {server} that was killed while it upgraded it, \
                         MYSQL_UPGRADE_ANYWAY=1 lets it go on)"
                    ),
                    // Of an upgrade by the tool there is a journal.
                    Family::MySql | Family::MariaDb => String::new(),
                };
                configuration(format!(
                    "the data is untouched: push {found} again, wait until it answers, then push \
                     the newer one{begun}"
                ))
            }
            Self::LockedOut { found, option, .. } => {
                let option = option.map_or(String::new(), |option| {
                    format!(", or set {option} = ON in my.cnf")
                });
                configuration(format!(
                    "the data is untouched: push {found} again, give each of them another plugin \
                     (ALTER USER … IDENTIFIED WITH caching_sha2_password BY …){option}, then push \
                     the newer one; MYSQL_UPGRADE_ANYWAY=1 upgrades it and leaves them locked out"
                ))
            }
            Self::Obstacles { found, server, .. } => configuration(format!(
                "the data is untouched: push {found} again, mend each of them, then push the newer \
                 one; MYSQL_UPGRADE_ANYWAY=1 lets {server} say what it thinks of them"
            )),
            Self::UnknownLogs { found, .. } => configuration(format!(
                "the data is untouched: push {found} again, and move the data with a dump"
            )),
            Self::Upgrade(error) => upgrade(error),
        }
    }
}

fn journal(error: &JournalError) -> Advice {
    Advice::new(
        Kind::Environment,
        match error {
            JournalError::Read { .. } => "make it readable for this user, start again",
            JournalError::Parse { .. } => {
                "remove it if no upgrade was interrupted, else restore it; start again"
            }
            JournalError::Write(_) | JournalError::Remove { .. } => {
                "make room on the disk, or make the directory writable for this user, start again"
            }
        },
    )
}

fn upgrade(error: &UpgradeError) -> Advice {
    let advice = |next: &str| Advice::new(Kind::Environment, next);
    match error {
        UpgradeError::FindTool { .. } => {
            advice("push the vendor's tarball, or repack it again: it was cut too short")
        }
        UpgradeError::Prepare { .. } => advice(
            "make room on the disk, or make the directory writable for this user, start again: it \
             goes on with the upgrade",
        ),
        UpgradeError::Journal(error) => journal(error),
        UpgradeError::Server(_)
        | UpgradeError::Save { .. }
        | UpgradeError::Restore { .. }
        | UpgradeError::RunTool { .. } => advice(
            "correct what it says, start again: it goes on with the upgrade; until that is \
             complete nobody can connect",
        )
        .detail(error.evidence()),
        UpgradeError::ReadSaved { .. } => {
            advice("put it back, readable for this user, start again: it goes on with the upgrade")
        }
        UpgradeError::NoEvidence { .. } => advice("start again: it goes on with the upgrade"),
        UpgradeError::Inspect(_) => advice("make it readable for this user, start again"),
    }
}
