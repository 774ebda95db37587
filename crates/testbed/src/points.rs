//! Random points for the tests that kill, fill or replace something: as many as `MOD_POINTS` says, and
//! the same ones again with `MOD_SEED`.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// A sweep's points in `make test`; `make torture` asks for more.
const USUAL: u32 = 20;

/// A number of points, spread evenly, each at random within its share.
pub struct Sweep {
    name: String,
    seed: u64,
    points: u32,
}

impl Sweep {
    /// One point for every `share` of `MOD_POINTS`. Tells the seed.
    pub fn new(name: &str, share: u32) -> Self {
        Self::of(name, asked().unwrap_or(USUAL) / share)
    }

    /// As many points as `MOD_POINTS` says, else `usual`. Tells the seed.
    pub fn usually(name: &str, usual: u32) -> Self {
        Self::of(name, asked().unwrap_or(usual))
    }

    fn of(name: &str, points: u32) -> Self {
        let seed = setting("MOD_SEED").unwrap_or_else(|| RandomState::new().hash_one(name));
        let sweep = Self {
            name: name.to_owned(),
            seed,
            points: points.max(1),
        };
        // Not captured by the test harness.
        let _ = writeln!(io::stderr(), "{sweep}");
        sweep
    }

    /// Calls `attempt` with every point, on `threads` threads.
    pub fn each(&self, threads: usize, attempt: impl Fn(&Point) + Sync) {
        let next = AtomicU32::new(0);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= self.points {
                    return;
                }
                attempt(&self.point(index));
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }

    /// The same, one after the other on this thread.
    pub fn in_turn(&self, mut attempt: impl FnMut(&Point)) {
        for index in 0..self.points {
            attempt(&self.point(index));
        }
    }

    fn point(&self, index: u32) -> Point {
        let random = f64::from(u32::try_from(mix(self.seed, index) >> 32).unwrap());
        let within = random / f64::from(u32::MAX);
        Point {
            sweep: self.to_string(),
            index,
            fraction: (f64::from(index) + within) / f64::from(self.points),
        }
    }
}

impl std::fmt::Display for Sweep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, seed, points } = self;
        write!(f, "{name}: {points} points, MOD_SEED={seed}")
    }
}

/// One of them.
pub struct Point {
    sweep: String,
    /// From 0.
    pub index: u32,
    /// Where it is, from 0 to 1.
    pub fraction: f64,
}

impl Drop for Point {
    /// Whatever failed, these are needed to repeat it.
    fn drop(&mut self) {
        if thread::panicking() {
            let Self {
                sweep,
                index,
                fraction,
            } = self;
            let _ = writeln!(
                io::stderr(),
                "failed: {sweep}, point {index}, at {fraction:.4}"
            );
        }
    }
}

/// `SplitMix64`.
fn mix(seed: u64, index: u32) -> u64 {
    let state = seed.wrapping_add(u64::from(index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn asked() -> Option<u32> {
    setting("MOD_POINTS").map(|points| u32::try_from(points).unwrap())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no other input; make torture asks for more points, a failure is repeated"
)]
fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap())
}
