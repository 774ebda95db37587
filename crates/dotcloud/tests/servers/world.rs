//! One application on a platform of its own: a short temporary directory with `$DOTCLOUD_HOME` and the
//! code, pushed by the real `dotcloud` with the hooks that `make hooks` built and a real server.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
use tempfile::TempDir;

/// How long anything may take before it counts as failed, on a slow machine.
const DEADLINE: Duration = Duration::from_secs(90);

/// What a finished `dotcloud` printed.
pub(crate) struct Printed {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Printed {
    /// Both streams, for a message.
    pub(crate) fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// The same if the status is `expected`.
    #[track_caller]
    pub(crate) fn with_status(self, expected: i32) -> Self {
        assert_eq!(self.status, expected, "{}", self.all());
        self
    }
}

/// The application `app` and its platform. Dropped, it destroys both.
pub(crate) struct World {
    dir: Place,
    /// `--runtime`
    pub(crate) runtime: &'static str,
    /// Whom `dotcloud` runs as, if not as us.
    user: Option<u32>,
}

impl World {
    /// A created, not yet pushed application with the tarball of `fixture`, on plain processes.
    pub(crate) fn new(fixture: &str) -> Self {
        Self::with_tarball(&tarball(fixture))
    }

    /// The same with a tarball of one's own.
    pub(crate) fn with_tarball(tarball: &Path) -> Self {
        Self::with(tarball, "process", None)
    }

    /// The same in containers. None, after saying so past the harness, where there can be none.
    pub(crate) fn in_containers(fixture: &str) -> Option<Self> {
        Self::in_containers_of(fixture, None)
    }

    /// The same, of an ordinary user: as root we become one.
    pub(crate) fn in_containers_without_root(fixture: &str) -> Option<Self> {
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        Self::in_containers_of(fixture, is_root.then_some(65534))
    }

    fn in_containers_of(fixture: &str, user: Option<u32>) -> Option<Self> {
        let world = Self::with(&tarball(fixture), "oci", user);
        let yml = fs::read_to_string(world.code("dotcloud.yml")).unwrap();
        // A file that fails in the first place after the runtime was tried out.
        fs::write(
            world.code("dotcloud.yml"),
            yml.replace("buildscript: ", "buildscript: no-"),
        )
        .unwrap();
        let tried = world.push_any();
        fs::write(world.code("dotcloud.yml"), yml).unwrap();
        if tried.status == 2 {
            return Some(world);
        }
        let _ = writeln!(
            std::io::stderr(),
            "\n*** NOT TESTED: {fixture} in the oci runtime (user: {user:?}). This machine cannot \
             run containers:\n{}",
            tried.stdout
        );
        None
    }

    fn with(tarball: &Path, runtime: &'static str, user: Option<u32>) -> Self {
        let dir = Place::new();
        let world = Self { dir, runtime, user };
        let hooks = world.code("hooks");
        fs::create_dir_all(&hooks).unwrap();
        fs::copy(root().join("dotcloud.yml"), world.code("dotcloud.yml")).unwrap();
        for name in [
            "backup",
            "builder",
            "postinstall",
            "starttest",
            "my.cnf",
            "profile",
        ] {
            let from = root().join("hooks").join(name);
            fs::copy(&from, hooks.join(name))
                .unwrap_or_else(|e| panic!("{}: {e}; run `make test`", from.display()));
        }
        fs::copy(tarball, hooks.join(tarball.file_name().unwrap())).unwrap();
        for directory in [world.dir.path(), &*world.code("")] {
            chown(directory, user, user).unwrap();
        }
        world
            .dotcloud(["create", "app", "--assume-yes"])
            .with_status(0);
        world
    }

    /// A path in the code that is pushed.
    pub(crate) fn code(&self, path: &str) -> PathBuf {
        self.dir.path().join("code").join(path)
    }

    /// The platform's state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("d")
    }

