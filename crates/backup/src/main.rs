//! The backup executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    let program = hook::Program {
        name: "backup",
        version: env!("CARGO_PKG_VERSION"),
        about: backup::ABOUT,
    };
    hook::main_with(&program, backup::FORMS, backup::Verb::parse, backup::run)
}
