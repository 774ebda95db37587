//! `memory`: how much of it an instance uses.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::traffic::bytes;
use super::{Call, one_instance};
use crate::cli::Form;
use crate::error::Error;
use crate::model::application::{Application, InstanceName, Selection};
use crate::output::console;
use crate::runtime::usage::{Counted, Usage};
use crate::runtime::{self, RuntimeError};

/// What the instance uses now.
pub(super) fn memory(call: &Call, selection: &Selection, form: Form) -> Result<(), Error> {
    let application = call.application()?;
    let name = one_instance(&application, selection)?;
    let usage = of_instance(call, &application, &name)?.ok_or_else(|| Error::DoesNotRun {
        instance: name.to_string(),
    })?;
    if form.json {
        super::json::print(&describe(&usage));
        return Ok(());
    }
    console::print(format!("=== {name}"));
    let known = |amount: Option<u64>| amount.map_or("not known".to_owned(), bytes);
    console::print(format!("used:  {}", bytes(usage.used)));
    console::print(format!("cache: {}", known(usage.cache)));
    console::print(format!("peak:  {}", known(usage.peak)));
    console::print(format!(
        "limit: {}",
        usage.limit.map_or("none".to_owned(), bytes)
    ));
    if usage.counted == Counted::Processes {
        console::print("The kernel does not count for it: this is what its processes add up to.");
    }
    Ok(())
}

/// What `name` uses; None if it does not run.
pub(super) fn of_instance(
    call: &Call,
    application: &Application,
    name: &InstanceName,
) -> Result<Option<Usage>, RuntimeError> {
    let Some((paths, _)) = call.platform.store.current(application, name) else {
        return Ok(None);
    };
    let runtime = call.platform.runtime_of(&paths)?;
    runtime::measure(&*runtime, &paths)
}

/// For programs.
pub(super) fn describe(usage: &Usage) -> Value {
    json!({
        "used": usage.used,
        "cache": usage.cache,
        "peak": usage.peak,
        "limit": usage.limit,
        "counted": match usage.counted {
            Counted::Group => "group",
            Counted::Processes => "processes",
        },
    })
}

/// In one line, for people.
pub(super) fn in_words(usage: &Usage) -> String {
    let mut words = format!("{} used", bytes(usage.used));
    if let Some(cache) = usage.cache {
        let _ = write!(words, ", {} of it cache", bytes(cache));
    }
    let _ = match usage.limit {
        Some(limit) => write!(words, "; limit {}", bytes(limit)),
        None => write!(words, "; no limit"),
    };
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_words_tells_what_is_known() {
        let mut usage = Usage {
            used: 3 << 20,
            cache: Some(1 << 20),
            limit: Some(64 << 20),
            peak: None,
            counted: Counted::Group,
        };
        let text = "3.0 MiB used, 1.0 MiB of it cache; limit 64.0 MiB";
        assert_eq!(in_words(&usage), text);
        (usage.cache, usage.limit) = (None, None);
        assert_eq!(in_words(&usage), "3.0 MiB used; no limit");
    }
}
