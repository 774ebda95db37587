//! Which backups are kept, and removing the others from where they are.

use std::collections::BTreeSet;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::BackupError;
use super::destination::Destination;
use super::fetch;
use super::record::{Kind, Record, Records};
use crate::model::application::InstanceName;

/// How many days, weeks and months back one backup each is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keep {
    days: usize,
    weeks: usize,
    months: usize,
}

/// `--keep` was not understood.
#[derive(Debug, Error)]
#[error("'{text}' says no numbers of days, weeks and months, such as 7d,4w,6m")]
pub(crate) struct KeepError {
    text: String,
}

impl FromStr for Keep {
    type Err = KeepError;

    fn from_str(text: &str) -> Result<Self, KeepError> {
        let bad = || KeepError {
            text: text.to_owned(),
        };
        let mut keep = Self::default();
        for part in text.split(',') {
            let unit = part.chars().next_back().ok_or_else(bad)?;
            let number = part.strip_suffix(unit).unwrap_or_default();
            let number: usize = number.parse().map_err(|_| bad())?;
            let slot = match unit {
                'd' => &mut keep.days,
                'w' => &mut keep.weeks,
                'm' => &mut keep.months,
                _ => return Err(bad()),
            };
            if number == 0 || *slot != 0 {
                return Err(bad());
            }
            *slot = number;
        }
        Ok(keep)
    }
}

/// Removes what `keep` does not keep of `instance`, and what a killed backup left in the repository of
/// ours. How many backups that were.
pub(crate) fn prune(
    records: &Records,
    instance: &InstanceName,
    destination: &Destination,
    keep: Keep,
) -> Result<usize, BackupError> {
    // Nobody but its command knows how to remove what it has.
    if matches!(destination, Destination::Command { .. }) {
        return Ok(0);
    }
    let all = records.all()?;
    let own: Vec<&Record> = all
        .iter()
        .filter(|record| record.is_of(instance) && record.destination == *destination)
        .collect();
    let kept = kept(&own, keep);
    let old: Vec<&Record> = own
        .into_iter()
        .filter(|record| !kept.contains(&record.sequence))
        .collect();
    // First: what is listed is there.
    for record in &old {
        records.forget(record)?;
    }
    // Whatever was changed before the oldest backup that stays began is part of that.
    let oldest = all
        .iter()
        .filter(|record| record.is_of(instance) && !old.iter().any(|gone| gone.id == record.id))
        .map(|record| record.taken)
        .min();
    let changes = records.of(Kind::Changes);
    let all_changes = changes.all()?;
    let useless: Vec<&Record> = all_changes
        .iter()
        .filter(|record| record.is_of(instance) && record.destination == *destination)
        .filter(|record| oldest.is_some_and(|oldest| record.taken < oldest))
        .collect();
    for record in &useless {
        changes.forget(record)?;
    }
    let restic = fetch::repository(destination, records)?;
    let gone = old.iter().chain(&useless);
    let mut names: BTreeSet<String> = gone.map(|record| record.name.clone()).collect();
    if *destination == Destination::Here {
        names.extend(restic.snapshots()?.into_iter().map(|found| found.id));
        for record in records.all()?.into_iter().chain(changes.all()?) {
            if record.destination == Destination::Here {
                names.retain(|name| !name.starts_with(&record.name));
            }
        }
    }
    if !names.is_empty() {
        restic.remove(&names.into_iter().collect::<Vec<_>>())?;
    }
    Ok(old.len())
}

/// A day, week or month, told from all others.
type Period = fn(i64) -> Option<(i16, i16)>;

/// The sequence numbers of those that stay: of each day, week and month the last one, and always the
/// last that was made and the last that was tried out.
fn kept(records: &[&Record], keep: Keep) -> BTreeSet<u64> {
    let mut kept = BTreeSet::new();
    kept.extend(records.last().map(|record| record.sequence));
    let verified = records
        .iter()
        .rev()
        .find(|record| record.verified.is_some());
    kept.extend(verified.map(|record| record.sequence));
    let rules: [(usize, Period); 3] = [
        (keep.days, |taken| {
            let date = date(taken)?;
            Some((date.year(), date.day_of_year()))
        }),
        (keep.weeks, |taken| {
            let week = date(taken)?.iso_week_date();
            Some((week.year(), week.week().into()))
        }),
        (keep.months, |taken| {
            let date = date(taken)?;
            Some((date.year(), date.month().into()))
        }),
    ];
    for (number, period) in rules {
        let mut seen = BTreeSet::new();
        for record in records.iter().rev() {
            if seen.len() < number && seen.insert(period(record.taken)) {
                kept.insert(record.sequence);
            }
        }
    }
    kept
}

fn date(seconds: i64) -> Option<jiff::civil::Date> {
    let time = Timestamp::from_second(seconds).ok()?;
    Some(time.to_zoned(TimeZone::UTC).date())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::record::{self, Verified};

    fn record(sequence: u64, day: u32) -> Record {
        Record {
            // From a Tuesday, 2026-12-01, on.
            taken: 1_796_083_200 + i64::from(day) * 86_400,
            ..record::tests::record(&sequence.to_string(), sequence, "db.0")
        }
    }

    #[test]
    fn keep_is_read_or_refused_with_exact_text() {
        let keep = |days, weeks, months| Keep {
            days,
            weeks,
            months,
        };
        assert_eq!("7d,4w,6m".parse::<Keep>().unwrap(), keep(7, 4, 6));
        assert_eq!("2m".parse::<Keep>().unwrap(), keep(0, 0, 2));
        for text in ["", "7", "d", "0d", "7d,7d", "7y", "7d,", "-1d"] {
            assert_eq!(
                text.parse::<Keep>().unwrap_err().to_string(),
                format!("'{text}' says no numbers of days, weeks and months, such as 7d,4w,6m")
            );
        }
    }

    #[test]
    fn kept_are_the_last_of_each_period() {
        // Two a day for forty days.
        let records: Vec<Record> = (0..80).map(|n| record(u64::from(n) + 1, n / 2)).collect();
        let borrowed: Vec<&Record> = records.iter().collect();
        let sequences = |text: &str| -> Vec<u64> {
            kept(&borrowed, text.parse().unwrap()).into_iter().collect()
        };
        assert_eq!(sequences("3d"), [76, 78, 80]);
        // 2026-12-31, and the last.
        assert_eq!(sequences("2m"), [62, 80]);
        // The Sundays before, and the last.
        assert_eq!(sequences("3w"), [54, 68, 80]);
        assert_eq!(sequences("1d"), [80]);
    }

    #[test]
    fn kept_is_always_the_last_that_was_tried_out() {
        let mut records: Vec<Record> = (0..5).map(|n| record(u64::from(n) + 1, n)).collect();
        records[1].verified = Some(Verified {
            when: 0,
            server: String::new(),
            rows: std::collections::BTreeMap::default(),
        });
        let borrowed: Vec<&Record> = records.iter().collect();
        let kept: Vec<u64> = kept(&borrowed, "1d".parse().unwrap()).into_iter().collect();
        assert_eq!(kept, [2, 5]);
    }
}
