//! What each vendor's initialiser is told, and what is left when it fails.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::option_file::OptionFile;
use crate::seed::{Seed, pack};

/// A home directory with a release in it.
struct Home {
    dir: tempfile::TempDir,
    layout: Layout,
    server: Server,
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
            seed: None,
            time_zones: b"",
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
            "--default-time-zone=SYSTEM",
            "--bootstrap",
        ]
    );
    let names: Vec<&OsStr> = command.get_envs().map(|(name, _)| name).collect();
    assert_eq!(names, ["HOME", "PATH", "TMPDIR"]);
    let command = initialisation.initialize(Path::new("/d"), Path::new("/f"));
    assert_eq!(
        home.arguments(&command)[4..],
        ["--initialize-insecure", "--init-file=/f"]
    );
}

#[test]
fn run_success_is_private() {
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
    assert!(!home.layout.initialise_log().exists());
}

#[test]
fn run_failures_have_exact_texts_and_leave_nothing() {
    let home = Home::mysql_9();
    home.install("/bin/false", "bin/mysqld");
    let failed = "the server could not initialise its data directory";
    assert_eq!(home.failure(), failed);

    fs::remove_dir_all(home.layout.run_dir()).unwrap();
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
    assert!(!remove_unfinished(&home.layout, &home.layout.data_dir()).unwrap());
    fs::create_dir(home.layout.unfinished_data_dir()).unwrap();
    assert!(remove_unfinished(&home.layout, &home.layout.data_dir()).unwrap());
    fs::write(home.layout.unfinished_data_dir(), "a file").unwrap();
    let error = remove_unfinished(&home.layout, &home.layout.data_dir()).unwrap_err();
    let unfinished = home.layout.unfinished_data_dir();
    assert_eq!(
        error.to_string(),
        format!("cannot prepare {}", unfinished.display())
    );
}

#[test]
fn run_seed_is_unpacked_without_holes_and_without_what_is_unique() {
    let home = Home::mysql_9();
    let made = home.dir.path().join("made");
    fs::create_dir_all(made.join("mysql")).unwrap();
    let mut hollow = vec![0; 8 << 20];
    hollow[4 << 20] = 1;
    for (name, content) in [
        ("ibdata1", &hollow[..]),
        ("mysql/user.frm", b"user"),
        ("auto.cnf", b"uuid"),
        ("ca-key.pem", b"key"),
    ] {
        fs::write(made.join(name), content).unwrap();
    }
    let seed = home.dir.path().join("seed.tar.xz");
    pack(&made, File::create(&seed).unwrap()).unwrap();
    let data_dir = home.layout.data_dir();
    let mut initialisation = home.initialisation(&data_dir);
    initialisation.seed = Some(&seed);
    initialisation.run().unwrap();
    let ibdata1 = data_dir.join("ibdata1");
    assert_eq!(fs::read(&ibdata1).unwrap(), hollow);
    assert!(fs::metadata(ibdata1).unwrap().blocks() * 512 >= 8 << 20);
    assert_eq!(fs::read(data_dir.join("mysql/user.frm")).unwrap(), b"user");
    assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 2);

    fs::remove_dir_all(&data_dir).unwrap();
    let whole = fs::read(&seed).unwrap();
    for length in [0, whole.len() / 2, whole.len() - 1] {
        fs::write(&seed, &whole[..length]).unwrap();
        let error = initialisation.run().unwrap_err();
        let text = format!("cannot unpack the seed {}", seed.display());
        assert_eq!(error.to_string(), text, "{length}");
        assert!(!home.layout.unfinished_data_dir().exists());
        assert!(!data_dir.exists());
    }
}

#[test]
fn seed_of_each_frozen_option_has_its_own() {
    let home = Home::mysql_9();
    let seed = |text: &str| {
        let template = OptionFile::parse(Path::new("my.cnf"), text.as_bytes()).unwrap();
        Seed::of(
            &home.layout,
            OsStr::new("m-1"),
            &home.server,
            &template,
            true,
        )
    };
    let plain = seed("[mysqld]\nport = 3306\n").unwrap();
    assert_eq!(seed("").unwrap(), plain);
    let name = plain.path().file_name().unwrap().to_str().unwrap();
    assert!(
        name.starts_with("m-1-") && name.ends_with(".tar.xz"),
        "{name}"
    );
    let template = OptionFile::empty(Path::new("my.cnf"));
    let without = Seed::of(
        &home.layout,
        OsStr::new("m-1"),
        &home.server,
        &template,
        false,
    );
    assert_ne!(without.unwrap().path(), plain.path(), "no time zones");
    let frozen = seed("[mysqld]\nlower_case_table_names = 1\n").unwrap();
    assert_ne!(frozen.path(), plain.path());
    assert_eq!(
        String::from_utf8(frozen.option_file(Path::new("x")).render()).unwrap(),
        "[mysqld]\n# frozen at initialisation\nlower-case-table-names = 1\n"
    );
    assert_eq!(seed("[mysqld]\ninnodb-undo-directory = /u\n"), None);
    assert_eq!(seed("!include /etc/my.cnf\n"), None);
}
