//! Running the accounts' SQL where nobody can connect, before the server is started for everybody: a
//! server that refuses a statement of its init-file stops reading it, lets everybody in and tells nobody
//! but its log. What was run is noted in the data directory, so that it is not run again.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use hook::{Inherited, hexadecimal};
use sha2::{Digest, Sha256};

use crate::accounts::{Accounts, agent_alone_sql};
use crate::command::with_path;
use crate::credentials::Password;
use crate::layout::Layout;
use crate::server::Server;
use crate::service_accounts::Secret;
use crate::temporary_server::{PrivateServer, TemporaryServerError};
use crate::write::write_private;

/// In the data directory, with which it travels: a digest of the SQL that was run on it.
const NOTE: &str = "mysql-on-dotcloud.accounts";

/// In the data directory as well, where servers write a file that is named without a path.
const DONE: &str = "mysql-on-dotcloud.done";

/// What my.cnf may have for the real server must neither stop our statements nor write them to a log,
/// nor start anything of its own; and what the server says has to be where we look for it. `loose-`: no
/// server knows them all.
const UNDISTURBED: [&str; 26] = [
    "--general-log=0",
    "--slow-query-log=0",
    "--loose-server-audit-logging=OFF",
    "--loose-audit-log-policy=NONE",
    "--loose-skip-grant-tables=0",
    "--loose-read-only=0",
    "--loose-super-read-only=0",
    "--loose-innodb-read-only=0",
    "--loose-tx-read-only=0",
    "--loose-transaction-read-only=0",
    "--loose-offline-mode=0",
    "--loose-require-secure-transport=0",
    "--loose-autocommit=1",
    "--loose-completion-type=0",
    "--loose-max-prepared-stmt-count=16382",
    "--loose-max-statement-time=0",
    "--loose-max-execution-time=0",
    "--loose-password-history=0",
    "--loose-password-reuse-interval=0",
    "--loose-event-scheduler=OFF",
    "--loose-skip-slave-start",
    "--init-connect=",
    // For the last statement of ours.
    "--secure-file-priv=",
    "--loose-log-error-services=log_filter_internal; log_sink_internal",
    "--loose-log-error-suppression-list=",
    "--loose-log-error-verbosity=2",
];

/// The accounts' SQL and the passwords in it.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    /// Root's password after it.
    pub(crate) root_password: &'a Password,
    passwords: Vec<&'a Password>,
    sql: String,
    /// What may be refused, at the end of it.
    closing: String,
    /// The same on every host, to be told from another.
    identity: String,
}

impl<'a> Opening<'a> {
    /// What `server` has to run for `accounts`.
    #[must_use]
    pub fn new(accounts: &Accounts<'a>, server: &Server) -> Self {
        let anywhere = Accounts {
            host_name: "",
            ..*accounts
        };
        let user = accounts.service.user.and_then(|(_, secret)| match secret {
            Secret::Password(password) => Some(password),
            Secret::NativeHash(_) => None,
        });
        Self {
            root_password: accounts.root_password,
            passwords: [accounts.root_password]
                .into_iter()
                .chain(user)
                .chain(accounts.agent)
                .collect(),
            sql: accounts.opening_sql(server),
            identity: anywhere.opening_sql(server) + &accounts.closing_sql(server),
            closing: accounts.closing_sql(server),
        }
    }

    /// What `server` has to run for `agent`'s account where root's password is nobody's business of ours:
    /// for an init-file only.
    #[must_use]
    pub fn of_agent(password: &'a Password, server: &Server) -> Self {
        let sql = agent_alone_sql(server, password);
        Self {
            root_password: password,
            passwords: vec![password],
            identity: sql.clone(),
            sql,
            closing: String::new(),
        }
    }

    /// For an init-file of the real server, where nothing can refuse it: see [`crate::first_unusual`].
    #[must_use]
    pub fn sql(&self) -> String {
        format!("{}{}", self.sql, self.closing)
    }

