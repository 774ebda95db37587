//! The files of a server that runs, copied by what its release brings for that. The result is a data
//! directory on which a server of the same release starts.

use std::fs;
use std::path::Path;

use mycnf::{bare_command, sql_literal, with_path};
use mysql::Conn;
use mysql::prelude::Queryable;

use crate::inventory::position_of;
use crate::manifest::Position;
use crate::service::Service;
use crate::take::{DATA, TakeError, read_if_there};
use crate::tree;

/// In the data directory, and copied by nobody else: what `SET PERSIST` set, and what tells which release
/// the system tables are for.
const BESIDE: [&str; 4] = [
    "mysqld-auto.cnf",
    "mysql_upgrade_history",
    "mysql_upgrade_info",
    "mariadb_upgrade_info",
];

/// What mariadb-backup leaves for itself.
const TRACES: [&str; 6] = [
    "backup-my.cnf",
    "xtrabackup_",
    "mariadb_backup_",
    "ib_buffer_pool",
    "donor_galera_info",
    ".mysql-on-dotcloud",
];

/// How often, in milliseconds, mariadb-backup looks for more of the redo log. Its last look comes while it holds
/// every commit back: by its own default of 1000 ms, clients wait for most of a second.
const LOG_COPY_INTERVAL: &str = "--log-copy-interval=20";

/// How much memory mariadb-backup may take to apply what was written meanwhile: it runs beside the
/// server, within one limit.
const PREPARE_MEMORY: &str = "--use-memory=32M";

/// MySQL's own plugin, which is loaded for this only unless it was loaded already. It tells nobody the
/// position of a copy; the server that is started on one knows it.
pub(crate) fn clone(
    service: &Service,
    connection: &mut Conn,
    directory: &Path,
) -> Result<(), TakeError> {
    let target = make_parents(service, directory)?;
    let plugin = |source| TakeError::Plugin {
        source: Box::new(source),
    };
    let active: Option<String> = connection
        .query_first(
            "SELECT PLUGIN_STATUS FROM information_schema.PLUGINS WHERE PLUGIN_NAME='clone'",
        )
        .map_err(plugin)?;
    if active.is_none() {
        connection
            .query_drop("INSTALL PLUGIN clone SONAME 'mysql_clone.so'")
            .map_err(plugin)?;
        // One thread, and clients hardly notice; as it is, sixteen of them take every core. Gone with the
        // plugin.
        for setting in [
            "clone_autotune_concurrency = OFF",
            "clone_max_concurrency = 1",
        ] {
            let _ = connection.query_drop(format!("SET GLOBAL {setting}"));
        }
    }
    let path = sql_literal(&target.to_string_lossy());
    let cloned = connection.query_drop(format!("CLONE LOCAL DATA DIRECTORY = {path}"));
    if active.is_none() {
        // It does no harm where it stays.
        let _ = connection.query_drop("UNINSTALL PLUGIN clone");
    }
    cloned.map_err(|source| TakeError::Clone {
        source: Box::new(source),
    })?;
    copy_beside(service, directory, &target)
}

/// MariaDB's tool, `program`.
pub(crate) fn mariadb_backup(
    service: &Service,
    program: &Path,
    directory: &Path,
) -> Result<Option<Position>, TakeError> {
    let target = make_parents(service, directory)?;
    let run = |what, arguments: &[&str]| {
        let mut command = bare_command(&service.layout, program);
        command
            .env("HOME", service.layout.run_dir())
            .arg(with_path("--defaults-file=", &service.layout.option_file()))
            .args(arguments)
            .arg(with_path("--target-dir=", &target));
        hook::run(&mut command, b"")
            .map(drop)
            .map_err(|source| TakeError::MariadbBackup { what, source })
    };
    run("make", &["--backup", LOG_COPY_INTERVAL])?;
    run("prepare", &["--prepare", PREPARE_MEMORY])?;
    let position = ["mariadb_backup_binlog_info", "xtrabackup_binlog_info"]
        .iter()
        .find_map(|name| position_of(&read_if_there(&target.join(name))?));
    remove_traces(&target)?;
    copy_beside(service, directory, &target)?;
    Ok(position)
}

fn remove_traces(target: &Path) -> Result<(), TakeError> {
    for entry in fs::read_dir(target).map_err(tree::failed("read", target))? {
        let entry = entry.map_err(tree::failed("read", target))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if TRACES.iter().any(|trace| name.starts_with(trace)) {
            let path = entry.path();
            fs::remove_file(&path).map_err(tree::failed("remove", &path))?;
        }
    }
    Ok(())
}

/// Where the copy of the data directory is to be; what it lies in is made.
fn make_parents(service: &Service, directory: &Path) -> Result<std::path::PathBuf, TakeError> {
    let mut path = directory.join(DATA);
    let below = service.data_dir_below()?;
    for part in below {
        tree::make_directory(&path)?;
        path.push(part);
    }
    Ok(path)
}

/// The files that belong to the database and are in no server's care.
fn copy_beside(service: &Service, directory: &Path, target: &Path) -> Result<(), TakeError> {
    let credentials = service.layout.credentials();
    let name = credentials.file_name().unwrap_or_default();
    let mut copies = vec![(credentials.clone(), directory.join(DATA).join(name))];
    for name in BESIDE {
        copies.push((service.data_dir.join(name), target.join(name)));
    }
    for (from, to) in copies {
        if from.is_file() && !to.exists() {
            tree::copy_file(&from, &to).map_err(tree::failed("copy", &from))?;
        }
    }
    Ok(())
}
