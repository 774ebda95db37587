//! What the tests of several crates share. A dev-dependency only: no executable of ours has any of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    reason = "a helper of tests panics where a test would"
)]

pub mod cgroup;
pub mod fake;
pub mod points;
pub mod sandbox;
