//! `push`: upload, revision label, deployment.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Call, deployment};
use crate::application::check_application_name;
use crate::build_file::BuildFile;
use crate::cli;
use crate::console;
use crate::error::Error;
use crate::project::Project;
use crate::revisions;
use crate::upload;

/// Pushes a directory and deploys it.
pub(super) fn push(call: &Call, arguments: &cli::Push) -> Result<(), Error> {
    let (name, source) = target(call, arguments)?;
    let store = &call.platform.store;
    store.load(&name)?;
    store.prepare(&call.platform.account)?;
    let _lock = call.lock(&name)?;
    // Again: it may have been destroyed, or pushed, while we waited.
    let mut application = store.load(&name)?;
    console::info(format!(
        "Pushing code with rsync from \"{}\" to application {name}",
        source.display()
    ));
    // Checked before the store is touched, so that a bad file changes nothing at all.
    BuildFile::read(&source.join("dotcloud.yml"))?;
    let done = upload::mirror(&source, &store.code(&name))?;
    for skipped in &done.skipped {
        console::warning(format!("not uploaded: {skipped}"));
    }
    console::info(format!(
        "Uploaded {} file(s), {} bytes; removed {}",
        done.files, done.bytes, done.removed
    ));
    if let Some(runtime) = arguments.runtime {
        application.runtime = runtime;
    }
    let revision = new_revision(application.revisions.last().map(String::as_str));
    // What is deployed is what was uploaded, whatever happens to the directory meanwhile.
    revisions::keep(store, &mut application, &revision)?;
    deployment::run(call, &mut application, &revision, arguments.clean)
}

/// The application and the directory to push.
fn target(call: &Call, arguments: &cli::Push) -> Result<(String, PathBuf), Error> {
    let absolute = |path: &Path| {
        path.canonicalize()
            .map_err(crate::files::failed("read", path))
    };
    let start = match &arguments.path {
        Some(path) => absolute(path)?,
        None => call.directory.clone(),
    };
    let project = match Project::find(&start)? {
        Some(project) => Some(project),
        None => call.project()?,
    };
    let name = match (&call.global.application, &project) {
        (Some(name), _) => name.clone(),
        (None, Some(project)) => project.application.clone(),
        (None, None) => return Err(Error::NotConnected { directory: start }),
    };
    check_application_name(&name)?;
    let source = match (&arguments.path, project) {
        (None, Some(project)) => project.directory,
        (_, _) => start,
    };
    Ok((name, source))
}

/// `rsync-` and the time in milliseconds; later than `previous` even if the clock was set back.
fn new_revision(previous: Option<&str>) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis());
    let last: u128 = previous
        .and_then(|label| label.strip_prefix("rsync-")?.parse().ok())
        .unwrap_or(0);
    format!("rsync-{}", now.max(last + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_revision_is_never_an_old_one() {
        let first = new_revision(None);
        assert_eq!(first.len(), "rsync-1300000000000".len());
        assert_eq!(
            new_revision(Some("rsync-9000000000000")),
            "rsync-9000000000001"
        );
    }
}
