//! When an application's backups are due, as cron says it; and whether one was missed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::destination::Destination;
use super::prune::Keep;

/// How long after its time a backup may be done before it counts as missed.
const GRACE: i64 = 3600;

/// The same of what is due every few minutes.
const SHORT_GRACE: i64 = 300;

/// So many days, hours and minutes are looked at for the last time that it was due.
const LONGEST: u32 = 20_000;

/// What a schedule has done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) every: Calendar,
    /// Services or instances; none: all that have backups.
    pub(crate) selections: Vec<String>,
    pub(crate) destination: Destination,
    /// Where commands are run.
    pub(crate) directory: PathBuf,
    pub(crate) keep: Option<Keep>,
    /// How often the newest one is tried out.
    pub(crate) verify: Option<Often>,
    /// A program, and its arguments, that is told when something changes.
    pub(crate) notify: Option<String>,
    /// Since when, in seconds since 1970.
    pub(crate) since: i64,
}

impl Schedule {
    /// When one was due that has not been done, the last one having been done at `done`, by `now`.
    pub(crate) fn missed(&self, done: Option<i64>, now: i64) -> Option<i64> {
        let grace = self.every.grace();
        let due = self.every.last(now - grace, &TimeZone::system())?;
        (due > self.begun(done)).then_some(due)
    }

    /// From when on the next one counts as missed if nobody makes it.
    pub(crate) fn overdue(&self, done: Option<i64>) -> Option<i64> {
        let due = self.every.next(self.begun(done), &TimeZone::system())?;
        Some(due + self.every.grace())
    }

    fn begun(&self, done: Option<i64>) -> i64 {
        done.unwrap_or(self.since).max(self.since)
    }
}

/// How often a backup is tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Often {
    Always,
    Daily,
    Weekly,
    Monthly,
}

impl Often {
    /// The word that says so.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "always" => Self::Always,
            "daily" => Self::Daily,
            "weekly" => Self::Weekly,
            "monthly" => Self::Monthly,
            _ => return None,
        })
    }

    /// Whether it is time, the last one being of `last`.
    pub(crate) fn is_due(self, last: Option<i64>, now: i64) -> bool {
        // A little less, so that it does not slip by a day each time.
        let hours = match self {
            Self::Always => return true,
            Self::Daily => 23,
            Self::Weekly => 7 * 24 - 1,
            Self::Monthly => 30 * 24 - 1,
        };
        last.is_none_or(|last| now - last >= hours * 3600)
    }
}

/// The five fields of a line of cron.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Calendar {
    text: String,
    minute: Vec<u8>,
    hour: Vec<u8>,
    day: Vec<u8>,
    month: Vec<u8>,
    weekday: Vec<u8>,
}

/// The words for the usual ones. Not at the full hour, when everybody else's are.
const WORDS: [(&str, &str); 4] = [
    ("minute", "* * * * *"),
    ("hour", "17 * * * *"),
    ("day", "17 3 * * *"),
    ("week", "17 3 * * 0"),
];

/// The least and the most of each field.
const FIELDS: [(u8, u8); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];

impl FromStr for Calendar {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let bad = || CalendarError {
            text: text.to_owned(),
        };
        let word = WORDS.iter().find(|(word, _)| *word == text);
        let cron = word.map_or(text, |(_, cron)| cron);
        let fields: Vec<&str> = cron.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(bad());
        };
        let field = |text, index: usize| field(text, FIELDS[index]).ok_or_else(bad);
        let mut weekday = field(weekday, 4)?;
        // Sunday is both.
        if weekday.contains(&7) {
            weekday.push(0);
        }
        weekday.retain(|day| *day < 7);
        weekday.sort_unstable();
        weekday.dedup();
        Ok(Self {
            text: fields.join(" "),
            minute: field(minute, 0)?,
            hour: field(hour, 1)?,
            day: field(day, 2)?,
            month: field(month, 3)?,
            weekday,
        })
    }
}

impl TryFrom<String> for Calendar {
    type Error = CalendarError;

    fn try_from(text: String) -> Result<Self, CalendarError> {
        text.parse()
    }
}

impl From<Calendar> for String {
    fn from(calendar: Calendar) -> Self {
        calendar.text
    }
}

/// `*`, `*/N`, `A`, `A-B`, `A-B/N`, and lists of these.
fn field(text: &str, (least, most): (u8, u8)) -> Option<Vec<u8>> {
    let mut found = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u8>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None => {
                let only: u8 = range.parse().ok()?;
                (only, if step > 1 { most } else { only })
            }
        };
        if from < least || to > most || from > to {
            return None;
        }
        found.extend((from..=to).step_by(step.into()));
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

impl Calendar {
    /// The line of a crontab without its command.
    pub(crate) fn cron(&self) -> &str {
        &self.text
    }

