//! What the inputs ask for besides root@localhost: a database, its account, root from elsewhere. Made at
//! whichever start it is missing, never taken away: SQL for a starting server's init-file.

use std::fmt::Write as _;

use crate::alter_user::{alter_users, usual_plugin};
use crate::credentials::{Password, sql_literal};
use crate::server::{Flavour, Server, Version};

/// What an account logs in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// The password itself.
    Password(Password),
    /// What `PASSWORD()` makes of it: `*` and 40 hexadecimal digits. Not for MySQL from 5.7.6 on.
    NativeHash(String),
}

/// The database and the accounts that the inputs ask for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceAccounts<'a> {
    /// The database.
    pub database: Option<&'a str>,
    /// The account, from anywhere; the database is its own.
    pub user: Option<(&'a str, &'a Secret)>,
    /// Where root may come from besides the host itself, with the password it has there.
    pub root: Option<(&'a str, &'a Password)>,
}

impl ServiceAccounts<'_> {
    /// What makes what is missing, one statement a line, for a session in a known state. An account that
    /// is there gets the password it is to have, and keeps its rights as they are, unless the database is
    /// new.
    #[must_use]
    pub fn sql(&self, server: &Server) -> String {
        let mut sql = String::new();
        if let Some(database) = self.database {
            let create = format!("CREATE DATABASE IF NOT EXISTS {}", identifier(database));
            let name = sql_literal(database);
            let _ = writeln!(
                sql,
                "SET @new = (SELECT COUNT(*) = 0 FROM information_schema.SCHEMATA WHERE \
                 SCHEMA_NAME={name});"
            );
            sql.push_str(&prepared("@new", &create));
        }
        if let Some((name, secret)) = self.user {
            let account = format!("{}@'%'", sql_literal(name));
            let identified = identified(secret);
            sql.push_str(&missing(name, "%"));
            let create = format!("{} {account} {identified}", verb(server, CREATE_USER));
            sql.push_str(&prepared("@missing", &create));
            if let Some(database) = self.database {
                sql.push_str(&grant(server, database, &account));
            }
            sql.push_str(&change(server, (name, "%"), secret));
        }
        if let Some((host, password)) = self.root {
            let account = format!("'root'@{}", sql_literal(host));
            let identified = format!("IDENTIFIED BY {}", password.sql_literal());
            let create = format!("{} {account} {identified}", verb(server, CREATE_USER));
            let grant = format!("GRANT ALL ON *.* TO {account} WITH GRANT OPTION");
            sql.push_str(&missing("root", host));
            sql.push_str(&prepared("@missing", &create));
            sql.push_str(&prepared("@missing", &grant));
        }
        sql
    }
}

/// The account of `agent`, which sees what everybody may see who logs in, and comes from this machine
/// only. (MySQL 5.6 has names of 16 characters.)
pub const AGENT: &str = "dotcloud-agent";

/// What makes the account of `agent`, or gives it the password: after everything else, so that whatever
/// is refused of it keeps nothing from anybody.
pub(crate) fn agent_sql(server: &Server, password: &Password) -> String {
    let secret = Secret::Password(password.clone());
    let account = format!("{}@'localhost'", sql_literal(AGENT));
    // One that everybody who asks can log in with, whatever the server's own choice is.
    let mysql = server.flavour != Flavour::MariaDb && server.version >= Version::new(5, 7, 6);
    let identified = if mysql {
        let plugin = usual_plugin(server);
        format!("IDENTIFIED WITH {plugin} BY {}", password.sql_literal())
    } else {
        identified(&secret)
    };
    let since = match server.flavour {
        Flavour::MariaDb => Version::new(10, 4, 3),
        Flavour::MySql | Flavour::Percona => Version::new(5, 7, 6),
    };
    // It outlives whatever the server's own policy is.
    let never = if server.version < since {
        ""
    } else {
        " PASSWORD EXPIRE NEVER"
    };
    let create = format!(
        "{} {account} {identified}{never}",
        verb(server, CREATE_USER)
    );
    let mut sql = missing(AGENT, "localhost");
    sql.push_str(&prepared("@missing", &create));
    sql.push_str(&change(server, (AGENT, "localhost"), &secret));
    sql
}

