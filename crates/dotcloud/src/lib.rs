//! The dotCloud platform on one machine: what happens between `dotcloud push` and a service that
//! answers. Follows the platform's contract (docs/platform.md); knows no MySQL.
//!
//! The rooms, in the order in which a push goes through them. Imports lead downwards only
//! (`tests/rooms.rs` holds us to it):
//!
//! 1. `commands`: the verbs, and the exit status of each
//! 2. `error`: everything a verb can fail of, and what its reader can do next
//! 3. `cli`: what is typed
//! 4. `deploy`: building, preparing and switching the containers of a deployment
//! 5. `backup`: copies of what an instance keeps
//! 6. `handover`: who owns `~/data`
//! 7. `image`: a snapshot as an image for container engines
//! 8. `network`: how a service is reached
//! 9. `service`: one running service
//! 10. `runtime`: how a container exists on this machine
//! 11. `upload`: from the pushed directory into the code store
//! 12. `state`: what is kept on disk
//! 13. `build_file`: `dotcloud.yml`
//! 14. `output`: what is said, and to whom
//! 15. `host`: the machine
//! 16. `model`: what an application is

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests make what services make")
)]

mod backup;
mod build_file;
mod cli;
mod commands;
mod deploy;
mod error;
mod handover;
mod host;
mod image;
mod model;
mod network;
mod output;
mod runtime;
mod service;
mod state;
mod upload;

pub use commands::main;
