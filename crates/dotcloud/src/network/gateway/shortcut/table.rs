//! The kernel's table of shortcuts, which `nft` makes and changes. The table belongs to one process of
//! `nft` that we keep: however that ends, and it ends with us, the kernel removes the table.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use thiserror::Error;

/// For a change to be in force.
const LIMIT: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(2);

/// A public port and what is to be done with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) public: u16,
    /// The user who may answer.
    pub(super) service: u32,
    /// Where new ones are led; `None`: to the relay. Those that are there go on.
    pub(super) target: Option<u16>,
}

/// What the kernel counted of a port since the table was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Packets and their bytes, with headers.
    pub(super) from_clients: (u64, u64),
    pub(super) from_instances: (u64, u64),
    /// Those that were answered.
    pub(super) connections: u64,
}

pub(super) struct Table {
    nft: PathBuf,
    name: String,
    session: Child,
    /// Of the change that is in force.
    turn: u64,
}

impl Table {
    /// An empty one.
    pub(super) fn open(nft: &Path) -> Result<Self, TableError> {
        let session = Command::new(nft)
            .arg("-i")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| TableError::Start { source })?;
        let mut table = Self {
            nft: nft.to_owned(),
            // Nobody else has one of this name while we live.
            name: format!("dotcloud_{}", std::process::id()),
            session,
            turn: 0,
        };
        table.change(&[])?;
        Ok(table)
    }

    /// From now on leads the connections of `entries`, and of nobody else: all at once.
    pub(super) fn change(&mut self, entries: &[Entry]) -> Result<(), TableError> {
        self.turn += 1;
        let text = transaction(&self.name, self.turn, entries);
        let pipe = self.session.stdin.as_mut();
        pipe.ok_or_else(|| ErrorKind::BrokenPipe.into())
            .and_then(|pipe| pipe.write_all(text.as_bytes()))
            .map_err(|source| match source.kind() {
                // It has ended, and has said why.
                ErrorKind::BrokenPipe => TableError::Refused,
                _ => TableError::Tell { source },
            })?;
        let begin = Instant::now();
        // It says nothing of what it has done.
        let done = format!("done_{}", self.turn);
        while self.ask(&["chain", "ip", &self.name, &done]).is_err() {
            if begin.elapsed() > LIMIT {
                return Err(TableError::Refused);
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// What was counted of each of `ports`.
    pub(super) fn counts(&self, ports: &[u16]) -> Result<Vec<Count>, TableError> {
        let answer = self.ask(&["counters", "table", "ip", &self.name])?;
        Ok(ports.iter().map(|&port| count_of(&answer, port)).collect())
    }

    /// The ports of the clients whose connections to `public` are at most 5 s old.
    pub(super) fn young(&self, public: u16) -> Result<BTreeSet<u16>, TableError> {
        let set = format!("young_{public}");
        Ok(elements(&self.ask(&["set", "ip", &self.name, &set])?))
    }

    fn ask(&self, what: &[&str]) -> Result<Value, TableError> {
        let output = Command::new(&self.nft)
            .args(["-j", "list"])
            .args(what)
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .map_err(|source| TableError::Start { source })?;
        if !output.status.success() {
            return Err(TableError::Refused);
        }
        serde_json::from_slice(&output.stdout).map_err(|_| TableError::Refused)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // The kernel does the rest.
        let _ = self.session.kill();
        let _ = self.session.wait();
    }
}

/// One line, which is one transaction. Nothing in it but numbers is anybody's choice.
fn transaction(table: &str, turn: u64, entries: &[Entry]) -> String {
    let mut commands = vec![
        format!("add table ip {table} {{ flags owner; }}"),
        format!(
            "add chain ip {table} leading {{ type nat hook output priority -100; policy accept; }}"
        ),
        format!(
            "add chain ip {table} passing {{ type filter hook output priority 0; policy accept; }}"
        ),
        format!("flush chain ip {table} leading"),
        format!("flush chain ip {table} passing"),
        format!("add chain ip {table} done_{turn}"),
    ];
    if turn > 1 {
        commands.push(format!("delete chain ip {table} done_{}", turn - 1));
    }
    for entry in entries {
        commands.extend(commands_of(table, *entry));
    }
    let mut line = String::new();
    for command in commands {
        let _ = write!(line, "{command}; ");
    }
    line.push('\n');
    line
}

fn commands_of(table: &str, entry: Entry) -> Vec<String> {
    let Entry {
        public, service, ..
    } = entry;
    let rule = |chain: &str, rule: &str| format!("add rule ip {table} {chain} {rule}");
    let port = format!("port_{public}");
    let answer = "tcp flags & (syn|ack) == (syn|ack)";
    let from_instance = format!("counter name out_{public}");
    let mut commands: Vec<String> = ["in", "out", "new"]
        .iter()
        .map(|counter| format!("add counter ip {table} {counter}_{public}"))
        .collect();
    commands.extend([
        format!(
            "add set ip {table} young_{public} {{ type inet_service; size 65535; \
             flags dynamic,timeout; timeout 5s; }}"
        ),
        format!("add chain ip {table} {port}"),
        format!("flush chain ip {table} {port}"),
        rule(
            &port,
            &format!("ct direction original counter name in_{public} return"),
        ),
        // An answer is the socket's that listens: of another user's the client hears nothing.
        rule(
            &port,
            &format!(
                "{answer} meta skuid {service} counter name new_{public} {from_instance} return"
            ),
        ),
        rule(&port, &format!("{answer} drop")),
        rule(&port, &from_instance),
        rule(
            "passing",
            &format!(
                "meta l4proto tcp ct status dnat ct original ip daddr 127.0.0.1 \
                 ct original proto-dst {public} jump {port}"
            ),
        ),
    ]);
    if let Some(target) = entry.target {
        let client = format!("ip daddr 127.0.0.1 tcp dport {public}");
        commands.extend([
            // A rule of its own: it ends where a set is full.
            rule(
                "leading",
                &format!("{client} add @young_{public} {{ tcp sport }}"),
            ),
            rule("leading", &format!("{client} redirect to :{target}")),
        ]);
    }
    commands
}

/// The objects of one kind in what `nft -j` prints.
fn objects<'a>(answer: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let list = answer["nftables"].as_array().into_iter().flatten();
    list.filter_map(move |object| object.get(kind))
}

fn count_of(answer: &Value, port: u16) -> Count {
    let counter = |name: &str| {
        let name = format!("{name}_{port}");
        let found = objects(answer, "counter").find(|counter| counter["name"] == *name);
        let number = |field: &str| found.and_then(|it| it[field].as_u64()).unwrap_or(0);
        (number("packets"), number("bytes"))
    };
    Count {
        from_clients: counter("in"),
        from_instances: counter("out"),
        connections: counter("new").0,
    }
}

fn elements(answer: &Value) -> BTreeSet<u16> {
    let lists = objects(answer, "set").filter_map(|set| set["elem"].as_array());
    lists
        .flatten()
        .filter_map(|element| {
            let value = element.get("elem").map_or(element, |it| &it["val"]);
            u16::try_from(value.as_u64()?).ok()
        })
        .collect()
}

/// There are no shortcuts; the relays serve.
#[derive(Debug, Error)]
pub(super) enum TableError {
    #[error("cannot start nft: {source}")]
    Start { source: io::Error },
    #[error("cannot tell nft what to do: {source}")]
    Tell { source: io::Error },
    #[error("nft or the kernel refuses it")]
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_is_one_line_of_numbers() {
        let entry = Entry {
            public: 10_000,
            service: 1000,
            target: Some(42_800),
        };
        let text = transaction("t", 2, &[entry]);
        assert_eq!(text.matches('\n').count(), 1);
        for part in [
            "add table ip t { flags owner; }; ",
            "add chain ip t done_2; delete chain ip t done_1; ",
            "add rule ip t port_10000 tcp flags & (syn|ack) == (syn|ack) meta skuid 1000 counter \
             name new_10000 counter name out_10000 return; ",
            "add rule ip t port_10000 tcp flags & (syn|ack) == (syn|ack) drop; ",
            "add rule ip t leading ip daddr 127.0.0.1 tcp dport 10000 redirect to :42800; ",
        ] {
            assert!(text.contains(part), "{text}");
        }
        // Led to the relay: those that are there are still counted, and watched.
        let target = None;
        let text = transaction("t", 3, &[Entry { target, ..entry }]);
        assert!(!text.contains("redirect"), "{text}");
        assert!(text.contains("jump port_10000"), "{text}");
    }

    #[test]
    fn answers_of_nft_are_read() {
        let answer = serde_json::json!({"nftables": [
            {"metainfo": {"version": "1.0.6"}},
            {"counter": {"name": "in_10000", "packets": 3, "bytes": 160}},
            {"counter": {"name": "new_10000", "packets": 1, "bytes": 60}},
            {"set": {"name": "young_10000", "elem": [
                {"elem": {"val": 54816, "timeout": 5, "expires": 2}}, 54818
            ]}},
        ]});
        let count = Count {
            from_clients: (3, 160),
            from_instances: (0, 0),
            connections: 1,
        };
        assert_eq!(count_of(&answer, 10_000), count);
        assert_eq!(count_of(&answer, 10_001), Count::default());
        assert_eq!(elements(&answer), BTreeSet::from([54_816, 54_818]));
    }

    #[test]
    fn table_errors_have_exact_texts() {
        let source = || io::Error::from(io::ErrorKind::NotFound);
        for (error, text) in [
            (
                TableError::Start { source: source() },
                "cannot start nft: entity not found",
            ),
            (
                TableError::Tell { source: source() },
                "cannot tell nft what to do: entity not found",
            ),
            (TableError::Refused, "nft or the kernel refuses it"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
