//! The connections of one store: how many there may be, who waits for one, which still work.

use std::fmt;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use crate::store::Kind;
use crate::store::StoreError;
use crate::store::driver::Driver;
use crate::telemetry::stores::StoreFigures;

/// Makes a connection; blocks.
type Open = Box<dyn Fn() -> Result<Box<dyn Driver>, StoreError> + Send + Sync>;

/// What holds for the connections of a store.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Open at once.
    pub connections_max: usize,
    /// How long one is waited for when all are in use.
    pub wait_max: Duration,
    /// How one at rest is tried before it is used; `None`: it is not.
    pub validation_query: Option<String>,
    /// One that was tried or used in this time is not tried again.
    pub validation_interval: Duration,
}

/// The connections of one store.
pub(super) struct Pool {
    name: String,
    limits: Limits,
    open: Open,
    figures: StoreFigures,
    state: Mutex<State>,
    /// Told when a connection came back or its place became free.
    freed: Condvar,
}

#[derive(Default)]
struct State {
    /// The one used last is the first to be used again, so that the others can be seen to rest.
    resting: Vec<Resting>,
    /// Lent ones, those being made, and resting ones.
    count: usize,
}

struct Resting {
    driver: Box<dyn Driver>,
    since: Instant,
}

impl fmt::Debug for Pool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pool of {}", self.name)
    }
}

impl Pool {
    pub(super) fn new(name: &str, limits: Limits, open: Open, figures: StoreFigures) -> Pool {
        let name = name.to_owned();
        Pool { name, limits, open, figures, state: Mutex::default(), freed: Condvar::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Lends a connection that works as far as is known; makes one if none rests and there is room,
    /// and else waits.
    pub(super) fn borrow(&self) -> Result<Box<dyn Driver>, StoreError> {
        let until = Instant::now() + self.limits.wait_max;
        let mut state = self.state();
        loop {
            if let Some(resting) = state.resting.pop() {
                self.show(&state);
                drop(state);
                if let Some(driver) = self.tried(resting) {
                    return Ok(driver);
                }
                state = self.state();
            } else if state.count < self.limits.connections_max {
                state.count += 1;
                self.show(&state);
                drop(state);
                return self.opened();
            } else {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(self.all_in_use());
                }
                self.figures.waiting.inc();
                let waited = self.freed.wait_timeout(state, left);
                self.figures.waiting.dec();
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Takes a lent connection back. Where one is lost the resting ones are likely to be so, too,
    /// and are not kept.
    pub(super) fn give_back(&self, driver: Box<dyn Driver>, lost: bool) {
        let mut gone = Vec::new();
        let mut state = self.state();
        if lost {
            gone = std::mem::take(&mut state.resting);
            state.count -= gone.len() + 1;
            self.figures.lost.inc_by(gone.len() as u64 + 1);
        } else {
            state.resting.push(Resting { driver, since: Instant::now() });
        }
        self.show(&state);
        drop(state);
        self.freed.notify_all();
        // Closed here, where nobody waits for the lock.
        drop(gone);
    }

    fn tried(&self, resting: Resting) -> Option<Box<dyn Driver>> {
        let Resting { mut driver, since } = resting;
        let fresh = since.elapsed() < self.limits.validation_interval;
        match &self.limits.validation_query {
            Some(query) if !fresh && driver.run(query).is_err() => {
                self.figures.lost.inc();
                self.free_a_place();
                None
            }
            _ => Some(driver),
        }
    }

    /// A new connection; its place is counted already.
    fn opened(&self) -> Result<Box<dyn Driver>, StoreError> {
        let opened = (self.open)();
        match &opened {
            Ok(_) => drop(self.figures.opened.inc()),
            Err(error) => {
                self.figures.failed(error.kind.word());
                self.free_a_place();
            }
        }
        opened.map_err(|error| error.of(&self.name))
    }

    /// How it is used, to be counted by whoever uses it.
    pub(super) fn figures(&self) -> &StoreFigures {
        &self.figures
    }

    fn show(&self, state: &State) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.figures.in_use.set(number(state.count - state.resting.len()));
        self.figures.resting.set(number(state.resting.len()));
    }

    fn free_a_place(&self) {
        let mut state = self.state();
        state.count -= 1;
        self.show(&state);
        drop(state);
        self.freed.notify_one();
    }

    fn all_in_use(&self) -> StoreError {
        let Limits { connections_max, wait_max, .. } = self.limits;
        let text = format!("all {connections_max} connections were in use for {wait_max:?}");
        StoreError::new(Kind::Busy, text).of(&self.name)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic is done while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
