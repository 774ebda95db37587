//! Memory stays bounded whatever the input's size: a generated tarball is piped through the built
//! executable, and its peak is what Linux says. `REPACK_BYTES` makes the input larger than 600 MB.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test may fail it; clippy exempts the test functions only"
)]

use std::fs;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tar::{Builder, EntryType, Header};

const MIB: u64 = 1 << 20;
const THREADS: u64 = 2;
/// As design and docs/repack.md have it.
const BOUND: u64 = (64 + 16 * THREADS) * MIB;
/// The same with the window of zstd.
const ZST_BOUND: u64 = BOUND + 104 * MIB;

/// Bytes that no dictionary used here compresses, again and again.
struct Noise {
    bytes: Vec<u8>,
    at: usize,
}

impl Noise {
    fn new() -> Self {
        // A linear congruential generator's upper halves.
        let mut state: u64 = 1;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 32).to_le_bytes()
        };
        let bytes = std::iter::repeat_with(|| next()[..4].to_vec())
            .take(1_500_000)
            .flatten()
            .collect();
        Self { bytes, at: 0 }
    }
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.bytes[self.at..]).read(buffer)?;
        self.at = (self.at + read) % self.bytes.len();
        Ok(read)
    }
}

fn append(tar: &mut Builder<ChildStdin>, name: &str, size: u64, content: impl Read) {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o755);
    header.set_mtime(0);
    header.set_size(size);
    tar.append_data(&mut header, format!("my-1/{name}"), content.take(size))
        .unwrap();
}

/// Writes a tarball of `total` bytes: a large executable, noise and zeros to keep, of which there are
/// `kept` bytes, and a test suite of many files.
fn generate(stdin: ChildStdin, total: u64, kept: u64) {
    let (mut tar, mut noise) = (Builder::new(stdin), Noise::new());
    let executable = io::Cursor::new(b"\x7fELF").chain(noise.by_ref());
    append(&mut tar, "bin/mysqld", kept / 2, executable);
    append(&mut tar, "lib/noise", kept / 4, noise.by_ref());
    append(&mut tar, "lib/zeros", kept / 4, io::repeat(0));
    let file = 256 << 10;
    for n in 0..(total - kept) / file {
        append(&mut tar, &format!("mysql-test/t/{n}"), file, noise.by_ref());
    }
    for needed in ["english/errmsg.sys", "charsets/Index.xml"] {
        append(&mut tar, &format!("share/{needed}"), 0, io::empty());
    }
    tar.into_inner().unwrap().flush().unwrap();
}

/// The most memory the process had resident so far (proc(5), `VmHWM`); `None` once it has ended.
fn peak(process: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

/// Runs repack with `format` and `level` on a generated tarball and returns its peak.
fn measure(format: &str, level: u32, total: u64, kept: u64) -> u64 {
    let arguments = ["--format", format, "--level", &level.to_string()];
    let directory = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let mut process = Command::new(env!("CARGO_BIN_EXE_repack"))
        .args(["-", "-o", "out", "--threads", &THREADS.to_string()])
        .args(arguments)
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = process.stdin.take().unwrap();
    let generator = std::thread::spawn(move || generate(stdin, total, kept));
    let mut most = 0;
    while process.try_wait().unwrap().is_none() {
        most = most.max(peak(&process).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = process.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    generator.join().unwrap();
    let _ = writeln!(
        io::stderr(),
        "{format} {level}: {} MB in, {} MB kept, peak {} MiB, {} s",
        total / 1_000_000,
        kept / 1_000_000,
        most / MIB,
        start.elapsed().as_secs(),
    );
    most
}

fn total() -> u64 {
    // The only place that reads the environment: an integration test has no snapshot of it.
    #[expect(clippy::disallowed_methods, reason = "asked for by `make torture`")]
    let asked = std::env::var("REPACK_BYTES");
    asked.map_or(600_000_000, |bytes| bytes.parse().unwrap())
}

#[test]
fn memory_of_every_format_is_bounded_whatever_the_size() {
    let total = total();
    let gz = measure("gz", 6, total, total / 6);
    assert!(gz <= BOUND, "gz: {gz}");
    let zst = measure("zst", 3, total, total / 2);
    assert!(zst <= ZST_BOUND, "zst: {zst}");
    // xz is slow; a few times what all threads have in work is enough to fill every queue.
    let xz = measure("xz", 6, total, 20_000_000 + total / 600);
    assert!(xz <= BOUND, "xz: {xz}");
}

/// Just more than the window.
#[test]
fn memory_of_the_upmost_level_of_zst_is_bounded() {
    let zst = measure("zst", 12, 160_000_000, 150_000_000);
    assert!(zst <= ZST_BOUND, "zst: {zst}");
}
