//! The agent executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    hook::with_arguments("agent", |arguments, environment| {
        agent::main(&arguments, environment)
    })
}
