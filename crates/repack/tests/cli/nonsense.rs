//! Mutated tarballs: some thousand ways to be wrong, none of which the reader falls over. `make fuzz`
//! goes on where this ends. `REPACK_SEED` repeats a run.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use tar::Header;

use crate::tarball::{Tarball, vendor, zstd};

const ROUNDS: usize = 4000;

/// xorshift64*: repeatable, and enough to choose by.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % limit
    }
}

/// Well-formed ones of every shape, and those that `make fuzz` starts from.
fn seeds() -> Vec<Vec<u8>> {
    let inner = zstd(&vendor().bytes());
    let extended = Tarball::new()
        .share()
        .pax("my-1/bin/mysqld", "size", "6", b"server")
        .file(&format!("my-1/{}", "long/".repeat(60)), 0o755, b"")
        .promising(tar::EntryType::GNUSparse, 512, &[0; 512]);
    let mut seeds = vec![
        vendor().bytes(),
        extended.bytes(),
        Tarball::new()
            .file("mysql-8.tar.zst", 0o644, &inner)
            .bytes(),
    ];
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/read");
    for entry in fs::read_dir(directory).unwrap() {
        seeds.push(fs::read(entry.unwrap().path()).unwrap());
    }
    seeds
}

fn mutate(bytes: &mut Vec<u8>, chance: &mut Chance) {
    const ODD: &[&[u8]] = &[
        b"",
        b"0",
        b"7777777",
        b"..",
        b"/",
        b"\xff\xff",
        b"=",
        b"L",
        b"x",
        b"S",
    ];
    for _ in 0..=chance.below(6) {
        let (at, end) = (chance.below(bytes.len()), chance.below(bytes.len()));
        match chance.below(5) {
            0 => bytes[at] ^= 1 << chance.below(8),
            1 => bytes[at] = 0,
            2 => {
                let odd = ODD[chance.below(ODD.len())];
                let end = (at + odd.len()).min(bytes.len());
                bytes.splice(at..end, odd.iter().copied());
            }
            // A block more, or less.
            3 => {
                let block: Vec<u8> = bytes
                    .iter()
                    .skip(end / 512 * 512)
                    .take(512)
                    .copied()
                    .collect();
                bytes.splice(at / 512 * 512..at / 512 * 512, block);
            }
            _ if chance.below(8) == 0 && at > 0 => bytes.truncate(at),
            _ => bytes[at] = b'0' + u8::try_from(chance.below(10)).unwrap(),
        }
    }
}

/// Makes the headers' checksums right again, so that what is behind them is reached.
fn repair(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            let mut header = Header::from_byte_slice(block).clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
    }
}

#[test]
fn mutated_tarballs_are_accepted_or_refused_and_nothing_else() {
    #[expect(clippy::disallowed_methods, reason = "to repeat a run")]
    let asked = std::env::var("REPACK_SEED").ok();
    let seed = asked.map_or(0x5eed, |seed| seed.parse().unwrap());
    let _ = writeln!(io::stderr(), "REPACK_SEED={seed}");
    let (seeds, mut chance) = (seeds(), Chance(seed));
    let mut accepted = 0;
    for round in 0..ROUNDS {
        let mut bytes = seeds[chance.below(seeds.len())].clone();
        if round >= seeds.len() {
            mutate(&mut bytes, &mut chance);
        }
        if chance.below(8) > 0 {
            repair(&mut bytes);
        }
        accepted += usize::from(repack::accepts(&bytes));
    }
    // Otherwise nearly all stop at the first check, and the others are never seen.
    assert!(accepted > ROUNDS / 20, "{accepted} accepted");
    assert!(accepted < ROUNDS * 19 / 20, "{accepted} accepted");
}
