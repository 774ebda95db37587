//! Root's password, for every account of that name, whatever its host and however it logged in before.

use super::{Dialect, HOST_PLACEHOLDER, LOCKED};
use crate::alter_user::{ACTIVE_PLUGINS, alter_users};
use crate::credentials::{Password, sql_literal};
use crate::server::Server;

/// A root that no first start has opened yet, as the rest of a SELECT.
pub(super) fn locked(dialect: Dialect) -> String {
    match dialect {
        Dialect::AlterUser => format!("mysql.user WHERE {LOCKED_ALTER_USER}"),
        Dialect::GlobalPriv => format!(
            "mysql.global_priv WHERE User='root' AND JSON_VALUE(Priv, \
             '$.authentication_string')='{LOCKED}'"
        ),
        Dialect::UserTable => format!("mysql.user WHERE User='root' AND Password='{LOCKED}'"),
    }
}

const LOCKED_ALTER_USER: &str =
    "User='root' AND Host='localhost' AND account_locked='Y' AND authentication_string=''";

/// What opens a root that is locked.
pub(super) fn open(dialect: Dialect, password: &Password, host_name: &str) -> Vec<String> {
    let password = password.sql_literal();
    let host = sql_literal(host_name);
    match dialect {
        Dialect::AlterUser => vec![format!(
            "ALTER USER 'root'@'localhost' IDENTIFIED BY {password} ACCOUNT UNLOCK"
        )],
        Dialect::GlobalPriv => vec![
            // The seed may be older than a password is allowed to become.
            format!(
                "UPDATE mysql.global_priv SET Priv=JSON_SET(Priv, '$.authentication_string', \
                 PASSWORD({password}), '$.password_last_changed', UNIX_TIMESTAMP()) WHERE \
                 User='root'"
            ),
            "FLUSH PRIVILEGES".to_owned(),
        ],
        Dialect::UserTable => vec![
            // IGNORE: a container may be called localhost.
            format!(
                "UPDATE IGNORE mysql.user SET Host={host} WHERE User='root' AND \
                 Host='{HOST_PLACEHOLDER}'"
            ),
            format!(
                "UPDATE IGNORE mysql.proxies_priv SET Host={host} WHERE User='root' AND \
                 Host='{HOST_PLACEHOLDER}'"
            ),
            format!("UPDATE mysql.user SET Password=PASSWORD({password}) WHERE User='root'"),
            "FLUSH PRIVILEGES".to_owned(),
        ],
    }
}

/// Gives every root the password. Never unlocks: a first start that failed half-way must stay closed.
pub(super) fn set_password(dialect: Dialect, server: &Server, password: &Password) -> String {
    let literal = password.sql_literal();
    match dialect {
        Dialect::AlterUser => alter_roots(server, password, "TRUE"),
        // An account that never had a password has no authentication_string either. What else lets it
        // in (auth_or) may be without a password.
        Dialect::GlobalPriv => format!(
            "UPDATE mysql.global_priv SET Priv=JSON_REMOVE(JSON_SET(Priv, '$.plugin', \
             'mysql_native_password', '$.authentication_string', PASSWORD({literal}), \
             '$.password_last_changed', UNIX_TIMESTAMP()), '$.auth_or') WHERE User='root' AND \
             JSON_VALUE(Priv, '$.is_role') IS NULL AND COALESCE(JSON_VALUE(Priv, \
             '$.authentication_string'), '')<>'{LOCKED}';\nFLUSH PRIVILEGES;\n"
        ),
        Dialect::UserTable => format!(
            "UPDATE mysql.user SET plugin='', authentication_string='', \
             Password=PASSWORD({literal}) WHERE User='root' AND Password<>'{LOCKED}';\nFLUSH \
             PRIVILEGES;\n"
        ),
    }
}

/// Gives the password to every root whose plugin this release has not any more, which nobody could log
/// in as.
pub(super) fn bring_over(dialect: Dialect, server: &Server, password: &Password) -> String {
    match dialect {
        Dialect::AlterUser => {
            let gone = format!("CAST(plugin AS BINARY) NOT IN ({ACTIVE_PLUGINS})");
            alter_roots(server, password, &gone)
        }
        // Both have always had theirs.
        Dialect::GlobalPriv | Dialect::UserTable => String::new(),
    }
}

fn alter_roots(server: &Server, password: &Password, which: &str) -> String {
    let which = format!("User='root' AND @first_start=0 AND {which} AND NOT ({LOCKED_ALTER_USER})");
    alter_users(server, password, &which)
}
