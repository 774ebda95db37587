//! Prunes a MySQL, Percona Server or MariaDB binary tarball in one streaming pass. Reads the
//! input only; writes one file, under its name only when it is complete and checked.

mod archive;
mod blocks;
mod check;
mod cli;
mod codec;
mod compress;
mod content;
mod entry;
mod error;
mod fetch;
mod frame;
mod input;
#[cfg(test)]
mod layouts;
mod members;
mod minimal;
mod name;
mod needs;
mod nonsense;
mod output;
mod pax;
mod progress;
mod prune;
mod refusal;
mod repack;
mod report;
mod rules;
mod size;
mod stdout;
mod stream;
mod strip;
mod summary;
mod tree;
mod wrapper;

pub use cli::main;
pub use fetch::{NotFetched, Sources, fetch_release};
pub use nonsense::accepts;
