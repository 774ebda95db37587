//! The key `ports`: each port's kind, and the check that an instance has to pass to be reached there.

use std::collections::BTreeMap;

use saphyr::Marker;

use super::Keys;
use crate::build_file::tree::{self, Entry};
use crate::model::port::{PortCheck, PortKind};

const KINDS: &str = "http, tcp or udp";
const PORT: &str = "http, tcp or udp, or {type: tcp, check: {port: NAME, path: /PATH, every: 2s}}";
const CHECK: &str = "{port: NAME, path: /PATH, every: 2s}";
const EVERY: &str = "from 100ms to 60s, such as 2s or 500ms";
const PATH: &str = "what to GET, such as /primary, without blanks";
/// Between two looks at an instance, unless the check says otherwise.
const USUAL: u64 = 2000;

/// What a service offers, by port name.
#[derive(Default)]
pub(super) struct Ports {
    pub(super) kinds: BTreeMap<String, PortKind>,
    pub(super) checks: BTreeMap<String, PortCheck>,
}

/// A check as it was read, before all ports are known.
struct Found<'n> {
    /// Whose it is.
    port: &'n str,
    asked: &'n str,
    place: Marker,
    check: PortCheck,
}

impl<'n, 't> Keys<'n, 't, '_> {
    pub(super) fn ports(&mut self) -> Ports {
        let mut ports = Ports::default();
        let mut found = Vec::new();
        for entry in self.mapping("ports", "port names, each with http, tcp or udp") {
            self.check_port_name(entry, &ports);
            let Some(kind) = self.port(entry, &mut found) else {
                continue;
            };
            ports.kinds.insert(entry.key.to_owned(), kind);
        }
        for found in found {
            self.check_asked_port(&found, &ports);
            ports.checks.insert(found.port.to_owned(), found.check);
        }
        ports
    }

    fn check_port_name(&mut self, entry: Entry<'n, 't>, ports: &Ports) {
        let name = entry.key;
        if !is_port_name(name) {
            let what = format!("'{name}' is not a port name");
            let accepted = "letters, digits and underscores (it becomes PORT_<NAME>)";
            self.problems.add(entry.place, what, accepted);
        } else if ports
            .kinds
            .keys()
            .any(|other| other.eq_ignore_ascii_case(name))
        {
            let what = format!("a second port for PORT_{}", name.to_uppercase());
            let accepted = "names that differ in more than case";
            self.problems.add(entry.place, what, accepted);
        }
    }

    /// The short form, a kind, or the long one, a mapping.
    fn port(&mut self, entry: Entry<'n, 't>, found: &mut Vec<Found<'n>>) -> Option<PortKind> {
        let what = format!("port '{}'", entry.key);
        if !tree::is_mapping(entry.value) {
            return self.port_kind(entry, &what);
        }
        let entries = self.problems.entries(entry.value, &what, PORT)?;
        for other in &entries {
            if !["type", "check"].contains(&other.key) {
                let what = format!("'{}' is not a key of a port", other.key);
                self.problems.add(other.place, what, PORT);
            }
        }
        let of = |key| entries.iter().find(|entry| entry.key == key).copied();
        let Some(kind) = of("type") else {
            let what = format!("{what} has no type");
            self.problems.add(entry.place, what, PORT);
            return None;
        };
        let kind = self.port_kind(kind, "'type'")?;
        if let Some(check) = of("check") {
            if kind == PortKind::Udp {
                let what = "a udp port cannot be checked: nobody relays it";
                self.problems
                    .add(check.place, what, "a port of http or tcp");
            }
            found.extend(self.check(entry.key, check));
        }
        Some(kind)
    }

    fn port_kind(&mut self, entry: Entry<'n, 't>, what: &str) -> Option<PortKind> {
        match self.problems.scalar(entry.value, what, PORT)? {
            "http" => Some(PortKind::Http),
            "tcp" => Some(PortKind::Tcp),
            "udp" => Some(PortKind::Udp),
            other => {
                let what = format!("'{other}' is not a kind of port");
                self.problems.add(entry.value.span.start, what, KINDS);
                None
            }
        }
    }

    fn check(&mut self, port: &'n str, entry: Entry<'n, 't>) -> Option<Found<'n>> {
        let entries = self.problems.entries(entry.value, "'check'", CHECK)?;
        let (mut asked, mut path, mut milliseconds) = (None, "/", USUAL);
        for entry in entries {
            let place = entry.value.span.start;
            let what = format!("'{}'", entry.key);
            if !["port", "path", "every"].contains(&entry.key) {
                let what = format!("{what} is not a key of a check");
                self.problems.add(entry.place, what, CHECK);
                continue;
            }
            let Some(text) = self.problems.scalar(entry.value, &what, CHECK) else {
                continue;
            };
            match entry.key {
                "port" => asked = Some((text, place)),
                "path" if is_path(text) => path = text,
                "path" => {
                    let what = format!("'{text}' is not a path");
                    self.problems.add(place, what, PATH);
                }
                _ => {
                    let found = interval(text);
                    if found.is_none() {
                        let what = format!("'{text}' is not a time between two checks");
                        self.problems.add(place, what, EVERY);
                    }
                    milliseconds = found.unwrap_or(USUAL);
                }
            }
        }
        let Some((asked, place)) = asked else {
            self.problems
                .add(entry.place, "a check without its port", CHECK);
            return None;
        };
        Some(Found {
            port,
            asked,
            place,
            check: PortCheck {
                port: asked.to_owned(),
                path: path.to_owned(),
                milliseconds,
            },
        })
    }

    /// A question over HTTP can be asked where HTTP may be spoken, and not of what is in question.
    fn check_asked_port(&mut self, found: &Found<'n>, ports: &Ports) {
        let asked = found.asked;
        let what = match ports.kinds.get(asked) {
            None => format!("this service has no port '{asked}'"),
            Some(PortKind::Udp) => format!("port '{asked}' is udp, and a check is asked over HTTP"),
            Some(PortKind::Tcp) if asked == found.port => {
                format!("port '{asked}' cannot tell of itself: it is tcp")
            }
            Some(_) => return,
        };
        let accepted = "a port of the same service that answers over HTTP";
        self.problems.add(found.place, what, accepted);
    }
}

