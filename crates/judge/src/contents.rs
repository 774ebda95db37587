//! What an archive is that holds no server for this machine, by the names in it.

use std::path::{Path, PathBuf};

use hook::Executable;
use thiserror::Error;

/// What went by in an archive, as far as it tells what that is. Holds a few names, however many go by.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The first of each kind.
    signs: Vec<(Sign, String)>,
    /// What the server's executable is for.
    server: Option<(String, Executable)>,
}

/// What a name in an archive shows. In the order in which they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    WindowsServer,
    Package,
    Tarball,
    /// A server in `bin`, without the right to be executed.
    NotExecutable,
    /// A server elsewhere than in the top directory's `bin`.
    ServerElsewhere,
    Source,
    Router,
    Shell,
    Backup,
    Client,
    TestSuite,
    AppleDouble,
    Library,
}

const SERVERS: [&str; 2] = ["mysqld", "mariadbd"];
const TARBALLS: [&str; 7] = [
    ".tar.xz", ".txz", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar",
];

impl Contents {
    /// An entry went by; `mode` is that of a file.
    pub fn note(&mut self, name: &[u8], mode: Option<u32>) {
        let name = String::from_utf8_lossy(name);
        if let Some(sign) = sign(&name, mode)
            && !self.signs.iter().any(|(seen, _)| *seen == sign)
        {
            self.signs.push((sign, name.into_owned()));
        }
    }

    /// The server's executable `name` went by, which starts like this.
    pub fn note_server(&mut self, name: &str, start: &[u8]) {
        let server = (name.to_owned(), Executable::of(start));
        // A script may come along that starts the other one.
        if self.server.is_none() || server.1 != Executable::Script {
            self.server = Some(server);
        }
    }

    /// The system that the server is for, if it is not Linux.
    #[must_use]
    pub fn other_system(&self, path: &Path) -> Option<NoServer> {
        match &self.server {
            Some((name, Executable::OtherSystem(system))) => {
                Some(NoServer::for_system(path, name, system))
            }
            _ => None,
        }
    }

    /// The machine that the server is for, if it is not this one.
    #[must_use]
    pub fn other_machine(&self) -> Option<&'static str> {
        match self.server {
            Some((_, Executable::OtherMachine(machine))) => Some(machine),
            _ => None,
        }
    }

    /// What the archive `path` is, if a name that went by told it.
    #[must_use]
    pub fn verdict(&self, path: &Path) -> Option<NoServer> {
        let (sign, name) = self.signs.iter().min_by_key(|(sign, _)| *sign)?;
        let (what, next) = described(*sign, name);
        let path = path.to_owned();
        Some(NoServer { path, what, next })
    }
}

fn sign(name: &str, mode: Option<u32>) -> Option<Sign> {
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !["", "."].contains(part))
        .collect();
    let (last, above) = parts.split_last()?;
    let lower = last.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    if parts[0].starts_with("._") || parts[0] == "__MACOSX" {
        return Some(Sign::AppleDouble);
    }
    if above.get(1).is_some_and(|part| part.ends_with("-test")) {
        return (!name.ends_with('/')).then_some(Sign::TestSuite);
    }
    let in_bin = above
        .last()
        .is_some_and(|part| ["bin", "sbin", "libexec"].contains(part));
    let is_file = mode.is_some();
    match lower.as_str() {
        "mysqld.exe" | "mariadbd.exe" => Some(Sign::WindowsServer),
        _ if is_file && ends(&[".rpm", ".deb", ".ddeb", ".udeb"]) => Some(Sign::Package),
        _ if is_file && above.len() < 2 && ends(&TARBALLS) => Some(Sign::Tarball),
        server if is_file && in_bin && SERVERS.contains(&server) => {
            let executable = mode.is_some_and(|mode| mode & 0o111 != 0);
            match above.len() {
                2 if executable => None,
                2 => Some(Sign::NotExecutable),
                _ => Some(Sign::ServerElsewhere),
            }
        }
        "cmakelists.txt" | "configure.cmake" if above.len() == 1 => Some(Sign::Source),
        "mysqld.cc" if is_file => Some(Sign::Source),
        "mysqlrouter" if in_bin => Some(Sign::Router),
        "mysqlsh" if in_bin => Some(Sign::Shell),
        "xtrabackup" if in_bin => Some(Sign::Backup),
        "mysql" | "mariadb" if in_bin && is_file => Some(Sign::Client),
        _ if is_file
            && (lower.starts_with("libmysqlclient.") || lower.starts_with("libmariadb.")) =>
        {
            Some(Sign::Library)
        }
        _ => None,
    }
}

