//! Why an account cannot be made as the inputs say.

use std::io;
use std::path::PathBuf;

use mycnf::PasswordError;
use thiserror::Error;

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
    /// No hash of a password.
    #[error("{variable} is no hash of a password: '*' and 40 hexadecimal digits")]
    Hash {
        /// The variable.
        variable: String,
    },
    /// A hash that the server has no use for.
    #[error("{variable} is set, and {server} knows no such hash")]
    HashUnknown {
        /// The variable.
        variable: String,
        /// The server.
        server: String,
    },
    /// Nobody could tell the clients root's password.
    #[error(
        "{variable} is set, and root's password has to be known: the clients and the checks use it"
    )]
    RootHash {
        /// The variable.
        variable: String,
    },
    /// A name cannot be used.
    #[error(
        "the name in {variable} cannot be used: it is longer than {most} characters, or holds a control character or one beyond U+FFFF (an emoji), or a blank at an end"
    )]
    Name {
        /// The variable.
        variable: String,
        /// The most characters.
        most: usize,
    },
    /// The server's own.
    #[error("the name in {variable} is that of a database that no server lets anybody make")]
    DatabaseReserved {
        /// The variable.
        variable: String,
    },
    /// Its directory could not be made.
    #[error("the name in {variable} makes the name of a directory of more than {most} bytes")]
    DatabaseFile {
        /// The variable.
        variable: String,
        /// The most bytes.
        most: usize,
    },
    /// No name, address or pattern of hosts.
    #[error("{variable} is no host name, address, or pattern of these such as '%' or '10.%'")]
    RootHost {
        /// The variable.
        variable: String,
    },
    /// An account's name that other servers take.
    #[error(
        "the name in {variable} is longer than {most} characters, which is the most for {server}"
    )]
    UserTooLong {
        /// The variable.
        variable: String,
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
    #[error("{user} is set and {password} is not")]
    UserWithoutPassword {
        /// The variable with the name.
        user: String,
        /// The one with the password.
        password: String,
    },
    /// Whose password it is, is not said.
    #[error("{password} is set and {user} is not")]
    PasswordWithoutUser {
        /// The variable with the name.
        user: String,
        /// The one with the password.
        password: String,
    },
    /// Root is there anyway.
    #[error("{variable} is 'root', whose password is {password}")]
    UserRoot {
        /// The variable.
        variable: String,
        /// The variable with root's password.
        password: String,
    },
}
