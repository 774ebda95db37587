//! `push`: upload, revision label, deployment.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hook::Foreign;

use super::rehearse::rehearse;
use super::{Call, deployment};
use crate::build_file::BuildFile;
use crate::cli;
use crate::deploy::{DataCopy, Options};
use crate::error::Error;
use crate::host::account::Account;
use crate::host::files;
use crate::model::application::{Application, check_application_name};
use crate::output::console;
use crate::output::narrator::Details;
use crate::state::revisions;
use crate::upload::project::{Project, ProjectError};
use crate::upload::{self, Vcs, Wanted};

/// Pushes a directory and deploys it.
pub(super) fn push(call: &Call, arguments: &cli::Push) -> Result<(), Error> {
    let target = Target::of(call, arguments)?;
    let name = &target.application;
    if arguments.trial.rehearse {
        return rehearse(call, name, arguments.runtime, &|scratch| {
            upload(call, &target, scratch, &arguments.upload)
        });
    }
    let store = &call.platform.store;
    let services = Account::of_services(store.load(name)?.uid);
    store.prepare(&[services, Account::of_gateways()])?;
    let mut application = call.locked_to_start(name)?;
    if let Some(runtime) = arguments.runtime {
        application.runtime = runtime;
    }
    // Before anything is uploaded or recorded: what cannot be run changes nothing.
    let runtime = call.platform.choose_runtime(&application)?;
    let revision = upload(call, &target, &application, &arguments.upload)?;
    // What is deployed is what was uploaded, whatever happens to the directory meanwhile.
    revisions::keep(store, &mut application, &revision)?;
    let options = Options {
        clean: arguments.clean,
        rollback: arguments.rollback,
        copy: DataCopy::unless(arguments.no_copy),
        details: Details::shown_if(arguments.upload.verbose),
        ..Options::default()
    };
    deployment::run(call, &mut application, &revision, options, runtime)
}

/// Mirrors what is to be pushed and labels it.
fn upload(
    call: &Call,
    target: &Target,
    application: &Application,
    arguments: &cli::Upload,
) -> Result<String, Error> {
    let store = &call.platform.store;
    let (source, code) = (&target.source, store.code(&application.name));
    console::info(format!(
        "Pushing code with {} from \"{}\" to application {}",
        target
            .committed
            .as_ref()
            .map_or("rsync", |wanted| wanted.vcs.name()),
        source.display(),
        application.name
    ));
    // Of both, the build file is read before the store is touched: a bad one changes nothing at all.
    let (done, revision) = if let Some(wanted) = &target.committed {
        let checkout = store.checkout(&application.name);
        let exported = upload::export(source, wanted, &checkout)?;
        if exported.uncommitted > 0 {
            let count = exported.uncommitted;
            console::warning(format!(
                "not uploaded: {count} path(s) with uncommitted changes"
            ));
        }
        BuildFile::read(&exported.tree.join("dotcloud.yml"))?;
        let mut done = upload::mirror_all(&exported.tree, &code)?;
        files::remove(&checkout)?;
        let nested = exported.nested.iter();
        let nested = nested.map(|path| format!("{}: a repository of its own", path.display()));
        done.skipped.extend(nested);
        (done, format!("{}-{}", wanted.vcs, exported.commit))
    } else {
        BuildFile::read(&source.join("dotcloud.yml"))?;
        let done = upload::mirror(source, &code, arguments.compare())?;
        (done, new_revision(&application.revisions))
    };
    for skipped in &done.skipped {
        console::warning(format!("not uploaded: {skipped}"));
    }
    for pointer in &done.pointers {
        console::warning(format!(
            "{}: uploaded as the pointer that git-lfs keeps, without the file it stands for: call \
             'git lfs pull', then push with --rsync",
            Foreign::new(pointer)
        ));
    }
    if arguments.verbose {
        let lines = done
            .copied
            .iter()
            .map(|path| format!("uploaded {}", Foreign::new(path)));
        let removed = done
            .removed
            .iter()
            .map(|path| format!("removed {}", Foreign::new(path)));
        lines.chain(removed).for_each(console::info);
    }
    console::info(format!(
        "Uploaded {} file(s), {} bytes; removed {}",
        done.copied.len(),
        done.bytes,
        done.removed.len()
    ));
    Ok(revision)
}

/// What is pushed, and to which application.
struct Target {
    application: String,
    source: PathBuf,
    /// What of a repository, unless the files are uploaded as they are.
    committed: Option<Wanted>,
}

