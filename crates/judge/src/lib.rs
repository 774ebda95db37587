//! What a file is that should be a server's tarball, in the same words for everyone who reads one. Told by
//! its bytes, never by its name; nothing is unpacked, inflated or run here.

mod contents;
mod failure;
mod format;

pub use contents::{Contents, NoServer};
pub use failure::{cause, is_memory_limit};
pub use format::{Codec, Foreign, Format, NoTarball, is_archive};

/// What inflating may take: `xz -9` needs 65 MiB, `zstd --long=27` a window of 128.
pub const INFLATE_MEMORY: u64 = 128 << 20;
/// The same for zstd: the window's size, as a power of two.
pub const ZSTD_WINDOW: u32 = 27;
/// What a tarball may inflate to, unless told otherwise. The largest known has 3 GB.
pub const MAX_SIZE: u64 = 32 << 30;
