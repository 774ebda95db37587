//! What `repack` and `builder` both need to read a server's tarball. One place for it, so that the two
//! agree on what they accept.

mod ahead;
pub mod member;
mod members;
mod worker;

pub use ahead::Ahead;
pub use members::Members;
pub use worker::{IN_FLIGHT, Worker};
