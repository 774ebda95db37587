//! How old the backups of an instance are, for `info` and `status`.

use serde_json::{Value, json};

use super::Call;
use super::backups::date;
use crate::backup::{Health, Kind, Records, State};
use crate::model::application::{Application, InstanceName};

fn known(
    call: &Call,
    application: &Application,
    name: &InstanceName,
) -> Option<(Health, Option<Health>)> {
    let directory = call.platform.store.backups(&application.name);
    // Of an application without backups nothing is made.
    if !directory.is_dir() {
        return None;
    }
    let records = Records::open(directory).ok()?;
    let now = jiff::Timestamp::now().as_second();
    let health = |kind| Health::of(&records.of(kind), name, now).ok();
    let (copies, changes) = (health(Kind::Copy)?, health(Kind::Changes));
    let changes = changes.filter(|health| health.state != State::Never);
    (copies.state != State::Never || changes.is_some()).then_some((copies, changes))
}

/// As lines; none if there never was one.
pub(super) fn lines(call: &Call, application: &Application, name: &InstanceName) -> Vec<String> {
    let Some((copies, changes)) = known(call, application, name) else {
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
        told(copies.last),
        told(copies.verified)
    )];
    lines.extend(wrong(&copies, "BACKUP", now));
    if let Some(changes) = changes {
        lines.push(format!("changes copied {}", told(changes.last)));
        lines.extend(wrong(&changes, "COPY OF CHANGES", now));
    }
    lines
}

/// What nobody should overlook.
fn wrong(health: &Health, what: &str, now: i64) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(failure) = &health.failure {
        lines.push(format!(
            "THE LAST {what} FAILED {} ago: {}",
            age(now - failure.when),
            failure.why
        ));
    }
    if let Some(due) = health.missed {
        lines.push(format!(
            "A {what} WAS MISSED: due {} ago, and nobody made it",
            age(now - due)
        ));
    }
    lines
}

/// The same for programs.
pub(super) fn value(call: &Call, application: &Application, name: &InstanceName) -> Value {
    known(call, application, name).map_or(Value::Null, |(copies, changes)| {
        let mut value = described(&copies);
        value["verified"] = copies.verified.map(date).into();
        value["changes"] = changes.as_ref().map_or(Value::Null, described);
        value
    })
}

fn described(health: &Health) -> Value {
    json!({
        "state": health.state.name(),
        "last": health.last.map(date),
        "missed": health.missed.map(date),
        "failed": health.failure.as_ref().map(|failure| json!({
            "date": date(failure.when),
            "error": failure.why,
        })),
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
