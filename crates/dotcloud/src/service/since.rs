//! Dates: the one of `--since`, and the one a log's line begins with.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use thiserror::Error;

/// A moment of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since(pub(crate) Timestamp);

impl FromStr for Since {
    type Err = SinceError;

    /// `90s`, `10m`, `2h` or `1d` ago, or a date as logs have it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || SinceError {
            text: text.to_owned(),
        };
        if let Some(ago) = duration(text) {
            let then = Timestamp::now().checked_sub(ago);
            return then.map(Self).map_err(|_| wrong());
        }
        let midnight = format!("{text} 00:00:00");
        let date = date_of(text.as_bytes()).or_else(|| date_of(midnight.as_bytes()));
        date.map(Self).ok_or_else(wrong)
    }
}

/// `90s`, `10m`, `2h` or `1d`.
fn duration(text: &str) -> Option<Duration> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86400)];
    units.into_iter().find_map(|(unit, seconds)| {
        let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Duration::from_secs(u64::from(number) * seconds))
    })
}

/// How long something may take: `90s`, `10m`, `2h`, or seconds.
pub(crate) fn limit(text: &str) -> Result<Duration, LimitError> {
    let seconds = || text.parse::<u32>().ok();
    duration(text)
        .or_else(|| Some(Duration::from_secs(seconds()?.into())))
        .ok_or_else(|| LimitError {
            text: text.to_owned(),
        })
}

/// It is no span of time.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("'{text}' is no time like 90s, 10m or 2h")]
pub(crate) struct LimitError {
    text: String,
}

/// It is no date.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("'{text}' is neither a time ago (90s, 10m, 2h, 1d) nor a date (2026-12-01 08:00:00)")]
pub(crate) struct SinceError {
    text: String,
}

/// The date that `line` begins with: `2026-12-01T08:00:00.5Z`, `2026-12-01 08:00:00,5`, MariaDB's
/// `2026-12-01  8:00:00`, each perhaps in brackets. Without an offset it is local time.
pub(crate) fn date_of(line: &[u8]) -> Option<Timestamp> {
    let begin = &line[..line.len().min(48)];
    let text = std::str::from_utf8(begin).or_else(|error| {
        let (valid, _) = begin.split_at(error.valid_up_to());
        std::str::from_utf8(valid)
    });
    let text = text.ok()?.trim_start_matches('[');
    let date: Date = text.get(..10)?.parse().ok()?;
    let rest = text.get(10..)?;
    let clock = rest.strip_prefix('T').unwrap_or_else(|| rest.trim_start());
    if clock.len() == rest.len() {
        return None;
    }
    let end = clock.find(|c: char| !c.is_ascii_digit() && c != ':');
    let (clock, rest) = clock.split_at(end.unwrap_or(clock.len()));
    let mut numbers = clock.split(':').map(|part| part.parse::<i8>().ok());
    let mut number = || numbers.next().flatten();
    let time = Time::new(number()?, number()?, number()?, 0).ok()?;
    let fraction = rest.trim_start_matches(['.', ',']);
    let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    let zone = offset(zone).map_or_else(TimeZone::system, Offset::to_time_zone);
    let zoned = date.to_datetime(time).to_zoned(zone).ok()?;
    Some(zoned.timestamp())
}

/// `Z`, `+01:00` or `+0100`.
fn offset(text: &str) -> Option<Offset> {
    if text.starts_with(['Z', 'z']) {
        return Some(Offset::UTC);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours: i32 = text.get(1..3)?.parse().ok()?;
    let rest = text.get(3..)?;
    let minutes = rest.strip_prefix(':').unwrap_or(rest);
    let minutes: i32 = minutes.get(..2)?.parse().ok()?;
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_of_knows_what_logs_begin_with() {
        let local = |text: &str| {
            let zoned = text.parse::<jiff::civil::DateTime>().unwrap();
            let zoned = zoned.to_zoned(TimeZone::system()).unwrap();
            Some(zoned.timestamp())
        };
        let utc = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        for (line, expected, why) in [
            (
                "2026-12-01T08:00:00.123456Z 0 [System]",
                utc("2026-12-01T08:00:00Z"),
                "MySQL",
            ),
            (
                "2026-12-01T08:00:00+01:00 x",
                utc("2026-12-01T07:00:00Z"),
                "an offset",
            ),
            (
                "2026-12-01T08:00:00.5-0230 x",
                utc("2026-12-01T10:30:00Z"),
                "without a colon",
            ),
            (
                "2026-12-01  8:00:00 0 [Note]",
                local("2026-12-01T08:00:00"),
                "MariaDB",
            ),
            (
                "2026-12-01 08:00:00,123 INFO",
                local("2026-12-01T08:00:00"),
                "supervisord",
            ),
            (
                "[2026-12-01 08:00:00] x",
                local("2026-12-01T08:00:00"),
                "brackets",
            ),
            ("2026-12-01x08:00:00", None, "glued"),
            ("2026-13-01 08:00:00", None, "no month"),
            ("2026-12-01 25:00:00", None, "no hour"),
            ("2026-12-01 08:00", None, "no seconds"),
            ("hello", None, "no date"),
            ("", None, "nothing"),
            ("2026-12-01\u{fc}08:00:00", None, "not ASCII"),
        ] {
            assert_eq!(date_of(line.as_bytes()), expected, "{why}");
        }
        assert_eq!(
            date_of(b"2026-12-01T08:00:00Z \xff"),
            utc("2026-12-01T08:00:00Z")
        );
    }

    #[test]
    fn limit_is_in_seconds_unless_it_says_otherwise() {
        assert_eq!(limit("5"), Ok(Duration::from_secs(5)));
        assert_eq!(limit("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(
            limit("-1").unwrap_err().to_string(),
            "'-1' is no time like 90s, 10m or 2h"
        );
    }

    #[test]
    fn since_is_an_age_or_a_date() {
        let age = |text: &str| {
            let Since(then) = text.parse().unwrap();
            Timestamp::now().duration_since(then).as_secs()
        };
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)] {
            assert!((seconds..seconds + 60).contains(&age(text)), "{text}");
        }
        let date: Since = "2026-12-01T00:00:00Z".parse().unwrap();
        assert_eq!(date.0, "2026-12-01T00:00:00Z".parse().unwrap());
        assert!("2026-12-01".parse::<Since>().is_ok());
        assert_eq!(
            "soon".parse::<Since>().unwrap_err().to_string(),
            "'soon' is neither a time ago (90s, 10m, 2h, 1d) nor a date (2026-12-01 08:00:00)"
        );
    }
}
