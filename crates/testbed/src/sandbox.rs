//! For the tests of the hooks' executables: a home directory and an approot that belong to an
//! unprivileged user, commands that see nothing of this machine's environment, and listings that
//! show whether anything changed.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The platform's user and group (contract, section 1), whom the tests become when run by root.
pub const USER: u32 = 1000;
pub const GROUP: u32 = 33;

/// A temporary directory with `home` and `code/hooks` in it.
pub struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    pub fn below(dir: &Path) -> Self {
        let sandbox = Self {
            dir: tempfile::tempdir_in(dir).unwrap(),
        };
        fs::set_permissions(sandbox.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for dir in [sandbox.home(), sandbox.approot()] {
            fs::create_dir_all(&dir).unwrap();
        }
        sandbox.hand_over();
        sandbox
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    pub fn code(&self) -> PathBuf {
        self.path().join("code")
    }

    pub fn approot(&self) -> PathBuf {
        self.path().join("code/hooks")
    }

    /// Writes a file below the sandbox, with the directories it needs.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self.hand_over();
        path
    }

    /// The same, executable.
    pub fn write_executable(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let text = self.write(&format!("{name}.text"), content);
        let path = self.path().join(name);
        // By another process: had we the file open while a parallel test forks, executing it would
        // fail with ETXTBSY.
        let mut install = Command::new("install");
        install.args(["-m", "755"]).arg(&text).arg(&path);
        assert!(install.status().unwrap().success());
        fs::remove_file(text).unwrap();
        self.hand_over();
        path
    }

    /// Gives everything to the user whom the hooks run as.
    pub fn hand_over(&self) {
        hand_over(self.path());
    }

    /// `program` as the unprivileged user, in `home`, with `HOME` and nothing else.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = unprivileged(program);
        command.env("HOME", self.home()).current_dir(self.home());
        command
    }

    /// Runs it to its end; the sandbox's path reads `{dir}` in what it says.
    pub fn outcome(&self, command: &mut Command) -> Outcome {
        self.told(&command.output().unwrap())
    }

    pub fn told(&self, output: &Output) -> Outcome {
        let text = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes).replace(self.path().to_str().unwrap(), "{dir}")
        };
        Outcome {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Every file below the sandbox: kind, mode, owner, name and content, sorted by name.
    pub fn listing(&self) -> Vec<String> {
        listing(self.path())
    }
}

impl Drop for Sandbox {
    /// An ordinary user cannot remove what is in a directory without its permissions.
    fn drop(&mut self) {
        let mut open = Command::new("chmod");
        open.args(["-R", "u+rwX"]).arg(self.path());
        let _ = open.status();
    }
}

/// How a command ended and what it said.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Every crate has the workspace's.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Asserts status 1 and the complete stderr, below the heading that every hook prints.
#[track_caller]
pub fn assert_refused(outcome: &Outcome, hook: &str, stderr: &str) {
    let expected = format!("{hook} {VERSION}\n{stderr}");
    assert_eq!(outcome.stderr, expected);
    assert_eq!(outcome.stdout, "");
    assert_eq!((outcome.code, outcome.signal), (Some(1), None));
}

/// Answers to `--version`, `--help` and arguments that there are none of.
#[track_caller]
pub fn assert_answers(program: &str, hook: &str, about: &str, example: &str) {
    let run = |arguments: &[&str]| {
        assert_cmd::Command::new(program)
            .env_clear()
            .args(arguments)
            .assert()
    };
    for option in ["--version", "-V"] {
        let version = format!("{hook} {VERSION}\n");
        run(&[option]).success().stdout(version).stderr("");
    }
    assert!(about.contains(example));
    for option in ["--help", "-h"] {
        let help = format!("Usage: {hook} [--help | --version]\n\n{about}");
        run(&[option]).success().stdout(help).stderr("");
    }
    for arguments in [&["now"][..], &["now", "--help"], &["--version", "now"]] {
        let said = format!(
            "{hook}: error: unexpected argument '{}'\n  next: call it without arguments; \
             '{hook} --help' tells what it reads\n",
            arguments[0]
        );
        run(arguments).code(2).stdout("").stderr(said);
    }
}

/// `program` with an empty environment, as an unprivileged user.
pub fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    if is_root() {
        command.uid(USER).gid(GROUP);
    }
    command
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Gives `path` and all below it to the user whom the hooks run as.
pub fn hand_over(path: &Path) {
    if is_root() {
        for path in walk(path) {
            std::os::unix::fs::lchown(path, Some(USER), Some(GROUP)).unwrap();
        }
        chown(path, Some(USER), Some(GROUP)).unwrap();
    }
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Everything below `top` that is not a directory's time: kind, mode, owner, name, content.
pub fn listing(top: &Path) -> Vec<String> {
    walk(top).iter().map(|path| line(top, path)).collect()
}

fn line(top: &Path, path: &Path) -> String {
    let metadata = fs::symlink_metadata(path).unwrap();
    let content = if metadata.is_symlink() {
        fs::read_link(path).unwrap().display().to_string()
    } else if metadata.is_file() {
        let mut hasher = DefaultHasher::new();
        fs::read(path).unwrap().hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    } else {
        String::new()
    };
    let name = path.strip_prefix(top).unwrap().display();
    let (mode, owner) = (metadata.mode(), metadata.uid());
    format!("{mode:06o} {owner} {name} {content}")
}

/// Everything below `top`, sorted.
pub fn walk(top: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(top).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            paths.extend(walk(&entry.path()));
        }
        paths.push(entry.path());
    }
    paths.sort();
    paths
}

/// Tries until there is an answer; panics naming `what` once it has taken too long.
#[track_caller]
pub fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(3);
    loop {
        if let Some(answer) = attempt() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A shell script run in a private mount namespace, where it may mount; `$AS_USER` before a command
/// of it makes that one unprivileged. To remount, say `--options-mode ignore`: in a user namespace
/// the owner among a mount's present options cannot be given again.
pub fn in_mount_namespace(script: &str) -> Command {
    let mut command = Command::new("unshare");
    let (options, as_user) = if is_root() {
        let as_user = format!("setpriv --reuid={USER} --regid={GROUP} --clear-groups");
        ("-m", as_user)
    } else {
        // Root in a namespace of its own only.
        ("-rm", String::new())
    };
    command
        .args([options, "--propagation", "private", "sh", "-euc", script])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("AS_USER", as_user);
    command
}

/// The same as in a container with a read-only root: the home directory `home` cannot be written, but for
/// its `data` and for `mysql/run`, which is a file system in memory and somebody else's. `HOME` leads to it.
pub fn in_sealed_home(home: &Path, script: &str) -> Command {
    for name in ["data", "mysql/run"] {
        fs::create_dir_all(home.join(name)).unwrap();
    }
    hand_over(home);
    let mut command = in_mount_namespace(&format!(
        "cd /\n\
         mount --bind \"$HOME\" \"$HOME\"\n\
         mount --bind \"$HOME/data\" \"$HOME/data\"\n\
         mount -t tmpfs -o mode=1777 none \"$HOME/mysql/run\"\n\
         mount --options-mode ignore -o remount,ro,bind \"$HOME\"\n\
         ! touch \"$HOME/written\" 2>/dev/null\n\
         {script}"
    ));
    command.env("HOME", home);
    command
}
