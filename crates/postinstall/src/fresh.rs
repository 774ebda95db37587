//! A database where there is none: from the seed if builder made one, with the first-run files if there
//! are any, or left to starttest.

use std::path::Path;

use hook::Report;
use mycnf::{FirstRun, FirstRunFile, Initialisation, Layout, OptionFile, Seed, Server};

use crate::prepare::{PrepareError, Purpose};

/// What a fresh database depends on. The caller holds the lock.
pub(crate) struct FreshDatabase<'a> {
    pub server: &'a Server,
    pub layout: &'a Layout,
    /// Where it will be.
    pub data_dir: &'a Path,
    /// The user's option file.
    pub template: &'a OptionFile,
    /// What opens root: see `Accounts::opening_sql`.
    pub opening_sql: &'a str,
    /// `MYSQL_DATABASE`.
    pub database: Option<&'a str>,
}

impl FreshDatabase<'_> {
    /// Makes it, if it is to be made now.
    pub(crate) fn make(&self, purpose: Purpose, report: &mut Report) -> Result<(), PrepareError> {
        let files = FirstRunFile::all(&self.layout.first_run_files())?;
        let seed = self.seed();
        let initialisation = Initialisation {
            server: self.server,
            layout: self.layout,
            data_dir: self.data_dir,
            seed: seed.as_ref().map(Seed::path),
        };
        if !files.is_empty() && purpose == Purpose::Later {
            initialisation.check()?;
            report.bullet(
                "left the database to starttest, which runs the first-run files if it has none",
            );
            return Ok(());
        }
        let origin = match seed {
            Some(_) => ", from the seed",
            None => "",
        };
        report.bullet(format!("initialising {}{origin}", self.data_dir.display()));
        if files.is_empty() {
            initialisation.run()?;
            report.bullet(
                "initialised: root is locked until the server gives it its password, nobody else \
                 has an account",
            );
        } else {
            self.run_files(&initialisation, &files, report)?;
        }
        Ok(())
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
        initialisation.run_with(FirstRun {
            files,
            opening_sql: self.opening_sql,
            database: self.database,
        })?;
        report.bullet("initialised: root has its password, and the first-run files are in");
        Ok(())
    }

    /// The seed that builder made for this release and my.cnf, if it did.
    fn seed(&self) -> Option<Seed> {
        let release = self.server.basedir.canonicalize().unwrap_or_default();
        let seed = Seed::of(
            self.layout,
            release.file_name()?,
            self.server,
            self.template,
        )?;
        seed.path().is_file().then_some(seed)
    }
}
