//! A new password for accounts of MySQL from 5.7.6 on, whatever plugin they have: SQL for a session in a
//! known state.

use std::fmt::Write as _;

use crate::credentials::{Password, sql_literal};
use crate::server::{Server, Version};

/// The plugins that keep a password in the account itself.
const WITH_PASSWORD: &str = "'caching_sha2_password', 'sha256_password', 'mysql_native_password'";

/// From then on the usual plugin is not `mysql_native_password` any more.
const CACHING_SHA2: Version = Version::new(8, 0, 4);

/// The names of those that the server has, as a query.
pub(crate) const ACTIVE_PLUGINS: &str = "SELECT CAST(PLUGIN_NAME AS BINARY) FROM \
                                         information_schema.PLUGINS WHERE PLUGIN_STATUS='ACTIVE'";

/// The plugin of accounts for which nobody asked for another.
pub(crate) fn usual_plugin(server: &Server) -> &'static str {
    if server.version >= CACHING_SHA2 {
        "caching_sha2_password"
    } else {
        "mysql_native_password"
    }
}

/// One `ALTER USER` for all accounts of `mysql.user` of which the condition `which` holds: a plugin that
/// keeps a password stays, any other, and one that the release has not any more, is replaced, because
/// `IDENTIFIED BY` alone leaves it and lets nobody in.
pub(crate) fn alter_users(server: &Server, password: &Password, which: &str) -> String {
    let usual = usual_plugin(server);
    let by = sql_literal(&format!(" BY {}", password.sql_literal()));
    let mut sql = String::new();
    // No server has loops outside of stored programs.
    let _ = writeln!(
        sql,
        "SET @sql = (SELECT CONCAT('ALTER USER ', GROUP_CONCAT(CONCAT(QUOTE(User), '@', QUOTE(Host), \
         ' IDENTIFIED', IF(plugin IN ({WITH_PASSWORD}) AND CAST(plugin AS BINARY) IN \
         ({ACTIVE_PLUGINS}), '', ' WITH {usual}'), {by}))) FROM mysql.user WHERE {which});\n\
         SET @sql = IFNULL(@sql, 'DO 0');\nPREPARE statement FROM @sql;\nEXECUTE statement;"
    );
    sql
}
