//! Where everything is in a container's home directory. Pure path
//! arithmetic: nothing here looks at the disk.

use std::path::{Path, PathBuf};

/// The paths below one home directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    home: PathBuf,
    /// Nothing of the home is ours to write but `~/data` and `~/mysql/run`.
    sealed: bool,
}

/// Where the official images look for first-run files, which somebody may mount into ours.
const MOUNTED_FIRST_RUN_FILES: &str = "/docker-entrypoint-initdb.d";

impl Layout {
    /// The layout below `home`, which must be absolute.
    #[must_use]
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            sealed: false,
        }
    }

    /// The layout below a `home` that cannot be written, as in a container with a read-only root: what is
    /// made at every start is in [`Layout::run_dir`], which is a mount point then.
    #[must_use]
    pub fn sealed(home: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            sealed: true,
        }
    }

    /// Whether it is below a home that cannot be written.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Where a file that is made at every start is: `usual`, from `~`, or by its name in
    /// [`Layout::run_dir`].
    fn made_at_start(&self, usual: &str, in_run_dir: &str) -> PathBuf {
        if self.sealed {
            self.run_dir().join(in_run_dir)
        } else {
            self.home.join(usual)
        }
    }

    /// `~`
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// `~/.my.cnf`, the rendered option file of the server and of every client; `~/mysql/run/my.cnf` of a
    /// sealed home.
    #[must_use]
    pub fn option_file(&self) -> PathBuf {
        self.made_at_start(".my.cnf", "my.cnf")
    }

    /// `~/mysql/my.cnf`, the user's option file as it was pushed.
    #[must_use]
    pub fn template(&self) -> PathBuf {
        self.home.join("mysql/my.cnf")
    }

    /// `~/mysql/my.cnf.accepted`, a digest of the option file that the server accepted last.
    #[must_use]
    pub fn accepted_options(&self) -> PathBuf {
        self.made_at_start("mysql/my.cnf.accepted", "my.cnf.accepted")
    }

    /// `~/mysql/install`, a symbolic link to the current release.
    #[must_use]
    pub fn install(&self) -> PathBuf {
        self.home.join("mysql/install")
    }

    /// `~/mysql/releases`, one directory for each unpacked release.
    #[must_use]
    pub fn releases(&self) -> PathBuf {
        self.home.join("mysql/releases")
    }

    /// `~/mysql/initdb.d`, the user's first-run SQL.
    #[must_use]
    pub fn first_run_files(&self) -> PathBuf {
        self.home.join("mysql/initdb.d")
    }

    /// `~/data/backups.json`, in which whoever makes backups leaves how they are (docs/agent.md).
    #[must_use]
    pub fn backups(&self) -> PathBuf {
        self.data().join("backups.json")
    }

    /// `~/mysql/check.d`, the user's SQL that tries a copy out.
    #[must_use]
    pub fn check_files(&self) -> PathBuf {
        self.home.join("mysql/check.d")
    }

    /// `/docker-entrypoint-initdb.d`, first-run SQL of whoever starts the container.
    #[must_use]
    pub fn mounted_first_run_files(&self) -> &Path {
        Path::new(MOUNTED_FIRST_RUN_FILES)
    }

    /// `~/mysql/seed`, initialised data directories, packed.
    #[must_use]
    pub fn seeds(&self) -> PathBuf {
        self.home.join("mysql/seed")
    }

    /// `~/mysql/run`, for what must not travel with the data.
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        self.home.join("mysql/run")
    }

    /// `~/mysql/tmp`, the server's `TMPDIR`: a server that starts removes every `#sql…` file of the
    /// directory it shares with others, theirs too.
    #[must_use]
    pub fn tmp_dir(&self) -> PathBuf {
        self.made_at_start("mysql/tmp", "tmp")
    }

    /// `~/mysql/tmp/options`, an empty data directory for a server that is only asked about its
    /// options: ours, removed by whoever holds the lock.
    #[must_use]
    pub fn option_check_dir(&self) -> PathBuf {
        self.tmp_dir().join("options")
    }

    /// `~/mysql/run/mysqld.sock`
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.run_dir().join("mysqld.sock")
    }

    /// `~/mysql/run/mysqld.pid`
    #[must_use]
    pub fn pid_file(&self) -> PathBuf {
        self.run_dir().join("mysqld.pid")
    }

    /// Where a temporary server listens, which may ask nobody for a password: `~/mysql/run`; of a sealed home,
    /// where that may be a volume of somebody else's, a directory of ours in it.
    #[must_use]
    pub fn private_dir(&self) -> PathBuf {
        if self.sealed {
            self.run_dir().join("private")
        } else {
            self.run_dir()
        }
    }

    /// `~/mysql/run/init.sock`, of a temporary server; a shorter name than that of the usual one.
    #[must_use]
    pub fn private_socket(&self) -> PathBuf {
        self.private_dir().join("init.sock")
    }

    /// `~/mysql/run/init.pid`, of a temporary server.
    #[must_use]
    pub fn private_pid_file(&self) -> PathBuf {
        self.run_dir().join("init.pid")
    }

    /// `~/mysql/run/init.cnf`: what the client of a server on the private socket logs in with.
    #[must_use]
    pub fn private_client_options(&self) -> PathBuf {
        self.run_dir().join("init.cnf")
    }

    /// `~/data`, the one directory that survives a push.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// `~/data/mysqldb`, the data directory. The name exists only once it is complete.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.data().join("mysqldb")
    }

    /// `~/data/mysqldb.initialising`, a data directory in the making: ours, never used, removed by
    /// whoever holds the lock.
    #[must_use]
    pub fn unfinished_data_dir(&self) -> PathBuf {
        self.data().join("mysqldb.initialising")
    }

    /// `~/agent`, which watches the server, if the service has it.
    #[must_use]
    pub fn agent(&self) -> PathBuf {
        self.home.join("agent")
    }

    /// `~/data/mysql-agent.cnf`, what `agent` logs in with.
    #[must_use]
    pub fn agent_credentials(&self) -> PathBuf {
        self.data().join("mysql-agent.cnf")
    }

    /// `~/data/mysqldb.lock`, locked by whoever may write the data directory: a hook, then the
    /// server it became.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.data().join("mysqldb.lock")
    }

    /// `~/data/logs`, beside the data directory: a server takes every directory in it for a
    /// database.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.data().join("logs")
    }

    /// `~/data/logs/error.log`
    #[must_use]
    pub fn error_log(&self) -> PathBuf {
        self.logs().join("error.log")
    }

    /// `~/data/logs/slow.log`, for `MYSQL_SLOW_LOG`.
    #[must_use]
    pub fn slow_log(&self) -> PathBuf {
        self.logs().join("slow.log")
    }

    /// `~/data/binlogs`, for `MYSQL_PITR`: the binary logs, apart from the data directory.
    #[must_use]
    pub fn binary_logs(&self) -> PathBuf {
        self.data().join("binlogs")
    }

    /// `~/data/logs/initialise.log`, what the server said while the data directory was made.
    #[must_use]
    pub fn initialise_log(&self) -> PathBuf {
        self.logs().join("initialise.log")
    }

    /// `~/mysql/run/upgrade`, for a server that only the upgrade tool talks to: ours, removed by whoever
    /// holds the lock.
    #[must_use]
    pub fn upgrade_dir(&self) -> PathBuf {
        self.run_dir().join("upgrade")
    }

    /// `~/data/logs/upgrade.log`, what the server said during the last upgrade.
    #[must_use]
    pub fn upgrade_log(&self) -> PathBuf {
        self.logs().join("upgrade.log")
    }

    /// `~/data/mysql-credentials.cnf`, root's name and password for `[client]`, mode 0600.
    #[must_use]
    pub fn credentials(&self) -> PathBuf {
        self.data().join("mysql-credentials.cnf")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_only_data_and_the_run_directory_are_written() {
        let layout = Layout::sealed("/home/dotcloud");
        let usual = Layout::new("/home/dotcloud");
        for path in [
            layout.option_file(),
            layout.accepted_options(),
            layout.option_check_dir(),
            layout.socket(),
            layout.private_socket(),
        ] {
            assert!(path.starts_with(layout.run_dir()), "{}", path.display());
        }
        assert_eq!(layout.run_dir(), usual.run_dir());
        assert_eq!(layout.data(), usual.data());
        assert_eq!(layout.template(), usual.template());
    }

    #[test]
    fn layout_what_must_not_travel_is_outside_data() {
        let layout = Layout::new("/home/dotcloud");
        for path in [layout.socket(), layout.pid_file(), layout.option_file()] {
            assert!(!path.starts_with(layout.data()), "{}", path.display());
        }
        for path in [layout.data_dir(), layout.error_log(), layout.credentials()] {
            assert!(path.starts_with(layout.data()), "{}", path.display());
        }
        assert!(!layout.logs().starts_with(layout.data_dir()));
        assert_eq!(
            layout.unfinished_data_dir().parent(),
            layout.data_dir().parent(),
            "a rename stays on one filesystem"
        );
    }
}
