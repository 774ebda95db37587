//! Real servers under kills, full disks and rivals: whatever happens, the next start is complete and
//! secure, and no row is lost. `MOD_POINTS` and `MOD_SEED` say how often and where.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "clippy's allowance for tests does not reach their helpers"
)]

mod check;
mod committed;
mod disk_full;
mod host;
mod killed;
mod memory;
mod options;
#[path = "../real/mod.rs"]
mod real;
mod stopped;
#[path = "../real/writer.rs"]
mod writer;
use testbed::{points, sandbox};
