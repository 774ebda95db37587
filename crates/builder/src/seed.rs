//! The seed of a release: initialised here once, in a home directory of its own that is thrown away,
//! so that the first start of every instance need not. Complete or not there at all.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use hook::{CommandError, Report};
use mycnf::{
    Flavour, IncludeError, Initialisation, InitialiseError, Layout, Memory, OptionFile, Seed,
    Server, TimeZones, WriteError, pack, render_my_cnf, write_private,
};
use thiserror::Error;

use crate::settings::Settings;

/// Directories and files with this prefix are ours and unfinished.
const UNFINISHED: &str = ".making-";

/// No server listens on it: an option file must name one.
const PORT: u16 = 3306;

/// What a seed is made of.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The release's identity.
    pub(crate) release: &'a str,
    pub(crate) server: &'a Server,
    /// The user's option file.
    pub(crate) template: &'a OptionFile,
    /// For the time zone tables, if it is to have any.
    pub(crate) time_zones: Option<&'a TimeZones>,
}

/// Makes sure that there is the seed that is wanted, and no other. Killed at any point, it leaves at most
/// what the next run removes.
pub(crate) fn make(
    wanted: Wanted<'_>,
    layout: &Layout,
    report: &mut Report,
) -> Result<(), SeedError> {
    let Wanted {
        release,
        server,
        template,
        time_zones,
    } = wanted;
    let seeds = layout.seeds();
    let seed = Seed::of(
        layout,
        release.as_ref(),
        server,
        template,
        time_zones.is_some(),
    );
    let prepare = |source| SeedError::Prepare {
        path: seeds.clone(),
        source,
    };
    match &seed {
        None => report.bullet(
            "no seed: my.cnf includes files or keeps parts of the database apart; the first start \
             initialises",
        ),
        Some(seed) if seed.path().is_file() => report.bullet("kept the seed, the same release"),
        Some(seed) => {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&seeds)
                .map_err(prepare)?;
            remove_all_but(None, UNFINISHED, &seeds).map_err(prepare)?;
            let bytes = make_new(seed, server, time_zones, &seeds)?;
            let tables = match time_zones {
                Some(_) => ", with time zone tables",
                None => "",
            };
            report.bullet(format!(
                "initialised a database, root locked, as the seed of every first start: {} \
                 kB{tables}",
                bytes / 1000
            ));
        }
    }
    if seeds.is_dir() {
        let keep = seed.as_ref().map(Seed::path);
        remove_all_but(keep, "", &seeds).map_err(prepare)?;
    }
    Ok(())
}

/// What the seed is to have in its time zone tables; tells why if nothing.
pub(crate) fn time_zones(
    settings: &Settings,
    server: &Server,
    report: &mut Report,
) -> Option<TimeZones> {
    if settings.skip_time_zones {
        report.bullet("no time zone tables, as MYSQL_INITDB_SKIP_TZINFO says");
        return None;
    }
    TimeZones::find(server)
        .inspect_err(|reason| report.bullet(format!("no time zone tables: {reason}")))
        .ok()
}

fn make_new(
    seed: &Seed,
    server: &Server,
    time_zones: Option<&TimeZones>,
    seeds: &Path,
) -> Result<u64, SeedError> {
    let prepare = |source| SeedError::Prepare {
        path: seeds.to_owned(),
        source,
    };
    let scratch = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(seeds)
        .map_err(prepare)?;
    let layout = Layout::new(scratch.path());
    for path in [layout.logs(), layout.run_dir(), layout.tmp_dir()] {
        fs::create_dir_all(path).map_err(prepare)?;
    }
    symlink(&server.basedir, layout.install()).map_err(prepare)?;
    let path = layout.option_file();
    let settings = mycnf::Settings {
        layout: &layout,
        port: PORT,
        flavour: server.flavour,
        version: server.version,
        bind_address: None,
        // Nobody connects, and the build may have a limit of its own.
        memory: Memory::LEAST,
        persisted: &mycnf::Persisted::default(),
        slow_log: None,
        keeps_changes: false,
    };
    let mut template = seed.option_file(&path);
    // Thrown away unless complete, and the archive of it is synced.
    template.set("mysqld", "innodb-flush-method", b"nosync", "a scratch home");
    if server.flavour == Flavour::MariaDb {
        // What is behind a checkpoint goes with its file: the time zone tables fill two of these.
        template.set("mysqld", "aria-log-file-size", b"8M", "a scratch home");
    }
    let rendered = render_my_cnf(&template, &settings)?;
    write_private(&path, &rendered.file.render())?;
    // The include at its end must be there to be read.
    write_private(&layout.credentials(), b"")?;
    let time_zones = match time_zones {
        Some(zones) => zones
            .sql(&layout)
            .map_err(|source| SeedError::ReadTimeZones { source })?,
        None => Vec::new(),
    };
    Initialisation {
        server,
        layout: &layout,
        data_dir: &layout.data_dir(),
        seed: None,
        time_zones: &time_zones,
    }
    .run()
    .map_err(|source| SeedError::Initialise {
        // Its log goes with the scratch directory.
        evidence: source.evidence(),
        source: source.into(),
    })?;
    store(&layout.data_dir(), seed.path()).map_err(|source| SeedError::Store {
        path: seed.path().to_owned(),
        source,
    })
}

fn store(data_dir: &Path, path: &Path) -> io::Result<u64> {
    let mut beside = durable::Pending::begin(path, 0o600, UNFINISHED)?;
    pack(data_dir, io::BufWriter::new(beside.file()))?;
    beside.place()
}

/// Everything in `seeds` is ours; what begins with `prefix` goes, except `keep`.
fn remove_all_but(keep: Option<&Path>, prefix: &str, seeds: &Path) -> io::Result<()> {
    durable::remove_all_but(seeds, |name| {
        !name.to_string_lossy().starts_with(prefix) || keep == Some(seeds.join(name).as_path())
    })
}

/// There is no seed; the previous build is untouched.
#[derive(Debug, Error)]
pub enum SeedError {
    /// The directory of seeds, or what is needed to make one.
    #[error("cannot prepare {path}", path = path.display())]
    Prepare {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The option file of the scratch home: the frozen options of the user's.
    #[error(transparent)]
    Render(#[from] IncludeError),
    /// A file of the scratch home.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The vendor's program that reads the system's zone files.
    #[error("cannot read the system's time zones")]
    ReadTimeZones {
        /// How it ended.
        source: CommandError,
    },
    /// The vendor's initialiser.
    #[error("cannot make the seed of the first starts")]
    Initialise {
        /// What the server said.
        evidence: String,
        /// Why.
        source: Box<InitialiseError>,
    },
    /// The archive.
    #[error("cannot write the seed {path}", path = path.display())]
    Store {
        /// Its final name.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
