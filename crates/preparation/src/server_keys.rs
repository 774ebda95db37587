//! The keys and certificates that MySQL makes in its data directory at its first start (manual, "Creating
//! SSL and RSA Certificates and Keys Using MySQL"). It makes none where it finds some: one that was
//! killed between two files serves without TLS ever after, and says so in its log only. Removes nothing.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hook::Report;
use mycnf::{Family, Resolved, Server, Version, server_groups};
use thiserror::Error;

/// The first MySQL that makes any.
const SINCE: Version = Version::new(5, 7, 6);

/// The last line of every PEM file begins so; of a file that a crash emptied or cut there is none.
const END: &[u8] = b"-----END ";

/// Files that are of use together only.
struct Set {
    name: &'static str,
    /// Any of them keeps the server from making new ones.
    needed: &'static [&'static str],
    /// What it makes beside them.
    others: &'static [&'static str],
    /// Whoever sets one of these has files elsewhere, or wants none.
    options: &'static [&'static str],
}

const SETS: [Set; 2] = [
    Set {
        name: "TLS",
        needed: &["ca.pem", "server-cert.pem", "server-key.pem"],
        others: &["ca-key.pem", "client-cert.pem", "client-key.pem"],
        options: &[
            "auto-generate-certs",
            "ssl-ca",
            "ssl-capath",
            "ssl-cert",
            "ssl-crl",
            "ssl-crlpath",
            "ssl-key",
        ],
    },
    Set {
        name: "RSA",
        needed: &["private_key.pem", "public_key.pem"],
        others: &[],
        options: &[
            "caching-sha2-password-auto-generate-rsa-keys",
            "caching-sha2-password-private-key-path",
            "caching-sha2-password-public-key-path",
            "sha256-password-auto-generate-rsa-keys",
            "sha256-password-private-key-path",
            "sha256-password-public-key-path",
        ],
    },
];

/// Renames the files of an incomplete set, so that the server makes a whole one, unless `options`, the
/// user's, name others. The caller holds the lock on `data_dir`.
pub(crate) fn set_aside_incomplete(
    data_dir: &Path,
    server: &Server,
    options: &Resolved,
    report: &mut Report,
) -> Result<(), ServerKeysError> {
    if server.flavour.family() != Family::MySql || server.version < SINCE {
        return Ok(());
    }
    let groups = server_groups(server.flavour, server.version);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    for set in SETS {
        let is_set = |option: &&str| options.get(&groups, option).is_some();
        if set.options.iter().any(is_set) || !is_incomplete(data_dir, set.needed) {
            continue;
        }
        let mut moved = Vec::new();
        for name in set.needed.iter().chain(set.others) {
            if set_aside(&data_dir.join(name))? {
                moved.push(*name);
            }
        }
        report.warning(format!(
            "the {} keys in {} are incomplete, as a server that is killed at its first start leaves \
             them: renamed {} to *.incomplete, the server makes new ones",
            set.name,
            data_dir.display(),
            moved.join(", ")
        ));
    }
    Ok(())
}

/// Some of `needed` are there, and not all of them are whole.
fn is_incomplete(data_dir: &Path, needed: &[&str]) -> bool {
    let found: Vec<_> = needed
        .iter()
        .map(|name| fs::read(data_dir.join(name)))
        .filter(|read| !matches!(read, Err(error) if error.kind() == io::ErrorKind::NotFound))
        .collect();
    // Of one that cannot be read nothing is known: the server will say what it thinks of it.
    let is_whole = |read: &io::Result<Vec<u8>>| {
        read.as_ref()
            .map_or(true, |pem| pem.windows(END.len()).any(|part| part == END))
    };
    let is_complete = found.len() == needed.len() && found.iter().all(is_whole);
    !found.is_empty() && !is_complete
}

/// Whether it was there.
fn set_aside(path: &Path) -> Result<bool, ServerKeysError> {
    let mut aside = OsString::from(path);
    aside.push(".incomplete");
    match durable::rename(path, aside) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(ServerKeysError {
            path: path.to_owned(),
            source,
        }),
    }
}

/// An incomplete key stays in the server's way.
#[derive(Debug, Error)]
#[error("cannot rename {path}, one of an incomplete set of keys", path = path.display())]
pub struct ServerKeysError {
    /// The key or certificate.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

#[cfg(test)]
mod tests {
    use mycnf::{Flavour, OptionFile};

