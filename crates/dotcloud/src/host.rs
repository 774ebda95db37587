//! The machine: files, accounts, listeners, packages, and what may be trusted of it.

pub(crate) mod account;
pub(crate) mod beneath;
pub(crate) mod connect;
pub(crate) mod files;
pub(crate) mod listeners;
pub(crate) mod lock;
pub(crate) mod ownership;
pub(crate) mod stage;
pub(crate) mod supervisord;
pub(crate) mod system_packages;
pub(crate) mod timer;
