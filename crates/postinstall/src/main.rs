//! The postinstall executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    let program = hook::Program {
        name: "postinstall",
        version: env!("CARGO_PKG_VERSION"),
        about: postinstall::ABOUT,
    };
    hook::main(&program, postinstall::run)
}
