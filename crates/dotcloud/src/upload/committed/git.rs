//! A git repository.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::CommandError;

use super::{Repository, ask};

/// What `ls-tree` calls a submodule.
const SUBMODULE: &[u8] = b"160000 ";

/// A directory of a repository.
pub(super) struct Git {
    source: PathBuf,
    top: PathBuf,
    /// From the top to the directory, with a slash at its end; empty at the top.
    prefix: OsString,
}

impl Git {
    pub(super) fn open(source: &Path) -> Result<Self, CommandError> {
        let git = |word: &str| ask(at(source).args(["rev-parse", word]));
        Ok(Self {
            top: git("--show-toplevel")?.into(),
            prefix: git("--show-prefix")?,
            source: source.to_owned(),
        })
    }

    /// The directory as it is in `commit`.
    fn tree(&self, commit: &str) -> OsString {
        let mut tree = OsString::from(commit);
        tree.push(":");
        tree.push(&self.prefix);
        tree
    }
}

impl Repository for Git {
    fn top(&self) -> &Path {
        &self.top
    }

    fn find(&self, revision: Option<&str>) -> Result<Option<String>, CommandError> {
        let wanted = format!("{}^{{commit}}", revision.unwrap_or("HEAD"));
        let mut git = at(&self.source);
        git.args(["rev-parse", "--verify", "--quiet", "--end-of-options"]);
        match ask(git.arg(wanted)) {
            Ok(commit) => Ok(Some(commit.to_string_lossy().into_owned())),
            Err(CommandError::Fail { last_words, .. }) if last_words.is_empty() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn short(&self, commit: &str) -> Result<String, CommandError> {
        let short = ask(at(&self.source).args(["rev-parse", "--short", commit]))?;
        Ok(short.to_string_lossy().into_owned())
    }

    fn status(&self) -> Result<OsString, CommandError> {
        ask(at(&self.source).args(["--no-optional-locks", "status", "--porcelain", "--", "."]))
    }

    fn nested(&self, commit: &str) -> Result<Vec<PathBuf>, CommandError> {
        let listed = ask(at(&self.top)
            .args(["ls-tree", "-r", "-z"])
            .arg(self.tree(commit)))?;
        let lines = listed.as_bytes().split(|&byte| byte == 0);
        Ok(lines
            .filter(|line| line.starts_with(SUBMODULE))
            .filter_map(|line| line.split(|&byte| byte == b'\t').nth(1))
            .map(|path| OsString::from_vec(path.to_vec()).into())
            .collect())
    }

    fn check_out(&self, commit: &str, target: &Path) -> Result<PathBuf, CommandError> {
        let tree = target.join("tree");
        let mut into = OsString::from("--prefix=");
        into.push(tree.join(""));
        // At the top: from below it git would check out what lies below only.
        let indexed = || {
            let mut git = at(&self.top);
            git.env("GIT_INDEX_FILE", target.join("index"));
            git
        };
        ask(indexed().arg("read-tree").arg(self.tree(commit)))?;
        ask(indexed().args(["checkout-index", "--all"]).arg(into))?;
        Ok(tree)
    }
}

fn at(directory: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory);
    git
}