    /// For `OnCalendar=` of systemd; cron takes either day, where systemd takes both.
    pub(crate) fn systemd(&self) -> Vec<String> {
        let list = |numbers: &[u8], (least, most): (u8, u8)| {
            if numbers.len() == usize::from(most - least) + 1 {
                return "*".to_owned();
            }
            let texts: Vec<String> = numbers
                .iter()
                .map(|number| format!("{number:02}"))
                .collect();
            texts.join(",")
        };
        let names = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        let weekdays: Vec<&str> = self
            .weekday
            .iter()
            .map(|day| names[usize::from(*day)])
            .collect();
        let weekdays = format!("{} ", weekdays.join(","));
        let time = format!(
            "{}:{}:00",
            list(&self.hour, FIELDS[1]),
            list(&self.minute, FIELDS[0])
        );
        let month = list(&self.month, FIELDS[3]);
        let day = list(&self.day, FIELDS[2]);
        match (self.any_day(), self.any_weekday()) {
            (_, true) => vec![format!("*-{month}-{day} {time}")],
            (true, false) => vec![format!("{weekdays}*-{month}-* {time}")],
            (false, false) => vec![
                format!("*-{month}-{day} {time}"),
                format!("{weekdays}*-{month}-* {time}"),
            ],
        }
    }

    fn any_day(&self) -> bool {
        self.day.len() == 31
    }

    fn any_weekday(&self) -> bool {
        self.weekday.len() == 7
    }

    fn grace(&self) -> i64 {
        if self.minute.len() > 4 {
            SHORT_GRACE
        } else {
            GRACE
        }
    }

    /// The last time it was due, not after `now`.
    fn last(&self, now: i64, zone: &TimeZone) -> Option<i64> {
        let now = Timestamp::from_second(now - now.rem_euclid(60)).ok()?;
        let mut at: Zoned = now.to_zoned(zone.clone());
        for _ in 0..LONGEST {
            if self.is(&at) {
                return Some(at.timestamp().as_second());
            }
            // Whole days, then whole hours, at once: a year of minutes takes a while.
            let span = if !self.is_day(&at) {
                let minutes = i64::from(at.hour()) * 60 + i64::from(at.minute()) + 1;
                Span::new().try_minutes(minutes).ok()?
            } else if !has(&self.hour, at.hour()) {
                Span::new().try_minutes(i64::from(at.minute()) + 1).ok()?
            } else {
                Span::new().try_minutes(1).ok()?
            };
            at = at.checked_sub(span).ok()?;
        }
        None
    }

    /// The first time it is due after `now`.
    fn next(&self, now: i64, zone: &TimeZone) -> Option<i64> {
        let now = Timestamp::from_second(now - now.rem_euclid(60) + 60).ok()?;
        let mut at: Zoned = now.to_zoned(zone.clone());
        for _ in 0..LONGEST {
            if self.is(&at) {
                return Some(at.timestamp().as_second());
            }
            at = if !self.is_day(&at) {
                at.tomorrow().and_then(|day| day.start_of_day()).ok()?
            } else if !has(&self.hour, at.hour()) {
                let minutes = 60 - i64::from(at.minute());
                at.checked_add(Span::new().try_minutes(minutes).ok()?)
                    .ok()?
            } else {
                at.checked_add(Span::new().try_minutes(1).ok()?).ok()?
            };
        }
        None
    }

    fn is(&self, at: &Zoned) -> bool {
        has(&self.minute, at.minute()) && has(&self.hour, at.hour()) && self.is_day(at)
    }

    fn is_day(&self, at: &Zoned) -> bool {
        let day = has(&self.day, at.day());
        let weekday = has(&self.weekday, at.weekday().to_sunday_zero_offset());
        has(&self.month, at.month())
            && match (self.any_day(), self.any_weekday()) {
                (_, true) => day,
                (true, false) => weekday,
                (false, false) => day || weekday,
            }
    }
}

