//! Root's password and the accounts: written down once the server has accepted them, and given to it
//! where a refusal still stops everything.

use std::fs;

use hook::Report;
use mycnf::{
    AGENT, Accounts, Credentials, Layout, Opening, Password, Rendered, Server, ServiceAccounts,
    TemporaryServerError, first_unusual, server_groups, write_private,
};

use crate::accounts::AccountInputs;
use crate::judgement::Case;
use crate::prepare::{PrepareError, Purpose};
use crate::settings::Settings;

/// Root's password.
#[derive(Debug)]
pub(crate) struct RootPassword {
    /// The one that clients are to use; `None` if nobody told us.
    pub password: Option<Password>,
    /// An existing database has another, or one that we do not know: until the server has accepted this
    /// one, the credentials file keeps the old one.
    pub is_new: bool,
}

impl RootPassword {
    /// The one asked for, else the one written down before, else, for a database that is to be made, a
    /// fresh one; that is written down before anything depends on it.
    pub(crate) fn choose(
        settings: &Settings,
        layout: &Layout,
        has_database: bool,
        written: Option<Password>,
        report: &mut Report,
    ) -> Result<Self, PrepareError> {
        let path = layout.credentials();
        let wanted = settings.accounts.root_password.as_ref();
        if has_database {
            let is_new = wanted.is_some() && wanted != written.as_ref();
            if is_new {
                // Told when it is done.
            } else if written.is_some() {
                report.bullet(format!("kept root's password in {}", path.display()));
            } else {
                report.warning(format!(
                    "{} is not there: the clients need root's password from elsewhere, or set \
                     MYSQL_ROOT_PASSWORD to give it a new one; if root has none, as in the data of \
                     an earlier recipe, whoever reaches the port is root until you do",
                    path.display()
                ));
            }
            let password = wanted.cloned().or(written);
            return Ok(Self { password, is_new });
        }
        let (password, origin) = match (wanted, written) {
            (Some(wanted), _) => (wanted.clone(), WANTED),
            (None, Some(written)) => (written, "the one written there before"),
            (None, None) => (Password::random()?, "a random one"),
        };
        write(layout, &password, origin, report)?;
        Ok(Self {
            password: Some(password),
            is_new: false,
        })
    }
}

const WANTED: &str = "as MYSQL_ROOT_PASSWORD says";

fn write(
    layout: &Layout,
    password: &Password,
    origin: &str,
    report: &mut Report,
) -> Result<(), PrepareError> {
    let path = layout.credentials();
    write_private(&path, &Credentials::root(password.clone()).render(&path))?;
    report.bullet(format!(
        "wrote root's password, {origin}, to {}",
        path.display()
    ));
    Ok(())
}

/// The password of `agent`'s account, for a service that has one: the one written down, else a fresh one
/// that is written down here. (Not the socket's own word for who asks: servers know that by a name, and a
/// container's user may have none.)
pub(crate) fn agent_password(layout: &Layout) -> Result<Option<Password>, PrepareError> {
    if !layout.agent().is_file() {
        return Ok(None);
    }
    let path = layout.agent_credentials();
    let written = fs::read(&path).ok();
    let written = written.and_then(|bytes| Credentials::parse(&path, &bytes).ok());
    // A damaged one is replaced: nobody else has it, and the account gets the new one.
    if let Some(Credentials { password, .. }) = written {
        return Ok(Some(password));
    }
    let credentials = Credentials {
        user: AGENT.to_owned(),
        password: Password::random()?,
    };
    write_private(&path, &credentials.render(&path))?;
    Ok(Some(credentials.password))
}

/// The accounts' SQL for this start.
pub(crate) struct AccountsSql<'a> {
    pub opening: Opening<'a>,
    /// Root's password alone, for a database that refuses the rest.
    root_alone: Opening<'a>,
    /// Nothing can refuse it or log it: the server itself may run it, which saves a start.
    pub is_safe: bool,
}

