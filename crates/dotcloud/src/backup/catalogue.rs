//! What a restic repository itself tells of the backups in it: for a machine that has no records of them,
//! because it is another one, or has lost them.

use super::BackupError;
use super::destination::{Destination, masked};
use super::fetch;
use super::manifest::{Manifest, NAME};
use super::record::{Record, Records};
use super::restic::{Restic, Snapshot};

/// Every backup of `application` in the repository, the oldest first. What was sent and never read back
/// is among them: a restore verifies it like any other.
pub(crate) fn catalogue(
    destination: &Destination,
    records: &Records,
    application: &str,
) -> Result<Vec<Record>, BackupError> {
    let Destination::Restic { repository, .. } = destination else {
        let text = destination.to_string();
        return Err(BackupError::Place { text });
    };
    let restic = fetch::repository(destination, records)?;
    let mut found = restic.snapshots()?;
    found.retain(|snapshot| snapshot.tag("app").is_some_and(|name| name == application));
    found.sort_by(|one, other| one.time.cmp(&other.time));
    if found.is_empty() {
        return Err(BackupError::Empty {
            application: application.to_owned(),
            repository: masked(repository),
        });
    }
    (1..)
        .zip(found)
        .filter_map(|(sequence, snapshot)| record(&restic, destination, sequence, &snapshot))
        .collect()
}

/// None for what somebody else gave such a tag.
fn record(
    restic: &Restic,
    destination: &Destination,
    sequence: u64,
    snapshot: &Snapshot,
) -> Option<Result<Record, BackupError>> {
    let (id, instance) = (snapshot.tag("id")?, snapshot.tag("instance")?);
    if snapshot.tag("kind").is_some_and(|kind| kind != "backup") {
        return None;
    }
    let taken: jiff::Timestamp = snapshot.time.parse().ok()?;
    let read = || {
        let text = restic.file(&snapshot.id, NAME)?;
        Ok(Record {
            id: id.to_owned(),
            sequence,
            instance: instance.to_owned(),
            taken: taken.as_second(),
            destination: destination.clone(),
            name: snapshot.id.clone(),
            manifest: Manifest::parse(&text)?,
            manifest_text: String::from_utf8_lossy(&text).into_owned(),
            verified: None,
        })
    };
    Some(read())
}
