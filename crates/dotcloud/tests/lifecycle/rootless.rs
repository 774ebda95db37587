//! Containers of an ordinary user: the same from inside as root's, for every verb, and what an ordinary
//! user gets where there can be none.

pub(crate) const RUNTIME: crate::world::Runtime = crate::world::Runtime::Rootless;

#[path = "hostile.rs"]
mod hostile;
#[path = "isolation.rs"]
mod isolation;
#[path = "leftovers.rs"]
mod leftovers;
#[path = "moved.rs"]
mod moved;
#[path = "namespaces.rs"]
mod namespaces;
