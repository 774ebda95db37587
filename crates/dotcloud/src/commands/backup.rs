//! `backup`: a copy of what an instance keeps, somewhere else; or a trial of one that was made before.

use super::{Call, check_service};
use crate::backup::{self, BackupError, Destination, Failure, Kind, Record, Records};
use crate::cli::Backup;
use crate::error::Error;
use crate::handover;
use crate::host::lock::Lock;
use crate::model::application::{Application, InstanceName};
use crate::output::console;
use crate::output::deployment_log::DeploymentLog;

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
    call.defer_signals()?;
    let _own = lock_backups(call, &name)?;
    let records = Records::open(platform.store.backups(&name))?;
    records.clear_staging()?;
    if let Some(id) = &arguments.verify {
        return verify(call, &application, id, arguments, &records);
    }
    let instances = instances(call, &application, arguments)?;
    if arguments.ship {
        return instances
            .iter()
            .try_for_each(|instance| ship(call, &name, instance, &destination, &records));
    }
    for instance in instances {
        let done = one(call, &name, &instance, destination.clone(), &records);
        note(&instance, &records, &done)?;
        done?;
        if let Some(keep) = arguments.keep {
            let removed = backup::prune(&records, &instance, &destination, keep)?;
            console::info(format!("Removed {removed} older backup(s) of {instance}"));
        }
    }
    Ok(())
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
fn instances(
    call: &Call,
    application: &Application,
    arguments: &Backup,
) -> Result<Vec<InstanceName>, Error> {
    if arguments.selections.is_empty() {
        let all = backup::lines_of(&call.platform, application)?;
        if all.is_empty() {
            let application = application.name.clone();
            return Err(BackupError::Nothing { application }.into());
        }
        return Ok(all.into_iter().map(|(name, _)| name).collect());
    }
    let mut found = Vec::new();
    for selection in &arguments.selections {
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
    let whose = instance.to_string();
    let mut all = records.of(Kind::Changes).all()?;
    all.retain(|record| record.instance == whose);
    let last = all.pop().map(|record| record.destination);
    let destination = last.unwrap_or(Destination::Here);
    ship(call, name, instance, &destination, records)
}

/// Copies what was changed since the last time, if anything was.
fn ship(
    call: &Call,
    name: &str,
    instance: &InstanceName,
    destination: &Destination,
    records: &Records,
) -> Result<(), Error> {
    let records = records.of(Kind::Changes);
    let shipped = || -> Result<Option<Record>, Error> {
        let log = &mut DeploymentLog::to_stderr();
        let platform = &call.platform;
        let taken = {
            let _lock = call.lock(name)?;
            let mut application = platform.store.load(name)?;
            handover::settle(platform, &mut application, log)?;
            backup::changes(platform, &application, instance, &records, log)?
        };
        let Some(taken) = taken else { return Ok(None) };
        let destination = destination.clone();
        let record = backup::send(platform, name, &taken, destination, &records)?;
        Ok(Some(record))
    };
    let done = shipped().and_then(|record| {
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
    note(instance, &records, &done)?;
    done
}

/// For `info`, which is to show that the last one failed.
fn note(
    instance: &InstanceName,
    records: &Records,
    done: &Result<(), Error>,
) -> Result<(), BackupError> {
    let failure = done.as_ref().err().map(|error| Failure {
        when: jiff::Timestamp::now().as_second(),
        why: error.to_string(),
    });
    match records.note(instance, failure.as_ref()) {
        // Why it failed is the more important of the two.
        Err(_) if failure.is_some() => Ok(()),
        noted => noted,
    }
}

fn one(
    call: &Call,
    name: &str,
    instance: &InstanceName,
    destination: Destination,
    records: &Records,
) -> Result<(), Error> {
    let platform = &call.platform;
    let log = &mut DeploymentLog::to_stderr();
    console::info(format!("Copying what {instance} keeps"));
    let taken = {
        let _lock = call.lock(name)?;
        let mut application = platform.store.load(name)?;
        handover::settle(platform, &mut application, log)?;
        backup::take(platform, &application, instance, records, log)?
    };
    console::info(format!("Sending it to {destination}, and reading it back"));
    let record = backup::send(platform, name, &taken, destination, records)?;
    console::success(format!(
        "Backup {} of {instance}: {} bytes by {}, on {}",
        record.id,
        record.manifest.bytes(),
        record.manifest.method,
        record.destination
    ));
    Ok(())
}

fn verify(
    call: &Call,
    application: &Application,
    id: &str,
    arguments: &Backup,
    records: &Records,
) -> Result<(), Error> {
    let named = match &arguments.selections[..] {
        [one] => Some(super::one_instance(application, one)?),
        _ => None,
    };
    let mut record = records.find(id, named.as_ref())?;
    let instance = instance_of(&record, application)?;
    console::info(format!("Trying out backup {} of {instance}", record.id));
    let platform = &call.platform;
    // What it is tried out with must not be built anew meanwhile.
    let _lock = call.lock(&application.name)?;
    let application = platform.store.load(&application.name)?;
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
