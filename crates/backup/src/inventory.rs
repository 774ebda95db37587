//! What is in a database, as its server tells: tables and their engines, rows, options that hold for
//! ever.

use std::collections::BTreeMap;

use mycnf::{Flavour, Server, Version};
use mysql::prelude::Queryable;
use mysql::{Conn, Row};

use crate::manifest::Position;

/// What the server keeps for itself; `sys` can be made again.
const SYSTEM: &str = "'mysql', 'information_schema', 'performance_schema', 'sys'";

/// Options that hold for ever from initialisation on.
const FROZEN: &str = "'innodb_page_size', 'lower_case_table_names', 'innodb_data_file_path', \
                      'innodb_checksum_algorithm', 'innodb_undo_tablespaces'";

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) database: String,
    pub(crate) name: String,
    pub(crate) engine: String,
}

impl Table {
    /// `database.table`, for people.
    pub(crate) fn shown(&self) -> String {
        format!("{}.{}", self.database, self.name)
    }

    /// Quoted for SQL.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.database), quoted(&self.name))
    }
}

/// A name, quoted for SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The databases that are not the server's own, sorted.
pub(crate) fn databases(connection: &mut Conn) -> Result<Vec<String>, mysql::Error> {
    connection.query(format!(
        "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ({SYSTEM}) \
         ORDER BY SCHEMA_NAME"
    ))
}

/// Every table of those, sorted; no view.
pub(crate) fn tables(connection: &mut Conn) -> Result<Vec<Table>, mysql::Error> {
    let found: Vec<(String, String, Option<String>)> = connection.query(format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_TYPE IN \
         ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') AND TABLE_SCHEMA NOT IN ({SYSTEM}) ORDER BY \
         TABLE_SCHEMA, TABLE_NAME"
    ))?;
    let table = |(database, name, engine): (_, _, Option<String>)| Table {
        database,
        name,
        engine: engine.unwrap_or_default(),
    };
    Ok(found.into_iter().map(table).collect())
}

/// How many rows each of `tables` has.
pub(crate) fn rows(
    connection: &mut Conn,
    tables: &[Table],
) -> Result<BTreeMap<String, u64>, mysql::Error> {
    let mut rows = BTreeMap::new();
    for table in tables {
        let sql = format!("SELECT COUNT(*) FROM {}", table.quoted());
        let count: Option<u64> = connection.query_first(sql)?;
        rows.insert(table.shown(), count.unwrap_or_default());
    }
    Ok(rows)
}

/// The values of the options that hold for ever.
pub(crate) fn frozen(connection: &mut Conn) -> Result<BTreeMap<String, String>, mysql::Error> {
    let found: Vec<(String, String)> = connection.query(format!(
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ({FROZEN})"
    ))?;
    Ok(found.into_iter().collect())
}

/// The value of a server variable; `None` if the server does not have it.
pub(crate) fn variable(connection: &mut Conn, name: &str) -> Result<Option<String>, mysql::Error> {
    let found: Option<(String, String)> =
        connection.query_first(format!("SHOW GLOBAL VARIABLES LIKE '{name}'"))?;
    Ok(found.map(|(_, value)| value))
}

/// Whether there is a binary log.
pub(crate) fn has_binary_log(connection: &mut Conn) -> Result<bool, mysql::Error> {
    Ok(variable(connection, "log_bin")?.is_some_and(|value| value == "ON"))
}

/// Where the server is in its binary log; `None` if it keeps none.
pub(crate) fn position(
    connection: &mut Conn,
    server: &Server,
) -> Result<Option<Position>, mysql::Error> {
    // The earlier words are gone from MySQL 8.4 on.
    let renamed = server.flavour != Flavour::MariaDb && server.version >= Version::new(8, 2, 0);
    let what = if renamed { "BINARY LOG" } else { "MASTER" };
    let row: Option<Row> = connection.query_first(format!("SHOW {what} STATUS"))?;
    let Some(row) = row else { return Ok(None) };
    let text = |index| row.get::<String, usize>(index).unwrap_or_default();
    Ok(Some(Position {
        file: text(0),
        position: row.get(1).unwrap_or_default(),
        gtid: text(4).replace('\n', ""),
        lineage: String::new(),
    }))
}

/// Reads `file`, position and GTIDs, separated by tabs, as mariadb-backup writes them.
pub(crate) fn position_of(text: &str) -> Option<Position> {
    let mut fields = text.trim_end().split('\t');
    Some(Position {
        file: fields.next().filter(|file| !file.is_empty())?.to_owned(),
        position: fields.next()?.trim().parse().ok()?,
        gtid: fields.next().unwrap_or_default().to_owned(),
        lineage: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_names_cannot_end_early() {
        let table = Table {
            database: "a.b".to_owned(),
            name: "c`d".to_owned(),
            engine: String::new(),
        };
        assert_eq!(table.quoted(), "`a.b`.`c``d`");
        assert_eq!(table.shown(), "a.b.c`d");
    }

    #[test]
    fn position_of_reads_what_the_tool_writes() {
        let position = position_of("binlog.000003\t1234\t0-1-42\n").unwrap();
        assert_eq!(position.file, "binlog.000003");
        assert_eq!(position.position, 1234);
        assert_eq!(position.gtid, "0-1-42");
        assert_eq!(position_of("binlog.000003\t4\n").unwrap().gtid, "");
        assert_eq!(position_of(""), None);
        assert_eq!(position_of("\t\n"), None);
    }
}
