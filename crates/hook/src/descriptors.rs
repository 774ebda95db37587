//! What whoever started us has open stays with us: programs that we start get their standard streams,
//! and what is handed to them on purpose later.

/// The first that is not a standard stream.
const FIRST: i32 = 3;

/// Lets no program that we start have anything that is open now, but for the standard streams. To be
/// called first.
pub fn keep_descriptors() {
    // One system call, and where the kernel has none a walk through those that are open.
    close_fds::set_fds_cloexec(FIRST, &[]);
}
