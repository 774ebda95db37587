//! Prunes a MySQL, Percona Server or MariaDB binary tarball in one streaming pass. Reads the
//! input only; writes one file, under its name only when it is complete and checked.

mod ahead;
mod cli;
mod codec;
mod compress;
mod content;
mod entry;
mod error;
mod fetch;
mod input;
mod members;
mod minimal;
mod name;
mod output;
mod progress;
mod prune;
mod refusal;
mod repack;
mod report;
mod rules;
mod stream;
mod strip;
mod summary;
mod tree;

pub use cli::main;
