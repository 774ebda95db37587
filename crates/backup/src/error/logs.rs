//! Advice about binary logs: copying, choosing and replaying them.

use hook::{Advice, Kind};

use super::{machine, manifest, room, service, tree};
use crate::binlog::BinaryLogError;
use crate::chain::ChainError;
use crate::logs::LogsError;
use crate::plan::PlanError;
use crate::replay::ReplayError;

const PROGRAMS: &str = "push a release with its programs ('repack' keeps them)";

pub(super) fn logs(error: &LogsError) -> Advice {
    match error {
        LogsError::NotKept => Advice::new(
            Kind::Configuration,
            "set MYSQL_PITR=1 ('dotcloud env set MYSQL_PITR=1'), then back it up",
        ),
        LogsError::NoReplayer { .. } => machine(PROGRAMS),
        LogsError::Size { .. } => Advice::new(
            Kind::Configuration,
            "set it to a number of bytes, or one with K, M or G",
        ),
        LogsError::Flush { .. } => machine("see to it that the server answers, call it again"),
        LogsError::Lineage(_) => room(),
        LogsError::Log(error) => log(error),
        LogsError::Tree(error) => tree(error),
        LogsError::Manifest(error) => manifest(error),
        LogsError::Service(error) => service(error),
    }
}

fn log(error: &BinaryLogError) -> Advice {
    match error {
        BinaryLogError::Read { .. } => room(),
        BinaryLogError::Foreign { .. } => Advice::new(
            Kind::Configuration,
            "leave binlog_encryption and encrypt_binlog out of my.cnf, push again",
        ),
        BinaryLogError::Damaged { .. } => {
            machine("bring it back to a time before that log, or use another backup")
        }
    }
}

fn chain(error: &ChainError) -> Advice {
    let next = match error {
        ChainError::NoPosition | ChainError::NoCopy { .. } => {
            "name a later time: only copies that were made with MYSQL_PITR=1 have logs that follow on \
             them; or restore a copy as it is, without --at"
        }
        ChainError::Gap { .. } => {
            "restore to a time before the gap, or from a copy after it; --allow-gap replays what there \
             is, as far as it can be"
        }
        ChainError::Unknown { .. } => {
            "look the transaction up (SHOW BINLOG EVENTS, mysqlbinlog), or name a time"
        }
        ChainError::Other { .. } => {
            "name a time before that, or one after the next backup; --allow-gap leaves those changes out"
        }
    };
    Advice::new(Kind::Configuration, next)
}

pub(super) fn plan(error: &PlanError) -> Advice {
    match error {
        PlanError::Moment(_) => Advice::new(
            Kind::Configuration,
            "say a time such as '2026-11-30 12:00:00', UUID:NUMBER or DOMAIN-SERVER-NUMBER",
        ),
        PlanError::Chain(error) => chain(error),
        PlanError::Manifest(error) => manifest(error),
        PlanError::Service(error) => service(error),
    }
}

