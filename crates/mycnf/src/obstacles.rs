//! What MySQL 8.0 refuses of the data of 5.7, as far as the files tell of a server that was shut down cleanly;
//! read-only. 8.0 looks for the same things as it starts, and then ends: told beforehand, the old server is not
//! missed meanwhile. What each server says of each was tried; docs/hooks.md has the table.

mod definition;
mod innodb;
mod programs;

use std::fmt;
use std::fs;
use std::path::Path;

use crate::server::Version;
use definition::Definition;
use innodb::Tables;

/// Something that has to be mended under the old release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Obstacle {
    /// Its database and name, as their files have them: `shop.sold`
    pub name: String,
    /// What is the matter.
    pub kind: ObstacleKind,
}

/// What is the matter with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObstacleKind {
    /// A table that another engine than InnoDB partitions: no engine can, from 8.0 on.
    Partitioned,
    /// A table of an engine that a server of 8.0 has only if it is asked to.
    Engine(String),
    /// A definition of which InnoDB knows nothing.
    Orphan,
    /// A table of InnoDB whose file is not there.
    MissingFile,
    /// A table in the schema `mysql` with the name of one of the dictionary's.
    NameOfDictionary,
    /// A table with columns in the format of times before 5.6.4.
    OldTimes,
    /// A routine, event or trigger with a word that is 8.0's own, without quotes.
    Word(String),
}

impl ObstacleKind {
    /// The option with which a server takes it all the same.
    #[must_use]
    pub fn option(&self) -> Option<String> {
        match self {
            Self::Engine(engine) => Some(engine.to_lowercase()),
            _ => None,
        }
    }
}

/// What is the matter, and what is done about it.
impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.escape_debug();
        match &self.kind {
            ObstacleKind::Partitioned => {
                write!(
                    f,
                    "{name} is partitioned, and not InnoDB's (ALTER TABLE … ENGINE=InnoDB)"
                )
            }
            ObstacleKind::Engine(engine) => write!(
                f,
                "{name} is {engine}'s (ALTER TABLE … ENGINE=…, or {} = ON in my.cnf)",
                engine.to_lowercase()
            ),
            ObstacleKind::Orphan => write!(
                f,
                "{name} has a definition and is no table of InnoDB's (remove its .frm file)"
            ),
            ObstacleKind::MissingFile => write!(f, "{name} has lost its .ibd file (DROP TABLE)"),
            ObstacleKind::NameOfDictionary => {
                write!(
                    f,
                    "{name} has the name of a table of the dictionary (RENAME TABLE)"
                )
            }
            ObstacleKind::OldTimes => {
                write!(f, "{name} has times as before 5.6 (ALTER TABLE … FORCE)")
            }
            ObstacleKind::Word(word) => {
                write!(
                    f,
                    "{name} has the name {word} without backquotes (create it anew)"
                )
            }
        }
    }
}

/// The tables of the dictionary of 8.0, in the schema `mysql`.
const DICTIONARY: [&str; 33] = [
    "catalogs",
    "character_sets",
    "check_constraints",
    "collations",
    "column_statistics",
    "column_type_elements",
    "columns",
    "dd_properties",
    "events",
    "foreign_key_column_usage",
    "foreign_keys",
    "index_column_usage",
    "index_partitions",
    "index_stats",
    "indexes",
    "innodb_ddl_log",
    "innodb_dynamic_metadata",
    "parameter_type_elements",
    "parameters",
    "resource_groups",
    "routines",
    "schemata",
    "st_spatial_reference_systems",
    "table_partition_values",
    "table_partitions",
    "table_stats",
    "tables",
    "tablespace_files",
    "tablespaces",
    "triggers",
    "view_routine_usage",
    "view_table_usage",
    "innodb_undo_logs",
];

/// What a server has only with an option.
const OPTIONAL_ENGINES: [&str; 1] = ["FEDERATED"];

/// MySQL's own databases, which the newer server makes anew.
const MADE_ANEW: [&str; 2] = ["sys", "performance_schema"];

