//! What a relay is told: which instances serve, and whether clients are to wait for one. One small
//! file of each public port, which only `dotcloud` writes and the relay only reads.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where new connections go. Empty: nobody serves, and they are closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Route {
    /// Tells this route from the one before: the relay repeats it as soon as it obeys.
    #[serde(default)]
    pub(crate) token: u64,
    /// In the order in which they are tried.
    #[serde(default)]
    pub(crate) targets: Vec<Target>,
    #[serde(default)]
    pub(crate) hold: Option<Hold>,
    /// Where root may have the kernel lead clients past the relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shortcut: Option<Shortcut>,
}

/// From a public port to the one target of its route, while both listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shortcut {
    pub(crate) public: u16,
    /// Of the relay that holds the public port.
    pub(crate) relay: u32,
    /// Of the instance. Nobody else answers a client, whoever listens in its stead.
    pub(crate) service: u32,
}

/// One instance that may serve.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// It serves only while this passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) check: Option<Check>,
}

/// A question over HTTP that is to be answered with a 2xx status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) milliseconds: u64,
}

/// Clients that nobody serves wait instead of being closed: an instance is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// How long each waits at most, in seconds.
    pub(crate) limit: u64,
    /// Nobody waits after this, in seconds since 1970: whoever was to end this may have been killed.
    pub(crate) until: u64,
}

impl Hold {
    /// From now on, for clients that wait `limit` at most.
    pub(crate) fn new(limit: Duration, lasts: Duration) -> Self {
        Self {
            limit: limit.as_secs(),
            until: now().saturating_add(lasts.as_secs()),
        }
    }

    /// How long a client that comes now may wait.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs(self.until.saturating_sub(now()).min(self.limit))
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

impl Route {
    /// What the file says; without one nobody serves.
    pub(crate) fn read(path: &Path) -> Result<Self, RouteError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(RouteError::Read { source }),
        };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(Self::default());
        }
        // As earlier versions wrote it.
        if let Ok(address) = trimmed.parse() {
            let target = Target {
                address,
                check: None,
            };
            return Ok(Self {
                targets: vec![target],
                ..Self::default()
            });
        }
        serde_json::from_str(trimmed).map_err(|_| RouteError::Malformed { text })
    }

    pub(super) fn leads_to(&self, address: SocketAddr) -> bool {
        self.targets.iter().any(|target| target.address == address)
    }
}

/// A route cannot be followed; the one before stays.
#[derive(Debug, Error)]
pub(crate) enum RouteError {
    #[error("cannot read the route: {source}")]
    Read { source: io::Error },
    #[error("the route is {text:?}, which is none")]
    Malformed { text: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<Route, RouteError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("route");
        fs::write(&path, text).unwrap();
        Route::read(&path)
    }

    #[test]
    fn route_is_read_as_it_was_written() {
        let address = SocketAddr::from(([127, 0, 0, 1], 42_800));
        let route = Route {
            token: 7,
            targets: vec![Target {
                address,
                check: Some(Check {
                    address: SocketAddr::from(([127, 0, 0, 1], 42_801)),
                    path: "/primary".to_owned(),
                    milliseconds: 2000,
                }),
            }],
            hold: Some(Hold {
                limit: 60,
                until: 100,
            }),
            shortcut: Some(Shortcut {
                public: 10_000,
                relay: 61_100,
                service: 1000,
            }),
        };
        let text = serde_json::to_string(&route).unwrap();
        assert_eq!(written(&text).unwrap(), route);
        assert!(route.leads_to(address));
        let old = written("127.0.0.1:42800\n").unwrap();
        assert!(old.leads_to(address) && old.hold.is_none());
        for nobody in ["", "\n", "{}"] {
            assert_eq!(written(nobody).unwrap(), Route::default(), "{nobody:?}");
        }
        let absent = Route::read(Path::new("/nowhere/route")).unwrap();
        assert_eq!(absent, Route::default());
    }

    #[test]
    fn patience_ends_with_the_hold() {
        let minute = Duration::from_mins(1);
        let new = Hold::new(minute, minute * 2);
        assert_eq!(new.patience(), minute);
        let nearly_over = Hold::new(minute, Duration::from_secs(5));
        assert!(nearly_over.patience() <= Duration::from_secs(5));
        let over = Hold {
            limit: 60,
            until: 1,
        };
        assert_eq!(over.patience(), Duration::ZERO);
    }

    #[test]
    fn route_errors_have_exact_texts() {
        assert_eq!(
            written("nonsense\n").unwrap_err().to_string(),
            "the route is \"nonsense\\n\", which is none"
        );
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(
            RouteError::Read { source }.to_string(),
            "cannot read the route: permission denied"
        );
    }
}
