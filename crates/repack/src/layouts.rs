//! The rules held against names that vendors use, release by release: the table in docs/repack.md,
//! which is the data of this test.

use std::path::Path;

use crate::minimal::MINIMAL;
use crate::prune::{Pruner, Verdict};
use crate::rules::STANDARD;

const PAGE: &str = include_str!("../../../docs/repack.md");
const HEADING: &str = "## What that means for each vendor's tarball";

/// A row of the table: names, whether `standard` and whether `minimal` keeps them.
struct Row {
    names: Vec<&'static str>,
    kept: [bool; 2],
}

fn rows() -> Vec<Row> {
    let (_, section) = PAGE.split_once(HEADING).unwrap();
    let table = section
        .lines()
        .skip_while(|line| !line.starts_with("| ---"));
    let lines = table.skip(1).take_while(|line| line.starts_with('|'));
    lines.map(row).collect()
}

fn row(line: &'static str) -> Row {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let ["", _, _, names, standard, minimal, ""] = cells[..] else {
        panic!("not five cells: {line}");
    };
    let kept = |word| match word {
        "kept" => true,
        "left out" => false,
        _ => panic!("neither kept nor left out: {line}"),
    };
    Row {
        names: names
            .split(", ")
            .map(|name| name.trim_matches('`'))
            .collect(),
        kept: [kept(standard), kept(minimal)],
    }
}

#[test]
fn profile_of_each_name_that_vendors_use_keeps_or_drops_it_as_documented() {
    let rows = rows();
    let names: usize = rows.iter().map(|row| row.names.len()).sum();
    assert!(names > 180, "{names}");
    for (index, profile) in [&STANDARD, &MINIMAL].into_iter().enumerate() {
        let mut pruner = Pruner::new(profile, &[], &[]);
        for Row { names, kept } in &rows {
            for name in names {
                let decided = pruner.decide(Path::new(name)) == Verdict::Keep;
                assert_eq!(decided, kept[index], "{name}, profile {index}");
            }
        }
    }
}

#[test]
fn profile_minimal_keeps_nothing_that_standard_leaves_out() {
    for Row { names, kept } in rows() {
        assert!(kept[0] || !kept[1], "{names:?}");
    }
}
