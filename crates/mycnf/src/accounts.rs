//! Who may log in: the SQL that locks root in a fresh data directory, and the SQL that a starting
//! server runs before it lets anybody in. That root is locked is the mark of a first start that is
//! not complete, and giving root its password is its last statement: a server stops at the first
//! that fails, so whatever goes wrong leaves root locked, and the next start does it all again.

mod root;
mod session;

use std::fmt::Write as _;

use crate::credentials::{Password, SQL_LITERAL_PRELUDE, sql_literal};
use crate::server::{Flavour, Server, Version};
use crate::service_accounts::{Secret, ServiceAccounts, agent_sql};
use session::known_state;

/// What no password hashes to; MySQL's and MariaDB's manuals give it for accounts nobody uses.
const LOCKED: &str = "*THISISNOTAVALIDPASSWORDTHATCANBEUSEDHERE";

/// Stands for the host in the account that MySQL 5.x names after it, until there is one.
const HOST_PLACEHOLDER: &str = "host.invalid";

/// How a server keeps its accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// MySQL from 5.7.6 on: `ALTER USER`, accounts can be locked.
    AlterUser,
    /// MariaDB from 10.4 on: a JSON document for each account; `mysql.user` is a view.
    GlobalPriv,
    /// Before: a row of `mysql.user` with the password's hash.
    UserTable,
}

impl Dialect {
    fn of(server: &Server) -> Self {
        match server.flavour {
            Flavour::MariaDb if server.version >= Version::new(10, 4, 0) => Self::GlobalPriv,
            Flavour::MySql | Flavour::Percona if server.version >= Version::new(5, 7, 6) => {
                Self::AlterUser
            }
            Flavour::MariaDb | Flavour::MySql | Flavour::Percona => Self::UserTable,
        }
    }
}

/// Locks root and removes the anonymous accounts, at the end of an initialisation.
pub(crate) fn locking_sql(server: &Server) -> String {
    let sql = match Dialect::of(server) {
        Dialect::AlterUser => "ALTER USER 'root'@'localhost' ACCOUNT LOCK;\n".to_owned(),
        Dialect::GlobalPriv => format!(
            "UPDATE mysql.global_priv SET Priv=JSON_SET(Priv, '$.plugin', \
             'mysql_native_password', '$.authentication_string', '{LOCKED}') WHERE User='root';\n\
             DELETE FROM mysql.global_priv WHERE User='';\n"
        ),
        Dialect::UserTable => format!(
            "DELETE FROM mysql.user WHERE User='';\n\
             DELETE FROM mysql.db WHERE User='';\n\
             UPDATE mysql.user SET Host='{HOST_PLACEHOLDER}' WHERE User='root' AND \
             Host=LOWER(@@hostname);\n\
             UPDATE mysql.proxies_priv SET Host='{HOST_PLACEHOLDER}' WHERE User='root' AND \
             Host=LOWER(@@hostname);\n\
             UPDATE mysql.user SET plugin='', Password='{LOCKED}' WHERE User='root';\n"
        ),
    };
    format!("{SQL_LITERAL_PRELUDE}{sql}")
}

/// What `server` is to run at its start for `agent`'s account, where nothing else is to be done.
pub(crate) fn agent_alone_sql(server: &Server, password: &Password) -> String {
    known_state(server) + &agent_sql(server, password)
}

/// The accounts of a database.
#[derive(Clone, Copy, Debug)]
pub struct Accounts<'a> {
    /// Root's password.
    pub root_password: &'a Password,
    /// Give it to root at every start, not only at the first.
    pub always: bool,
    /// The container's host name, for the account that MySQL 5.x names after it.
    pub host_name: &'a str,
    /// What is made besides root, at whichever start it is missing.
    pub service: ServiceAccounts<'a>,
    /// The password of `agent`'s account, where there is to be one.
    pub agent: Option<&'a Password>,
}

