//! The advice itself, one function per kind of failure, each exhaustive.

mod backup;
mod image;
mod machine;
mod upload;

use std::io::ErrorKind;
use std::path::Path;

use hook::{Advice, CommandError, ExitStatus, Kind};

use super::Error;
use crate::build_file::BuildFileError;
use crate::deploy::DeployError;
use crate::deploy::build::BuildError;
use crate::handover::HandoverError;
use crate::host::files::FileError;
use crate::host::lock::LockError;
use crate::model::application::{InstanceName, NameError};
use crate::model::page::PageError;
use crate::model::variables::VariableError;
use crate::network::gateway::GatewayError;
use crate::network::ports::PortError;
use crate::network::wiring::WiringError;
use crate::service::environment::EnvironmentFilesError;
use crate::service::hook_run::HookError;
use crate::service::launch::LaunchError;
use crate::state::revisions::RevisionError;
use crate::state::snapshot;
use crate::state::store::StoreError;
use crate::upload::project::ProjectError;
use image::image;
use machine::{packages, process, runtime, supervisor};
use upload::{commit, upload};

fn configuration(next: impl Into<String>) -> Advice {
    Advice::new(Kind::Configuration, next)
}

fn environment(next: impl Into<String>) -> Advice {
    Advice::new(Kind::Environment, next)
}

const NOT_CONNECTED: &str = "'dotcloud create APP' makes one and connects this directory; \
     'dotcloud connect APP' connects it to one that exists; -A APP names one for this call";
const NOT_NEEDED: &str = "destroy an application that is not needed any more";
const OUTPUT: &str = "see to it that the output takes all of it; what was to be done is done, and \
     'dotcloud dlogs latest' has what a deployment said";

const PUSH_FIRST: &str = "push it first: 'dotcloud push'";

pub(super) fn of(error: &Error) -> Advice {
    match error {
        Error::WorkingDirectory { .. } => environment("cd into a directory that exists"),
        Error::NotConnected { .. } => configuration(NOT_CONNECTED),
        Error::Exists { name } => configuration(format!(
            "connect this directory to it with 'dotcloud connect {name}', or choose another name"
        )),
        Error::NoService { known, .. } if !known.is_empty() => {
            configuration(format!("name one of its services: {}", known.join(", ")))
        }
        Error::NoService { .. } | Error::NotDeployed { .. } => configuration(PUSH_FIRST),
        Error::NoInstance { .. } => configuration("'dotcloud info' tells which there are"),
        Error::DoesNotRun { instance } => machine::not_running(instance),
        Error::SeveralInstances { service, .. } => {
            configuration(format!("say which one, for example {service}.0"))
        }
        Error::NumberNeeded { service } => {
            configuration(format!("say which instance, for example {service}.0"))
        }
        Error::WholeService { service } => whole_service(service),
        Error::NotInBuildFile { service } => configuration(format!(
            "put it back and push, or destroy it with 'dotcloud destroy {service}': nothing can be \
             scaled until then"
        )),
        Error::NotUp { applications } => environment(format!(
            "do what is said above, then 'dotcloud up -A {}'",
            applications.first().map_or("APP", |name| name)
        )),
        Error::NotServing { source, .. } => launch(source),
        Error::StillWaiting { instance, .. } => still_waiting(instance),
        Error::Backup(error) => backup::backup(error),
        Error::Declined | Error::NotScaled | Error::NotRestored => {
            configuration("answer y, or call it with -y")
        }
        Error::NoVerb { .. } => configuration("'dotcloud --help' tells which there are"),
        Error::Signals { .. } | Error::Man { .. } => Advice::new(Kind::Bug, "call it again"),
        Error::Output { .. } => environment(OUTPUT),
        Error::Run { source } => command(source, "see to it that /bin/bash can be run here"),
        Error::Name(error) => name(error),
        Error::NoDeployment { .. } => configuration("'dotcloud dlist' tells which are remembered"),
        Error::Page(error) => page(error),
        Error::Revision(error) => revision(error),
        Error::Variable(error) => variable(error),
        Error::Store(error) => store(error),
        Error::Uid(error) => machine::uid(error),
        Error::Project(error) => project(error),
        Error::File(error) => file(error),
        Error::BuildFile(error) => build_file(error),
        Error::Upload(error) => upload(error),
        Error::Commit(error) => commit(error),
        Error::Deploy(error) => deploy(error).status(ExitStatus::Usage),
        Error::Supervisor(error) => supervisor(error),
        Error::Launch(error) => launch(error),
        Error::Handover(error) => handover(error),
        Error::Wiring(error) => wiring(error),
        Error::Runtime(error) => runtime(error),
        Error::Process(error) => process(error),
        Error::Image(error) => image(error),
        Error::Gateway(error) => gateway(error),
    }
}

