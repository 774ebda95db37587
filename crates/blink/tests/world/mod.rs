//! For the tests of the executable: the real servers of target/fixtures, a cache that all tests share, and
//! directories for each.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "no test file uses all of it; clippy's allowance for tests does not reach helpers"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
use serde_json::Value;
use tempfile::TempDir;

pub const BLINK: &str = env!("CARGO_BIN_EXE_blink");

/// Those that differ, the fastest to unpack first.
pub const SERVERS: [&str; 4] = ["mysql-5.6", "mariadb", "mariadb-11", "mysql-9"];

/// The tarball that `make test` assembled.
pub fn tarball(server: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fixtures");
    fs::read_dir(fixtures.join(server))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains(".tar."))
        .unwrap_or_else(|| panic!("no tarball in target/fixtures/{server}: run 'make test'"))
}

/// Directories of a test's own: for data, for `TMPDIR`.
pub struct World {
    dir: TempDir,
}

impl World {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `blink` with the tests' cache, its data here.
    pub fn blink(&self) -> Command {
        let mut command = self.bare();
        command
            .arg("--cache")
            .arg(cache())
            .arg("--dir")
            .arg(self.path());
        command
    }

    /// `blink` as it is.
    pub fn bare(&self) -> Command {
        let mut command = Command::new(BLINK);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TMPDIR", self.path())
            .stdin(Stdio::null());
        command
    }

    /// The directories of runs, of the living and the dead.
    pub fn homes(&self) -> Vec<PathBuf> {
        homes_below(self.path())
    }
}

/// The directories of runs below `base`.
pub fn homes_below(base: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for ours in fs::read_dir(base).into_iter().flatten().flatten() {
        if ours.file_name().to_string_lossy().starts_with("blink-") {
            let runs = fs::read_dir(ours.path()).unwrap().flatten();
            let runs = runs.filter(|run| run.file_name().to_string_lossy().starts_with("run-"));
            found.extend(runs.map(|run| run.path()));
        }
    }
    found
}

/// What all tests share, from run to run.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("blink-cache")
}

/// A `blink` that stays. Dropped, it is killed.
pub struct Staying {
    pub process: Child,
    pub servers: Vec<Value>,
}

impl Staying {
    /// Starts `command` with `--json`, and reads how to connect to `count` servers.
    pub fn start(command: &mut Command, count: usize) -> Self {
        let mut process = command
            .arg("--json")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let servers: Vec<Value> = lines
            .take(count)
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect();
        assert_eq!(servers.len(), count, "it said less");
        Self { process, servers }
    }

    pub fn server(&self) -> &Value {
        &self.servers[0]
    }

    pub fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        kill.arg(signal).arg(self.process.id().to_string());
        assert!(kill.status().unwrap().success());
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// By TCP, with the password.
pub fn connect(server: &Value) -> Conn {
    try_connect(server).unwrap()
}

pub fn try_connect(server: &Value) -> mysql::Result<Conn> {
    let port = u16::try_from(server["port"].as_u64().unwrap()).unwrap();
    let options = OptsBuilder::new()
        .ip_or_hostname(server["host"].as_str())
        .tcp_port(port)
        .prefer_socket(false);
    Conn::new(log_in(options, server))
}

/// By the socket.
pub fn connect_by_socket(server: &Value) -> Conn {
    let options = OptsBuilder::new().socket(server["socket"].as_str());
    Conn::new(log_in(options, server)).unwrap()
}

fn log_in(options: OptsBuilder, server: &Value) -> OptsBuilder {
    options
        .user(server["user"].as_str())
        .pass(server["password"].as_str())
        .db_name(server["database"].as_str())
}

pub fn one(connection: &mut Conn, query: &str) -> String {
    let row: Option<String> = connection.query_first(query).unwrap();
    row.unwrap()
}

/// Whether the process is there, and no zombie.
pub fn is_running(pid: u64) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat"));
    status.is_ok_and(|text| !text.contains(") Z "))
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Tries until it is so.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(3);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
