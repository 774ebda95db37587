//! `dotcloud`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    dotcloud::main()
}
