//! A gzip member as `repack` writes it (docs/repack.md, "The format of the result"). Its header records
//! its size, so that a reader finds the next member without inflating this one.

use libdeflater::{Compressor, Crc};

/// What a member inflates to at most. Smaller costs density, larger costs memory.
pub const PLAIN: usize = 1 << 20;

/// Everything of a header but the size: deflate, with an extra field and a comment, no time, Unix.
const HEADER: &[u8] = b"\x1f\x8b\x08\x14\0\0\0\0\0\x03\x08\0IG\x04\0";
/// By it a leftover is known to be repack's.
const MARK: &[u8] = b"repack\0";
pub(crate) const SIZE_AT: usize = HEADER.len();
pub(crate) const MARK_AT: usize = SIZE_AT + size_of::<u32>();
pub(crate) const DATA_AT: usize = MARK_AT + MARK.len();
/// CRC-32 and length of what it inflates to.
pub(crate) const TRAILER: usize = 2 * size_of::<u32>();

/// Whether a file that begins with `start` is made of such members.
#[must_use]
pub fn begins(start: &[u8]) -> bool {
    start.starts_with(HEADER) && start.get(MARK_AT..DATA_AT) == Some(MARK)
}

/// Makes a whole member of `plain` in `packed`; `None` cannot happen for up to [`PLAIN`] bytes, as
/// `packed` gets room for any.
pub fn pack(compressor: &mut Compressor, plain: &[u8], packed: &mut Vec<u8>) -> Option<()> {
    let bound = compressor.deflate_compress_bound(plain.len());
    packed.resize(DATA_AT + bound + TRAILER, 0);
    let deflated = compressor
        .deflate_compress(plain, &mut packed[DATA_AT..])
        .ok()?;
    packed.truncate(DATA_AT + deflated);
    let mut crc = Crc::new();
    crc.update(plain);
    packed.extend(crc.sum().to_le_bytes());
    packed.extend(u32::try_from(plain.len()).ok()?.to_le_bytes());
    let size = u32::try_from(packed.len()).ok()?.to_le_bytes();
    packed[..SIZE_AT].copy_from_slice(HEADER);
    packed[SIZE_AT..MARK_AT].copy_from_slice(&size);
    packed[MARK_AT..DATA_AT].copy_from_slice(MARK);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::num::NonZero;

    use flate2::read::MultiGzDecoder;
    use libdeflater::CompressionLvl;

    use super::*;
    use crate::Members;

    /// `abc`, not compressed. Byte for byte, as files that were written with it are out there.
    const FIXED: &[u8] = b"\x1f\x8b\x08\x14\0\0\0\0\0\x03\x08\0IG\x04\0\x2b\0\0\0repack\0\
        \x01\x03\0\xfc\xffabc\xc2\x41\x24\x35\x03\0\0\0";

    #[test]
    fn member_of_fixed_bytes_is_written_and_read() {
        let mut packed = Vec::new();
        let stored = CompressionLvl::new(0).unwrap();
        pack(&mut Compressor::new(stored), b"abc", &mut packed).unwrap();
        assert_eq!(packed, FIXED);
        assert!(begins(FIXED));
        let ours = Members::new(FIXED, NonZero::<usize>::MIN).unwrap();
        let anyones = MultiGzDecoder::new(FIXED);
        let readers: [Box<dyn Read>; 2] = [Box::new(ours), Box::new(anyones)];
        for mut reader in readers {
            let mut plain = Vec::new();
            reader.read_to_end(&mut plain).unwrap();
            assert_eq!(plain, b"abc");
        }
    }

    #[test]
    fn begins_only_what_pack_makes() {
        let mut packed = Vec::new();
        pack(
            &mut Compressor::new(CompressionLvl::default()),
            b"x",
            &mut packed,
        )
        .unwrap();
        assert!(begins(&packed));
        assert!(!begins(&packed[..DATA_AT - 1]));
        assert!(!begins(b"text"));
        assert!(!begins(b"\x1f\x8b\x08\0\0\0\0\0\0\x03"));
    }
}