/// The password for the account, if it was there.
fn change(server: &Server, (name, host): (&str, &str), secret: &Secret) -> String {
    let (name, host) = (sql_literal(name), sql_literal(host));
    match secret {
        Secret::Password(password)
            if server.flavour != Flavour::MariaDb && server.version >= Version::new(5, 7, 6) =>
        {
            let which = format!("User={name} AND Host={host} AND NOT @missing");
            alter_users(server, password, &which)
        }
        Secret::Password(_) | Secret::NativeHash(_) => {
            let change = format!(
                "{} {name}@{host} {}",
                verb(server, "ALTER USER"),
                identified(secret)
            );
            prepared("NOT @missing", &change)
        }
    }
}

/// All on `database`, unless everything is there already.
fn grant(server: &Server, database: &str, account: &str) -> String {
    let grant = |name: String| format!("GRANT ALL ON {name}.* TO {account}");
    let (pattern, name) = (grant(pattern(database)), grant(identifier(database)));
    let wanted = "@new OR @missing";
    let has_option = server.flavour != Flavour::MariaDb && server.version >= Version::new(8, 0, 16);
    if pattern == name || !has_option {
        return prepared(wanted, &pattern);
    }
    // There an option takes the wildcards out of the names (manual 8.0, section 8.2.12).
    let either = |condition: &str, statement: &str| {
        prepared(&format!("({wanted}) AND {condition}"), statement)
    };
    either("@@GLOBAL.partial_revokes", &name) + &either("NOT @@GLOBAL.partial_revokes", &pattern)
}

const CREATE_USER: &str = "CREATE USER IF NOT EXISTS";

/// `verb`, which MySQL has from 5.7.6 and MariaDB from 10.2 on, or what does the same before.
fn verb<'a>(server: &Server, verb: &'a str) -> &'a str {
    let since = match server.flavour {
        Flavour::MariaDb => Version::new(10, 2, 0),
        Flavour::MySql | Flavour::Percona => Version::new(5, 7, 6),
    };
    if server.version < since {
        "GRANT USAGE ON *.* TO"
    } else {
        verb
    }
}

fn missing(user: &str, host: &str) -> String {
    let (user, host) = (sql_literal(user), sql_literal(host));
    format!(
        "SET @missing = (SELECT COUNT(*) = 0 FROM mysql.user WHERE User={user} AND Host={host});\n"
    )
}

/// `statement` where `condition` holds: no server has IF outside of stored programs. A literal, because
/// MySQL's reader of init-files takes an apostrophe for a quote wherever it stands.
fn prepared(condition: &str, statement: &str) -> String {
    let statement = sql_literal(statement);
    format!(
        "SET @sql = IF({condition}, {statement}, 'DO 0');\nPREPARE statement FROM @sql;\n\
         EXECUTE statement;\n"
    )
}

fn identified(secret: &Secret) -> String {
    match secret {
        Secret::Password(password) => format!("IDENTIFIED BY {}", password.sql_literal()),
        Secret::NativeHash(hash) => format!("IDENTIFIED BY PASSWORD {}", sql_literal(hash)),
    }
}

fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A database's name where patterns are taken, in which these are wildcards.
fn pattern(name: &str) -> String {
    let name = name
        .replace('\\', "\\\\")
        .replace('_', "\\_")
        .replace('%', "\\%");
    identifier(&name)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn statements(
        flavour: Flavour,
        version: Version,
        service: &ServiceAccounts<'_>,
    ) -> Vec<String> {
        let server = Server {
            basedir: "/r".into(),
            executable: "/r/bin/mysqld".into(),
            flavour,
            version,
        };
        let sql = service.sql(&server);
        let statements = sql
            .lines()
            .filter_map(|line| line.strip_prefix("SET @sql = IF("));
        statements.map(str::to_owned).collect()
    }

    #[test]
    fn sql_makes_what_is_missing_and_takes_nothing_away() {
        let secret = Secret::Password(Password::new(OsStr::new("a'b")).unwrap());
        let service = ServiceAccounts {
            database: Some("my_shop"),
            user: Some(("o'hara", &secret)),
            root: None,
        };
        assert_eq!(
            statements(Flavour::MySql, Version::new(9, 7, 4), &service),
            [
                "@new, 'CREATE DATABASE IF NOT EXISTS `my_shop`', 'DO 0');",
                "@missing, 'CREATE USER IF NOT EXISTS ''o''''hara''@''%'' IDENTIFIED BY \
                 ''a''''b''', 'DO 0');",
                "(@new OR @missing) AND @@GLOBAL.partial_revokes, 'GRANT ALL ON `my_shop`.* \
                 TO ''o''''hara''@''%''', \
                 'DO 0');",
                "(@new OR @missing) AND NOT @@GLOBAL.partial_revokes, 'GRANT ALL ON \
                 `my\\\\_shop`.* TO ''o''''hara''@''%''', \
                 'DO 0');",
            ]
        );
        let old = statements(Flavour::MySql, Version::new(5, 6, 24), &service);
        let change = "NOT @missing, 'GRANT USAGE ON *.* TO ''o''''hara''@''%'' IDENTIFIED BY \
                      ''a''''b''', 'DO 0');";
        assert_eq!(old[3], change);
    }

    #[test]
    fn sql_hash_and_root_from_elsewhere() {
        let (hash, root) = (
            Secret::NativeHash("*AB".into()),
            Password::new(OsStr::new("r")),
        );
        let root = root.unwrap();
        let service = ServiceAccounts {
            database: None,
            user: Some(("app", &hash)),
            root: Some(("10.%", &root)),
        };
        assert_eq!(
            statements(Flavour::MariaDb, Version::new(10, 11, 19), &service),
            [
                "@missing, 'CREATE USER IF NOT EXISTS ''app''@''%'' IDENTIFIED BY PASSWORD \
                 ''*AB''', 'DO 0');",
                "NOT @missing, 'ALTER USER ''app''@''%'' IDENTIFIED BY PASSWORD ''*AB''', \
                 'DO 0');",
                "@missing, 'CREATE USER IF NOT EXISTS ''root''@''10.%'' IDENTIFIED BY ''r''', \
                 'DO 0');",
                "@missing, 'GRANT ALL ON *.* TO ''root''@''10.%'' WITH GRANT OPTION', 'DO 0');",
            ]
        );
    }

    #[test]
    fn agent_sql_makes_an_account_without_rights_or_gives_it_the_password() {
        let password = Password::new(OsStr::new("p")).unwrap();
        let missing = "SET @missing = (SELECT COUNT(*) = 0 FROM mysql.user WHERE \
                       User='dotcloud-agent' AND Host='localhost');\n";
        let create = |flavour, version| {
            let server = Server {
                basedir: "/r".into(),
                executable: "/r/bin/mysqld".into(),
                flavour,
                version,
            };
            let sql = agent_sql(&server, &password);
            assert!(sql.starts_with(missing), "{sql}");
            let rights = sql.matches("GRANT").count();
            assert_eq!(rights, sql.matches("GRANT USAGE").count(), "{sql}");
            let statements = sql.lines().filter_map(|line| {
                let rest = line.strip_prefix("SET @sql = IF(")?;
                Some(rest.strip_suffix(", 'DO 0');").unwrap().to_owned())
            });
            statements.collect::<Vec<String>>()
        };
        let account = "''dotcloud-agent''@''localhost''";
        let made = "@missing, 'CREATE USER IF NOT EXISTS";
        let never = "PASSWORD EXPIRE NEVER'";
        assert_eq!(
            create(Flavour::MySql, Version::new(9, 7, 4)),
            [format!(
                "{made} {account} IDENTIFIED WITH caching_sha2_password BY ''p'' {never}"
            )]
        );
        assert_eq!(
            create(Flavour::MariaDb, Version::new(10, 11, 19)),
            [
                format!("{made} {account} IDENTIFIED BY ''p'' {never}"),
                format!("NOT @missing, 'ALTER USER {account} IDENTIFIED BY ''p'''"),
            ]
        );
        let usage = format!("@missing, 'GRANT USAGE ON *.* TO {account} IDENTIFIED BY ''p'''");
        assert_eq!(
            create(Flavour::MySql, Version::new(5, 6, 24)),
            [usage.clone(), format!("NOT {usage}")]
        );
    }
}
