//! How old the backups of an instance are, for `info` and `status`, and for whatever watches it from within.

use serde_json::{Value, json};

use super::Call;
use super::backups::date;
use crate::backup::{self, BackupError, Health, Kind, Records, State};
use crate::error::Error;
use crate::host::beneath::Directory;
use crate::host::files;
use crate::model::application::{Application, InstanceName};
use crate::output::console;

/// What every instance with backups finds about them (docs/platform.md).
const LEFT: &str = "home/data/backups.json";

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

/// Leaves in each instance of `application` how its backups are. That this failed is told, and harms nothing.
pub(super) fn leave(call: &Call, application: &str) {
    let Ok(application) = call.platform.store.load(application) else {
        return;
    };
    for (instance, _) in backup::lines_of(&call.platform, &application).unwrap_or_default() {
        if let Err(error) = leave_in(call, &application, &instance) {
            console::warning(format!(
                "{instance} is not told how its backups are: {error}"
            ));
        }
    }
}

/// The same for the application that a verb was about, however that ended.
pub(super) fn after(call: &Call, done: Result<(), Error>) -> Result<(), Error> {
    if let Ok(name) = call.application_name() {
        leave(call, &name);
    }
    done
}

fn leave_in(
    call: &Call,
    application: &Application,
    instance: &InstanceName,
) -> Result<(), BackupError> {
    let platform = &call.platform;
    let found = application.instance(instance);
    let Some(container) = found.and_then(|found| found.current.as_ref()) else {
        return Ok(());
    };
    let paths = platform
        .store
        .container(&application.name, instance, container.generation);
    let account = platform.runtime_of(&paths)?.account();
    let records = Records::open(platform.store.backups(&application.name))?;
    let now = jiff::Timestamp::now().as_second();
    let health = |kind| Health::of(&records.of(kind), instance, now);
    let health = (health(Kind::Copy)?, health(Kind::Changes)?);
    let text = left(&health.0, &health.1).to_string();
    let left = Directory::open(paths.root()).and_then(|root| {
        // What never was deployed, or moves just now, has no place for it.
        if root.find("home/data")?.is_none() {
            return Ok(());
        }
        root.replace(LEFT, text.as_bytes(), &account)
    });
    Ok(left.map_err(files::failed("write", &paths.root().join(LEFT)))?)
}

fn left(copies: &Health, changes: &Health) -> Value {
    let of = |health: &Health| {
        let none = health.state == State::Never && health.overdue.is_none();
        (!none).then(|| {
            json!({
                "good": health.last,
                "verified": health.verified,
                "failed": health.failure.is_some(),
                "overdue": health.overdue,
            })
        })
    };
    json!({"copies": of(copies), "changes": of(changes)})
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
