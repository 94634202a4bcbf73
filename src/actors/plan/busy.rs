//! Since when a plan is at an entry, for whoever watches from another thread.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::actors::clock;

/// Since when a plan is at an entry.
#[derive(Debug, Default)]
pub struct Busy {
    /// Microseconds of the clock that only goes forward; 0 while it is at none.
    since: AtomicU64,
}

impl Busy {
    /// An entry begins.
    pub fn begin(&self) {
        let now = u64::try_from(clock::elapsed().as_micros()).unwrap_or(u64::MAX);
        self.since.store(now.max(1), Ordering::Relaxed);
    }

    /// The entry is done with.
    pub fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// Since when the plan is at its entry, by the clock that only goes forward; `None` if it is at
    /// none.
    #[must_use]
    pub fn since(&self) -> Option<Duration> {
        let since = self.since.load(Ordering::Relaxed);
        (since > 0).then(|| Duration::from_micros(since))
    }
}
