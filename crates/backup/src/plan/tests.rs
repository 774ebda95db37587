//! Which copy a moment takes.

use super::*;
use crate::chain::tests::{logs, position};
use crate::manifest::Method;

fn copy(taken: u64, position: Option<Position>) -> Manifest {
    let mut manifest = Manifest::new(String::new(), Method::MariadbBackup, taken);
    manifest.position = position;
    manifest
}

fn request(until: &str) -> Request {
    Request {
        until: until.to_owned(),
        allow_gap: false,
        copies: vec![
            copy(10, Some(position("a", 3))),
            copy(30, Some(position("a", 5))),
            copy(35, None),
        ],
        logs: vec![
            logs("a", &[(3, 10, 19)]),
            logs("a", &[(4, 20, 29), (5, 30, 39)]),
            logs("a", &[(6, 40, 49)]),
            logs("b", &[(1, 60, 69)]),
        ],
    }
}

fn plan_of(until: &str) -> Result<(usize, Vec<usize>), String> {
    match answer(&request(until)) {
        Ok((plan, _)) => Ok((plan.copy, plan.logs)),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn plan_takes_the_newest_copy_before_the_moment() {
    assert_eq!(plan_of("@15"), Ok((0, vec![0])));
    // The second one is done with its second.
    assert_eq!(plan_of("@30.5"), Ok((0, vec![0, 1])));
    assert_eq!(plan_of("@45"), Ok((1, vec![1, 2])));
    assert_eq!(plan_of("0-1-45"), Ok((1, vec![1, 2])));
    assert_eq!(plan_of("0-1-25"), Ok((0, vec![0, 1])));
}

#[test]
fn plan_that_cannot_be_has_exact_text() {
    let until = "1970-01-01 00:00:05 UTC";
    assert_eq!(
        plan_of("@5").unwrap_err(),
        format!("no copy is from before {until} and says where in the binary logs it is")
    );
    assert_eq!(
        plan_of("@65").unwrap_err(),
        "the binary logs that follow on the copy end before 1970-01-01 00:01:05 UTC: another row of \
         logs begins with binlog.000001, and no copy belongs to it"
    );
    assert_eq!(plan_of("@55"), Ok((1, vec![1, 2])));
    assert_eq!(
        plan_of("0-1-99").unwrap_err(),
        "no binary log that follows on a copy has the transaction 0-1-99"
    );
}
