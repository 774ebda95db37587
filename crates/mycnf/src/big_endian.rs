//! Numbers in the files of InnoDB and `MyISAM`, whose highest byte comes first.

/// The number of `length` bytes at `at`; `None` if `bytes` end before.
pub(crate) fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}
