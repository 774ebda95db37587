//! gzip in the independent members that repack writes (docs/repack.md, "The format of the result"),
//! inflated by several threads and given in order. Refuses a member that is not as its header says;
//! holds a few members a thread, never more than 1 MiB of each.

use std::io::{self, BufRead, Read};
use std::num::NonZero;

use flate2::Crc;
use libdeflater::Decompressor;

use crate::member::{self, DATA_AT, MARK_AT, PLAIN, SIZE_AT, TRAILER};
use crate::{IN_FLIGHT, Worker};

const GONE: &str = "an inflating thread has ended";

/// The largest a member can be: deflate grows what it cannot shrink by less than a sixteenth.
const LARGEST: usize = PLAIN + PLAIN / 16;

/// What the members of `input` inflate to. Ends for good with the first error.
pub struct Members<R> {
    input: R,
    workers: Vec<Worker<Passed>>,
    /// Who has the next member. They take turns, so members come back in order.
    turn: usize,
    current: Member,
    /// How much of the current one was consumed.
    consumed: usize,
    /// Nothing more is given to the workers: the input ended, or it failed.
    ended: bool,
}

#[derive(Default)]
struct Member {
    /// From behind the header's size on.
    packed: Vec<u8>,
    plain: Vec<u8>,
}

/// Failures travel with the members, so that they are told in their place.
type Passed = io::Result<Member>;

impl<R: BufRead> Members<R> {
    /// With `threads` threads of their own.
    pub fn new(input: R, threads: NonZero<usize>) -> io::Result<Self> {
        let workers = (0..threads.get()).map(|_| worker());
        let mut members = Self {
            input,
            workers: workers.collect::<io::Result<_>>()?,
            turn: 0,
            current: Member::default(),
            consumed: 0,
            ended: false,
        };
        for _ in 0..IN_FLIGHT {
            for turn in 0..threads.get() {
                members.give(turn, Member::default())?;
            }
        }
        Ok(members)
    }

    /// Makes the next member the current one; `false` if there is none.
    fn advance(&mut self) -> io::Result<bool> {
        let turn = self.turn;
        let worker = self
            .workers
            .get_mut(turn)
            .ok_or_else(|| io::Error::other(GONE))?;
        if worker.in_flight() == 0 {
            return Ok(false);
        }
        let next = worker
            .take()
            .flatten()
            .inspect_err(|_| self.workers.clear())?;
        let used = std::mem::replace(&mut self.current, next);
        self.consumed = 0;
        self.give(turn, used)?;
        self.turn = (turn + 1) % self.workers.len();
        Ok(true)
    }

    /// Reads the next member into the buffers of `used` and gives it to the worker `turn`.
    fn give(&mut self, turn: usize, mut used: Member) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        match read_member(&mut self.input, &mut used.packed) {
            Ok(true) => self.workers[turn].give(Ok(used)),
            Ok(false) => {
                self.ended = true;
                Ok(())
            }
            Err(error) => {
                self.ended = true;
                self.workers[turn].give(Err(error))
            }
        }
    }
}

impl<R: BufRead> BufRead for Members<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.consumed == self.current.plain.len() && self.advance()? {}
        Ok(&self.current.plain[self.consumed..])
    }

    fn consume(&mut self, amount: usize) {
        self.consumed += amount;
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// Reads a member into `packed`; `false` at the proper end of `input`.
fn read_member(input: &mut impl BufRead, packed: &mut Vec<u8>) -> io::Result<bool> {
    if input.fill_buf()?.is_empty() {
        return Ok(false);
    }
    let mut header = [0; DATA_AT];
    read_exact(input, &mut header)?;
    if !member::begins(&header) {
        return Err(invalid("something else follows the gzip members of repack"));
    }
    let mut size = [0; size_of::<u32>()];
    size.copy_from_slice(&header[SIZE_AT..MARK_AT]);
    let size = u32::from_le_bytes(size) as usize;
    if !(DATA_AT + TRAILER..=LARGEST).contains(&size) {
        return Err(not_as_recorded());
    }
    packed.resize(size - DATA_AT, 0);
    read_exact(input, packed)?;
    Ok(true)
}

/// As the trait's, in the words of other decoders for a file that was cut.
fn read_exact(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<()> {
    input
        .read_exact(buffer)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::ErrorKind::UnexpectedEof.into(),
            _ => error,
        })
}

/// Inflates it. Its trailer is where the recorded size says, so a size that lies is found out.
fn inflate(decompressor: &mut Decompressor, member: &mut Member) -> io::Result<()> {
    let Member { packed, plain } = member;
    let (data, trailer) = packed.split_at(packed.len() - TRAILER);
    let (crc, length) = trailer.split_at(size_of::<u32>());
    plain.resize(PLAIN, 0);
    let inflated = decompressor.deflate_decompress(data, plain);
    plain.truncate(inflated.map_err(|_| not_as_recorded())?);
    let same = |value: u32, recorded: &[u8]| value.to_le_bytes() == recorded;
    let right = u32::try_from(plain.len()).is_ok_and(|value| same(value, length));
    if right && same(crc32(plain), crc) {
        Ok(())
    } else {
        Err(not_as_recorded())
    }
}

