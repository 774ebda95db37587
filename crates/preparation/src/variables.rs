//! Variables called `MYSQL_*` or `MARIADB_*` that nothing here reads: whoever sets one means something
//! by it, so each is named, with what to use instead. What a fresh database could not be given later
//! is refused. No value is shown.

use hook::Environment;
use thiserror::Error;

/// What we read, without its vendor. Each may begin with `MYSQL_`.
const READ: [&str; 21] = [
    "ROOT_PASSWORD",
    "ROOT_PASSWORD_FILE",
    "ROOT_HOST",
    "ROOT_HOST_FILE",
    "DATABASE",
    "DATABASE_FILE",
    "USER",
    "USER_FILE",
    "PASSWORD",
    "PASSWORD_FILE",
    "BIND_ADDRESS",
    "MEMORY",
    "INITDB_SKIP_TZINFO",
    "PORT_NAME",
    "REQUIRE_DATA",
    "TARBALL",
    "TARBALL_MAX_SIZE",
    "UPGRADE_ANYWAY",
    "SLOW_LOG",
    "PITR",
    "PITR_SIZE",
];

/// The first so many of [`READ`] mean the same as `MARIADB_`.
const READ_OF_BOTH: usize = 13;

/// What clients and images set for themselves, without anything meant for us; and what we do anyway.
const SILENT: [&str; 17] = [
    "PWD",
    "HOST",
    "TCP_PORT",
    "UNIX_PORT",
    "HOME",
    "GROUP_SUFFIX",
    "PS1",
    "HISTFILE",
    "HISTIGNORE",
    "DEBUG",
    "TEST_LOGIN_FILE",
    "MAJOR",
    "VERSION",
    "SHELL_VERSION",
    "RANDOM_ROOT_PASSWORD",
    "AUTO_UPGRADE",
    "SKIP_TEST_DB",
];

const SLOW_LOG: &str = "set MYSQL_SLOW_LOG=1s (or long_query_time and slow_query_log in my.cnf)";
const MY_CNF: &str = "set the option in my.cnf";
const FIRST_RUN: &str = "make the account in a first-run file (hooks/initdb.d/*.sql)";
const REPLICA: &str =
    "set server_id and what else replication needs in my.cnf, and start it in a first-run file";

/// What other images read, without its vendor, and what does the same here.
const INSTEAD: [(&str, &str); 37] = [
    (
        "DISABLE_UPGRADE_BACKUP",
        "the system tables are always dumped before an upgrade",
    ),
    ("MYSQL_LOCALHOST_USER", FIRST_RUN),
    ("MYSQL_LOCALHOST_GRANTS", FIRST_RUN),
    ("HEALTHCHECK_GRANTS", FIRST_RUN),
    ("REPLICATION_USER", FIRST_RUN),
    ("REPLICATION_PASSWORD", FIRST_RUN),
    ("REPLICATION_PASSWORD_HASH", FIRST_RUN),
    ("REPLICATION_MODE", REPLICA),
    ("MASTER_HOST", REPLICA),
    ("MASTER_PORT", REPLICA),
    ("MASTER_PORT_NUMBER", REPLICA),
    ("MASTER_ROOT_USER", REPLICA),
    ("MASTER_ROOT_PASSWORD", REPLICA),
    ("MASTER_USER", REPLICA),
    ("MASTER_PASSWORD", REPLICA),
    ("ROOT_USER", "root is called root"),
    (
        "PORT",
        "the port is the platform's, from ports: in dotcloud.yml",
    ),
    (
        "PORT_NUMBER",
        "the port is the platform's, from ports: in dotcloud.yml",
    ),
    ("CHARSET", "set character_set_server in my.cnf"),
    ("CHARACTER_SET", "set character_set_server in my.cnf"),
    ("COLLATE", "set collation_server in my.cnf"),
    ("COLLATION", "set collation_server in my.cnf"),
    ("AUTHENTICATION_PLUGIN", MY_CNF),
    ("EXTRA_FLAGS", MY_CNF),
    (
        "CLIENT_EXTRA_FLAGS",
        "set the option below [client] in my.cnf",
    ),
    ("SQL_MODE", "set sql_mode in my.cnf"),
    ("ENABLE_SLOW_QUERY", SLOW_LOG),
    ("LONG_QUERY_TIME", SLOW_LOG),
    (
        "DATA_DIR",
        "the data directory is ~/data/mysqldb, or what my.cnf names below ~/data",
    ),
    (
        "DATADIR",
        "the data directory is ~/data/mysqldb, or what my.cnf names below ~/data",
    ),
    (
        "DATADIR_ACTION",
        "a newer release upgrades the data by itself",
    ),
    ("DEFAULTS_FILE", "push hooks/my.cnf"),
    (
        "LOG_CONSOLE",
        "the server's log is ~/data/logs/error.log, or what log_error in my.cnf says",
    ),
    (
        "INIT_ONLY",
        "push: postinstall initialises and does not serve",
    ),
    ("INITDB_ARGS", MY_CNF),
    ("INITDB_ARGS_FILE", MY_CNF),
    ("AIO", "set innodb_use_native_aio in my.cnf"),
];