fn whole_service(service: &str) -> Advice {
    configuration(format!(
        "'dotcloud destroy {service}' destroys the service with all its instances"
    ))
}

fn still_waiting(instance: &InstanceName) -> Advice {
    environment(format!(
        "'dotcloud logs {instance}' shows what its programs say; --wait=5m waits longer"
    ))
}

fn page(error: &PageError) -> Advice {
    match error {
        PageError::None { .. } => configuration(
            "only ports of kind http are web pages; 'dotcloud url' tells every address",
        ),
        PageError::Several { services, .. } => {
            configuration(format!("name one of {}", services.join(", ")))
        }
        PageError::Browser { .. } => {
            environment("install xdg-utils, or open it yourself: nothing else is wrong with it")
        }
    }
}

fn revision(error: &RevisionError) -> Advice {
    configuration(match error {
        RevisionError::None => "push it first: 'dotcloud push'",
        RevisionError::NoPrevious | RevisionError::Unknown { .. } => {
            "'dotcloud revisions' tells which there are"
        }
    })
}

fn name(error: &NameError) -> Advice {
    match error {
        NameError::Application { .. } => configuration(
            "take at most 32 lower-case letters, digits, - and _, the first a letter or a digit",
        ),
        NameError::Instance { .. } => configuration("write it as in dotcloud.yml: db, or db.0"),
    }
}

fn variable(error: &VariableError) -> Advice {
    match error {
        VariableError::NoValue { .. } => {
            configuration("write every variable as NAME=VALUE; nothing was changed")
        }
        VariableError::NotSet { .. } => configuration(
            "'dotcloud env list' tells which are set; what dotcloud.yml sets is removed there; \
             nothing was changed",
        ),
        VariableError::Size(_) => configuration(TOO_LONG),
        VariableError::Name(_) => configuration(
            "take letters, digits and underscores, not beginning with a digit or DOTCLOUD_; \
             nothing was changed",
        ),
    }
}

/// What can be done about an operation on a file depends on what the system said.
fn file(error: &FileError) -> Advice {
    if error.source.raw_os_error() == Some(rustix::io::Errno::CANCELED.raw_os_error()) {
        return environment("it was interrupted, as asked: call it again when you are ready");
    }
    match error.source.kind() {
        ErrorKind::StorageFull
        | ErrorKind::QuotaExceeded
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::PermissionDenied => file_system(&error.source),
        _ if error.action == snapshot::UNPACK => environment(format!(
            "remove {}, and build it again: 'dotcloud push --clean'",
            error.path.display()
        )),
        _ => file_system(&error.source),
    }
}

fn file_system(error: &std::io::Error) -> Advice {
    environment(match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room on its file system, then call it again"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "mount it writable, or set DOTCLOUD_HOME to a directory that is"
        }
        ErrorKind::PermissionDenied => {
            "give yourself the right to it, or set DOTCLOUD_HOME to a directory of your own"
        }
        ErrorKind::NotFound => "see to it that it exists, then call it again",
        _ => "look at the cause, then call it again",
    })
}

