//! What is known of backups, one file for each: written when the copy was read back from where it is,
//! so that half a copy is never listed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::BackupError;
use super::destination::Destination;
use super::health::Notes;
use super::manifest::Manifest;
use super::schedule::Schedule;
use crate::host::files::{self, FileError};
use crate::model::application::InstanceName;

/// A backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    /// Higher for a later one, whatever the clock says.
    pub(crate) sequence: u64,
    pub(crate) instance: String,
    /// When it was begun, in seconds since 1970.
    pub(crate) taken: i64,
    pub(crate) destination: Destination,
    /// What its place calls it.
    pub(crate) name: String,
    pub(crate) manifest: Manifest,
    /// The manifest's own content.
    pub(crate) manifest_text: String,
    #[serde(default)]
    pub(crate) verified: Option<Verified>,
}

impl Record {
    /// Whether it is a backup of `instance`.
    pub(crate) fn is_of(&self, instance: &InstanceName) -> bool {
        self.instance == instance.to_string()
    }
}

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All that an instance keeps.
    Copy,
    /// What was changed since a copy or other changes.
    Changes,
}

impl Kind {
    /// The directory of its records.
    fn list(self) -> &'static str {
        match self {
            Self::Copy => "records",
            Self::Changes => "changes",
        }
    }

    /// In a word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Copy => "copies",
            Self::Changes => "changes",
        }
    }

    /// What is added to the names and tags of a backup of that kind.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Copy => "",
            Self::Changes => "-changes",
        }
    }
}

/// What its last trial found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verified {
    /// In seconds since 1970.
    #[serde(default)]
    pub(crate) when: i64,
    /// By what.
    #[serde(default)]
    pub(crate) server: String,
    /// Rows by table, or whatever the service counts.
    #[serde(default)]
    pub(crate) rows: BTreeMap<String, u64>,
}

/// A backup that failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// In seconds since 1970.
    pub(crate) when: i64,
    pub(crate) why: String,
    /// What follows cannot mend it.
    #[serde(default)]
    pub(crate) lasts: bool,
}

/// The one of `all` that is called `id`, or the latest, of `instance`, if that is said.
pub(crate) fn pick(
    mut all: Vec<Record>,
    id: &str,
    instance: Option<&InstanceName>,
) -> Result<Record, BackupError> {
    all.retain(|record| instance.is_none_or(|instance| record.is_of(instance)));
    let whom = || instance.map_or_else(|| "this application".to_owned(), ToString::to_string);
    if all.is_empty() {
        return Err(BackupError::NoneYet { whom: whom() });
    }
    let found = if id == "latest" {
        all.pop()
    } else {
        all.into_iter().find(|record| record.id == id)
    };
    found.ok_or_else(|| BackupError::Unknown {
        id: id.to_owned(),
        whom: whom(),
    })
}

/// The backups of one application.
#[derive(Debug)]
pub(crate) struct Records {
    directory: PathBuf,
    kind: Kind,
}

impl Records {
    /// Those below `directory`, of ours alone.
    pub(crate) fn open(directory: PathBuf) -> Result<Self, FileError> {
        let kind = Kind::Copy;
        let records = Self { directory, kind };
        let changes = records.of(Kind::Changes).list();
        for path in [
            records.list(),
            changes,
            records.staging(),
            records.replaced(),
        ] {
            files::create_directory(&path, 0o700)?;
        }
        Ok(records)
    }

    /// Those of `kind` beside them.
    pub(crate) fn of(&self, kind: Kind) -> Self {
        let directory = self.directory.clone();
        Self { directory, kind }
    }

    /// What they are of.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Everything of the application's backups.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Copies on their way.
    pub(super) fn staging(&self) -> PathBuf {
        self.directory.join("staging")
    }

    /// Data that gave way to a backup.
    pub(super) fn replaced(&self) -> PathBuf {
        self.directory.join("replaced")
    }

    fn list(&self) -> PathBuf {
        self.directory.join(self.kind.list())
    }

    /// Every backup, the oldest first.
    pub(crate) fn all(&self) -> Result<Vec<Record>, BackupError> {
        let directory = self.list();
        let mut records: Vec<Record> = Vec::new();
        for entry in fs::read_dir(&directory).map_err(files::failed("read", &directory))? {
            let path = entry.map_err(files::failed("read", &directory))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = fs::read(&path).map_err(files::failed("read", &path))?;
            let record = serde_json::from_slice(&text)
                .map_err(|source| BackupError::Damaged { path, source })?;
            records.push(record);
        }
        records.sort_by_key(|record| record.sequence);
        Ok(records)
    }

    /// Every backup of `instance`, the oldest first.
    pub(crate) fn of_instance(&self, instance: &InstanceName) -> Result<Vec<Record>, BackupError> {
        let mut own = self.all()?;
        own.retain(|record| record.is_of(instance));
        Ok(own)
    }

    /// The last one of `instance`.
    pub(crate) fn last(&self, instance: &InstanceName) -> Result<Option<Record>, BackupError> {
        Ok(self.of_instance(instance)?.pop())
    }

    /// The backup `id`, or the latest, of `instance`, if that is said.
    pub(crate) fn find(
        &self,
        id: &str,
        instance: Option<&InstanceName>,
    ) -> Result<Record, BackupError> {
        pick(self.all()?, id, instance)
    }