impl<'a> AccountsSql<'a> {
    /// `None` if root's password is not known, nor is there an agent.
    pub(crate) fn new(
        settings: &'a Settings,
        (inputs, passwords): (&'a AccountInputs, (&'a RootPassword, Option<&'a Password>)),
        server: &Server,
        rendered: &Rendered,
    ) -> Option<Self> {
        let (root, agent) = passwords;
        let groups = server_groups(server.flavour, server.version);
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let has_usual_options = first_unusual(&rendered.user, &groups).is_none();
        let Some(root_password) = root.password.as_ref() else {
            let opening = Opening::of_agent(agent?, server);
            return Some(Self {
                root_alone: opening.clone(),
                opening,
                is_safe: has_usual_options,
            });
        };
        let accounts = Accounts {
            root_password,
            always: inputs.root_password.is_some(),
            host_name: &settings.host_name,
            agent,
            service: ServiceAccounts {
                database: inputs.database.as_deref(),
                user: inputs
                    .user
                    .as_ref()
                    .map(|user| (&user.name[..], &user.secret)),
                root: inputs
                    .root_host
                    .as_deref()
                    .map(|host| (host, root_password)),
            },
        };
        let is_safe = accounts.are_usual() && has_usual_options;
        let root_alone = Accounts {
            service: ServiceAccounts::default(),
            ..accounts
        };
        Some(Self {
            opening: Opening::new(&accounts, server),
            root_alone: Opening::new(&root_alone, server),
            is_safe,
        })
    }

    /// What the server that is started next has to run on the existing database; before that, what must
    /// not fail is run in private.
    pub(crate) fn on_existing(
        &self,
        root: &RootPassword,
        place: &Case<'_>,
        report: &mut Report,
    ) -> Result<Option<String>, PrepareError> {
        if place.purpose == Purpose::Later {
            if root.is_new {
                report
                    .bullet("left root's new password to starttest, which gives it to the server");
            }
            return Ok(None);
        }
        if let Some(option) = repair_option(place.rendered, place.server) {
            if root.is_new {
                report.warning(format!(
                    "root keeps its password as long as my.cnf sets {option}, which is for saving \
                     data, not for changing it"
                ));
            }
            return Ok(None);
        }
        // Written by SET PERSIST: options that no option file shows.
        let persisted = place.data_dir.join("mysqld-auto.cnf").exists();
        if self.is_safe && !persisted && !root.is_new {
            return Ok(Some(self.opening.sql()));
        }
        // Nothing is started in private for the agent alone.
        if root.password.is_none() {
            return Ok(None);
        }
        if root.is_new || !self.opening.is_done(place.data_dir) {
            self.run(place, report)?;
        }
        if let (true, Some(password)) = (root.is_new, &root.password) {
            write(place.layout, password, WANTED, report)?;
        }
        Ok(None)
    }
}

impl AccountsSql<'_> {
    /// In private. A database that is there goes on with the accounts that it has where it refuses those
    /// that are asked for besides root: a policy may have become stricter than their passwords are.
    fn run(&self, place: &Case<'_>, report: &mut Report) -> Result<(), PrepareError> {
        let Case {
            server,
            layout,
            data_dir,
            ..
        } = *place;
        match self.opening.run(server, layout, data_dir) {
            Ok(()) => report
                .bullet("gave root and the accounts their passwords before anybody can connect"),
            Err(TemporaryServerError::Refused { refusal })
                if self.opening.sql() != self.root_alone.sql() =>
            {
                let refusal = refusal.lines().next().unwrap_or_default();
                self.root_alone.run(server, layout, data_dir)?;
                report.warning(format!(
                    "the server refuses MYSQL_DATABASE, MYSQL_USER or MYSQL_ROOT_HOST as they are \
                     asked for, and the database goes on without: {refusal}"
                ));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// The option of my.cnf that makes the server leave damaged data as it is.
fn repair_option(rendered: &Rendered, server: &Server) -> Option<&'static str> {
    let option = "innodb-force-recovery";
    let groups = server_groups(server.flavour, server.version);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let value = rendered.user.get(&groups, option)?.value?;
    (value != b"0").then_some(option)
}
