//! `environment.json` and `environment.yml` in a container's home: the platform's variables for
//! programs that read files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};
use thiserror::Error;

use crate::host::account::Account;
use crate::host::beneath::Directory;
use crate::state::container::Paths;

/// Writes `environment.json`, `environment.yml` and the link `environment.yaml` into the home of
/// `container`, for `account` alone: they hold every secret of the application.
pub(crate) fn write_files(
    container: &Paths,
    account: &Account,
    variables: &BTreeMap<String, Value>,
) -> Result<(), EnvironmentFilesError> {
    // One key per line: recipes read these files with grep and cut.
    let json = format!("{:#}\n", json!(variables));
    let yaml = yaml(variables);
    let home = || Directory::open(container.root())?.directory("home");
    let failed = |name| {
        let path = container.home().join(name);
        move |source| EnvironmentFilesError::Write { path, source }
    };
    for (name, content) in [("environment.json", json), ("environment.yml", yaml)] {
        home()
            .and_then(|home| home.replace(name, content.as_bytes(), account))
            .map_err(failed(name))?;
    }
    let link = "environment.yaml";
    home()
        .and_then(|home| home.replace_link("environment.yml", link, account))
        .map_err(failed(link))
}

/// Block style, one key per line.
fn yaml(variables: &BTreeMap<String, Value>) -> String {
    variables
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{}: {}\n", yaml_string(name), yaml_string(text)),
            number => format!("{}: {number}\n", yaml_string(name)),
        })
        .collect()
}

/// Plain where no YAML reader, of whichever version, could take it for anything but this string;
/// else in double quotes with JSON's escapes, which are YAML's too.
fn yaml_string(text: &str) -> String {
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./:@".contains(c))
        && !text.ends_with(':')
        && !words.contains(&&*text.to_lowercase());
    if plain {
        return text.to_owned();
    }
    let mut quoted = String::new();
    for c in json!(text).to_string().chars() {
        // JSON allows some of these as they are.
        if c.is_control() {
            let _ = write!(quoted, "\\u{:04x}", u32::from(c));
        } else {
            quoted.push(c);
        }
    }
    quoted
}

/// An environment file cannot be written.
#[derive(Debug, Error)]
pub(crate) enum EnvironmentFilesError {
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use saphyr::{LoadableYamlNode, Yaml};

    use super::*;

    /// Strings that a reader of YAML 1.1 or 1.2 would take for something else if they were plain.
    const HARD: [&str; 15] = [
        "",
        " a",
        "a: b",
        "a:",
        "#x",
        "two\nlines",
        "1e3",
        "0777",
        "1_000",
        "2001-01-01",
        "12:30",
        "Yes",
        "~",
        "\u{7f}\u{85}",
        "é\"'\\",
    ];

    #[test]
    fn write_files_both_forms_are_private_and_equal() {
        let directory = tempfile::tempdir().unwrap();
        let container = Paths::new(directory.path().to_owned());
        let (home, account) = (container.home(), Account::current());
        fs::create_dir(&home).unwrap();
        let mut variables = BTreeMap::from([
            ("DOTCLOUD_PROJECT".to_owned(), json!("shop")),
            ("DOTCLOUD_SERVICE_ID".to_owned(), json!("1")),
            ("PORT_SSH".to_owned(), json!(22)),
        ]);
        for (index, value) in HARD.iter().enumerate() {
            variables.insert(format!("HARD_{index}"), json!(value));
        }
        write_files(&container, &account, &BTreeMap::new()).unwrap();
        write_files(&container, &account, &variables).unwrap();

        let read = |name: &str| fs::read_to_string(home.join(name)).unwrap();
        let from_json: BTreeMap<String, Value> =
            serde_json::from_str(&read("environment.json")).unwrap();
        assert_eq!(from_json, variables);
        let yaml_text = read("environment.yaml");
        let from_yaml = Yaml::load_from_str(&yaml_text).unwrap().remove(0);
        for (name, value) in &variables {
            let node = from_yaml.as_mapping_get(name).unwrap();
            match value {
                Value::String(text) => assert_eq!(node.as_str(), Some(&**text), "{name}"),
                number => assert_eq!(node.as_integer(), number.as_i64(), "{name}"),
            }
        }
        for line in ["  \"DOTCLOUD_SERVICE_ID\": \"1\",", "  \"PORT_SSH\": 22"] {
            assert!(
                read("environment.json").lines().any(|l| l == line),
                "{line}"
            );
        }
        for line in [
            "DOTCLOUD_PROJECT: shop",
            "DOTCLOUD_SERVICE_ID: \"1\"",
            "PORT_SSH: 22",
        ] {
            assert!(
                yaml_text.lines().any(|l| l == line),
                "{line} in {yaml_text}"
            );
        }
        assert_eq!(yaml_text.lines().count(), variables.len());
        for name in ["environment.json", "environment.yml"] {
            let mode = home.join(name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert_eq!(fs::read_dir(&home).unwrap().count(), 3);
    }

    #[test]
    fn write_files_absent_home_is_refused_with_exact_text() {
        let error = write_files(
            &Paths::new("/nowhere".into()),
            &Account::current(),
            &BTreeMap::new(),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot write /nowhere/home/environment.json"
        );
    }
}
