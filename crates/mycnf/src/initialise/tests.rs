//! What each vendor's initialiser is told, and what is left when it fails.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// A home directory with a release in it.
struct Home {
    dir: tempfile::TempDir,
    layout: Layout,
    server: Server,
    password: Password,
}

impl Home {
    fn new(flavour: Flavour, version: Version) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let basedir = dir.path().join("release");
        for path in [
            layout.data(),
            layout.logs(),
            layout.run_dir(),
            basedir.join("bin"),
        ] {
            fs::create_dir_all(path).unwrap();
        }
        let server = Server {
            executable: basedir.join("bin/mysqld"),
            basedir,
            flavour,
            version,
        };
        Self {
            dir,
            layout,
            server,
            password: Password::new(OsStr::new("it's")).unwrap(),
        }
    }

    fn mysql_9() -> Self {
        Self::new(Flavour::MySql, Version::new(9, 7, 4))
    }

    fn mysql_5_6() -> Self {
        Self::new(Flavour::MySql, Version::new(5, 6, 24))
    }

    fn mariadb() -> Self {
        Self::new(Flavour::MariaDb, Version::new(10, 11, 19))
    }

    /// This machine's `program` as the release's `name`. A copy, made by another process: see
    /// ETXTBSY in execve(2).
    fn install(&self, program: &str, name: &str) {
        let path = self.server.basedir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let copied = Command::new("cp").arg(program).arg(path).status();
        assert!(copied.unwrap().success());
    }

    fn run(&self) -> Result<(), InitialiseError> {
        self.initialisation(&self.layout.data_dir()).run()
    }

    fn initialisation<'a>(&'a self, data_dir: &'a Path) -> Initialisation<'a> {
        Initialisation {
            server: &self.server,
            layout: &self.layout,
            data_dir,
            root_password: &self.password,
            host_name: "app-default-db-0",
        }
    }

    /// The text of `run`'s failure, after which there is no data directory of any name.
    fn failure(&self) -> String {
        let error = self.run().unwrap_err();
        assert!(!self.layout.data_dir().exists());
        assert!(!self.layout.unfinished_data_dir().exists());
        let home = self.dir.path().to_str().unwrap();
        error.to_string().replace(home, "~")
    }

    fn arguments(&self, command: &Command) -> Vec<String> {
        let home = self.dir.path().to_str().unwrap();
        command
            .get_args()
            .map(|argument| argument.to_str().unwrap().replace(home, "~"))
            .collect()
    }
}

#[test]
fn commands_option_file_comes_first_and_environment_is_ours() {
    let home = Home::mariadb();
    home.install("/bin/true", "scripts/mariadb-install-db");
    let initialisation = home.initialisation(Path::new("/d"));
    let command = initialisation.install_script(Path::new("/d")).unwrap();
    assert_eq!(
        home.arguments(&command),
        [
            "--defaults-file=~/.my.cnf",
            "--basedir=~/release",
            "--datadir=/d",
            "--log-error=~/data/logs/initialise.log",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--cross-bootstrap",
            "--rpm",
        ]
    );
    let command = initialisation.bootstrap(Path::new("/d"));
    assert_eq!(
        home.arguments(&command),
        [
            "--defaults-file=~/.my.cnf",
            "--datadir=/d",
            "--log-error=~/data/logs/initialise.log",
            "--bootstrap",
        ]
    );
    let names: Vec<&OsStr> = command.get_envs().map(|(name, _)| name).collect();
    assert_eq!(names, ["HOME", "PATH", "TMPDIR"]);
    let command = initialisation.initialize(Path::new("/d"), Path::new("/f"));
    assert_eq!(
        home.arguments(&command)[3..],
        ["--initialize-insecure", "--init-file=/f"]
    );
}

