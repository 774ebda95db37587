//! Root's password and the option file that gives it to the clients. Never shown: not by `Debug`,
//! not in an error.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{OptionFile, OptionFileError};

/// Letters and digits that are not mistaken for one another (no 0 O 1 I l), so that none needs
/// quoting anywhere. 57 of them: 29 make 169 bits.
const ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

const RANDOM_LENGTH: usize = 32;

/// Escaped it must fit on a line of an option file (4,094 bytes).
const MAX_LENGTH: usize = 1024;

/// Statements to run before one that holds a [`Password::sql_literal`], in the same session: my.cnf
/// may set a SQL mode in which a backslash is an ordinary character, or a character set in which a
/// backslash is the second half of one.
pub(crate) const SQL_LITERAL_PRELUDE: &str = "SET NAMES utf8mb4;\nSET SESSION sql_mode = '';\n";

/// A password. `Debug` hides it and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A fresh one of 32 characters, with what the servers' password policies ask for by default: both
    /// cases, a digit, and, every eighth character, one that is neither.
    pub fn random() -> Result<Self, PasswordError> {
        loop {
            let mut password = random_letters()?;
            for at in [7, 15, 23] {
                password.insert(at, '-');
            }
            let has = |class: fn(&char) -> bool| password.chars().any(|c| class(&c));
            if [
                char::is_ascii_lowercase,
                char::is_ascii_uppercase,
                char::is_ascii_digit,
            ]
            .into_iter()
            .all(has)
            {
                return Ok(Self(password));
            }
        }
    }

    /// One that was chosen by somebody.
    pub fn new(password: &OsStr) -> Result<Self, PasswordError> {
        let bytes = password.as_bytes();
        if bytes.is_empty() {
            return Err(PasswordError::Empty);
        }
        if bytes.len() > MAX_LENGTH {
            return Err(PasswordError::TooLong);
        }
        if bytes.iter().any(|byte| matches!(byte, 0 | b'\n')) {
            return Err(PasswordError::Character);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self(text.to_owned())),
            Err(_) => Err(PasswordError::NotUtf8),
        }
    }

    /// The password itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// It as an SQL string literal with its quotes. Valid after `SQL_LITERAL_PRELUDE`.
    #[must_use]
    pub fn sql_literal(&self) -> String {
        sql_literal(&self.0)
    }
}

