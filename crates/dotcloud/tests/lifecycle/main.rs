//! Deployments on a real supervisord, with small services: the order of the steps, what survives a
//! push, what a failure leaves, what is left at the end.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "helpers of tests"
)]

mod data;
mod env;
mod failures;
mod first_push;
mod git;
mod json;
mod killed;
mod operations;
mod revisions;
mod rollback;
mod scale;
mod state;
mod up;
mod world;
