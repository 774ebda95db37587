//! What went by: every path of the archive, what it was, and whether the result has it. Follows
//! symbolic links in it as a system would, and notices one that leads out of the directory.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

/// What is remembered of entries; the largest tarballs, of 30,000 files, take 6 MB.
const MEMORY: usize = 20 << 20;
/// What an entry takes besides its name.
const OVERHEAD: usize = 160;
/// As Linux has it.
pub(crate) const MAX_LINKS_FOLLOWED: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File {
        executable: bool,
    },
    /// With its target, as written.
    Link(PathBuf),
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) kept: bool,
}

/// Which tree to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Input,
    Result,
}

/// Paths below the top directory; the empty path is the top directory itself.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: HashMap<PathBuf, Node>,
    memory: usize,
}

/// An entry that fits into no tree.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum TreeError {
    #[error("is there twice")]
    Twice,
    #[error("is below something that is not a directory")]
    BelowNonDirectory,
    #[error("is one entry too many: what has to be remembered exceeds 20 MiB")]
    TooMany,
}

/// A link that leads above the top directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeadsOut;

impl Tree {
    /// Notes an entry. Directories may come again, and are implied by what is in them.
    pub(crate) fn insert(&mut self, path: &Path, kind: Kind, kept: bool) -> Result<(), TreeError> {
        for above in path.ancestors().skip(1) {
            let node = self.entry(above, Kind::Directory)?;
            if node.kind != Kind::Directory {
                return Err(TreeError::BelowNonDirectory);
            }
            node.kept |= kept;
        }
        let again = self.nodes.contains_key(path);
        let directory = kind == Kind::Directory;
        let node = self.entry(path, kind)?;
        if again && !(directory && node.kind == Kind::Directory) {
            return Err(TreeError::Twice);
        }
        node.kept |= kept;
        Ok(())
    }

    /// Counts what is remembered of the archive, here or elsewhere.
    pub(crate) fn remember(&mut self, bytes: usize) -> Result<(), TreeError> {
        self.memory += bytes;
        if self.memory > MEMORY {
            return Err(TreeError::TooMany);
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, kind: Kind) -> Result<&mut Node, TreeError> {
        if !self.nodes.contains_key(path) {
            // A link's target is remembered twice, until it is written.
            let target = match &kind {
                Kind::Link(target) => 2 * (target.as_os_str().len() + OVERHEAD),
                Kind::File { .. } | Kind::Directory => 0,
            };
            self.remember(path.as_os_str().len() + OVERHEAD + target)?;
        }
        Ok(self
            .nodes
            .entry(path.into())
            .or_insert(Node { kind, kept: false }))
    }

    pub(crate) fn get(&self, path: &Path) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// A symbolic link turned out to have lost its target.
    pub(crate) fn forget(&mut self, path: &Path) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.kept = false;
        }
    }

    /// What the link at `path` to `target` leads to, through further links; `None` if it dangles.
    pub(crate) fn follow(
        &self,
        path: &Path,
        target: &Path,
        view: View,
    ) -> Result<Option<&Node>, LeadsOut> {
        let seen = |node: &&Node| view == View::Input || node.kept;
        let mut here: PathBuf = path.parent().unwrap_or(path).into();
        let mut ahead: VecDeque<OsString> = VecDeque::new();
        push_front(&mut ahead, target);
        let (mut dangling, mut followed) = (false, 0);
        while let Some(step) = ahead.pop_front() {
            match Path::new(&step).components().next() {
                Some(Component::ParentDir) if here.pop() => {}
                Some(Component::ParentDir | Component::RootDir) => return Err(LeadsOut),
                Some(Component::Normal(name)) => here.push(name),
                _ => continue,
            }
            match self.nodes.get(&here).filter(seen).map(|node| &node.kind) {
                Some(Kind::Link(target)) if followed < MAX_LINKS_FOLLOWED => {
                    followed += 1;
                    here.pop();
                    push_front(&mut ahead, target);
                }
                Some(Kind::Link(_)) => return Ok(None),
                Some(Kind::File { .. }) => dangling |= !ahead.is_empty(),
                Some(Kind::Directory) => {}
                // Walk on: what does not exist yet must not hide that the way leads out.
                None => dangling |= !here.as_os_str().is_empty(),
            }
        }
        Ok(self.nodes.get(&here).filter(seen).filter(|_| !dangling))
    }

    /// What is at `path`, through links.
    pub(crate) fn find(&self, path: &Path, view: View) -> Option<&Node> {
        self.follow(Path::new("top"), path, view).ok().flatten()
    }
}

fn push_front(ahead: &mut VecDeque<OsString>, target: &Path) {
    for component in target.components().rev() {
        ahead.push_front(component.as_os_str().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_too_many_entries_is_refused_with_exact_text() {
        let mut tree = Tree::default();
        let long = "x".repeat(MEMORY + 1);
        let error = tree
            .insert(Path::new(&long), Kind::Directory, true)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "is one entry too many: what has to be remembered exceeds 20 MiB"
        );
    }
}
