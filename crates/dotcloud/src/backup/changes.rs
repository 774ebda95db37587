//! Copying what was changed since the last copy of changes, from which a backup can be brought on to a
//! point in time. The service's program knows what that is; it gets its own manifest of the copy before,
//! and keeps nothing.

use super::BackupError;
use super::record::Records;
use super::take::{Place, Taken};
use crate::model::application::{Application, InstanceName};
use crate::output::narrator::Narrator;
use crate::service::platform::Platform;

/// The manifest of the copy before.
const AFTER: &str = "after.json";

/// Has the changes of `instance` copied that are not among `records`; `None` if there are none. The caller
/// holds the application's lock, and that of its backups.
pub(crate) fn changes(
    platform: &Platform,
    application: &Application,
    instance: &InstanceName,
    records: &Records,
    log: &mut Narrator,
) -> Result<Option<Taken>, BackupError> {
    let place = Place::of(platform, application, instance)?;
    place.clear()?;
    let (id, sequence) = records.next(jiff::Timestamp::now())?;
    if let Some(last) = records.last(instance)? {
        place.put(AFTER, last.manifest_text.as_bytes())?;
    }
    place.have(("copy the changes", &["logs"]), log)?;
    let taken = place.taken(records, id, sequence)?;
    if taken.manifest.files.is_empty() && taken.manifest.problem.is_none() {
        crate::host::files::remove(&taken.directory)?;
        return Ok(None);
    }
    Ok(Some(taken))
}
