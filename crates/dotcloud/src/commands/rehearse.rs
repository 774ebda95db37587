//! `push --rehearse`: the code that would be pushed is built in an application of its own, and tried out
//! there on the last backup of what serves. Nothing that serves is touched, and nothing stays.

use std::collections::BTreeMap;
use std::time::Duration;

use super::backup::{Work, lock_backups};
use super::destroy::destroy_application;
use super::down::stop_application;
use super::{Call, deployment};
use crate::backup::{self, BackupError, Destination, Record, Records};
use crate::deploy::{DataCopy, Options};
use crate::error::Error;
use crate::host::account::Account;
use crate::host::files;
use crate::model::application::{Application, InstanceName};
use crate::model::runtime_choice::RuntimeChoice;
use crate::output::console;
use crate::output::narrator::Narrator;
use crate::state::store::StoreError;
use crate::state::{revisions, uids};

/// Of no other application: one that was left is removed by the next rehearsal.
const FLAVOR: &str = "rehearsal";

/// As much of the application's name as leaves room for the rest.
const LONGEST: usize = 22;

/// Uploads to the application that it is given. The label of the revision.
pub(super) type Upload<'a> = &'a dyn Fn(&Application) -> Result<String, Error>;

/// Tries out what `upload` uploads on the last backups of `name`.
pub(super) fn rehearse(
    call: &Call,
    name: &str,
    runtime: Option<RuntimeChoice>,
    upload: Upload<'_>,
) -> Result<(), Error> {
    let platform = &call.platform;
    let mut original = platform.store.load(name)?;
    original.runtime = runtime.unwrap_or(original.runtime);
    call.defer_signals()?;
    let _backups = lock_backups(call, name)?;
    let records = Records::open(platform.store.backups(name))?;
    records.clear_staging()?;
    let backups = Backups {
        last: last_backups(call, &original, &records)?,
        records: &records,
    };
    let begin: String = name.chars().take(LONGEST).collect();
    let scratch = format!("{begin}-{FLAVOR}");
    let _lock = call.lock_to_start(&scratch)?;
    discard(call, &scratch)?;
    let mut application = create(call, &scratch, &original)?;
    let tried = upload(&application).and_then(|revision| {
        revisions::keep(&platform.store, &mut application, &revision)?;
        try_out(call, &mut application, &original, &revision, &backups)
    });
    let discarded = discard(call, &scratch);
    tried?;
    discarded?;
    console::success(
        "The rehearsal went well; nothing that serves was touched, and nothing of it stays",
    );
    Ok(())
}

/// What a rehearsal begins with.
struct Backups<'a> {
    /// The last one of every instance.
    last: Vec<(InstanceName, Record)>,
    records: &'a Records,
}

/// The last one of every instance that has backups; of one that has none yet it is made now.
fn last_backups(
    call: &Call,
    original: &Application,
    records: &Records,
) -> Result<Vec<(InstanceName, Record)>, Error> {
    let lines = backup::lines_of(&call.platform, original)?;
    if lines.is_empty() {
        let application = original.name.clone();
        return Err(BackupError::Nothing { application }.into());
    }
    let mut found = Vec::new();
    for (instance, _) in lines {
        if records.last(&instance)?.is_none() {
            let work = Work {
                call,
                name: &original.name,
                destination: &Destination::Here,
                keep: None,
                records,
            };
            work.back_up(&instance)?;
        }
        let record = records.find("latest", Some(&instance))?;
        found.push((instance, record));
    }
    Ok(found)
}

/// An application with the variables of `original`.
fn create(call: &Call, name: &str, original: &Application) -> Result<Application, Error> {
    let store = &call.platform.store;
    let mut application = Application::new(name, FLAVOR);
    application.runtime = original.runtime;
    application.variables = original.variables.clone();
    // Nobody else is given the same until it is on record.
    let _given = store.lock_ports()?;
    application.uid = uids::next(store)?;
    let services = Account::of_services(application.uid);
    store.prepare(&[services, Account::of_gateways()])?;
    files::create_directory(&store.directory(name), 0o755)?;
    store.save(&application)?;
    Ok(application)
}

fn try_out(
    call: &Call,
    application: &mut Application,
    original: &Application,
    revision: &str,
    backups: &Backups<'_>,
) -> Result<(), Error> {
    let platform = &call.platform;
    let runtime = platform.choose_runtime(application)?;
    let options = Options {
        copy: DataCopy::Unwanted,
        ..Options::default()
    };
    console::info("Rehearsal: building and starting it without any data");
    deployment::run(call, application, revision, options, runtime)?;
    // What it was started on is of no interest, and needs the memory.
    application.down = true;
    platform.store.save(application)?;
    stop_application(call, application, &mut Narrator::to_stderr())?;
    for (name, service) in &mut application.services {
        service.memory = original
            .services
            .get(name)
            .and_then(|service| service.memory);
    }
    for (instance, record) in &backups.last {
        if application.instance(instance).is_none() {
            console::warning(format!("{instance} is not in the new dotcloud.yml"));
            continue;
        }
        console::info(format!("Rehearsal: {instance} on backup {}", record.id));
        let trial = backup::trial(platform, application, instance, record, backups.records)?;
        let rows: u64 = trial.found.rows.values().sum();
        if let Some(known) = &record.verified {
            compare(instance, &known.rows, &trial.found.rows)?;
        }
        console::success(format!(
            "{instance}: {} has it, with {} tables in order and {rows} rows; for as long as {} it would \
             not be reached",
            trial.found.server,
            trial.found.rows.len(),
            shown(trial.took)
        ));
    }
    Ok(())
}

/// What was counted when the same backup was tried out with what serves.
fn compare(
    instance: &InstanceName,
    known: &BTreeMap<String, u64>,
    found: &BTreeMap<String, u64>,
) -> Result<(), BackupError> {
    let other = known
        .iter()
        .find(|(table, rows)| found.get(*table) != Some(*rows));
    let Some((table, rows)) = other else {
        return Ok(());
    };
    Err(BackupError::Rehearsal {
        instance: instance.clone(),
        table: table.clone(),
        before: *rows,
        after: found.get(table).copied().unwrap_or_default(),
    })
}

/// Rounded up.
fn shown(took: Duration) -> String {
    format!("{} s", took.as_secs() + 1)
}

/// Whatever a rehearsal left.
fn discard(call: &Call, name: &str) -> Result<(), Error> {
    let store = &call.platform.store;
    match store.load(name) {
        Err(StoreError::Unknown { .. }) => Ok(()),
        Ok(application) if application.flavor == FLAVOR => {
            destroy_application(call, &application, &mut Narrator::to_stderr())
        }
        Ok(_) => Err(Error::Exists {
            name: name.to_owned(),
        }),
        Err(error) => Err(error.into()),
    }
}
