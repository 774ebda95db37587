//! Programs of the release, called so that nothing of the caller's reaches them.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use crate::layout::Layout;
use crate::libraries::LINKED_LIBRARIES;

/// A program of the release. Nothing of the caller's environment (`MYSQL_*`, `MARIADB_*`) reaches it.
#[must_use]
pub fn bare_command(layout: &Layout, program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HOME", layout.home())
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TMPDIR", layout.tmp_dir())
        .current_dir(layout.home());
    lend_libraries(&mut command, None);
    command
}

/// Lets `command`, a program of a release, find the libraries of the system that builder linked into that:
/// `LD_LIBRARY_PATH`, behind what it is set to `already`.
pub fn lend_libraries(command: &mut Command, already: Option<&OsStr>) {
    if let Some(path) = library_path(Path::new(command.get_program()), already) {
        command.env("LD_LIBRARY_PATH", path);
    }
}

/// `LD_LIBRARY_PATH` for a program of a release in which builder had to link libraries of the system,
/// behind what it is set to already. `None` for any other: releases find their own libraries.
fn library_path(program: &Path, already: Option<&OsStr>) -> Option<OsString> {
    let basedir = program.parent()?.parent()?;
    let linked = basedir.join(LINKED_LIBRARIES);
    if !linked.is_dir() {
        return None;
    }
    let mut path = already.map_or_else(OsString::new, |already| {
        let mut path = already.to_owned();
        path.push(":");
        path
    });
    path.push(linked);
    Some(path)
}

/// A server or a client: the option file is its first argument.
pub(crate) fn plain_command(layout: &Layout, program: &Path) -> Command {
    let mut command = bare_command(layout, program);
    command.arg(with_path("--defaults-file=", &layout.option_file()));
    command
}

/// `option` and `path` as one argument, whatever bytes the path has.
#[must_use]
pub fn with_path(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(path);
    argument
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_path_only_where_something_is_linked() {
        let release = tempfile::tempdir().unwrap();
        let program = release.path().join("bin/mysqld");
        assert_eq!(library_path(&program, None), None);
        std::fs::create_dir_all(release.path().join("lib/linked")).unwrap();
        let linked = format!("{}/lib/linked", release.path().display());
        assert_eq!(library_path(&program, None), Some(linked.clone().into()));
        let both = library_path(&program, Some(OsStr::new("/own")));
        assert_eq!(both, Some(format!("/own:{linked}").into()));
    }
}
