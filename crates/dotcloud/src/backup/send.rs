//! Sending a copy to its place, and reading it back from there: only then it is a backup.

use std::io;
use std::path::PathBuf;

use super::archive::{self, Wanted};
use super::destination::Destination;
use super::fetch;
use super::record::{Kind, Record, Records};
use super::restic::Restic;
use super::take::Taken;
use super::{BackupError, elsewhere};
use crate::host::beneath::{Directory, Walk};
use crate::host::files;
use crate::service::platform::Platform;

/// Opens `destination`, and makes a repository there if there is none: before anything is copied, for what is
/// wrong is better known now than in an hour.
pub(crate) fn open(destination: &Destination, records: &Records) -> Result<(), BackupError> {
    let restic = || fetch::repository(destination, records);
    match destination {
        Destination::Here => restic()?.make_here(),
        Destination::Restic { .. } => restic()?.make_if_missing(),
        Destination::Command { .. } => Ok(()),
    }
}

/// Sends `taken`, reads it back, and puts it on record. Of the copy itself nothing stays.
pub(crate) fn send(
    platform: &Platform,
    application: &str,
    taken: &Taken,
    destination: Destination,
    records: &Records,
) -> Result<Record, BackupError> {
    let sent = send_and_read_back(platform, application, taken, destination, records);
    files::remove(&taken.directory)?;
    sent
}

fn send_and_read_back(
    platform: &Platform,
    application: &str,
    taken: &Taken,
    destination: Destination,
    records: &Records,
) -> Result<Record, BackupError> {
    let name = match &destination {
        Destination::Here | Destination::Restic { .. } => {
            let restic = fetch::repository(&destination, records)?;
            to_restic(&restic, application, taken, records.kind())?
        }
        Destination::Command { command } => {
            let name = format!(
                "{application}-{}-{}{}.tar.zst",
                taken.instance,
                taken.id,
                records.kind().suffix()
            );
            to_command(platform, command, taken, name)?
        }
    };
    let record = Record {
        id: taken.id.clone(),
        sequence: taken.sequence,
        instance: taken.instance.to_string(),
        taken: taken.begun,
        destination,
        name,
        manifest: taken.manifest.clone(),
        manifest_text: String::from_utf8_lossy(&taken.manifest_text).into_owned(),
        verified: None,
    };
    fetch::fetch(platform, &record, records, None)?;
    records.save(&record)?;
    Ok(record)
}

fn to_restic(
    restic: &Restic,
    application: &str,
    taken: &Taken,
    kind: Kind,
) -> Result<String, BackupError> {
    let tags = format!(
        "app={application},instance={},id={},kind=backup{}",
        taken.instance,
        taken.id,
        kind.suffix()
    );
    restic.backup(&taken.directory, &tags)
}

fn to_command(
    platform: &Platform,
    command: &str,
    taken: &Taken,
    name: String,
) -> Result<String, BackupError> {
    let path = &taken.directory;
    let copy = Directory::open(path).map_err(files::failed("read", path))?;
    let mut directories: Vec<PathBuf> = Vec::new();
    for found in Walk::new(&copy, path)? {
        let found = found?;
        if found.metadata.is_dir() {
            directories.push(found.path);
        }
    }
    let wanted = Wanted {
        manifest: &taken.manifest,
        text: &taken.manifest_text,
        stop: &platform.stop,
    };
    let mut child = elsewhere::put(command, &name)?;
    let written = child.stdin.take().map_or(Ok(()), |pipe| {
        let mut encoder = zstd::Encoder::new(pipe, 3)?;
        // Every flipped bit is to be found, also one that no digest of ours is of.
        encoder.include_checksum(true)?;
        archive::write(&copy, &directories, wanted, &mut encoder)?;
        encoder.finish().map(drop)
    });
    let status = child
        .wait()
        .map_err(|source| BackupError::RunCommand { source })?;
    if !status.success() {
        let action = "take the copy";
        return Err(BackupError::Command { action, status });
    }
    match written {
        // It may know enough; reading back tells.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(BackupError::read_back(error))
        }
        Ok(()) | Err(_) => Ok(name),
    }
}
