//! What was done, counted by category: as a table for people, as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hook::escape_controls;
use serde::Serialize;

use crate::check::Unknown;
use crate::output::Target;
use crate::prune::Verdict;
use crate::rules::Category;
use crate::strip::StripError;

/// Files and links, and the bytes in them before compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl Count {
    pub(crate) fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// How many of the largest files are remembered.
const LARGEST: usize = 24;

/// Where [`Tally::kept_in`] counts a file.
pub(crate) fn directory_of(path: &Path) -> PathBuf {
    let directories = path.parent().into_iter().flat_map(Path::iter);
    directories.take(2).collect()
}

/// Counts of one pass. Directories do not count.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kept: Count,
    /// The same by directory, the first two levels of them.
    pub(crate) kept_in: BTreeMap<PathBuf, Count>,
    /// The largest kept files, largest first.
    pub(crate) largest: Vec<(u64, PathBuf)>,
    pub(crate) dropped: BTreeMap<Category, Count>,
    /// Symbolic links left out because their target is, with that target.
    pub(crate) dead_links: Vec<(PathBuf, PathBuf)>,
    /// Files stripped, and the bytes that saved.
    pub(crate) stripped: Count,
    /// ELF files that could not be stripped.
    pub(crate) untouched: Vec<(PathBuf, StripError)>,
    /// Libraries that only the system can have.
    pub(crate) unknown: Vec<Unknown>,
    /// The machine that the server is for, if it is not this one.
    pub(crate) other_machine: Option<&'static str>,
}

impl Tally {
    pub(crate) fn count(&mut self, verdict: Verdict, bytes: u64) {
        match verdict {
            Verdict::Keep => &mut self.kept,
            Verdict::Drop(category) => self.dropped.entry(category).or_default(),
        }
        .add(Count { files: 1, bytes });
    }

    /// Counts a kept file or link.
    pub(crate) fn keep(&mut self, path: &Path, bytes: u64) {
        self.count(Verdict::Keep, bytes);
        let kept = self.kept_in.entry(directory_of(path)).or_default();
        kept.add(Count { files: 1, bytes });
        let place = self.largest.partition_point(|(larger, _)| *larger >= bytes);
        if place < LARGEST {
            self.largest.insert(place, (bytes, path.into()));
            self.largest.truncate(LARGEST);
        }
    }

    /// All that is left out.
    pub(crate) fn left_out(&self) -> Count {
        let mut left_out = Count::default();
        self.dropped.values().for_each(|count| left_out.add(*count));
        left_out
    }

    /// Counts a kept executable.
    pub(crate) fn count_stripped(&mut self, path: &Path, before: u64, after: u64) {
        self.keep(path, after);
        if after < before {
            self.stripped.add(Count {
                files: 1,
                bytes: before - after,
            });
        }
    }
}

/// The result of a job.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) input: PathBuf,
    /// The tarball that was picked in the input.
    pub(crate) chosen: Option<String>,
    pub(crate) output: Option<Target>,
    pub(crate) input_size: u64,
    pub(crate) output_size: Option<u64>,
    pub(crate) tally: Tally,
    /// Options of the user's that had no effect.
    pub(crate) unmatched: Vec<String>,
    pub(crate) elapsed: Duration,
}

impl Summary {
    /// What the reader may not have expected, fit for a terminal whatever the names are.
    pub(crate) fn notes(&self) -> String {
        let mut notes = Vec::new();
        if let Some(chosen) = &self.chosen {
            let input = file_name(&self.input);
            notes.push(format!("took {chosen} out of {input}"));
        }
        if let Some(machine) = self.tally.other_machine {
            let here = std::env::consts::ARCH;
            notes.push(format!(
                "warning: the server is for {machine}, and this machine is {here}"
            ));
        }
        for option in &self.unmatched {
            notes.push(format!("warning: {option} matches nothing in the tarball"));
        }
        for (link, target) in &self.tally.dead_links {
            let (link, target) = (link.display(), target.display());
            notes.push(format!("left out the link {link}: {target} is left out"));
        }
        for Unknown { library, by } in &self.tally.unknown {
            let by = by.display();
            notes.push(format!("{by} needs {library}, which is not in the tarball"));
        }
        for (path, reason) in &self.tally.untouched {
            let path = path.display();
            notes.push(format!("not stripped: {path} {reason}"));
        }
        if let Some(note) = self.not_smaller() {
            notes.push(format!("warning: {note}"));
        }
        let line = |note: String| format!("- {}\n", escape_controls(&note, &[]));
        notes.into_iter().map(line).collect()
    }

