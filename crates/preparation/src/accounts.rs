//! The inputs that say who may log in. Each has the name of MySQL's official image, MariaDB's of the
//! same meaning, and a form ending in `_FILE` that names a file with the value.

mod error;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use hook::Environment;
use mycnf::{Flavour, Password, Secret, Server, Version};

pub use error::AccountsError;

/// Longest name of a database (manual 9.7, section 11.2.1).
const DATABASE_LENGTH: usize = 64;

/// Longest name of a file (Linux). A database is a directory, whose name has `@` and four digits for most
/// characters besides ASCII's letters and digits.
const FILE_NAME_LENGTH: usize = 255;

/// Databases that no server lets anybody make, nor give rights on.
const NOT_TO_BE_MADE: [&str; 2] = ["information_schema", "performance_schema"];

/// Longest name of an account in MySQL (manual 9.7, section 8.2.1).
const USER_LENGTH: usize = 32;

/// The same before 5.7.8 (manual 5.7, section 6.2.1).
const USER_LENGTH_BEFORE: (Version, usize) = (Version::new(5, 7, 8), 16);

/// The same in MariaDB, whose later releases have room for more.
const USER_LENGTH_MARIADB: usize = 80;

/// Longest name of a host that every server has room for.
const HOST_LENGTH: usize = 60;

/// Who may log in, as the inputs say.
#[derive(Clone, Debug, Default)]
pub struct AccountInputs {
    /// `MYSQL_ROOT_PASSWORD`: root's password, at the first start and whenever it is set.
    pub root_password: Option<Password>,
    /// `MYSQL_ROOT_HOST`: where else root may come from.
    pub root_host: Option<String>,
    /// `MYSQL_DATABASE`.
    pub database: Option<String>,
    /// `MYSQL_USER` and `MYSQL_PASSWORD`.
    pub user: Option<UserInput>,
    /// Why any of these but root's password is not there although it is set.
    problems: Vec<Arc<AccountsError>>,
}

/// An account besides root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInput {
    /// Its name.
    pub name: String,
    /// What it logs in with.
    pub secret: Secret,
    /// The variable with the name.
    variable: String,
    /// The variable with the password.
    secret_variable: String,
}

impl AccountInputs {
    /// From the environment and the files it names.
    pub(crate) fn from_environment(environment: &Environment) -> Result<Self, AccountsError> {
        let root_password = find(environment, "ROOT_PASSWORD")?
            .map(Found::password)
            .transpose()?;
        if let Some(found) = find(environment, "ROOT_PASSWORD_HASH")? {
            let variable = found.variable;
            return Err(AccountsError::RootHash { variable });
        }
        let mut problems = Vec::new();
        // A database that has been made before does not need them.
        let root_host = usable(root_host(environment), &mut problems);
        let database = usable(database(environment), &mut problems);
        let user = usable(user(environment), &mut problems);
        Ok(Self {
            root_password,
            root_host: root_host.filter(|host| host != "localhost"),
            database,
            user,
            problems,
        })
    }

    /// Without what `server` would refuse, in its own log and only after it has been initialised.
    pub(crate) fn for_server(&self, server: &Server) -> Self {
        let mut inputs = self.clone();
        if let Some(problem) = self.user.as_ref().and_then(|user| user.problem(server)) {
            inputs.user = None;
            inputs.problems.push(Arc::new(problem));
        }
        inputs
    }

    /// Refuses for a fresh database what cannot be met.
    pub(crate) fn check(&self) -> Result<(), Arc<AccountsError>> {
        self.problems
            .first()
            .map_or(Ok(()), |problem| Err(Arc::clone(problem)))
    }

    /// What an existing database goes on without.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        let without = "the database that is there goes on without it";
        self.problems
            .iter()
            .map(move |problem| format!("{problem}: {without}"))
    }
}

impl UserInput {
    fn problem(&self, server: &Server) -> Option<AccountsError> {
        let maria = server.flavour == Flavour::MariaDb;
        let (before, fewer) = USER_LENGTH_BEFORE;
        let most = match server.version {
            _ if maria => USER_LENGTH_MARIADB,
            version if version < before => fewer,
            _ => USER_LENGTH,
        };
        if self.name.chars().count() > most {
            return Some(AccountsError::UserTooLong {
                variable: self.variable.clone(),
                server: server.to_string(),
                most,
            });
        }
        // Others keep no such hash any more.
        let native = maria || server.version < Version::new(5, 7, 6);
        (matches!(self.secret, Secret::NativeHash(_)) && !native).then(|| {
            AccountsError::HashUnknown {
                variable: self.secret_variable.clone(),
                server: server.to_string(),
            }
        })
    }
}

