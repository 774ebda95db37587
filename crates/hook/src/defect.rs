//! What happens when our own code panics: said, and the process ends with a status of its own,
//! whichever thread it was. Nothing is unwound; executables built for release cannot.

use std::io::Write;
use std::panic::{set_hook, take_hook};
use std::process::exit;

use crate::ExitStatus;

/// From here on a defect of `program` ends the process with [`ExitStatus::Bug`].
#[expect(
    clippy::disallowed_methods,
    reason = "whatever could be dropped is in an unknown state"
)]
pub fn watch_for_defects(program: &'static str) {
    let say_where = take_hook();
    set_hook(Box::new(move |defect| {
        say_where(defect);
        // Not eprintln!, which panics on a closed stream.
        let _ = writeln!(
            std::io::stderr(),
            "{program}: error: {program} stopped at a defect of its own\n  next: report it with the \
             lines above"
        );
        exit(ExitStatus::Bug as i32);
    }));
}
