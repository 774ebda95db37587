//! `run`: a command, or a shell, in an instance's container. Terminal, signals and exit status are
//! passed on, and nothing else is.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::process::ExitStatus;

use hook::{CommandError, Environment};

use super::{Call, one_instance};
use crate::cli;
use crate::error::Error;
use crate::host::stage;
use crate::output::console;
use crate::runtime::terminal::{self, Own};
use crate::runtime::{self, Beside};
use crate::service::hook_run;

/// Sourced in front of everything; a recipe need not make it.
const PROFILE: &str = "if [ -f ~/profile ]; then . ~/profile; fi\n";

/// Runs the words, joined by spaces, in a login bash; without words a shell.
pub(super) fn run(
    call: &Call,
    arguments: &cli::Run,
    environment: &Environment,
) -> Result<(), Error> {
    // What it is told leads to the original.
    call.settle_place()?;
    let application = call.application()?;
    let name = one_instance(&application, &arguments.instance)?;
    let current = call.platform.store.current(&application, &name);
    let (paths, _) = current.ok_or_else(|| Error::NotDeployed {
        instance: name.clone(),
    })?;
    let mut variables = paths.load_variables()?;
    if let Some(terminal) = environment.get("TERM").and_then(OsStr::to_str) {
        variables.insert("TERM".to_owned(), terminal.to_owned());
    }
    let (script, said) = match &arguments.command[..] {
        [] if std::io::stdin().is_terminal() => {
            let host = variables.get("HOSTNAME").map_or("", String::as_str);
            (interactive(host), "a shell".to_owned())
        }
        [] => ("exec bash".to_owned(), "a shell".to_owned()),
        words => (words.join(" "), format!("\"{}\"", words.join(" "))),
    };
    console::info(format!("Opening {said} on service ({name})"));
    let script = format!("{PROFILE}{script}").into();
    let home = paths.home();
    let runtime = call.platform.runtime_of(&paths)?;
    // A terminal that takes all three streams would change what goes to a file.
    let whole = std::io::stdout().is_terminal() || arguments.command.is_empty();
    let program = runtime::Call {
        terminal: std::io::stdin().is_terminal() && (whole || !runtime.own_terminal()),
        ..hook_run::login_shell(vec![script], &home, &variables)
    };
    let account = runtime.account();
    let failed = |source| Error::Run { source };
    let (command, own) = match runtime.beside(&paths, &program)? {
        Beside::Joined(mut command) => return Err(failed(stage::exec(&mut command))),
        Beside::Terminal(command) => (command, Own::Terminal(&account)),
        Beside::Streams(command) => (command, Own::Pipes),
    };
    let started = stage::program_of(&command);
    let status = terminal::run(command, &own).map_err(|source| {
        failed(CommandError::Start {
            program: started,
            source,
        })
    })?;
    end_as(status)
}

/// A shell whose prompt is the platform's, whatever this machine's shells have for theirs; the
/// service's own `~/.bashrc` may change it.
fn interactive(host: &str) -> String {
    format!(
        "exec bash --rcfile <(printf '%s\\n' 'PS1=\"dotcloud@{host}:\\w$ \"' 'exec 63<&-' 'if [ -f \
         ~/.bashrc ]; then . ~/.bashrc; fi') -i"
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "the exit status is the command's, and nothing is left to be dropped"
)]
fn end_as(status: ExitStatus) -> ! {
    std::process::exit(terminal::number(status))
}