    use super::*;

    const PEM: &str = "-----BEGIN X-----\nAA==\n-----END X-----\n";
    const CUT: &str = "-----BEGIN X-----\nAA";
    const MYSQL_9: (Flavour, Version) = (Flavour::MySql, Version::new(9, 7, 4));

    /// The names in a data directory with `files` after a look with `my_cnf`, and what was said.
    fn after(
        (flavour, version): (Flavour, Version),
        my_cnf: &str,
        files: &[(&str, &str)],
    ) -> (Vec<String>, String) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let server = Server {
            basedir: "/r".into(),
            executable: "/r/bin/mysqld".into(),
            flavour,
            version,
        };
        let file = OptionFile::parse(Path::new("/my.cnf"), my_cnf.as_bytes()).unwrap();
        let options = file.resolve(Path::new("/")).unwrap();
        let said = tempfile::NamedTempFile::new().unwrap();
        let mut report = Report::to_writer(said.reopen().unwrap());
        set_aside_incomplete(dir.path(), &server, &options, &mut report).unwrap();
        let mut names: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let said = fs::read_to_string(said.path()).unwrap();
        (names, said.replace(dir.path().to_str().unwrap(), "/d"))
    }

    fn is_left_alone(server: (Flavour, Version), my_cnf: &str, files: &[(&str, &str)]) {
        let mut before: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        before.sort_unstable();
        let (names, said) = after(server, my_cnf, files);
        assert_eq!(
            (names, said.as_str()),
            (before.iter().map(ToString::to_string).collect(), "")
        );
    }

    #[test]
    fn set_aside_incomplete_certificates_are_renamed_and_told() {
        for end in [
            None,
            Some(("server-key.pem", "")),
            Some(("server-key.pem", CUT)),
        ] {
            let mut files = vec![
                ("ca-key.pem", PEM),
                ("ca.pem", PEM),
                ("server-cert.pem", PEM),
            ];
            files.extend(end);
            let (names, said) = after(MYSQL_9, "", &files);
            assert_eq!(names.len(), files.len());
            assert!(
                names.iter().all(|name| name.ends_with(".pem.incomplete")),
                "{names:?}"
            );
            let key = end.map_or("", |_| "server-key.pem, ");
            assert_eq!(
                said,
                format!(
                    "- warning: the TLS keys in /d are incomplete, as a server that is killed at its \
                     first start leaves them: renamed ca.pem, server-cert.pem, {key}ca-key.pem to \
                     *.incomplete, the server makes new ones\n"
                )
            );
        }
    }

    #[test]
    fn set_aside_incomplete_half_of_a_pair_is_renamed() {
        let (names, said) = after(MYSQL_9, "", &[("private_key.pem", PEM), ("ibdata1", "")]);
        assert_eq!(names, ["ibdata1", "private_key.pem.incomplete"]);
        assert!(said.contains("the RSA keys in /d"), "{said}");
    }

    #[test]
    fn set_aside_incomplete_whole_sets_are_left_alone() {
        let tls = [
            ("ca.pem", PEM),
            ("server-cert.pem", PEM),
            ("server-key.pem", PEM),
        ];
        let rsa = [("private_key.pem", PEM), ("public_key.pem", PEM)];
        is_left_alone(MYSQL_9, "", &[]);
        is_left_alone(MYSQL_9, "", &tls);
        is_left_alone(MYSQL_9, "", &rsa);
        // The server writes over this one.
        is_left_alone(MYSQL_9, "", &[("ca-key.pem", PEM)]);
    }

    #[test]
    fn set_aside_incomplete_files_of_the_user_are_left_alone() {
        let own = [("server-cert.pem", PEM), ("server-key.pem", PEM)];
        is_left_alone(MYSQL_9, "[mysqld]\nssl_cert=server-cert.pem\n", &own);
        is_left_alone(MYSQL_9, "[mysqld]\nauto_generate_certs=OFF\n", &own);
        is_left_alone((Flavour::MySql, Version::new(5, 6, 24)), "", &own);
        is_left_alone((Flavour::MariaDb, Version::new(11, 8, 9)), "", &own);
    }
}
