//! How the backups of an instance are: good, failed, or not made when they were due. A failure stays until a
//! backup succeeds, and a change is told to a program of the user's.

use std::process::Command;

use serde::{Deserialize, Serialize};

use super::BackupError;
use super::record::{Failure, Kind, Records};
use super::schedule::Schedule;
use crate::model::application::InstanceName;

/// What is kept of an instance between backups.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Notes {
    /// When the last one succeeded, also if there was nothing to copy.
    pub(super) good: Option<i64>,
    /// What was told last.
    pub(super) told: Option<State>,
}

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// The last one succeeded, and none is due.
    Good,
    /// The last one failed.
    Failed,
    /// One was due, and nobody made it.
    Missed,
    /// There never was one.
    Never,
}

impl State {
    /// The word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Failed => "failed",
            Self::Missed => "missed",
            Self::Never => "never",
        }
    }
}

/// How backups, or copies of changes, are.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) state: State,
    /// When the last one was made, in seconds since 1970.
    pub(crate) last: Option<i64>,
    /// When one was last tried out.
    pub(crate) verified: Option<i64>,
    pub(crate) failure: Option<Failure>,
    /// Since when one is due.
    pub(crate) missed: Option<i64>,
    /// From when on the next one counts as missed.
    pub(crate) overdue: Option<i64>,
}

impl Health {
    /// That of `instance`, by `now`.
    pub(crate) fn of(
        records: &Records,
        instance: &InstanceName,
        now: i64,
    ) -> Result<Self, BackupError> {
        let (mut last, mut verified) = (records.notes(instance).good, None);
        if records.kind() == Kind::Copy {
            for record in records.of_instance(instance)? {
                last = last.max(Some(record.taken));
                verified = verified.max(record.verified.map(|found| found.when));
            }
        }
        let schedule = records.schedule()?;
        let schedule = schedule.filter(|schedule| schedule.covers(instance));
        let failure = records.failure(instance);
        // One that failed was not missed.
        let tried = last.max(failure.as_ref().map(|failure| failure.when));
        let schedule = schedule.as_ref();
        let missed = schedule.and_then(|schedule| schedule.missed(tried, now));
        let overdue = schedule.and_then(|schedule| schedule.overdue(tried));
        let state = match (&failure, missed, last) {
            (_, Some(_), _) => State::Missed,
            (Some(_), None, _) => State::Failed,
            (None, None, Some(_)) => State::Good,
            (None, None, None) => State::Never,
        };
        Ok(Self {
            state,
            last,
            verified,
            failure,
            missed,
            overdue,
        })
    }

    fn message(&self) -> String {
        match (&self.state, &self.failure, self.missed) {
            (State::Failed, Some(failure), _) => failure.why.clone(),
            (State::Missed, _, Some(due)) => {
                let due = jiff::Timestamp::from_second(due);
                let due = due.map_or("?".to_owned(), |due| due.to_string());
                format!("it was due at {due}, and nobody made it")
            }
            _ => String::new(),
        }
    }
}

impl Schedule {
    /// Whether it is about `instance`.
    fn covers(&self, instance: &InstanceName) -> bool {
        let named = |text: &String| *text == instance.service || *text == instance.to_string();
        self.selections.is_empty() || self.selections.iter().any(named)
    }
}

/// Tells the program of the schedule what has changed since it was told last: it is run as it is, without a
/// shell, and finds all in its environment. Whether that failed is for the caller.
pub(crate) fn tell(
    records: &Records,
    application: &str,
    instance: &InstanceName,
) -> Result<(), BackupError> {
    let Some(notify) = records.schedule()?.and_then(|schedule| schedule.notify) else {
        return Ok(());
    };
    let health = Health::of(records, instance, jiff::Timestamp::now().as_second())?;
    let mut notes = records.notes(instance);
    // That all is well needs not be told before anything was wrong.
    let before = notes.told.unwrap_or(State::Good);
    if before == health.state || health.state == State::Never {
        return Ok(());
    }
    let mut words = notify.split_whitespace();
    let Some(program) = words.next() else {
        return Ok(());
    };
    let mut command = Command::new(program);
    command
        .args(words)
        .env("BACKUP_APPLICATION", application)
        .env("BACKUP_INSTANCE", instance.to_string())
        .env("BACKUP_KIND", records.kind().name())
        .env("BACKUP_STATE", health.state.name())
        .env("BACKUP_STATE_BEFORE", before.name())
        .env("BACKUP_MESSAGE", health.message());
    hook::run(&mut command, b"").map_err(|source| BackupError::Notify {
        source: Box::new(source),
    })?;
    notes.told = Some(health.state);
    records.note_down(instance, &notes)
}
