//! Until when changes are replayed: up to a time, or up to a transaction and with it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where a replay ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before what was committed at this time or later, in microseconds since 1970.
    Time(u64),
    /// After this transaction.
    Transaction(Gtid),
}

/// The name of a transaction: `UUID:NUMBER` of MySQL, `DOMAIN-SERVER-NUMBER` of MariaDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gtid {
    /// All but the number.
    pub source: String,
    /// Counts transactions of that source.
    pub number: u64,
}

impl std::fmt::Display for Gtid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let between = if self.source.len() > 30 { ':' } else { '-' };
        write!(f, "{}{between}{}", self.source, self.number)
    }
}

/// The numbers that there are of every source, as ranges.
pub type GtidRanges = BTreeMap<String, Vec<(u64, u64)>>;

/// Adds `gtid`; what follows on a range makes it longer.
pub(crate) fn add(ranges: &mut GtidRanges, gtid: &Gtid) {
    let own = ranges.entry(gtid.source.clone()).or_default();
    match own.last_mut() {
        Some((_, last)) if *last + 1 == gtid.number => *last = gtid.number,
        _ => own.push((gtid.number, gtid.number)),
    }
}

/// Whether `gtid` is in `ranges`.
pub(crate) fn has(ranges: &GtidRanges, gtid: &Gtid) -> bool {
    ranges.get(&gtid.source).is_some_and(|list| {
        list.iter()
            .any(|(first, last)| (*first..=*last).contains(&gtid.number))
    })
}

impl Moment {
    /// Reads `@SECONDS`, which may have a fraction, or a transaction's name.
    pub fn parse(text: &str) -> Result<Self, MomentError> {
        let bad = || MomentError {
            text: text.to_owned(),
        };
        if let Some(time) = text.strip_prefix('@') {
            return micros(time).map(Self::Time).ok_or_else(bad);
        }
        let (source, number) = match text.rsplit_once(':') {
            Some((uuid, number)) if is_uuid(uuid) => (uuid.to_ascii_lowercase(), number),
            Some(_) => return Err(bad()),
            None => {
                let (source, number) = text.rsplit_once('-').ok_or_else(bad)?;
                let parts: Vec<&str> = source.split('-').collect();
                if parts.len() != 2 || parts.iter().any(|part| part.parse::<u32>().is_err()) {
                    return Err(bad());
                }
                (source.to_owned(), number)
            }
        };
        let number = number.parse().map_err(|_| bad())?;
        Ok(Self::Transaction(Gtid { source, number }))
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|c| c == b'-' || c.is_ascii_hexdigit())
}

fn micros(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds) || !digits(fraction) {
        return None;
    }
    let fraction = format!("{fraction:0<6}");
    let fraction: u64 = fraction.get(..6)?.parse().ok()?;
    seconds
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(fraction)
}

/// Microseconds since 1970 as a time of day in UTC, for people.
pub(crate) fn shown(micros: u64) -> String {
    let at = i64::try_from(micros)
        .ok()
        .and_then(|micros| Timestamp::from_microsecond(micros).ok());
    // Later than any calendar says.
    let at = Offset::UTC.to_datetime(at.unwrap_or(Timestamp::MAX));
    // Not by strftime, which is 200 KB.
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// No moment.
#[derive(Debug, Error)]
#[error("'{text}' is neither a time nor the name of a transaction")]
pub struct MomentError {
    text: String,
}

/// What is known of the times in a log, in microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Of the first transaction in it.
    pub first: u64,
    /// The earliest: earlier than the first if the clock was set back.
    pub earliest: u64,
    /// The latest.
    pub latest: u64,
}

impl Times {
    /// Those of one more transaction.
    pub(crate) fn with(times: Option<Self>, time: u64) -> Self {
        times.map_or(
            Self {
                first: time,
                earliest: time,
                latest: time,
            },
            |known| Self {
                first: known.first,
                earliest: known.earliest.min(time),
                latest: known.latest.max(time),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_times_and_transactions() {
        for (text, micros) in [
            ("@0", 0),
            ("@1.5", 1_500_000),
            ("@1796125614.607715", 1_796_125_614_607_715),
            ("@1.1234567", 1_123_456),
        ] {
            assert_eq!(Moment::parse(text).unwrap(), Moment::Time(micros), "{text}");
        }
        for text in ["E11828C2-ed7c-11f1-abde-02fc00000001:4", "0-1-42"] {
            let Moment::Transaction(gtid) = Moment::parse(text).unwrap() else {
                panic!("{text}");
            };
            assert_eq!(gtid.to_string(), text.to_ascii_lowercase());
        }
        for text in [
            "",
            "@",
            "@x",
            "@1.x",
            "@-1",
            "0-1",
            "1-2-3-4",
            "a-b-3",
            "0-1-x",
            "x:4",
            "e11828c2-ed7c-11f1-abde-02fc00000001:4-6",
        ] {
            assert_eq!(
                Moment::parse(text).unwrap_err().to_string(),
                format!("'{text}' is neither a time nor the name of a transaction")
            );
        }
    }

    #[test]
    fn ranges_grow_and_find() {
        let gtid = |number| Gtid {
            source: "0-1".to_owned(),
            number,
        };
        let mut ranges = GtidRanges::new();
        for number in [3, 4, 5, 9] {
            add(&mut ranges, &gtid(number));
        }
        assert_eq!(ranges["0-1"], [(3, 5), (9, 9)]);
        let found: Vec<bool> = (2..=10).map(|number| has(&ranges, &gtid(number))).collect();
        assert_eq!(
            found,
            [false, true, true, true, false, false, false, true, false]
        );
    }

    #[test]
    fn shown_is_a_date() {
        assert_eq!(shown(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(shown(951_827_696_000_000), "2000-02-29 12:34:56 UTC");
        assert_eq!(shown(1_796_125_614_607_715), "2026-12-01 11:46:54 UTC");
        assert_eq!(shown(u64::MAX), "9999-12-30 22:00:00 UTC");
    }
}
