//! `backups`: what there is to bring back.

use serde_json::{Value, json};

use super::table::table;
use super::{Call, check_service, json as form};
use crate::backup::{self, Destination, Record, Records};
use crate::cli::{Backups, Origin};
use crate::error::Error;
use crate::model::application::{InstanceName, Selection};
use crate::output::console;

/// Lists the backups, the oldest first.
pub(super) fn backups(call: &Call, arguments: &Backups) -> Result<(), Error> {
    let name = call.application_name()?;
    let records = Records::open(call.platform.store.backups(&name))?;
    let mut all = all(call, &name, &arguments.origin, &records)?;
    if let Some(selection) = &arguments.selection {
        all.retain(|record| is_of(record, selection));
        // One that is gone may have backups; a name that was mistyped has none.
        if all.is_empty() {
            check_service(&call.platform.store.load(&name)?, selection)?;
        }
    }
    if arguments.form.json {
        let values: Vec<Value> = all.iter().map(value).collect();
        form::print(&json!(values));
        return Ok(());
    }
    if all.is_empty() {
        console::info(format!("There is no backup of \"{name}\""));
        return Ok(());
    }
    let mut rows = vec![
        [
            "id", "instance", "method", "bytes", "server", "verified", "where",
        ]
        .map(str::to_owned),
    ];
    rows.extend(all.iter().map(row));
    for line in table(&rows) {
        console::print(line);
    }
    Ok(())
}

/// Those that this machine knows of, or those that a repository has.
pub(super) fn all(
    call: &Call,
    application: &str,
    origin: &Origin,
    records: &Records,
) -> Result<Vec<Record>, Error> {
    let Some(from) = origin.from.as_deref() else {
        return Ok(records.all()?);
    };
    let password_file = origin
        .password_file
        .as_ref()
        .map(|path| call.directory.join(path));
    let destination = Destination::parse(Some(from), password_file.as_deref())?;
    Ok(backup::catalogue(&destination, records, application)?)
}

fn is_of(record: &Record, selection: &Selection) -> bool {
    let Ok(instance) = record.instance.parse::<Selection>() else {
        return false;
    };
    let number = instance.number.unwrap_or_default();
    selection.covers(&InstanceName::new(&instance.service, number))
}

fn row(record: &Record) -> [String; 7] {
    [
        record.id.clone(),
        record.instance.clone(),
        record.manifest.method.clone(),
        record.manifest.bytes().to_string(),
        record.manifest.server.clone(),
        record
            .verified
            .as_ref()
            .map_or("never".to_owned(), |found| date(found.when)),
        record.destination.to_string(),
    ]
}

/// RFC 3339, in UTC.
pub(super) fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "?".to_owned(), |time| time.to_string())
}

fn value(record: &Record) -> Value {
    json!({
        "id": record.id,
        "instance": record.instance,
        "date": date(record.taken),
        "method": record.manifest.method,
        "bytes": record.manifest.bytes(),
        "server": record.manifest.server,
        "where": record.destination.to_string(),
        "verified": record.verified.as_ref().map(|found| json!({
            "date": date(found.when),
            "server": found.server,
            "rows": found.rows,
        })),
    })
}
