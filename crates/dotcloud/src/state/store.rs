//! The state directory: where everything is, one lock per application, records that are replaced
//! whole. A damaged record is an error, never an empty application.

mod place;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hook::Environment;
use serde::Deserialize;
use thiserror::Error;

use crate::host::account::Account;
use crate::host::files::{self, FileError};
use crate::host::lock::{Lock, LockError};
use crate::model::application::{Application, Container, FORMAT, InstanceName};
use crate::state::container::{PUBLIC, Paths};

/// Root's state directory.
const SYSTEM: &str = "/var/lib/dotcloud";

/// The state directory.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
    port_offset: usize,
}

impl Store {
    /// `$DOTCLOUD_HOME`; else, as root, `/var/lib/dotcloud`; else in the XDG data directory.
    pub(crate) fn locate(environment: &Environment) -> Result<Self, StoreError> {
        let root = if let Some(root) = environment.get("DOTCLOUD_HOME") {
            PathBuf::from(root)
        } else if rustix::process::geteuid().is_root() {
            PathBuf::from(SYSTEM)
        } else if let Some(data) = environment.get("XDG_DATA_HOME") {
            Path::new(data).join("dotcloud")
        } else if let Some(home) = environment.get("HOME") {
            Path::new(home).join(".local/share/dotcloud")
        } else {
            return Err(StoreError::Nowhere);
        };
        if root.is_absolute() {
            let root = without_links(&root);
            // Only one of a machine begins at the beginning.
            let port_offset = if root == Path::new(SYSTEM) {
                0
            } else {
                spread(&root)
            };
            Ok(Self { root, port_offset })
        } else {
            Err(StoreError::Relative { path: root })
        }
    }

    /// Where in the ranges of ports this state directory's begin.
    pub(crate) fn port_offset(&self) -> usize {
        self.port_offset
    }

    /// The copy of our executable that services' users can run.
    pub(crate) fn executable(&self) -> PathBuf {
        self.root.join("bin/dotcloud")
    }

    /// Everything of an application.
    pub(crate) fn directory(&self, application: &str) -> PathBuf {
        self.root.join("apps").join(application)
    }

    /// The mirror of the code that was pushed last.
    pub(crate) fn code(&self, application: &str) -> PathBuf {
        self.directory(application).join("code")
    }

    /// Where committed code is checked out for its upload.
    pub(crate) fn checkout(&self, application: &str) -> PathBuf {
        self.directory(application).join("checkout")
    }

    /// Code that was pushed, by revision.
    pub(crate) fn revisions(&self, application: &str) -> PathBuf {
        self.directory(application).join("revisions")
    }

    /// The code of one revision.
    pub(crate) fn revision(&self, application: &str, revision: &str) -> PathBuf {
        self.revisions(application).join(revision)
    }

    /// Results of builds.
    pub(crate) fn snapshots(&self, application: &str) -> PathBuf {
        self.directory(application).join("snapshots")
    }

    /// Packages for images, and the lists they are found by.
    pub(crate) fn packages(&self) -> PathBuf {
        self.root.join("packages")
    }

    /// The logs of the last deployments, by their ids.
    pub(crate) fn deployments(&self, application: &str) -> PathBuf {
        self.directory(application).join("deployments")
    }

    /// The log of the deployment `id`.
    pub(crate) fn deployment_log(&self, application: &str, id: u32) -> PathBuf {
        self.deployments(application).join(format!("{id}.log"))
    }

    /// Where a service is built.
    pub(crate) fn build(&self, application: &str, service: &str) -> Paths {
        Paths::new(self.directory(application).join(format!("{service}.build")))
    }

    /// Where an OCI runtime is tried out.
    pub(crate) fn trial(&self, application: &str) -> Paths {
        Paths::new(self.directory(application).join("trial"))
    }

