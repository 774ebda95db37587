//! The dotCloud platform on one machine: what happens between `dotcloud push` and a service that
//! answers. Follows the platform's contract (docs/platform.md); knows no MySQL.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests make what services make")
)]

mod account;
mod application;
mod aside;
mod backup;
mod beneath;
mod build;
mod build_file;
mod cli;
mod commands;
mod console;
mod container;
mod deploy;
mod deployment_log;
mod environment;
mod error;
mod files;
mod follow;
mod gateway;
mod group;
mod handover;
mod hook_run;
mod image;
mod launch;
mod ledger;
mod lines;
mod listeners;
mod log_file;
mod orphans;
mod ownership;
mod platform;
mod ports;
mod project;
mod revisions;
mod revive;
mod runtime;
mod scaling;
mod side_by_side;
mod since;
mod snapshot;
mod stage;
mod store;
mod supervisor;
mod system_packages;
mod tail;
mod terminal;
mod uids;
mod upload;
mod usage;
mod wiring;

pub use commands::main;
