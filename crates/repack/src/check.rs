//! The check of the result before it is put in place: whatever a server needs to initialise and
//! start, and every library that something in it loads. What the vendor never packed is not missed here.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use judge::NoServer;
use mycnf::{LIBRARY_DIRECTORIES, SERVER_EXECUTABLES, is_system_library};

use crate::prune::Pruner;
use crate::refusal::StreamError;
use crate::tree::{Kind, MAX_LINKS_FOLLOWED, Tree, View};

/// Where vendors put what is not specific to a machine.
const SHARE: [&str; 3] = ["share", "share/mysql", "share/mariadb"];

/// What is looked for first.
const SERVER: &str = "server";

/// Without these no server starts, whatever its release.
const ALWAYS: [(&str, &str); 2] = [
    ("error messages", "english/errmsg.sys"),
    ("character sets", "charsets/Index.xml"),
];

/// What makes the system tables up to MySQL 5.6; later servers have it built in.
const SYSTEM_TABLES: [&str; 3] = [
    "mysql_system_tables.sql",
    "mysql_system_tables_data.sql",
    "fill_help_tables.sql",
];

/// What MariaDB's initialiser reads besides.
const MARIADB_TABLES: [&str; 5] = [
    "mysql_performance_tables.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "mysql_sys_schema.sql",
    "mysql_test_db.sql",
    "mariadb_test_db.sql",
];

/// Scripts that initialise MariaDB.
const INSTALL_DB: [&str; 4] = [
    "scripts/mariadb-install-db",
    "bin/mariadb-install-db",
    "scripts/mysql_install_db",
    "bin/mysql_install_db",
];

/// Came with 5.7, where the server began to initialise itself.
const SINCE_5_7: &str = "install_rewriter.sql";

/// A library that a kept file loads.
#[derive(Debug)]
pub(crate) struct Needed {
    pub(crate) library: String,
    pub(crate) by: PathBuf,
    /// The directories that file names, as in [`crate::needs::Needs`].
    pub(crate) search: Rc<[String]>,
}

/// A library that neither the tarball has nor systems are known to have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) library: String,
    pub(crate) by: PathBuf,
}

/// What is checked.
pub(crate) struct Check<'a> {
    /// The input's path, for messages.
    pub(crate) path: &'a Path,
    pub(crate) tree: &'a Tree,
    pub(crate) pruner: &'a Pruner,
}

impl Check<'_> {
    /// Whether the result works as far as can be told; returns what only the system can tell.
    pub(crate) fn run(&self, needed: &[Needed]) -> Result<Vec<Unknown>, StreamError> {
        self.one_of(SERVER, &SERVER_EXECUTABLES.map(PathBuf::from), true)?;
        for (what, file) in ALWAYS {
            self.one_of(what, &in_share(file), true)?;
        }
        self.initialiser()?;
        let (mut unknown, mut told) = (Vec::new(), HashSet::new());
        for need in needed {
            if !self.finds(need)?
                && !is_system_library(&need.library)
                && told.insert(need.library.as_str())
            {
                unknown.push(Unknown {
                    library: need.library.clone(),
                    by: need.by.clone(),
                });
            }
        }
        Ok(unknown)
    }

    fn initialiser(&self) -> Result<(), StreamError> {
        let was = |path: &Path| self.has(path, View::Input);
        let mariadb = INSTALL_DB[..2].iter().any(|script| was(script.as_ref()))
            || in_share(MARIADB_TABLES[0]).iter().any(|path| was(path));
        if mariadb {
            self.one_of("initialiser", &INSTALL_DB.map(PathBuf::from), false)?;
        } else if in_share(SINCE_5_7).iter().any(|path| was(path)) {
            return Ok(());
        }
        let besides: &[&str] = if mariadb { &MARIADB_TABLES } else { &[] };
        for file in SYSTEM_TABLES.iter().chain(besides) {
            self.one_of("initialiser's input", &in_share(file), false)?;
        }
        Ok(())
    }

    /// Whether the result has one of `places`, unless the input has none and need not.
    fn one_of<const N: usize>(
        &self,
        what: &'static str,
        places: &[PathBuf; N],
        must: bool,
    ) -> Result<(), StreamError> {
        if places.iter().any(|path| self.has(path, View::Result)) {
            return Ok(());
        }
        match places.iter().find(|path| self.has(path, View::Input)) {
            Some(lost) => Err(self.lacks(format!("its {what}"), lost)),
            None if must && what == SERVER => Err(NoServer::unknown(self.path).into()),
            None if must => Err(StreamError::Absent {
                path: self.path.into(),
                what,
            }),
            None => Ok(()),
        }
    }

    fn has(&self, path: &Path, view: View) -> bool {
        let server = SERVER_EXECUTABLES
            .iter()
            .any(|server| Path::new(server) == path);
        match self.tree.find(path, view).map(|node| &node.kind) {
            Some(Kind::File { executable }) => *executable || !server,
            _ => false,
        }
    }

    /// Whether the result has the library where the loader looks; fails if only the input had it.
    fn finds(&self, need: &Needed) -> Result<bool, StreamError> {
        let own = need.search.iter().filter_map(|directory| {
            let below = directory
                .strip_prefix("$ORIGIN")
                .or_else(|| directory.strip_prefix("${ORIGIN}"))?;
            let from = need.by.parent()?;
            normal(&from.join(below.trim_start_matches('/')))
        });
        let usual = LIBRARY_DIRECTORIES.iter().map(PathBuf::from);
        let mut lost = None;
        for directory in own.chain(usual) {
            let path = directory.join(&need.library);
            if self.has(&path, View::Result) {
                return Ok(true);
            }
            if lost.is_none() && self.has(&path, View::Input) {
                lost = Some(path);
            }
        }
        let Needed { library, by, .. } = need;
        match lost {
            Some(lost) => {
                let what = format!("{library}, which {} needs", by.display());
                Err(self.lacks(what, &lost))
            }
            None => Ok(false),
        }
    }

    fn lacks(&self, what: String, lost: &Path) -> StreamError {
        // What is left out may be the target of a link, or of a link to that.
        let mut file = lost.to_path_buf();
        let mut cause = self.pruner.cause(&file);
        for _ in 0..MAX_LINKS_FOLLOWED {
            let node = self.tree.get(&file).map(|node| &node.kind);
            let (None, Some(Kind::Link(target)), Some(directory)) = (&cause, node, file.parent())
            else {
                break;
            };
            let Some(next) = normal(&directory.join(target)) else {
                break;
            };
            cause = self.pruner.cause(&next);
            file = next;
        }
        StreamError::Lacks {
            what,
            file,
            cause: cause.unwrap_or_else(|| "what is left out above it".into()),
        }
    }
}

fn in_share(file: &str) -> [PathBuf; 3] {
    SHARE.map(|directory| Path::new(directory).join(file))
}

/// The path without `..`; `None` if it leads out of the top directory.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(normal)
}