pub(super) fn replay(error: &ReplayError) -> Advice {
    let advice = match error {
        ReplayError::NoReplayer { .. } => machine(PROGRAMS),
        ReplayError::InCopy { .. } => Advice::new(
            Kind::Configuration,
            "restore from an earlier copy: name its ID instead of 'latest'",
        ),
        ReplayError::Chain(error) => chain(error),
        ReplayError::Log(error) => log(error),
        ReplayError::Manifest(error) => manifest(error),
        ReplayError::Tree(error) => tree(error),
        ReplayError::Server(_) => machine("see what the server says in its log"),
        ReplayError::Pipe { .. } => machine("call it again"),
        ReplayError::Read { .. } | ReplayError::Load { .. } => machine(
            "restore to a time before that, or use another backup; nothing of the database was changed",
        ),
    };
    advice.detail(error.evidence())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use hook::CommandError;

    use super::*;
    use crate::dump::DumpError;
    use crate::error::Error;
    use crate::moment::Gtid;
    use crate::place::PlaceError;

    #[track_caller]
    fn say(error: impl Into<Error>, text: &str) {
        let mut out = Vec::new();
        hook::render("backup", &error.into(), &mut out);
        let said = String::from_utf8(out).unwrap();
        assert_eq!(said, format!("backup: error: {text}\n"));
    }

    #[test]
    fn errors_of_copying_logs_have_exact_texts() {
        say(
            LogsError::NotKept,
            "no binary logs are kept here: MYSQL_PITR is not 1, or was not when the server started\n  \
             next: set MYSQL_PITR=1 ('dotcloud env set MYSQL_PITR=1'), then back it up",
        );
        say(
            LogsError::NoReplayer { path: "/r".into() },
            "no bin/mysqlbinlog or bin/mariadb-binlog in /r\n  next: push a release with its programs \
             ('repack' keeps them)",
        );
        say(
            LogsError::Size {
                variable: "MYSQL_PITR_SIZE".to_owned(),
                value: "much".to_owned(),
            },
            "MYSQL_PITR_SIZE is 'much', which is no size such as 1G\n  next: set it to a number of \
             bytes, or one with K, M or G",
        );
        say(
            LogsError::Log(BinaryLogError::Foreign { path: "/b".into() }),
            "/b is no binary log, or is encrypted\n  next: leave binlog_encryption and encrypt_binlog \
             out of my.cnf, push again",
        );
    }

    #[test]
    fn errors_of_a_plan_have_exact_texts() {
        let gtid = Gtid {
            source: "0-1".to_owned(),
            number: 7,
        };
        say(
            PlanError::Chain(ChainError::Gap {
                before: "binlog.000003".to_owned(),
                after: "binlog.000005".to_owned(),
            }),
            "there is a gap in the binary logs between binlog.000003 and binlog.000005\n  next: restore \
             to a time before the gap, or from a copy after it; --allow-gap replays what there is, as \
             far as it can be",
        );
        say(
            PlanError::Chain(ChainError::Unknown { gtid }),
            "no binary log that follows on a copy has the transaction 0-1-7\n  next: look the \
             transaction up (SHOW BINLOG EVENTS, mysqlbinlog), or name a time",
        );
        say(
            PlanError::Chain(ChainError::NoCopy {
                until: "T".to_owned(),
            }),
            "no copy is from before T and says where in the binary logs it is\n  next: name a later \
             time: only copies that were made with MYSQL_PITR=1 have logs that follow on them; or \
             restore a copy as it is, without --at",
        );
        say(
            PlanError::Chain(ChainError::NoPosition),
            "the copy does not say where in the binary logs it is\n  next: name a later time: only copies \
             that were made with MYSQL_PITR=1 have logs that follow on them; or restore a copy as it is, \
             without --at",
        );
        say(
            PlanError::Chain(ChainError::Other {
                until: "T".to_owned(),
                after: "binlog.000001".to_owned(),
            }),
            "the binary logs that follow on the copy end before T: another row of logs begins with \
             binlog.000001, and no copy belongs to it\n  next: name a time before that, or one after the \
             next backup; --allow-gap leaves those changes out",
        );
    }

    #[test]
    fn errors_of_a_replay_have_exact_texts() {
        let gtid = Gtid {
            source: "0-1".to_owned(),
            number: 7,
        };
        let failed = || CommandError::Fail {
            program: "p".into(),
            status: ExitStatus::from_raw(256),
            last_words: "what it said".to_owned(),
        };
        let other = "restore to a time before that, or use another backup; nothing of the database was \
                     changed";
        let ended = "cause: p ended with status 1\n  | what it said";
        for (error, text) in [
            (
                ReplayError::NoReplayer { path: "/r".into() },
                "no bin/mysqlbinlog or bin/mariadb-binlog in /r\n  next: push a release with its \
                 programs ('repack' keeps them)"
                    .to_owned(),
            ),
            (
                ReplayError::InCopy { gtid },
                "the copy has the transaction 0-1-7 already, and what came after it\n  next: restore \
                 from an earlier copy: name its ID instead of 'latest'"
                    .to_owned(),
            ),
            (
                ReplayError::Log(BinaryLogError::Damaged {
                    path: "/b".into(),
                    position: 4,
                    problem: "it is cut short",
                }),
                "/b is damaged at 4: it is cut short\n  next: bring it back to a time before that log, \
                 or use another backup"
                    .to_owned(),
            ),
            (
                ReplayError::Pipe {
                    source: io::Error::other("x"),
                },
                "cannot connect the programs of a replay\n  cause: x\n  next: call it again".to_owned(),
            ),
            (
                ReplayError::Read { source: failed() },
                format!("the binary logs could not be read\n  {ended}\n  next: {other}"),
            ),
            (
                ReplayError::Load {
                    source: DumpError::Load { source: failed() },
                },
                format!(
                    "the changes could not be replayed\n  cause: the dump could not be loaded\n  {ended}\n  \
                     next: {other}"
                ),
            ),
        ] {
            say(PlaceError::from(error), &text);
        }
    }
}
