//! Reading a backup from where it is.

use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::process::Child;

use hook::CommandError;

use super::archive::{self, Target, Wanted};
use super::destination::Destination;
use super::record::{Record, Records};
use super::restic::Restic;
use super::{BackupError, elsewhere};
use crate::service::platform::Platform;

/// How much of what a program says about its failure is of use.
const LAST_WORDS: u64 = 4096;

/// Reads all of it, holds it against its manifest, and puts it into `target`, if there is one.
pub(super) fn fetch(
    platform: &Platform,
    record: &Record,
    records: &Records,
    target: Option<Target<'_>>,
) -> Result<(), BackupError> {
    let wanted = Wanted {
        manifest: &record.manifest,
        text: record.manifest_text.as_bytes(),
        stop: &platform.stop,
    };
    match &record.destination {
        Destination::Here | Destination::Restic { .. } => {
            let mut child = repository(&record.destination, records)?.read(&record.name)?;
            let read = read(&mut child, wanted, target, |pipe| Ok(Box::new(pipe)));
            end_restic(child, read)
        }
        Destination::Command { command } => {
            let mut child = elsewhere::get(command, &record.name)?;
            let read = read(&mut child, wanted, target, |pipe| {
                Ok(Box::new(zstd::Decoder::new(pipe)?))
            });
            // Nobody reads the rest.
            drop(child.stdout.take());
            let status = child
                .wait()
                .map_err(|source| BackupError::RunCommand { source })?;
            let action = "give the copy back";
            match read {
                // It is the cause of whatever was wrong with what came.
                _ if !status.success() && status.code().is_some() => {
                    Err(BackupError::Command { action, status })
                }
                read => read,
            }
        }
    }
}

type Pipe = BufReader<std::process::ChildStdout>;
type Open = fn(Pipe) -> std::io::Result<Box<dyn Read>>;

fn read(
    child: &mut Child,
    wanted: Wanted<'_>,
    target: Option<Target<'_>>,
    open: Open,
) -> Result<(), BackupError> {
    let Some(pipe) = child.stdout.take() else {
        return Ok(());
    };
    let mut stream = open(BufReader::new(pipe)).map_err(BackupError::read_back)?;
    archive::read(&mut stream, wanted, target)?;
    // What follows an archive's end is nothing, and has to be taken all the same.
    std::io::copy(&mut stream, &mut std::io::sink())
        .map(drop)
        .map_err(BackupError::read_back)
}

/// restic's own failure is the cause of what was wrong with its stream.
fn end_restic(mut child: Child, read: Result<(), BackupError>) -> Result<(), BackupError> {
    drop(child.stdout.take());
    let mut said = Vec::new();
    if let Some(errors) = child.stderr.take() {
        let _ = errors.take(LAST_WORDS).read_to_end(&mut said);
    }
    if read.is_err() {
        // It may be at work on what nobody reads.
        let _ = child.kill();
    }
    let status = child.wait().map_err(BackupError::read_back)?;
    match read {
        Err(error) if status.code().is_none_or(|code| code == 0) => Err(error),
        Ok(()) if status.success() => Ok(()),
        _ => Err(BackupError::Restic {
            action: "give the copy back",
            source: Box::new(CommandError::Fail {
                program: "restic".into(),
                status,
                last_words: String::from_utf8_lossy(&said).trim().to_owned(),
            }),
        }),
    }
}

/// The repository that is meant.
pub(super) fn repository(
    destination: &Destination,
    records: &Records,
) -> Result<Restic, BackupError> {
    match destination {
        Destination::Restic {
            repository,
            password_file,
        } => Ok(Restic {
            repository: repository.clone(),
            password_file: password_file.clone(),
            cache: cache(records),
        }),
        Destination::Here | Destination::Command { .. } => Restic::here(records.directory()),
    }
}

fn cache(records: &Records) -> PathBuf {
    records.directory().join("cache")
}
