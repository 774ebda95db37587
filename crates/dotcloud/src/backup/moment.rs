//! A point in time: a time of day here or with an offset, or whatever else the service's program
//! understands.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Until when a backup is brought on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before what was done at that time or later.
    Time(Timestamp),
    /// As the program calls it.
    Other(String),
}

impl Moment {
    /// Without an offset from UTC it is a time of `zone`.
    pub(crate) fn parse(text: &str, zone: &TimeZone) -> Self {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Self::Time(time);
        }
        let local = text.parse::<DateTime>().ok();
        // A time that comes twice, when clocks are set back in autumn, is the first of the two.
        match local.and_then(|time| zone.to_ambiguous_timestamp(time).earlier().ok()) {
            Some(time) => Self::Time(time),
            None => Self::Other(text.to_owned()),
        }
    }

    /// As the program is told.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Time(time) => {
                let micros = time.as_microsecond();
                format!(
                    "@{}.{:06}",
                    micros.div_euclid(1_000_000),
                    micros.rem_euclid(1_000_000)
                )
            }
            Self::Other(text) => text.clone(),
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Time(time) => write!(f, "{time}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_times_are_of_the_zone_unless_they_say() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for (text, told, shown) in [
            (
                "2026-11-30 12:00:00",
                "@1796036400.000000",
                "2026-11-30T11:00:00Z",
            ),
            (
                "2026-11-30T12:00:00.25",
                "@1796036400.250000",
                "2026-11-30T11:00:00.25Z",
            ),
            (
                "2026-11-30 12:00:00Z",
                "@1796040000.000000",
                "2026-11-30T12:00:00Z",
            ),
            (
                "2026-11-30 12:00:00-05:00",
                "@1796058000.000000",
                "2026-11-30T17:00:00Z",
            ),
            // Comes twice there: the first one.
            (
                "2026-10-25 02:30:00",
                "@1792888200.000000",
                "2026-10-25T00:30:00Z",
            ),
            ("0-1-42", "0-1-42", "0-1-42"),
            ("yesterday", "yesterday", "yesterday"),
        ] {
            let moment = Moment::parse(text, &zone);
            assert_eq!(
                (&*moment.told(), &*moment.to_string()),
                (told, shown),
                "{text}"
            );
        }
    }
}