    /// Whether exactly this was run on `data_dir` before, and nobody's clone took its place since.
    #[must_use]
    pub fn is_done(&self, data_dir: &Path) -> bool {
        let path = data_dir.join(NOTE);
        let Ok(note) = fs::read_to_string(&path) else {
            return false;
        };
        let modified = |path: &Path| fs::metadata(path).and_then(|found| found.modified());
        let cloned = match (modified(&data_dir.join("#clone")), modified(&path)) {
            (Ok(clone), Ok(note)) => clone > note,
            _ => false,
        };
        let salt = note.split_once(' ').map(|(salt, _)| salt);
        !cloned && salt.is_some_and(|salt| note == self.digest(salt))
    }

    /// Runs it on `data_dir` and stops the server again. The caller holds the lock.
    pub fn run(
        &self,
        server: &Server,
        layout: &Layout,
        data_dir: &Path,
    ) -> Result<(), TemporaryServerError> {
        OpenedServer::start(server, layout, data_dir, self)?.stop()?;
        self.note(data_dir)
    }

    /// That it was run.
    pub(crate) fn note(&self, data_dir: &Path) -> Result<(), TemporaryServerError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|source| TemporaryServerError::HandOver {
            source: io::Error::other(source),
        })?;
        let note = self.digest(&hexadecimal(&salt));
        Ok(write_private(&data_dir.join(NOTE), note.as_bytes())?)
    }

    fn digest(&self, salt: &str) -> String {
        let digest = Sha256::new()
            .chain_update(salt)
            .chain_update(&self.identity)
            .finalize();
        format!("{salt} {}\n", hexadecimal(&digest))
    }

    /// What the server wrote to `log` from `begin` on about a statement that it refused.
    fn refusal(&self, log: &Path, begin: u64) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = fs::File::open(log)?;
            file.seek(SeekFrom::Start(begin))?;
            let mut text = Vec::new();
            file.read_to_end(&mut text).map(|_| text)
        };
        let text = read().unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // MySQL from 8.0 on gives it a number, the others a form of its own; other errors are noise.
        let said = |line: &&str| line.contains("[MY-000061]") || line.contains("ERROR: ");
        let mut refusal: Vec<&str> = text.lines().filter(said).collect();
        if refusal.is_empty() {
            refusal = text.lines().filter(|line| line.contains("ERROR")).collect();
        }
        self.passwords
            .iter()
            .fold(refusal.join("\n"), |text, password| {
                text.replace(password.expose(), "…")
            })
    }
}

/// A server on a private socket that has run the accounts' SQL, with its messages in the
/// initialisation's log. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct OpenedServer<'a>(PrivateServer<'a>);

impl<'a> OpenedServer<'a> {
    /// Starts `server` on `data_dir` and waits until it has run `opening` to its end.
    pub(crate) fn start(
        server: &Server,
        layout: &'a Layout,
        data_dir: &Path,
        opening: &Opening<'_>,
    ) -> Result<Self, TemporaryServerError> {
        let log = layout.initialise_log();
        let done = data_dir.join(DONE);
        let remove = || {
            durable::remove_file_if_there(&done).map_err(|source| TemporaryServerError::Prepare {
                path: done.clone(),
                source,
            })
        };
        remove()?;
        let sql = format!(
            "{}SELECT 1 INTO OUTFILE '{DONE}';\n{}",
            opening.sql, opening.closing
        );
        let sql = Inherited::new(sql.as_bytes())
            .map_err(|source| TemporaryServerError::HandOver { source })?;
        let mut arguments: Vec<OsString> = UNDISTURBED.map(OsString::from).into();
        arguments.push(with_path("--init-file=", &sql.path()));
        let begin = fs::metadata(&log).map_or(0, |found| found.len());
        let mut server = PrivateServer::start(server, layout, data_dir, log.clone(), &arguments)?;
        server.wait_for_greeting()?;
        if !done.exists() {
            let refusal = opening.refusal(&log, begin);
            return Err(TemporaryServerError::Refused { refusal });
        }
        remove()?;
        Ok(Self(server))
    }

    /// Stops it cleanly.
    pub(crate) fn stop(self) -> Result<(), TemporaryServerError> {
        self.0.stop()
    }
}
