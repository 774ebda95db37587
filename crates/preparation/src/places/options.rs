//! Which options of my.cnf name files and directories, and what the servers do with these.

/// What a server does with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Makes files in that directory.
    Directory,
    /// Keeps parts of the database in that directory: an empty one instead would be another database.
    Database,
    /// Reads what is in that directory.
    ReadDirectory,
    /// Reads that file.
    Read,
    /// Makes that file, or goes on with it; its name may get a suffix.
    Write,
}

/// An option that names a path, or several.
pub(super) struct PathOption {
    pub(super) name: &'static str,
    pub(super) used: Use,
    /// What is between several paths.
    pub(super) separator: Option<char>,
    /// The switch without which the server does not care.
    pub(super) switch: Option<&'static str>,
}

const fn option(name: &'static str, used: Use) -> PathOption {
    PathOption {
        name,
        used,
        separator: None,
        switch: None,
    }
}

const fn several(name: &'static str, used: Use, separator: char) -> PathOption {
    PathOption {
        separator: Some(separator),
        ..option(name, used)
    }
}

const fn switched(name: &'static str, used: Use, switch: &'static str) -> PathOption {
    PathOption {
        switch: Some(switch),
        ..option(name, used)
    }
}

/// Those of every server; what one does not know it refuses by itself.
pub(super) const OPTIONS: [PathOption; 57] = [
    several("tmpdir", Use::Directory, ':'),
    option("innodb-tmpdir", Use::Directory),
    several("slave-load-tmpdir", Use::Directory, ':'),
    several("replica-load-tmpdir", Use::Directory, ':'),
    several("aria-sort-tmpdir", Use::Directory, ':'),
    option("innodb-temp-tablespaces-dir", Use::Directory),
    option("innodb-data-home-dir", Use::Database),
    option("innodb-log-group-home-dir", Use::Database),
    option("innodb-log-arch-dir", Use::Database),
    option("innodb-undo-directory", Use::Database),
    option("innodb-doublewrite-dir", Use::Database),
    several("innodb-directories", Use::ReadDirectory, ';'),
    option("aria-log-dir-path", Use::Database),
    option("rocksdb-datadir", Use::Database),
    option("rocksdb-wal-dir", Use::Database),
    option("basedir", Use::ReadDirectory),
    option("plugin-dir", Use::ReadDirectory),
    option("character-sets-dir", Use::ReadDirectory),
    option("lc-messages-dir", Use::ReadDirectory),
    option("secure-file-priv", Use::ReadDirectory),
    option("chroot", Use::ReadDirectory),
    option("log-bin", Use::Write),
    option("log-bin-index", Use::Write),
    option("relay-log", Use::Write),
    option("relay-log-index", Use::Write),
    option("relay-log-info-file", Use::Write),
    option("master-info-file", Use::Write),
    option("log-error", Use::Write),
    option("pid-file", Use::Write),
    option("socket", Use::Write),
    option("mysqlx-socket", Use::Write),
    option("admin-socket", Use::Write),
    option("log-tc", Use::Write),
    switched("slow-query-log-file", Use::Write, "slow-query-log"),
    switched("log-slow-query-file", Use::Write, "slow-query-log"),
    switched("general-log-file", Use::Write, "general-log"),
    switched("server-audit-file-path", Use::Write, "server-audit-logging"),
    option("audit-log-file", Use::Write),
    option("keyring-file-data", Use::Write),
    option("keyring-encrypted-file-data", Use::Write),
    option("keyring-vault-config", Use::Read),
    option("file-key-management-filename", Use::Read),
    option("file-key-management-filekey", Use::Read),
    option("init-file", Use::Read),
    option("ft-stopword-file", Use::Read),
    option("ssl-ca", Use::Read),
    option("ssl-cert", Use::Read),
    option("ssl-key", Use::Read),
    option("ssl-crl", Use::Read),
    option("ssl-capath", Use::ReadDirectory),
    option("ssl-crlpath", Use::ReadDirectory),
    option("admin-ssl-ca", Use::Read),
    option("admin-ssl-cert", Use::Read),
    option("admin-ssl-key", Use::Read),
    option("mysqlx-ssl-ca", Use::Read),
    option("mysqlx-ssl-cert", Use::Read),
    option("mysqlx-ssl-key", Use::Read),
];
