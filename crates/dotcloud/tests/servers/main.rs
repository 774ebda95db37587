//! The main job on real servers: push, query, push again, kill, fail, scale, destroy.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "helpers of tests"
)]

mod executables;
mod instances;
mod main_job;
mod make_run;
mod pruned;
mod world;
