//! Which copy and which logs a moment takes, told before anything is fetched or stopped. The platform
//! keeps both and understands neither.

use std::fs;
use std::path::Path;

use hook::Report;
use mycnf::write_private;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::chain::{Chain, ChainError, chain, number};
use crate::manifest::{Manifest, ManifestError, Position};
use crate::moment::{self, Moment, MomentError};
use crate::service::ServiceError;

const REQUEST: &str = "request.json";
const PLAN: &str = "plan.json";

/// What is asked: every copy and every copy of logs, the oldest first.
#[derive(Debug, Deserialize)]
struct Request {
    until: String,
    #[serde(default)]
    allow_gap: bool,
    copies: Vec<Manifest>,
    logs: Vec<Manifest>,
}

/// The answer: places in the lists.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Plan {
    copy: usize,
    logs: Vec<usize>,
}

/// Answers the request in `directory`.
pub(crate) fn plan(directory: &Path, report: &mut Report) -> Result<(), PlanError> {
    let path = directory.join(REQUEST);
    let text = fs::read(&path).map_err(|source| ManifestError::Read {
        path: path.clone(),
        source,
    })?;
    let request: Request =
        serde_json::from_slice(&text).map_err(|source| ManifestError::Damaged { path, source })?;
    let (plan, notes) = answer(&request)?;
    for note in notes {
        report.warning(note);
    }
    let text = serde_json::to_vec_pretty(&plan).unwrap_or_default();
    Ok(write_private(&directory.join(PLAN), &text).map_err(ServiceError::from)?)
}

fn answer(request: &Request) -> Result<(Plan, Vec<String>), PlanError> {
    let moment = Moment::parse(&request.until)?;
    let candidates: Vec<(usize, &Position)> = request
        .copies
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, copy)| match &moment {
            Moment::Time(time) => copy.end() <= *time,
            Moment::Transaction(_) => true,
        })
        .filter_map(|(index, copy)| Some((index, copy.position.as_ref()?)))
        .filter(|(_, position)| !position.lineage.is_empty())
        .collect();
    let mut first = None;
    for (index, position) in candidates {
        match attempt(request, position, &moment) {
            Ok(chain) => {
                let mut logs: Vec<usize> = chain.logs.iter().map(|(index, _)| *index).collect();
                logs.sort_unstable();
                logs.dedup();
                return Ok((Plan { copy: index, logs }, chain.notes));
            }
            // An earlier copy may come before a transaction that this one has already.
            Err(error) if matches!(moment, Moment::Transaction(_)) => {
                first.get_or_insert(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let until = match moment {
        Moment::Time(time) => moment::shown(time),
        Moment::Transaction(gtid) => gtid.to_string(),
    };
    Err(first.unwrap_or(ChainError::NoCopy { until }).into())
}

fn attempt(request: &Request, position: &Position, moment: &Moment) -> Result<Chain, ChainError> {
    let chain = chain(&request.logs, position, moment, request.allow_gap)?;
    match moment {
        Moment::Time(time) => check_row(request, position, &chain, *time)?,
        // In the log that was written during the copy it may be part of that.
        Moment::Transaction(gtid) => {
            let last = chain.logs.last().map(|(_, log)| &*log.name);
            let own = last.is_some_and(|last| number(last) == number(&position.file));
            if own && position.has(gtid) {
                let gtid = gtid.clone();
                return Err(ChainError::Unknown { gtid });
            }
        }
    }
    Ok(chain)
}

/// After a restore the logs begin anew. What was written then is not in the row that follows on the copy.
fn check_row(
    request: &Request,
    position: &Position,
    chain: &Chain,
    time: u64,
) -> Result<(), ChainError> {
    let reached = chain
        .logs
        .last()
        .and_then(|(_, log)| log.times)
        .is_some_and(|times| times.latest >= time);
    if reached || request.allow_gap {
        return Ok(());
    }
    let last = request
        .logs
        .iter()
        .rposition(|copy| copy.lineage() == Some(&position.lineage));
    let later = request.logs.iter().skip(last.map_or(0, |last| last + 1));
    for log in later
        .filter_map(|copy| copy.logs.as_ref())
        .flat_map(|logs| &logs.logs)
    {
        if log.times.is_some_and(|times| times.first < time) {
            return Err(ChainError::Other {
                until: moment::shown(time),
                after: log.name.clone(),
            });
        }
    }
    Ok(())
}

/// There is no plan.
#[derive(Debug, Error)]
pub enum PlanError {
    /// No moment.
    #[error(transparent)]
    Moment(#[from] MomentError),
    /// Something is missing.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The request.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The answer cannot be written.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

#[cfg(test)]
mod tests;
