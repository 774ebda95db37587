//! starttest: becomes the server. Run by supervisord, at the first moment at which the real `~/data`
//! is there (contract §7, step 16); does again whatever postinstall could only do for an empty one.

mod error;

use std::convert::Infallible;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};

use hook::{Environment, Report};
use postinstall::{Prepared, Settings, prepare, server_command};

pub use error::Error;

/// The text of `--help`.
pub const ABOUT: &str = "\
Becomes the MySQL or MariaDB server: does what postinstall does for the data that is
there now, checks that the port is free, and replaces itself by the server, so that
TERM reaches it. The lock on the data directory passes to the server.

Reads what postinstall reads; see postinstall --help. Nothing of its environment but
HOME, PATH, USER, LOGNAME, TZ, LANG, LC_*, LD_* and MALLOC_* reaches the server,
whose TMPDIR is ~/mysql/tmp.

Example (supervisord does this):
  HOME=/home/dotcloud PORT_TESTBEDDB=42800 ~/starttest

Exit status: the server's own; before it is started 1 failed, 2 called with
arguments, 70 a defect of starttest, 126 the server cannot be executed, 127 it is
not there.
";

/// What the server may see: no password, no `MYSQL_*` that would change its behaviour.
const KEPT: [&str; 6] = ["HOME", "PATH", "USER", "LOGNAME", "TZ", "LANG"];
const KEPT_PREFIXES: [&str; 3] = ["LC_", "LD_", "MALLOC_"];

/// Prepares the data directory and becomes the server.
pub fn run(environment: &Environment, report: &mut Report) -> Result<Infallible, Error> {
    let settings = Settings::from_environment(environment)?;
    // `lock` stays open: the server inherits it.
    let Prepared {
        layout,
        server,
        lock: _lock,
    } = prepare(&settings, report)?;
    check_port(&settings)?;
    report.bullet(format!(
        "becoming {server}; its log is {}",
        layout.error_log().display()
    ));
    let mut command = server_command(&layout, &server);
    command
        .env_clear()
        .envs(environment.iter().filter(|(name, _)| is_kept(name)))
        .env("TMPDIR", layout.tmp_dir());
    Err(Error::BecomeServer {
        source: hook::exec(&mut command),
    })
}

/// A server that finds its port taken says so after half a minute of retries, in its own log.
fn check_port(settings: &Settings) -> Result<(), Error> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, settings.port.number))
        .map(drop)
        .map_err(|source| Error::PortTaken {
            port: settings.port.clone(),
            source,
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
