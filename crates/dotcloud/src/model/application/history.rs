//! The last deployments of an application: what was deployed when, and how it ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// So many deployments are remembered, with their logs.
pub(crate) const REMEMBERED: usize = 20;

/// Oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct History(Vec<Deployment>);

/// One deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deployment {
    /// Counts up from 1.
    pub(crate) id: u32,
    pub(crate) revision: String,
    /// When it began, in milliseconds since 1970.
    pub(crate) begun: i64,
    pub(crate) outcome: Outcome,
}

/// How a deployment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It goes on, or was killed.
    Unfinished,
    Succeeded,
    Failed,
}

impl Deployment {
    /// When it began.
    pub(crate) fn time(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.begun).unwrap_or_default()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unfinished => "unfinished",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        })
    }
}

impl History {
    pub(crate) fn deployments(&self) -> &[Deployment] {
        &self.0
    }

    /// Records that a deployment begins, forgets the oldest; its id.
    pub(crate) fn begin(&mut self, revision: &str, now: i64) -> u32 {
        let id = self.0.last().map_or(1, |last| last.id + 1);
        self.0.push(Deployment {
            id,
            revision: revision.to_owned(),
            begun: now,
            outcome: Outcome::Unfinished,
        });
        let surplus = self.0.len().saturating_sub(REMEMBERED);
        self.0.drain(..surplus);
        id
    }

    /// Records how the deployment that began last ended.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if let Some(last) = self.0.last_mut() {
            last.outcome = outcome;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begin_counts_on_and_forgets_the_oldest() {
        let mut history = History::default();
        let count = u32::try_from(REMEMBERED).unwrap() + 3;
        for id in 1..=count {
            assert_eq!(history.begin("rsync-1", 7), id);
            history.end(Outcome::Succeeded);
        }
        history.begin("rsync-2", 8);
        let ids: Vec<u32> = history.deployments().iter().map(|d| d.id).collect();
        assert_eq!(ids, (5..=count + 1).collect::<Vec<u32>>());
        let last = history.deployments().last().unwrap();
        assert_eq!(
            (&*last.revision, last.begun, last.outcome),
            ("rsync-2", 8, Outcome::Unfinished)
        );
    }
}
