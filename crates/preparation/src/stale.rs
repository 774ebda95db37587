//! What killed hooks and servers left: files that only ours can be, at fixed names, removed by whoever
//! holds the lock and is about to become the server.

use std::io;
use std::path::PathBuf;

use mycnf::{Layout, WriteError, discard_unfinished};
use thiserror::Error;

/// What hooks left of the files that are written under the lock.
pub(crate) fn discard_unfinished_writes(layout: &Layout) -> Result<(), WriteError> {
    discard_unfinished(&layout.credentials())?;
    discard_unfinished(&layout.agent_credentials())?;
    discard_unfinished(&layout.option_file())?;
    discard_unfinished(&layout.accepted_options())
}

/// What a server left in ~/mysql/run. MySQL refuses to start if the lock file of its socket is empty,
/// as a kill may leave it, or names a process that runs, as an old one may by chance.
pub(crate) fn remove_run_files(layout: &Layout) -> Result<(), StaleError> {
    let files = [
        "mysqld.sock",
        "mysqld.sock.lock",
        "mysqld.pid",
        "mysqlx.sock",
        "mysqlx.sock.lock",
    ];
    for name in files {
        let path = layout.run_dir().join(name);
        if let Err(source) = durable::remove_file_if_there(&path) {
            return Err(StaleError { path, source });
        }
    }
    Ok(())
}

/// Something in a server's way stays there.
#[derive(Debug, Error)]
#[error("cannot remove {path}, which an earlier server left", path = path.display())]
pub struct StaleError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn remove_run_files_all_or_none_are_there() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path());
        remove_run_files(&layout).unwrap();
        fs::create_dir_all(layout.run_dir()).unwrap();
        for path in [layout.socket(), layout.pid_file()] {
            fs::write(path, "").unwrap();
        }
        fs::write(layout.run_dir().join("mysqld.sock.lock"), "1").unwrap();
        fs::write(layout.run_dir().join("notes"), "somebody's").unwrap();
        remove_run_files(&layout).unwrap();
        let left: Vec<_> = fs::read_dir(layout.run_dir()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        fs::create_dir(layout.pid_file()).unwrap();
        assert_eq!(
            remove_run_files(&layout).unwrap_err().to_string(),
            format!(
                "cannot remove {}, which an earlier server left",
                layout.pid_file().display()
            )
        );
    }
}
