//! Where the parts of one container are, and the variables its processes get.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::host::account::Account;
use crate::host::beneath::{self, Directory};
use crate::host::files::{self, FileError};

/// The directory of an application's relays: no container's, which are numbers.
pub(crate) const PUBLIC: &str = "public";

/// Environment variables.
pub(crate) type Variables = BTreeMap<String, String>;

/// Command lines, by the names of their programs.
pub(crate) type Programs = BTreeMap<String, String>;

/// The paths of a container, a build container or an application's gateways.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    root: PathBuf,
}

impl Paths {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Holds everything of the container and nothing else; ours, so that its user cannot
    /// replace what lies directly in it.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it is what an application's relays live in.
    pub(crate) fn is_public(&self) -> bool {
        self.root.ends_with(PUBLIC)
    }

    /// `$HOME`.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// What the next container inherits.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("home/data")
    }

    /// A non-empty `~/data` that gave way to the inherited one.
    pub(crate) fn shadowed(&self) -> PathBuf {
        self.root.join("data.shadowed")
    }

    /// The platform's `/var/log/supervisor`.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// supervisord's socket and pid file.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// supervisord's socket, as we reach it.
    pub(crate) fn socket(&self) -> PathBuf {
        self.root.join("run/supervisor.sock")
    }

    /// supervisord's configuration, out of the service's reach.
    pub(crate) fn config(&self) -> PathBuf {
        self.root.join("supervisord.conf")
    }

    /// `/tmp`, for a container with a file system of its own. On disk: what lies there is not to
    /// count as the service's memory.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// What an OCI runtime is told.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.root.join("bundle")
    }

    /// What an OCI runtime remembers.
    pub(crate) fn engine_state(&self) -> PathBuf {
        self.root.join("engine")
    }

    /// supervisord's last words, or an OCI runtime's.
    pub(crate) fn errors(&self) -> PathBuf {
        self.root.join("supervisord.out")
    }

    /// The code, outside `$HOME`: of a build container only.
    pub(crate) fn code(&self) -> PathBuf {
        self.root.join("code")
    }

    /// Makes the empty container, closed.
    pub(crate) fn create(&self, account: &Account) -> Result<(), FileError> {
        if let Some(parent) = self.root.parent() {
            files::create_directory(parent, 0o755)?;
        }
        files::create_directory(&self.root, 0o700)?;
        for directory in [self.home(), self.log(), self.run()] {
            files::create_private(&directory, account)?;
        }
        Ok(())
    }

    /// Makes [`Self::run`] new, whatever the service made of it: nothing runs in the container, and
    /// nothing in it is of use.
    pub(crate) fn renew_run(&self, account: &Account) -> Result<(), FileError> {
        Directory::open(&self.root)
            .and_then(|root| {
                root.remove("run")?;
                root.make("run", account)
            })
            .map_err(files::failed("renew", &self.run()))
    }

    /// Lets the service's user in.
    pub(crate) fn open(&self) -> Result<(), FileError> {
        self.set_mode(0o755)
    }

    /// Keeps the service's user out: while we, maybe root, work on files by their names, no
    /// process of any service may put a link in the place of a directory.
    pub(crate) fn close(&self) -> Result<(), FileError> {
        self.set_mode(0o700)
    }

    fn set_mode(&self, mode: u32) -> Result<(), FileError> {
        Directory::open(&self.root)
            .and_then(|root| beneath::set_mode(&root, mode))
            .map_err(files::failed("change", &self.root))
    }

    /// Keeps the variables for later `run` and `restart`. They may be secrets.
    pub(crate) fn save_variables(&self, variables: &Variables) -> Result<(), FileError> {
        let path = self.variables_file();
        let text = serde_json::to_vec_pretty(variables)
            .map_err(|error| files::failed("write", &path)(error.into()))?;
        files::replace(&path, &text, 0o600)
    }

    /// The variables that the container was deployed with.
    pub(crate) fn load_variables(&self) -> Result<Variables, FileError> {
        let path = self.variables_file();
        let text = fs::read(&path).map_err(files::failed("read", &path))?;
        serde_json::from_slice(&text)
            .map_err(|error| files::failed("understand", &path)(error.into()))
    }

    /// Keeps the command lines of its programs, by name, for the configurations to come.
    pub(crate) fn save_programs(&self, programs: &Programs) -> Result<(), FileError> {
        let path = self.programs_file();
        let text = serde_json::to_vec_pretty(programs)
            .map_err(|error| files::failed("write", &path)(error.into()))?;
        files::replace(&path, &text, 0o600)
    }

    /// None for a container whose configuration is somebody else's to write.
    pub(crate) fn load_programs(&self) -> Result<Option<Programs>, FileError> {
        let path = self.programs_file();
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| files::failed("understand", &path)(error.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(files::failed("read", &path)(source)),
        }
    }

    /// Notes that it is started where it is.
    pub(crate) fn note_start(&self) -> Result<(), FileError> {
        let path = self.root.as_os_str().as_bytes();
        files::replace(&self.start_file(), path, 0o600)
    }

    /// Whether it was started last in another place: what runs, if anything does, has paths of there.
    pub(crate) fn was_started_elsewhere(&self) -> bool {
        let path = fs::read(self.start_file()).unwrap_or_default();
        let then = Path::new(OsStr::from_bytes(&path));
        // The same directory by another name, maybe.
        !path.is_empty() && !files::is_same(then, &self.root)
    }

    fn start_file(&self) -> PathBuf {
        self.root.join("started")
    }

    fn programs_file(&self) -> PathBuf {
        self.root.join("programs.json")
    }

    fn variables_file(&self) -> PathBuf {
        self.root.join("variables.json")
    }
}