impl Accounts<'_> {
    /// What `server` is to run at its start (`--init-file`), one statement a line. Does nothing,
    /// except as [`Accounts::always`] says, once root is not locked any more.
    #[must_use]
    pub fn opening_sql(&self, server: &Server) -> String {
        let dialect = Dialect::of(server);
        let mut sql = format!(
            "{}SET @first_start = (SELECT COUNT(*) FROM {});\n",
            known_state(server),
            root::locked(dialect)
        );
        let roots = if self.always {
            root::set_password(dialect, server, self.root_password)
        } else {
            root::bring_over(dialect, server, self.root_password)
        };
        // Does nothing at the first start; first, so that what is refused of the service's accounts keeps
        // nothing from root. (MariaDB tells nothing of a refusal that follows a FLUSH PRIVILEGES.)
        let roots_first = dialect == Dialect::AlterUser;
        if roots_first {
            sql.push_str(&roots);
        }
        sql.push_str(&self.service.sql(server));
        for statement in root::open(dialect, self.root_password, self.host_name) {
            let statement = sql_literal(&statement);
            // No server has IF outside of stored programs.
            let _ = writeln!(
                sql,
                "SET @sql = IF(@first_start, {statement}, 'DO 0');\nPREPARE statement FROM @sql;\n\
                 EXECUTE statement;"
            );
        }
        if !roots_first {
            sql.push_str(&roots);
        }
        sql
    }

    /// What follows [`Self::opening_sql`] in the same session, and may fail.
    pub(crate) fn closing_sql(&self, server: &Server) -> String {
        self.agent
            .map_or_else(String::new, |password| agent_sql(server, password))
    }

    /// Whether no server has a reason to refuse them: short passwords, plain names.
    #[must_use]
    pub fn are_usual(&self) -> bool {
        // Names are kept in three bytes a character.
        let plain = |name: &str, most| {
            name.chars().count() <= most && name.chars().all(|c| !c.is_control() && c <= '\u{ffff}')
        };
        let short = |password: &Password| password.expose().len() <= 64;
        let ServiceAccounts {
            database,
            user,
            root,
        } = self.service;
        short(self.root_password)
            && database.is_none_or(|name| plain(name, 64))
            && root.is_none_or(|(host, _)| plain(host, 60))
            && user.is_none_or(|(name, secret)| {
                plain(name, 32)
                    && match secret {
                        Secret::Password(password) => short(password),
                        Secret::NativeHash(_) => false,
                    }
            })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::service_accounts::Secret;

    fn server(flavour: Flavour, version: Version) -> Server {
        Server {
            basedir: "/r".into(),
            executable: "/r/bin/mysqld".into(),
            flavour,
            version,
        }
    }

    fn password(text: &str) -> Password {
        Password::new(OsStr::new(text)).unwrap()
    }

    #[test]
    fn dialect_follows_the_release_that_changed_it() {
        for (flavour, version, dialect) in [
            (Flavour::MySql, Version::new(5, 6, 24), Dialect::UserTable),
            (Flavour::MySql, Version::new(5, 7, 6), Dialect::AlterUser),
            (Flavour::Percona, Version::new(8, 0, 36), Dialect::AlterUser),
            (
                Flavour::MariaDb,
                Version::new(10, 3, 39),
                Dialect::UserTable,
            ),
            (
                Flavour::MariaDb,
                Version::new(10, 4, 0),
                Dialect::GlobalPriv,
            ),
        ] {
            assert_eq!(Dialect::of(&server(flavour, version)), dialect, "{version}");
        }
    }

    #[test]
    fn locking_sql_leaves_nobody_who_can_log_in() {
        let mysql = locking_sql(&server(Flavour::MySql, Version::new(9, 7, 4)));
        assert_eq!(
            mysql,
            format!("{SQL_LITERAL_PRELUDE}ALTER USER 'root'@'localhost' ACCOUNT LOCK;\n")
        );
        for (flavour, version) in [
            (Flavour::MySql, Version::new(5, 6, 24)),
            (Flavour::MariaDb, Version::new(10, 11, 19)),
        ] {
            let sql = locking_sql(&server(flavour, version));
            assert!(
                sql.contains(LOCKED) && sql.contains("WHERE User=''"),
                "{sql}"
            );
        }
    }

    #[test]
    fn opening_sql_unlocks_root_last_and_only_at_the_first_start() {
        let (root, app) = (password("it's"), Secret::Password(password("a")));
        let accounts = Accounts {
            root_password: &root,
            always: false,
            host_name: "app-default-db-0",
            service: ServiceAccounts {
                database: Some("my_shop"),
                user: Some(("app", &app)),
                root: None,
            },
            agent: None,
        };
        let sql = accounts.opening_sql(&server(Flavour::MySql, Version::new(9, 7, 4)));
        let statements: Vec<&str> = sql
            .lines()
            .filter(|line| line.starts_with("SET @sql = IF(") || line.contains("CONCAT"))
            .collect();
        assert!(
            statements[0].contains("@first_start=0 AND CAST(plugin AS BINARY) NOT IN"),
            "{sql}"
        );
        assert!(statements[1].contains("CREATE DATABASE"), "{statements:?}");
        assert_eq!(
            statements.last().copied(),
            Some(
                "SET @sql = IF(@first_start, 'ALTER USER ''root''@''localhost'' IDENTIFIED BY \
                 ''it''''s'' ACCOUNT UNLOCK', 'DO 0');"
            )
        );
        let frm = accounts.opening_sql(&server(Flavour::MySql, Version::new(5, 6, 24)));
        assert!(frm.contains("SET Host=''app-default-db-0'' WHERE"), "{frm}");
    }

    #[test]
    fn opening_sql_password_at_every_start_never_unlocks() {
        let root = password("x");
        let accounts = Accounts {
            root_password: &root,
            always: true,
            host_name: "h",
            service: ServiceAccounts::default(),
            agent: None,
        };
        for (flavour, version, last) in [
            (
                Flavour::MySql,
                Version::new(9, 7, 4),
                "SET @sql = IFNULL(@sql, 'DO 0');\nPREPARE statement FROM @sql;\nEXECUTE statement;\n"
                    .to_owned(),
            ),
            (
                Flavour::MySql,
                Version::new(5, 6, 24),
                format!("User='root' AND Password<>'{LOCKED}';\nFLUSH PRIVILEGES;\n"),
            ),
            (
                Flavour::MariaDb,
                Version::new(10, 11, 19),
                format!("'$.authentication_string'), '')<>'{LOCKED}';\nFLUSH PRIVILEGES;\n"),
            ),
        ] {
            let sql = accounts.opening_sql(&server(flavour, version));
            let end = match Dialect::of(&server(flavour, version)) {
                Dialect::AlterUser => sql.find("SET @sql = IF(@first_start, ").unwrap(),
                Dialect::GlobalPriv | Dialect::UserTable => sql.len(),
            };
            assert!(sql[..end].ends_with(&last), "{sql}");
        }
    }
}
