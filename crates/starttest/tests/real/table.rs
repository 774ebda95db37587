//! The table of the servers that the tests take, and what depends on it. A new series is one line here, and
//! a recipe in fixtures/.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::release;

/// What a server's tables, initialiser and plugins are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Accounts in `mysql.global_priv`.
    MariaDb,
    /// Initialised by `--bootstrap`; a column `Password`.
    MySql56,
    /// Initialised by `--initialize`; `mysql_native_password`.
    MySql57,
    /// Its dictionary in `mysql.ibd`; `caching_sha2_password`.
    MySql8,
}

/// The servers that `make test` assembles: the one table, a line for each.
macro_rules! servers {
    ($($name:ident $fixture:literal $kind:ident $from_maven:literal,)*) => {
        /// A server that `make test` assembles.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Server {
            $($name,)*
        }

        /// Every one of them.
        pub const EVERY: &[Server] = &[$(Server::$name,)*];

        impl Server {
            /// Its recipe's name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $fixture,)*
                }
            }

            pub fn kind(self) -> Kind {
                match self {
                    $(Self::$name => Kind::$kind,)*
                }
            }

            /// Whether a machine without Maven is without it.
            fn needs_maven(self) -> bool {
                match self {
                    $(Self::$name => $from_maven,)*
                }
            }
        }
    };
}

servers! {
    MariaDb   "mariadb"      MariaDb false,
    MySql56   "mysql-5.6"    MySql56 false,
    MySql9    "mysql-9"      MySql8  false,
    MariaDb11 "mariadb-11"   MariaDb false,
    MariaDb105 "mariadb-10.5" MariaDb false,
    MariaDb114 "mariadb-11.4" MariaDb true,
    MySql57   "mysql-5.7"    MySql57 true,
    MySql80   "mysql-8.0"    MySql8  true,
    MySql5614 "mysql-5.6.14" MySql56 true,
}

/// Those that differ most: what takes all that `make test` has time for.
pub const SERVERS: [Server; 3] = [Server::MariaDb, Server::MySql56, Server::MySql9];

impl Server {
    /// Whether this machine has it; one that needs Maven may be missing, which is said.
    pub fn is_there(self) -> bool {
        let maven = || Command::new("mvn").arg("-v").output().is_ok();
        if self.assembled().is_some() || !self.needs_maven() || maven() {
            return true;
        }
        let _ = writeln!(
            io::stderr(),
            "\n*** NOT TESTED: {}: Maven is not installed\n",
            self.name()
        );
        false
    }

    /// As in builder's stamp, `mysqld  Ver 9.7.4 (MySQL)`: MySQL 9.7.4
    pub fn title(self) -> String {
        let stamp = fs::read_to_string(release(self).join("mysqld-version.txt")).unwrap();
        let mut words = stamp.split_whitespace().skip(2);
        let version = words.next().unwrap();
        let flavour = words.next().unwrap().trim_matches(['(', ')']);
        format!("{flavour} {version}")
    }

    pub fn assembled(self) -> Option<PathBuf> {
        assembled(self.name())
    }
}

/// The tarball of the recipe `name`.
pub fn assembled(name: &str) -> Option<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fixtures");
    fs::read_dir(fixtures.join(name))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains(".tar."))
}

/// What the tests of each promise take: [`SERVERS`], and in `make torture`, which sets `MOD_SERIES=every`, every other.
#[allow(clippy::disallowed_methods, reason = "a test is its own main")]
pub fn series() -> Vec<Server> {
    let every = std::env::var("MOD_SERIES").is_ok_and(|which| which == "every");
    let more = if every { others() } else { Vec::new() };
    SERVERS.into_iter().chain(more).collect()
}

/// Every server that is not one of [`SERVERS`].
pub fn others() -> Vec<Server> {
    let more = EVERY.iter().filter(|server| !SERVERS.contains(server));
    more.copied().filter(|server| server.is_there()).collect()
}

/// With each of those, two at a time: they mostly wait.
pub fn on_others(check: impl Fn(Server) + Sync) {
    let others = others();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(server) = others.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(*server);
                }
            });
        }
    });
}
