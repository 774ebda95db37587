//! Looking at the server: an own connection that is kept for a while, so that what is asked often costs
//! little, and made anew from time to time, because a server may answer those that are in and let nobody
//! else in.

use std::time::{Duration, Instant};

use crate::client::{ClientError, Connection, Rows};
use crate::place::Place;
use crate::verdict::{CROWDED, Seen};

/// For how long a connection is kept.
const KEPT: Duration = Duration::from_secs(10);

/// What looks at the server.
#[derive(Debug)]
pub(crate) struct Eye {
    pub(crate) place: Place,
    /// How long one step may take.
    patience: Duration,
    open: Option<(Connection, Instant, Seen)>,
}

impl Eye {
    pub(crate) fn new(place: Place, patience: Duration) -> Self {
        Self {
            place,
            patience,
            open: None,
        }
    }

    /// One look.
    pub(crate) fn look(&mut self) -> Seen {
        let is_old = |(_, since, _): &(Connection, Instant, Seen)| since.elapsed() > KEPT;
        if self.open.as_ref().is_none_or(is_old) {
            match self.enter() {
                Ok(seen) => return seen,
                // With the old one we still see.
                Err(ClientError::Refused { code: CROWDED, .. }) if self.open.is_some() => {}
                Err(error) => return self.failed(error),
            }
        }
        let Some((connection, _, seen)) = &mut self.open else {
            return Seen::Nothing;
        };
        let seen = seen.clone();
        match connection.query("SELECT 1") {
            Ok(_) => seen,
            Err(error) => self.failed(error),
        }
    }

    /// What a statement gives, through the connection of the last look.
    pub(crate) fn ask(&mut self, sql: &str) -> Option<Rows> {
        let (connection, _, _) = self.open.as_mut()?;
        match connection.query(sql) {
            Ok(rows) => Some(rows),
            Err(ClientError::Refused { .. }) => None,
            Err(_) => {
                self.open = None;
                None
            }
        }
    }

    /// A new connection in the place of the old one.
    fn enter(&mut self) -> Result<Seen, ClientError> {
        let credentials = self.place.credentials();
        let socket = self.place.layout.socket();
        let mut connection = Connection::open(&socket, credentials.as_ref(), self.patience)?;
        let rows = connection.query("SELECT @@GLOBAL.port, @@GLOBAL.skip_networking")?;
        let value = |column: usize| rows.first().and_then(|row| row.get(column));
        let port = value(0).and_then(|text| text.parse().ok());
        let seen = match port {
            Some(port) if value(1).is_some_and(|off| off == "0") => {
                // By the kernel's tables: a connection that says nothing would be an aborted one in the
                // server's books, and a hundred of them make it refuse the host.
                if hook::is_listened_on(port).unwrap_or(false) {
                    Seen::Serves(Some(port))
                } else {
                    Seen::NoPort(port)
                }
            }
            _ => Seen::Serves(None),
        };
        if let Some((old, _, _)) = self.open.take() {
            old.close();
        }
        self.open = Some((connection, Instant::now(), seen.clone()));
        Ok(seen)
    }

    fn failed(&mut self, error: ClientError) -> Seen {
        self.open = None;
        match error {
            ClientError::NotListening => Seen::Closed(self.place.phase()),
            ClientError::Silent => Seen::Silent(self.place.phase()),
            ClientError::Refused { code: CROWDED, .. } => Seen::Crowded,
            error @ (ClientError::NoCredentials
            | ClientError::Refused { .. }
            | ClientError::Nonsense
            | ClientError::Socket { .. }) => Seen::Refuses(one_line(&error.to_string())),
        }
    }
}

impl Drop for Eye {
    fn drop(&mut self) {
        if let Some((connection, _, _)) = self.open.take() {
            connection.close();
        }
    }
}

/// Of the server, which may be anything by now.
fn one_line(text: &str) -> String {
    hook::Foreign::new(text).to_string()
}
