//! `blink`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    blink::main()
}