    /// Where a backup is tried out.
    pub(crate) fn scratch(&self, application: &str) -> Paths {
        Paths::new(self.directory(application).join("scratch"))
    }

    /// Everything of an application's backups: not below it, so that they outlive it.
    pub(crate) fn backups(&self, application: &str) -> PathBuf {
        self.root.join("backups").join(application)
    }

    /// Waits for the right to change an application's backups; `busy` is called first if that may take
    /// time.
    pub(crate) fn lock_backups(
        &self,
        application: &str,
        busy: impl FnOnce(),
    ) -> Result<Lock, StoreError> {
        // Cannot be an application's lock: their names have no dots.
        Ok(Lock::take(
            &self.lock_path(&format!("{application}.backups")),
            busy,
        )?)
    }

    /// The state directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The supervised gateways of an application.
    pub(crate) fn public(&self, application: &str) -> Paths {
        Paths::new(self.directory(application).join(PUBLIC))
    }

    /// Everything of one instance.
    pub(crate) fn instance(&self, application: &str, name: &InstanceName) -> PathBuf {
        self.directory(application).join(name.to_string())
    }

    /// One container.
    pub(crate) fn container(
        &self,
        application: &str,
        name: &InstanceName,
        generation: u32,
    ) -> Paths {
        Paths::new(
            self.instance(application, name)
                .join(generation.to_string()),
        )
    }

    /// The container that owns the data of `name`, and where it is; none before the first deployment.
    pub(crate) fn current<'r>(
        &self,
        application: &'r Application,
        name: &InstanceName,
    ) -> Option<(Paths, &'r Container)> {
        let container = application.instance(name)?.current.as_ref()?;
        let paths = self.container(&application.name, name, container.generation);
        Some((paths, container))
    }

    /// Makes the state directory and checks that `accounts` can live in it.
    pub(crate) fn prepare(&self, accounts: &[Account]) -> Result<(), StoreError> {
        for directory in ["apps", "bin", "locks"] {
            files::create_directory(&self.root.join(directory), 0o755)?;
        }
        for account in accounts.iter().filter(|account| account.drops()) {
            for ancestor in self.root.join("apps").ancestors() {
                let metadata = ancestor
                    .metadata()
                    .map_err(files::failed("look at", ancestor))?;
                let shift = match (metadata.uid() == account.uid, metadata.gid() == account.gid) {
                    (true, _) => 6,
                    (false, true) => 3,
                    (false, false) => 0,
                };
                if metadata.mode() >> shift & 1 == 0 {
                    return Err(StoreError::Unreachable {
                        path: ancestor.to_owned(),
                        uid: account.uid,
                    });
                }
            }
        }
        Ok(())
    }

    /// Records where the state directory is. From where it was moved, if it was; a copy whose original
    /// is still there is refused.
    pub(crate) fn settle_place(&self) -> Result<Option<PathBuf>, StoreError> {
        place::settle(&self.root)
    }

    /// The state directory that this one is a copy of, if that is still there.
    pub(crate) fn original(&self) -> Result<Option<PathBuf>, StoreError> {
        place::original(&self.root)
    }

    /// Makes a copy a state directory like any other.
    pub(crate) fn detach(&self) -> Result<(), StoreError> {
        place::detach(&self.root)
    }

    /// Refuses to take this for a copy.
    pub(crate) fn no_copy(&self) -> StoreError {
        StoreError::NoCopy {
            path: self.root.clone(),
        }
    }

    /// Waits for `application`'s lock; `busy` is called first if that may take time.
    pub(crate) fn lock(&self, application: &str, busy: impl FnOnce()) -> Result<Lock, StoreError> {
        Ok(Lock::take(&self.lock_path(application), busy)?)
    }

    /// Whether somebody holds `application`'s lock.
    pub(crate) fn is_locked(&self, application: &str) -> Result<bool, StoreError> {
        Ok(Lock::is_taken(&self.lock_path(application))?)
    }

    /// Waits for the right to give away ports and uids.
    pub(crate) fn lock_ports(&self) -> Result<Lock, StoreError> {
        // Cannot be an application's lock: their names have no capitals.
        Ok(Lock::take(&self.lock_path("PORTS"), || ())?)
    }

    /// Beside the applications, never removed: a lock on a removed file excludes nobody.
    fn lock_path(&self, name: &str) -> PathBuf {
        self.root.join("locks").join(format!("{name}.lock"))
    }

    /// The names of all applications, sorted.
    pub(crate) fn applications(&self) -> Result<Vec<String>, StoreError> {
        let directory = self.root.join("apps");
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(files::failed("read", &directory)(source).into()),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(files::failed("read", &directory))?;
            // Without a record it was never created, or is destroyed in all but its remains.
            if entry.path().join("state.json").exists() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The records of all applications, sorted.
    pub(crate) fn load_all(&self) -> Result<Vec<Application>, StoreError> {
        let records = self
            .applications()?
            .into_iter()
            .map(|name| self.load(&name));
        records
            // Destroyed while we were reading.
            .filter(|record| !matches!(record, Err(StoreError::Unknown { .. })))
            .collect()
    }

    /// The record of `application`.
    pub(crate) fn load(&self, application: &str) -> Result<Application, StoreError> {
        let path = self.record(application);
        let text = std::fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StoreError::Unknown {
                application: application.to_owned(),
            },
            _ => files::failed("read", &path)(source).into(),
        })?;
        let damaged = |source| StoreError::Damaged {
            path: path.clone(),
            source,
        };
        // First: what else a newer one has may look like damage.
        let Format { version } = serde_json::from_slice(&text).map_err(damaged)?;
        if version > FORMAT {
            return Err(StoreError::Version {
                path,
                found: version,
            });
        }
        serde_json::from_slice(&text).map_err(damaged)
    }

    /// Replaces the record of `application`.
    pub(crate) fn save(&self, application: &Application) -> Result<(), StoreError> {
        let path = self.record(&application.name);
        let text =
            serde_json::to_vec_pretty(application).map_err(|source| StoreError::Damaged {
                path: path.clone(),
                source,
            })?;
        Ok(files::replace(&path, &text, 0o600)?)
    }

    /// The record's path.
    pub(crate) fn record(&self, application: &str) -> PathBuf {
        self.directory(application).join("state.json")
    }
}

