//! The inputs that say who may log in. Each has the name of MySQL's official image, MariaDB's of the
//! same meaning, and a form ending in `_FILE` that names a file with the value.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use hook::Environment;
use mycnf::{Flavour, Password, PasswordError, Server, Version};
use thiserror::Error;

/// Longest name of a database (manual 9.7, section 11.2.1).
const DATABASE_LENGTH: usize = 64;

/// Longest name of an account that any MySQL takes (manual 9.7, section 8.2.1).
const USER_LENGTH: usize = 32;

/// The same before 5.7.8 (manual 5.7, section 6.2.1).
const USER_LENGTH_BEFORE: (Version, usize) = (Version::new(5, 7, 8), 16);

/// Who may log in, as the inputs say.
#[derive(Debug, Default)]
pub struct AccountInputs {
    /// `MYSQL_ROOT_PASSWORD`: root's password, at the first start and whenever it is set.
    pub root_password: Option<Password>,
    /// `MYSQL_DATABASE`: made at the first start.
    pub database: Option<String>,
    /// `MYSQL_USER` and `MYSQL_PASSWORD`: made at the first start.
    pub user: Option<(String, Password)>,
}

impl AccountInputs {
    /// From the environment and the files it names.
    pub(crate) fn from_environment(environment: &Environment) -> Result<Self, AccountsError> {
        let name = |input, most| {
            find(environment, input)?
                .map(|found| found.name(most))
                .transpose()
        };
        let password = |input| find(environment, input)?.map(Found::password).transpose();
        let user = match (name("USER", USER_LENGTH)?, password("PASSWORD")?) {
            (None, None) => None,
            (Some(user), Some(_)) if user == "root" => return Err(AccountsError::UserRoot),
            (Some(user), Some(password)) => Some((user, password)),
            (Some(_), None) => return Err(AccountsError::UserWithoutPassword),
            (None, Some(_)) => return Err(AccountsError::PasswordWithoutUser),
        };
        Ok(Self {
            root_password: password("ROOT_PASSWORD")?,
            database: name("DATABASE", DATABASE_LENGTH)?,
            user,
        })
    }