    /// What to do with a result that took more room than its input.
    fn not_smaller(&self) -> Option<String> {
        let (output, size) = (self.output.as_ref()?, self.output_size?);
        if size < self.input_size {
            return None;
        }
        let (output, input) = (file_name(output.path()), file_name(&self.input));
        let changed = self.tally.left_out().files > 0 || self.tally.stripped.files > 0;
        Some(if changed || self.chosen.is_some() {
            format!(
                "{output} is no smaller than {input}, which is compressed harder: a higher --level, or \
                 --format xz, makes it smaller"
            )
        } else {
            format!(
                "{output} is not worth having: it is no smaller than {input}, of which nothing was left \
                 out; push {input} itself"
            )
        })
    }

    pub(crate) fn table(&self) -> String {
        let mut text = format!("{:<20}{:>10}{:>12}\n", "left out", "files", "size");
        let mut row = |name: &dyn std::fmt::Display, count: Count| {
            let (files, size) = (grouped(count.files), decimal(count.bytes));
            let _ = writeln!(text, "{name:<20}{files:>10}{size:>12}");
        };
        for (category, count) in &self.tally.dropped {
            row(&format_args!("  {category:<18}"), *count);
        }
        row(&"  together", self.tally.left_out());
        if self.tally.stripped.files > 0 {
            row(&"symbols, debug info", self.tally.stripped);
        }
        row(&"kept", self.tally.kept);
        let input = file_name(&self.input);
        let before = decimal(self.input_size);
        let seconds = self.elapsed.as_secs_f64();
        let _ = match (&self.output, self.output_size) {
            (Some(output), Some(size)) => writeln!(
                text,
                "{input} {before} -> {output} {after} ({percent:.1} %) in {seconds:.1} s",
                output = file_name(output.path()),
                after = decimal(size),
                percent = percent(size, self.input_size),
            ),
            _ => writeln!(
                text,
                "{input} {before}, read in {seconds:.1} s; nothing was written"
            ),
        };
        escape_controls(&text, &['\n'])
    }

    pub(crate) fn json(&self) -> String {
        let report = Json {
            input: self.input.to_string_lossy().into(),
            input_bytes: self.input_size,
            output: self
                .output
                .as_ref()
                .map(|target| target.path().to_string_lossy().into()),
            output_bytes: self.output_size,
            kept: self.tally.kept,
            stripped: self.tally.stripped,
            dropped: self
                .tally
                .dropped
                .iter()
                .map(|(category, count)| (category.to_string(), *count))
                .collect(),
            dead_links: self
                .tally
                .dead_links
                .iter()
                .map(|(link, _)| link.to_string_lossy().into())
                .collect(),
            seconds: self.elapsed.as_secs_f64(),
        };
        // Strings and numbers only: it cannot fail.
        serde_json::to_string(&report).unwrap_or_default()
    }
}

/// Names are part of the interface: docs/repack.md lists them.
#[derive(Serialize)]
struct Json {
    input: String,
    input_bytes: u64,
    output: Option<String>,
    output_bytes: Option<u64>,
    kept: Count,
    stripped: Count,
    dropped: BTreeMap<String, Count>,
    dead_links: Vec<String>,
    seconds: f64,
}

pub(crate) fn file_name(path: &Path) -> std::path::Display<'_> {
    path.file_name().map_or(path, Path::new).display()
}

/// Bytes in the units that vendors and `ls --si` use.
pub(crate) fn decimal(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

pub(crate) fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[expect(clippy::cast_precision_loss, reason = "for people, one decimal")]
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}
