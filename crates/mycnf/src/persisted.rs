//! `mysqld-auto.cnf`: what `SET PERSIST` keeps in the data directory of MySQL from 8.0 on. The server reads
//! it after every option file and its own command line, so that it overrules them all. Changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

/// The file's name in the data directory.
const NAME: &str = "mysqld-auto.cnf";

/// Nobody's settings are longer.
const MOST_BYTES: u64 = 4 << 20;

/// What is persisted. Nothing, where there is no such file.
#[derive(Clone, Debug, Default)]
pub struct Persisted {
    path: PathBuf,
    values: BTreeMap<String, String>,
}

impl Persisted {
    /// Reads the file of `data_dir`, in whichever format a release wrote it.
    pub fn read(data_dir: &Path) -> Result<Self, PersistedError> {
        let path = data_dir.join(NAME);
        // What is in the way of one that is there is told by whoever looks at the data directory.
        let Ok(metadata) = fs::metadata(&path) else {
            return Ok(Self::default());
        };
        if !metadata.is_file() || metadata.len() > MOST_BYTES {
            return Err(PersistedError::Damaged { path });
        }
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(PersistedError::Read { path, source }),
        };
        // The servers take an empty one for none.
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let Ok(Value::Object(file)) = serde_json::from_slice(&bytes) else {
            return Err(PersistedError::Damaged { path });
        };
        let mut values = BTreeMap::new();
        for section in file.values().filter_map(Value::as_object) {
            collect(section, &mut values);
        }
        Ok(Self { path, values })
    }

    /// What `option` is set to, with `-` in its name.
    #[must_use]
    pub fn get(&self, option: &str) -> Option<&str> {
        self.values.get(option).map(String::as_str)
    }

    /// Every option's name, with `-`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The options of a section, some of which older releases put into a section of it.
fn collect(section: &Map<String, Value>, values: &mut BTreeMap<String, String>) {
    for (name, value) in section {
        let value = match value {
            Value::Object(inner) => {
                let Some(value) = inner.get("Value") else {
                    collect(inner, values);
                    continue;
                };
                value
            }
            value => value,
        };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        values.insert(name.replace('_', "-"), text);
    }
}

/// The file cannot be used; the server would refuse it as well.
#[derive(Debug, Error)]
pub enum PersistedError {
    /// It cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what a server writes.
    #[error("{path}, which SET PERSIST writes, is damaged", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Persisted, String> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME), text).unwrap();
        let told = |error: PersistedError| {
            error
                .to_string()
                .replace(dir.path().to_str().unwrap(), "{d}")
        };
        Persisted::read(dir.path()).map_err(told)
    }

    #[test]
    fn read_both_formats() {
        for text in [
            // 8.0.29 and later.
            r#"{"Version": 2, "mysql_static_variables": {"innodb_buffer_pool_size": {"Value": "67108864",
               "Metadata": {"Host": "localhost", "User": "root", "Timestamp": 1796095852601675}}},
               "mysql_dynamic_parse_early_variables": {"max_connections": {"Value": "77", "Metadata": {}}}}"#,
            // Before, with read-only variables in a section of their own.
            r#"{ "Version" : 1 , "mysql_server" : { "max_connections" : { "Value" : "77" , "Metadata" : {
               "Timestamp" : 1 } } , "mysql_server_static_options" : { "innodb_buffer_pool_size" :
               { "Value" : "67108864" , "Metadata" : { "User" : "x" } } } } }"#,
            // The first of them.
            r#"{"mysql_server": {"max_connections": "77", "innodb_buffer_pool_size": "67108864"}}"#,
        ] {
            let persisted = read(text).unwrap();
            assert_eq!(persisted.get("innodb-buffer-pool-size"), Some("67108864"));
            assert_eq!(persisted.get("max-connections"), Some("77"));
            assert_eq!(persisted.names().count(), 2, "{text}");
        }
        assert_eq!(read("").unwrap().names().count(), 0);
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Persisted::read(dir.path()).unwrap().names().count(), 0);
    }

    #[test]
    fn read_damaged_or_unreadable_has_exact_texts() {
        let damaged = "{d}/mysqld-auto.cnf, which SET PERSIST writes, is damaged";
        let deep = "[".repeat(100_000);
        for text in [
            "{\"Version\": 2",
            "[1]",
            "\0\0\0",
            "max_connections=1",
            &deep,
        ] {
            assert_eq!(read(text).unwrap_err(), damaged);
        }
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(NAME)).unwrap();
        assert!(matches!(
            Persisted::read(dir.path()),
            Err(PersistedError::Damaged { .. })
        ));
        let read = PersistedError::Read {
            path: "/d/x".into(),
            source: io::ErrorKind::PermissionDenied.into(),
        };
        assert_eq!(read.to_string(), "cannot read /d/x");
    }
}
