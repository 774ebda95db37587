//! What is kept on disk: the records and their locks, containers, revisions of the code, snapshots.

pub(crate) mod container;
pub(crate) mod revisions;
pub(crate) mod snapshot;
pub(crate) mod store;
pub(crate) mod uids;