/// What Percona's and linuxserver's images read under names of their own.
const WITHOUT_VENDOR: [(&str, &str); 4] = [
    (
        "INIT_ROCKSDB",
        "set plugin_load_add = ha_rocksdb.so in my.cnf",
    ),
    (
        "INIT_TOKUDB",
        "TokuDB is in no release of today; use InnoDB or RocksDB",
    ),
    (
        "REMOTE_SQL",
        "put the files into hooks/initdb.d, from where a fresh database gets them",
    ),
    ("CLI_OPTS", MY_CNF),
];

/// linuxserver's way of naming a file with the value.
const FILE_PREFIX: &str = "FILE__";

/// What makes it likely that the rest of the name is a server's option (as other images take them).
const OPTION_BEGINNINGS: [&str; 9] = [
    "INNODB_", "MAX_", "MIN_", "FT_", "BINLOG_", "SQL_", "LOG_", "AUDIT_", "GTID_",
];
const OPTION_ENDS: [&str; 6] = [
    "_SIZE",
    "_TIMEOUT",
    "_CACHE",
    "_CONNECTIONS",
    "_PACKET",
    "_LEN",
];

/// Names with which images are told to leave root without a password, without their vendor.
const EMPTY_PASSWORD: [&str; 2] = ["ALLOW_EMPTY_PASSWORD", "ALLOW_EMPTY_ROOT_PASSWORD"];

/// Bitnami's images have it without a vendor.
const BITNAMI_EMPTY_PASSWORD: &str = "ALLOW_EMPTY_PASSWORD";

/// The variables that nothing reads.
#[derive(Debug, Default)]
pub struct UnreadVariables {
    /// Each with what to use instead.
    told: Vec<String>,
    refused: Vec<VariableError>,
}

impl UnreadVariables {
    pub(crate) fn of(environment: &Environment) -> Self {
        let mut found = Self::default();
        let set = |input: &str| {
            ["MYSQL_", "MARIADB_"]
                .iter()
                .find_map(|vendor| Some(environment.input(&format!("{vendor}{input}"))?.1))
        };
        let password = [
            "ROOT_PASSWORD",
            "ROOT_PASSWORD_FILE",
            "RANDOM_ROOT_PASSWORD",
        ]
        .iter()
        .find_map(|input| set(input));
        for (name, value) in environment.iter() {
            let (Some(name), false) = (name.to_str(), value.is_empty()) else {
                continue;
            };
            let bare = name.strip_prefix("SERVICE_CONFIG_").unwrap_or(name);
            if bare != name && environment.get(bare).is_some() {
                continue; // The variable itself counts, and is told.
            }
            let value = value.to_string_lossy();
            if bare == BITNAMI_EMPTY_PASSWORD {
                found.empty_password(name, &value, password.as_deref());
            }
            let Some((vendor, input)) = split(bare) else {
                let instead = instead_without_vendor(bare);
                let told = instead.map(|instead| format!("{name} is not read: {instead}"));
                found.told.extend(told);
                continue;
            };
            if EMPTY_PASSWORD.contains(&input) {
                found.empty_password(name, &value, password.as_deref());
            } else if input == "ONETIME_PASSWORD" {
                if is_yes(&value) {
                    let variable = name.to_owned();
                    found.refused.push(VariableError::OneTime { variable });
                }
            } else if input == "LOWER_CASE_TABLE_NAMES" {
                let variable = name.to_owned();
                found.refused.push(VariableError::LowerCase {
                    variable,
                    value: value.into_owned(),
                });
            } else if !is_read(vendor, input) && !SILENT.contains(&input) {
                let instead = instead_of(vendor, input);
                found.told.push(format!("{name} is not read: {instead}"));
            }
        }
        found
    }

