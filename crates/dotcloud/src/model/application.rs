//! The record of an application: its services, their instances, and which container of an instance
//! owns the data at any moment. Pure data: `store` reads and writes it, `handover` changes owners.

mod history;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::endpoint::{ApplicationIdentity, Endpoint};
use super::memory::Memory;
use super::port::{Port, PortCheck, PortKind};
use super::runtime_choice::RuntimeChoice;
use super::variables::UserVariables;
pub(crate) use history::{Deployment, History, Outcome};

/// The form of the record; a newer one is refused, not guessed at.
pub(crate) const FORMAT: u32 = 1;

/// Public endpoints are on this machine only.
pub(crate) const PUBLIC_HOST: &str = "127.0.0.1";

/// Everything known of one application.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Application {
    pub(crate) version: u32,
    pub(crate) name: String,
    pub(crate) flavor: String,
    /// Of the last deployment that was begun.
    pub(crate) revision: Option<String>,
    /// The last one given to a container; never used twice.
    pub(crate) generation: u32,
    pub(crate) services: BTreeMap<String, Service>,
    /// Set with `env`.
    #[serde(default)]
    pub(crate) variables: UserVariables,
    /// Whose code is kept, oldest first.
    #[serde(default)]
    pub(crate) revisions: Vec<String>,
    #[serde(default)]
    pub(crate) history: History,
    /// What was built of the revisions that are kept, by revision and service.
    #[serde(default)]
    pub(crate) builds: BTreeMap<String, BTreeMap<String, Built>>,
    /// Stopped on purpose: `up` leaves it alone.
    #[serde(default)]
    pub(crate) down: bool,
    /// Of containers to come.
    #[serde(default)]
    pub(crate) runtime: RuntimeChoice,
    /// Of its services, if root chose one; never changed, because their files have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<u32>,
}

/// The result of a good build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Built {
    /// A file name in the application's snapshots.
    pub(crate) snapshot: String,
    /// A digest of the variables that its hooks saw: with others the result could be another.
    pub(crate) variables: String,
}

/// A service, for as long as it is not destroyed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) kind: String,
    /// The result of its last good build: a file name in the application's snapshots.
    pub(crate) snapshot: Option<String>,
    pub(crate) instances: BTreeMap<u32, Instance>,
    /// How many instances `scale` asked for; if it did, the build file's count is void.
    #[serde(default)]
    pub(crate) scale: Option<u32>,
    /// What `scale` reserved for each instance.
    #[serde(default)]
    pub(crate) memory: Option<Memory>,
}

/// One instance: a sequence of containers, of which one at most owns the data.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// By port name; the same until the service is destroyed.
    pub(crate) public: BTreeMap<String, Port>,
    /// Owns `~/data`, and serves if all is well.
    pub(crate) current: Option<Container>,
    pub(crate) successor: Successor,
    /// To be removed; they own nothing.
    pub(crate) retired: Vec<Container>,
}

/// What is to follow the current container. A killed deployment leaves its mark here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub(crate) enum Successor {
    /// No deployment under way.
    #[default]
    None,
    /// Nothing of the current container was touched: removing it loses nothing.
    Preparing { container: Container },
    /// `~/data` of the current container is about to be renamed, or was: looking at the current
    /// container's home tells which.
    TakingOver { container: Container },
}

/// One container, dead or alive.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Container {
    pub(crate) generation: u32,
    pub(crate) revision: String,
    /// The ports to bind, by name.
    pub(crate) ports: BTreeMap<String, Port>,
    /// What the instance has to pass to be reached at a public port, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) checks: BTreeMap<String, PortCheck>,
}

impl Application {
    /// An application without services.
    pub(crate) fn new(name: &str, flavor: &str) -> Self {
        Self {
            version: FORMAT,
            name: name.to_owned(),
            flavor: flavor.to_owned(),
            revision: None,
            generation: 0,
            services: BTreeMap::new(),
            variables: UserVariables::default(),
            revisions: Vec::new(),
            history: History::default(),
            builds: BTreeMap::new(),
            down: false,
            runtime: RuntimeChoice::default(),
            uid: None,
        }
    }

    /// Who it is, deployed by `username`.
    pub(crate) fn identity<'a>(&'a self, username: &'a str) -> ApplicationIdentity<'a> {
        ApplicationIdentity {
            name: &self.name,
            flavor: &self.flavor,
            username,
        }
    }

    /// Every instance with its name.
    pub(crate) fn instances(&self) -> impl Iterator<Item = (InstanceName, &Instance)> {
        self.services.iter().flat_map(|(service, record)| {
            record
                .instances
                .iter()
                .map(move |(&number, instance)| (InstanceName::new(service, number), instance))
        })
    }

    /// The record of `name`, if it is there.
    pub(crate) fn instance_mut(&mut self, name: &InstanceName) -> Option<&mut Instance> {
        self.services
            .get_mut(&name.service)?
            .instances
            .get_mut(&name.number)
    }

    /// The record of `name`, if it is there.
    pub(crate) fn instance(&self, name: &InstanceName) -> Option<&Instance> {
        self.services
            .get(&name.service)?
            .instances
            .get(&name.number)
    }

