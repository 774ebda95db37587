//! `restore`: an instance gets back what it kept when a backup was made.

use std::fmt;

use super::backup::{lock_backups, ship_again};
use super::{Call, backed_up, backups, one_instance};
use crate::backup::{
    self, BackupError, Kind, Moment, Question, Record, Records, Replay, Restored, Source,
};
use crate::cli::Restore;
use crate::error::Error;
use crate::handover;
use crate::model::application::{Application, InstanceName};
use crate::output::console;
use crate::output::narrator::Narrator;

/// Asks, fetches, exchanges.
pub(super) fn restore(call: &Call, arguments: &Restore) -> Result<(), Error> {
    let platform = &call.platform;
    let source = call.application_name()?;
    let target = arguments.into.as_ref().unwrap_or(&source);
    let records = Records::open(platform.store.backups(&source))?;
    let own = Records::open(platform.store.backups(target))?;
    let instance = one_instance(&platform.store.load(target)?, &arguments.instance)?;
    let all = backups::all(call, &source, &arguments.origin, &records)?;
    let wanted = Wanted::of(arguments, all, &instance)?;
    let question = format!("Put {wanted} in the place of what {instance} of \"{target}\" keeps?");
    if !console::ask(&question, false, call.global.assume()) {
        return Err(Error::NotRestored);
    }
    call.defer_signals()?;
    let backups = lock_backups(call, &source)?;
    if let Wanted::Moment { .. } = wanted {
        ship_first(call, &source, &instance, &records);
    }
    let mut application = call.locked_to_start(target)?;
    let log = &mut Narrator::to_stderr();
    handover::reconcile(platform, &mut application, log)?;
    let changes = records.of(Kind::Changes).of_instance(&instance)?;
    let (record, replayed) = wanted.plan(call, &application, &instance, &changes)?;
    console::info(format!(
        "Bringing backup {} back from {}",
        record.id, record.destination
    ));
    if let Some((moment, _)) = wanted.moment() {
        console::info(format!(
            "Replaying on it what was changed until {moment}, of {} copies of changes",
            replayed.len()
        ));
    }
    let from = Source {
        record: &record,
        records: &records,
        replay: wanted.moment().map(|(until, allow_gap)| Replay {
            until,
            changes: &replayed,
            allow_gap,
        }),
    };
    let restored = backup::restore(platform, &mut application, &instance, &from, &own)?;
    drop(backups);
    backed_up::leave(call, target);
    tell(&instance, &wanted, &record, restored);
    Ok(())
}

/// What came of it.
fn tell(instance: &InstanceName, wanted: &Wanted, record: &Record, restored: Restored) {
    if let Some(path) = restored.replaced {
        console::info(format!(
            "What {instance} kept before is in {path}; 'rm -rf {path}' removes it",
            path = path.display()
        ));
    }
    match wanted.moment() {
        None => console::success(format!("{instance} serves what backup {} has", record.id)),
        Some((moment, _)) => {
            console::success(format!("{instance} serves what there was at {moment}"));
            console::info(
                "What is changed from now on can be brought back after the next backup: 'dotcloud \
                 backup'",
            );
        }
    }
}

/// What is to be brought back.
enum Wanted {
    Backup(Box<Record>),
    Moment {
        moment: Moment,
        allow_gap: bool,
        /// The backups it may begin with.
        copies: Vec<Record>,
    },
}

impl Wanted {
    fn of(
        arguments: &Restore,
        mut all: Vec<Record>,
        whose: &InstanceName,
    ) -> Result<Self, BackupError> {
        let picked = |all| backup::pick(all, &arguments.id, Some(whose));
        let Some(text) = &arguments.at else {
            return picked(all).map(|record| Self::Backup(Box::new(record)));
        };
        all.retain(|record| record.is_of(whose));
        if arguments.id != "latest" || all.is_empty() {
            all = vec![picked(all)?];
        }
        Ok(Self::Moment {
            moment: Moment::parse(text, &jiff::tz::TimeZone::system()),
            allow_gap: arguments.allow_gap,
            copies: all,
        })
    }

    fn moment(&self) -> Option<(&Moment, bool)> {
        match self {
            Self::Backup(_) => None,
            Self::Moment {
                moment, allow_gap, ..
            } => Some((moment, *allow_gap)),
        }
    }

    /// The backup, and the changes to replay on it.
    fn plan(
        &self,
        call: &Call,
        application: &Application,
        instance: &InstanceName,
        changes: &[Record],
    ) -> Result<(Record, Vec<Record>), BackupError> {
        match self {
            Self::Backup(record) => Ok((Record::clone(record), Vec::new())),
            Self::Moment {
                moment,
                allow_gap,
                copies,
            } => {
                let question = Question {
                    moment,
                    allow_gap: *allow_gap,
                    copies,
                    changes,
                };
                let log = &mut Narrator::to_stderr();
                backup::plan(&call.platform, application, instance, &question, log)
            }
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backup(record) => write!(f, "backup {}", record.id),
            Self::Moment { moment, .. } => write!(f, "what there was at {moment}"),
        }
    }
}

/// What was changed since the last copy of changes may be part of it. Of a service that is gone, or broken,
/// that is what there is.
fn ship_first(call: &Call, source: &str, whose: &InstanceName, records: &Records) {
    if let Err(error) = ship_again(call, source, whose, records) {
        console::warning(format!("the last changes cannot be copied: {error}"));
    }
}
