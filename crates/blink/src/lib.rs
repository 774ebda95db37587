#![doc = include_str!("../README.md")]

mod cache;
mod cli;
mod client;
mod command;
mod control;
mod error;
mod home;
mod inventory;
mod options;
mod parent;
mod place;
mod release;
mod run;
mod seed;
mod server;
mod sparse;
mod variables;

pub use cli::main;
pub use client::{Blink, BlinkError, Database};
