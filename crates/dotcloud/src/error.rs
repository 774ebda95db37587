//! Everything a verb can fail of, and for each what its reader can do next.

mod advice;

use std::path::PathBuf;
use std::time::Duration;

use hook::{Advice, CommandError, Explain};
use thiserror::Error;

use crate::backup::BackupError;
use crate::build_file::BuildFileError;
use crate::deploy::DeployError;
use crate::handover::HandoverError;
use crate::host::files::FileError;
use crate::image::ImageError;
use crate::model::application::{InstanceName, NameError};
use crate::model::page::PageError;
use crate::model::variables::VariableError;
use crate::network::gateway::GatewayError;
use crate::network::wiring::WiringError;
use crate::runtime::RuntimeError;
use crate::runtime::stray_processes::ProcessError;
use crate::service::launch::LaunchError;
use crate::service::supervisor::SupervisorError;
use crate::state::revisions::RevisionError;
use crate::state::store::StoreError;
use crate::state::uids::UidError;
use crate::upload::project::ProjectError;
use crate::upload::{CommitError, UploadError};

/// Why a verb failed.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("cannot tell the working directory")]
    WorkingDirectory { source: std::io::Error },
    #[error("{directory} is not connected to an application", directory = directory.display())]
    NotConnected { directory: PathBuf },
    #[error("there is an application '{name}' already")]
    Exists { name: String },
    #[error("the application '{application}' has no service '{service}'")]
    NoService {
        application: String,
        service: String,
        known: Vec<String>,
    },
    #[error("there is no instance {instance}")]
    NoInstance { instance: String },
    #[error("{instance} does not run")]
    DoesNotRun { instance: String },
    #[error("the service '{service}' has {count} instances")]
    SeveralInstances { service: String, count: usize },
    #[error("'{service}' is a service, not an instance")]
    NumberNeeded { service: String },
    #[error("a single instance of '{service}' cannot be destroyed")]
    WholeService { service: String },
    #[error("{instance} was never deployed")]
    NotDeployed { instance: InstanceName },
    #[error("nothing was destroyed")]
    Declined,
    #[error("nothing was scaled")]
    NotScaled,
    #[error("the service '{service}' exists, but is not in the dotcloud.yml that was pushed last")]
    NotInBuildFile { service: String },
    #[error("not every application could be started: {}", applications.join(", "))]
    NotUp { applications: Vec<String> },
    #[error("{instance} does not serve")]
    NotServing {
        instance: InstanceName,
        source: Box<LaunchError>,
    },
    #[error("{instance} does not serve after {} s: it waits for {waiting_for}", limit.as_secs())]
    StillWaiting {
        instance: InstanceName,
        waiting_for: String,
        limit: Duration,
    },
    #[error("there is no deployment '{id}'")]
    NoDeployment { id: String },
    #[error("there is no verb '{verb}'")]
    NoVerb { verb: String },
    #[error("cannot make the manual page")]
    Man { source: std::io::Error },
    #[error("cannot write to standard output")]
    Output { source: std::io::Error },
    #[error("cannot handle signals")]
    Signals { source: std::io::Error },
    #[error("cannot enter the container")]
    Run { source: CommandError },
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Variable(#[from] VariableError),
    #[error(transparent)]
    Page(#[from] PageError),
    #[error(transparent)]
    Revision(#[from] RevisionError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Uid(#[from] UidError),
    #[error(transparent)]
    Project(#[from] ProjectError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    BuildFile(#[from] BuildFileError),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Backup(Box<BackupError>),
    #[error("nothing was restored")]
    NotRestored,
    #[error(transparent)]
    Deploy(Box<DeployError>),
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Handover(#[from] HandoverError),
    #[error(transparent)]
    Wiring(#[from] WiringError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
}

impl From<DeployError> for Error {
    fn from(error: DeployError) -> Self {
        Self::Deploy(Box::new(error))
    }
}

impl From<BackupError> for Error {
    fn from(error: BackupError) -> Self {
        Self::Backup(Box::new(error))
    }
}

impl Explain for Error {
    fn advice(&self) -> Advice {
        advice::of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ownership::Distrust;
    use crate::upload::Vcs;

    fn rendered(error: &Error) -> String {
        let mut out = Vec::new();
        hook::render("dotcloud", error, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[track_caller]
    fn say<const N: usize>(cases: [(Error, &str); N]) {
        for (error, text) in cases {
            assert_eq!(rendered(&error), text);
        }
    }

    #[test]
    fn errors_about_the_call_have_exact_texts() {
        say([
            (
                Error::NotConnected {
                    directory: "/x".into(),
                },
                "dotcloud: error: /x is not connected to an application\n  next: 'dotcloud create \
                 APP' makes one and connects this directory; 'dotcloud connect APP' connects it \
                 to one that exists; -A APP names one for this call\n",
            ),
            (
                Error::Exists {
                    name: "db".to_owned(),
                },
                "dotcloud: error: there is an application 'db' already\n  next: connect this \
                 directory to it with 'dotcloud connect db', or choose another name\n",
            ),
            (
                Error::WorkingDirectory {
                    source: std::io::Error::other("gone"),
                },
                "dotcloud: error: cannot tell the working directory\n  cause: gone\n  next: cd into \
                 a directory that exists\n",
            ),
            (
                ProjectError::NotObeyed {
                    path: "/tmp/.dotcloud".into(),
                    why: Distrust::Foreign { uid: 1003 },
                }
                .into(),
                "dotcloud: error: /tmp/.dotcloud is not obeyed: it belongs to uid 1003\n  next: \
                 name the application, -A APP, or connect a directory that nobody else can write: \
                 'dotcloud connect APP' in it\n",
            ),
            (
                Error::Declined,
                "dotcloud: error: nothing was destroyed\n  next: answer y, or call it with -y\n",
            ),
            (
                Error::NotScaled,
                "dotcloud: error: nothing was scaled\n  next: answer y, or call it with -y\n",
            ),
            (
                Error::NotRestored,
                "dotcloud: error: nothing was restored\n  next: answer y, or call it with -y\n",
            ),
        ]);
    }

    #[test]
    fn errors_about_the_machine_have_exact_texts() {
        say([
            (
                Error::Run {
                    source: CommandError::Start {
                        program: "/bin/bash".into(),
                        source: std::io::Error::from(std::io::ErrorKind::NotFound),
                    },
                },
                "dotcloud: error: cannot enter the container\n  cause: cannot run /bin/bash\n  \
                 cause: entity not found\n  next: see to it that /bin/bash can be run here\n",
            ),
            (
                Error::Signals {
                    source: std::io::Error::other("x"),
                },
                "dotcloud: error: cannot handle signals\n  cause: x\n  next: call it again\n  this \
                 is a defect of dotcloud: please report it with these lines\n",
            ),
            (
                Error::Output {
                    source: std::io::Error::from_raw_os_error(28),
                },
                "dotcloud: error: cannot write to standard output\n  cause: no space left on device \
                 (os error 28)\n  next: see to it that the output takes all of it; what was to be \
                 done is done, and 'dotcloud dlogs latest' has what a deployment said\n",
            ),
        ]);
    }

    #[test]
    fn errors_about_the_state_have_exact_texts() {
        say([
            (
                Error::NotUp {
                    applications: vec!["a".to_owned(), "b".to_owned()],
                },
                "dotcloud: error: not every application could be started: a, b\n  next: do what \
                 is said above, then 'dotcloud up -A a'\n",
            ),
            (
                PageError::None {
                    whom: "db".to_owned(),
                }
                .into(),
                "dotcloud: error: db has no web page\n  next: only ports of kind http are web \
                 pages; 'dotcloud url' tells every address\n",
            ),
            (
                PageError::Several {
                    application: "app".to_owned(),
                    services: vec!["a".to_owned(), "b".to_owned()],
                }
                .into(),
                "dotcloud: error: several services of app have a web page\n  next: name one of \
                 a, b\n",
            ),
            (
                PageError::Browser {
                    url: "http://h/".to_owned(),
                    source: std::io::Error::other("x"),
                }
                .into(),
                "dotcloud: error: cannot open http://h/\n  cause: x\n  next: install xdg-utils, \
                 or open it yourself: nothing else is wrong with it\n",
            ),
            (
                Error::Commit(CommitError::NoRevision {
                    vcs: Vcs::Git,
                    repository: "/r".into(),
                    revision: "x".to_owned(),
                }),
                "dotcloud: error: there is no branch or commit 'x' in /r\n  next: 'git log --all \
                 --oneline' tells which there are; nothing was changed\n",
            ),
            (
                Error::Commit(CommitError::NoRevision {
                    vcs: Vcs::Hg,
                    repository: "/r".into(),
                    revision: "x".to_owned(),
                }),
                "dotcloud: error: there is no branch or commit 'x' in /r\n  next: 'hg branches' and \
                 'hg log' tell which there are; nothing was changed\n",
            ),
            (
                Error::Commit(CommitError::Empty {
                    repository: "/r".into(),
                }),
                "dotcloud: error: nothing is committed in /r\n  next: commit something, or push the \
                 files as they are with --rsync\n",
            ),
        ]);
    }

    #[test]
    fn errors_about_copies_have_exact_texts() {
        say([
            (
                Error::Store(StoreError::Copy {
                    path: "/b".into(),
                    original: "/a".into(),
                }),
                "dotcloud: error: /b is a copy of the state directory /a, which is still there\n  \
                 next: go on with the original, DOTCLOUD_HOME=/a, whose ports and names the copy has; \
                 'dotcloud up --as-copy' gives the copy ports of its own\n",
            ),
            (
                Error::Store(StoreError::NoCopy { path: "/b".into() }),
                "dotcloud: error: /b is no copy of a state directory that is still there\n  next: \
                 'dotcloud up' starts what is in it\n",
            ),
        ]);
    }

    #[test]
    fn errors_about_instances_that_do_not_serve_have_exact_texts() {
        let instance = InstanceName::new("db", 0);
        say([
            (
                Error::NotServing {
                    instance: instance.clone(),
                    source: Box::new(LaunchError::Silent {
                        waiting_for: "port db (42800)".to_owned(),
                        limit: Duration::from_mins(1),
                    }),
                },
                "dotcloud: error: db.0 does not serve\n  cause: port db (42800) does not answer \
                 after 60 s\n  next: see to it that the service binds $PORT_..., or give it more \
                 time (DOTCLOUD_LAUNCH_LIMIT, in seconds)\n",
            ),
            (
                Error::StillWaiting {
                    instance,
                    waiting_for: "program db".to_owned(),
                    limit: Duration::from_secs(5),
                },
                "dotcloud: error: db.0 does not serve after 5 s: it waits for program db\n  next: \
                 'dotcloud logs db.0' shows what its programs say; --wait=5m waits longer\n",
            ),
        ]);
    }

    #[test]
    fn errors_about_operands_have_exact_texts() {
        say([
            (
                Error::NoDeployment { id: "x".to_owned() },
                "dotcloud: error: there is no deployment 'x'\n  next: 'dotcloud dlist' tells \
                 which are remembered\n",
            ),
            (
                Error::NoVerb {
                    verb: "x".to_owned(),
                },
                "dotcloud: error: there is no verb 'x'\n  next: 'dotcloud --help' tells which \
                 there are\n",
            ),
            (
                Error::Man {
                    source: std::io::Error::other("x"),
                },
                "dotcloud: error: cannot make the manual page\n  cause: x\n  next: call it \
                 again\n  this is a defect of dotcloud: please report it with these lines\n",
            ),
        ]);
    }

    #[test]
    fn errors_about_what_is_not_there_have_exact_texts() {
        say([
            (
                Error::DoesNotRun {
                    instance: "db.3".to_owned(),
                },
                "dotcloud: error: db.3 does not run\n  next: start it: 'dotcloud restart db.3'\n",
            ),
            (
                Error::Uid(UidError::Exhausted { first: 7, last: 9 }),
                "dotcloud: error: no uid from 7 to 9 is free\n  next: destroy an application that is \
                 not needed any more\n",
            ),
        ]);
    }

    #[test]
    fn errors_about_services_have_exact_texts() {
        let service = || "db".to_owned();
        say([
            (
                Error::NoService {
                    application: "app".to_owned(),
                    service: service(),
                    known: vec!["web".to_owned()],
                },
                "dotcloud: error: the application 'app' has no service 'db'\n  next: name one of \
                 its services: web\n",
            ),
            (
                Error::NoService {
                    application: "app".to_owned(),
                    service: service(),
                    known: Vec::new(),
                },
                "dotcloud: error: the application 'app' has no service 'db'\n  next: push it \
                 first: 'dotcloud push'\n",
            ),
            (
                Error::NoInstance {
                    instance: "db.3".to_owned(),
                },
                "dotcloud: error: there is no instance db.3\n  next: 'dotcloud info' tells which \
                 there are\n",
            ),
            (
                Error::SeveralInstances {
                    service: service(),
                    count: 2,
                },
                "dotcloud: error: the service 'db' has 2 instances\n  next: say which one, for \
                 example db.0\n",
            ),
            (
                Error::NumberNeeded { service: service() },
                "dotcloud: error: 'db' is a service, not an instance\n  next: say which instance, \
                 for example db.0\n",
            ),
            (
                Error::WholeService { service: service() },
                "dotcloud: error: a single instance of 'db' cannot be destroyed\n  next: \
                 'dotcloud destroy db' destroys the service with all its instances\n",
            ),
            (
                Error::NotInBuildFile { service: service() },
                "dotcloud: error: the service 'db' exists, but is not in the dotcloud.yml that \
                 was pushed last\n  next: put it back and push, or destroy it with 'dotcloud \
                 destroy db': nothing can be scaled until then\n",
            ),
            (
                Error::NotDeployed {
                    instance: InstanceName::new("db", 0),
                },
                "dotcloud: error: db.0 was never deployed\n  next: push it first: 'dotcloud \
                 push'\n",
            ),
        ]);
    }

    #[test]
    fn full_disk_is_advised_on_wherever_it_happens() {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = Error::File(crate::host::files::failed(
            "write",
            std::path::Path::new("/s"),
        )(source));
        let text = rendered(&error);
        assert!(
            text.starts_with("dotcloud: error: cannot write /s\n"),
            "{text}"
        );
        assert!(
            text.contains("next: make room on its file system"),
            "{text}"
        );
    }

    #[test]
    fn failed_deployment_ends_with_2() {
        let error = Error::from(DeployError::Interrupted);
        assert_eq!(error.advice().status as u8, 2);
        assert_eq!(error.to_string(), "the deployment was interrupted");
    }
}