impl Target {
    fn of(call: &Call, arguments: &cli::Push) -> Result<Self, Error> {
        let absolute = |path: &Path| path.canonicalize().map_err(files::failed("read", path));
        let start = match &arguments.path {
            Some(path) => absolute(path)?,
            None => call.directory.clone(),
        };
        let project = match find(call, &start)? {
            Some(project) => Some(project),
            None => find(call, &call.directory)?,
        };
        let application = match (&call.global.application, &project) {
            (Some(name), _) => name.clone(),
            (None, Some(project)) => project.application.clone(),
            (None, None) => return Err(Error::NotConnected { directory: start }),
        };
        check_application_name(&application)?;
        let committed = committed(arguments, project.as_ref());
        let source = match (&arguments.path, project) {
            (None, Some(project)) => {
                project.check_build_file(&call.owners)?;
                project.directory
            }
            (_, _) => start,
        };
        Ok(Self {
            application,
            source,
            committed,
        })
    }
}

/// The project around `directory`; one that is not obeyed is none, if the application was named.
fn find(call: &Call, directory: &Path) -> Result<Option<Project>, Error> {
    match call.project_of(directory) {
        Err(Error::Project(error @ ProjectError::NotObeyed { .. }))
            if call.global.application.is_some() =>
        {
            console::info(error);
            Ok(None)
        }
        found => found,
    }
}

/// What the arguments say, else what the directory was connected with.
fn committed(arguments: &cli::Push, project: Option<&Project>) -> Option<Wanted> {
    let protocol = &arguments.protocol;
    if protocol.rsync {
        return None;
    }
    let named = arguments.commit.as_ref().or(protocol.branch.as_ref());
    let vcs = protocol
        .vcs()
        .or(project.and_then(|project| project.vcs))
        .or(named.map(|_| Vcs::Git))?;
    let default = project
        .filter(|project| project.vcs == Some(vcs))
        .and_then(|project| project.branch.as_ref());
    Some(Wanted {
        vcs,
        revision: named.or(default).cloned(),
    })
}

/// `rsync-` and the time in milliseconds; later than any before, even if the clock was set back.
fn new_revision(known: &[String]) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis());
    let last: Option<u128> = known
        .iter()
        .filter_map(|label| label.strip_prefix("rsync-")?.parse().ok())
        .max();
    format!("rsync-{}", now.max(last.map_or(0, |last| last + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_revision_is_never_an_old_one() {
        let first = new_revision(&[]);
        assert_eq!(first.len(), "rsync-1300000000000".len());
        let known = ["rsync-9000000000000", "rsync-1", "git-abcdef"].map(str::to_owned);
        assert_eq!(new_revision(&known), "rsync-9000000000001");
    }

    #[test]
    fn committed_arguments_win_over_the_project() {
        let said = |words: &[&str]| {
            let words = ["dotcloud", "push"].iter().chain(words);
            let cli = <cli::Cli as clap::Parser>::parse_from(words);
            let cli::Verb::Push(push) = cli.verb else {
                panic!("{cli:?}");
            };
            push
        };
        let project = |vcs, branch: Option<&str>| Project {
            directory: "/d".into(),
            application: "app".to_owned(),
            vcs,
            branch: branch.map(str::to_owned),
        };
        let rsync = project(None, None);
        let git = project(Some(Vcs::Git), Some("stable"));
        let hg = project(Some(Vcs::Hg), None);
        for (words, project, expected) in [
            (&[][..], &rsync, None),
            (&["--git"], &rsync, Some((Vcs::Git, None))),
            (&["--hg"], &rsync, Some((Vcs::Hg, None))),
            (&["-b", "x"], &rsync, Some((Vcs::Git, Some("x")))),
            (&["-c", "abc"], &rsync, Some((Vcs::Git, Some("abc")))),
            (&[], &git, Some((Vcs::Git, Some("stable")))),
            (&["-c", "abc"], &git, Some((Vcs::Git, Some("abc")))),
            (&["--rsync"], &git, None),
            // The branch is git's.
            (&["--hg"], &git, Some((Vcs::Hg, None))),
            (&["-b", "x"], &hg, Some((Vcs::Hg, Some("x")))),
        ] {
            let found = committed(&said(words), Some(project));
            let found = found.as_ref();
            let found = found.map(|wanted| (wanted.vcs, wanted.revision.as_deref()));
            assert_eq!(found, expected, "{words:?}");
        }
    }
}
