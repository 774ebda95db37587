//! `run`: a command, or a shell, in an instance's container. Becomes it, so that the terminal,
//! signals and the exit status are the command's own.

use std::ffi::OsStr;
use std::io::IsTerminal;

use hook::Environment;

use super::{Call, one_instance};
use crate::cli;
use crate::console;
use crate::error::Error;
use crate::hook_run;
use crate::runtime;

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
    let container = application
        .instance(&name)
        .and_then(|instance| instance.current.as_ref())
        .ok_or_else(|| Error::NotDeployed {
            instance: name.clone(),
        })?;
    let store = &call.platform.store;
    let paths = store.container(&application.name, &name, container.generation);
    let mut variables = paths.load_variables()?;
    if let Some(terminal) = environment.get("TERM").and_then(OsStr::to_str) {
        variables.insert("TERM".to_owned(), terminal.to_owned());
    }
    if let Some(host) = variables.get("HOSTNAME") {
        variables.insert("PS1".to_owned(), format!(r"dotcloud@{host}:\w\$ "));
    }
    let (script, said) = match &arguments.command[..] {
        [] if std::io::stdin().is_terminal() => {
            // Not the host's prompt, which would look for a name that uid 1000 need not have.
            (
                "exec bash --rcfile ~/.bashrc -i".to_owned(),
                "a shell".to_owned(),
            )
        }
        [] => ("exec bash".to_owned(), "a shell".to_owned()),
        words => (words.join(" "), format!("\"{}\"", words.join(" "))),
    };
    console::info(format!("Opening {said} on service ({name})"));
    let script = format!("{PROFILE}{script}").into();
    let home = paths.home();
    let program = runtime::Call {
        terminal: std::io::stdin().is_terminal(),
        ..hook_run::login_shell(vec![script], &home, &variables)
    };
    let runtime = call.platform.runtime_of(&paths)?;
    let mut command = runtime.beside(&paths, &program)?;
    Err(Error::Run {
        source: hook::exec(&mut command),
    })
}
