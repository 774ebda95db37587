//! What is committed, as `push --git` and `push --hg` upload it. The repository's own program does
//! the work; neither the working tree nor git's index is touched.

mod git;
mod hg;

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use hook::CommandError;
use thiserror::Error;
use walkdir::WalkDir;

use crate::host::files::{self, FileError};
use git::Git;
use hg::Hg;

/// A program that keeps revisions, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vcs {
    Git,
    Hg,
}

impl Vcs {
    const ALL: [Self; 2] = [Self::Git, Self::Hg];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Hg => "hg",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vcs| vcs.name() == name)
    }
}

impl Display for Vcs {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is to be uploaded of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) vcs: Vcs,
    /// A branch or a commit; else what is checked out.
    pub(crate) revision: Option<String>,
}

/// Committed files, checked out.
#[derive(Debug)]
pub(crate) struct Exported {
    /// The directory that has them.
    pub(crate) tree: PathBuf,
    /// The commit, as short as its program tells it apart.
    pub(crate) commit: String,
    /// How many paths of the working tree differ from what its own branch has.
    pub(crate) uncommitted: usize,
    /// Repositories inside, of which only their names are committed.
    pub(crate) nested: Vec<PathBuf>,
}

/// One directory of a repository, asked of its program.
trait Repository {
    /// The repository's own directory.
    fn top(&self) -> &Path;

    /// The commit that `revision` means, whole; `None` if there is no such branch or commit.
    fn find(&self, revision: Option<&str>) -> Result<Option<String>, CommandError>;

    /// A commit's name for people.
    fn short(&self, commit: &str) -> Result<String, CommandError>;

    /// One line for each path of the directory that is not committed.
    fn status(&self) -> Result<OsString, CommandError>;

    /// The repositories inside of the directory.
    fn nested(&self, commit: &str) -> Result<Vec<PathBuf>, CommandError>;

    /// Checks the directory out below `target`, which is empty, and says where.
    fn check_out(&self, commit: &str, target: &Path) -> Result<PathBuf, CommandError>;
}

/// Checks `source`'s part of what is wanted out below `target`, which is replaced.
pub(crate) fn export(
    source: &Path,
    wanted: &Wanted,
    target: &Path,
) -> Result<Exported, CommitError> {
    let vcs = wanted.vcs;
    let failed = |source| CommitError::Ask { vcs, source };
    let repository: Box<dyn Repository> = match vcs {
        Vcs::Git => Box::new(Git::open(source).map_err(failed)?),
        Vcs::Hg => Box::new(Hg::open(source).map_err(failed)?),
    };
    let revision = wanted.revision.as_deref();
    let Some(commit) = repository.find(revision).map_err(failed)? else {
        return Err(match revision {
            Some(revision) => CommitError::NoRevision {
                vcs,
                repository: repository.top().to_owned(),
                revision: revision.to_owned(),
            },
            None => CommitError::Empty {
                repository: repository.top().to_owned(),
            },
        });
    };
    let status = repository.status().map_err(failed)?;
    files::remove(target)?;
    files::create_directory(target, 0o700)?;
    let tree = repository.check_out(&commit, target).map_err(failed)?;
    // Of a commit without a file nothing at all is made.
    files::create_directory(&tree, 0o700)?;
    make_new(&tree)?;
    Ok(Exported {
        tree,
        commit: repository.short(&commit).map_err(failed)?,
        uncommitted: status.to_string_lossy().lines().count(),
        nested: repository.nested(&commit).map_err(failed)?,
    })
}

/// hg makes files as old as their commit: the mirror would take one for another that was committed
/// in the same second and is as long.
fn make_new(tree: &Path) -> Result<(), FileError> {
    let now = SystemTime::now();
    for entry in WalkDir::new(tree) {
        let entry = entry.map_err(|error| files::walk_error(tree, error))?;
        if entry.file_type().is_file() {
            File::open(entry.path())
                .and_then(|file| file.set_modified(now))
                .map_err(files::failed("change", entry.path()))?;
        }
    }
    Ok(())
}

/// What a program prints, without the end of its last line.
fn ask(command: &mut Command) -> Result<OsString, CommandError> {
    // What a hook of git's or hg's calls us with is about another repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "HG_PENDING"] {
        command.env_remove(name);
    }
    let mut printed = crate::host::stage::run(command, b"")?.stdout;
    if printed.ends_with(b"\n") {
        printed.pop();
    }
    Ok(OsString::from_vec(printed))
}

/// Nothing can be taken from the repository.
#[derive(Debug, Error)]
pub(crate) enum CommitError {
    #[error("there is no branch or commit '{revision}' in {repository}", repository = repository.display())]
    NoRevision {
        vcs: Vcs,
        repository: PathBuf,
        revision: String,
    },
    #[error("nothing is committed in {repository}", repository = repository.display())]
    Empty { repository: PathBuf },
    #[error("{vcs} cannot tell what is committed")]
    Ask { vcs: Vcs, source: CommandError },
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::mirror_all;
    use super::*;

    const BOTH: [Vcs; 2] = Vcs::ALL;

    /// Runs `words` in `directory`, as somebody.
    fn run(vcs: Vcs, directory: &Path, words: &[&str]) {
        let mut command = Command::new(vcs.name());
        match vcs {
            Vcs::Git => command.args(["-c", "user.name=x", "-c", "user.email=x@localhost"]),
            Vcs::Hg => command
                .env("HGPLAIN", "1")
                .args(["--config", "ui.username=x"]),
        };
        ask(command.args(words).current_dir(directory)).unwrap();
    }

