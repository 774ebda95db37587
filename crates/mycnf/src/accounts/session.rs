//! The session in which our SQL runs, in a known state: what an option file may preset for every session
//! is set back, so that it neither changes what a statement does nor writes a password to a log.

use std::fmt::Write as _;

use crate::credentials::SQL_LITERAL_PRELUDE;
use crate::server::{Flavour, Server, Version};

/// Statements to run before all others, one a line, each of which `server` knows: a server stops at the
/// first that it does not.
pub(super) fn known_state(server: &Server) -> String {
    let mariadb = server.flavour == Flavour::MariaDb;
    let since = |major, minor, patch| server.version >= Version::new(major, minor, patch);
    // First, before there is a password: neither the general log nor the slow one gets to see it.
    let mut sql =
        "SET SESSION sql_log_off = 1;\nSET SESSION min_examined_row_limit = 4294967295;\n"
            .to_owned();
    if mariadb {
        sql.push_str("SET SESSION slow_query_log = 0;\n");
    }
    sql.push_str("SET SESSION sql_log_bin = 0;\n");
    sql.push_str(SQL_LITERAL_PRELUDE);
    for assignment in [
        // MySQL 8 and later run an init-file as if my.cnf set no collation.
        "collation_server = @@GLOBAL.collation_server",
        "character_set_filesystem = binary",
        "autocommit = 1",
        "completion_type = 0",
        "sql_safe_updates = 0",
        "sql_auto_is_null = 0",
        "foreign_key_checks = 1",
        "unique_checks = 1",
        "sql_big_selects = 1",
        "sql_select_limit = 18446744073709551615",
        "group_concat_max_len = 1048576",
    ] {
        let _ = writeln!(sql, "SET SESSION {assignment};");
    }
    if mariadb || !since(8, 0, 11) {
        // Of another kind, a hash lets nobody in.
        sql.push_str("SET SESSION old_passwords = 0;\n");
    }
    if since(5, 6, 5) {
        sql.push_str("SET SESSION TRANSACTION READ WRITE;\n");
    }
    if mariadb && since(10, 1, 1) {
        sql.push_str("SET SESSION max_statement_time = 0;\n");
    }
    if !mariadb && since(5, 7, 8) {
        sql.push_str("SET SESSION max_execution_time = 0;\n");
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_state_logs_are_off_first_and_each_server_gets_what_it_knows() {
        let server = |flavour, version| Server {
            basedir: "/r".into(),
            executable: "/r/bin/mysqld".into(),
            flavour,
            version,
        };
        for (flavour, version, old_passwords, limit) in [
            (Flavour::MySql, Version::new(5, 5, 62), true, None),
            (Flavour::MySql, Version::new(5, 6, 24), true, None),
            (
                Flavour::MySql,
                Version::new(9, 7, 4),
                false,
                Some("max_execution_time"),
            ),
            (
                Flavour::MariaDb,
                Version::new(11, 8, 9),
                true,
                Some("max_statement_time"),
            ),
        ] {
            let sql = known_state(&server(flavour, version));
            assert!(sql.starts_with("SET SESSION sql_log_off = 1;\n"), "{sql}");
            assert_eq!(sql.contains("old_passwords"), old_passwords, "{version}");
            assert_eq!(sql.contains("slow_query_log"), flavour == Flavour::MariaDb);
            for name in ["max_execution_time", "max_statement_time"] {
                assert_eq!(sql.contains(name), limit == Some(name), "{version}: {name}");
            }
        }
    }
}
