//! Making a copy the database of a home directory that has none: nothing is replaced, and the data
//! directory gets its name last.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use hook::{Environment, Inherited, Report};
use mycnf::{
    DataDirState, DataLock, InspectError, LINEAGE, LockError, PrivateServer, TemporaryServerError,
    TransitionError, inspect, transition, with_path,
};
use preparation::{PrepareError, Prepared, Purpose, Settings, SettingsError, prepare};
use thiserror::Error;

use crate::dump::{self, DumpError};
use crate::manifest::{Manifest, ManifestError, Method};
use crate::replay::{Replay, ReplayError};
use crate::service::{Service, ServiceError};
use crate::take::{DATA, DUMP, LOCK_PATIENCE};
use crate::tree::{self, TreeError};
use crate::verb::{Copy, Until};

/// No password protects what whoever is in the socket's directory can read anyway, and nothing of the
/// user's runs.
pub(crate) const UNGUARDED: [&str; 4] = [
    "--skip-grant-tables",
    "--init-file=/dev/null",
    "--loose-skip-slave-start",
    "--loose-event-scheduler=OFF",
];

/// Verifies the copy, refuses what this release must not have, and puts it in place.
pub(crate) fn place(
    environment: &Environment,
    service: &Service,
    copy: &Copy,
    until: Option<&Until>,
    report: &mut Report,
) -> Result<Manifest, PlaceError> {
    let directory = &copy.directory;
    let manifest = Manifest::read(directory)?;
    manifest.verify(directory)?;
    report.bullet(format!(
        "the copy of {} in {} is as it was made: {} bytes in {} files",
        manifest.server,
        directory.display(),
        manifest.bytes,
        manifest.files.len()
    ));
    check_absent(service)?;
    let replay = until
        .map(|until| Replay::prepare(service, &manifest, until, report))
        .transpose()?;
    match manifest.method {
        Method::Dump => fill(environment, directory, replay.as_ref(), report)?,
        Method::Clone | Method::MariadbBackup | Method::Cold => {
            put(service, copy, replay.as_ref(), report)?;
        }
        Method::Logs => {
            let directory = directory.clone();
            return Err(PlaceError::OnlyLogs { directory });
        }
    }
    Ok(manifest)
}

/// Nothing is ever replaced.
fn check_absent(service: &Service) -> Result<(), PlaceError> {
    match inspect(&service.data_dir)? {
        DataDirState::Absent => Ok(()),
        DataDirState::Database(_) | DataDirState::Unrecognised(_) => Err(PlaceError::Occupied {
            path: service.data_dir.clone(),
        }),
    }
}

fn put(
    service: &Service,
    copy: &Copy,
    replay: Option<&Replay>,
    report: &mut Report,
) -> Result<(), PlaceError> {
    let below = service.data_dir_below()?;
    let source = copy.directory.join(DATA);
    let database = source.join(below);
    let DataDirState::Database(found) = inspect(&database)? else {
        return Err(PlaceError::NoDatabase { path: database });
    };
    transition(&database, &found, &service.server)?;
    let layout = &service.layout;
    tree::make_directory(&layout.data())?;
    let _lock = DataLock::acquire(&layout.lock(), LOCK_PATIENCE)?;
    // What a first attempt left: it holds nothing but what is in the copy.
    let unfinished = layout.unfinished_data_dir();
    remove(&unfinished)?;
    let first = below.iter().next().map(PathBuf::from).unwrap_or_default();
    let mut names = names(&source)?;
    // The database last: once it is there, all of it is.
    names.sort_by_key(|name| *name == first);
    for name in names {
        let (from, to) = (source.join(&name), layout.data().join(&name));
        if to.is_dir() && fs::remove_dir(&to).is_err() || to.is_file() {
            // Of an attempt before, or of the fresh database that was there.
            report.bullet(format!("{} is there already: kept", to.display()));
            continue;
        }
        tree::transfer(&from, &unfinished, copy.consume)?;
        // What is logged from now on does not follow on what was logged then.
        if to == layout.binary_logs() {
            remove(&unfinished.join(LINEAGE))?;
        }
        if let Some(replay) = replay.filter(|_| name == first) {
            let mut data_dir = unfinished.clone();
            data_dir.extend(below.iter().skip(1));
            replay.on_files(service, &data_dir, report)?;
        }
        durable::place_directory(&unfinished, &to).map_err(tree::failed("move", &unfinished))?;
    }
    tree::sync(&layout.data())?;
    report.bullet(format!("{found} is in {}", service.data_dir.display()));
    Ok(())
}