fn is_port_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(legal)
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.chars().all(|c| c.is_ascii_graphic())
}

/// In milliseconds.
fn interval(text: &str) -> Option<u64> {
    let (digits, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1),
        (None, Some(digits)) => (digits, 1000),
        (None, None) => return None,
    };
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    let found = digits
        .parse::<u64>()
        .ok()
        .filter(|_| plain)?
        .checked_mul(unit)?;
    (100..=60_000).contains(&found).then_some(found)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::build_file::{BuildFile, BuildFileError};

    fn parse(ports: &str) -> Result<BuildFile, BuildFileError> {
        let text = format!("db:\n  type: custom\n  {ports}\n");
        BuildFile::parse(Path::new("dotcloud.yml"), &text)
    }

    #[test]
    fn ports_may_follow_a_check() {
        let text = "ports: {db: {type: tcp, check: {port: agent, path: /primary, every: 500ms}}, agent: http}";
        let parsed = parse(text).unwrap();
        let db = &parsed.services["db"];
        assert_eq!(db.ports["db"], PortKind::Tcp);
        let check = PortCheck {
            port: "agent".to_owned(),
            path: "/primary".to_owned(),
            milliseconds: 500,
        };
        assert_eq!(db.checks, BTreeMap::from([("db".to_owned(), check)]));
        let usual = parse("ports: {www: {type: http, check: {port: www}}}").unwrap();
        let check = &usual.services["db"].checks["www"];
        assert_eq!((&*check.path, check.milliseconds), ("/", USUAL));
        let long = parse("ports: {db: {type: tcp}}").unwrap();
        assert!(long.services["db"].checks.is_empty());
    }

    #[test]
    fn ports_of_a_wrong_form_are_refused_at_their_place() {
        for (ports, expected) in [
            ("ports: {a: {}}", "3:11: port 'a' has no type"),
            (
                "ports: {a: {type: sctp}}",
                "3:21: 'sctp' is not a kind of port",
            ),
            (
                "ports: {a: {type: tcp, limit: 3}}",
                "3:26: 'limit' is not a key of a port",
            ),
            (
                "ports: {a: {type: tcp, check: /x}}",
                "3:33: 'check' is a single value",
            ),
            (
                "ports: {a: {type: tcp, check: {}}}",
                "3:26: a check without its port",
            ),
            (
                "ports: {a: {type: tcp, check: {port: b}}}",
                "3:40: this service has no port 'b'",
            ),
            (
                "ports: {a: {type: tcp, check: {port: a}}}",
                "3:40: port 'a' cannot tell of itself: it is tcp",
            ),
            (
                "ports: {a: {type: tcp, check: {port: b}}, b: udp}",
                "3:40: port 'b' is udp, and a check is asked over HTTP",
            ),
            (
                "ports: {a: {type: udp, check: {port: b}}, b: http}",
                "3:26: a udp port cannot be checked: nobody relays it",
            ),
            (
                "ports: {a: {type: tcp, check: {port: b, path: x}}, b: http}",
                "3:49: 'x' is not a path",
            ),
            (
                "ports: {a: {type: tcp, check: {port: b, every: 2}}, b: http}",
                "3:50: '2' is not a time between two checks",
            ),
            (
                "ports: {a: {type: tcp, check: {port: b, every: 99ms}}, b: http}",
                "3:50: '99ms' is not a time between two checks",
            ),
            (
                "ports: {a: {type: tcp, check: {port: b, from: x}}, b: http}",
                "3:43: 'from' is not a key of a check",
            ),
        ] {
            let BuildFileError::Invalid { excerpts, .. } = parse(ports).unwrap_err() else {
                panic!("{ports}");
            };
            let expected = format!("dotcloud.yml:{expected}");
            let first = excerpts.lines().next().unwrap_or_default();
            assert!(first.starts_with(&expected), "{ports}: {excerpts}");
        }
    }
}