fn store(error: &StoreError) -> Advice {
    match error {
        StoreError::Nowhere => environment("set DOTCLOUD_HOME to an absolute path"),
        StoreError::Relative { .. } => configuration("set DOTCLOUD_HOME to an absolute path"),
        StoreError::Unreachable { path, .. } => configuration(format!(
            "chmod o+x {}, or set DOTCLOUD_HOME to a directory that everyone can pass through",
            path.display()
        )),
        StoreError::Copy { original, .. } => environment(format!(
            "go on with the original, DOTCLOUD_HOME={}, whose ports and names the copy has; 'dotcloud up \
             --as-copy' gives the copy ports of its own",
            original.display()
        )),
        StoreError::NoCopy { .. } => configuration("'dotcloud up' starts what is in it"),
        StoreError::Unknown { application } => configuration(format!(
            "'dotcloud list' tells which there are; 'dotcloud create {application}' makes it"
        )),
        StoreError::Damaged { path, .. } => environment(format!(
            "put {} back from a backup; the data of its services is untouched in the directories \
             beside it",
            path.display()
        )),
        StoreError::Version { .. } => environment("use the dotcloud that wrote it, or a newer one"),
        StoreError::Lock(error) => lock(error),
        StoreError::File(error) => file(error),
    }
}

fn lock(error: &LockError) -> Advice {
    if error.source.kind() == ErrorKind::Unsupported {
        environment("set DOTCLOUD_HOME to a directory on a file system that supports flock")
    } else {
        file_system(&error.source)
    }
}

fn project(error: &ProjectError) -> Advice {
    match error {
        ProjectError::NotObeyed { .. } => environment(
            "name the application, -A APP, or connect a directory that nobody else can write: \
             'dotcloud connect APP' in it",
        ),
        ProjectError::Damaged { path, .. } => environment(format!(
            "remove {} and connect the directory again: 'dotcloud connect APP'",
            path.display()
        )),
        ProjectError::File(error) => file(error),
    }
}

fn build_file(error: &BuildFileError) -> Advice {
    match error {
        BuildFileError::Read { path, source } if source.kind() == ErrorKind::NotFound => {
            configuration(format!(
                "push the directory that has a dotcloud.yml, or write {}; nothing was changed",
                path.display()
            ))
        }
        BuildFileError::Read { .. } => environment("make it readable; nothing was changed"),
        BuildFileError::Invalid { excerpts, .. } => {
            configuration("correct it and push again; nothing was changed")
                .detail(excerpts.as_str())
        }
    }
}

fn deploy(error: &DeployError) -> Advice {
    match error {
        DeployError::Build { source, .. } => build(source),
        DeployError::Postinstall { source, .. } => hook(source),
        DeployError::Launch {
            instance,
            home,
            source,
        } => {
            let advice = launch(source);
            let next = format!(
                "{}; its files, ~/data among them, are in {}; 'dotcloud logs {instance}' tells \
                 more, the next push tries again",
                advice.next,
                home.display()
            );
            Advice { next, ..advice }
        }
        DeployError::LaunchBeside { source, .. }
        | DeployError::RolledBack { source, .. }
        | DeployError::Stop { source, .. } => launch(source),
        DeployError::Interrupted => environment("push again when you are ready"),
        DeployError::Variables { .. } => configuration(TOO_LONG),
        DeployError::Packages(error) => packages(error),
        DeployError::Ports(error) => port(error),
        DeployError::Environment(EnvironmentFilesError::Write { path, source }) => {
            file_failed("write", path, source)
        }
        DeployError::Supervisor(error) => supervisor(error),
        DeployError::Wiring(error) => wiring(error),
        DeployError::Handover(error) => handover(error),
        DeployError::Runtime(error) => runtime(error),
        DeployError::Store(error) => store(error),
        DeployError::File(error) => file(error),
    }
}

