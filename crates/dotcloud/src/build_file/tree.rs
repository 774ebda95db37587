//! From YAML text to typed looks at its nodes. Whatever has the wrong shape becomes a problem at
//! its place; nothing here knows what a service is.

use std::collections::BTreeSet;

use saphyr::{MarkedYaml, Marker, ScalarStyle, ScanError, YamlData, YamlLoader};
use saphyr_parser::Parser;
use serde_json::Value;

use super::problem::Problems;

pub(super) type Node<'t> = MarkedYaml<'t>;

/// One `key: value` of a mapping.
#[derive(Clone, Copy)]
pub(super) struct Entry<'n, 't> {
    pub(super) key: &'n str,
    pub(super) place: Marker,
    pub(super) value: &'n Node<'t>,
}

/// The one document in `text`; `None` where there is none or it is not YAML.
pub(super) fn document<'t>(text: &'t str, problems: &mut Problems) -> Option<Node<'t>> {
    if refuse_tabs(text, problems) {
        return None;
    }
    match load(text) {
        Ok(documents) => {
            let mut documents = documents.into_iter();
            let first = documents.next();
            if let Some(second) = documents.next() {
                problems.add(
                    second.span.start,
                    "a second document begins here",
                    "one YAML document",
                );
            }
            first
        }
        Err(error) => {
            problems.add(
                *error.marker(),
                format!("this is not YAML: {}", error.info()),
                "YAML: 'key: value' lines, nested by spaces",
            );
            None
        }
    }
}

/// Scalars stay as they were written: `version: 5.10` is not the number 5.1.
fn load(text: &str) -> Result<Vec<Node<'_>>, ScanError> {
    let mut loader = YamlLoader::default();
    loader.early_parse(false);
    Parser::new_from_str(text).load(&mut loader, true)?;
    match loader.error() {
        Some(error) => Err(error.clone()),
        None => Ok(loader.into_documents()),
    }
}

fn refuse_tabs(text: &str, problems: &mut Problems) -> bool {
    let mut index = 0;
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if let Some(column) = line[..indent].find('\t').filter(|_| indent < line.len()) {
            problems.add(
                Marker::new(index + column, number + 1, column),
                "a tab in the indentation",
                "spaces, any number of them",
            );
        }
        index += line.chars().count() + 1;
    }
    !problems.is_empty()
}

impl Problems {
    /// The entries of a mapping with scalar keys. `what` names the mapping.
    pub(super) fn entries<'n, 't>(
        &mut self,
        node: &'n Node<'t>,
        what: &str,
        accepted: &str,
    ) -> Option<Vec<Entry<'n, 't>>> {
        let YamlData::Mapping(mapping) = &node.data else {
            self.add(
                node.span.start,
                format!("{what} is {}", shape(node)),
                accepted,
            );
            return None;
        };
        let mut seen = BTreeSet::new();
        let mut entries = Vec::new();
        for (key, value) in mapping {
            let place = key.span.start;
            match &key.data {
                YamlData::Representation(text, ..) if text == "<<" => self.add(
                    place,
                    "merge keys ('<<') are not supported",
                    "the keys themselves",
                ),
                // The loader refuses most duplicates, but takes 'a' and "a" for different keys.
                YamlData::Representation(text, ..) if !seen.insert(text.as_ref()) => {
                    self.add(place, format!("'{text}' is here twice"), "each key once");
                }
                YamlData::Representation(text, ..) => entries.push(Entry {
                    key: text,
                    place,
                    value,
                }),
                _ => self.add(
                    place,
                    format!("a key is {}", shape(key)),
                    "a word before the colon",
                ),
            }
        }
        Some(entries)
    }

    /// The items of a list of scalars.
    pub(super) fn items<'n>(
        &mut self,
        node: &'n Node<'_>,
        what: &str,
        accepted: &str,
    ) -> Vec<(&'n str, Marker)> {
        let YamlData::Sequence(items) = &node.data else {
            self.add(
                node.span.start,
                format!("{what} is {}", shape(node)),
                accepted,
            );
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| {
                let text = self.scalar(item, &format!("an item of {what}"), accepted)?;
                Some((text, item.span.start))
            })
            .collect()
    }

    /// The text of a scalar, empty for null: numbers and the like are coerced to strings.
    pub(super) fn scalar<'n>(
        &mut self,
        node: &'n Node<'_>,
        what: &str,
        accepted: &str,
    ) -> Option<&'n str> {
        match &node.data {
            // Neither the environment nor an argument can hold it.
            YamlData::Representation(text, ..) if text.contains('\0') => {
                self.add(
                    node.span.start,
                    format!("{what} contains a NUL character"),
                    accepted,
                );
                None
            }
            YamlData::Representation(text, style, _) => Some(unless_null(text, *style)),
            _ => {
                self.add(
                    node.span.start,
                    format!("{what} is {}", shape(node)),
                    accepted,
                );
                None
            }
        }
    }

    /// The whole node, scalars as strings.
    pub(super) fn value(&mut self, node: &Node<'_>, what: &str) -> Value {
        match &node.data {
            YamlData::Mapping(_) => self
                .entries(node, what, "key: value")
                .unwrap_or_default()
                .into_iter()
                .map(|entry| (entry.key.to_owned(), self.value(entry.value, entry.key)))
                .collect(),
            YamlData::Sequence(items) => items.iter().map(|item| self.value(item, what)).collect(),
            _ => Value::from(
                self.scalar(node, what, "a word, a mapping or a list")
                    .unwrap_or_default(),
            ),
        }
    }
}

pub(super) fn is_scalar(node: &Node<'_>) -> bool {
    matches!(node.data, YamlData::Representation(..))
}

pub(super) fn is_mapping(node: &Node<'_>) -> bool {
    matches!(node.data, YamlData::Mapping(..))
}

fn unless_null(text: &str, style: ScalarStyle) -> &str {
    match (text, style) {
        ("~" | "null" | "Null" | "NULL", ScalarStyle::Plain) => "",
        _ => text,
    }
}

fn shape(node: &Node<'_>) -> &'static str {
    match &node.data {
        YamlData::Mapping(_) => "a mapping",
        YamlData::Sequence(_) => "a list",
        YamlData::Tagged(..) => "a tagged value",
        YamlData::Representation(text, style, _) if unless_null(text, *style).is_empty() => "empty",
        _ => "a single value",
    }
}
