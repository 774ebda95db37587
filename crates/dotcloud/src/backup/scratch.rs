//! Trying a backup out in a container of its own, made of what the service was built of: nothing that
//! serves is touched, and nothing stays.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::archive::Target;
use super::fetch::fetch;
use super::program::{Program, line_of};
use super::record::{Record, Records, Verified};
use super::{BackupError, WORK};
use crate::host::account::Account;
use crate::host::beneath::Directory;
use crate::host::files;
use crate::model::application::{Application, InstanceName};
use crate::output::narrator::{Details, Narrator};
use crate::runtime::Runtime;
use crate::service::platform::Platform;
use crate::state::container::Paths;
use crate::state::snapshot;

/// What the service's program writes about its trial.
const RESULT: &str = "checked.json";

/// As much of it as is read.
const LONGEST: u64 = 64 << 20;

/// A trial, and how long the service's program was at it.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) found: Verified,
    pub(crate) took: Duration,
}

/// Has the service's program try `record` out, and puts what it found on record.
pub(crate) fn verify(
    platform: &Platform,
    application: &Application,
    instance: &InstanceName,
    record: &mut Record,
    records: &Records,
) -> Result<(), BackupError> {
    let trial = trial(platform, application, instance, record, records)?;
    record.verified = Some(trial.found);
    records.save(record)
}

/// Has the program of `application`, which need not be the one that made it, try `record` out.
pub(crate) fn trial(
    platform: &Platform,
    application: &Application,
    instance: &InstanceName,
    record: &Record,
    records: &Records,
) -> Result<Trial, BackupError> {
    let log = &mut Narrator::to_stderr();
    log.set_details(Details::LeftOut);
    let line = line_of(platform, application, instance)?;
    let scratch = platform.store.scratch(&application.name);
    discard(platform, &scratch)?;
    let runtime = platform.choose_runtime(application)?.runtime;
    let found = make(platform, application, instance, &scratch, &*runtime).and_then(|()| {
        let work = put(platform, record, records, &scratch, &runtime.account())?;
        scratch.open()?;
        let program = Program {
            platform,
            instance,
            line: &line,
            runtime: &*runtime,
            container: &scratch,
        };
        let begin = Instant::now();
        program.run("check the copy", &["check", "--move"], &work, log)?;
        Ok(Trial {
            took: begin.elapsed(),
            found: result(&scratch)?,
        })
    });
    discard(platform, &scratch)?;
    found
}

/// A container with nothing in it but what the service was built of.
fn make(
    platform: &Platform,
    application: &Application,
    instance: &InstanceName,
    scratch: &Paths,
    runtime: &dyn Runtime,
) -> Result<(), BackupError> {
    let service = application.services.get(&instance.service);
    let account = runtime.account();
    scratch.create(&account)?;
    if let Some(name) = service.and_then(|service| service.snapshot.as_ref()) {
        let archive = platform.store.snapshots(&application.name).join(name);
        snapshot::unpack(&archive, &scratch.home(), &account, &platform.stop)?;
    }
    if let Some((serving, _)) = platform.store.current(application, instance) {
        scratch.save_variables(&serving.load_variables()?)?;
    }
    let memory = service.and_then(|service| service.memory);
    Ok(runtime.provision(scratch, &instance.host(&application.name), memory)?)
}

/// The backup, in the home of a container that is closed.
fn put(
    platform: &Platform,
    record: &Record,
    records: &Records,
    container: &Paths,
    account: &Account,
) -> Result<PathBuf, BackupError> {
    let work = container.home().join(WORK);
    let home = Directory::open(&container.home()).map_err(files::failed("read", &work))?;
    let directory = home
        .make(WORK, account)
        .and_then(|()| home.directory(WORK))
        .map_err(files::failed("create", &work))?;
    let target = Target {
        directory: &directory,
        account,
    };
    fetch(platform, record, records, Some(target))?;
    Ok(work)
}

fn result(scratch: &Paths) -> Result<Verified, BackupError> {
    let mut text = Vec::new();
    let below = Path::new("home").join(WORK).join(RESULT);
    Directory::open(scratch.root())
        .and_then(|root| root.read(&below))
        .and_then(|file| file.take(LONGEST).read_to_end(&mut text))
        .map_err(files::failed("read", &scratch.root().join(&below)))?;
    let found: Verified =
        serde_json::from_slice(&text).map_err(|source| BackupError::Manifest { source })?;
    Ok(Verified {
        // Ours is the clock that counts.
        when: jiff::Timestamp::now().as_second(),
        ..found
    })
}

/// Ends whatever runs there, and removes it.
fn discard(platform: &Platform, scratch: &Paths) -> Result<(), BackupError> {
    if files::look(scratch.root())?.is_some() {
        platform.runtime_of(scratch)?.end(scratch, &mut |_| ())?;
        files::remove(scratch.root())?;
    }
    Ok(())
}