#[test]
fn accounts_each_lineage_has_its_own_statements() {
    let prelude = "SET NAMES utf8mb4;\nSET SESSION sql_mode = '';\n";
    let data_dir = Path::new("/d");
    assert_eq!(
        Home::mysql_9().initialisation(data_dir).mysql_accounts(),
        format!("{prelude}ALTER USER 'root'@'localhost' IDENTIFIED BY 'it''s';\n")
    );
    assert_eq!(
        Home::mariadb().initialisation(data_dir).mariadb_accounts(),
        format!(
            "{prelude}USE mysql;\n\
             UPDATE global_priv SET priv=JSON_SET(priv, '$.plugin', 'mysql_native_password', \
             '$.authentication_string', PASSWORD('it''s')) WHERE User='root';\n\
             DELETE FROM global_priv WHERE User='';\n"
        )
    );
    let older = Home::new(Flavour::MariaDb, Version::new(10, 3, 39));
    assert_eq!(
        older.initialisation(data_dir).mariadb_accounts(),
        format!(
            "{prelude}USE mysql;\n\
             UPDATE user SET plugin='', Password=PASSWORD('it''s') WHERE User='root';\n\
             DELETE FROM user WHERE User='';\n"
        )
    );
    let sql = Home::mysql_5_6().initialisation(data_dir).frm_accounts();
    assert!(sql.starts_with(prelude));
    assert!(sql.contains("UPDATE user SET Host='app-default-db-0' WHERE User='root'"));
    assert!(sql.ends_with("Password=PASSWORD('it''s') WHERE User='root';\n"));
}

#[test]
fn run_success_is_private_and_leaves_no_password_behind() {
    let home = Home::mysql_9();
    home.install("/bin/true", "bin/mysqld");
    fs::create_dir(home.layout.unfinished_data_dir()).unwrap();
    fs::write(home.layout.unfinished_data_dir().join("ibdata1"), "half").unwrap();
    fs::write(home.layout.initialise_log(), "an earlier failure").unwrap();
    home.run().unwrap();
    let data_dir = home.layout.data_dir();
    assert_eq!(
        fs::metadata(&data_dir).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert_eq!(
        fs::read_dir(data_dir).unwrap().count(),
        0,
        "what was half-made is gone"
    );
    assert_eq!(fs::read_dir(home.layout.run_dir()).unwrap().count(), 0);
    assert!(!home.layout.initialise_log().exists());
}

#[test]
fn run_failures_have_exact_texts_and_leave_nothing() {
    let home = Home::mysql_9();
    home.install("/bin/false", "bin/mysqld");
    let failed = "the server could not initialise its data directory";
    assert_eq!(home.failure(), failed);
    assert_eq!(fs::read_dir(home.layout.run_dir()).unwrap().count(), 0);

    fs::remove_dir(home.layout.run_dir()).unwrap();
    assert_eq!(home.failure(), "cannot prepare the accounts");

    let home = Home::mariadb();
    assert_eq!(home.failure(), "no scripts/mariadb-install-db in ~/release");

    let home = Home::mysql_5_6();
    assert_eq!(
        home.failure(),
        "cannot read the system tables' definition ~/release/share/mysql_system_tables.sql"
    );

    fs::remove_dir_all(home.layout.data()).unwrap();
    assert_eq!(home.failure(), "cannot prepare ~/data/mysqldb.initialising");
}

#[test]
fn run_data_directory_that_came_meanwhile_is_not_replaced() {
    let home = Home::mysql_9();
    home.install("/bin/true", "bin/mysqld");
    let data_dir = home.layout.data_dir();
    fs::create_dir(&data_dir).unwrap();
    fs::write(data_dir.join("ibdata1"), "somebody's").unwrap();
    let error = home.run().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot put {} in place", data_dir.display())
    );
    assert_eq!(fs::read(data_dir.join("ibdata1")).unwrap(), b"somebody's");
    assert!(!home.layout.unfinished_data_dir().exists());
}

#[test]
fn remove_unfinished_tells_whether_there_was_one() {
    let home = Home::mysql_9();
    assert!(!remove_unfinished(&home.layout).unwrap());
    fs::create_dir(home.layout.unfinished_data_dir()).unwrap();
    assert!(remove_unfinished(&home.layout).unwrap());
    fs::write(home.layout.unfinished_data_dir(), "a file").unwrap();
    let error = remove_unfinished(&home.layout).unwrap_err();
    let unfinished = home.layout.unfinished_data_dir();
    assert_eq!(
        error.to_string(),
        format!("cannot prepare {}", unfinished.display())
    );
}
