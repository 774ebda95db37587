//! Real servers for the tests: builder unpacks each tarball of target/fixtures once, below
//! target/tmp, and every test gets a home directory of its own that links to the release.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "no test file uses all of it; clippy's allowance for tests does not reach helpers"
)]

mod table;

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock};

use mysql::{Conn, OptsBuilder};

use crate::sandbox::{Sandbox, hand_over, unprivileged, wait_for};

pub use table::{EVERY, Kind, SERVERS, Server, assembled, on_others, others, series};

impl Server {
    pub fn tarball(self) -> PathBuf {
        self.assembled().unwrap_or_else(|| {
            panic!(
                "no tarball in target/fixtures/{}: run 'make test', which assembles it",
                self.name()
            )
        })
    }

    /// A home directory that builder made, in which there is only the server and what it needs.
    pub fn built_home(self) -> &'static Path {
        static HOMES: [OnceLock<PathBuf>; EVERY.len()] = [const { OnceLock::new() }; EVERY.len()];
        HOMES[self as usize].get_or_init(|| {
            let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.name());
            let (home, approot) = (place.join("home"), place.join("code/hooks"));
            fs::create_dir_all(&home).unwrap();
            fill_approot(&approot, &self.tarball());
            hand_over(&place.join("code"));
            for dir in [&place, &home] {
                hand_over_dir(dir);
            }
            assert!(builder(&home, &approot).status().unwrap().success());
            home.canonicalize().unwrap()
        })
    }
}

/// The service of this repository, with debug builds of its hooks.
pub fn fill_approot(approot: &Path, tarball: &Path) {
    let _ = fs::remove_dir_all(approot);
    fs::create_dir_all(approot).unwrap();
    let service = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hooks");
    for name in ["my.cnf", "profile"] {
        fs::copy(service.join(name), approot.join(name)).unwrap();
    }
    for name in ["postinstall", "starttest"] {
        fs::copy(executable(name), approot.join(name)).unwrap();
    }
    // No link: the checkout may be closed to the user whom the hooks run as.
    fs::copy(tarball, approot.join(tarball.file_name().unwrap())).unwrap();
}

/// Without what is in it: builder's home has thousands of files.
fn hand_over_dir(dir: &Path) {
    if crate::sandbox::is_root() {
        let (user, group) = (Some(crate::sandbox::USER), Some(crate::sandbox::GROUP));
        std::os::unix::fs::chown(dir, user, group).unwrap();
    }
}

/// An executable of ours, of whichever crate's tests these are.
const OURS: &str = match (
    option_env!("CARGO_BIN_EXE_starttest"),
    option_env!("CARGO_BIN_EXE_backup"),
    option_env!("CARGO_BIN_EXE_agent"),
) {
    (Some(path), _, _) | (_, Some(path), _) | (_, _, Some(path)) => path,
    (None, None, None) => "",
};

/// A hook of the same build as ours.
fn executable(name: &str) -> PathBuf {
    let path = Path::new(OURS).with_file_name(name);
    let hint =
        "'cargo test --workspace' builds it, as does 'cargo build -p builder -p postinstall'";
    assert!(path.is_file(), "no {}: {hint}", path.display());
    path
}

/// The builder, quiet.
pub fn builder(home: &Path, approot: &Path) -> Command {
    let mut command = unprivileged(&executable("builder"));
    command
        .env("HOME", home)
        .env("SERVICE_APPROOT", approot)
        .current_dir("/")
        .stderr(Stdio::null());
    command
}

/// A container of a service: its home directory after the snapshot was unpacked, and its port.
pub struct Instance {
    pub sandbox: Sandbox,
    pub port: u16,
}

impl Instance {
    pub fn new(server: Server) -> Self {
        Self::of(server, Sandbox::new())
    }

    /// In memory, where syncing costs nothing: for what has to be done often.
    pub fn in_memory(server: Server) -> Self {
        Self::of(server, Sandbox::below(Path::new("/dev/shm")))
    }

    fn of(server: Server, sandbox: Sandbox) -> Self {
        for name in ["postinstall", "starttest", "profile", "mysql/my.cnf"] {
            let to = sandbox.home().join(name);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            // By another process, see Sandbox::write_executable.
            let mut cp = Command::new("cp");
            cp.arg("-p").arg(server.built_home().join(name)).arg(to);
            assert!(cp.status().unwrap().success());
        }
        let mut cp = Command::new("cp");
        cp.arg("-rp").arg(server.built_home().join("mysql/seed"));
        assert!(
            cp.arg(sandbox.home().join("mysql"))
                .status()
                .unwrap()
                .success()
        );
        let instance = Self {
            sandbox,
            port: free_port(),
        };
        instance.install(server);
        instance
    }

