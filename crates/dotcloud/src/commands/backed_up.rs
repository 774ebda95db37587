//! How old the backups of an instance are, for `info`.

use serde_json::{Value, json};

use super::Call;
use super::backups::date;
use crate::backup::{Failure, Records};
use crate::model::application::{Application, InstanceName};

/// What is known of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Known {
    /// When the last one was made, in seconds since 1970.
    last: Option<i64>,
    /// When one was last tried out.
    verified: Option<i64>,
}

fn known(
    call: &Call,
    application: &Application,
    name: &InstanceName,
) -> Option<(Known, Option<Failure>)> {
    let directory = call.platform.store.backups(&application.name);
    // Of an application without backups nothing is made.
    if !directory.is_dir() {
        return None;
    }
    let records = Records::open(directory).ok()?;
    let mut known = Known::default();
    for record in records.all().ok()? {
        if record.instance == name.to_string() {
            known.last = Some(record.taken);
            known.verified = known.verified.max(record.verified.map(|found| found.when));
        }
    }
    let failure = records.failure(name);
    (known != Known::default() || failure.is_some()).then_some((known, failure))
}

/// As lines; none if there never was one.
pub(super) fn lines(call: &Call, application: &Application, name: &InstanceName) -> Vec<String> {
    let Some((known, failure)) = known(call, application, name) else {
        return Vec::new();
    };
    let now = jiff::Timestamp::now().as_second();
    let told = |seconds: Option<i64>| {
        seconds.map_or("never".to_owned(), |then| {
            format!("{} ago", age(now - then))
        })
    };
    let mut lines = vec![format!(
        "last backup {}, tried out {}",
        told(known.last),
        told(known.verified)
    )];
    lines.extend(failure.map(|failure| {
        format!(
            "THE LAST ONE FAILED {} ago: {}",
            age(now - failure.when),
            failure.why
        )
    }));
    lines
}

/// The same for programs.
pub(super) fn value(call: &Call, application: &Application, name: &InstanceName) -> Value {
    known(call, application, name).map_or(Value::Null, |(known, failure)| {
        json!({
            "last": known.last.map(date),
            "verified": known.verified.map(date),
            "failed": failure.map(|failure| json!({
                "date": date(failure.when),
                "error": failure.why,
            })),
        })
    })
}

/// The largest unit of which there are two, of `seconds`.
fn age(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    let found = units.into_iter().find(|(unit, _)| seconds >= 2 * unit);
    found.map_or_else(
        || format!("{seconds} s"),
        |(unit, name)| format!("{} {name}", seconds / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_in_the_largest_unit_of_which_there_are_two() {
        for (seconds, text) in [
            (-5, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7199, "119 min"),
            (7200, "2 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(age(seconds), text);
        }
    }
}