fn build(error: &BuildError) -> Advice {
    match error {
        BuildError::Hook { source, .. } => hook(source),
        BuildError::NoBuildscript { .. } => configuration(
            "write its path relative to dotcloud.yml, not to approot, and see to it that \
             .dotcloudignore lets it through",
        ),
        BuildError::NotExecutable { path } => configuration(format!("chmod +x {path}, push again")),
        BuildError::Runtime(error) => runtime(error),
        BuildError::File(error) => file(error),
    }
}

/// Of variables.
const TOO_LONG: &str = "push what is that long as a file, and let a variable have its path; nothing was \
                        changed";

fn hook(error: &HookError) -> Advice {
    match error {
        HookError::Start { .. } => environment("see to it that /bin/bash can be run here"),
        HookError::Fail { .. } => configuration(
            "correct it as its output above says, push again; what served before still does",
        ),
        HookError::TimeOut { .. } => configuration(
            "make it faster, or raise the limit (DOTCLOUD_BUILD_LIMIT, \
             DOTCLOUD_POSTINSTALL_LIMIT, in seconds); what served before still does",
        ),
        HookError::Runtime(error) => runtime(error),
        HookError::Interrupted => {
            environment("push again when you are ready; what served before still does")
        }
    }
}

fn launch(error: &LaunchError) -> Advice {
    match error {
        LaunchError::SupervisorEnded { last_words } => {
            environment("see to it that supervisord works on this machine")
                .detail(last_words.as_str())
        }
        LaunchError::Program { last_words, .. } => configuration(
            "correct the program as its last lines say; it is one simple command, which bash \
                 execs: 'cd', '&&' and the like belong into a script",
        )
        .detail(last_words.as_str()),
        LaunchError::Silent { .. } => configuration(
            "see to it that the service binds $PORT_..., or give it more time \
             (DOTCLOUD_LAUNCH_LIMIT, in seconds)",
        ),
        LaunchError::Supervisor(error) => supervisor(error),
        LaunchError::Runtime(error) => runtime(error),
        LaunchError::Process(error) => process(error),
        LaunchError::File(error) => file(error),
    }
}

fn handover(error: &HandoverError) -> Advice {
    match error {
        HandoverError::Launch(error) => launch(error),
        HandoverError::Runtime(error) => runtime(error),
        HandoverError::Process(error) => process(error),
        HandoverError::Store(error) => store(error),
        HandoverError::File(error) => file(error),
        HandoverError::Wiring(error) => wiring(error),
    }
}

fn wiring(error: &WiringError) -> Advice {
    match error {
        WiringError::NotServed { .. } => environment(
            "end whoever has the port, then 'dotcloud up'; if nobody has it, see the logs in public/log \
             of the application's state",
        ),
        WiringError::Listeners { .. } => environment("see to it that /proc can be read"),
        WiringError::Launch(error) => launch(error),
        WiringError::Supervisor(error) => supervisor(error),
        WiringError::File(error) => file(error),
    }
}

fn port(error: &PortError) -> Advice {
    match error {
        PortError::Exhausted { .. } => environment(NOT_NEEDED),
    }
}

fn gateway(error: &GatewayError) -> Advice {
    match error {
        GatewayError::Serve { .. } => environment("see why the system refuses it"),
        GatewayError::Shortcuts { .. } => environment(
            "nothing has to be done: the relays serve; DOTCLOUD_SHORTCUTS=off has nobody try again",
        ),
    }
}

/// The same advice for errors that are not a [`FileError`] but would be one here.
fn file_failed(action: &'static str, path: &Path, source: &std::io::Error) -> Advice {
    file(&FileError {
        action,
        path: path.to_owned(),
        source: source.kind().into(),
    })
}

fn command(error: &CommandError, next: impl Into<String>) -> Advice {
    environment(next).detail(error.last_words())
}