    fn commit(vcs: Vcs, directory: &Path) {
        run(vcs, directory, &["add", "."]);
        let words = match vcs {
            Vcs::Git => [
                "commit",
                "--quiet",
                "--message=x",
                "--date=@1000000000 +0000",
            ],
            // In one second all of them.
            Vcs::Hg => ["commit", "--quiet", "--message=x", "--date=1000000000 0"],
        };
        run(vcs, directory, &words);
    }

    /// A repository with one commit, whose code is in `code/`.
    fn repository(vcs: Vcs) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let code = path.join("code");
        fs::create_dir(&code).unwrap();
        match vcs {
            Vcs::Git => run(vcs, path, &["init", "--quiet", "--initial-branch=main"]),
            Vcs::Hg => run(vcs, path, &["init"]),
        }
        fs::write(code.join("file"), "one").unwrap();
        symlink("file", code.join("link")).unwrap();
        fs::write(path.join("outside"), "").unwrap();
        fs::write(path.join(".gitignore"), "*.tar.gz\n").unwrap();
        fs::write(path.join(".hgignore"), "syntax: glob\n*.tar.gz\n").unwrap();
        commit(vcs, path);
        directory
    }

    fn take(vcs: Vcs, source: &Path, revision: Option<&str>) -> Result<Exported, CommitError> {
        let top = source
            .ancestors()
            .find(|path| path.join("outside").exists());
        let target = top.unwrap_or(source).join(format!(".{vcs}/target"));
        let wanted = Wanted {
            vcs,
            revision: revision.map(str::to_owned),
        };
        export(source, &wanted, &target)
    }

    #[test]
    fn export_takes_what_is_committed_below_the_directory() {
        for vcs in BOTH {
            let repository = repository(vcs);
            let code = repository.path().join("code");
            fs::write(code.join("file"), "two").unwrap();
            fs::write(code.join("new"), "").unwrap();
            fs::write(code.join("mysql.tar.gz"), "ignored").unwrap();
            fs::remove_file(repository.path().join("outside")).unwrap();
            fs::write(repository.path().join("outside"), "x").unwrap();
            let exported = take(vcs, &code, None).unwrap();
            let mut names: Vec<_> = fs::read_dir(&exported.tree)
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            names.sort();
            assert_eq!(names, ["file", "link"], "{vcs}");
            let read = |tree: &Path| fs::read_to_string(tree.join("file")).unwrap();
            assert_eq!(read(&exported.tree), "one");
            assert_eq!(
                (exported.uncommitted, exported.nested),
                (2, vec![]),
                "{vcs}"
            );
            assert!(exported.commit.len() >= 4, "{}", exported.commit);
            let first = exported.commit;

            // As long, and committed in the same second.
            let store = repository.path().join("store");
            mirror_all(&exported.tree, &store).unwrap();
            commit(vcs, &code);
            let exported = take(vcs, &code, None).unwrap();
            assert_eq!(exported.uncommitted, 0, "{vcs}");
            mirror_all(&exported.tree, &store).unwrap();
            assert_eq!(read(&store), "two", "{vcs}");
            let branch = match vcs {
                Vcs::Git => "main",
                Vcs::Hg => "default",
            };
            assert_eq!(
                take(vcs, &code, Some(branch)).unwrap().commit,
                exported.commit
            );
            assert_eq!(read(&take(vcs, &code, Some(&first)).unwrap().tree), "one");
            // The whole repository.
            let all = take(vcs, repository.path(), None).unwrap();
            assert!(all.tree.join("code/file").exists() && all.tree.join("outside").exists());
        }
    }

    #[test]
    fn export_names_repositories_inside() {
        for vcs in BOTH {
            let repository = repository(vcs);
            let inner = repository.path().join("code/lib");
            fs::create_dir(&inner).unwrap();
            run(vcs, &inner, &["init"]);
            fs::write(inner.join("inner"), "").unwrap();
            commit(vcs, &inner);
            let list = "code/lib = code/lib\n";
            if vcs == Vcs::Hg {
                fs::write(repository.path().join(".hgsub"), list).unwrap();
            }
            commit(vcs, repository.path());
            for (directory, path) in [("", "code/lib"), ("code", "lib")] {
                let source = repository.path().join(directory);
                let exported = take(vcs, &source, None).unwrap();
                assert_eq!(exported.nested, [Path::new(path)], "{vcs}");
                assert!(!exported.tree.join(path).join("inner").exists());
            }
        }
    }

    #[test]
    fn export_errors_have_exact_texts() {
        for vcs in BOTH {
            let repository = repository(vcs);
            let path = repository.path().canonicalize().unwrap();
            let text =
                |source: &Path, revision| take(vcs, source, revision).unwrap_err().to_string();
            // Neither an option nor hg's language of revisions.
            for revision in ["none", "--none", "all()", "a'b", "\\"] {
                assert_eq!(
                    text(&path, Some(revision)),
                    format!(
                        "there is no branch or commit '{revision}' in {}",
                        path.display()
                    )
                );
            }
            let elsewhere = tempfile::tempdir().unwrap();
            let elsewhere = elsewhere.path().canonicalize().unwrap();
            assert_eq!(
                text(&elsewhere, None),
                format!("{vcs} cannot tell what is committed")
            );
            run(vcs, &elsewhere, &["init"]);
            assert_eq!(
                text(&elsewhere, None),
                format!("nothing is committed in {}", elsewhere.display())
            );
        }
    }
}