/// Everything that stands in the way of `to` in the data directory of a MySQL 5.7, sorted. What cannot be
/// read is left to the server.
#[must_use]
pub fn obstacles(data_dir: &Path, to: Version) -> Vec<Obstacle> {
    let tables = Tables::read(&data_dir.join("ibdata1"));
    let mut found = programs::obstacles(data_dir, to);
    for schema in fs::read_dir(data_dir).into_iter().flatten().flatten() {
        let Ok(schema_name) = schema.file_name().into_string() else {
            continue;
        };
        if MADE_ANEW.contains(&schema_name.as_str()) {
            continue;
        }
        for file in fs::read_dir(schema.path()).into_iter().flatten().flatten() {
            let file_name = file.file_name();
            let Some(file_name) = file_name.to_str() else {
                continue;
            };
            if let Some(name) = file_name.strip_suffix(".TRG") {
                let bytes = fs::read(file.path()).unwrap_or_default();
                let word = programs::word_of_triggers(&bytes, to);
                found.extend(word.map(|word| Obstacle {
                    name: format!("a trigger of {schema_name}.{name}"),
                    kind: ObstacleKind::Word(word),
                }));
            }
            let Some(name) = file_name.strip_suffix(".frm") else {
                continue;
            };
            // Left by an ALTER TABLE that was killed: the server passes over it, too.
            if name.starts_with("#sql") {
                continue;
            }
            let table = Table {
                schema: &schema_name,
                name,
                dir: &schema.path(),
            };
            let kinds = table.obstacles(&file.path(), tables.as_ref());
            found.extend(kinds.into_iter().map(|kind| Obstacle {
                name: format!("{schema_name}.{name}"),
                kind,
            }));
        }
    }
    found.sort();
    found
}

struct Table<'a> {
    schema: &'a str,
    name: &'a str,
    dir: &'a Path,
}

impl Table<'_> {
    fn obstacles(&self, frm: &Path, tables: Option<&Tables>) -> Vec<ObstacleKind> {
        // A view's is text.
        let Some(definition) = fs::read(frm)
            .ok()
            .and_then(|bytes| Definition::parse(&bytes))
        else {
            return Vec::new();
        };
        let mut found = Vec::new();
        if self.schema == "mysql" && DICTIONARY.contains(&self.name) {
            found.push(ObstacleKind::NameOfDictionary);
        }
        let engine = definition.engine.as_str();
        if engine == "partition" {
            found.push(ObstacleKind::Partitioned);
        } else if OPTIONAL_ENGINES.contains(&engine) {
            found.push(ObstacleKind::Engine(engine.to_owned()));
        }
        if definition.has_old_times {
            found.push(ObstacleKind::OldTimes);
        }
        if let Some(tables) = tables.filter(|_| engine == "InnoDB") {
            found.extend(self.innodb_obstacle(tables));
        }
        found
    }

    fn innodb_obstacle(&self, tables: &Tables) -> Option<ObstacleKind> {
        match tables.find(self.schema, self.name) {
            None => Some(ObstacleKind::Orphan),
            Some(place) if place.is_own_file && !self.has_file(place.name) => {
                Some(ObstacleKind::MissingFile)
            }
            Some(_) => None,
        }
    }

    /// `name` is a partition's where there are some.
    fn has_file(&self, name: &str) -> bool {
        self.dir.join(format!("{name}.ibd")).exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obstacles_have_exact_texts() {
        use ObstacleKind::{
            Engine, MissingFile, NameOfDictionary, OldTimes, Orphan, Partitioned, Word,
        };
        for (kind, text) in [
            (
                Partitioned,
                "s.t is partitioned, and not InnoDB's (ALTER TABLE … ENGINE=InnoDB)",
            ),
            (
                Engine("FEDERATED".to_owned()),
                "s.t is FEDERATED's (ALTER TABLE … ENGINE=…, or federated = ON in my.cnf)",
            ),
            (
                Orphan,
                "s.t has a definition and is no table of InnoDB's (remove its .frm file)",
            ),
            (MissingFile, "s.t has lost its .ibd file (DROP TABLE)"),
            (
                NameOfDictionary,
                "s.t has the name of a table of the dictionary (RENAME TABLE)",
            ),
            (
                OldTimes,
                "s.t has times as before 5.6 (ALTER TABLE … FORCE)",
            ),
            (
                Word("rank".to_owned()),
                "s.t has the name rank without backquotes (create it anew)",
            ),
        ] {
            let name = "s.t".to_owned();
            assert_eq!(Obstacle { name, kind }.to_string(), text);
        }
    }

    /// What real servers wrote is read by starttest's tests.
    #[test]
    fn obstacles_in_what_nobody_can_read_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let version = Version::new(8, 0, 33);
        assert_eq!(obstacles(&dir.path().join("none"), version), []);
        for (name, bytes) in [
            ("ibdata1", vec![0xff; 200_000]),
            ("mysql/proc.MYD", vec![7; 50]),
            ("mysql/event.MYD", vec![]),
            ("shop/t.frm", b"\xfe\x01".to_vec()),
            ("shop/v.frm", b"TYPE=VIEW\n".to_vec()),
            (
                "shop/long.frm",
                [b"\xfe\x01".to_vec(), vec![0xff; 900]].concat(),
            ),
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        assert_eq!(obstacles(dir.path(), version), []);
    }
}
