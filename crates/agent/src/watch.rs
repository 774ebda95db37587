//! The thread that looks at the server, and what it saw last. Whoever asks gets that at once, however
//! long the server takes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::look::Eye;
use crate::place::Place;
use crate::sample::{Sample, Sampler};
use crate::verdict::{LATE, Seen, Verdict};

/// From one look to the next.
const PERIOD: Duration = Duration::from_secs(1);

/// A look takes no longer; the next one begins anew.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was seen, and what is asked for.
#[derive(Debug)]
pub(crate) struct Watch {
    place: Place,
    shared: Mutex<Shared>,
    wanted: Condvar,
}

#[derive(Debug)]
struct Shared {
    seen: Seen,
    /// Since when it is called what it is called.
    since: Instant,
    /// When it was beyond reproach last.
    good: Instant,
    /// Since when a look is going on.
    looking: Option<Instant>,
    /// Somebody waits for a sample.
    wanted: bool,
    sample: Option<Arc<Sample>>,
}

/// What is known at one moment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) seen: Seen,
    pub(crate) since: Duration,
    pub(crate) live: Verdict,
    pub(crate) ready: Verdict,
}

impl Watch {
    pub(crate) fn new(place: Place) -> Self {
        let now = Instant::now();
        Self {
            place,
            shared: Mutex::new(Shared {
                seen: Seen::Nothing,
                since: now,
                good: now,
                looking: None,
                wanted: false,
                sample: None,
            }),
            wanted: Condvar::new(),
        }
    }

    /// Looks for ever; `tell` is called whenever there is a new sample.
    pub(crate) fn run(&self, mut sampler: Sampler, tell: impl Fn()) -> ! {
        let mut eye = Eye::new(self.place.clone(), PATIENCE);
        loop {
            self.lock().looking = Some(Instant::now());
            let seen = eye.look();
            let is_wanted = {
                let mut shared = self.lock();
                shared.looking = None;
                if seen.is_alive() {
                    shared.good = Instant::now();
                }
                if shared.seen.name() != seen.name() {
                    shared.since = Instant::now();
                }
                shared.seen = seen;
                shared.wanted
            };
            if is_wanted {
                let sample = Arc::new(sampler.take(&mut eye));
                let mut shared = self.lock();
                shared.wanted = false;
                shared.sample = Some(sample);
                drop(shared);
                tell();
            }
            let shared = self.lock();
            let asked = self
                .wanted
                .wait_timeout_while(shared, PERIOD, |shared| !shared.wanted);
            drop(asked);
        }
    }

    /// Has a sample taken.
    pub(crate) fn want(&self) {
        let mut shared = self.lock();
        shared.wanted = true;
        shared.sample = None;
        self.wanted.notify_all();
    }

    /// The sample that was wanted, once it is there.
    pub(crate) fn sample(&self) -> Option<Arc<Sample>> {
        self.lock().sample.clone()
    }

    /// What is known now.
    pub(crate) fn view(&self) -> View {
        let (mut seen, since, quiet, late) = {
            let shared = self.lock();
            let late = shared.looking.map_or(Duration::ZERO, |at| at.elapsed());
            (
                shared.seen.clone(),
                shared.since.elapsed(),
                shared.good.elapsed(),
                late,
            )
        };
        if late >= LATE {
            seen = Seen::Silent(self.place.phase());
        }
        View {
            live: seen.live(quiet),
            ready: seen.ready(quiet, late),
            seen,
            since,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
