//! Taking a copy: the service's program makes it in the service's home, and it leaves that at once, by
//! one rename.

use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::program::{Program, line_of};
use super::record::Records;
use super::{BackupError, WORK};
use crate::host::beneath::Directory;
use crate::host::files;
use crate::model::application::{Application, InstanceName};
use crate::output::deployment_log::DeploymentLog;
use crate::service::platform::Platform;

/// A copy that is on its way.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(super) id: String,
    pub(super) sequence: u64,
    pub(super) instance: InstanceName,
    /// When it was begun.
    pub(super) begun: i64,
    /// Out of every service's reach.
    pub(super) directory: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) manifest_text: Vec<u8>,
}

/// Has a copy of `instance` made. The caller holds the application's lock, and that of its backups.
pub(crate) fn take(
    platform: &Platform,
    application: &Application,
    instance: &InstanceName,
    records: &Records,
    log: &mut DeploymentLog,
) -> Result<Taken, BackupError> {
    let line = line_of(platform, application, instance)?;
    let container = application
        .instance(instance)
        .and_then(|found| found.current.as_ref())
        .ok_or_else(|| BackupError::NoProgram {
            service: instance.service.clone(),
        })?;
    let paths = platform
        .store
        .container(&application.name, instance, container.generation);
    let now = jiff::Timestamp::now();
    let (id, sequence) = records.next(now)?;
    let root = Directory::open(paths.root()).map_err(files::failed("read", paths.root()))?;
    let below = Path::new("home").join(WORK);
    let work = paths.root().join(&below);
    let clear = || root.remove(&below).map_err(files::failed("remove", &work));
    // Of one that was killed.
    clear()?;
    let runtime = platform.runtime_of(&paths)?;
    let program = Program {
        platform,
        instance,
        line: &line,
        runtime: &*runtime,
        container: &paths,
    };
    let made = program.run("make", &["take"], &work, log);
    if let Err(error) = made {
        // What is not whole is of no use, and may be what filled the disk.
        clear()?;
        return Err(error);
    }
    let directory = records.staging().join(&id);
    let moved = root.directory(&below).and_then(|copy| {
        // By its descriptor: no link that the service put there is followed.
        let staging = Directory::open(&records.staging())?;
        let (home, name) = root.parent(&below)?;
        drop(copy);
        rustix::fs::renameat(&home, name, &staging, &*id)?;
        staging.sync()
    });
    moved.map_err(files::failed("move", &work))?;
    let copy = Directory::open(&directory).map_err(files::failed("read", &directory))?;
    let (manifest, manifest_text) = Manifest::read(&copy)?;
    Ok(Taken {
        id,
        sequence,
        instance: instance.clone(),
        begun: now.as_second(),
        directory,
        manifest,
        manifest_text,
    })
}