    /// What the reader should know, whatever the database. `fresh` says that there is none yet.
    pub(crate) fn warnings(&self, fresh: bool) -> Vec<String> {
        let refused = self.refused.iter().filter(|_| !fresh);
        let refused = refused.map(|error| format!("{error}: the database stays as it is"));
        self.told.iter().cloned().chain(refused).collect()
    }

    /// Refuses for a fresh database what it could not be given later. `lower_case` is what my.cnf sets
    /// that option to.
    pub(crate) fn check(&self, lower_case: Option<&[u8]>) -> Result<(), VariableError> {
        let done = |error: &&VariableError| match error {
            VariableError::LowerCase { value, .. } => lower_case == Some(value.as_bytes()),
            VariableError::EmptyPassword { .. } | VariableError::OneTime { .. } => false,
        };
        match self.refused.iter().find(|error| !done(error)) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn empty_password(&mut self, name: &str, value: &str, password: Option<&str>) {
        if !is_yes(value) {
            return;
        }
        match password {
            Some(password) => self.told.push(format!(
                "{name} is not read: root has the password that {password} says"
            )),
            None => self.refused.push(VariableError::EmptyPassword {
                variable: name.to_owned(),
            }),
        }
    }
}

/// The images take any value for a yes. Whoever writes no does not mean yes.
fn is_yes(value: &str) -> bool {
    !["0", "no", "false", "off"].contains(&value.to_ascii_lowercase().as_str())
}

/// The vendor and the rest of a variable's name.
fn split(name: &str) -> Option<(&'static str, &str)> {
    ["MYSQL_", "MARIADB_"]
        .iter()
        .find_map(|vendor| Some((*vendor, name.strip_prefix(vendor)?)))
}

fn is_read(vendor: &str, input: &str) -> bool {
    let names = match vendor {
        "MYSQL_" => &READ[..],
        _ => &READ[..READ_OF_BOTH],
    };
    names.contains(&input) || HASHES.contains(&input)
}

/// MariaDB's image takes these; [`crate::accounts`] tells what becomes of them.
const HASHES: [&str; 2] = ["ROOT_PASSWORD_HASH", "PASSWORD_HASH"];

fn instead_without_vendor(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix(FILE_PREFIX) {
        return split(rest).map(|_| format!("set {rest}_FILE to the name of that file"));
    }
    let (_, instead) = WITHOUT_VENDOR.iter().find(|(own, _)| *own == name)?;
    Some((*instead).to_owned())
}

fn instead_of(vendor: &str, input: &str) -> String {
    if let Some((_, instead)) = INSTEAD.iter().find(|(name, _)| *name == input) {
        return (*instead).to_owned();
    }
    let option = OPTION_BEGINNINGS
        .iter()
        .any(|begin| input.starts_with(begin))
        || OPTION_ENDS.iter().any(|end| input.ends_with(end));
    if option {
        return format!("set {} in my.cnf", input.to_ascii_lowercase());
    }
    match nearest(vendor, input) {
        Some(name) => format!("did you mean {name}?"),
        None => "nothing here has that name, see the settings in README.md".to_owned(),
    }
}

/// The most like it of the names that we read, if one is much like it.
fn nearest(vendor: &str, input: &str) -> Option<String> {
    let likeness = |name: &&&str| {
        let begins = name.starts_with(input) || input.starts_with(**name);
        let distance = distance(name, input);
        (begins || distance <= 2.max(input.len() / 3)).then_some(distance)
    };
    let alike = READ.iter().filter(|name| likeness(name).is_some());
    let name = alike.min_by_key(likeness)?;
    let vendor = if is_read(vendor, name) {
        vendor
    } else {
        "MYSQL_"
    };
    Some(format!("{vendor}{name}"))
}

/// How many letters to insert, drop or replace to get from one to the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, from) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (j, to) in other.iter().enumerate() {
            let cost = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j] = left;
            left = cost.min(diagonal + 1).min(left + 1);
        }
        row[other.len()] = left;
    }
    row[other.len()]
}

/// A variable asks for what this project does not make.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VariableError {
    /// Root without a password.
    #[error("{variable} asks for a root without a password, which there never is here")]
    EmptyPassword {
        /// The variable.
        variable: String,
    },
    /// A password that expires at once.
    #[error(
        "{variable} asks for a root password that has to be changed first, which is not made here"
    )]
    OneTime {
        /// The variable.
        variable: String,
    },
    /// An option that is frozen at initialisation.
    #[error("{variable} is not read, and the option cannot be changed once there is a database")]
    LowerCase {
        /// The variable.
        variable: String,
        /// Its value.
        value: String,
    },
}

#[cfg(test)]
mod tests;
