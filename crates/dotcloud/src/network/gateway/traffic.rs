//! What passed a public port: counted as it passes, kept by the minute for hours and by the hour for
//! a month, in one file of bounded size, which a relay that is started again goes on with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Of six hours.
const MINUTES: usize = 6 * 60;
/// Of a month.
const HOURS: usize = 31 * 24;

/// Counted by every thread of a relay.
#[derive(Debug, Default)]
pub(super) struct Counters {
    connections: AtomicU64,
    closed: AtomicU64,
    /// From clients, from instances.
    bytes: [AtomicU64; 2],
}

impl Counters {
    pub(super) fn opened(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// What `end` sent: the client, 0, or the instance, 1.
    pub(super) fn add(&self, end: usize, length: usize) {
        self.bytes[end].fetch_add(length as u64, Ordering::Relaxed);
    }

    pub(super) fn open(&self) -> u64 {
        let closed = self.closed.load(Ordering::Relaxed);
        self.connections
            .load(Ordering::Relaxed)
            .saturating_sub(closed)
    }

    pub(super) fn amount(&self) -> Amount {
        Amount {
            connections: self.connections.load(Ordering::Relaxed),
            bytes_in: self.bytes[0].load(Ordering::Relaxed),
            bytes_out: self.bytes[1].load(Ordering::Relaxed),
        }
    }
}

/// How much passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Amount {
    pub(crate) connections: u64,
    /// From clients.
    pub(crate) bytes_in: u64,
    /// From instances.
    pub(crate) bytes_out: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, more: Self) {
        self.connections = self.connections.saturating_add(more.connections);
        self.bytes_in = self.bytes_in.saturating_add(more.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(more.bytes_out);
    }

    fn since(self, before: Self) -> Self {
        Self {
            connections: self.connections.saturating_sub(before.connections),
            bytes_in: self.bytes_in.saturating_sub(before.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(before.bytes_out),
        }
    }
}

/// What passed in the minute or hour that began then, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) begin: u64,
    #[serde(flatten)]
    pub(crate) amount: Amount,
}

/// All that is kept of a public port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traffic {
    /// Connections that are open now.
    #[serde(default)]
    pub(crate) open: u64,
    /// Since the port was made.
    #[serde(default)]
    pub(crate) total: Amount,
    #[serde(default)]
    pub(crate) minutes: Vec<Span>,
    #[serde(default)]
    pub(crate) hours: Vec<Span>,
}

impl Traffic {
    /// None where nothing was counted yet. What cannot be understood counts for nothing: it was lost
    /// with the machine's power.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// With what passed the same port another way.
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.open = self.open.saturating_add(other.open);
        self.total.add(other.total);
        for (spans, more) in [
            (&mut self.minutes, other.minutes),
            (&mut self.hours, other.hours),
        ] {
            spans.extend(more);
            spans.sort_by_key(|span| span.begin);
        }
        self
    }

    fn record(&mut self, now: u64, amount: Amount) {
        self.total.add(amount);
        add_span(&mut self.minutes, now - now % 60, amount, MINUTES);
        add_span(&mut self.hours, now - now % 3600, amount, HOURS);
    }
}

fn add_span(spans: &mut Vec<Span>, begin: u64, amount: Amount, keep: usize) {
    match spans.last_mut() {
        // Also if the clock was set back.
        Some(last) if last.begin >= begin => last.amount.add(amount),
        _ => spans.push(Span { begin, amount }),
    }
    let excess = spans.len().saturating_sub(keep);
    spans.drain(..excess);
}

/// The file of one relay.
pub(super) struct Book {
    path: PathBuf,
    kept: Traffic,
    counted: Amount,
    /// Whether the file holds what is kept.
    written: bool,
}

impl Book {
    pub(super) fn open(path: &Path) -> Self {
        let mut kept = Traffic::read(path).unwrap_or_default();
        kept.open = 0;
        Self {
            path: path.to_owned(),
            kept,
            counted: Amount::default(),
            written: false,
        }
    }

    /// Whether something was counted that is not written yet.
    pub(super) fn is_behind(&self, counters: &Counters) -> bool {
        self.differs(counters.amount(), counters.open())
    }

    fn differs(&self, amount: Amount, open: u64) -> bool {
        amount != self.counted || open != self.kept.open
    }

    /// Writes what was counted since the last time, if anything was.
    pub(super) fn write(&mut self, counters: &Counters) -> io::Result<()> {
        self.record(counters.amount(), counters.open())
    }

    /// The same of what somebody else counts, since this book was opened.
    pub(super) fn record(&mut self, amount: Amount, open: u64) -> io::Result<()> {
        if self.written && !self.differs(amount, open) {
            return Ok(());
        }
        let more = amount.since(self.counted);
        self.counted = amount;
        self.kept.open = open;
        if more != Amount::default() {
            self.kept.record(now(), more);
        }
        let text = serde_json::to_vec(&self.kept)?;
        replace(&self.path, &text)?;
        self.written = true;
        Ok(())
    }
}

/// Whole or not at all, but not synced: a few seconds of counts are not worth a server's writes.
pub(super) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    durable::rename_unsynced(&beside, path)
}

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(connections: u64) -> Amount {
        Amount {
            connections,
            bytes_in: 10 * connections,
            bytes_out: 100 * connections,
        }
    }

    #[test]
    fn traffic_is_kept_by_minute_and_hour_in_bounds() {
        let mut traffic = Traffic::default();
        for minute in 0..40 * 24 * 60 {
            traffic.record(minute * 60 + 7, amount(1));
        }
        assert_eq!(traffic.total, amount(40 * 24 * 60));
        assert_eq!(traffic.minutes.len(), MINUTES);
        assert_eq!(traffic.hours.len(), HOURS);
        let last = traffic.hours.last().unwrap();
        assert_eq!((last.begin % 3600, last.amount), (0, amount(60)));
        // A clock that was set back loses nothing.
        traffic.record(0, amount(1));
        assert_eq!(traffic.hours.last().unwrap().amount, amount(61));
        let size = serde_json::to_vec(&traffic).unwrap().len();
        assert!(size < 128 << 10, "{size}");
    }

    #[test]
    fn traffic_of_two_ways_is_summed() {
        let (mut one, mut other) = (Traffic::default(), Traffic::default());
        one.record(60, amount(1));
        one.record(180, amount(2));
        other.record(120, amount(4));
        other.open = 3;
        let both = one.with(other);
        assert_eq!((both.open, both.total), (3, amount(7)));
        let begins: Vec<u64> = both.minutes.iter().map(|span| span.begin).collect();
        assert_eq!(begins, [60, 120, 180]);
    }

    #[test]
    fn book_goes_on_where_it_was_and_survives_damage() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("traffic.json");
        for round in 1..=2 {
            let counters = Counters::default();
            let mut book = Book::open(&path);
            counters.opened();
            counters.add(0, 5);
            counters.add(1, 7);
            book.write(&counters).unwrap();
            book.write(&counters).unwrap();
            let found = Traffic::read(&path).unwrap();
            assert_eq!(found.total.connections, round);
            assert_eq!(
                (found.total.bytes_in, found.total.bytes_out),
                (5 * round, 7 * round)
            );
            assert_eq!(found.open, 1);
        }
        fs::write(&path, "{").unwrap();
        assert_eq!(Traffic::read(&path), None);
        let mut book = Book::open(&path);
        book.write(&Counters::default()).unwrap();
        assert_eq!(Traffic::read(&path).unwrap().total.connections, 0);
    }
}
