//! Bounds on what one entry can set off, so that applying it ends whatever the plan says.
//!
//! The checker refuses streams that feed themselves and chains without measure. What is left is
//! counted here: rows that multiply from query to query, and a clock that moves on by years while
//! something fires every millisecond. Counts depend on the entry alone and on no clock.

use crate::engine::context::Level;
use crate::engine::context::Note;
use crate::engine::core::PlanCore;
use crate::engine::entry::Outlet;
use crate::event::Millis;

/// How much one entry can set off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many rows reach streams and named windows, each counted wherever it arrives. Those
    /// beyond are dropped and counted as faults.
    pub rows: u64,
    /// How often triggers fire and partitions are purged. What else is due until the entry's time
    /// is left out.
    pub firings: u64,
}

impl Default for Bounds {
    /// Far more than any plan needs that does not run away.
    fn default() -> Bounds {
        Bounds { rows: 100_000_000, firings: 1_000_000 }
    }
}

/// What is left of the bounds to the entry at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    left: Bounds,
    /// The wall clock that the entry brings.
    until: Millis,
    /// Whether it was said that rows were dropped.
    said: bool,
    /// Whether it was said that rows leave before their time.
    pub(super) hurried: bool,
}

impl Allowance {
    pub(super) fn new(left: Bounds, until: Millis) -> Allowance {
        Allowance { left, until, said: false, hurried: false }
    }

    /// Whether so many rows more are allowed.
    #[inline]
    pub(super) fn take_rows(&mut self, rows: usize) -> bool {
        let left = self.left.rows.checked_sub(rows as u64);
        self.left.rows = left.unwrap_or(0);
        left.is_some()
    }

    /// Counts that something which recurs has fired at `due`. If it was once too often, the moment
    /// from which to go on: the last until the entry's time that lies whole periods after `due`, or
    /// that time itself.
    pub(super) fn skip(&mut self, due: Millis, period: Option<Millis>) -> Option<Millis> {
        if let Some(left) = self.left.firings.checked_sub(1) {
            self.left.firings = left;
            return None;
        }
        let missed = self.until.saturating_sub(due);
        let to = due + period.map_or(missed, |period| missed / period * period);
        (to > due).then_some(to)
    }
}

impl PlanCore {
    /// Sets other bounds than the usual ones.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Drops rows that are too many for a stream or named window.
    #[cold]
    pub(super) fn drop_rows(&mut self, name: &str, rows: usize, outlet: &mut dyn Outlet) {
        self.context.drops.fault += rows as u64;
        if !std::mem::replace(&mut self.allowance.said, true) {
            let most = self.bounds.rows;
            let text = format!(
                "rows for `{name}` are dropped, and all after them until the next input: what came \
                 last makes more than {most} rows in this plan"
            );
            outlet.note(Note { level: Level::Error, text });
        }
    }

    /// Says that an output rate leaves out periods it has missed.
    pub(super) fn note_skipped_periods(&mut self, query: usize, outlet: &mut dyn Outlet) {
        let name = &self.plan.queries[query].name;
        let most = self.bounds.firings;
        let text = format!(
            "the clock has moved so far that the output rate of query `{name}` leaves out what it \
             has missed: periods end {most} times at once at most"
        );
        outlet.note(Note { level: Level::Warn, text });
    }

    /// Says that a trigger leaves out what it has missed.
    pub(super) fn note_skip(&mut self, trigger: usize, outlet: &mut dyn Outlet) {
        let name = &self.plan.streams[self.triggers[trigger].stream].name;
        let most = self.bounds.firings;
        let text = format!(
            "the clock has moved so far that trigger `{name}` leaves out what it has missed: \
             triggers fire {most} times at once at most"
        );
        outlet.note(Note { level: Level::Warn, text });
    }
}
