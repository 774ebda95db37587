//! Any bytes as a tarball: refused with an error that can be shown, or pruned into a sound archive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tar::Header;

fuzz_target!(|bytes: &[u8]| {
    let _ = repack::accepts(bytes);
    // A fuzzer does not find checksums by itself.
    let mut repaired = bytes.to_vec();
    for block in repaired.chunks_exact_mut(512) {
        let mut header = Header::from_byte_slice(block).clone();
        header.set_cksum();
        if block[257..262] == *b"ustar" {
            block.copy_from_slice(header.as_bytes());
        }
    }
    let _ = repack::accepts(&repaired);
});
