//! Deployments on a real supervisord, with small services: the order of the steps, what survives a
//! push, what a failure leaves, what is left at the end.
#![allow(
    clippy::duplicate_mod,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests, which are there once for each runtime"
)]

mod machine;
mod mounts;
mod oci;
mod process;
mod rootless;
mod world;
use testbed::points;
