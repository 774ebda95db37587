//! Taking a copy: the service's program makes it in the service's home, and it leaves that at once, by
//! one rename.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::program::{Program, line_of};
use super::record::Records;
use super::{BackupError, WORK};
use crate::host::beneath::{self, Directory};
use crate::host::files;
use crate::model::application::{Application, InstanceName};
use crate::output::narrator::Narrator;
use crate::service::platform::Platform;
use crate::state::container::Paths;

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
    log: &mut Narrator,
) -> Result<Taken, BackupError> {
    let place = Place::of(platform, application, instance)?;
    // Of one that was killed.
    place.clear()?;
    let (id, sequence) = records.next(jiff::Timestamp::now())?;
    place.have(("make the copy", &["take"]), log)?;
    place.taken(records, id, sequence)
}

/// Where the service's program makes a copy.
pub(super) struct Place<'a> {
    platform: &'a Platform,
    instance: &'a InstanceName,
    line: String,
    paths: Paths,
    root: Directory,
    begun: i64,
}

impl<'a> Place<'a> {
    /// Of `instance`, which was deployed.
    pub(super) fn of(
        platform: &'a Platform,
        application: &Application,
        instance: &'a InstanceName,
    ) -> Result<Self, BackupError> {
        let line = line_of(platform, application, instance)?;
        let current = platform.store.current(application, instance);
        let (paths, _) = current.ok_or_else(|| BackupError::NoProgram {
            service: instance.service.clone(),
        })?;
        let root = Directory::open(paths.root()).map_err(files::failed("read", paths.root()))?;
        Ok(Self {
            platform,
            instance,
            line,
            paths,
            root,
            begun: jiff::Timestamp::now().as_second(),
        })
    }

    fn below() -> PathBuf {
        Path::new("home").join(WORK)
    }

    fn work(&self) -> PathBuf {
        self.paths.root().join(Self::below())
    }

    /// Removes what is there.
    pub(super) fn clear(&self) -> Result<(), BackupError> {
        let work = self.work();
        let removed = self.root.remove(Self::below());
        Ok(removed.map_err(files::failed("remove", &work))?)
    }

    /// Puts a file there, in a directory that is made for it.
    pub(super) fn put(&self, name: &str, content: &[u8]) -> Result<(), BackupError> {
        let account = self.platform.runtime_of(&self.paths)?.account();
        let put = || {
            self.root.make(Self::below(), &account)?;
            let mut file = self.root.create(Self::below().join(name))?;
            file.write_all(content)?;
            beneath::own(&file, &account)
        };
        Ok(put().map_err(files::failed("write", &self.work().join(name)))?)
    }

    /// A file that the program wrote there.
    pub(super) fn read(&self, name: &str, longest: u64) -> Result<Vec<u8>, BackupError> {
        let mut text = Vec::new();
        self.root
            .read(Self::below().join(name))
            .and_then(|file| file.take(longest).read_to_end(&mut text))
            .map_err(files::failed("read", &self.work().join(name)))?;
        Ok(text)
    }

    /// Has the program do it. If it fails, nothing is left there.
    pub(super) fn have(
        &self,
        (what, words): (&'static str, &[&str]),
        log: &mut Narrator,
    ) -> Result<(), BackupError> {
        let runtime = self.platform.runtime_of(&self.paths)?;
        let program = Program {
            platform: self.platform,
            instance: self.instance,
            line: &self.line,
            runtime: &*runtime,
            container: &self.paths,
        };
        let done = program.run(what, words, &self.work(), log);
        if done.is_err() {
            // What is not whole is of no use, and may be what filled the disk.
            self.clear()?;
        }
        done
    }

    /// Takes what was made out of the service's reach.
    pub(super) fn taken(
        &self,
        records: &Records,
        id: String,
        sequence: u64,
    ) -> Result<Taken, BackupError> {
        let below = Self::below();
        let directory = records.staging().join(&id);
        let moved = self.root.directory(&below).and_then(|copy| {
            // By its descriptor: no link that the service put there is followed.
            let staging = Directory::open(&records.staging())?;
            let (home, name) = self.root.parent(&below)?;
            drop(copy);
            rustix::fs::renameat(&home, name, &staging, &*id)?;
            staging.sync()
        });
        moved.map_err(files::failed("move", &self.work()))?;
        let copy = Directory::open(&directory).map_err(files::failed("read", &directory))?;
        let (manifest, manifest_text) = Manifest::read(&copy)?;
        Ok(Taken {
            id,
            sequence,
            instance: self.instance.clone(),
            begun: self.begun,
            directory,
            manifest,
            manifest_text,
        })
    }
}
