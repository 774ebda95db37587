//! What is not uploaded: rsync's exclude patterns, of which `.dotcloudignore` is a list.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use thiserror::Error;

use super::name_of;
use crate::host::files::{self, FileError};

const ALWAYS: [&str; 3] = ["*.pyc", ".git", ".hg"];

/// The patterns that apply to one directory; the first that matches decides.
#[derive(Debug, Default)]
pub(super) struct Ignored(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    matcher: GlobMatcher,
    /// `+ PATTERN`: uploaded, whatever later patterns say.
    includes: bool,
    /// Without a slash a pattern is about the last component only.
    whole_path: bool,
    directories_only: bool,
}

impl Ignored {
    /// The platform's own patterns, then those of `root/.dotcloudignore`.
    pub(super) fn read(root: &Path) -> Result<Self, IgnoreError> {
        let path = root.join(".dotcloudignore");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(files::failed("read", &path)(source).into()),
        };
        let lines = text.lines().enumerate().filter(|(_, line)| {
            !line.trim().is_empty() && !line.starts_with('#') && !line.starts_with(';')
        });
        let mut patterns = ALWAYS
            .iter()
            .map(|pattern| Pattern::parse(pattern))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| IgnoreError::Pattern {
                path: path.clone(),
                line: 0,
                source,
            })?;
        for (index, line) in lines {
            let pattern = Pattern::parse(line).map_err(|source| IgnoreError::Pattern {
                path: path.clone(),
                line: index + 1,
                source,
            })?;
            patterns.push(pattern);
        }
        Ok(Self(patterns))
    }

    /// Whether `path`, relative to the root, stays behind.
    pub(super) fn covers(&self, path: &Path, is_directory: bool) -> bool {
        self.0
            .iter()
            .find(|pattern| pattern.matches(path, is_directory))
            .is_some_and(|pattern| !pattern.includes)
    }
}

impl Pattern {
    fn parse(line: &str) -> Result<Self, globset::Error> {
        let (includes, text) = match (line.strip_prefix("+ "), line.strip_prefix("- ")) {
            (Some(text), _) => (true, text),
            (None, Some(text)) => (false, text),
            (None, None) => (false, line),
        };
        let directories_only = text.ends_with('/');
        let text = text.trim_end_matches('/');
        let anchored = text.starts_with('/');
        let text = text.trim_start_matches('/');
        let inner = text.contains('/');
        // An inner slash without a leading one means: at any depth.
        let glob = if inner && !anchored {
            format!("**/{text}")
        } else {
            text.to_owned()
        };
        Ok(Self {
            matcher: GlobBuilder::new(&glob)
                .literal_separator(true)
                .build()?
                .compile_matcher(),
            includes,
            whole_path: inner || anchored,
            directories_only,
        })
    }

    fn matches(&self, path: &Path, is_directory: bool) -> bool {
        let subject = if self.whole_path {
            path
        } else {
            Path::new(name_of(path))
        };
        (is_directory || !self.directories_only) && self.matcher.is_match(subject)
    }
}

/// `.dotcloudignore` cannot be used.
#[derive(Debug, Error)]
pub(crate) enum IgnoreError {
    #[error("{path}:{line} is not a pattern")]
    Pattern {
        path: PathBuf,
        line: usize,
        source: globset::Error,
    },
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_follows_rsync() {
        for (line, path, is_directory, expected, why) in [
            ("*.iso", "a/b.iso", false, true, "no slash: last component"),
            ("/b.iso", "a/b.iso", false, false, "anchored at the root"),
            (
                "/a/*.iso",
                "a/b.iso",
                false,
                true,
                "anchored, with a folder",
            ),
            ("a/b", "x/a/b", false, true, "inner slash: at any depth"),
            ("*", "a", false, true, "everything"),
            ("a*c", "a/c", false, false, "a star stops at a slash"),
            ("tmp/", "tmp", false, false, "directories only"),
            ("tmp/", "tmp", true, true, "directories only"),
            ("- x", "x", false, true, "explicit exclusion"),
            ("+ x", "x", false, false, "inclusion"),
        ] {
            let ignored = Ignored(vec![Pattern::parse(line).unwrap()]);
            assert_eq!(
                ignored.covers(Path::new(path), is_directory),
                expected,
                "{line} on {path}: {why}"
            );
        }
    }

    #[test]
    fn bad_pattern_is_named_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".dotcloudignore");
        std::fs::write(&path, "# one\n[\n").unwrap();
        assert_eq!(
            Ignored::read(directory.path()).unwrap_err().to_string(),
            format!("{}:2 is not a pattern", path.display())
        );
    }
}