const LINUX: &str = "download the vendor's binary tarball: 'Linux - Generic', a .tar.xz or .tar.gz";

/// What an archive with that name in it is, as the rest of a sentence, and what to do instead.
fn described(sign: Sign, name: &str) -> (String, String) {
    let linux = || LINUX.to_owned();
    match sign {
        Sign::WindowsServer => (format!("is for Windows: it has {name}"), linux()),
        Sign::Package => (
            format!("is a bundle of packages, such as {name}"),
            linux(),
        ),
        Sign::Tarball => (
            format!("holds tarballs, such as {name}, and no server itself"),
            "take the server's out: 'repack FILE' does where they are not in a directory; else unpack it"
                .to_owned(),
        ),
        Sign::NotExecutable => (
            format!("has no server that can be executed: {name} has lost its mode"),
            "take the vendor's own file: it was packed again where files have no modes".to_owned(),
        ),
        Sign::ServerElsewhere => (
            format!("has its server at {name}, and not in bin of its top directory"),
            "unpack it, and pack the directory that holds bin, lib and share with 'tar czf NAME.tar.gz \
             DIRECTORY'"
                .to_owned(),
        ),
        Sign::Source => (format!("is the source: it has {name}"), linux()),
        Sign::Router => (format!("is MySQL Router: it has {name}, and no server"), linux()),
        Sign::Shell => (format!("is MySQL Shell: it has {name}, and no server"), linux()),
        Sign::Backup => (format!("is XtraBackup: it has {name}, and no server"), linux()),
        Sign::Client => (format!("holds clients, such as {name}, and no server"), linux()),
        Sign::Library => (format!("holds a client library, {name}, and no server"), linux()),
        Sign::TestSuite => ("is the test suite, without a server".to_owned(), linux()),
        Sign::AppleDouble => (
            format!("was packed on a Mac, which added {name}"),
            "take the vendor's own file, or pack it with 'COPYFILE_DISABLE=1 tar czf NAME.tar.gz DIRECTORY'"
                .to_owned(),
        ),
    }
}

/// An archive without a server for Linux.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{path} {what}", path = path.display())]
pub struct NoServer {
    path: PathBuf,
    /// The rest of a sentence that starts with its name.
    what: String,
    next: String,
}