    /// What went wrong when `instance` was backed up last, if anything did.
    pub(crate) fn failure(&self, instance: &InstanceName) -> Option<Failure> {
        let text = fs::read(self.failure_path(instance)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Notes how a backup of `instance` ended.
    pub(crate) fn note(
        &self,
        instance: &InstanceName,
        failure: Option<&Failure>,
    ) -> Result<(), BackupError> {
        let path = self.failure_path(instance);
        let Some(failure) = failure else {
            let notes = Notes {
                good: Some(jiff::Timestamp::now().as_second()),
                ..self.notes(instance)
            };
            self.note_down(instance, &notes)?;
            return Ok(files::remove(&path)?);
        };
        write(&path, failure)
    }

    /// What is kept of `instance`. What cannot be read begins anew.
    pub(super) fn notes(&self, instance: &InstanceName) -> Notes {
        let text = fs::read(self.notes_path(instance)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Keeps that.
    pub(super) fn note_down(
        &self,
        instance: &InstanceName,
        notes: &Notes,
    ) -> Result<(), BackupError> {
        write(&self.notes_path(instance), notes)
    }

    fn notes_path(&self, instance: &InstanceName) -> PathBuf {
        self.path(instance, "notes")
    }

    fn failure_path(&self, instance: &InstanceName) -> PathBuf {
        self.path(instance, "failure")
    }

    fn schedule_path(&self) -> PathBuf {
        self.path("schedule", "json")
    }

    /// Beside the records: a file of its own for each kind.
    fn path(&self, of: impl std::fmt::Display, ending: &str) -> PathBuf {
        let suffix = self.kind.suffix();
        self.directory.join(format!("{of}{suffix}.{ending}"))
    }

    /// When they are made, if the machine has them made.
    pub(crate) fn schedule(&self) -> Result<Option<Schedule>, BackupError> {
        let path = self.schedule_path();
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|source| BackupError::Damaged { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(files::failed("read", &path)(source).into()),
        }
    }

    /// Keeps that.
    pub(crate) fn save_schedule(&self, schedule: &Schedule) -> Result<(), BackupError> {
        write(&self.schedule_path(), schedule)
    }

    /// The machine has none made any more.
    pub(crate) fn remove_schedule(&self) -> Result<(), BackupError> {
        Ok(files::remove(&self.schedule_path())?)
    }

    /// An id for a backup that begins now, and its place in the sequence.
    pub(super) fn next(&self, now: jiff::Timestamp) -> Result<(String, u64), BackupError> {
        let all = self.all()?;
        let sequence = all.last().map_or(1, |record| record.sequence + 1);
        let time = now.strftime("%Y%m%d-%H%M%S").to_string();
        let taken = |id: &str| all.iter().any(|record| record.id == id);
        let mut id = time.clone();
        let mut number = 2;
        while taken(&id) {
            id = format!("{time}-{number}");
            number += 1;
        }
        Ok((id, sequence))
    }

    /// Adds a backup, or what is newly known of one.
    pub(crate) fn save(&self, record: &Record) -> Result<(), BackupError> {
        write(&self.list().join(format!("{}.json", record.id)), record)
    }

    /// Forgets one that is not there any more.
    pub(crate) fn forget(&self, record: &Record) -> Result<(), BackupError> {
        let path = self.list().join(format!("{}.json", record.id));
        durable::remove_file(&path).map_err(files::failed("remove", &path))?;
        Ok(())
    }

    /// Removes what a killed backup left. The caller holds the lock.
    pub(crate) fn clear_staging(&self) -> Result<(), FileError> {
        files::remove(&self.staging())?;
        files::create_directory(&self.staging(), 0o700)
    }
}

fn write(path: &Path, content: &impl Serialize) -> Result<(), BackupError> {
    let text = serde_json::to_vec_pretty(content).map_err(|source| BackupError::Damaged {
        path: path.to_owned(),
        source,
    })?;
    Ok(files::replace(path, &text, 0o600)?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::backup) fn record(id: &str, sequence: u64, instance: &str) -> Record {
        Record {
            id: id.to_owned(),
            sequence,
            instance: instance.to_owned(),
            taken: 0,
            destination: Destination::Here,
            name: String::new(),
            manifest: Manifest {
                server: String::new(),
                method: String::new(),
                problem: None,
                files: Vec::new(),
            },
            manifest_text: String::new(),
            verified: None,
        }
    }

    #[test]
    fn find_latest_is_last_in_sequence_whatever_the_clock_says() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::open(directory.path().join("app")).unwrap();
        let now = "2026-12-01T05:00:00Z".parse().unwrap();
        assert_eq!(
            records.next(now).unwrap(),
            ("20261201-050000".to_owned(), 1)
        );
        records.save(&record("20261201-050000", 1, "db.0")).unwrap();
        records.save(&record("20251201-050000", 2, "db.0")).unwrap();
        records
            .save(&record("20271201-050000", 3, "web.0"))
            .unwrap();
        fs::write(records.list().join(".new-x"), "{").unwrap();
        assert_eq!(
            records.next(now).unwrap(),
            ("20261201-050000-2".to_owned(), 4)
        );
        let instance = InstanceName::new("db", 0);
        let find = |id: &str| {
            records
                .find(id, Some(&instance))
                .map(|found| found.sequence)
        };
        assert_eq!(find("latest").unwrap(), 2);
        assert_eq!(find("20261201-050000").unwrap(), 1);
        assert_eq!(
            find("20271201-050000").unwrap_err().to_string(),
            "there is no backup '20271201-050000' of db.0"
        );
        records
            .forget(&record("20251201-050000", 2, "db.0"))
            .unwrap();
        assert_eq!(find("latest").unwrap(), 1);
        fs::write(records.list().join("x.json"), "{").unwrap();
        let error = records.all().unwrap_err().to_string();
        assert!(error.ends_with("x.json is damaged"), "{error}");
    }
}
