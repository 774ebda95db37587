//! Keep or drop: a function of the path and nothing else.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

use fast_glob::glob_match;
use thiserror::Error;

use crate::rules::{Category, Profile};

/// The user's pattern. `*` stays within a directory, `**` does not.
#[derive(Clone, Debug)]
pub(crate) struct Glob(String);

impl FromStr for Glob {
    type Err = GlobError;

    /// Refuses what could never match: paths below the top directory are relative and end
    /// without a slash.
    fn from_str(text: &str) -> Result<Self, GlobError> {
        match text.trim_end_matches('/') {
            "" => Err(GlobError::Empty),
            _ if text.starts_with('/') || text.starts_with("./") => Err(GlobError::Anchored),
            // A negation among exceptions would mean everything else.
            _ if text.starts_with('!') => Err(GlobError::Negated),
            pattern => Ok(Self(pattern.to_owned())),
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pattern that was not meant. clap shows it with the argument.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum GlobError {
    #[error("it is empty")]
    Empty,
    #[error("paths start below the tarball's top directory: 'bin/*', not '/bin/*' or './bin/*'")]
    Anchored,
    #[error("'!' is not understood: use --keep or --drop")]
    Negated,
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    Drop(Category),
}

/// A profile and the user's exceptions to it.
#[derive(Debug)]
pub(crate) struct Pruner {
    keep: Exceptions,
    drop: Exceptions,
    profile: &'static Profile,
}

impl Pruner {
    pub(crate) fn new(profile: &'static Profile, keep: &[Glob], drop: &[Glob]) -> Self {
        Self {
            keep: Exceptions::new(keep),
            drop: Exceptions::new(drop),
            profile,
        }
    }

    /// Decides about a path below the top directory: `--keep` wins over `--drop`, and both win
    /// over the profile, whose first rule that matches counts, and then its list of needs.
    pub(crate) fn decide(&mut self, path: &Path) -> Verdict {
        // Both, so that neither is reported as matching nothing.
        let (keep, drop) = (self.keep.cover(path), self.drop.cover(path));
        if keep {
            return Verdict::Keep;
        }
        if drop {
            return Verdict::Drop(Category::Asked);
        }
        self.by_profile(path)
    }

    fn by_profile(&self, path: &Path) -> Verdict {
        let Profile { drop, only } = self.profile;
        let mut rules = drop.iter().copied().flatten();
        if let Some(rule) = rules.find(|rule| covers(rule.glob, path)) {
            return Verdict::Drop(rule.category);
        }
        let path = path.as_os_str().as_bytes();
        let top = path.is_empty();
        if top || only.is_empty() || only.iter().any(|need| glob_match(need.glob, path)) {
            Verdict::Keep
        } else {
            Verdict::Drop(Category::Beyond)
        }
    }

    /// What leaves out `path`, for a message; `None` if it is kept.
    pub(crate) fn cause(&self, path: &Path) -> Option<String> {
        if self.keep.first(path).is_some() {
            return None;
        }
        if let Some(glob) = self.drop.first(path) {
            return Some(format!("--drop '{glob}'"));
        }
        match self.by_profile(path) {
            Verdict::Keep => None,
            Verdict::Drop(category) => Some(format!("the profile ({category})")),
        }
    }

    /// The user's patterns that have matched nothing so far, with their options.
    pub(crate) fn unmatched(&self) -> Vec<String> {
        let keep = self.keep.unmatched().map(|glob| format!("--keep '{glob}'"));
        let drop = self.drop.unmatched().map(|glob| format!("--drop '{glob}'"));
        keep.chain(drop).collect()
    }
}

/// The user's patterns of one option, each with whether it ever matched.
#[derive(Debug)]
struct Exceptions(Vec<(Glob, bool)>);

impl Exceptions {
    fn new(globs: &[Glob]) -> Self {
        Self(globs.iter().map(|glob| (glob.clone(), false)).collect())
    }

    fn cover(&mut self, path: &Path) -> bool {
        let mut any = false;
        for (glob, matched) in &mut self.0 {
            if covers(&glob.0, path) {
                (any, *matched) = (true, true);
            }
        }
        any
    }

    fn first(&self, path: &Path) -> Option<&Glob> {
        let mut globs = self.0.iter().map(|(glob, _)| glob);
        globs.find(|glob| covers(&glob.0, path))
    }

    fn unmatched(&self) -> impl Iterator<Item = &Glob> {
        let unmatched = self.0.iter().filter(|(_, matched)| !matched);
        unmatched.map(|(glob, _)| glob)
    }
}

/// Whether `glob` matches the path or a directory above it.
fn covers(glob: &str, path: &Path) -> bool {
    path.ancestors()
        .map(|part| part.as_os_str().as_bytes())
        .any(|part| !part.is_empty() && glob_match(glob, part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::STANDARD;

    fn pruner(keep: &[&str], drop: &[&str]) -> Pruner {
        let globs = |texts: &[&str]| -> Vec<Glob> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        Pruner::new(&STANDARD, &globs(keep), &globs(drop))
    }

    /// `--keep`, `--drop`, a path, what becomes of it, why.
    type Row<'a> = (&'a [&'a str], &'a [&'a str], &'a str, Verdict, &'a str);

    #[test]
    fn exception_of_each_shape_beats_the_profile() {
        use Verdict::{Drop, Keep};
        let asked = Drop(Category::Asked);
        let suite = Drop(Category::TestSuite);
        let rows: &[Row] = &[
            (&[], &[], "bin/mysqld", Keep, "no rule"),
            (&[], &[], "mysql-test/t/a.test", suite, "below a match"),
            (
                &["mysql-test"],
                &[],
                "mysql-test/t/a.test",
                Keep,
                "a directory's content",
            ),
            (
                &["mysql-test/t/"],
                &[],
                "mysql-test/t/a.test",
                Keep,
                "a slash at the end",
            ),
            (
                &["mysql-test/t"],
                &[],
                "mysql-test/r/a",
                suite,
                "only what was asked for",
            ),
            (
                &[],
                &["man"],
                "man/man1/mysql.1",
                asked,
                "--drop beyond the profile",
            ),
            (
                &[],
                &["man"],
                "share/man",
                Keep,
                "patterns start at the top directory",
            ),
            (
                &[],
                &["**/man"],
                "share/man",
                asked,
                "... unless they say otherwise",
            ),
            (
                &[],
                &["bin/*"],
                "bin/pxc_extra/x",
                asked,
                "a directory the star matches",
            ),
            (
                &[],
                &["*.so"],
                "lib/a.so",
                Keep,
                "a star stays within a directory",
            ),
            (
                &["lib/a.*"],
                &["lib"],
                "lib/a.so",
                Keep,
                "--keep wins over --drop",
            ),
            (
                &[],
                &["share/{czech,dutch}"],
                "share/dutch/errmsg.sys",
                asked,
                "alternatives",
            ),
        ];
        for (keep, drop, path, verdict, reason) in rows {
            let decided = pruner(keep, drop).decide(Path::new(path));
            assert_eq!(decided, *verdict, "{path}: {reason}");
        }
    }

    #[test]
    fn unmatched_exceptions_are_named() {
        let mut pruner = pruner(&["bin/nothing", "bin/*"], &["bin/mysqld", "no*"]);
        pruner.decide(Path::new("bin/mysqld"));
        assert_eq!(pruner.unmatched(), ["--keep 'bin/nothing'", "--drop 'no*'"]);
    }

    #[test]
    fn glob_not_meant_is_refused_with_exact_text() {
        let text = |glob: &str| glob.parse::<Glob>().unwrap_err().to_string();
        let anchored =
            "paths start below the tarball's top directory: 'bin/*', not '/bin/*' or './bin/*'";
        assert_eq!(text("/bin/*"), anchored);
        assert_eq!(text("./bin"), anchored);
        assert_eq!(text(""), "it is empty");
        assert_eq!(text("//"), "it is empty");
        assert_eq!(text("!bin"), "'!' is not understood: use --keep or --drop");
    }
}
