//! Threads for actors: each plan, receiver and publisher has one, so that none can block another.

use actix::Arbiter;
use actix::ArbiterHandle;

/// A thread that runs actors until it is dropped.
#[derive(Debug)]
pub struct Thread(Arbiter);

impl Thread {
    /// Starts a thread; the caller runs in an actix system.
    #[must_use]
    pub fn start() -> Self {
        Self(Arbiter::new())
    }

    /// Where to start actors.
    #[must_use]
    pub fn handle(&self) -> ArbiterHandle {
        self.0.handle()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // It has ended already when the whole system ends.
        let _ = self.0.stop();
    }
}
