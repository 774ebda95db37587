//! `SERVICE_*`: a service's part of the build file as variables.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Mappings are flattened one level, the rest of the nesting is text that is not meant to be parsed. Not known is
/// whether a program can be started with them.
pub(crate) fn dictionary_variables(
    dictionary: &serde_json::Map<String, Value>,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (key, value) in dictionary {
        let name = format!("SERVICE_{}", key.to_uppercase());
        if let Value::Object(entries) = value {
            for (entry, value) in entries {
                let name = format!("{name}_{}", entry.to_uppercase());
                variables.insert(name, outer_text(value));
            }
        } else {
            variables.insert(name, outer_text(value));
        }
    }
    // Keys are free, but the kernel ends a variable's name at the first '='.
    variables.retain(|name, _| !name.contains(['=', '\0']));
    variables
}

pub(crate) fn outer_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        nested => python_text(nested),
    }
}

/// The form in which the platform, written in Python, printed what is nested.
fn python_text(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains('\'') && !text.contains('"') => {
            format!(
                "\"{}\"",
                text.escape_debug().to_string().replace("\\'", "'")
            )
        }
        Value::String(text) => {
            format!(
                "'{}'",
                text.escape_debug().to_string().replace("\\\"", "\"")
            )
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(python_text).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", python_text(&json!(key)), python_text(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        scalar => scalar.to_string(),
    }
}
