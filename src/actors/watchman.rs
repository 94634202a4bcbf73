//! The watchman: finds a plan that does not come to the end of an entry, and gives it up.
//!
//! A thread cannot be taken away from what it runs, so the plan's own thread stays where it is. But
//! the plan takes nothing more, says why, and the node and its other plans go on; after a restart
//! the entry is the suspect.

use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use crate::actors::office::Office;
use crate::actors::rounds::Round;

/// Looks after plans.
#[derive(Debug)]
pub struct Watchman(Arc<Office>);

impl Watchman {
    /// A watchman of the node's plans.
    #[must_use]
    pub fn new(office: &Arc<Office>) -> Self {
        Self(Arc::clone(office))
    }
}

impl Round for Watchman {
    const NAME: &'static str = "watchman";
    const EVERY: Duration = Duration::from_millis(250);

    fn go(&mut self) {
        let limit = self.0.config.plans.entry_time_max;
        for slot in self.0.slots() {
            let station = &slot.station;
            let busy = station.busy.busy_for().filter(|busy| *busy > limit);
            if busy.is_none() || station.inbox.is_closed() {
                continue;
            }
            let reason = format!(
                "it did not come to the end of an entry within {limit:?} (`plans.entry_time_max`); \
                 an endless loop? Change the plan, or restart the node to skip the entry"
            );
            error!(plan = %station.name, reason, "the plan is given up");
            station.inbox.close();
            self.0.give_up(&station.name, &reason);
        }
    }
}
