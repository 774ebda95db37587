//! The rules of a build file: which services and keys there may be, their forms, their defaults.

mod ports;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use saphyr::Marker;
use serde_json::{Map, Value, json};

use super::Service;
use super::dictionary::dictionary_variables;
use super::problem::Problems;
use super::tree::{self, Entry};
use crate::host::system_packages::is_package_name;
use crate::model::variable_size::{SizeError, check_variable, check_variables};
use crate::model::variables::check_variable_name;

/// Types of services that the platform runs from its own images.
const STOCK_TYPES: [&str; 21] = [
    "java",
    "java-worker",
    "mongodb",
    "mysql",
    "mysql-masterslave",
    "nodejs",
    "opa",
    "perl",
    "perl-worker",
    "php",
    "php-worker",
    "postgresql",
    "python",
    "python-worker",
    "rabbitmq",
    "redis",
    "ruby",
    "ruby-worker",
    "smtp",
    "solr",
    "static",
];

const SERVICE_NAME: &str = "1 to 16 lower-case letters, digits and underscores";
const SHORTER: &str = "a shorter one; a file of what is pushed may be longer";
const COMMAND: &str = "a command line on one line";
const TREE_PATH: &str = "a path below the directory of dotcloud.yml";

/// The services in `text`. What is returned beside a problem is not to be used.
pub(super) fn read_all(text: &str, problems: &mut Problems) -> BTreeMap<String, Service> {
    let accepted = "service names, each with its keys below, such as 'db:' above '  type: custom'";
    let Some(document) = tree::document(text, problems) else {
        if problems.is_empty() {
            problems.add(Marker::new(0, 1, 0), "the file is empty", accepted);
        }
        return BTreeMap::new();
    };
    let entries = problems.entries(&document, "the file", accepted);
    let entries = entries.unwrap_or_default();
    if entries.is_empty() && problems.is_empty() {
        problems.add(
            document.span.start,
            "the file declares no service",
            accepted,
        );
    }
    entries
        .into_iter()
        .filter_map(|entry| Some((entry.key.to_owned(), read(entry, problems)?)))
        .collect()
}

fn read(entry: Entry<'_, '_>, problems: &mut Problems) -> Option<Service> {
    let name = entry.key;
    if !is_service_name(name) {
        let what = format!("'{name}' is not a service name");
        problems.add(entry.place, what, SERVICE_NAME);
    }
    let what = format!("service '{name}'");
    let entries = problems.entries(entry.value, &what, "a mapping with at least 'type: custom'")?;
    let mut keys = Keys {
        service: entry,
        entries,
        problems,
    };
    keys.check_config();
    let ports = keys.ports();
    Some(Service {
        kind: keys.kind(),
        approot: PathBuf::from(keys.tree_path("approot").unwrap_or(".")),
        buildscript: keys.tree_path("buildscript").map(str::to_owned),
        prebuild: keys.command("prebuild"),
        postbuild: keys.command("postbuild"),
        postinstall: keys.command("postinstall"),
        backup: keys.command("backup"),
        programs: keys.programs(),
        ports: ports.kinds,
        checks: ports.checks,
        systempackages: keys.system_packages(),
        environment: keys.environment(),
        instances: keys.instances(),
        dictionary: keys.dictionary(),
        name: name.to_owned(),
    })
}

fn is_service_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (1..=16).contains(&name.len()) && name.chars().all(legal)
}

/// The keys of one service, and where their problems go.
struct Keys<'n, 't, 'p> {
    service: Entry<'n, 't>,
    entries: Vec<Entry<'n, 't>>,
    problems: &'p mut Problems,
}

