//! `repack`: a vendor's server tarball in, the same without what a server does not need out.

use std::process::ExitCode;

fn main() -> ExitCode {
    repack::main(std::env::args_os()).into()
}
