//! Rows of logs, with and without holes.

use super::*;
use crate::manifest::{Logs, Method};
use crate::moment::{GtidRanges, Times};

/// A copy of logs with numbers, and the first and the last second in each.
pub(crate) fn logs(lineage: &str, logs: &[(u64, u64, u64)]) -> Manifest {
    let mut manifest = Manifest::new(String::new(), Method::Logs, 0);
    let logs = logs.iter().map(|(number, first, last)| LogEntry {
        name: format!("binlog.{number:06}"),
        times: Some(Times {
            first: first * 1_000_000,
            earliest: first * 1_000_000,
            latest: last * 1_000_000,
        }),
        gtids: GtidRanges::from([("0-1".to_owned(), vec![(*first, *last)])]),
    });
    manifest.logs = Some(Logs {
        lineage: lineage.to_owned(),
        logs: logs.collect(),
        last: None,
    });
    manifest
}

pub(crate) fn position(lineage: &str, number: u64) -> Position {
    Position {
        file: format!("/h/binlog.{number:06}"),
        position: 4,
        gtid: String::new(),
        lineage: lineage.to_owned(),
    }
}

fn found(
    copies: &[Manifest],
    position: &Position,
    moment: &str,
    allow_gap: bool,
) -> Result<(Vec<String>, Vec<String>), String> {
    let moment = Moment::parse(moment).unwrap();
    chain(copies, position, &moment, allow_gap)
        .map(|chain| {
            let names = chain.logs.into_iter();
            let names = names.map(|(index, log)| format!("{index}:{}", log.name));
            (names.collect(), chain.notes)
        })
        .map_err(|error| error.to_string())
}

#[test]
fn chain_ends_with_the_log_that_reaches_the_moment() {
    let copies = [
        logs("a", &[(3, 10, 19), (4, 20, 29)]),
        logs("b", &[(4, 1, 99)]),
        logs("a", &[(5, 30, 39)]),
        logs("a", &[(6, 40, 49)]),
    ];
    let names = |number, moment| found(&copies, &position("a", number), moment, false).unwrap();
    assert_eq!(names(4, "@25").0, ["0:binlog.000004"]);
    assert_eq!(names(4, "@30").0, ["0:binlog.000004", "2:binlog.000005"]);
    assert_eq!(names(5, "0-1-41").0, ["2:binlog.000005", "3:binlog.000006"]);
    let (all, notes) = names(5, "@1000");
    assert_eq!(all.len(), 2);
    assert_eq!(
        notes,
        ["the last change that was copied is of 1970-01-01 00:00:49 UTC: everything is replayed"]
    );
    assert_eq!(
        found(&copies, &position("a", 4), "0-1-50", false).unwrap_err(),
        "no binary log that follows on a copy has the transaction 0-1-50"
    );
    // All of the copy's own log is in a copy of a server that did not run.
    let stopped = Position {
        position: 0,
        ..position("a", 4)
    };
    let (names, _) = found(&copies, &stopped, "@35", false).unwrap();
    assert_eq!(names, ["2:binlog.000005"]);
}

#[test]
fn chain_names_both_sides_of_a_gap() {
    let copies = [logs("a", &[(3, 10, 19), (5, 30, 39)])];
    let gap = "there is a gap in the binary logs between binlog.000003 and binlog.000005";
    assert_eq!(
        found(&copies, &position("a", 3), "@35", false).unwrap_err(),
        gap
    );
    // Before it nothing is missing.
    assert!(found(&copies, &position("a", 3), "@15", false).is_ok());
    let (names, notes) = found(&copies, &position("a", 3), "@35", true).unwrap();
    assert_eq!(names, ["0:binlog.000003", "0:binlog.000005"]);
    assert_eq!(notes, [format!("{gap}: gone on all the same")]);
    let gap = "there is a gap in the binary logs between /h/binlog.000001 and binlog.000003";
    assert_eq!(
        found(&copies, &position("a", 1), "@35", false).unwrap_err(),
        gap
    );
}

#[test]
fn chain_tells_of_a_clock_that_was_set_back() {
    let copies = [logs("a", &[(3, 10, 19), (4, 12, 15)])];
    let (names, notes) = found(&copies, &position("a", 3), "@14", false).unwrap();
    assert_eq!(names, ["0:binlog.000003"]);
    assert_eq!(
        notes,
        [
            "the clock was set back: binlog.000004 has changes of 1970-01-01 00:00:12 UTC as well, which \
          are later and are not replayed; name a transaction to get those"
        ]
    );
}
