//! Advice about what is pushed: the directory, or what is committed in it.

use hook::{Advice, CommandError};

use super::{command, configuration, environment, file};
use crate::upload::{CommitError, IgnoreError, UploadError, Vcs};

pub(super) fn upload(error: &UploadError) -> Advice {
    match error {
        UploadError::File(error) | UploadError::Ignore(IgnoreError::File(error)) => file(error),
        UploadError::Ignore(IgnoreError::Pattern { .. }) => {
            configuration("correct the line: rsync's patterns, for example *.log, /tmp/ or docs/*")
        }
        UploadError::Unreadable { .. } => environment(
            "give yourself the right to read it (chmod u+r, for a directory u+rx), or list it in \
             .dotcloudignore",
        ),
        UploadError::StateInside { .. } => configuration(
            "push a directory of its own, set DOTCLOUD_HOME to one outside, or list it in \
             .dotcloudignore",
        ),
    }
}

pub(super) fn commit(error: &CommitError) -> Advice {
    match error {
        CommitError::NoRevision { vcs: Vcs::Git, .. } => {
            configuration("'git log --all --oneline' tells which there are; nothing was changed")
        }
        CommitError::NoRevision { vcs: Vcs::Hg, .. } => {
            configuration("'hg branches' and 'hg log' tell which there are; nothing was changed")
        }
        CommitError::Empty { .. } => {
            configuration("commit something, or push the files as they are with --rsync")
        }
        CommitError::Ask {
            vcs,
            source: CommandError::Start { .. },
        } => environment(format!(
            "install {vcs}, or push the files as they are with --rsync; nothing was changed"
        )),
        CommitError::Ask { vcs, source } => command(
            source,
            format!(
                "do what {vcs} asks for, or push the files as they are with --rsync; nothing was \
                 changed"
            ),
        ),
        CommitError::File(error) => file(error),
    }
}
