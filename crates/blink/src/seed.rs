//! Data directories to begin with: of a release, made once; with first-run files, made once for what is in
//! them; saved under a name after a command. Stopped cleanly, and small.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use hook::{CommandError, Report, hexadecimal};
use mycnf::{
    Accounts, FirstRun, FirstRunFile, FirstRunFileError, Initialisation, InitialiseError, Layout,
    Opening, Password, PasswordError, ServiceAccounts, TimeZones, WriteError, write_private,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::cache::{Cache, CacheError, MAKING, put_in_place};
use crate::home::HomeError;
use crate::options::{for_making, of_the_files};
use crate::place::Places;
use crate::release::Release;
use crate::sparse;
use crate::variables::DATABASE;

/// Changes when seeds of an earlier blink must not be used any more.
const FORMAT: &str = "1";

/// Beside a seed's data: what it is.
const NOTE: &str = "seed.json";

/// Where seeds with a name are.
const SAVED: &str = "saved";

/// What a seed is of.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Note {
    /// The server, as it calls itself.
    pub(crate) server: String,
    /// Where it is.
    pub(crate) basedir: PathBuf,
}

/// Makes seeds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nursery<'a> {
    pub(crate) cache: &'a Cache,
    pub(crate) places: &'a Places,
    pub(crate) release: &'a Release,
}

impl Nursery<'_> {
    /// The data directory for the release, with what the first-run files `init` put into it. Made if it is
    /// not there.
    pub(crate) fn seed(
        &self,
        init: Option<&Path>,
        report: &mut Report,
    ) -> Result<PathBuf, SeedError> {
        let files = init.map(first_run_files).transpose()?.unwrap_or_default();
        let digest = self.digest(&files)?;
        let name = format!("{}-{digest}", self.release.id);
        let path = self.cache.directory("seeds")?.join(name);
        let data = path.join("data");
        if data.is_dir() {
            return Ok(data);
        }
        let _maker = self.cache.make()?;
        // Somebody else may have made it while we waited.
        if !data.is_dir() {
            let server = &self.release.server;
            report.bullet(match files.len() {
                0 => format!("making a database of {server}, once"),
                count => {
                    format!("making a database of {server} with {count} first-run files, once")
                }
            });
            self.make(&files, &path)?;
        }
        Ok(data)
    }

    fn digest(&self, files: &[FirstRunFile]) -> Result<String, SeedError> {
        let mut hasher = Sha256::new();
        hasher.update(FORMAT);
        for (option, value) in of_the_files(&self.release.server) {
            hasher.update(format!("{option}={value}\n"));
        }
        for file in files {
            let content = fs::read(&file.path).map_err(|source| SeedError::Read {
                path: file.path.clone(),
                source,
            })?;
            hasher.update(file.name());
            hasher.update([0]);
            hasher.update(Sha256::digest(content));
        }
        Ok(hexadecimal(&hasher.finalize()[..8]))
    }

    /// Initialises in a directory that is thrown away, and keeps the data.
    fn make(&self, files: &[FirstRunFile], path: &Path) -> Result<(), SeedError> {
        let server = &self.release.server;
        let home = self.places.home(1, false)?;
        let layout = Layout::new(home.path());
        let prepare = |source| SeedError::Prepare {
            path: home.path().to_owned(),
            source,
        };
        for path in [layout.logs(), layout.run_dir(), layout.tmp_dir()] {
            fs::create_dir_all(path).map_err(prepare)?;
        }
        symlink(&server.basedir, layout.install()).map_err(prepare)?;
        let options = layout.option_file();
        write_private(&options, &for_making(&options, server).render())?;
        let time_zones = match TimeZones::find(server) {
            Ok(zones) => zones
                .sql(&layout)
                .map_err(|source| SeedError::ReadTimeZones { source })?,
            Err(_) => Vec::new(),
        };
        let data_dir = layout.data_dir();
        let initialisation = Initialisation {
            server,
            layout: &layout,
            data_dir: &data_dir,
            seed: None,
            time_zones: &time_zones,
        };
        initialise(&initialisation, files)?;
        keep(self.release, &data_dir, path)
    }
}

fn initialise(
    initialisation: &Initialisation<'_>,
    files: &[FirstRunFile],
) -> Result<(), SeedError> {
    let explain = |source: InitialiseError| SeedError::Initialise {
        // Its log goes with the directory.
        evidence: source.evidence(),
        source: source.into(),
    };
    if files.is_empty() {
        return initialisation.run().map_err(explain);
    }
    // Every run gives root another one.
    let password = Password::random()?;
    let accounts = Accounts {
        root_password: &password,
        always: true,
        host_name: "localhost",
        service: ServiceAccounts {
            database: Some(DATABASE),
            ..ServiceAccounts::default()
        },
        agent: None,
    };
    let opening = Opening::new(&accounts, initialisation.server);
    initialisation
        .run_with(FirstRun {
            files,
            opening: &opening,
            database: Some(DATABASE),
        })
        .map_err(explain)
}