    /// Refuses what `server` would refuse, in its own log and only after it has been initialised.
    pub(crate) fn check(&self, server: &Server) -> Result<(), AccountsError> {
        let (since, most) = USER_LENGTH_BEFORE;
        let short = server.flavour != Flavour::MariaDb && server.version < since;
        match &self.user {
            Some((name, _)) if short && name.chars().count() > most => {
                Err(AccountsError::UserTooLong {
                    server: server.to_string(),
                    most,
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether any is set that changes nothing in a database that has been started before.
    pub(crate) fn are_for_the_first_start(&self) -> bool {
        self.database.is_some() || self.user.is_some()
    }
}

/// An input's value and the variable it came from.
struct Found {
    variable: String,
    value: OsString,
}

impl Found {
    fn name(self, most: usize) -> Result<String, AccountsError> {
        let Self { variable, value } = self;
        let text = value.to_str().filter(|text| {
            let plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | '.');
            text.chars().count() <= most && text.chars().all(plain) && text.trim() == *text
        });
        match text {
            Some(text) => Ok(text.to_owned()),
            None => Err(AccountsError::Name { variable, most }),
        }
    }

    fn password(self) -> Result<Password, AccountsError> {
        let Self { variable, value } = self;
        Password::new(&value).map_err(|source| AccountsError::Password { variable, source })
    }
}

/// `MYSQL_<input>`, else `MARIADB_<input>`, each itself or as a file.
fn find(environment: &Environment, input: &str) -> Result<Option<Found>, AccountsError> {
    for vendor in ["MYSQL", "MARIADB"] {
        let name = format!("{vendor}_{input}");
        let plain = environment.input(&name);
        let file = environment.input(&format!("{name}_FILE"));
        match (plain, file) {
            (None, None) => {}
            (Some((value, variable)), None) => {
                let value = value.to_owned();
                return Ok(Some(Found { variable, value }));
            }
            (None, Some((path, variable))) => {
                let path = PathBuf::from(path);
                let mut bytes = match fs::read(&path) {
                    Ok(bytes) => bytes,
                    Err(source) => {
                        return Err(AccountsError::ReadFile {
                            variable,
                            path,
                            source,
                        });
                    }
                };
                // Editors and `echo` end it with a line break, of whichever system.
                while let Some(rest) = bytes.strip_suffix(b"\n") {
                    bytes = rest.strip_suffix(b"\r").unwrap_or(rest).to_vec();
                }
                let value = OsString::from_vec(bytes);
                return Ok(Some(Found { variable, value }));
            }
            (Some((_, plain)), Some((_, file))) => {
                return Err(AccountsError::Both { plain, file });
            }
        }
    }
    Ok(None)
}

/// An account cannot be made as the inputs say. No value is shown.
#[derive(Debug, Error)]
pub enum AccountsError {
    /// A password cannot be used.
    #[error("the password in {variable} cannot be used")]
    Password {
        /// The variable.
        variable: String,
        /// Why.
        source: PasswordError,
    },
    /// A name cannot be used.
    #[error(
        "the name in {variable} cannot be used: it is longer than {most} characters, or holds a control character, '/', '\\' or '.', or a blank at an end"
    )]
    Name {
        /// The variable.
        variable: String,
        /// The most characters.
        most: usize,
    },
    /// An account's name that other servers take.
    #[error(
        "the name in MYSQL_USER is longer than {most} characters, which is the most for {server}"
    )]
    UserTooLong {
        /// The server.
        server: String,
        /// The most characters.
        most: usize,
    },
    /// A value and a file with the value.
    #[error("both {plain} and {file} are set")]
    Both {
        /// The variable with the value.
        plain: String,
        /// The variable that names a file.
        file: String,
    },
    /// The file cannot be read.
    #[error("cannot read {path}, which {variable} names", path = path.display())]
    ReadFile {
        /// The variable.
        variable: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An account without a password is an open door.
    #[error("MYSQL_USER is set and MYSQL_PASSWORD is not")]
    UserWithoutPassword,
    /// Whose password it is, is not said.
    #[error("MYSQL_PASSWORD is set and MYSQL_USER is not")]
    PasswordWithoutUser,
    /// Root is there anyway.
    #[error("MYSQL_USER is 'root', whose password is MYSQL_ROOT_PASSWORD")]
    UserRoot,
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn accounts(pairs: Pairs<'_>) -> Result<AccountInputs, AccountsError> {
        AccountInputs::from_environment(&pairs.iter().copied().collect())
    }

    #[test]
    fn from_environment_values_files_and_both_vendors_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "from a file\n").unwrap();
        let path = path.to_str().unwrap();
        let root = |pairs| accounts(pairs).unwrap().root_password.unwrap();
        for (pairs, expected) in [
            (&[("MYSQL_ROOT_PASSWORD", "x y")][..], "x y"),
            (&[("MARIADB_ROOT_PASSWORD", "m")], "m"),
            (&[("SERVICE_CONFIG_MYSQL_ROOT_PASSWORD", "c")], "c"),
            (&[("MYSQL_ROOT_PASSWORD_FILE", path)], "from a file"),
            (
                &[("MYSQL_ROOT_PASSWORD", "1"), ("MARIADB_ROOT_PASSWORD", "2")],
                "1",
            ),
        ] {
            assert_eq!(root(pairs).expose(), expected);
        }
        let all = accounts(&[
            ("MYSQL_DATABASE", "shop"),
            ("MARIADB_USER", "app"),
            ("MYSQL_PASSWORD_FILE", path),
        ])
        .unwrap();
        assert_eq!(all.database.unwrap(), "shop");
        let (user, password) = all.user.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("app", "from a file"));
        assert!(accounts(&[]).unwrap().user.is_none());
    }

    #[test]
    fn from_environment_unusable_inputs_have_exact_texts() {
        let name = "cannot be used: it is longer than 64 characters, or holds a control character, \
                    '/', '\\' or '.', or a blank at an end";
        let cases: [(Pairs<'_>, String); 8] = [
            (
                &[("MYSQL_ROOT_PASSWORD", "one\ntwo")],
                "the password in MYSQL_ROOT_PASSWORD cannot be used".into(),
            ),
            (
                &[
                    ("MYSQL_PASSWORD", "x"),
                    ("SERVICE_CONFIG_MYSQL_PASSWORD_FILE", "y"),
                ],
                "both MYSQL_PASSWORD and SERVICE_CONFIG_MYSQL_PASSWORD_FILE are set".into(),
            ),
            (
                &[("MYSQL_ROOT_PASSWORD_FILE", "/nowhere/x")],
                "cannot read /nowhere/x, which MYSQL_ROOT_PASSWORD_FILE names".into(),
            ),
            (
                &[("MYSQL_DATABASE", "shop ")],
                format!("the name in MYSQL_DATABASE {name}"),
            ),
            (
                &[("MYSQL_DATABASE", "../mysql")],
                format!("the name in MYSQL_DATABASE {name}"),
            ),
            (
                &[("MYSQL_USER", "app")],
                "MYSQL_USER is set and MYSQL_PASSWORD is not".into(),
            ),
            (
                &[("MYSQL_PASSWORD", "x")],
                "MYSQL_PASSWORD is set and MYSQL_USER is not".into(),
            ),
            (
                &[("MYSQL_USER", "root"), ("MYSQL_PASSWORD", "x")],
                "MYSQL_USER is 'root', whose password is MYSQL_ROOT_PASSWORD".into(),
            ),
        ];
        for (pairs, text) in cases {
            assert_eq!(accounts(pairs).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn check_name_of_17_characters_only_newer_servers() {
        let inputs = |name| accounts(&[("MYSQL_USER", name), ("MYSQL_PASSWORD", "p")]).unwrap();
        let server = |flavour, version| Server {
            basedir: "/r".into(),
            executable: "/r/bin/mysqld".into(),
            flavour,
            version,
        };
        let mysql_5_6 = server(Flavour::MySql, Version::new(5, 6, 24));
        let error = inputs("seventeen_letters").check(&mysql_5_6).unwrap_err();
        assert!(matches!(error, AccountsError::UserTooLong { most: 16, .. }));
        inputs("sixteen_letters_").check(&mysql_5_6).unwrap();
        for newer in [
            server(Flavour::MySql, Version::new(5, 7, 8)),
            server(Flavour::MariaDb, Version::new(10, 11, 19)),
        ] {
            inputs("seventeen_letters").check(&newer).unwrap();
        }
    }
}
