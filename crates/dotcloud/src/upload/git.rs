//! What is committed, as `push --git` uploads it. git itself does the work; neither the working
//! tree nor the repository's own index is touched.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use hook::CommandError;
use thiserror::Error;

use crate::files::{self, FileError};

/// Committed files, checked out.
#[derive(Debug)]
pub(crate) struct Exported {
    /// The directory that has them.
    pub(crate) tree: PathBuf,
    /// The commit, as short as git tells it apart.
    pub(crate) commit: String,
    /// How many paths of the working tree differ from what its own branch has.
    pub(crate) uncommitted: usize,
}

/// Checks `source`'s part of `revision`, a branch or a commit, out below `target`, which is
/// replaced.
pub(crate) fn export(source: &Path, revision: &str, target: &Path) -> Result<Exported, GitError> {
    let failed = |source| GitError::Git { source };
    let git = |words: &[&str]| ask(Command::new("git").arg("-C").arg(source).args(words));
    let top = git(&["rev-parse", "--show-toplevel"]).map_err(failed)?;
    let wanted = format!("{revision}^{{commit}}");
    let commit = git(&[
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &wanted,
    ])
    .map_err(|source| match source {
        CommandError::Fail { ref last_words, .. } if last_words.is_empty() => {
            GitError::NoRevision {
                repository: PathBuf::from(&top),
                revision: revision.to_owned(),
            }
        }
        source => failed(source),
    })?;
    let short = git(&["rev-parse", "--short", &commit]).map_err(failed)?;
    let status = ["--no-optional-locks", "status", "--porcelain", "--", "."];
    let uncommitted = git(&status).map_err(failed)?.lines().count();
    // Empty at the top of the repository.
    let prefix = git(&["rev-parse", "--show-prefix"]).map_err(failed)?;

    files::remove(target)?;
    files::create_directory(target, 0o700)?;
    let tree = target.join("tree");
    let mut into = OsString::from("--prefix=");
    into.push(tree.join(""));
    // At the top: from below it git would check out what lies below only.
    let indexed = || {
        let mut command = Command::new("git");
        command
            .env("GIT_INDEX_FILE", target.join("index"))
            .args(["-C", &top]);
        command
    };
    ask(indexed().args(["read-tree", &format!("{commit}:{prefix}")])).map_err(failed)?;
    ask(indexed().args(["checkout-index", "--all"]).arg(into)).map_err(failed)?;
    // Of a commit without a file git makes nothing at all.
    files::create_directory(&tree, 0o700)?;
    Ok(Exported {
        tree,
        commit: short,
        uncommitted,
    })
}

/// What git prints.
fn ask(command: &mut Command) -> Result<String, CommandError> {
    // What a hook of git's calls us with is about another repository.
    command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
    let finished = hook::run(command, b"")?;
    Ok(String::from_utf8_lossy(&finished.stdout)
        .trim_end()
        .to_owned())
}

/// Nothing can be taken from the repository.
#[derive(Debug, Error)]
pub(crate) enum GitError {
    #[error("there is no branch or commit '{revision}' in {repository}", repository = repository.display())]
    NoRevision {
        repository: PathBuf,
        revision: String,
    },
    #[error("git cannot tell what is committed")]
    Git { source: CommandError },
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A repository with one commit, whose code is in `code/`.
    fn repository() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let code = directory.path().join("code");
        fs::create_dir(&code).unwrap();
        fs::write(code.join("file"), "committed").unwrap();
        fs::write(directory.path().join("outside"), "").unwrap();
        fs::write(code.join(".gitignore"), "*.tar.gz\n").unwrap();
        for words in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["add", "."],
            &["commit", "--quiet", "--message=x"],
        ] {
            let mut git = Command::new("git");
            git.args(["-c", "user.name=x", "-c", "user.email=x@localhost"])
                .args(words)
                .current_dir(directory.path());
            ask(&mut git).unwrap();
        }
        directory
    }

    #[test]
    fn export_takes_what_is_committed_below_the_directory() {
        let repository = repository();
        let code = repository.path().join("code");
        fs::write(code.join("file"), "changed").unwrap();
        fs::write(code.join("new"), "").unwrap();
        fs::write(code.join("mysql.tar.gz"), "ignored").unwrap();
        let target = repository.path().join(".git/target");
        let exported = export(&code, "HEAD", &target).unwrap();
        let names: Vec<_> = fs::read_dir(&exported.tree)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 2, "{names:?}");
        let content = fs::read_to_string(exported.tree.join("file")).unwrap();
        assert_eq!(content, "committed");
        assert_eq!(exported.uncommitted, 2);
        assert!(exported.commit.len() >= 4, "{}", exported.commit);
        export(&code, &exported.commit, &target).unwrap();
        export(&code, "main", &target).unwrap();
    }

    #[test]
    fn export_errors_have_exact_texts() {
        let repository = repository();
        let target = repository.path().join(".git/target");
        let text = |source: &Path, revision: &str| {
            let error = export(source, revision, &target).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            text(repository.path(), "--none"),
            format!(
                "there is no branch or commit '--none' in {}",
                repository.path().canonicalize().unwrap().display()
            )
        );
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(
            text(elsewhere.path(), "main"),
            "git cannot tell what is committed"
        );
    }
}
