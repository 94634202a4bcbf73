//! The watchman: finds a plan that does not come to the end of an entry, and gives it up.
//!
//! A thread cannot be taken away from what it runs, so the plan's own thread stays where it is. But
//! the plan takes nothing more, says why, and the node and its other plans go on; after a restart
//! the entry is the suspect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use crate::actors::clock;
use crate::actors::office::Office;
use crate::actors::rounds::Round;

/// Between two rounds.
const EVERY: Duration = Duration::from_millis(250);

/// Looks after plans.
#[derive(Debug)]
pub struct Watchman {
    office: Arc<Office>,
    watch: Watch,
}

impl Watchman {
    /// A watchman of the node's plans.
    #[must_use]
    pub fn new(office: &Arc<Office>) -> Self {
        Self { office: Arc::clone(office), watch: Watch::default() }
    }
}

impl Round for Watchman {
    const NAME: &'static str = "watchman";
    const EVERY: Duration = EVERY;

    fn go(&mut self) {
        let limit = self.office.config.plans.entry_time_max;
        let slots = self.office.slots();
        let at_work = slots.iter().map(|slot| &slot.station).filter_map(|station| {
            let since = station.busy.since()?;
            (!station.inbox.is_closed()).then(|| (Arc::clone(&station.name), since))
        });
        for late in self.watch.look(clock::elapsed(), at_work, limit) {
            let Some(slot) = slots.iter().find(|slot| slot.station.name == late) else { continue };
            let reason = format!(
                "it did not come to the end of an entry within {limit:?} (`plans.entry_time_max`); \
                 an endless loop? Change the plan, or restart the node to skip the entry"
            );
            error!(plan = %late, reason, "the plan is given up");
            slot.station.inbox.close();
            self.office.give_up(&late, &reason);
        }
    }
}

/// For how long plans were seen at their entries. While the whole process stands still, halted or
/// with the machine asleep, no plan can come to an end, and the time does not count.
#[derive(Debug, Default)]
struct Watch {
    looked: Duration,
    /// By plan: since when it is at an entry, and for how long it was seen there.
    seen: BTreeMap<Arc<str>, (Duration, Duration)>,
}

impl Watch {
    /// Looks at the plans that are at an entry, each with since when; gives those that were seen at
    /// theirs for longer than the limit.
    fn look(
        &mut self,
        now: Duration,
        at_work: impl Iterator<Item = (Arc<str>, Duration)>,
        limit: Duration,
    ) -> Vec<Arc<str>> {
        let passed = now.saturating_sub(self.looked).min(2 * EVERY);
        self.looked = now;
        let before = std::mem::take(&mut self.seen);
        let mut late = Vec::new();
        for (plan, since) in at_work {
            let seen = match before.get(&plan) {
                Some((then, seen)) if *then == since => *seen + passed,
                _ => now.saturating_sub(since).min(passed),
            };
            if seen > limit {
                late.push(Arc::clone(&plan));
            }
            self.seen.insert(plan, (since, seen));
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn milliseconds(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    /// Looks at one plan at these times in milliseconds; says when it is late first.
    fn late(since: impl Fn(u64) -> u64, times: impl Iterator<Item = u64>) -> Option<u64> {
        let mut watch = Watch::default();
        let plan: Arc<str> = "plan".into();
        times.into_iter().find(|&time| {
            let at_work = [(Arc::clone(&plan), milliseconds(since(time)))];
            !watch.look(milliseconds(time), at_work.into_iter(), LIMIT).is_empty()
        })
    }

    #[test]
    fn a_plan_that_stays_at_one_entry_is_late() {
        assert_eq!(late(|_| 1_000, (1_250..60_000).step_by(250)), Some(31_250));
        assert_eq!(late(|time| time - 100, (1_250..60_000).step_by(250)), None, "new entries");
    }

    #[test]
    fn time_in_which_the_process_stood_still_does_not_count() {
        let halted = (1_250..2_000).step_by(250).chain((40_000..60_000).step_by(250));
        assert_eq!(late(|_| 1_000, halted), None);
        let starting = std::iter::once(100_000);
        assert_eq!(late(|_| 1_000, starting), None, "seen once");
    }
}