    /// The instances that the next deployment that works removes.
    pub(crate) fn surplus(&self) -> Vec<InstanceName> {
        self.instances()
            .map(|(name, _)| name)
            .filter(|name| self.is_surplus(name))
            .collect()
    }

    fn is_surplus(&self, name: &InstanceName) -> bool {
        self.services
            .get(&name.service)
            .is_some_and(|service| service.is_surplus(name.number))
    }

    /// Where the world reaches every port of every instance that stays.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.instances()
            .filter(|(name, _)| !self.is_surplus(name))
            .flat_map(|(name, instance)| {
                instance.public.iter().filter_map(move |(port, public)| {
                    // Nobody relays udp: the only address that is served is the instance's own.
                    let number = match public.kind {
                        PortKind::Udp => instance.coming()?.ports.get(port)?.number,
                        PortKind::Http | PortKind::Tcp => public.number,
                    };
                    Some(Endpoint {
                        service: name.service.clone(),
                        instance: name.number,
                        port: port.clone(),
                        kind: public.kind,
                        host: PUBLIC_HOST.to_owned(),
                        number,
                    })
                })
            })
            .collect()
    }
}

impl Service {
    /// Whether the instance `number` was scaled away.
    pub(crate) fn is_surplus(&self, number: u32) -> bool {
        self.scale.is_some_and(|count| number >= count)
    }
}

impl Instance {
    /// The container that serves as soon as the deployment under way is done, if one is.
    fn coming(&self) -> Option<&Container> {
        match &self.successor {
            Successor::None => self.current.as_ref(),
            Successor::Preparing { container } | Successor::TakingOver { container } => {
                Some(container)
            }
        }
    }

    /// Every container that may have processes or files.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &Container> {
        let successor = match &self.successor {
            Successor::None => None,
            Successor::Preparing { container } | Successor::TakingOver { container } => {
                Some(container)
            }
        };
        self.current
            .iter()
            .chain(successor)
            .chain(self.retired.iter())
    }
}

/// `SVC.N`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InstanceName {
    pub(crate) service: String,
    pub(crate) number: u32,
}

impl InstanceName {
    pub(crate) fn new(service: &str, number: u32) -> Self {
        Self {
            service: service.to_owned(),
            number,
        }
    }

    /// The name of its container's host: of names only, so that it is stable.
    pub(crate) fn host(&self, application: &str) -> String {
        format!("{application}-default-{}-{}", self.service, self.number)
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.number)
    }
}

/// `SVC` or `SVC.N`, as an operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) service: String,
    pub(crate) number: Option<u32>,
}

impl Selection {
    /// Whether `name` is meant.
    pub(crate) fn covers(&self, name: &InstanceName) -> bool {
        self.service == name.service && self.number.is_none_or(|number| number == name.number)
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "{}.{number}", self.service),
            None => f.write_str(&self.service),
        }
    }
}

impl FromStr for Selection {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bad = || NameError::Instance {
            text: text.to_owned(),
        };
        let (service, number) = match text.split_once('.') {
            None => (text, None),
            Some((service, digits)) => (service, Some(digits.parse().map_err(|_| bad())?)),
        };
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if service.is_empty() || service.len() > 16 || !service.chars().all(allowed) {
            return Err(bad());
        }
        Ok(Self {
            service: service.to_owned(),
            number,
        })
    }
}

/// Refuses a name that could not be a directory, a host name's part and an operand.
pub(crate) fn check_application_name(name: &str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let first = name.chars().next().is_some_and(char::is_alphanumeric);
    if first && name.len() <= 32 && name.chars().all(allowed) {
        Ok(())
    } else {
        Err(NameError::Application {
            name: name.to_owned(),
        })
    }
}

/// Something that is not a name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum NameError {
    #[error("'{name}' cannot be an application's name")]
    Application { name: String },
    #[error("'{text}' is neither SERVICE nor SERVICE.N")]
    Instance { text: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As an earlier dotcloud wrote it for an application that was pushed, scaled and pushed again.
    #[test]
    fn stored_record_is_read_and_written_as_it_was() {
        let text = include_str!("application/record.json");
        let record: Application = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string_pretty(&record).unwrap(), text);
    }

    #[test]
    fn selection_operands_are_read() {
        for (text, expected) in [
            ("db", Some(("db", None))),
            ("db.1", Some(("db", Some(1)))),
            ("22", Some(("22", None))),
            ("", None),
            ("db.", None),
            ("db.x", None),
            ("../x", None),
            ("Db", None),
            ("a2345678901234567", None),
        ] {
            let found = text.parse::<Selection>().ok();
            let expected = expected.map(|(service, number)| Selection {
                service: service.to_owned(),
                number,
            });
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn application_name_must_be_plain() {
        for good in ["mysql", "my-sql_9", "9"] {
            assert_eq!(check_application_name(good), Ok(()), "{good}");
        }
        for bad in ["", "..", "-x", "A", "a/b", "a b", &"x".repeat(33)] {
            assert!(check_application_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn name_errors_have_exact_texts() {
        assert_eq!(
            check_application_name("A").unwrap_err().to_string(),
            "'A' cannot be an application's name"
        );
        assert_eq!(
            "x.y".parse::<Selection>().unwrap_err().to_string(),
            "'x.y' is neither SERVICE nor SERVICE.N"
        );
    }
}
