//! Advice about the machine: runtimes, processes, supervisord, its packages.

use hook::{Advice, CommandError};

use super::{NOT_NEEDED, command, configuration, environment, file, file_failed, lock, store};
use crate::host::supervisord::SupervisordError;
use crate::host::system_packages::PackageError;
use crate::runtime::RuntimeError;
use crate::runtime::stray_processes::ProcessError;
use crate::service::supervisor::SupervisorError;
use crate::state::uids::UidError;

pub(super) fn runtime(error: &RuntimeError) -> Advice {
    match error {
        RuntimeError::NoneWorks { reasons } => environment(
            "install one that does (apt-get install runc), as root if need be; --runtime process \
             does without",
        )
        .detail(reasons.as_str()),
        RuntimeError::Forbidden { setting, allowing } => environment(format!(
            "have root allow it (sysctl -w {setting}={allowing}); --runtime process does without"
        )),
        RuntimeError::Read { .. } => {
            environment("push again: every container gets a new one; its ~/data stays")
        }
        RuntimeError::Engine { source, .. } if matches!(**source, CommandError::Start { .. }) => {
            environment("put that program back: the container was made with it")
        }
        RuntimeError::Engine { source, .. } => command(
            source,
            "see to it that the OCI runtime works; DOTCLOUD_RUNTIME=process dotcloud push does \
             without",
        ),
        RuntimeError::Start { .. } => environment("see to it that it can be run"),
        RuntimeError::NotMeasured { .. } => {
            environment("ask again as root, or as the user that the services run as")
        }
        RuntimeError::NotRunning { .. } => environment("start it: 'dotcloud restart SERVICE.N'"),
        RuntimeError::Process(error) => process(error),
        RuntimeError::File(error) => file(error),
    }
}

pub(super) fn not_running(instance: &str) -> Advice {
    environment(format!("start it: 'dotcloud restart {instance}'"))
}

pub(super) fn uid(error: &UidError) -> Advice {
    match error {
        UidError::Exhausted { .. } => environment(NOT_NEEDED),
        UidError::Store(error) => store(error),
    }
}

pub(super) fn process(error: &ProcessError) -> Advice {
    match error {
        ProcessError::Read { .. } => environment("mount /proc"),
        ProcessError::Unkillable { pid, .. } => environment(format!(
            "find out what process {pid} hangs on (ps -o stat,wchan {pid}), end it, then call it \
             again; its data was not touched"
        )),
    }
}

pub(super) fn supervisor(error: &SupervisorError) -> Advice {
    match error {
        SupervisorError::Executable(SupervisordError::NotFound) => environment(
            "install it (apt-get install supervisor), or set DOTCLOUD_SUPERVISORD to its path",
        ),
        SupervisorError::Executable(SupervisordError::NotExecutable { .. }) => {
            environment("let DOTCLOUD_SUPERVISORD name supervisord, or be unset")
        }
        SupervisorError::SocketTooLong { .. } => environment("set DOTCLOUD_HOME to a shorter path"),
        SupervisorError::Unwritable { .. } => {
            environment("set DOTCLOUD_HOME to a path of plain characters")
        }
        SupervisorError::WriteConfig { path, source } => file_failed("write", path, source),
        SupervisorError::Connect { .. } => {
            environment("call it as the user who pushed the application")
        }
        SupervisorError::Foreign { .. } => environment(
            "look at what the service did there; 'dotcloud restart SERVICE.N' ends all of it and \
             starts its programs anew",
        ),
        SupervisorError::NotRunning { .. } => environment("start it: 'dotcloud restart SERVICE.N'"),
        SupervisorError::Control { .. } | SupervisorError::NotStarted { .. } => {
            environment("look at the container's logs: 'dotcloud logs SERVICE.N', supervisord.log")
        }
        SupervisorError::Silent { .. } => {
            environment("call it again when the machine is less busy")
        }
        SupervisorError::Wait { .. } => environment("call it again"),
        SupervisorError::StillThere { pid, .. } => {
            environment(format!("find out what process {pid} hangs on, end it"))
        }
    }
}

pub(super) fn packages(error: &PackageError) -> Advice {
    let by_hand = |packages: &[String]| {
        format!(
            "sudo apt-get install --no-install-recommends {}",
            packages.join(" ")
        )
    };
    match error {
        PackageError::Missing { packages } => environment(by_hand(packages)),
        PackageError::Query { source } => command(source, "repair dpkg's database"),
        PackageError::Unknown { .. } => configuration(
            "correct it in dotcloud.yml ('apt-cache search WORD' tells what there is), or add the \
             repository that has it to this machine's",
        ),
        PackageError::Update { source, .. } => {
            command(source, "see to it that 'apt-get update' works, push again")
        }
        PackageError::Locked { source, .. } => {
            command(source, "wait until that program is done, push again")
        }
        PackageError::Interrupted { source, .. } => {
            command(source, "sudo dpkg --configure -a, then push again")
        }
        PackageError::Removes { packages, source } => command(
            source,
            format!(
                "look at what would be removed, and install them yourself if it may be: {}",
                by_hand(packages)
            ),
        ),
        PackageError::Install { packages, source } => command(
            source,
            format!(
                "correct systempackages in dotcloud.yml, or do what apt-get asks for and: {}",
                by_hand(packages)
            ),
        ),
        PackageError::Policy(error) => file(error),
        PackageError::Lock(error) => lock(error),
    }
}
