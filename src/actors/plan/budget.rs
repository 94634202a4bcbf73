//! How much state a plan may have: while it has more, whoever would bring it events waits.
//!
//! How much it has follows from the plan's log, so the nodes of a pair meet the budget at the same
//! entry. What is in the log already is applied all the same; the queues before it are bounded.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;
use tracing::info;
use tracing::warn;

use crate::actors::plan::Desk;
use crate::event::Millis;
use crate::telemetry::metrics::Metrics;

/// The budget of one plan, and what it takes of it.
#[derive(Debug)]
pub struct Budget {
    /// Bytes of state that the plan may have.
    max: u64,
    bytes: AtomicU64,
    full: watch::Sender<bool>,
    shown: Gauge,
}

impl Budget {
    /// A plan that has nothing yet.
    #[must_use]
    pub fn new(max: u64, plan: &str, metrics: &Metrics) -> Self {
        metrics.state_bytes_max(plan).set(i64::try_from(max).unwrap_or(i64::MAX));
        let (full, shown) = (watch::Sender::new(false), metrics.state_bytes(plan));
        Self { max, bytes: AtomicU64::new(0), full, shown }
    }

    /// The plan has so many bytes of state now.
    pub fn weigh(&self, plan: &str, bytes: u64) {
        if self.bytes.swap(bytes, Ordering::Relaxed) == bytes {
            return;
        }
        self.shown.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let (full, max) = (bytes > self.max, self.max);
        let has_turned = self.full.send_if_modified(|was| std::mem::replace(was, full) != full);
        if has_turned && full {
            warn!(
                plan,
                bytes,
                max,
                "the plan takes no more events: its state is larger than \
                `plans.state_bytes_max`"
            );
        } else if has_turned {
            info!(plan, bytes, max, "the plan takes events again");
        }
    }

    /// Bytes of the plan's state, when it was counted last.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of state that the plan may have.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Whether the plan has more state than it may.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        *self.full.borrow()
    }

    /// Why the plan takes no events now, for people; `None` if it does.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let (bytes, max) = (self.bytes(), self.max);
        self.is_exceeded().then(|| {
            format!(
                "its state has {bytes} bytes, more than the {max} of `plans.state_bytes_max`: it \
                 takes no events until it has less"
            )
        })
    }

    /// Waits until the plan takes events.
    pub async fn room(&self) {
        let mut full = self.full.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = full.wait_for(|full| !full).await;
    }
}

impl Desk {
    /// How much state the plan may have, and has.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Tells how much state the plan has by now.
    pub(super) fn weigh(&self) {
        self.budget.weigh(&self.version.name, self.replica.tally().bytes());
    }

    /// When the state has to be counted although nothing comes: where it is too much, nothing does.
    pub(super) fn counting_due(&self) -> Option<Millis> {
        self.budget.is_exceeded().then(|| self.replica.tally().due())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_exceeded_beyond_its_last_byte_and_whoever_waits_goes_on_below() {
        let metrics = Metrics::new("test");
        let budget = Budget::new(100, "p", &metrics);
        budget.weigh("p", 100);
        assert!(!budget.is_exceeded() && budget.complaint().is_none());
        budget.weigh("p", 101);
        let complaint = budget.complaint().unwrap();
        assert!(complaint.contains("101 bytes, more than the 100 of `plans.state_bytes_max`"));
        assert_eq!(
            (metrics.state_bytes("p").get(), metrics.state_bytes_max("p").get()),
            (101, 100)
        );
        let mut waiting = std::pin::pin!(budget.room());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        budget.weigh("p", 7);
        assert!(waiting.as_mut().poll(&mut context).is_ready());
        assert_eq!((budget.bytes(), budget.complaint()), (7, None));
    }
}
