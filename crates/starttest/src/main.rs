//! The starttest executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    let program = hook::Program {
        name: "starttest",
        version: env!("CARGO_PKG_VERSION"),
        about: starttest::ABOUT,
    };
    hook::main_with(
        &program,
        starttest::FORMS,
        starttest::arguments,
        starttest::run,
    )
}
