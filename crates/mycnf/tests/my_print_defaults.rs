//! The servers' own `my_print_defaults` is the judge: same file, same answer. The programs come
//! from the tarballs that `make test` assembles under target/fixtures.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mycnf::{
    Credentials, Flavour, Layout, OptionFile, Password, Settings, Version, render_my_cnf,
    write_private,
};
use tempfile::TempDir;

#[test]
fn mariadb_reads_what_we_read() {
    Judge::unpack("mariadb", Flavour::MariaDb, Version::new(10, 11, 19)).judge_all();
}

#[test]
fn mysql_9_reads_what_we_read() {
    Judge::unpack("mysql-9", Flavour::MySql, Version::new(9, 7, 4)).judge_all();
}

/// A real `my_print_defaults` in a directory of its own.
struct Judge {
    directory: TempDir,
    program: PathBuf,
    flavour: Flavour,
    version: Version,
}

impl Judge {
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

    fn judge_all(&self) {
        self.agrees_on_the_corpus();
        self.refuses_what_we_refuse();
        self.reads_rendered_files_of_any_home();
        self.reads_credentials_back();
    }

    fn run(&self, file: &Path, groups: &[&str], home: &Path) -> Output {
        let mut defaults = OsString::from("--defaults-file=");
        defaults.push(file);
        // MySQL's hides passwords unless told otherwise.
        let show = (self.flavour != Flavour::MariaDb).then_some("--show");
        Command::new(&self.program)
            .env_clear()
            .env("HOME", home)
            .env("PATH", "/usr/bin:/bin")
            .arg(defaults)
            .args(show)
            .args(groups)
            .output()
            .unwrap()
    }

    fn agrees_on_the_corpus(&self) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/option_files");
        for entry in fs::read_dir(corpus).unwrap() {
            let path = entry.unwrap().path();
            let ours = OptionFile::parse(&path, &fs::read(&path).unwrap()).unwrap();
            // A copy: files that others may write are ignored by the servers.
            let copy = self.directory.path().join("corpus.cnf");
            write_private(&copy, &ours.render()).unwrap();
            for groups in [&["mysqld", "client"][..], &["client"], &["mysqld"]] {
                let theirs = self.run(&copy, groups, self.directory.path());
                assert!(theirs.status.success(), "{}", path.display());
                assert_eq!(
                    String::from_utf8_lossy(&arguments(&ours, groups)),
                    String::from_utf8_lossy(&theirs.stdout),
                    "{} for {groups:?}",
                    path.display()
                );
                assert_eq!(
                    arguments(&ours, groups),
                    theirs.stdout,
                    "{}",
                    path.display()
                );
            }
        }
    }

    fn refuses_what_we_refuse(&self) {
        for text in [
            &b"\xef\xbb\xbf[mysqld]\nport=1\n"[..],
            b"[mysqld\nport=1\n",
            b"port=1\n[mysqld]\n",
            b"[mysqld]\n!include\n",
            b"[mysqld]\n!includedir \n",
        ] {
            let path = self.directory.path().join("refused.cnf");
            write_private(&path, text).unwrap();
            let theirs = self.run(&path, &["mysqld"], self.directory.path());
            let shown = text.escape_ascii();
            assert!(!theirs.status.success(), "they accept {shown}");
            assert!(OptionFile::parse(&path, text).is_err(), "we accept {shown}");
        }
    }

    fn reads_rendered_files_of_any_home(&self) {
        for name in [
            "plain",
            "with blank",
            "ha#sh",
            "quote's",
            "dou\"ble",
            "back\\slash",
            "new\nline",
            "tab\there",
            "ti~lde",
            "voilà",
            "semi;colon",
            "equals=sign",
            "\\n",
        ] {
            let home = self.directory.path().join(name);
            let layout = Layout::new(&home);
            fs::create_dir_all(layout.data()).unwrap();
            let password = Password::new(OsStr::new("pw")).unwrap();
            let credentials = Credentials::root(password).render(&layout.credentials());
            write_private(&layout.credentials(), &credentials).unwrap();
            let template = OptionFile::parse(Path::new("my.cnf"), b"[mysqld]\nport=1").unwrap();
            let settings = Settings {
                layout: &layout,
                port: 41000,
                flavour: self.flavour,
                version: self.version,
                bind_address: Some("::1"),
            };
            let rendered = render_my_cnf(&template, &settings).unwrap().file.render();
            write_private(&layout.option_file(), &rendered).unwrap();

            let server = self.run(&layout.option_file(), &["mysqld"], &home);
            for (option, value) in [
                ("port", Path::new("41000")),
                ("bind-address", Path::new("::1")),
                ("basedir", &layout.install()),
                ("datadir", &layout.data_dir()),
                ("socket", &layout.socket()),
                ("pid-file", &layout.pid_file()),
                ("log-error", &layout.error_log()),
            ] {
                assert_says(&server, option, value);
            }
            let client = self.run(&layout.option_file(), &["client"], &home);
            assert_says(&client, "port", Path::new("41000"));
            assert_says(&client, "socket", &layout.socket());
            assert_says(&client, "user", Path::new("root"));
            assert_says(&client, "password", Path::new("pw"));
        }
    }

    fn reads_credentials_back(&self) {
        for password in [
            "simple",
            " leading",
            "trailing ",
            "\ttab\t",
            "a#b",
            "#",
            ";",
            "'",
            "\"",
            "'quoted'",
            "\"quoted\"",
            "it's",
            "\\",
            "\\n",
            "a\\",
            "\\\"",
            "'\"#\\ ",
            "x=y",
            "!include",
            "[x]",
            "voilà",
            "à",
            "пароль",
            "密码",
            "\u{a0}",
            "%d%s",
            "a\rb",
            "\u{8}",
            &"\\".repeat(1024),
        ] {
            let path = self.directory.path().join("credentials.cnf");
            let credentials = Credentials::root(Password::new(OsStr::new(password)).unwrap());
            let bytes = credentials.render(&path);
            assert_eq!(Credentials::parse(&path, &bytes).unwrap(), credentials);
            write_private(&path, &bytes).unwrap();
            let read = self.run(&path, &["client"], self.directory.path());
            assert_eq!(
                String::from_utf8_lossy(&read.stdout),
                format!("--user=root\n--password={password}\n"),
            );
        }
    }
}

/// What `my_print_defaults` prints.
fn arguments(file: &OptionFile, groups: &[&str]) -> Vec<u8> {
    let mut text = Vec::new();
    for option in file.options(groups) {
        text.extend(b"--");
        text.extend(option.name);
        if let Some(value) = option.value {
            text.push(b'=');
            text.extend(value);
        }
        text.push(b'\n');
    }
    text
}

#[track_caller]
fn assert_says(output: &Output, option: &str, value: &Path) {
    let mut line = format!("--{option}=").into_bytes();
    line.extend(value.as_os_str().as_bytes());
    line.push(b'\n');
    let found = output.stdout.windows(line.len()).any(|part| part == line);
    assert!(
        found,
        "no {} in:\n{}{}",
        OsString::from_vec(line).display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
