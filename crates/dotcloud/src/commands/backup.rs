//! `backup`: a copy of what an instance keeps, somewhere else; or a trial of one that was made before.

use super::{Call, check_service, schedule};
use crate::backup::{self, BackupError, Destination, Failure, Keep, Kind, Record, Records};
use crate::cli::Backup;
use crate::error::Error;
use crate::handover;
use crate::host::lock::Lock;
use crate::model::application::{Application, InstanceName, Selection};
use crate::output::console;
use crate::output::narrator::Narrator;

/// How much less of the processor a backup asks for than what it copies from.
const NICE: i32 = 10;

/// Makes a backup of every instance that is meant, or tries one out.
pub(super) fn backup(call: &Call, arguments: &Backup) -> Result<(), Error> {
    let platform = &call.platform;
    let name = call.application_name()?;
    let application = platform.store.load(&name)?;
    for selection in &arguments.selections {
        check_service(&application, selection)?;
    }
    let password_file = arguments
        .password_file
        .as_ref()
        .map(|path| call.directory.join(path));
    let destination = Destination::parse(arguments.to.as_deref(), password_file.as_deref())?;
    let more = arguments.to.is_some() || arguments.keep.is_some();
    if arguments.every.is_none() && arguments.verify.is_some() && more {
        return Err(BackupError::VerifyAlone.into());
    }
    call.defer_signals()?;
    let _own = lock_backups(call, &name)?;
    let mut records = Records::open(platform.store.backups(&name))?;
    let scheduled = arguments.scheduled.as_deref();
    if arguments.ship || scheduled == Some(Kind::Changes.name()) {
        records = records.of(Kind::Changes);
    }
    if arguments.every.is_some() {
        return schedule::install(call, &name, arguments, destination, &records);
    }
    if arguments.never {
        return schedule::remove(call, &name, &records);
    }
    // Whoever the services serve comes first, as for the `backup` hook.
    let _ = rustix::process::nice(NICE);
    records.clear_staging()?;
    if scheduled.is_some() {
        return schedule::run(call, &application, &records);
    }
    if let Some(id) = &arguments.verify {
        let named = match &arguments.selections[..] {
            [one] => Some(super::one_instance(&application, one)?),
            _ => None,
        };
        return verify(call, &application, id, named.as_ref(), &records);
    }
    let work = Work {
        call,
        name: &name,
        destination: &destination,
        keep: arguments.keep,
        records: &records,
    };
    for instance in instances(call, &application, &arguments.selections)? {
        let done = match records.kind() {
            Kind::Copy => work.back_up(&instance),
            Kind::Changes => work.ship(&instance),
        };
        if let Err(error) = backup::tell(&records, &name, &instance) {
            console::warning(format!("--notify: {error}"));
        }
        done?;
    }
    Ok(())
}

/// Where to, and what stays.
pub(super) struct Work<'a> {
    pub(super) call: &'a Call,
    pub(super) name: &'a str,
    pub(super) destination: &'a Destination,
    pub(super) keep: Option<Keep>,
    pub(super) records: &'a Records,
}

/// The right to change the application's backups, which may have to be waited for.
pub(super) fn lock_backups(call: &Call, application: &str) -> Result<Lock, Error> {
    let busy = || {
        console::info(format!(
            "Another command works on the backups of \"{application}\": waiting until it is done"
        ));
    };
    // Makes the directory of the locks, where nothing was created yet.
    Ok(call.platform.store.lock_backups(application, busy)?)
}

/// Those that are named, else all that have backups.
pub(super) fn instances(
    call: &Call,
    application: &Application,
    selections: &[Selection],
) -> Result<Vec<InstanceName>, Error> {
    if selections.is_empty() {
        let all = backup::lines_of(&call.platform, application)?;
        if all.is_empty() {
            let application = application.name.clone();
            return Err(BackupError::Nothing { application }.into());
        }
        return Ok(all.into_iter().map(|(name, _)| name).collect());
    }
    let mut found = Vec::new();
    for selection in selections {
        let before = found.len();
        for (name, _) in application.instances() {
            if selection.covers(&name) {
                backup::line_of(&call.platform, application, &name)?;
                found.push(name);
            }
        }
        if found.len() == before {
            return Err(Error::NoInstance {
                instance: selection.to_string(),
            });
        }
    }
    Ok(found)
}

/// Copies what was changed, and sends it to where changes went the last time.
pub(super) fn ship_again(
    call: &Call,
    name: &str,
    instance: &InstanceName,
    records: &Records,
) -> Result<(), Error> {
    let records = records.of(Kind::Changes);
    let last = records.last(instance)?.map(|record| record.destination);
    let work = Work {
        call,
        name,
        destination: &last.unwrap_or(Destination::Here),
        keep: None,
        records: &records,
    };
    work.ship(instance)
}