/// By zlib-rs: libdeflate's is no faster here and would be in the executable besides.
fn crc32(plain: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(plain);
    crc.sum()
}

fn not_as_recorded() -> io::Error {
    invalid("a gzip member is not what it records about itself")
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn worker() -> io::Result<Worker<Passed>> {
    let mut decompressor = Decompressor::new();
    Worker::start("inflate", GONE, move |member: Passed| {
        Some(member.and_then(|mut member| {
            inflate(&mut decompressor, &mut member)?;
            Ok(member)
        }))
    })
}

#[cfg(test)]
mod tests {
    use libdeflater::{CompressionLvl, Compressor};

    use super::*;

    fn packed(plain: &[u8], length: usize) -> Vec<Vec<u8>> {
        plain.chunks(length).map(pack).collect()
    }

    fn pack(plain: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::fastest());
        let mut packed = Vec::new();
        member::pack(&mut compressor, plain, &mut packed).unwrap();
        packed
    }

    fn inflated(bytes: &[u8], threads: usize) -> (Vec<u8>, Option<String>) {
        let mut members = Members::new(bytes, NonZero::new(threads).unwrap()).unwrap();
        let mut plain = Vec::new();
        let error = members.read_to_end(&mut plain).err();
        (plain, error.map(|error| error.to_string()))
    }

    fn sample(length: usize) -> Vec<u8> {
        let numbers = (0_u32..).map(|n| n.wrapping_mul(2_654_435_761) >> 20);
        numbers.flat_map(u32::to_le_bytes).take(length).collect()
    }

    #[test]
    fn members_by_any_number_of_threads_are_the_same() {
        for (length, member) in [(1, PLAIN), (3 * PLAIN + 5, PLAIN), (100_000, 999)] {
            let plain = sample(length);
            let bytes = packed(&plain, member).concat();
            assert!(member::begins(&bytes));
            for threads in [1, 2, 3, 16] {
                let (inflated, error) = inflated(&bytes, threads);
                assert!(inflated == plain, "{length} by {threads}");
                assert_eq!(error, None);
            }
        }
    }

    #[test]
    fn members_that_lie_are_told_after_those_before_them() {
        let plain = sample(50_000);
        let good = packed(&plain, 10_000);
        let lie = "a gzip member is not what it records about itself";
        let other = "something else follows the gzip members of repack";
        let end = "unexpected end of file";
        let sized = |size: u32| {
            let mut member = good[3].clone();
            member[SIZE_AT..MARK_AT].copy_from_slice(&size.to_le_bytes());
            member
        };
        let honest = u32::try_from(good[3].len()).unwrap();
        let with = |at: usize| {
            let mut member = good[3].clone();
            member[at] ^= 1;
            member
        };
        let length = good[3].len();
        let larger = pack(&sample(PLAIN + 1));
        let mut both = good[3].clone();
        both.extend(&good[4]);
        let size = u32::try_from(both.len()).unwrap();
        both[SIZE_AT..MARK_AT].copy_from_slice(&size.to_le_bytes());
        let cases = [
            (sized(0), lie, "no room for a trailer"),
            (sized(34), lie, "no room for a trailer"),
            (sized(u32::MAX), lie, "as large as the field allows"),
            (sized(honest - 1), lie, "a byte short"),
            (sized(honest + 1), lie, "a byte of the next member"),
            (sized(1 << 20), end, "beyond the end of the file"),
            (both, lie, "the next member swallowed whole"),
            (larger, lie, "more than a member may inflate to"),
            (with(DATA_AT + 9), lie, "other data"),
            (with(length - 8), lie, "another checksum"),
            (with(length - 4), lie, "another length"),
            (with(0), other, "no gzip"),
            (with(20), other, "no mark"),
            (
                good[3][..26].to_vec(),
                other,
                "the next member in the header",
            ),
        ];
        for (member, text, reason) in cases {
            let bytes = [&good[..3].concat()[..], &member, &good[4]].concat();
            for threads in [1, 2, 16] {
                let (inflated, error) = inflated(&bytes, threads);
                assert_eq!(error.as_deref(), Some(text), "{reason}");
                assert!(inflated == plain[..30_000], "{reason} by {threads}");
            }
        }
    }

    #[test]
    fn members_cut_anywhere_are_not_taken_for_whole() {
        let members = packed(&sample(3_000), 1_000);
        let bytes = members.concat();
        let ends: Vec<usize> = (1..3).map(|n| members[..n].concat().len()).collect();
        for cut in (1..bytes.len()).filter(|cut| !ends.contains(cut)) {
            let (_, error) = inflated(&bytes[..cut], 2);
            assert_eq!(error.as_deref(), Some("unexpected end of file"), "at {cut}");
        }
    }

    #[test]
    fn members_after_an_error_give_nothing_more() {
        let mut bytes = packed(&sample(9_000), 1_000);
        bytes[1][SIZE_AT] ^= 1;
        let bytes = bytes.concat();
        let mut members = Members::new(&bytes[..], NonZero::<usize>::MIN).unwrap();
        members.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(members.read(&mut [0]).is_err(), "not an end");
    }
}