/// `text` as an SQL string literal with its quotes. Valid in a session that speaks UTF-8 and has an empty
/// SQL mode.
#[must_use]
pub fn sql_literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// As many characters of [`ALPHABET`] as are not hyphens.
fn random_letters() -> Result<String, PasswordError> {
    let length = RANDOM_LENGTH - 3;
    let mut letters = String::with_capacity(RANDOM_LENGTH);
    let mut bytes = [0; 2 * RANDOM_LENGTH];
    while letters.len() < length {
        getrandom::fill(&mut bytes).map_err(|source| PasswordError::Random { source })?;
        // Six bits; those beyond the alphabet are dropped so that all are equally likely.
        let characters = bytes
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte & 0x3f)))
            .map(|byte| char::from(*byte));
        letters.extend(characters.take(length - letters.len()));
    }
    Ok(letters)
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The account the clients use unless told otherwise: the content of `mysql-credentials.cnf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The account's name.
    pub user: String,
    /// Its password.
    pub password: Password,
}

impl Credentials {
    /// Those of `root`.
    #[must_use]
    pub fn root(password: Password) -> Self {
        Self {
            user: "root".to_owned(),
            password,
        }
    }

    /// The bytes to write as `path`, for [`crate::write_private`].
    #[must_use]
    pub fn render(&self, path: &Path) -> Vec<u8> {
        self.option_file(path).render()
    }

    /// An option file for clients.
    pub(crate) fn option_file(&self, path: &Path) -> OptionFile {
        let mut file = OptionFile::empty(path);
        let (user, password) = (&self.user, self.password.expose());
        file.set(
            "client",
            "user",
            user,
            "made by mysql-on-dotcloud; ~/.my.cnf includes it",
        );
        file.set(
            "client",
            "password",
            password,
            "keep this file private (mode 0600)",
        );
        file
    }

    /// Reads back what [`Self::render`] wrote, or what was edited since.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CredentialsError> {
        let file = OptionFile::parse(path, bytes).map_err(|source| CredentialsError::Parse {
            source: hide_lines(source),
        })?;
        let read = |option| {
            file.get(&["client"], option)
                .and_then(|found| found.value)
                .ok_or(CredentialsError::Missing {
                    path: path.to_owned(),
                    option,
                })
        };
        let user = String::from_utf8_lossy(&read("user")?).into_owned();
        let password = Password::new(OsStr::from_bytes(&read("password")?)).map_err(|source| {
            CredentialsError::Password {
                path: path.to_owned(),
                source,
            }
        })?;
        Ok(Self { user, password })
    }
}

/// The offending line may be the password's.
fn hide_lines(mut error: OptionFileError) -> OptionFileError {
    for problem in &mut error.problems {
        "(line not shown: this file holds a password)".clone_into(&mut problem.text);
    }
    error
}

/// A password that cannot be one.
#[derive(Debug, Error)]
pub enum PasswordError {
    /// Nobody means it.
    #[error("the password is empty")]
    Empty,
    /// It would not fit on a line of an option file.
    #[error("the password is longer than 1024 bytes")]
    TooLong,
    /// Option files and SQL scripts end there.
    #[error("the password holds a line break or a NUL byte")]
    Character,
    /// Servers refuse or convert it.
    #[error("the password is not UTF-8")]
    NotUtf8,
    /// The kernel gave no random bytes.
    #[error("cannot get random bytes for a password")]
    Random {
        /// Why.
        source: getrandom::Error,
    },
}

/// A credentials file without usable credentials.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// It is not an option file.
    #[error("cannot use the credentials file")]
    Parse {
        /// Where, without the line itself.
        source: OptionFileError,
    },
    /// `user` or `password` is not in it.
    #[error("{path} sets no {option} in [client]")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The option.
        option: &'static str,
    },
    /// Its password cannot be one.
    #[error("{path} holds an unusable password")]
    Password {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PasswordError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(OsStr::new(text)).unwrap()
    }

    #[test]
    fn random_is_32_characters_of_every_class_and_never_the_same() {
        let (one, other) = (Password::random().unwrap(), Password::random().unwrap());
        assert_eq!(one.expose().len(), 32);
        let shape: String = one
            .expose()
            .bytes()
            .map(|byte| {
                if ALPHABET.contains(&byte) {
                    'x'
                } else {
                    byte.into()
                }
            })
            .collect();
        assert_eq!(shape, "xxxxxxx-xxxxxxx-xxxxxxx-xxxxxxxx");
        assert_ne!(one.expose(), other.expose());
        for _ in 0..1000 {
            let password = Password::random().unwrap();
            let has = |class: fn(&u8) -> bool| password.expose().bytes().any(|b| class(&b));
            assert!(has(u8::is_ascii_lowercase), "{}", password.expose());
            assert!(has(u8::is_ascii_uppercase), "{}", password.expose());
            assert!(has(u8::is_ascii_digit), "{}", password.expose());
        }
    }

    #[test]
    fn new_unusable_password_is_refused_with_exact_text() {
        for (bytes, text) in [
            (&b""[..], "the password is empty"),
            (b"a\0", "the password holds a line break or a NUL byte"),
            (b"a\n", "the password holds a line break or a NUL byte"),
            (b"\xff", "the password is not UTF-8"),
            (&[b'x'; 1025], "the password is longer than 1024 bytes"),
        ] {
            let error = Password::new(OsStr::from_bytes(bytes)).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        let source = getrandom::Error::UNSUPPORTED;
        assert_eq!(
            PasswordError::Random { source }.to_string(),
            "cannot get random bytes for a password"
        );
    }

    #[test]
    fn debug_password_is_hidden() {
        let credentials = Credentials::root(password("secret"));
        assert!(!format!("{credentials:?}").contains("secret"));
    }

    #[test]
    fn sql_literal_specials_are_doubled() {
        assert_eq!(password("plain").sql_literal(), "'plain'");
        assert_eq!(
            password("it's \\ \"q\"").sql_literal(),
            "'it''s \\\\ \"q\"'"
        );
    }

    #[test]
    fn render_credentials_read_back() {
        let path = Path::new("mysql-credentials.cnf");
        let credentials = Credentials::root(password(" a#'\"\\ "));
        let text = credentials.render(path);
        assert_eq!(
            String::from_utf8_lossy(&text),
            "[client]\n# made by mysql-on-dotcloud; ~/.my.cnf includes it\nuser = root\n\
             # keep this file private (mode 0600)\npassword = \" a#'\\\"\\\\ \"\n"
        );
        assert_eq!(Credentials::parse(path, &text).unwrap(), credentials);
    }

    #[test]
    fn parse_unusable_file_has_exact_text_and_shows_no_line() {
        let fail =
            |text: &str| Credentials::parse(Path::new("/d/c.cnf"), text.as_bytes()).unwrap_err();
        let text = |text: &str| fail(text).to_string();
        assert_eq!(
            text("[client]\npassword=x\n"),
            "/d/c.cnf sets no user in [client]"
        );
        assert_eq!(
            text("[client]\nuser=x\npassword\n"),
            "/d/c.cnf sets no password in [client]"
        );
        assert_eq!(
            text("[client]\nuser=x\npassword=\n"),
            "/d/c.cnf holds an unusable password"
        );
        let error = fail("password=secret\n");
        assert_eq!(error.to_string(), "cannot use the credentials file");
        assert!(!format!("{error:?}").contains("secret"));
        let CredentialsError::Parse { source } = error else {
            panic!("{error:?}");
        };
        assert_eq!(
            source.to_string(),
            "/d/c.cnf:1:1: option before any [group]"
        );
        assert!(!source.detail().contains("secret"));
    }
}