impl NoServer {
    /// Nothing more is known about the archive `path`.
    #[must_use]
    pub fn unknown(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            what: "has no server".to_owned(),
            next: "pass the vendor's binary tarball (linux-generic, not the source, not the test suite)"
                .to_owned(),
        }
    }

    /// `name` in the archive `path` is for that system.
    #[must_use]
    pub fn for_system(path: &Path, name: &str, system: &str) -> Self {
        Self {
            path: path.to_owned(),
            what: format!("is for {system}, as its {name} shows"),
            next: LINUX.to_owned(),
        }
    }

    /// `name` in the archive `path` is nothing that can be run.
    #[must_use]
    pub fn no_program(path: &Path, name: &str) -> Self {
        Self {
            path: path.to_owned(),
            what: format!("has a {name} that is neither a program for Linux nor a script"),
            next: LINUX.to_owned(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> &str {
        &self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(names: &[(&str, Option<u32>)]) -> Option<String> {
        let mut contents = Contents::default();
        for (name, mode) in names {
            contents.note(name.as_bytes(), *mode);
        }
        let verdict = contents.verdict(Path::new("m.tar"));
        verdict.map(|verdict| verdict.to_string())
    }

    const FILE: Option<u32> = Some(0o644);
    const PROGRAM: Option<u32> = Some(0o755);

    /// A name, its mode, and what it shows.
    const ROWS: [(&str, Option<u32>, &str); 15] = [
        (
            "m/bin/mysqld.exe",
            FILE,
            "is for Windows: it has m/bin/mysqld.exe",
        ),
        (
            "mysql-server-9.rpm",
            FILE,
            "is a bundle of packages, such as mysql-server-9.rpm",
        ),
        (
            "mysql-9.tar.xz",
            FILE,
            "holds tarballs, such as mysql-9.tar.xz, and no server itself",
        ),
        (
            "d/mysql-9.tar.xz",
            FILE,
            "holds tarballs, such as d/mysql-9.tar.xz, and no server itself",
        ),
        (
            "m/bin/mysqld",
            FILE,
            "has no server that can be executed: m/bin/mysqld has lost its mode",
        ),
        (
            "usr/local/mysql/bin/mysqld",
            PROGRAM,
            "has its server at usr/local/mysql/bin/mysqld, and not in bin of its top directory",
        ),
        (
            "./bin/mysqld",
            PROGRAM,
            "has its server at ./bin/mysqld, and not in bin of its top directory",
        ),
        (
            "m/CMakeLists.txt",
            FILE,
            "is the source: it has m/CMakeLists.txt",
        ),
        (
            "m/bin/mysqlrouter",
            PROGRAM,
            "is MySQL Router: it has m/bin/mysqlrouter, and no server",
        ),
        (
            "m/bin/mysqlsh",
            PROGRAM,
            "is MySQL Shell: it has m/bin/mysqlsh, and no server",
        ),
        (
            "m/bin/xtrabackup",
            PROGRAM,
            "is XtraBackup: it has m/bin/xtrabackup, and no server",
        ),
        (
            "m/bin/mysql",
            PROGRAM,
            "holds clients, such as m/bin/mysql, and no server",
        ),
        (
            "m/lib/libmysqlclient.a",
            FILE,
            "holds a client library, m/lib/libmysqlclient.a, and no server",
        ),
        (
            "m/mysql-test/t/a.test",
            FILE,
            "is the test suite, without a server",
        ),
        ("._m", FILE, "was packed on a Mac, which added ._m"),
    ];

    #[test]
    fn verdict_of_each_kind_has_exact_text() {
        for (name, mode, what) in ROWS {
            let verdict = verdict(&[("README", FILE), (name, mode)]);
            assert_eq!(verdict, Some(format!("m.tar {what}")), "{name}");
        }
        assert_eq!(
            verdict(&[("m/bin/mysqld", PROGRAM), ("m/lib/x", FILE)]),
            None
        );
        let both = verdict(&[("._m", FILE), ("m/bin/mysql", PROGRAM)]);
        assert_eq!(
            both.unwrap(),
            "m.tar holds clients, such as m/bin/mysql, and no server"
        );
    }

    #[test]
    fn server_for_another_system_or_machine_is_told() {
        let mut contents = Contents::default();
        contents.note_server("bin/mysqld", b"\xcf\xfa\xed\xfe\x07");
        let text = contents
            .other_system(Path::new("m.tar"))
            .unwrap()
            .to_string();
        assert_eq!(text, "m.tar is for macOS, as its bin/mysqld shows");
        assert_eq!(contents.other_machine(), None);
        let mut elf = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        elf.truncate(64);
        contents.note_server("bin/mysqld", &elf);
        assert_eq!(contents.other_system(Path::new("m.tar")), None);
        elf[18..20].copy_from_slice(&[22, 0]);
        contents.note_server("bin/mysqld", &elf);
        assert_eq!(contents.other_machine(), Some("s390x"));
        contents.note_server("bin/mysqld_safe", b"#!/bin/sh");
        assert_eq!(contents.other_machine(), Some("s390x"));
    }

    #[test]
    fn no_server_of_the_other_kinds_has_exact_text() {
        let path = Path::new("m.tar");
        assert_eq!(NoServer::unknown(path).to_string(), "m.tar has no server");
        assert_eq!(
            NoServer::no_program(path, "bin/mysqld").to_string(),
            "m.tar has a bin/mysqld that is neither a program for Linux nor a script"
        );
    }
}
