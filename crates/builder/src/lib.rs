//! builder: from a vendor's tarball and the service's files to a home directory that is ready to be
//! snapshotted. Run by the dotCloud Builder in the code root (platform-contract.md §6); `PORT_*` is unknown here.

mod content;
mod entry;
mod error;
mod files;
mod first_run;
mod inflate;
mod libraries;
mod protection;
mod release;
mod seed;
mod settings;
mod streams;
mod tarball;
mod unpack;

use std::path::Path;

use hook::{Environment, Report};
use mycnf::Layout;

pub use entry::EntryError;
pub use error::Error;
pub use files::FilesError;
pub use first_run::FirstRunError;
pub use libraries::LibrariesError;
pub use release::{ReleaseError, unpack_release};
pub use seed::SeedError;
pub use settings::SettingsError;
pub use tarball::TarballError;
pub use unpack::UnpackError;

use files::Files;
use first_run::{Purpose, SqlFiles};
use settings::Settings;
use tarball::Tarball;

/// The text of `--help`.
pub const ABOUT: &str = "\
Builds the service: unpacks the MySQL or MariaDB tarball of the approot into
~/mysql/releases, checks that this machine can run it, initialises a database as
the seed of every first start, and copies postinstall, starttest, profile, my.cnf
the first-run files initdb.d/*.sql, *.sql.gz, *.sql.xz and *.sql.zst and the check
files check.d to ~. Run twice, it does the work once.

Reads:
  HOME             where to build
  SERVICE_APPROOT  the directory with the tarball and the files, below the
                   working directory [default: .]
  MYSQL_TARBALL    which tarball, if there are several
  MYSQL_TARBALL_MAX_SIZE
                   what it may inflate to, such as 512M [default: 32G]
  MYSQL_INITDB_SKIP_TZINFO
                   1: no time zone tables in the seed [default: 0]
  HOOK_LOG=debug   more detail

Example (the platform does this):
  cd code && HOME=/home/dotcloud SERVICE_APPROOT=hooks hooks/builder

Exit status: 0 built; 1 failed, and the previous build is untouched; 2 called
with arguments; 70 a defect of builder.
";

/// Builds the service in `code_root`.
pub fn run(code_root: &Path, environment: &Environment, report: &mut Report) -> Result<(), Error> {
    let settings = Settings::from_environment(environment, code_root)?;
    let layout = Layout::new(&settings.home);
    let tarball = Tarball::find(&settings.approot, settings.tarball.as_deref())?;
    report.bullet(format!("tarball {}", tarball.path.display()));
    let files = Files::read(&settings.approot, &layout)?;
    let sql = [
        SqlFiles::read(&settings.approot, Purpose::FirstRun)?,
        SqlFiles::read(&settings.approot, Purpose::Check)?,
    ];
    let (id, server) = release::install(&tarball, settings.max_size, &layout, report)?;
    sql.iter().try_for_each(|files| files.check(&server))?;
    let time_zones = seed::time_zones(&settings, &server, report);
    let wanted = seed::Wanted {
        release: &id,
        server: &server,
        template: &files.my_cnf,
        time_zones: time_zones.as_ref(),
    };
    seed::make(wanted, &layout, report)?;
    files.write()?;
    for files in &sql {
        files.write(&layout, report)?;
    }
    release::activate(&id, &layout, report)?;
    report.bullet(format!("{server} is ready in {}", settings.home.display()));
    Ok(())
}
