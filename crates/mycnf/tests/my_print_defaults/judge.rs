//! A server's real `my_print_defaults`, from the tarballs that `make test` assembles under
//! target/fixtures, and what it ought to print.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mycnf::{Flavour, Value, Version};
use tempfile::TempDir;

/// The program in a directory of its own.
pub(crate) struct Judge {
    pub(crate) directory: TempDir,
    program: PathBuf,
    pub(crate) flavour: Flavour,
    pub(crate) version: Version,
}

impl Judge {
    pub(crate) fn mysql_9() -> Self {
        Self::unpack("mysql-9", Flavour::MySql, Version::new(9, 7, 4))
    }

    pub(crate) fn mariadb() -> Self {
        Self::unpack("mariadb", Flavour::MariaDb, Version::new(10, 11, 19))
    }

    fn unpack(name: &str, flavour: Flavour, version: Version) -> Self {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../target/fixtures")
            .join(name);
        let tarball = fs::read_dir(&fixtures)
            .ok()
            .and_then(|entries| {
                entries
                    .filter_map(|entry| Some(entry.ok()?.path()))
                    .find(|path| path.to_string_lossy().contains(".tar."))
            })
            .unwrap_or_else(|| panic!("no tarball in {}: run make test", fixtures.display()));
        let directory = tempfile::tempdir().unwrap();
        let unpacked = Command::new("tar")
            .arg("-xf")
            .arg(&tarball)
            .arg("-C")
            .arg(directory.path())
            .args(["--strip-components=1", "--wildcards"])
            .args(["*/bin/my_print_defaults", "*/lib/*.so*"])
            .status()
            .unwrap();
        assert!(unpacked.success(), "{}", tarball.display());
        Self {
            program: directory.path().join("bin/my_print_defaults"),
            directory,
            flavour,
            version,
        }
    }

    /// Its answer for `file`, started in `home`.
    pub(crate) fn run(&self, file: &Path, groups: &[&str], home: &Path) -> Output {
        let mut defaults = OsString::from("--defaults-file=");
        defaults.push(file);
        // MySQL's hides passwords unless told otherwise.
        let show = (self.flavour != Flavour::MariaDb).then_some("--show");
        Command::new(&self.program)
            .env_clear()
            .env("HOME", home)
            .env("PATH", "/usr/bin:/bin")
            .current_dir(home)
            .arg(defaults)
            .args(show)
            .args(groups)
            .output()
            .unwrap()
    }
}

/// What `my_print_defaults` prints.
pub(crate) fn arguments<'a>(options: impl Iterator<Item = &'a Value>) -> Vec<u8> {
    let mut text = Vec::new();
    for option in options {
        text.extend(b"--");
        text.extend(&option.name);
        if let Some(value) = &option.value {
            text.push(b'=');
            text.extend(value);
        }
        text.push(b'\n');
    }
    text
}
