//! The form of `--json`: names that stay, for programs. docs/platform.md lists them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Call, backed_up, memory, traffic};
use crate::model::application::{Application, Instance, InstanceName, Service};
use crate::model::page;
use crate::output::console;

/// Prints one value, indented.
pub(super) fn print(value: &Value) {
    console::print_verbatim(fit_for_a_terminal(&format!("{value:#}\n")).as_bytes());
}

/// JSON itself escapes the first 32 control characters only. What is left is in strings.
fn fit_for_a_terminal(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if hook::is_unsafe(c) && c != '\n' {
            // None of them needs two units.
            let _ = write!(plain, "\\u{:04x}", u32::from(c));
        } else {
            plain.push(c);
        }
    }
    plain
}

/// An application with its services.
pub(super) fn application(call: &Call, application: &Application) -> Value {
    let services: Vec<Value> = application
        .services
        .iter()
        .map(|(name, record)| service(call, application, name, record))
        .collect();
    json!({
        "name": application.name,
        "flavor": application.flavor,
        "revision": application.revision,
        "state": call.platform.store.directory(&application.name),
        "services": services,
    })
}

/// A service with its instances.
pub(super) fn service(
    call: &Call,
    application: &Application,
    name: &str,
    service: &Service,
) -> Value {
    let instances: Vec<Value> = service
        .instances
        .iter()
        .map(|(&number, record)| {
            instance(call, application, &InstanceName::new(name, number), record)
        })
        .collect();
    json!({
        "name": name,
        "type": service.kind,
        "memory": service.memory,
        "instances": instances,
    })
}

fn instance(
    call: &Call,
    application: &Application,
    name: &InstanceName,
    instance: &Instance,
) -> Value {
    let current = instance.current.as_ref();
    let store = &call.platform.store;
    let paths =
        current.map(|container| store.container(&application.name, name, container.generation));
    let runtime = paths
        .as_ref()
        .and_then(|paths| call.platform.runtime_of(paths).ok())
        .map(|runtime| runtime.name());
    let urls: serde_json::Map<String, Value> = page::urls(instance)
        .into_iter()
        .map(|(port, url)| (port, url.into()))
        .collect();
    let traffic: serde_json::Map<String, Value> = traffic::of_instance(call, application, name)
        .into_iter()
        .map(|(port, found)| {
            let mut described = traffic::describe(found.total);
            described["open"] = found.open.into();
            (port, described)
        })
        .collect();
    json!({
        "name": name.to_string(),
        "host": name.host(&application.name),
        "container": paths.map(|paths| paths.root().to_owned()),
        "runtime": runtime,
        "revision": current.map(|container| &container.revision),
        "urls": urls,
        "traffic": traffic,
        "backup": backed_up::value(call, application, name),
        "memory": memory::of_instance(call, application, name)
            .ok()
            .flatten()
            .map(|usage| memory::describe(&usage)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_for_a_terminal_means_the_same() {
        let value = json!({"a\u{9b}": "\u{202e}\u{2028}\u{7f}\u{1b}\n\u{e9}"});
        let text = fit_for_a_terminal(&format!("{value:#}\n"));
        assert_eq!(
            text,
            "{\n  \"a\\u009b\": \"\\u202e\\u2028\\u007f\\u001b\\n\u{e9}\"\n}\n"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