impl Work<'_> {
    /// Backs `instance` up.
    pub(super) fn back_up(&self, instance: &InstanceName) -> Result<(), Error> {
        let done = self.copy_and_send(instance);
        note(instance, self.records, &done)?;
        done?;
        if let Some(keep) = self.keep {
            let removed = backup::prune(self.records, instance, self.destination, keep)?;
            console::info(format!("Removed {removed} older backup(s) of {instance}"));
        }
        // From here on nothing is missing, whatever was before.
        let changes = self.records.of(Kind::Changes);
        if changes.failure(instance).is_some() {
            changes.note(instance, None)?;
        }
        Ok(())
    }

    /// Copies what was changed since the last time, if anything was.
    pub(super) fn ship(&self, instance: &InstanceName) -> Result<(), Error> {
        let done = self.copy_changes(instance).and_then(|record| {
            let Some(record) = record else { return Ok(()) };
            console::success(format!(
                "Changes {} of {instance}: {} bytes, on {}",
                record.id,
                record.manifest.bytes(),
                record.destination
            ));
            match record.manifest.problem {
                None => Ok(()),
                Some(problem) => Err(BackupError::Problem { problem }.into()),
            }
        });
        // A gap stays one until the next backup.
        let kept = self
            .records
            .failure(instance)
            .filter(|failure| failure.lasts);
        if done.is_ok() && kept.is_some() {
            return Ok(self.records.note(instance, kept.as_ref())?);
        }
        note(instance, self.records, &done)?;
        done
    }

    fn copy_changes(&self, instance: &InstanceName) -> Result<Option<Record>, Error> {
        let platform = &self.call.platform;
        backup::open(self.destination, self.records)?;
        let taken = self.under_lock(|application, log| {
            backup::changes(platform, application, instance, self.records, log)
        })?;
        let Some(taken) = taken else { return Ok(None) };
        let destination = self.destination.clone();
        let record = backup::send(platform, self.name, &taken, destination, self.records)?;
        Ok(Some(record))
    }

    fn copy_and_send(&self, instance: &InstanceName) -> Result<(), Error> {
        let platform = &self.call.platform;
        backup::open(self.destination, self.records)?;
        console::info(format!("Copying what {instance} keeps"));
        let taken = self.under_lock(|application, log| {
            backup::take(platform, application, instance, self.records, log)
        })?;
        console::info(format!(
            "Sending it to {}, and reading it back",
            self.destination
        ));
        let destination = self.destination.clone();
        let record = backup::send(platform, self.name, &taken, destination, self.records)?;
        console::success(format!(
            "Backup {} of {instance}: {} bytes by {}, on {}",
            record.id,
            record.manifest.bytes(),
            record.manifest.method,
            record.destination
        ));
        Ok(())
    }

    /// Does `work` while nobody else changes the application, and after what a command that was killed
    /// has left is in order.
    fn under_lock<T>(
        &self,
        work: impl FnOnce(&Application, &mut Narrator) -> Result<T, BackupError>,
    ) -> Result<T, Error> {
        let log = &mut Narrator::to_stderr();
        let mut application = self.call.locked(self.name)?;
        handover::reconcile(&self.call.platform, &mut application, log)?;
        Ok(work(&application, log)?)
    }
}

/// For `info`, which is to show that the last one failed.
pub(super) fn note(
    instance: &InstanceName,
    records: &Records,
    done: &Result<(), Error>,
) -> Result<(), BackupError> {
    let failure = done.as_ref().err().map(|error| Failure {
        when: jiff::Timestamp::now().as_second(),
        why: error.to_string(),
        lasts: matches!(error, Error::Backup(error) if matches!(**error, BackupError::Problem { .. })),
    });
    match records.note(instance, failure.as_ref()) {
        // Why it failed is the more important of the two.
        Err(_) if failure.is_some() => Ok(()),
        noted => noted,
    }
}

/// Tries a backup out.
pub(super) fn verify(
    call: &Call,
    application: &Application,
    id: &str,
    named: Option<&InstanceName>,
    records: &Records,
) -> Result<(), Error> {
    let mut record = records.find(id, named)?;
    let instance = instance_of(&record, application)?;
    console::info(format!("Trying out backup {} of {instance}", record.id));
    let platform = &call.platform;
    // What it is tried out with must not be built anew meanwhile.
    let application = call.locked(&application.name)?;
    backup::verify(platform, &application, &instance, &mut record, records)?;
    let rows: u64 = record
        .verified
        .iter()
        .flat_map(|found| found.rows.values())
        .sum();
    console::success(format!(
        "Backup {} is good: {} tables with {rows} rows",
        record.id,
        record.verified.map_or(0, |found| found.rows.len())
    ));
    Ok(())
}

/// The instance that a backup is of, in `application`, of which it may be gone.
fn instance_of(record: &Record, application: &Application) -> Result<InstanceName, Error> {
    application
        .instances()
        .map(|(name, _)| name)
        .find(|name| name.to_string() == record.instance)
        .ok_or_else(|| Error::NoInstance {
            instance: record.instance.clone(),
        })
}
