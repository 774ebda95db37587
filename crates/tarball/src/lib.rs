//! What `repack` and `builder` both need to read a server's tarball. One place for it, so that the two
//! agree on what they accept.

mod ahead;
pub mod member;
mod members;

pub use ahead::Ahead;
pub use members::Members;
