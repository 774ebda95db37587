//! The servers' own `my_print_defaults` is the judge: same file, same answer. The programs come
//! from the tarballs that `make test` assembles under target/fixtures.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod generated;
mod generator;
mod judge;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Output;

use judge::{Judge, arguments};
use mycnf::{
    Credentials, Layout, Memory, OptionFile, Password, Settings, render_my_cnf, write_private,
};

#[test]
fn mariadb_reads_what_we_read() {
    Judge::mariadb().judge_all();
}

#[test]
fn mysql_9_reads_what_we_read() {
    Judge::mysql_9().judge_all();
}

impl Judge {
    fn judge_all(&self) {
        self.agrees_on_the_corpus();
        self.agrees_on_includes();
        self.agrees_on_generated_files();
        self.refuses_what_we_refuse();
        self.reads_rendered_files_of_any_home();
        self.reads_credentials_back();
    }

    fn agrees_on_the_corpus(&self) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/option_files");
        for entry in fs::read_dir(corpus).unwrap() {
            let path = entry.unwrap().path();
            let ours = OptionFile::parse(&path, &fs::read(&path).unwrap()).unwrap();
            // A copy: files that others may write are ignored by the servers.
            let copy = self.directory.path().join("corpus.cnf");
            write_private(&copy, &ours.render()).unwrap();
            self.agrees(&ours, &copy, self.directory.path());
        }
    }

    fn agrees_on_includes(&self) {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/includes");
        let mut cases = 0;
        for entry in fs::read_dir(&home).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let ours = OptionFile::parse(&path, &fs::read(&path).unwrap()).unwrap();
                self.agrees(&ours, &path, &home);
                cases += 1;
            }
        }
        assert!(cases > 4, "the corpus is gone");
        for entry in fs::read_dir(home.join("refused")).unwrap() {
            let path = entry.unwrap().path();
            let ours = OptionFile::parse(&path, &fs::read(&path).unwrap()).unwrap();
            let theirs = self.run(&path, &["mysqld"], &home);
            let shown = path.display();
            assert!(ours.resolve(&home).is_err(), "we accept {shown}");
            assert!(!theirs.stderr.is_empty(), "they accept {shown}");
        }
    }

    /// What we see in `ours`, which is also at `path`, is what they print for it.
    fn agrees(&self, ours: &OptionFile, path: &Path, home: &Path) {
        let resolved = ours.resolve(home).unwrap();
        for groups in [&["mysqld", "client"][..], &["client"], &["mysqld"]] {
            let theirs = self.run(path, groups, home);
            assert!(theirs.status.success(), "{}", path.display());
            assert_eq!(
                arguments(resolved.options(groups))
                    .escape_ascii()
                    .to_string(),
                theirs.stdout.escape_ascii().to_string(),
                "{} for {groups:?}",
                path.display()
            );
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
                memory: Memory::LEAST,
                persisted: &mycnf::Persisted::default(),
                slow_log: None,
                keeps_changes: false,
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
