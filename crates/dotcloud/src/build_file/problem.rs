//! What is wrong with a build file, shown the way a reader finds it: place, line, caret, accepted
//! form. Refuses to show values that look like secrets.

use std::fmt::Write as _;
use std::path::Path;

use saphyr::Marker;

/// Characters of a line that are shown.
const SHOWN: usize = 160;

/// Every problem found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

#[derive(Debug)]
struct Problem {
    /// Both from 1.
    line: usize,
    column: usize,
    what: String,
    accepted: String,
}

impl Problems {
    /// `what` is wrong at `place`; `accepted` would be right.
    pub(super) fn add(
        &mut self,
        place: Marker,
        what: impl Into<String>,
        accepted: impl Into<String>,
    ) {
        self.0.push(Problem {
            line: place.line(),
            column: place.col() + 1,
            what: what.into(),
            accepted: accepted.into(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All problems in the order of their places in `text`, the content of `path`.
    pub(super) fn render(mut self, path: &Path, text: &str) -> String {
        self.0.sort_by_key(|problem| (problem.line, problem.column));
        let mut rendered = String::new();
        for problem in self.0 {
            let Problem {
                line,
                column,
                what,
                accepted,
            } = problem;
            let _ = writeln!(rendered, "{}:{line}:{column}: {what}", path.display());
            let shown = shown(text.lines().nth(line - 1).unwrap_or_default());
            if !shown.is_empty() {
                let indent = " ".repeat((column - 1).min(shown.chars().count()));
                let _ = writeln!(rendered, "    {shown}\n    {indent}^");
            }
            let _ = writeln!(rendered, "  accepted: {accepted}");
        }
        rendered
    }
}

/// The line without control characters, and without the value of a key that names a secret.
fn shown(line: &str) -> String {
    let upper = line.to_uppercase();
    let names_a_secret = ["PASS", "SECRET", "TOKEN", "KEY"]
        .iter()
        .any(|word| upper.contains(word));
    let line = match line.split_once(':') {
        Some((key, value)) if names_a_secret && !value.trim().is_empty() => &format!("{key}: ..."),
        _ => line,
    };
    // Each becomes one character, so that the caret stays below its place.
    line.trim_end()
        .chars()
        .take(SHOWN)
        .map(|c| match c {
            '\t' => '→',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_secret_values_are_left_out() {
        assert_eq!(
            shown("    MYSQL_ROOT_PASSWORD: hunter2"),
            "    MYSQL_ROOT_PASSWORD: ..."
        );
        assert_eq!(shown("  api_key: [a, b]"), "  api_key: ...");
        assert_eq!(shown("  MYSQL_PASSWORD:"), "  MYSQL_PASSWORD:");
        assert_eq!(shown("  type: custom"), "  type: custom");
    }

    #[test]
    fn shown_invisible_characters_become_visible() {
        assert_eq!(shown("\ttype:\u{7}x  "), "→type:\u{fffd}x");
    }
}
