//! Accounts as statements: what a dump has in the place of the `mysql` database, which would overwrite
//! the root of whoever loads it.

use mycnf::{Flavour, Server, Version, sql_literal};
use mysql::prelude::Queryable;
use mysql::{Conn, Row};

/// The servers' own, and root, whose password is the service's.
const OWN: &str = "'root', 'mysql.sys', 'mysql.session', 'mysql.infoschema', 'mariadb.sys', \
                   'dotcloud-agent', ''";

/// The statements that make every account, and those that give them their rights, without the closing
/// semicolon.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AccountSql {
    pub(crate) create: Vec<String>,
    pub(crate) grant: Vec<String>,
}

/// Those of the server's accounts, roles included, but root's and its own.
pub(crate) fn read(connection: &mut Conn, server: &Server) -> Result<AccountSql, mysql::Error> {
    let mariadb = server.flavour == Flavour::MariaDb;
    let since = |major, minor, patch| server.version >= Version::new(major, minor, patch);
    let has_create = if mariadb {
        since(10, 2, 0)
    } else {
        since(5, 7, 6)
    };
    if !mariadb && since(8, 0, 17) {
        // Hashes have bytes that are no text.
        connection.query_drop("SET SESSION print_identified_with_as_hex = ON")?;
    }
    let mut sql = AccountSql::default();
    if mariadb && since(10, 0, 5) {
        let roles: Vec<String> = connection.query(format!(
            "SELECT User FROM mysql.user WHERE is_role='Y' AND User NOT IN ({OWN}) ORDER BY User"
        ))?;
        for role in roles {
            let name = sql_literal(&role);
            sql.create.push(format!("CREATE ROLE IF NOT EXISTS {name}"));
            sql.grant.extend(grants(connection, &name)?);
        }
    }
    let not_role = if mariadb && since(10, 0, 5) {
        " AND is_role='N'"
    } else {
        ""
    };
    let users: Vec<(String, String)> = connection.query(format!(
        "SELECT User, Host FROM mysql.user WHERE User NOT IN ({OWN}){not_role} ORDER BY User, Host"
    ))?;
    for (user, host) in users {
        let account = format!("{}@{}", sql_literal(&user), sql_literal(&host));
        if has_create {
            let row: Option<Row> = connection.query_first(format!("SHOW CREATE USER {account}"))?;
            sql.create
                .extend(row.as_ref().and_then(text_of).map(|text| if_missing(&text)));
        }
        sql.grant.extend(grants(connection, &account)?);
    }
    // What names a role that is to be had by default needs that role.
    sql.create
        .sort_by_key(|text| text.contains(" DEFAULT ROLE "));
    Ok(sql)
}

fn grants(connection: &mut Conn, account: &str) -> Result<Vec<String>, mysql::Error> {
    let rows: Vec<Row> = connection.query(format!("SHOW GRANTS FOR {account}"))?;
    Ok(rows.iter().filter_map(text_of).collect())
}

fn text_of(row: &Row) -> Option<String> {
    row.get_opt::<Vec<u8>, _>(0)?
        .ok()
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The account of whoever loads it stays as it is.
fn if_missing(create: &str) -> String {
    create.replacen("CREATE USER ", "CREATE USER IF NOT EXISTS ", 1)
}

/// Statements as lines of a script.
pub(crate) fn script(statements: &[String]) -> String {
    statements
        .iter()
        .fold(String::new(), |mut text, statement| {
            text.push_str(statement);
            text.push_str(";\n");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_keep_what_is_there_and_quote_names() {
        assert_eq!(
            if_missing("CREATE USER `CREATE USER `@`%` IDENTIFIED BY 'x'"),
            "CREATE USER IF NOT EXISTS `CREATE USER `@`%` IDENTIFIED BY 'x'"
        );
        assert_eq!(sql_literal("it's\\"), "'it''s\\\\'");
        assert_eq!(script(&["A".to_owned(), "B".to_owned()]), "A;\nB;\n");
    }
}
