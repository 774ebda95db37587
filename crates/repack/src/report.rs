//! `--report`: one page that shows what became of the bytes, by category and directory, before and
//! after, to the same scale. Needs nothing but itself and runs no script; what the tarball's names say
//! is text in it, whatever they say. The same run gives the same page.

mod page;
mod treemap;

use std::os::unix::ffi::OsStrExt;

use crate::entry::shown;
use crate::summary::{Count, Summary, directory_of};

pub(crate) use self::page::{is_ours, page};

/// Kept files and directories below this share of the result are shown together.
const SMALLEST: f64 = 0.02;

/// What a tile and a row of the table stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Kept,
    Symbols,
    LeftOut,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    fate: Fate,
    name: String,
    count: Count,
}

/// Everything that came, by what became of it: each fate's largest first.
fn items(summary: &Summary) -> Vec<Item> {
    let tally = &summary.tally;
    let mut items = kept(summary);
    if tally.stripped.files > 0 {
        items.push(Item {
            fate: Fate::Symbols,
            name: "symbols, debug info".into(),
            count: tally.stripped,
        });
    }
    let left_out = tally.dropped.iter().map(|(category, count)| Item {
        fate: Fate::LeftOut,
        name: category.to_string(),
        count: *count,
    });
    items.extend(left_out);
    // Stable: equals stay in their order.
    items.sort_by(|a, b| (a.fate, b.count.bytes).cmp(&(b.fate, a.count.bytes)));
    items
}

/// The kept files: the largest by name, the others by directory.
fn kept(summary: &Summary) -> Vec<Item> {
    let tally = &summary.tally;
    #[expect(clippy::cast_precision_loss, reason = "a threshold")]
    let small = |bytes: u64| (bytes as f64) < tally.kept.bytes as f64 * SMALLEST;
    let item = |name: String, count| Item {
        fate: Fate::Kept,
        name,
        count,
    };
    let mut directories = tally.kept_in.clone();
    let mut items = Vec::new();
    for (bytes, path) in tally.largest.iter().filter(|(bytes, _)| !small(*bytes)) {
        let count = Count {
            files: 1,
            bytes: *bytes,
        };
        if let Some(rest) = directories.get_mut(&directory_of(path)) {
            rest.files -= 1;
            rest.bytes -= bytes;
        }
        items.push(item(shown(path.as_os_str().as_bytes()), count));
    }
    let mut others = Count::default();
    for (directory, count) in directories {
        if small(count.bytes) {
            others.add(count);
        } else {
            let directory = shown(directory.as_os_str().as_bytes());
            items.push(item(format!("{directory}/*"), count));
        }
    }
    if others.files > 0 {
        items.push(item("other files".into(), others));
    }
    items
}
