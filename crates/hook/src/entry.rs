//! From `fn main` to a hook's list of steps and back to an exit status.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use crate::process::Leash;
use crate::{
    Environment, ExitStatus, Explain, Report, keep_descriptors, render, stop, watch_for_defects,
};

/// Who a hook is, for `--version` and `--help`.
#[derive(Debug)]
pub struct Program {
    /// The executable's name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it does, what it reads and writes, examples: the text of `--help` after the usage.
    pub about: &'static str,
}

/// Runs a hook: answers `--help` and `--version`, refuses other arguments, else takes the
/// environment's snapshot, calls `run`, and renders its failure. What `run` starts dies with the hook.
///
/// A hook that becomes another program never returns from `run` when all goes well; its `T` is
/// `Infallible`.
pub fn main<T, E: Explain>(
    program: &Program,
    run: impl FnOnce(&Environment, &mut Report) -> Result<T, E>,
) -> ExitCode {
    let none = |arguments: &[OsString]| match arguments {
        [] => Ok(()),
        [first, ..] => Err(Usage {
            problem: format!("unexpected argument '{}'", first.display()),
            next: "call it without arguments".to_owned(),
        }),
    };
    main_with(program, "", none, |environment, report, ()| {
        run(environment, report)
    })
}

/// What is wrong with the arguments, and how they should be.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage {
    /// Such as `unexpected argument 'x'`.
    pub problem: String,
    /// An imperative without a full stop.
    pub next: String,
}

/// [`main`] for a hook that takes arguments, which `parse` understands or refuses; `forms` is what
/// `--help` shows of them.
pub fn main_with<A, T, E: Explain>(
    program: &Program,
    forms: &str,
    parse: impl FnOnce(&[OsString]) -> Result<A, Usage>,
    run: impl FnOnce(&Environment, &mut Report, A) -> Result<T, E>,
) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(status) = Leash::stage(&arguments) {
        return status.into();
    }
    keep_descriptors();
    let status = match &arguments[..] {
        [only] if only == "--version" || only == "-V" => {
            say(
                std::io::stdout(),
                &format!("{} {}\n", program.name, program.version),
            );
            ExitStatus::Ok
        }
        [only] if only == "--help" || only == "-h" => {
            let text = format!(
                "Usage: {} [{forms}--help | --version]\n\n{}",
                program.name, program.about
            );
            say(std::io::stdout(), &text);
            ExitStatus::Ok
        }
        others => match parse(others) {
            Ok(parsed) => run_hook(program, |environment, report| {
                run(environment, report, parsed)
            }),
            Err(Usage { problem, next }) => {
                let text = format!(
                    "{name}: error: {problem}\n  next: {next}; '{name} --help' tells what it reads\n",
                    name = program.name,
                );
                say(std::io::stderr(), &text);
                ExitStatus::Usage
            }
        },
    };
    status.into()
}

/// The edge of an executable that is no hook: it has a command line of its own, `run` gets its arguments
/// without its name. What it starts dies with it, and while that runs a signal is for `run` to look at
/// ([`crate::stop_signal`]). What whoever started it has open is left as it is.
pub fn with_arguments(
    name: &'static str,
    run: impl FnOnce(Vec<OsString>, &Environment) -> ExitCode,
) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(status) = Leash::stage(&arguments) {
        return status.into();
    }
    watch_for_defects(name);
    // Without it TERM ends us at once, as it does a program that watches for nothing.
    let _ = stop::watch();
    Leash::offer();
    run(arguments, &Environment::of_process())
}

fn run_hook<T, E: Explain>(
    program: &Program,
    run: impl FnOnce(&Environment, &mut Report) -> Result<T, E>,
) -> ExitStatus {
    watch_for_defects(program.name);
    let environment = Environment::of_process();
    let mut report = Report::to_stderr(&environment);
    report.heading(format!("{} {}", program.name, program.version));
    if let Err(error) = stop::watch() {
        report.debug(format!("TERM will not wait for a running program: {error}"));
    }
    Leash::offer();
    let outcome = run(&environment, &mut report);
    if let Some(signal) = stop::signal() {
        let text = format!(
            "{name}: stopped by signal {signal}, and so was the program it was running\n  next: \
             start {name} again; it goes on from where things are\n",
            name = program.name
        );
        say(std::io::stderr(), &text);
        stop::end_by(signal);
    }
    match outcome {
        Ok(_) => ExitStatus::Ok,
        Err(error) => render(program.name, &error, &mut std::io::stderr()),
    }
}

/// `println!` and `eprintln!` panic on a closed stream, which would replace our exit status.
fn say(mut out: impl Write, text: &str) {
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
