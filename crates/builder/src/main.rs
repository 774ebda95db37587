//! The builder executable.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let program = hook::Program {
        name: "builder",
        version: env!("CARGO_PKG_VERSION"),
        about: builder::ABOUT,
    };
    hook::main(&program, |environment, report| {
        builder::run(Path::new("."), environment, report)
    })
}
