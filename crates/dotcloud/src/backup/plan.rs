//! Which backup and which changes a point in time takes: the service's program says, from the manifests
//! that it wrote itself, before anything is fetched or stopped.

use serde::Deserialize;
use serde_json::{Value, json};

use super::BackupError;
use super::moment::Moment;
use super::record::Record;
use super::take::Place;
use crate::model::application::{Application, InstanceName};
use crate::output::narrator::Narrator;
use crate::service::platform::Platform;

const REQUEST: &str = "request.json";
const PLAN: &str = "plan.json";

/// As much of an answer as is read.
const LONGEST: u64 = 64 << 20;

/// What is asked.
pub(crate) struct Question<'a> {
    pub(crate) moment: &'a Moment,
    pub(crate) allow_gap: bool,
    /// The backups that may be taken, the oldest first.
    pub(crate) copies: &'a [Record],
    /// All changes, the oldest first.
    pub(crate) changes: &'a [Record],
}

/// Places in the lists.
#[derive(Debug, Deserialize)]
struct Plan {
    copy: usize,
    logs: Vec<usize>,
}

/// The backup, and the changes that are replayed on it. The caller holds the application's lock, and that
/// of its backups.
pub(crate) fn plan(
    platform: &Platform,
    application: &Application,
    instance: &InstanceName,
    question: &Question<'_>,
    log: &mut Narrator,
) -> Result<(Record, Vec<Record>), BackupError> {
    let wrong = |source| BackupError::Manifest { source };
    let texts = |records: &[Record]| {
        let text = |record: &Record| serde_json::from_str(&record.manifest_text);
        records.iter().map(text).collect::<Result<Vec<Value>, _>>()
    };
    let request = json!({
        "until": question.moment.told(),
        "allow_gap": question.allow_gap,
        "copies": texts(question.copies).map_err(wrong)?,
        "logs": texts(question.changes).map_err(wrong)?,
    });
    let place = Place::of(platform, application, instance)?;
    place.clear()?;
    place.put(REQUEST, request.to_string().as_bytes())?;
    place.have(("find the changes", &["plan"]), log)?;
    let answer = place.read(PLAN, LONGEST);
    place.clear()?;
    let plan: Plan = serde_json::from_slice(&answer?).map_err(wrong)?;
    let no_plan = || BackupError::Copy {
        path: PLAN.to_owned(),
        problem: "names what was not asked about",
    };
    let copy = question.copies.get(plan.copy).ok_or_else(no_plan)?;
    let changes: Option<Vec<Record>> = plan
        .logs
        .iter()
        .map(|index| question.changes.get(*index).cloned())
        .collect();
    Ok((copy.clone(), changes.ok_or_else(no_plan)?))
}
