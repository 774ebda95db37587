//! Work that can be done side by side: so many at once, in order, and nothing new after a failure.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Does `work` to every item, `workers` at once. What was begun when one failed goes on to its end.
/// Every failure, in the order in which they happened.
pub(crate) fn side_by_side<T: Sync, E: Send>(
    items: &[T],
    workers: usize,
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Vec<E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let failures = Mutex::new(Vec::new());
    let worker = || {
        while !failed.load(Ordering::Relaxed) {
            let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            if let Err(error) = work(item) {
                failed.store(true, Ordering::Relaxed);
                lock(&failures).push(error);
            }
        }
    };
    let workers = workers.clamp(1, items.len().max(1));
    if workers == 1 {
        worker();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(worker);
            }
        });
    }
    failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

/// The right to work, for so many at once.
pub(crate) struct Permits {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Permits {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            free: Mutex::new(count.max(1)),
            freed: Condvar::new(),
        }
    }

    /// Waits for one. It is free again when the value goes.
    pub(crate) fn take(&self) -> Permit<'_> {
        let mut free = lock(&self.free);
        while *free == 0 {
            free = self
                .freed
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Permit { permits: self }
    }
}

/// The right of one, given back when it is dropped.
pub(crate) struct Permit<'a> {
    permits: &'a Permits,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *lock(&self.permits.free) += 1;
        self.permits.freed.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn side_by_side_has_so_many_at_once_and_leaves_none_out() {
        let items: Vec<usize> = (0..40).collect();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let done = Mutex::new(Vec::new());
        let failures = side_by_side(&items, 3, |&item| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(1));
            done.lock().unwrap().push(item);
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<(), ()>(())
        });
        assert_eq!(failures, []);
        assert!(most.into_inner() <= 3);
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert_eq!(done, items);
    }

    #[test]
    fn side_by_side_begins_nothing_after_a_failure() {
        let begun = AtomicUsize::new(0);
        let failures = side_by_side(&[1, 2, 3, 4], 1, |&item| {
            begun.fetch_add(1, Ordering::SeqCst);
            if item == 2 { Err(item) } else { Ok(()) }
        });
        assert_eq!((failures, begun.into_inner()), (vec![2], 2));
        assert_eq!(side_by_side(&[] as &[u8], 4, |_| Err(())), []);
    }

    #[test]
    fn permits_are_free_again_when_they_are_dropped() {
        let permits = Permits::new(1);
        let first = permits.take();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| drop(permits.take()));
            drop(first);
            second.join().unwrap();
        });
        drop(permits.take());
    }
}
