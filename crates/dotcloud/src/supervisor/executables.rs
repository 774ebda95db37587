//! Finding supervisord and supervisorctl on this machine. Never falls back to anything else.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hook::Environment;

use super::SupervisorError;

/// Where supervisord and supervisorctl are, absolute.
#[derive(Clone, Debug)]
pub(crate) struct Executables {
    pub(crate) supervisord: PathBuf,
    pub(crate) supervisorctl: PathBuf,
}

impl Executables {
    /// `$DOTCLOUD_SUPERVISORD`, else `supervisord` on `$PATH`; its `supervisorctl` is beside it.
    pub(crate) fn find(environment: &Environment) -> Result<Self, SupervisorError> {
        let supervisord = match environment.get("DOTCLOUD_SUPERVISORD") {
            Some(path) => executable(Path::new(path))?,
            None => on_path(environment).ok_or(SupervisorError::NotFound)?,
        };
        // A supervisorctl of another release may not understand this supervisord.
        let supervisorctl = executable(&supervisord.with_file_name("supervisorctl"))?;
        Ok(Self {
            supervisord,
            supervisorctl,
        })
    }
}

fn on_path(environment: &Environment) -> Option<PathBuf> {
    std::env::split_paths(environment.get("PATH")?)
        .find_map(|directory| executable(&directory.join("supervisord")).ok())
}

/// Made absolute, because it is going to be started from another directory.
fn executable(path: &Path) -> Result<PathBuf, SupervisorError> {
    let is_executable = |metadata: std::fs::Metadata| {
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
    };
    match std::path::absolute(path) {
        Ok(path) if path.metadata().is_ok_and(is_executable) => Ok(path),
        _ => Err(SupervisorError::NotExecutable {
            path: path.to_owned(),
        }),
    }
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

    fn find(variable: &str, value: &Path) -> Result<Executables, SupervisorError> {
        Executables::find(&[(variable, value)].into_iter().collect())
    }

    #[test]
    fn find_setting_wins_and_control_is_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        program(directory.path(), "my-supervisord", 0o755);
        program(directory.path(), "supervisorctl", 0o755);
        let path = directory.path().join("my-supervisord");
        let found = find("DOTCLOUD_SUPERVISORD", &path).unwrap();
        assert_eq!(found.supervisord, path);
        assert_eq!(found.supervisorctl, directory.path().join("supervisorctl"));
    }

    #[test]
    fn find_unusable_is_refused_with_exact_text() {
        let directory = tempfile::tempdir().unwrap();
        let text = |variable| find(variable, directory.path()).unwrap_err().to_string();
        let path = directory.path().display();
        assert_eq!(text("PATH"), "cannot find supervisord on PATH");
        assert_eq!(text("OTHER"), "cannot find supervisord on PATH");
        assert_eq!(
            text("DOTCLOUD_SUPERVISORD"),
            format!("{path} is not an executable file")
        );
        program(directory.path(), "supervisord", 0o644);
        assert_eq!(text("PATH"), "cannot find supervisord on PATH");
        program(directory.path(), "supervisord", 0o755);
        assert_eq!(
            text("PATH"),
            format!("{path}/supervisorctl is not an executable file")
        );
    }
}