/// The one name of `path`, of which maybe not all is there yet: by another, what runs here would not
/// be found.
fn without_links(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(known) = ancestor.canonicalize() {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            // Joining nothing would add a slash.
            return if rest == Path::new("") {
                known
            } else {
                known.join(rest)
            };
        }
    }
    path.to_owned()
}

/// What the record of any version has.
#[derive(Deserialize)]
struct Format {
    version: u32,
}

/// A number that differs from directory to directory, in steps that leave room for a service's
/// ports to follow each other.
fn spread(root: &Path) -> usize {
    let mut hasher = DefaultHasher::new();
    root.hash(&mut hasher);
    // At most 18,190: inside of both ranges.
    usize::try_from(hasher.finish() % 1820).unwrap_or(0) * 10
}

/// The state directory cannot be used.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error("there is no place for the state: neither DOTCLOUD_HOME nor HOME is set")]
    Nowhere,
    #[error("DOTCLOUD_HOME is '{path}', which is not an absolute path", path = path.display())]
    Relative { path: PathBuf },
    #[error("{path} does not let uid {uid} through, which services or their public ports run as")]
    Unreachable { path: PathBuf, uid: u32 },
    #[error(
        "{path} is a copy of the state directory {original}, which is still there",
        path = path.display(), original = original.display()
    )]
    Copy { path: PathBuf, original: PathBuf },
    #[error("{path} is no copy of a state directory that is still there", path = path.display())]
    NoCopy { path: PathBuf },
    #[error("there is no application '{application}'")]
    Unknown { application: String },
    #[error("the record {path} is damaged")]
    Damaged {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("the record {path} has format {found}; this dotcloud knows format {FORMAT}")]
    Version { path: PathBuf, found: u32 },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(pairs: &[(&str, &str)]) -> Result<Store, StoreError> {
        Store::locate(&pairs.iter().copied().collect())
    }

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store {
            root: directory.path().to_owned(),
            port_offset: 0,
        };
        store.prepare(&[Account::current()]).unwrap();
        (directory, store)
    }

    #[test]
    fn locate_relative_is_refused() {
        assert_eq!(
            located(&[("DOTCLOUD_HOME", "x")]).unwrap_err().to_string(),
            "DOTCLOUD_HOME is 'x', which is not an absolute path"
        );
        assert_eq!(
            located(&[("DOTCLOUD_HOME", "/x")]).unwrap().root,
            Path::new("/x")
        );
    }

    #[test]
    fn locate_state_directories_have_ports_apart() {
        let offset = |pairs: &[(&str, &str)]| located(pairs).unwrap().port_offset();
        assert_eq!(offset(&[("DOTCLOUD_HOME", SYSTEM)]), 0);
        // Whoever keeps the default of one's own, or says the same in another way.
        let [one, other] =
            ["/home/one", "/home/other"].map(|home| format!("{home}/.local/share/dotcloud"));
        let offsets = [&one, &other].map(|root| offset(&[("DOTCLOUD_HOME", root)]));
        assert_ne!(offsets[0], offsets[1]);
        assert!(offsets.iter().all(|&offset| offset != 0));
        if !rustix::process::geteuid().is_root() {
            assert_eq!(offset(&[("HOME", "/home/one")]), offsets[0]);
            assert_eq!(offset(&[("HOME", "/home/other")]), offsets[1]);
        }
    }

    #[test]
    fn load_damaged_record_is_an_error() {
        let (_directory, store) = store();
        files::create_directory(&store.directory("app"), 0o755).unwrap();
        store.save(&Application::new("app", "live")).unwrap();
        assert_eq!(store.load("app").unwrap().name, "app");
        assert_eq!(store.applications().unwrap(), ["app"]);

        let path = store.record("app");
        std::fs::write(&path, "{").unwrap();
        assert_eq!(
            store.load("app").unwrap_err().to_string(),
            format!("the record {} is damaged", path.display())
        );
        std::fs::write(&path, r#"{"version": 7, "name": ["of another form"]}"#).unwrap();
        assert_eq!(
            store.load("app").unwrap_err().to_string(),
            format!(
                "the record {} has format 7; this dotcloud knows format 1",
                path.display()
            )
        );
        assert_eq!(
            store.load("other").unwrap_err().to_string(),
            "there is no application 'other'"
        );
    }

    #[test]
    fn lock_is_released_with_its_value() {
        let (_directory, store) = store();
        let first = store.lock("app", || panic!("free")).unwrap();
        drop(first);
        let second = store.lock("app", || panic!("free again")).unwrap();
        let _other = store.lock("other", || panic!("another's")).unwrap();
        assert!(store.is_locked("app").unwrap());
        drop(second);
        assert!(!store.is_locked("app").unwrap());
    }

    #[test]
    fn store_errors_have_exact_texts() {
        let path = PathBuf::from("/s");
        assert_eq!(
            StoreError::Nowhere.to_string(),
            "there is no place for the state: neither DOTCLOUD_HOME nor HOME is set"
        );
        assert_eq!(
            StoreError::Unreachable {
                path: path.clone(),
                uid: 1000
            }
            .to_string(),
            "/s does not let uid 1000 through, which services or their public ports run as"
        );
        assert_eq!(
            StoreError::from(LockError {
                path,
                source: io::Error::other("x")
            })
            .to_string(),
            "cannot lock /s"
        );
    }
}