impl<'n, 't> Keys<'n, 't, '_> {
    fn get(&self, key: &str) -> Option<Entry<'n, 't>> {
        self.entries.iter().find(|entry| entry.key == key).copied()
    }

    /// A scalar that is there and not empty.
    fn text(&mut self, key: &str, accepted: &str) -> Option<(&'n str, Marker)> {
        let value = self.get(key)?.value;
        let text = self.problems.scalar(value, &format!("'{key}'"), accepted)?;
        (!text.is_empty()).then_some((text, value.span.start))
    }

    fn kind(&mut self) -> String {
        let (name, place) = (self.service.key, self.service.place);
        let accepted = "type: custom";
        match self.text("type", accepted) {
            Some(("custom", _)) => {}
            Some((stock, place)) if STOCK_TYPES.contains(&stock) => self.problems.add(
                place,
                format!(
                    "'{stock}' is a stock type of the platform, and only custom services run here"
                ),
                accepted,
            ),
            Some((other, place)) => {
                let what = format!("'{other}' is not a type of service");
                self.problems.add(place, what, accepted);
            }
            // 'type' with a wrong shape has been reported already.
            None if self
                .get("type")
                .is_some_and(|entry| !tree::is_scalar(entry.value)) => {}
            None => {
                let what = format!("service '{name}' has no type");
                self.problems.add(place, what, accepted);
            }
        }
        "custom".to_owned()
    }

    fn tree_path(&mut self, key: &str) -> Option<&'n str> {
        let (path, place) = self.text(key, TREE_PATH)?;
        let stays = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !stays {
            let what = format!("'{key}' leaves the tree that is pushed");
            self.problems.add(place, what, TREE_PATH);
        }
        Some(path)
    }

    fn command(&mut self, key: &str) -> Option<String> {
        let (line, place) = self.text(key, COMMAND)?;
        self.one_line(key, line, place)
    }

    /// A block scalar ends with a line break, which is no part of the command.
    fn one_line(&mut self, key: &str, text: &str, place: Marker) -> Option<String> {
        let line = text.trim();
        if line.contains(['\n', '\r']) {
            let what = format!("'{key}' has more than one line");
            self.problems.add(place, what, COMMAND);
        }
        (!line.is_empty()).then(|| line.to_owned())
    }

    fn programs(&mut self) -> BTreeMap<String, String> {
        let mut programs = BTreeMap::new();
        for entry in self.mapping("processes", "program names, each with its command line") {
            if !is_program_name(entry.key) {
                let what = format!("'{}' is not a program name", entry.key);
                let accepted =
                    "letters, digits, '_', '-' and '.', beginning with a letter or digit";
                self.problems.add(entry.place, what, accepted);
            }
            let what = format!("'{}'", entry.key);
            let Some(text) = self.problems.scalar(entry.value, &what, COMMAND) else {
                continue;
            };
            match self.one_line(entry.key, text, entry.value.span.start) {
                Some(command) => drop(programs.insert(entry.key.to_owned(), command)),
                None => self
                    .problems
                    .add(entry.place, format!("{what} is empty"), COMMAND),
            }
        }
        let process = self.command("process");
        match (process, self.get("process")) {
            (Some(_), Some(entry)) if !programs.is_empty() => self.problems.add(
                entry.place,
                format!(
                    "service '{}' has both process and processes",
                    self.service.key
                ),
                "one of them",
            ),
            (Some(process), _) => drop(programs.insert(self.service.key.to_owned(), process)),
            _ if programs.is_empty() => {
                programs.insert(self.service.key.to_owned(), "~/run".to_owned());
            }
            _ => {}
        }
        programs
    }

    fn system_packages(&mut self) -> Vec<String> {
        let accepted = "a list of package names, such as [libaio1, libnuma1]";
        let Some(entry) = self.get("systempackages") else {
            return Vec::new();
        };
        let items = self
            .problems
            .items(entry.value, "'systempackages'", accepted);
        for (name, place) in &items {
            if !is_package_name(name) {
                let what = format!("'{name}' is not a package name");
                self.problems.add(*place, what, accepted);
            }
        }
        items.into_iter().map(|(name, _)| name.to_owned()).collect()
    }

    fn environment(&mut self) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for entry in self.mapping("environment", "variables, each with its value") {
            if let Err(error) = check_variable_name(entry.key) {
                let accepted =
                    "letters, digits and underscores, not beginning with a digit or DOTCLOUD_";
                self.problems.add(entry.place, error.to_string(), accepted);
            }
            let what = format!("'{}'", entry.key);
            if let Some(text) = self.problems.scalar(entry.value, &what, "one value") {
                if let Err(error) = check_variable(entry.key, text) {
                    self.problems.add(entry.place, error.to_string(), SHORTER);
                }
                environment.insert(entry.key.to_owned(), text.to_owned());
            }
        }
        if let (Err(error @ SizeError::TooMany { .. }), Some(entry)) =
            (check_variables(&environment), self.get("environment"))
        {
            self.problems.add(entry.place, error.to_string(), SHORTER);
        }
        environment
    }

    fn instances(&mut self) -> u32 {
        let accepted = "a number from 1";
        let Some((text, place)) = self.text("instances", accepted) else {
            return 1;
        };
        if let Ok(count @ 1..) = text.parse() {
            return count;
        }
        let what = format!("'{text}' is not a number of instances");
        self.problems.add(place, what, accepted);
        1
    }

    /// Only that it is a mapping: what is in it is the service's own business.
    fn check_config(&mut self) {
        let config = self.get("config").map(|entry| entry.value);
        if config.is_some_and(|value| !tree::is_mapping(value)) {
            self.mapping("config", "a mapping, exported as SERVICE_CONFIG_*");
        }
    }

    /// The entries of the mapping `key`; none if it is not there.
    fn mapping(&mut self, key: &str, accepted: &str) -> Vec<Entry<'n, 't>> {
        self.get(key)
            .and_then(|entry| {
                self.problems
                    .entries(entry.value, &format!("'{key}'"), accepted)
            })
            .unwrap_or_default()
    }

    /// Every key as it was written, and the defaults of those that were not.
    fn dictionary(self) -> Map<String, Value> {
        let mut dictionary = Map::new();
        // Known keys have been checked: saying the same again would only repeat the problem.
        let mut seen = Problems::default();
        for entry in &self.entries {
            let problems = if is_checked(entry.key) {
                &mut seen
            } else {
                &mut *self.problems
            };
            let value = problems.value(entry.value, &format!("'{}'", entry.key));
            dictionary.insert(entry.key.to_owned(), value);
        }
        for key in [
            "buildscript",
            "prebuild",
            "postbuild",
            "postinstall",
            "process",
        ] {
            dictionary.entry(key).or_insert_with(|| json!(""));
        }
        for key in ["config", "environment", "ports", "processes"] {
            dictionary.entry(key).or_insert_with(|| json!({}));
        }
        for key in ["requirements", "systempackages"] {
            dictionary.entry(key).or_insert_with(|| json!([]));
        }
        dictionary.entry("approot").or_insert_with(|| json!("."));
        dictionary.entry("instances").or_insert_with(|| json!("1"));
        dictionary.insert("name".to_owned(), json!(self.service.key));
        self.check_sizes(&dictionary);
        dictionary
    }

    /// Whatever is written becomes a variable.
    fn check_sizes(self, dictionary: &Map<String, Value>) {
        for entry in self
            .entries
            .iter()
            .filter(|entry| entry.key != "environment")
        {
            let Some(value) = dictionary.get(entry.key) else {
                continue;
            };
            let alone = Map::from_iter([(entry.key.to_owned(), value.clone())]);
            for (name, value) in dictionary_variables(&alone) {
                if let Err(error) = check_variable(&name, &value) {
                    self.problems.add(entry.place, error.to_string(), SHORTER);
                }
            }
        }
    }
}

/// Whether a function above has reported what is wrong with the key's value.
fn is_checked(key: &str) -> bool {
    let scalars = [
        "type",
        "approot",
        "buildscript",
        "prebuild",
        "postbuild",
        "postinstall",
    ];
    let others = [
        "process",
        "processes",
        "ports",
        "systempackages",
        "environment",
        "instances",
    ];
    scalars.contains(&key) || others.contains(&key)
}

/// It names log files and a section of supervisord's configuration.
fn is_program_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(legal)
}