fn has(numbers: &[u8], number: i8) -> bool {
    u8::try_from(number).is_ok_and(|number| numbers.contains(&number))
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `--every` was not understood.
#[derive(Debug, Error)]
#[error(
    "'{text}' is none of minute, hour, day, week, and no five fields of cron such as '30 2 * * 1-5'"
)]
pub(crate) struct CalendarError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(text: &str) -> Calendar {
        text.parse().unwrap()
    }

    #[test]
    fn calendar_is_what_systemd_and_cron_read() {
        for (text, cron, systemd) in [
            ("minute", "* * * * *", &["*-*-* *:*:00"][..]),
            ("hour", "17 * * * *", &["*-*-* *:17:00"]),
            ("day", "17 3 * * *", &["*-*-* 03:17:00"]),
            ("week", "17 3 * * 0", &["Sun *-*-* 03:17:00"]),
            (
                "*/20 2 * * 1-5",
                "*/20 2 * * 1-5",
                &["Mon,Tue,Wed,Thu,Fri *-*-* 02:00,20,40:00"],
            ),
            (
                "0 4 1 */6 7",
                "0 4 1 */6 7",
                &["*-01,07-01 04:00:00", "Sun *-01,07-* 04:00:00"],
            ),
        ] {
            let found = calendar(text);
            assert_eq!(
                (found.cron(), &found.systemd()[..]),
                (
                    cron,
                    &systemd.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()[..]
                ),
                "{text}"
            );
        }
        for text in [
            "",
            "never",
            "* * * *",
            "60 * * * *",
            "5-3 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "* * 0 * *",
        ] {
            assert_eq!(
                text.parse::<Calendar>().unwrap_err().to_string(),
                format!(
                    "'{text}' is none of minute, hour, day, week, and no five fields of cron such as '30 2 * * 1-5'"
                )
            );
        }
    }

    #[test]
    fn last_is_the_time_before_now() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for (text, now, expected) in [
            ("minute", "2026-12-01T12:34:56+01", "2026-12-01T12:34:00+01"),
            ("day", "2026-12-01T03:16:59+01", "2026-11-30T03:17:00+01"),
            ("day", "2026-12-01T03:17:00+01", "2026-12-01T03:17:00+01"),
            ("week", "2026-12-01T12:00:00+01", "2026-11-29T03:17:00+01"),
            (
                "0 0 29 2 *",
                "2026-12-01T12:00:00+01",
                "2024-02-29T00:00:00+01",
            ),
            (
                "0 0 1 1 *",
                "2026-12-01T12:00:00+01",
                "2026-01-01T00:00:00+01",
            ),
            // There is no such time on that day: the day before.
            (
                "30 2 * * *",
                "2026-03-29T12:00:00+02",
                "2026-03-28T02:30:00+01",
            ),
        ] {
            let seconds = |text: &str| text.parse::<Timestamp>().map(Timestamp::as_second).ok();
            let found = calendar(text).last(seconds(now).unwrap(), &zone);
            assert_eq!(found, seconds(expected), "{text} {now}");
        }
    }

    #[test]
    fn next_is_the_first_time_after_now() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for (text, now, expected) in [
            ("minute", "2026-12-01T12:34:00+01", "2026-12-01T12:35:00+01"),
            ("day", "2026-12-01T03:16:59+01", "2026-12-01T03:17:00+01"),
            ("day", "2026-12-01T03:17:00+01", "2026-12-02T03:17:00+01"),
            ("week", "2026-12-01T12:00:00+01", "2026-12-06T03:17:00+01"),
            (
                "0 0 29 2 *",
                "2026-12-01T12:00:00+01",
                "2028-02-29T00:00:00+01",
            ),
            (
                "0 0 * * 1",
                "2026-03-28T12:00:00+01",
                "2026-03-30T00:00:00+02",
            ),
            // There is no such time on that day: the day after.
            (
                "30 2 * * *",
                "2026-03-28T12:00:00+01",
                "2026-03-30T02:30:00+02",
            ),
        ] {
            let seconds = |text: &str| text.parse::<Timestamp>().map(Timestamp::as_second).ok();
            let found = calendar(text).next(seconds(now).unwrap(), &zone);
            assert_eq!(found, seconds(expected), "{text} {now}");
        }
    }

    #[test]
    fn calendar_on_record_is_a_text_that_can_be_understood() {
        let text = serde_json::to_string(&calendar("day")).unwrap();
        assert_eq!(text, "\"17 3 * * *\"");
        assert_eq!(
            serde_json::from_str::<Calendar>(&text).unwrap(),
            calendar("day")
        );
        assert!(serde_json::from_str::<Calendar>("\"never\"").is_err());
    }

    #[test]
    fn missed_is_what_was_due_and_not_done() {
        let schedule = Schedule {
            every: calendar("minute"),
            selections: Vec::new(),
            destination: Destination::Here,
            directory: "/".into(),
            keep: None,
            verify: None,
            notify: None,
            since: 60_000,
        };
        assert_eq!(schedule.missed(None, 60_200), None, "not yet");
        assert_eq!(schedule.missed(None, 60_400), Some(60_060));
        assert_eq!(schedule.missed(Some(60_330), 60_400), None);
        assert_eq!(schedule.missed(Some(60_000), 61_000), Some(60_660));
        // The same, told in advance.
        for (done, expected) in [(None, 60_360), (Some(60_330), 60_660), (Some(0), 60_360)] {
            assert_eq!(schedule.overdue(done), Some(expected));
            assert_eq!(schedule.missed(done, expected - 1), None);
            assert!(schedule.missed(done, expected).is_some());
        }
        assert!(Often::Weekly.is_due(None, 0) && Often::Weekly.is_due(Some(0), 168 * 3600));
        assert!(!Often::Weekly.is_due(Some(0), 160 * 3600));
        assert_eq!(Often::parse("weekly"), Some(Often::Weekly));
        assert_eq!(Often::parse("latest"), None);
    }
}
