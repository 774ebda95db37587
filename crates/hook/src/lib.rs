//! The process edge of every executable here: the environment as a snapshot, narration,
//! running and becoming other programs, rendering a failure, exit statuses. Knows no MySQL.
#![warn(missing_docs)]

mod defect;
mod descriptors;
mod entry;
mod environment;
mod executable;
mod exit;
mod failure;
mod foreign;
mod hexadecimal;
mod inherit;
mod memory;
mod process;
mod report;
mod sockets;
mod stop;

pub use defect::watch_for_defects;
pub use descriptors::keep_descriptors;
pub use entry::{Program, Usage, main, main_with, with_arguments};
pub use environment::{Environment, EnvironmentError, SwitchError};
pub use executable::Executable;
pub use exit::ExitStatus;
pub use failure::{Advice, Explain, Kind, render};
pub use foreign::{Foreign, escape_controls, is_unsafe};
pub use hexadecimal::hexadecimal;
pub use inherit::Inherited;
pub use memory::{MemoryLimit, MemoryLimitError};
pub use process::{
    Background, CommandError, Finished, exec, feed, lower_open_files, run, run_into,
    start_in_foreground,
};
pub use report::Report;
pub use sockets::{LISTENING, is_listened_on, socket_tables};
pub use stop::{Busy, end_by, signal as stop_signal};
