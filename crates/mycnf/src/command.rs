//! Programs of the release, called so that nothing of the caller's reaches them.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::layout::Layout;

/// A program of the release. Nothing of the caller's environment (`MYSQL_*`, `MARIADB_*`) reaches it.
pub(crate) fn bare_command(layout: &Layout, program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HOME", layout.home())
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TMPDIR", layout.tmp_dir())
        .current_dir(layout.home());
    command
}

/// A server or a client: the option file is its first argument.
pub(crate) fn plain_command(layout: &Layout, program: &Path) -> Command {
    let mut command = bare_command(layout, program);
    command.arg(with_path("--defaults-file=", &layout.option_file()));
    command
}

/// `option` and `path` as one argument, whatever bytes the path has.
pub(crate) fn with_path(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(path);
    argument
}
