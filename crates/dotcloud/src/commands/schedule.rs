//! Backups by the clock: what `backup --every` has the machine call, what is done then, and how it ends.

use super::Call;
use super::backup::{Work, note};
use crate::backup::{self, BackupError, Destination, Kind, Often, Records, Schedule};
use crate::cli::Backup;
use crate::error::Error;
use crate::host::timer::{Caller, Timer, TimerError, When};
use crate::model::application::{Application, InstanceName, Selection};
use crate::output::console;

/// The call of the backups, or of the copies of changes, of `application`.
fn timer(call: &Call, application: &str, kind: Kind, when: When) -> Result<Timer, Error> {
    let what = match kind {
        Kind::Copy => "backups",
        Kind::Changes => "changes",
    };
    ours(
        call,
        &format!("{what}-{application}"),
        &format!("{what} of {application}"),
        vec![
            "backup".to_owned(),
            format!("--scheduled={}", kind.name()),
            "--application".to_owned(),
            application.to_owned(),
        ],
        when,
    )
}

/// A call of this executable, on this state directory.
fn ours(
    call: &Call,
    name: &str,
    what: &str,
    words: Vec<String>,
    when: When,
) -> Result<Timer, Error> {
    let program = std::env::current_exe().map_err(|source| Error::WorkingDirectory { source })?;
    Ok(Timer {
        name: name.to_owned(),
        what: what.to_owned(),
        program,
        state: call.platform.store.root().to_owned(),
        words,
        when,
    })
}

fn caller(call: &Call) -> Result<&Caller, BackupError> {
    Ok(call.caller.as_ref().ok_or(TimerError::Nobody)?)
}

/// Has `up` called when the machine has started, or no more.
pub(super) fn at_boot(call: &Call, on: bool) -> Result<(), Error> {
    let timer = ours(
        call,
        "up",
        "applications",
        vec!["up".to_owned()],
        When::Boot,
    )?;
    let caller = caller(call)?;
    if on {
        let written = caller.install(&timer).map_err(BackupError::from)?;
        console::success(format!(
            "'dotcloud up' is called when the machine has started, by {}; 'dotcloud up --no-at-boot' \
             undoes it",
            written.join(" and ")
        ));
        tell_of_lingering(caller);
    } else if caller.remove(&timer).map_err(BackupError::from)? {
        console::success("'dotcloud up' is not called any more when the machine has started");
    } else {
        console::success("Nothing called 'dotcloud up' when the machine started");
    }
    Ok(())
}

fn tell_of_lingering(caller: &Caller) {
    if matches!(caller, Caller::Systemd { user: true, .. }) {
        console::info("Without a login only after 'loginctl enable-linger', once, as root");
    }
}

/// Has backups made from now on.
pub(super) fn install(
    call: &Call,
    application: &str,
    arguments: &Backup,
    destination: Destination,
    records: &Records,
) -> Result<(), Error> {
    let Some(every) = &arguments.every else {
        return Ok(());
    };
    let verify = match arguments.verify.as_deref() {
        None => None,
        Some(text) => Some(Often::parse(text).ok_or_else(|| BackupError::HowOften {
            text: text.to_owned(),
        })?),
    };
    let kind = records.kind();
    let schedule = Schedule {
        every: every.clone(),
        selections: arguments
            .selections
            .iter()
            .map(ToString::to_string)
            .collect(),
        destination,
        directory: call.directory.clone(),
        keep: arguments.keep,
        verify,
        notify: arguments.notify.clone(),
        since: jiff::Timestamp::now().as_second(),
    };
    let when = When::Times {
        cron: every.cron().to_owned(),
        systemd: every.systemd(),
    };
    let timer = timer(call, application, kind, when)?;
    let caller = caller(call)?;
    // First: what is called finds it.
    records.save_schedule(&schedule)?;
    let written = caller.install(&timer).map_err(BackupError::from)?;
    let ship = if kind == Kind::Changes { " --ship" } else { "" };
    console::success(format!(
        "Called at '{every}' by {}; 'dotcloud backup{ship} --never' undoes it",
        written.join(" and ")
    ));
    tell_of_lingering(caller);
    Ok(())
}

/// Has none made any more.
pub(super) fn remove(call: &Call, application: &str, records: &Records) -> Result<(), Error> {
    let when = When::Times {
        cron: String::new(),
        systemd: Vec::new(),
    };
    let timer = timer(call, application, records.kind(), when)?;
    let removed = caller(call)?.remove(&timer).map_err(BackupError::from)?;
    let known = records.schedule()?.is_some();
    records.remove_schedule()?;
    console::success(if removed || known {
        "Nothing is called any more; the backups stay"
    } else {
        "There was no schedule"
    });
    Ok(())
}

/// What the machine calls: everything that is due, one failure being none of the others'.
pub(super) fn run(call: &Call, application: &Application, records: &Records) -> Result<(), Error> {
    let name = &application.name;
    let Some(schedule) = records.schedule()? else {
        return Ok(());
    };
    std::env::set_current_dir(&schedule.directory)
        .map_err(|source| Error::WorkingDirectory { source })?;
    let selections: Vec<Selection> = schedule
        .selections
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let work = Work {
        call,
        name,
        destination: &schedule.destination,
        keep: schedule.keep,
        records,
    };
    let mut last = Ok(());
    for instance in super::backup::instances(call, application, &selections)? {
        let done = one(&work, application, &schedule, &instance);
        if let Err(error) = &done {
            hook::render("dotcloud", error, &mut std::io::stdout());
        }
        // The other schedule may be at a standstill, with nobody to say so.
        for kind in [Kind::Copy, Kind::Changes] {
            if let Err(error) = backup::tell(&records.of(kind), name, &instance) {
                console::warning(format!("--notify: {error}"));
            }
        }
        last = done.and(last);
    }
    last
}

fn one(
    work: &Work<'_>,
    application: &Application,
    schedule: &Schedule,
    instance: &InstanceName,
) -> Result<(), Error> {
    if work.records.kind() == Kind::Changes {
        return work.ship(instance);
    }
    work.back_up(instance)?;
    let now = jiff::Timestamp::now().as_second();
    let health = backup::Health::of(work.records, instance, now)?;
    if schedule
        .verify
        .is_some_and(|often| often.is_due(health.verified, now))
    {
        let done = super::backup::verify(
            work.call,
            application,
            "latest",
            Some(instance),
            work.records,
        );
        note(instance, work.records, &done)?;
        return done;
    }
    Ok(())
}
