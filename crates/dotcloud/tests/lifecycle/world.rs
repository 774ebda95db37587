//! A platform of its own for every test, with one application. Dropped, it destroys what is left.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::machine;

const DEADLINE: Duration = Duration::from_mins(3);
/// The uid and gid of an ordinary user, whom root can be.
pub(crate) const ORDINARY: u32 = 65534;

/// A database in miniature: it notes each start and each TERM in `~/data` and tells all of it to
/// whoever connects.
pub(crate) const SERVER: &str = r#"#!/usr/bin/env python3
import os, signal, socket, sys, time
home = os.environ["HOME"]
log = home + "/data/history"
def note(text):
    with open(log, "a") as out:
        out.write("%s %.6f %d\n" % (text, time.time(), os.getpid()))
def end(*_):
    time.sleep(0.3)
    note("ended")
    sys.exit(0)
print("data at start:", " ".join(sorted(os.listdir(home + "/data"))) if os.path.isdir(home + "/data") else "none", flush=True)
os.makedirs(home + "/data", exist_ok=True)
note("started")
signal.signal(signal.SIGTERM, end)
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(os.environ["PORT_DB"])))
server.listen()
while True:
    client, _ = server.accept()
    client.sendall(open(log, "rb").read())
    client.close()
"#;

pub(crate) const BUILD_FILE: &str = "\
db:
  type: custom
  approot: app
  buildscript: app/builder
  process: ~/server
  ports:
    db: tcp
";

/// What a finished `dotcloud` printed.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Printed {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same if the status is `expected`.
    #[track_caller]
    pub(crate) fn with_status(self, expected: i32) -> Self {
        assert_eq!(self.status, expected, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Where `text` is in standard output; it must be.
    #[track_caller]
    pub(crate) fn position(&self, text: &str) -> usize {
        self.stdout
            .find(text)
            .unwrap_or_else(|| panic!("no {text:?} in\n{}\n{}", self.stdout, self.stderr))
    }
}

/// The application `app`, created and connected, with the code of a database in miniature.
pub(crate) struct World {
    directory: TempDir,
    /// Whom `dotcloud` runs as, if not as us.
    user: Option<u32>,
    runtime: Runtime,
}

/// What runs the containers of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Process,
    /// Containers of root.
    Oci,
    /// Containers of an ordinary user.
    Rootless,
}

impl Runtime {
    /// What `--runtime` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Oci | Self::Rootless => "oci",
        }
    }

    /// Whom `dotcloud` has to run as, if not as us.
    pub(crate) fn user(self) -> Option<u32> {
        (self == Self::Rootless && is_root()).then_some(ORDINARY)
    }
}

impl World {
    /// None, after saying so, where this machine has no such runtime.
    pub(crate) fn new(runtime: Runtime) -> Option<Self> {
        let works = runtime == Runtime::Process || machine::tried(runtime).works;
        works.then(|| Self::with(runtime, runtime.user()))
    }

    /// None, after saying so, where this machine has no such runtime that limits memory.
    pub(crate) fn that_limits_memory(runtime: Runtime) -> Option<Self> {
        machine::limits_memory(runtime)
            .then(|| Self::new(runtime))
            .flatten()
    }

    /// One of plain processes, for another user, which takes root.
    pub(crate) fn of_user(user: Option<u32>) -> Self {
        Self::with(Runtime::Process, user)
    }

    fn with(runtime: Runtime, user: Option<u32>) -> Self {
        // Short, for the path of supervisord's socket; open, for the service's own user.
        let directory = tempfile::Builder::new()
            .prefix("dc")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        let world = Self {
            directory,
            user,
            runtime,
        };
        world.write("dotcloud.yml", BUILD_FILE);
        world.script("app/builder", "cp \"$(dirname \"$0\")/server\" ~/server");
        world.write("app/server", SERVER);
        world.executable("app/server");
        if user.is_some() {
            for entry in walkdir::WalkDir::new(world.directory.path()) {
                chown(entry.unwrap().path(), user, user).unwrap();
            }
        }
        world
            .dotcloud(["create", "-y", "app", "--runtime", runtime.name()])
            .with_status(0);
        world
    }

    /// A path in the code.
    pub(crate) fn code(&self, path: &str) -> PathBuf {
        self.directory.path().join("code").join(path)
    }

    /// A path in the application's state.
    pub(crate) fn state(&self, path: &str) -> PathBuf {
        self.directory.path().join("h/apps/app").join(path)
    }

