//! TERM, INT and HUP while a program runs for us: it is to end before we do, or it would go on
//! behind the platform's back, on data that is about to move. At any other moment the signals keep
//! their default action: all we write is safe to interrupt.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::emulate_default_handler;

static WATCH: OnceLock<Watch> = OnceLock::new();

/// What the signal handlers share with us.
struct Watch {
    /// No program runs for us: a signal has its default action.
    idle: Arc<AtomicBool>,
    /// The signal that came while one did, else 0.
    signal: Arc<AtomicUsize>,
}

/// From now on TERM, INT and HUP end the programs that run for us.
pub(crate) fn watch() -> io::Result<()> {
    let watch = WATCH.get_or_init(|| Watch {
        idle: Arc::new(AtomicBool::new(true)),
        signal: Arc::new(AtomicUsize::new(0)),
    });
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        // In this order: the default action is the end of us.
        let number = usize::try_from(signal).unwrap_or_default();
        flag::register_usize(signal, Arc::clone(&watch.signal), number)?;
        flag::register_conditional_default(signal, Arc::clone(&watch.idle))?;
    }
    Ok(())
}

/// Is anybody watching? Only then may a program be taken out of our process group, in which a
/// terminal's INT would have reached it.
pub(crate) fn is_watched() -> bool {
    WATCH.get().is_some()
}

/// How many programs run for us.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// As long as one exists, a signal is remembered instead of ending us.
#[derive(Debug)]
pub struct Busy(());

impl Busy {
    /// Another one.
    #[must_use]
    pub fn new() -> Self {
        RUNNING.fetch_add(1, Ordering::SeqCst);
        Self::set_idle(false);
        Self(())
    }

    fn set_idle(idle: bool) {
        if let Some(watch) = WATCH.get() {
            watch.idle.store(idle, Ordering::SeqCst);
        }
    }
}

impl Default for Busy {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if RUNNING.fetch_sub(1, Ordering::SeqCst) == 1 {
            Self::set_idle(true);
        }
    }
}

/// The signal that was remembered: TERM, INT or HUP that came while a program ran for us.
#[must_use]
pub fn signal() -> Option<i32> {
    let number = WATCH.get()?.signal.load(Ordering::SeqCst);
    i32::try_from(number).ok().filter(|number| *number != 0)
}

/// Ends this process as `signal` would have, so that whoever sent it sees that it did.
pub fn end_by(signal: i32) {
    let _ = emulate_default_handler(signal);
}