fn database(environment: &Environment) -> Result<Option<String>, AccountsError> {
    let Some(found) = find(environment, "DATABASE")? else {
        return Ok(None);
    };
    let variable = found.variable.clone();
    let name = found.name(DATABASE_LENGTH)?;
    let reserved = |own: &&str| own.eq_ignore_ascii_case(&name);
    if NOT_TO_BE_MADE.iter().any(reserved) {
        return Err(AccountsError::DatabaseReserved { variable });
    }
    if name.chars().map(file_name_bytes).sum::<usize>() > FILE_NAME_LENGTH {
        let most = FILE_NAME_LENGTH;
        return Err(AccountsError::DatabaseFile { variable, most });
    }
    Ok(Some(name))
}

/// How many bytes the servers make of it in a file's name: letters of some alphabets have a short form.
fn file_name_bytes(c: char) -> usize {
    match c {
        '_' => 1,
        c if c.is_ascii_alphanumeric() => 1,
        '\u{c0}'..='\u{5ff}' | '\u{1e00}'..='\u{1fff}' => 3,
        _ => 5,
    }
}

fn root_host(environment: &Environment) -> Result<Option<String>, AccountsError> {
    let Some(found) = find(environment, "ROOT_HOST")? else {
        return Ok(None);
    };
    let variable = found.variable.clone();
    let host = found.name(HOST_LENGTH)?;
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '\'' | '"' | '`' | '\\' | '@' | ',');
    if host.chars().all(plain) {
        Ok(Some(host))
    } else {
        Err(AccountsError::RootHost { variable })
    }
}

fn user(environment: &Environment) -> Result<Option<UserInput>, AccountsError> {
    let secret = match (
        find(environment, "PASSWORD")?,
        find(environment, "PASSWORD_HASH")?,
    ) {
        (Some(plain), Some(hash)) => {
            let (plain, file) = (plain.variable, hash.variable);
            return Err(AccountsError::Both { plain, file });
        }
        (Some(found), None) => Some((found.variable.clone(), Secret::Password(found.password()?))),
        (None, Some(found)) => Some((found.variable.clone(), Secret::NativeHash(found.hash()?))),
        (None, None) => None,
    };
    match (find(environment, "USER")?, secret) {
        (None, None) => Ok(None),
        (Some(user), Some(_)) if user.value == "root" => Err(AccountsError::UserRoot {
            password: format!("{}_ROOT_PASSWORD", vendor(&user.variable)),
            variable: user.variable,
        }),
        (Some(found), Some((secret_variable, secret))) => Ok(Some(UserInput {
            variable: found.variable.clone(),
            name: found.name(USER_LENGTH_MARIADB)?,
            secret,
            secret_variable,
        })),
        (Some(user), None) => Err(AccountsError::UserWithoutPassword {
            password: format!("{}_PASSWORD", vendor(&user.variable)),
            user: user.variable,
        }),
        (None, Some((password, _))) => Err(AccountsError::PasswordWithoutUser {
            user: format!("{}_USER", vendor(&password)),
            password,
        }),
    }
}

/// Whose name a variable has.
fn vendor(variable: &str) -> &'static str {
    if variable.contains("MARIADB_") {
        "MARIADB"
    } else {
        "MYSQL"
    }
}

fn usable<T>(
    input: Result<Option<T>, AccountsError>,
    problems: &mut Vec<Arc<AccountsError>>,
) -> Option<T> {
    input.unwrap_or_else(|error| {
        problems.push(Arc::new(error));
        None
    })
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
            // The servers turn what is beyond three bytes of UTF-8 into '?', or refuse it.
            let plain = |c: char| !c.is_control() && c <= '\u{ffff}';
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

    /// What `PASSWORD()` gives in MariaDB.
    fn hash(self) -> Result<String, AccountsError> {
        let Self { variable, value } = self;
        let digits = |text: &&str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        value
            .to_str()
            .and_then(|text| text.strip_prefix('*'))
            .filter(digits)
            .map(|digits| format!("*{}", digits.to_ascii_uppercase()))
            .ok_or(AccountsError::Hash { variable })
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

#[cfg(test)]
mod tests;
