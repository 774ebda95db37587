//! The main job on real servers: push, query, push again, kill, fail, scale, destroy.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

mod backup;
mod committed;
mod connections;
mod executables;
mod instances;
mod killed;
mod main_job;
mod make_run;
mod pruned;
mod readme;
mod text;
mod world;
#[path = "../../../starttest/tests/real/writer.rs"]
mod writer;
use testbed::points;
