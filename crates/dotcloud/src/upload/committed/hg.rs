//! A Mercurial repository.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::CommandError;

use super::{Repository, ask};

/// A directory of a repository.
pub(super) struct Hg {
    source: PathBuf,
    top: PathBuf,
}

impl Hg {
    pub(super) fn open(source: &Path) -> Result<Self, CommandError> {
        Ok(Self {
            top: ask(at(source).arg("root"))?.into(),
            source: source.to_owned(),
        })
    }

    /// From the top to the directory; empty at the top.
    fn prefix(&self) -> PathBuf {
        // hg resolves links, too.
        let source = self.source.canonicalize().unwrap_or_default();
        let prefix = source.strip_prefix(&self.top);
        prefix.unwrap_or(Path::new("")).to_owned()
    }
}

impl Repository for Hg {
    fn top(&self) -> &Path {
        &self.top
    }

    fn find(&self, revision: Option<&str>) -> Result<Option<String>, CommandError> {
        let words = [
            "log",
            "--template={node}",
            &literal(revision.unwrap_or(".")),
        ];
        match ask(at(&self.source).args(words)) {
            // The parent of a first commit.
            Ok(node) if node.as_bytes().iter().all(|&digit| digit == b'0') => Ok(None),
            Ok(node) => Ok(Some(node.to_string_lossy().into_owned())),
            Err(CommandError::Fail { last_words, .. })
                if last_words.contains("unknown revision") =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn short(&self, commit: &str) -> Result<String, CommandError> {
        let words = ["log", "--template={shortest(node, 7)}", "--rev", commit];
        let short = ask(at(&self.source).args(words))?;
        Ok(short.to_string_lossy().into_owned())
    }

    fn status(&self) -> Result<OsString, CommandError> {
        ask(at(&self.source).args(["status", "."]))
    }

    fn nested(&self, commit: &str) -> Result<Vec<PathBuf>, CommandError> {
        let words = ["cat", "--rev", commit, "path:.hgsubstate"];
        let listed = match ask(at(&self.source).args(words)) {
            Ok(listed) => listed,
            Err(CommandError::Fail { last_words, .. }) if last_words.contains("no such file") => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let prefix = self.prefix();
        // A commit and a path in each line.
        let lines = listed.as_bytes().split(|&byte| byte == b'\n');
        Ok(lines
            .filter_map(|line| {
                let blank = line.iter().position(|&byte| byte == b' ')?;
                let path = PathBuf::from(OsString::from_vec(line[blank + 1..].to_vec()));
                Some(path.strip_prefix(&prefix).ok()?.to_owned())
            })
            .collect())
    }

    fn check_out(&self, commit: &str, target: &Path) -> Result<PathBuf, CommandError> {
        let prefix = self.prefix();
        let tree = target.join("tree");
        let mut hg = at(&self.source);
        hg.args([
            "--config",
            "ui.archivemeta=false",
            "archive",
            "--type=files",
        ])
        .args(["--rev", commit]);
        if !prefix.as_os_str().is_empty() {
            let mut pattern = OsString::from("path:");
            pattern.push(&prefix);
            hg.arg("--include").arg(pattern);
        }
        match ask(hg.arg("--").arg(&tree)) {
            Err(CommandError::Fail { last_words, .. }) if last_words.contains("no files match") => {
            }
            other => drop(other?),
        }
        Ok(tree.join(prefix))
    }
}

/// The argument that means what is called `name`, and is no expression in hg's language of
/// revisions.
fn literal(name: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('\'', "\\'");
    format!("--rev='{escaped}'")
}

fn at(directory: &Path) -> Command {
    let mut hg = Command::new("hg");
    // In English, without what a user has configured for people.
    hg.env("HGPLAIN", "1").arg("--cwd").arg(directory);
    hg
}