/// The first-run files of a directory, or a file that is one.
fn first_run_files(path: &Path) -> Result<Vec<FirstRunFile>, SeedError> {
    if path.is_dir() {
        let files = FirstRunFile::all(path)?;
        return if files.is_empty() {
            let path = path.to_owned();
            Err(SeedError::NoFiles { path })
        } else {
            Ok(files)
        };
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let directory = absolute.parent().unwrap_or(Path::new("/"));
    let files = FirstRunFile::of(&absolute);
    files.map(|file| vec![file]).ok_or_else(|| {
        FirstRunFileError::Name {
            path: directory.to_owned(),
            names: vec![path.display().to_string()],
        }
        .into()
    })
}

/// Keeps `data`, whose server was stopped cleanly, as the seed `path`. The caller is the cache's maker.
fn keep(release: &Release, data: &Path, path: &Path) -> Result<(), SeedError> {
    let write = |source| CacheError::Write {
        path: path.to_owned(),
        source,
    };
    let parent = path.parent().unwrap_or(path);
    let making = tempfile::Builder::new()
        .prefix(MAKING)
        .tempdir_in(parent)
        .map_err(write)?;
    sparse::copy(data, &making.path().join("data"), &is_of_one_run).map_err(write)?;
    let note = Note {
        server: release.server.to_string(),
        basedir: release.server.basedir.clone(),
    };
    let note = serde_json::to_vec(&note).map_err(|error| write(io::Error::other(error)))?;
    fs::write(making.path().join(NOTE), note).map_err(write)?;
    Ok(put_in_place(making.path(), path)?)
}

/// What a server makes anew after a clean stop (double-write buffer and redo log of MySQL 8.0.30 and later;
/// their directory must stay), and what must not be the same in two of them. TLS keys may: they are for
/// 127.0.0.1 only, and to make them takes a second.
fn is_of_one_run(name: &str) -> bool {
    ["auto.cnf", "ib_buffer_pool", "ibtmp1"].contains(&name)
        || name.starts_with("#ib_")
        || name.starts_with("mysql-on-dotcloud.")
}

/// Keeps `data` under `name`, instead of what had it.
pub(crate) fn save(
    cache: &Cache,
    release: &Release,
    data: &Path,
    name: &str,
) -> Result<(), SeedError> {
    let path = saved(cache, name)?;
    cache.directory(SAVED)?;
    let _maker = cache.make()?;
    keep(release, data, &path)
}

/// The seed that was saved as `name`, and what it is of.
pub(crate) fn load(cache: &Cache, name: &str) -> Result<(PathBuf, Note), SeedError> {
    let path = saved(cache, name)?;
    let note = match File::open(path.join(NOTE)) {
        Ok(file) => serde_json::from_reader(io::BufReader::new(file)).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SeedError::Unknown {
                name: name.to_owned(),
                names: names(cache),
            });
        }
        Err(error) => Err(error),
    };
    let note = note.map_err(|source| SeedError::Read {
        path: path.clone(),
        source,
    })?;
    Ok((path.join("data"), note))
}

/// The names of what was saved, sorted.
pub(crate) fn names(cache: &Cache) -> Vec<String> {
    let entries = fs::read_dir(cache.root().join(SAVED));
    let names = entries.into_iter().flatten().flatten();
    let mut names: Vec<_> = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// Where `name` is kept, which is a word.
pub(crate) fn saved(cache: &Cache, name: &str) -> Result<PathBuf, SeedError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        let name = name.to_owned();
        return Err(SeedError::Name { name });
    }
    Ok(cache.root().join(SAVED).join(name))
}

/// There is no seed.
#[derive(Debug, Error)]
pub(crate) enum SeedError {
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A name that is none.
    #[error("'{name}' cannot be the name of a seed")]
    Name {
        /// As it was written.
        name: String,
    },
    /// Nobody saved one under that name.
    #[error("there is no seed '{name}'")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What is there.
        names: Vec<String>,
    },
    /// It is of another server.
    #[error("the seed '{name}' is of {saved}, not of {wanted}")]
    OtherServer {
        /// The seed.
        name: String,
        /// Whose it is.
        saved: String,
        /// Who was asked for.
        wanted: String,
    },
    /// A first-run file, or what a seed is of.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The first-run files.
    #[error(transparent)]
    FirstRunFile(#[from] FirstRunFileError),
    /// None in the directory.
    #[error("there is no first-run file in {path}", path = path.display())]
    NoFiles {
        /// The directory.
        path: PathBuf,
    },
    /// A directory for the server that makes it.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// What is in that directory.
    #[error("cannot prepare {path}", path = path.display())]
    Prepare {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The option file.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The vendor's program that reads the system's zone files.
    #[error("cannot read the system's time zones")]
    ReadTimeZones {
        /// How it ended.
        source: CommandError,
    },
    /// The vendor's initialiser, or the first-run files.
    #[error("cannot make a database to begin with")]
    Initialise {
        /// What the server said.
        evidence: String,
        /// Why.
        source: Box<InitialiseError>,
    },
}
