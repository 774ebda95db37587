//! starttest: becomes the server. Run by supervisord, at the first moment at which the real `~/data`
//! is there (platform-contract.md §7); does again whatever postinstall could only do for an empty one.

mod error;

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::parent_id;

use hook::{Environment, Inherited, Report, Usage};
use mycnf::CommandLine;
use mycnf::lend_libraries;
use preparation::{Prepared, Purpose, Settings, prepare, server_command};

pub use error::Error;

/// What `--help` shows of its arguments.
pub const FORMS: &str = "--OPTION[=VALUE]... | ";

/// Reads the arguments: options of the server.
pub fn arguments(arguments: &[OsString]) -> Result<CommandLine, Usage> {
    CommandLine::parse(arguments).map_err(|error| Usage {
        problem: error.to_string(),
        next: error.next().to_owned(),
    })
}

/// The text of `--help`.
pub const ABOUT: &str = "\
Becomes the MySQL or MariaDB server: does what postinstall does for the data that is
there now, upgrades an older MariaDB's, checks that the port is free, and replaces
itself by the server, so that TERM reaches it. The lock on the data directory passes to
the server, and so does the SQL that gives root its password (--init-file), through a
pipe.

Arguments are options of the server (--max-connections=500) that overrule those of
my.cnf; they are planned for and checked in the same way.

Reads what postinstall reads; see postinstall --help. Nothing of its environment but
HOME, PATH, USER, LOGNAME, TZ, LANG, LC_*, LD_* and MALLOC_* reaches the server,
whose TMPDIR is ~/mysql/tmp and MYSQLD_PARENT_PID the process that started starttest.

Example (supervisord does this):
  HOME=/home/dotcloud PORT_TESTBEDDB=42800 ~/starttest

Exit status: the server's own; before it is started 1 failed, 2 called with
what is no option of the server, 70 a defect of starttest, 126 the server cannot be executed, 127 it is
not there.
";

/// What the server may see: no password, no `MYSQL_*` that would change its behaviour.
const KEPT: [&str; 6] = ["HOME", "PATH", "USER", "LOGNAME", "TZ", "LANG"];
const KEPT_PREFIXES: [&str; 3] = ["LC_", "LD_", "MALLOC_"];

/// Servers raise what they are given to what their options need, and never lower it: MySQL 5.x makes a
/// table of as many entries, of gigabytes where there is no limit.
const OPEN_FILES: u64 = 8192;

/// Prepares the data directory and becomes the server.
pub fn run(
    environment: &Environment,
    report: &mut Report,
    command_line: CommandLine,
) -> Result<Infallible, Error> {
    let settings = Settings {
        command_line,
        ..Settings::from_environment(environment)?
    };
    // `lock` stays open: the server inherits it.
    let Prepared {
        layout,
        server,
        opening_sql,
        error_log,
        lock: _lock,
    } = prepare(&settings, Purpose::Serve, report)?;
    report.bullet(format!(
        "becoming {server}; its log is {}",
        error_log.display()
    ));
    let mut command = server_command(&layout, &server);
    command
        .env_clear()
        .envs(environment.iter().filter(|(name, _)| is_kept(name)))
        .env("TMPDIR", layout.tmp_dir())
        // MySQL from 8.0 on ends itself for RESTART and CLONE (status 16) where whoever would start it
        // again is its parent: supervisord.
        .env("MYSQLD_PARENT_PID", parent_id().to_string());
    lend_libraries(&mut command, environment.get("LD_LIBRARY_PATH"));
    hook::lower_open_files(OPEN_FILES);
    // Open until the server has read it.
    let _sql = match opening_sql {
        None => None,
        Some(sql) => {
            let inherited =
                Inherited::new(sql.as_bytes()).map_err(|source| Error::HandOver { source })?;
            command.arg(format!("--init-file={}", inherited.path().display()));
            Some(inherited)
        }
    };
    Err(Error::BecomeServer {
        source: hook::exec(&mut command),
    })
}

fn is_kept(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        KEPT.contains(&name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_kept_secrets_are_not() {
        for name in ["HOME", "LD_PRELOAD", "LC_ALL"] {
            assert!(is_kept(name.as_ref()), "{name}");
        }
        for name in [
            "MYSQL_ROOT_PASSWORD",
            "MYSQL_PWD",
            "DOTCLOUD_DB_URL",
            "PORT_DB",
        ] {
            assert!(!is_kept(name.as_ref()), "{name}");
        }
    }
}
