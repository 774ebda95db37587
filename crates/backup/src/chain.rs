//! Which logs follow on a copy, up to a moment: a row without a hole, or an error that names both sides of
//! the hole.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::manifest::{LogEntry, Manifest, Position};
use crate::moment::{self, Gtid, Moment};

/// The logs to replay, by number, and where each was found.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Each with the index of its copy.
    pub(crate) logs: Vec<(usize, LogEntry)>,
    /// What whoever restores should know.
    pub(crate) notes: Vec<String>,
}

/// The number at the end of a log's name.
pub(crate) fn number(name: &str) -> Option<u64> {
    name.rsplit_once('.')?.1.parse().ok()
}

/// The logs of `copies` that are needed from `position` on until `moment`.
pub(crate) fn chain(
    copies: &[Manifest],
    position: &Position,
    moment: &Moment,
    allow_gap: bool,
) -> Result<Chain, ChainError> {
    let known = all(copies, &position.lineage);
    let own = number(&position.file).ok_or(ChainError::NoPosition)?;
    // All of the copy's own log is in the copy, where no offset is told.
    let first = if position.position == 0 { own + 1 } else { own };
    let mut chain = Chain {
        logs: Vec::new(),
        notes: Vec::new(),
    };
    let (mut before, mut expected) = (position.file.clone(), first);
    let mut reached = false;
    for (number, (index, log)) in known.range(first..) {
        if reached {
            if let (Moment::Time(time), Some(times)) = (moment, log.times)
                && times.earliest < *time
            {
                chain.notes.push(format!(
                    "the clock was set back: {} has changes of {} as well, which are later and are \
                     not replayed; name a transaction to get those",
                    log.name,
                    moment::shown(times.earliest)
                ));
                break;
            }
            continue;
        }
        if *number != expected {
            let gap = ChainError::Gap {
                before: before.clone(),
                after: log.name.clone(),
            };
            if !allow_gap {
                return Err(gap);
            }
            chain.notes.push(format!("{gap}: gone on all the same"));
        }
        before.clone_from(&log.name);
        expected = number + 1;
        chain.logs.push((*index, log.clone()));
        reached = match moment {
            Moment::Time(time) => log.times.is_some_and(|times| times.latest >= *time),
            Moment::Transaction(gtid) => moment::has(&log.gtids, gtid),
        };
    }
    if reached {
        return Ok(chain);
    }
    chain.end_early(moment)
}

impl Chain {
    /// No log reaches the moment.
    fn end_early(mut self, moment: &Moment) -> Result<Self, ChainError> {
        let time = match moment {
            Moment::Transaction(gtid) => return Err(ChainError::Unknown { gtid: gtid.clone() }),
            Moment::Time(time) => moment::shown(*time),
        };
        let last = self.logs.last().and_then(|(_, log)| log.times);
        self.notes.push(last.map_or_else(
            || format!("no change between the copy and {time} was copied"),
            |last| {
                format!(
                    "the last change that was copied is of {}: everything is replayed",
                    moment::shown(last.latest)
                )
            },
        ));
        Ok(self)
    }
}

/// The logs of one row, by number; of what was copied twice the later copy.
fn all(copies: &[Manifest], lineage: &str) -> BTreeMap<u64, (usize, LogEntry)> {
    let mut found = BTreeMap::new();
    for (index, copy) in copies.iter().enumerate() {
        let Some(logs) = copy.logs.as_ref().filter(|logs| logs.lineage == lineage) else {
            continue;
        };
        for log in &logs.logs {
            if let Some(number) = number(&log.name) {
                found.insert(number, (index, log.clone()));
            }
        }
    }
    found
}

/// What is between a copy and a moment is not known.
#[derive(Debug, Error)]
pub enum ChainError {
    /// The copy does not say where in the logs it is.
    #[error("the copy does not say where in the binary logs it is")]
    NoPosition,
    /// Logs are missing.
    #[error("there is a gap in the binary logs between {before} and {after}")]
    Gap {
        /// The last one before it.
        before: String,
        /// The first one after it.
        after: String,
    },
    /// No log has it.
    #[error("no binary log that follows on a copy has the transaction {gtid}")]
    Unknown {
        /// The transaction.
        gtid: Gtid,
    },
    /// The copies are all later, or say nothing.
    #[error("no copy is from before {until} and says where in the binary logs it is")]
    NoCopy {
        /// What was asked for.
        until: String,
    },
    /// Another row of logs was begun before the moment.
    #[error(
        "the binary logs that follow on the copy end before {until}: another row of logs begins with \
         {after}, and no copy belongs to it"
    )]
    Other {
        /// What was asked for.
        until: String,
        /// The first log of that row.
        after: String,
    },
}

#[cfg(test)]
pub(crate) mod tests;