    /// What processes of a container call a path in the application's state.
    pub(crate) fn inside(&self, path: &str) -> String {
        let parts: Vec<&str> = path.splitn(3, '/').collect();
        match (self.runtime, &parts[..]) {
            (Runtime::Oci | Runtime::Rootless, [_, _, "home"]) => "/home/dotcloud".to_owned(),
            (Runtime::Oci | Runtime::Rootless, ["db.build", "code"]) => "/tmp/code".to_owned(),
            _ => self.state(path).display().to_string(),
        }
    }

    /// What `--runtime` calls the one of its containers.
    pub(crate) fn runtime(&self) -> &'static str {
        self.runtime.name()
    }

    /// Whom root runs the services as.
    pub(crate) fn uid(&self) -> u32 {
        let record: serde_json::Value =
            serde_json::from_slice(&fs::read(self.state("state.json")).unwrap()).unwrap();
        let uid = record["uid"].as_u64().unwrap_or(1000);
        u32::try_from(uid).unwrap()
    }

    /// Makes the application one that has this uid, or none, on record.
    pub(crate) fn set_uid(&self, uid: Option<u32>) {
        let path = self.state("state.json");
        let mut record: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        record.as_object_mut().unwrap().remove("uid");
        if let Some(uid) = uid {
            record["uid"] = uid.into();
        }
        fs::write(&path, record.to_string()).unwrap();
    }

    /// Whom `dotcloud` runs as, if not as us.
    pub(crate) fn user(&self) -> Option<u32> {
        self.user
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("h")
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.code(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A bash script, `set -e`.
    pub(crate) fn script(&self, path: &str, lines: &str) {
        self.write(path, &format!("#!/bin/bash\nset -e\n{lines}\n"));
        self.executable(path);
    }

    pub(crate) fn executable(&self, path: &str) {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.code(path), mode).unwrap();
    }

    /// The `dotcloud` command, not started.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_dotcloud"));
        command.args(words);
        command
    }

    /// Another program, as it would be started, not started.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("DOTCLOUD_HOME", self.home())
            .env("SECRET_OF_THE_HOST", "1")
            .current_dir(self.code(""))
            .stdin(Stdio::null());
        if let Some(user) = self.user {
            command.gid(user).uid(user);
        }
        command
    }

    pub(crate) fn dotcloud<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Printed {
        Printed::of(&self.command(words).output().unwrap())
    }

    #[track_caller]
    pub(crate) fn push(&self, status: i32) -> Printed {
        self.dotcloud(["push"]).with_status(status)
    }

    /// What a shell in `instance` prints.
    #[track_caller]
    pub(crate) fn run(&self, instance: &str, script: &str) -> String {
        self.dotcloud(["run", instance, script])
            .with_status(0)
            .stdout
    }

    /// The public address of a port, from `info`.
    #[track_caller]
    pub(crate) fn address(&self, instance: &str) -> String {
        let info = self.dotcloud(["info", "db"]).with_status(0).stdout;
        let part = info.split(&format!("=== {instance}\n")).nth(1).unwrap();
        let (_, rest) = part.split_once("  db: tcp://").unwrap();
        rest.lines().next().unwrap().to_owned()
    }

    /// What the service says through its public port.
    #[track_caller]
    pub(crate) fn ask(&self, instance: &str) -> String {
        read(&self.address(instance)).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let destroyed = self.dotcloud(["destroy", "-y"]);
        let left = processes_below(self.directory.path());
        for (pid, _) in &left {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        if !std::thread::panicking() {
            let gone = destroyed.stdout.contains("there is no application");
            assert!(destroyed.status == 0 || gone, "{destroyed:?}");
            assert_eq!(left, Vec::new());
        }
    }
}

/// Everything `address` sends until it closes.
pub(crate) fn read(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// Pid and command line of everything that has `directory` in its command line or environment, or
/// mounted.
pub(crate) fn processes_below(directory: &Path) -> Vec<(i32, String)> {
    let needle = directory.to_string_lossy().into_owned();
    // In a container's list of mounts, which begin where their file system does.
    let mounted = needle.strip_prefix("/tmp").unwrap_or(&needle);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let text = |name: &str| {
            let bytes = fs::read(entry.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        if pid != i32::try_from(std::process::id()).unwrap()
            && (text("cmdline").contains(&needle)
                || text("environ").contains(&needle)
                || text("mountinfo").contains(mounted))
        {
            found.push((pid, text("cmdline")));
        }
    }
    found
}

/// Polls until `check` gives something.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(begin.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends with its test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}