fn names(directory: &Path) -> Result<Vec<PathBuf>, PlaceError> {
    let read = |source| tree::failed("read", directory)(source);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(read)? {
        let entry = entry.map_err(|error| tree::failed("read", directory)(error))?;
        names.push(entry.file_name().into());
    }
    names.sort();
    Ok(names)
}

fn remove(path: &Path) -> Result<(), PlaceError> {
    let removed = durable::metadata_if_there(path).and_then(|found| match found {
        Some(found) if found.is_dir() => durable::remove_directory_if_there(path),
        _ => durable::remove_file_if_there(path),
    });
    removed.map_err(tree::failed("remove", path))?;
    Ok(())
}

/// A fresh database of this release, with what is in the dump.
fn fill(
    environment: &Environment,
    directory: &Path,
    replay: Option<&Replay>,
    report: &mut Report,
) -> Result<(), PlaceError> {
    let path = directory.join(DUMP);
    let dump = File::open(&path).map_err(tree::failed("read", &path))?;
    let settings = Settings::from_environment(environment)?;
    let prepared = prepare(&settings, Purpose::Fill, report)?;
    let service = Service::find(environment)?;
    let running = start_opened(&service, &prepared)?;
    report.bullet(format!("loading {}", path.display()));
    dump::load(&service, &service.layout.private_socket(), dump)?;
    if let Some(replay) = replay {
        replay.on_dump(&service, report)?;
    }
    running.stop()?;
    tree::sync(&service.layout.data())?;
    report.bullet("loaded: root's password is this service's own");
    Ok(())
}

/// A server on the private socket to which root can log in, and nobody else knows of. The caller has the
/// lock.
fn start_opened<'a>(
    service: &'a Service,
    prepared: &Prepared,
) -> Result<PrivateServer<'a>, PlaceError> {
    let sql = prepared.opening_sql.as_deref().unwrap_or("DO 0;\n");
    let sql = Inherited::new(sql.as_bytes()).map_err(|source| PlaceError::HandOver { source })?;
    let mut running = PrivateServer::start(
        &prepared.server,
        &service.layout,
        &service.data_dir,
        service.layout.initialise_log(),
        &[
            with_path("--init-file=", &sql.path()),
            "--loose-event-scheduler=OFF".into(),
        ],
    )?;
    running.wait_for_greeting()?;
    Ok(running)
}

/// A server on the private socket that asks nobody for a password. The caller has the lock.
pub(crate) fn start_unguarded<'a>(
    service: &'a Service,
    prepared: &Prepared,
) -> Result<PrivateServer<'a>, TemporaryServerError> {
    let mut running = PrivateServer::start(
        &prepared.server,
        &service.layout,
        &service.data_dir,
        service.layout.initialise_log(),
        &UNGUARDED.map(Into::into),
    )?;
    running.wait_for_greeting()?;
    Ok(running)
}

/// The copy did not become the database.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// It is not whole, or not what was copied.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// There is one already.
    #[error("there is a database in {path} already", path = path.display())]
    Occupied {
        /// The data directory.
        path: PathBuf,
    },
    /// The copy has none where this service has its own.
    #[error("the copy has no database in {path}", path = path.display())]
    NoDatabase {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It is of binary logs, which follow on a copy.
    #[error("the copy in {directory} has binary logs, and no database", directory = directory.display())]
    OnlyLogs {
        /// Where it is.
        directory: PathBuf,
    },
    /// Changes since then cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// This release must not have it.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// Somebody uses `~/data`.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A data directory cannot be looked at.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// Files.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The inputs of postinstall, for a database to be filled.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Its work.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The server that is filled.
    #[error(transparent)]
    Server(#[from] TemporaryServerError),
    /// Its accounts' SQL.
    #[error("cannot hand the accounts' SQL to the server")]
    HandOver {
        /// Why.
        source: io::Error,
    },
    /// The dump.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The database cannot be found or reached.
    #[error(transparent)]
    Service(#[from] ServiceError),
}
