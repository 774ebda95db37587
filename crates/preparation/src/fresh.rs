//! A database where there is none: from the seed if builder made one, with the first-run files if there
//! are any, or left to starttest.

use std::path::Path;

use hook::Report;
use mycnf::{FirstRun, FirstRunFile, Initialisation, Layout, OptionFile, Seed, Server, is_scarce};

use crate::judgement::first_run_files;
use crate::opening::AccountsSql;
use crate::prepare::{PrepareError, Purpose};
use crate::time_zone::ZoneTables;

/// What a fresh database depends on. The caller holds the lock.
pub(crate) struct FreshDatabase<'a> {
    pub server: &'a Server,
    pub layout: &'a Layout,
    /// Where it will be.
    pub data_dir: &'a Path,
    /// The user's option file.
    pub template: &'a OptionFile,
    /// What opens root.
    pub sql: &'a AccountsSql<'a>,
    /// Its time zone tables.
    pub zone_tables: &'a ZoneTables,
    /// `MYSQL_DATABASE`.
    pub database: Option<&'a str>,
}

impl FreshDatabase<'_> {
    /// Makes it, if it is to be made now, and tells what the server that is started next has to run.
    pub(crate) fn make(
        &self,
        purpose: Purpose,
        report: &mut Report,
    ) -> Result<Option<String>, PrepareError> {
        let files = match purpose {
            Purpose::Fill => Vec::new(),
            Purpose::Later | Purpose::Serve => first_run_files(self.layout)?,
        };
        let (seed, time_zones) = self.seed_and_time_zones()?;
        let initialisation = Initialisation {
            server: self.server,
            layout: self.layout,
            data_dir: self.data_dir,
            seed: seed.as_ref().map(Seed::path),
            time_zones: &time_zones,
        };
        // The platform may be about to replace ~/data by the real one, on which they ran long ago.
        if !files.is_empty() && purpose == Purpose::Later {
            initialisation.check()?;
            report.bullet(
                "left the database to starttest, which runs the first-run files if it has none",
            );
            return Ok(None);
        }
        let origin = match seed {
            Some(_) => ", from the seed",
            None => "",
        };
        report.bullet(format!("initialising {}{origin}", self.data_dir.display()));
        if !files.is_empty() {
            self.run_files(&initialisation, &files, report)?;
            return Ok(None);
        }
        // A server that finds the disk full while it makes the accounts would let everybody in.
        if self.sql.is_safe && !is_scarce(&self.layout.data()) {
            initialisation.run()?;
            report.bullet(
                "initialised: root is locked until the server gives it its password, nobody else \
                 has an account",
            );
            return Ok(Some(self.sql.opening.sql()));
        }
        // What it may refuse has to be known before anybody can connect.
        initialisation.run_with(self.first_run(&[]))?;
        report.bullet("initialised: root and the accounts have their passwords");
        Ok(None)
    }

    fn first_run<'f>(&'f self, files: &'f [FirstRunFile]) -> FirstRun<'f> {
        FirstRun {
            files,
            opening: &self.sql.opening,
            database: self.database,
        }
    }

    fn run_files(
        &self,
        initialisation: &Initialisation<'_>,
        files: &[FirstRunFile],
        report: &mut Report,
    ) -> Result<(), PrepareError> {
        let names: Vec<String> = files.iter().map(FirstRunFile::name).collect();
        report.sub_bullet(format!(
            "running {} before anybody can connect; the temporary server's log is {}",
            names.join(", "),
            self.layout.initialise_log().display()
        ));
        initialisation.run_with(self.first_run(files))?;
        report.bullet("initialised: root has its password, and the first-run files are in");
        Ok(())
    }

    /// The seed that builder made for this release and my.cnf, if it did, and what fills the time zone
    /// tables where it does not have them.
    fn seed_and_time_zones(&self) -> Result<(Option<Seed>, Vec<u8>), PrepareError> {
        let seed = |time_zones| {
            let release = self.server.basedir.canonicalize().ok()?;
            let release = release.file_name()?.to_owned();
            let seed = Seed::of(
                self.layout,
                &release,
                self.server,
                self.template,
                time_zones,
            )?;
            seed.path().is_file().then_some(seed)
        };
        if let Some(seed) = seed(true) {
            self.zone_tables.source(self.server, true)?;
            return Ok((Some(seed), Vec::new()));
        }
        let source = self.zone_tables.source(self.server, false)?;
        match (seed(false), source) {
            // builder made it as it could.
            (Some(seed), _) if self.zone_tables.named.is_none() => Ok((Some(seed), Vec::new())),
            (_, Some(source)) => {
                let sql = source.sql(self.layout);
                let sql = sql.map_err(|source| PrepareError::ReadTimeZones { source })?;
                Ok((None, sql))
            }
            (seed, None) => Ok((seed, Vec::new())),
        }
    }
}
