//! The code of the last revisions: each is a tree of hard links into the mirror of the pushed
//! directory, so that what did not change is there once.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::host::files::{self, FileError};
use crate::model::application::Application;
use crate::state::store::{Store, StoreError};

/// So many are kept, and those that run.
const KEPT: usize = 5;

/// Keeps what the mirror holds as the new `revision`, and lets go of the oldest.
pub(crate) fn keep(
    store: &Store,
    application: &mut Application,
    revision: &str,
) -> Result<(), StoreError> {
    if let Some(position) = application.revisions.iter().position(|r| r == revision) {
        // A commit that was pushed before; now it is the one that was pushed last.
        application.revisions[position..].rotate_left(1);
        return store.save(application);
    }
    let directory = store.revisions(&application.name);
    files::create_directory(&directory, 0o700)?;
    let tree = store.revision(&application.name, revision);
    // Left by a push that was killed before it was on record.
    files::remove(&tree)?;
    files::link_tree(&store.code(&application.name), &tree)?;
    files::sync_directory(&directory)?;
    application.revisions.push(revision.to_owned());
    let running: BTreeSet<String> = deployed(application).map(str::to_owned).collect();
    let surplus = application.revisions.len().saturating_sub(KEPT);
    let mut position = 0;
    application.revisions.retain(|known| {
        position += 1;
        position > surplus || running.contains(known)
    });
    store.save(application)?;
    remove_others(store, application)?;
    Ok(())
}

fn remove_others(store: &Store, application: &Application) -> Result<(), FileError> {
    let directory = store.revisions(&application.name);
    let read = |source| files::failed("read", &directory)(source);
    for entry in std::fs::read_dir(&directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        let kept = application
            .revisions
            .iter()
            .any(|revision| entry.file_name() == **revision);
        if !kept {
            files::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// The revisions that instances run.
pub(crate) fn deployed(application: &Application) -> impl Iterator<Item = &str> {
    application
        .instances()
        .filter_map(|(_, instance)| Some(&*instance.current.as_ref()?.revision))
}

/// The newest revision that instances run.
pub(crate) fn newest_deployed(application: &Application) -> Option<&str> {
    let running: BTreeSet<&str> = deployed(application).collect();
    let mut known = application.revisions.iter().rev();
    known.find_map(|revision| running.get(&**revision).copied())
}

/// The revision that `word` means: a label, `latest`, or `previous`, the one before what runs.
pub(crate) fn find<'a>(application: &'a Application, word: &str) -> Result<&'a str, RevisionError> {
    let known = &application.revisions;
    let position = match word {
        "latest" => known.len().checked_sub(1).ok_or(RevisionError::None)?,
        "previous" => {
            let running = newest_deployed(application);
            let position = known
                .iter()
                .position(|revision| Some(&**revision) == running);
            position
                .and_then(|position| position.checked_sub(1))
                .ok_or(RevisionError::NoPrevious)?
        }
        label => known
            .iter()
            .position(|revision| revision == label)
            .ok_or_else(|| RevisionError::Unknown {
                revision: label.to_owned(),
            })?,
    };
    Ok(&known[position])
}

/// No such revision.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum RevisionError {
    #[error("no code was pushed yet")]
    None,
    #[error("no code of a revision before the deployed one is kept")]
    NoPrevious,
    #[error("no code of a revision '{revision}' is kept")]
    Unknown { revision: String },
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use hook::Environment;

    use super::*;
    use crate::model::application::{Container, Instance, Service};

    fn running(application: &mut Application, revision: &str) {
        let instance = Instance {
            current: Some(Container {
                generation: 1,
                revision: revision.to_owned(),
                ports: [].into(),
                checks: [].into(),
            }),
            ..Instance::default()
        };
        let service = Service {
            kind: "custom".to_owned(),
            snapshot: None,
            instances: [(0, instance)].into(),
            scale: None,
            memory: None,
        };
        application.services.insert("db".to_owned(), service);
    }

    #[test]
    fn keep_links_what_did_not_change_and_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let environment: Environment = [("DOTCLOUD_HOME", directory.path().to_str().unwrap())]
            .into_iter()
            .collect();
        let store = Store::locate(&environment).unwrap();
        let code = store.code("app");
        fs::create_dir_all(code.join("sub")).unwrap();
        fs::write(code.join("sub/file"), "x").unwrap();
        std::os::unix::fs::symlink("sub/file", code.join("link")).unwrap();
        let mut application = Application::new("app", "live");
        keep(&store, &mut application, "r0").unwrap();
        running(&mut application, "r0");
        for number in 1..8 {
            keep(&store, &mut application, &format!("r{number}")).unwrap();
        }
        assert_eq!(application.revisions, ["r0", "r3", "r4", "r5", "r6", "r7"]);
        assert_eq!(store.load("app").unwrap().revisions, application.revisions);
        let trees = fs::read_dir(store.revisions("app")).unwrap().count();
        assert_eq!(trees, 6);
        let inode = |path: std::path::PathBuf| path.join("sub/file").metadata().unwrap().ino();
        assert_eq!(inode(store.revision("app", "r7")), inode(code));
        keep(&store, &mut application, "r4").unwrap();
        assert_eq!(application.revisions, ["r0", "r3", "r5", "r6", "r7", "r4"]);
        let link = store.revision("app", "r0").join("link");
        assert_eq!(fs::read_link(link).unwrap().to_str(), Some("sub/file"));
    }

    #[test]
    fn find_knows_latest_previous_and_labels() {
        let mut application = Application::new("app", "live");
        let text = |application: &Application, word: &str| match find(application, word) {
            Ok(revision) => revision.to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(text(&application, "latest"), "no code was pushed yet");
        application.revisions = ["r1", "r2", "r3"].map(str::to_owned).into();
        let none = "no code of a revision before the deployed one is kept";
        assert_eq!(text(&application, "previous"), none);
        running(&mut application, "r2");
        assert_eq!(text(&application, "latest"), "r3");
        assert_eq!(text(&application, "previous"), "r1");
        assert_eq!(text(&application, "r2"), "r2");
        assert_eq!(
            text(&application, "r9"),
            "no code of a revision 'r9' is kept"
        );
        running(&mut application, "r1");
        assert_eq!(text(&application, "previous"), none);
    }
}