    /// The `dotcloud` executable in the code's directory, not started.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dotcloud"));
        command
            .args(args)
            .current_dir(self.code(""))
            .env("DOTCLOUD_HOME", self.state())
            .env("HOME", self.dir.path())
            .env("DOTCLOUD_RUNTIME", self.runtime)
            .stdin(Stdio::null());
        if let Some(user) = self.user {
            command.gid(user).uid(user);
        }
        command
    }

    /// Runs it.
    pub(crate) fn dotcloud<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Printed {
        let output = self.command(args).output().unwrap();
        Printed {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Pushes, expecting `status`.
    #[track_caller]
    pub(crate) fn push(&self, status: i32) -> Printed {
        self.push_any().with_status(status)
    }

    fn push_any(&self) -> Printed {
        self.dotcloud(["push"])
    }

    /// A path in the home of `instance`, as this machine calls it.
    pub(crate) fn home(&self, instance: usize, path: &str) -> PathBuf {
        let text = self.dotcloud(["info", "testbed", "--json"]).stdout;
        let info: serde_json::Value = serde_json::from_str(&text).unwrap();
        let container = info["instances"][instance]["container"].as_str().unwrap();
        Path::new(container).join("home").join(path)
    }

    /// What `script` prints in the container of `instance`.
    #[track_caller]
    pub(crate) fn run(&self, instance: &str, script: &str) -> String {
        let printed = self.dotcloud(["run", instance, script]).with_status(0);
        printed.stdout.trim_end().to_owned()
    }

    /// The public port of `instance`, as advertised to the service itself.
    pub(crate) fn public_port(&self, instance: u32) -> u16 {
        let key = format!("DOTCLOUD_TESTBED_TESTBEDDB_PORT_{instance}");
        let text = self.run(&format!("testbed.{instance}"), "cat ~/environment.json");
        let environment: serde_json::Value = serde_json::from_str(&text).unwrap();
        environment[&key].as_str().unwrap().parse().unwrap()
    }

    /// Root's password, as the credentials file has it.
    pub(crate) fn password(&self, instance: u32) -> String {
        let text = self.run(
            &format!("testbed.{instance}"),
            "sed -n 's/^password *= *//p' ~/data/mysql-credentials.cnf",
        );
        text.trim_matches('"').to_owned()
    }

    /// Root's connection to `instance` through the advertised port, once it answers.
    pub(crate) fn connect(&self, instance: u32) -> Conn {
        let password = self.password(instance);
        let port = self.public_port(instance);
        eventually("the first query", || {
            login(port, "root", Some(&password)).ok()
        })
    }

    /// When the server of `instance` was started, in ticks since boot: containers number their
    /// processes alike. None while there is none.
    pub(crate) fn server_start(&self, instance: u32) -> Option<u64> {
        let script = "cut -d ' ' -f 22 /proc/$(cat ~/mysql/run/mysqld.pid)/stat";
        let instance = format!("testbed.{instance}");
        let printed = self.dotcloud(["run", &instance, script]);
        printed.stdout.trim().parse().ok()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let destroyed = self.dotcloud(["destroy", "--assume-yes"]);
        if !std::thread::panicking() {
            assert_eq!(destroyed.status, 0, "{}", destroyed.all());
        }
    }
}

/// A directory whose processes end with it. After a test that passed there must be none.
pub(crate) struct Place(TempDir);

impl Place {
    /// Short, for the socket's path; open, for the service's unprivileged user.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("e2e")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp");
        Self(dir.unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mark = self.path().display().to_string();
        let left = Command::new("pkill")
            .args(["-9", "-e", "-f", &mark])
            .output();
        if !std::thread::panicking() {
            let left = String::from_utf8_lossy(&left.unwrap().stdout).into_owned();
            assert_eq!(left, "", "left running by destroy");
        }
    }
}

/// A connection over TCP.
pub(crate) fn login(port: u16, user: &str, password: Option<&str>) -> mysql::Result<Conn> {
    let options = OptsBuilder::new()
        .ip_or_hostname(Some("127.0.0.1"))
        .tcp_port(port)
        .user(Some(user))
        .pass(password)
        .prefer_socket(false);
    Conn::new(options)
}

/// The first column of every row.
pub(crate) fn column(conn: &mut Conn, query: &str) -> Vec<String> {
    conn.query(query).unwrap()
}

/// Polls `attempt` until it gives something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "still no {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The tarball of a fixture, which `make test` assembles.
pub(crate) fn tarball(fixture: &str) -> PathBuf {
    let dir = root().join("target/fixtures").join(fixture);
    fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}; run `make test`", dir.display()))
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains(".tar."))
        .unwrap_or_else(|| panic!("no tarball in {}; run `make test`", dir.display()))
}
