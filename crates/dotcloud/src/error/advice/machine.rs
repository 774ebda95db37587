//! Advice about what runs things: runtimes, processes, supervisord.

use hook::Advice;

use super::{command, environment, file, file_failed};
use crate::orphans::ProcessError;
use crate::runtime::RuntimeError;
use crate::supervisor::SupervisorError;

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
        RuntimeError::Engine { source, .. } => command(
            source,
            "see to it that the OCI runtime works; DOTCLOUD_RUNTIME=process dotcloud push does \
             without",
        ),
        RuntimeError::Start { .. } => environment("see to it that it can be run"),
        RuntimeError::NotRunning { .. } => environment("start it: 'dotcloud restart SERVICE.N'"),
        RuntimeError::Process(error) => process(error),
        RuntimeError::File(error) => file(error),
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
        SupervisorError::NotFound => environment(
            "install it (apt-get install supervisor), or set DOTCLOUD_SUPERVISORD to its path",
        ),
        SupervisorError::NotExecutable { .. } => environment(
            "install supervisor completely, supervisorctl beside supervisord; \
             DOTCLOUD_SUPERVISORD may say where",
        ),
        SupervisorError::SocketTooLong { .. } => environment("set DOTCLOUD_HOME to a shorter path"),
        SupervisorError::Unwritable { .. } => {
            environment("set DOTCLOUD_HOME to a path of plain characters")
        }
        SupervisorError::WriteConfig { path, source } => file_failed("write", path, source),
        SupervisorError::Connect { .. } => {
            environment("call it as the user who pushed the application")
        }
        SupervisorError::NotRunning { .. } => environment("start it: 'dotcloud restart SERVICE.N'"),
        SupervisorError::Control { source, .. } => {
            command(source, "look at the container's supervisord.log")
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
