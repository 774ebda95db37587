//! What a client has to know of a server: as variables of a command, as lines, as JSON.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::json;

/// The database that every server has.
pub(crate) const DATABASE: &str = "test";

/// Its account.
const USER: &str = "root";

/// Where.
const HOST: &str = "127.0.0.1";

/// A server's address and account.
#[derive(Clone, Debug)]
pub(crate) struct Variables<'a> {
    pub(crate) port: u16,
    pub(crate) socket: PathBuf,
    pub(crate) password: &'a str,
    /// Its flavour and version.
    pub(crate) version: &'a str,
    /// The server's process id.
    pub(crate) pid: u32,
}

impl Variables<'_> {
    /// `mysql://root:PASSWORD@127.0.0.1:PORT/test`. A password of ours needs no escapes.
    pub(crate) fn url(&self) -> String {
        let (password, port) = (self.password, self.port);
        format!("mysql://{USER}:{password}@{HOST}:{port}/{DATABASE}")
    }

    /// Names and values, for the environment of a command.
    pub(crate) fn pairs(&self) -> [(&'static str, OsString); 7] {
        [
            ("DATABASE_URL", self.url().into()),
            ("MYSQL_HOST", HOST.into()),
            ("MYSQL_TCP_PORT", self.port.to_string().into()),
            ("MYSQL_UNIX_PORT", self.socket.clone().into()),
            ("MYSQL_USER", USER.into()),
            ("MYSQL_PWD", self.password.into()),
            ("MYSQL_DATABASE", DATABASE.into()),
        ]
    }

    /// The same as lines that a shell reads.
    pub(crate) fn lines(&self) -> String {
        self.pairs()
            .iter()
            .fold(String::new(), |mut text, (name, value)| {
                let value = value.to_string_lossy();
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
                let _ = if value.chars().all(plain) {
                    writeln!(text, "{name}={value}")
                } else {
                    writeln!(text, "{name}='{}'", value.replace('\'', "'\\''"))
                };
                text
            })
    }

    /// One line of JSON. The names are part of the interface: docs/blink.md lists them.
    pub(crate) fn json(&self) -> String {
        let line = json!({
            "url": self.url(),
            "host": HOST,
            "port": self.port,
            "socket": self.socket.to_string_lossy(),
            "user": USER,
            "password": self.password,
            "database": DATABASE,
            "server": self.version,
            "pid": self.pid,
        });
        format!("{line}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables<'static> {
        Variables {
            port: 4711,
            socket: "/tmp/it's/mysql.sock".into(),
            password: "pass-word",
            version: "MySQL 9.7.4",
            pid: 42,
        }
    }

    #[test]
    fn lines_are_for_a_shell() {
        assert_eq!(
            variables().lines(),
            "DATABASE_URL=mysql://root:pass-word@127.0.0.1:4711/test\nMYSQL_HOST=127.0.0.1\n\
             MYSQL_TCP_PORT=4711\nMYSQL_UNIX_PORT='/tmp/it'\\''s/mysql.sock'\nMYSQL_USER=root\n\
             MYSQL_PWD=pass-word\nMYSQL_DATABASE=test\n"
        );
    }

    #[test]
    fn json_is_one_line_with_all_of_it() {
        assert_eq!(
            variables().json(),
            "{\"database\":\"test\",\"host\":\"127.0.0.1\",\"password\":\"pass-word\",\"pid\":42,\
             \"port\":4711,\"server\":\"MySQL 9.7.4\",\"socket\":\"/tmp/it's/mysql.sock\",\
             \"url\":\"mysql://root:pass-word@127.0.0.1:4711/test\",\"user\":\"root\"}\n"
        );
    }
}
