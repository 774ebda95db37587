//! A thread that works on what it is given, in order. Several of them, taking turns, keep the order too:
//! what compresses and what inflates gzip members works like this.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// What a worker may have at a time: one in work, one waiting, so that it never waits itself.
pub const IN_FLIGHT: usize = 2;

/// Ends its thread when it is dropped.
pub struct Worker<T> {
    todo: SyncSender<T>,
    done: Receiver<T>,
    in_flight: usize,
    gone: &'static str,
}

impl<T: Send + 'static> Worker<T> {
    /// Starts a thread of that name; `work` ends it with `None`. `gone` is the error's text where it has ended.
    pub fn start(
        name: &str,
        gone: &'static str,
        work: impl FnMut(T) -> Option<T> + Send + 'static,
    ) -> io::Result<Self> {
        let (todo, given) = sync_channel(IN_FLIGHT);
        let (finished, done) = sync_channel(IN_FLIGHT);
        thread::Builder::new().name(name.into()).spawn(move || {
            for one in given.into_iter().map_while(work) {
                if finished.send(one).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            todo,
            done,
            in_flight: 0,
            gone,
        })
    }

    /// How many were given and not taken back. More than [`IN_FLIGHT`] may block.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Gives it one more. Fails if the thread has ended.
    pub fn give(&mut self, one: T) -> io::Result<()> {
        self.in_flight += 1;
        let gone = self.gone;
        self.todo.send(one).map_err(|_| io::Error::other(gone))
    }

    /// Waits for the oldest that was given. Fails if the thread has ended.
    pub fn take(&mut self) -> io::Result<T> {
        self.in_flight -= 1;
        let gone = self.gone;
        self.done.recv().map_err(|_| io::Error::other(gone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_gives_back_in_order_and_its_end_has_exact_text() {
        let work = |one: u8| one.checked_sub(1);
        let mut worker = Worker::start("test", "it has ended", work).unwrap();
        worker.give(7).unwrap();
        worker.give(3).unwrap();
        assert_eq!(worker.in_flight(), IN_FLIGHT);
        assert_eq!((worker.take().unwrap(), worker.take().unwrap()), (6, 2));
        worker.give(0).unwrap();
        assert_eq!(worker.take().unwrap_err().to_string(), "it has ended");
        assert_eq!(worker.in_flight(), 0);
    }
}
