//! Finding supervisord on this machine. Never falls back to anything else.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hook::Environment;

use thiserror::Error;

/// `$DOTCLOUD_SUPERVISORD`, else `supervisord` on `$PATH`; absolute.
pub(crate) fn find(environment: &Environment) -> Result<PathBuf, SupervisordError> {
    match environment.get("DOTCLOUD_SUPERVISORD") {
        Some(path) => executable(Path::new(path)),
        None => on_path(environment).ok_or(SupervisordError::NotFound),
    }
}

fn on_path(environment: &Environment) -> Option<PathBuf> {
    std::env::split_paths(environment.get("PATH")?)
        .find_map(|directory| executable(&directory.join("supervisord")).ok())
}

/// Made absolute, because it is going to be started from another directory.
fn executable(path: &Path) -> Result<PathBuf, SupervisordError> {
    let is_executable = |metadata: std::fs::Metadata| {
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
    };
    match std::path::absolute(path) {
        Ok(path) if path.metadata().is_ok_and(is_executable) => Ok(path),
        _ => Err(SupervisordError::NotExecutable {
            path: path.to_owned(),
        }),
    }
}

/// There is no supervisord that could be used.
#[derive(Debug, Error)]
pub(crate) enum SupervisordError {
    /// There is none on this machine.
    #[error("cannot find supervisord on PATH")]
    NotFound,
    /// What was asked for, or what belongs to it, is no program.
    #[error("{path} is not an executable file", path = path.display())]
    NotExecutable { path: PathBuf },
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    fn program(directory: &Path, name: &str, mode: u32) {
        let path = directory.join(name);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    fn find_with(variable: &str, value: &Path) -> Result<PathBuf, SupervisordError> {
        find(&[(variable, value)].into_iter().collect())
    }

    #[test]
    fn find_setting_wins_over_the_path() {
        let directory = tempfile::tempdir().unwrap();
        program(directory.path(), "my-supervisord", 0o755);
        program(directory.path(), "supervisord", 0o755);
        let path = directory.path().join("my-supervisord");
        let both = [("DOTCLOUD_SUPERVISORD", &*path), ("PATH", directory.path())];
        assert_eq!(find(&both.into_iter().collect()).unwrap(), path);
        let found = find_with("PATH", directory.path()).unwrap();
        assert_eq!(found, directory.path().join("supervisord"));
    }

    #[test]
    fn find_unusable_is_refused_with_exact_text() {
        let directory = tempfile::tempdir().unwrap();
        let text = |variable| {
            find_with(variable, directory.path())
                .unwrap_err()
                .to_string()
        };
        let path = directory.path().display();
        assert_eq!(text("PATH"), "cannot find supervisord on PATH");
        assert_eq!(text("OTHER"), "cannot find supervisord on PATH");
        assert_eq!(
            text("DOTCLOUD_SUPERVISORD"),
            format!("{path} is not an executable file")
        );
        program(directory.path(), "supervisord", 0o644);
        assert_eq!(text("PATH"), "cannot find supervisord on PATH");
    }
}
