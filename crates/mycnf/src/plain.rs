//! Whether my.cnf holds anything that may make a server refuse the accounts' SQL, log it, or run
//! something besides it. Only what is known to do neither counts as usual: a list of the others would
//! never be complete, and being careful costs no more than a start in private.

use crate::{Place, Resolved};

/// Options that only say how much, where or how fast.
const USUAL: [&str; 62] = [
    "back-log",
    "basedir",
    "bind-address",
    "binlog-cache-size",
    "binlog-expire-logs-seconds",
    "binlog-format",
    "bulk-insert-buffer-size",
    "character-set-server",
    "collation-server",
    "connect-timeout",
    "datadir",
    "default-time-zone",
    "disable-log-bin",
    "explicit-defaults-for-timestamp",
    "expire-logs-days",
    "ft-min-word-len",
    "host-cache-size",
    "interactive-timeout",
    "join-buffer-size",
    "key-buffer-size",
    "local-infile",
    "log-bin",
    "log-error",
    "log-error-verbosity",
    "log-warnings",
    "lower-case-table-names",
    "max-allowed-packet",
    "max-binlog-size",
    "max-connect-errors",
    "max-connections",
    "max-heap-table-size",
    "max-user-connections",
    "myisam-recover-options",
    "myisam-sort-buffer-size",
    "mysqlx",
    "net-read-timeout",
    "net-write-timeout",
    "open-files-limit",
    "performance-schema",
    "pid-file",
    "port",
    "query-cache-limit",
    "query-cache-size",
    "query-cache-type",
    "read-buffer-size",
    "read-rnd-buffer-size",
    "server-id",
    "skip-external-locking",
    "skip-log-bin",
    "skip-name-resolve",
    "socket",
    "sort-buffer-size",
    "sync-binlog",
    "table-definition-cache",
    "table-open-cache",
    "table-open-cache-instances",
    "thread-cache-size",
    "thread-stack",
    "tmp-table-size",
    "transaction-isolation",
    "user",
    "wait-timeout",
];

/// InnoDB's are all of that kind but these.
const UNUSUAL_OF_INNODB: [&str; 3] = [
    "innodb-force-recovery",
    "innodb-read-only",
    "innodb-strict-mode",
];

/// The first option of `groups` that is not known to be harmless.
#[must_use]
pub fn first_unusual(user: &Resolved, groups: &[&str]) -> Option<Place> {
    user.options(groups)
        .find(|option| !is_usual(&option.name))
        .map(|option| option.place.clone())
}

fn is_usual(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).replace('_', "-");
    let name = name.strip_prefix("loose-").unwrap_or(&name);
    USUAL.contains(&name)
        || (name.starts_with("innodb-") && !UNUSUAL_OF_INNODB.contains(&name))
        || name.starts_with("performance-schema-")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::OptionFile;

    #[test]
    fn first_unusual_is_what_is_not_known_to_be_harmless() {
        for (text, line) in [
            (
                "[mysqld]\ncharacter-set-server = utf8mb4\nmax_connections=5\n",
                None,
            ),
            (
                "[mysqld]\nloose-innodb_buffer_pool_size=1G\n[mysql]\nforce\n",
                None,
            ),
            ("[mysqld]\nport=1\ngeneral_log\n", Some(3)),
            ("[mysqld]\nplugin-load-add=x.so\n", Some(2)),
            ("[mysqld]\ninit_file=/x\n", Some(2)),
            ("[mysqld]\ninnodb_read_only=1\n", Some(2)),
            ("[mysqld]\ngeneral-lo=1\n", Some(2)),
        ] {
            let file = OptionFile::parse(Path::new("/h/my.cnf"), text.as_bytes()).unwrap();
            let user = file.resolve(Path::new("/h")).unwrap();
            let found = first_unusual(&user, &["mysqld"]).map(|place| place.line);
            assert_eq!(found, line, "{text}");
        }
    }
}