    /// Points ~/mysql/install at `server`.
    pub fn install(&self, server: Server) {
        let link = self.home().join("mysql/install");
        let _ = fs::remove_file(&link);
        symlink(release(server), link).unwrap();
        hand_over(&self.home());
    }

    /// For the fixtures of MySQL that bring no client: a release of this instance's own, with a client
    /// that starts MariaDB's. (Its seed is that of the real one, whose name it keeps.)
    pub fn lend_client(&self, server: Server) {
        let release = release(server);
        if release.join("bin/mysql").exists() {
            return;
        }
        let own = self
            .home()
            .join("mysql/releases")
            .join(release.file_name().unwrap());
        fs::create_dir_all(own.join("bin")).unwrap();
        for entry in fs::read_dir(&release).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "bin" {
                symlink(entry.path(), own.join(entry.file_name())).unwrap();
            }
        }
        symlink(release.join("bin/mysqld"), own.join("bin/mysqld")).unwrap();
        let client = self::release(Server::MariaDb).join("bin/mariadb");
        symlink(client, own.join("bin/mysql")).unwrap();
        let link = self.home().join("mysql/install");
        fs::remove_file(&link).unwrap();
        symlink(own, link).unwrap();
        self.sandbox.hand_over();
    }

    pub fn home(&self) -> PathBuf {
        self.sandbox.home()
    }

    /// `hook` as the platform calls it.
    pub fn hook(&self, hook: &str) -> Command {
        let mut command = self.sandbox.command(&self.home().join(hook));
        command
            .env("PORT_SSH", "22")
            .env("PORT_TESTBEDDB", self.port.to_string())
            .env("HOSTNAME", "app-default-testbed-0")
            .env("MYSQL_BIND_ADDRESS", "127.0.0.1");
        command
    }

    /// starttest, on its way to being the server.
    pub fn start(&self, command: &mut Command) -> Running {
        let log = fs::File::create(self.sandbox.path().join("starttest.log")).unwrap();
        Running(command.stderr(log).spawn().unwrap())
    }

    /// Root's connection through the socket, as soon as there is one. Whenever root is let in
    /// without a password, that is the end.
    #[track_caller]
    pub fn connect(&self, password: &str) -> Conn {
        let said = || {
            ["starttest.log", "home/data/logs/error.log"]
                .map(|name| fs::read_to_string(self.sandbox.path().join(name)).unwrap_or_default())
        };
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(3);
        loop {
            assert!(self.try_root(None).is_none(), "root without a password");
            if let Some(connection) = self.try_root(Some(password)) {
                return connection;
            }
            if std::time::Instant::now() > deadline {
                let [starttest, log] = said();
                panic!("no connection\n{starttest}\n{log}");
            }
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
    }

    /// Root's connection: through TCP without a password, through the socket with one.
    pub fn try_root(&self, password: Option<&str>) -> Option<Conn> {
        let socket = self.home().join("mysql/run/mysqld.sock");
        let options = OptsBuilder::new().user(Some("root")).pass(password);
        let options = match password {
            Some(_) => options.socket(socket.to_str()),
            None => options
                .ip_or_hostname(Some("127.0.0.1"))
                .tcp_port(self.port)
                .prefer_socket(false),
        };
        Conn::new(options).ok()
    }

    /// The password in the credentials file, which builder's rendering quotes only if it must.
    pub fn written_password(&self) -> String {
        let text = fs::read_to_string(self.home().join("data/mysql-credentials.cnf")).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("password = "));
        line.unwrap().to_owned()
    }
}

/// The release that builder unpacked.
pub fn release(server: Server) -> PathBuf {
    server
        .built_home()
        .join("mysql/install")
        .canonicalize()
        .unwrap()
}

/// A port that nobody has, nor another instance of these tests gets: not one of those that the system gives
/// to clients, of which any may take it while its server is down (`ip_local_port_range` begins at 32768).
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = 15_000 + u16::try_from(RandomState::new().hash_one(()) % 17_000).unwrap();
        if GIVEN.lock().unwrap().insert(port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A hook or the server it became; killed with the test.
pub struct Running(pub Child);

impl Running {
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.args(["-s", name, &self.0.id().to_string()]);
        assert!(kill.status().unwrap().success());
    }

    #[track_caller]
    pub fn end(mut self) -> ExitStatus {
        wait_for("the server's end", || self.0.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
