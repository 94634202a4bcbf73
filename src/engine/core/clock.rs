//! Time: timers fire before the row that finds them due, each at its due time.

use crate::engine::core::Address;
use crate::engine::core::PlanCore;
use crate::engine::core::When;
use crate::engine::core::bounds::Allowance;
use crate::engine::entry::Outlet;
use crate::engine::pipeline::Cause;
use crate::engine::timers::Timer;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::logical::AggregationId;
use crate::plan::logical::PartitionId;
use crate::plan::logical::QueryId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Set in the number of a cause that is a timer, so that it is no row's number.
pub(super) const TIMER_CAUSE: u64 = 1 << 63;

impl PlanCore {
    /// The wall clock at which the plan next wants to be called though nothing comes.
    pub fn next_deadline(&self) -> Option<Millis> {
        let by_clock = match self.events_lead {
            false => self.context.timers.next_due(),
            true => self.idle_due.or_else(|| self.next_by_watermarks()),
        };
        [by_clock, self.wall_timers.next_due()].into_iter().flatten().min()
    }

    /// Moves the wall clock on, and with it the engine's unless events move that.
    pub(super) fn advance_wall(&mut self, at: Millis, outlet: &mut dyn Outlet) {
        let target = self.wall.max(at);
        self.allowance = Allowance::new(self.bounds, target);
        if !self.events_lead {
            self.wall = target;
            return self.advance_clock(target, outlet);
        }
        if self.watermarks.is_some() {
            return self.advance_arrival(target, outlet);
        }
        loop {
            let timer = self.wall_timers.next_due().filter(|&due| due <= target);
            let idle = self.idle_due.filter(|&due| due <= target);
            match (timer, idle) {
                (Some(due), idle) if idle.is_none_or(|idle| due <= idle) => {
                    self.wall = self.wall.max(due);
                    let timer = self.wall_timers.take_due(due).expect("one is due");
                    self.fire(timer, outlet);
                }
                (_, Some(idle)) => {
                    let (span, step) = self.idle_span().unwrap_or((Millis::MAX, 0));
                    // All steps until something else happens are one.
                    let timer = self.wall_timers.next_due().unwrap_or(Millis::MAX);
                    let more = (target.min(timer.saturating_sub(1)) - idle) / span;
                    let last = idle + more * span;
                    self.wall = self.wall.max(last);
                    self.idle_due = last.checked_add(span);
                    let way = step.saturating_mul(more.saturating_add(1));
                    self.advance_clock(self.context.now.saturating_add(way), outlet);
                }
                _ => break,
            }
        }
        self.wall = target;
    }

    pub(super) fn idle_span(&self) -> Option<(Millis, Millis)> {
        self.plan.playback.and_then(|playback| playback.idle)
    }

    /// Moves the engine's clock on; all that is due by then fires, at its due time.
    pub(super) fn advance_clock(&mut self, now: Millis, outlet: &mut dyn Outlet) {
        while let Some(timer) = self.context.timers.take_due(now) {
            self.context.now = self.context.now.max(timer.due);
            self.context.firing = Some(timer.operator);
            self.fire(timer, outlet);
        }
        self.context.firing = None;
        self.context.now = self.context.now.max(now);
    }

    /// Fires what rows just taken made due at once.
    pub(super) fn fire_due(&mut self, outlet: &mut dyn Outlet) {
        while let Some(timer) = self.context.timers.take_due(self.context.now) {
            self.fire(timer, outlet);
        }
    }

    pub(super) fn fire(&mut self, timer: Timer, outlet: &mut dyn Outlet) {
        self.begin_cause(TIMER_CAUSE | (self.fired + 1));
        let Some(&address) = self.operators.get(timer.operator as usize) else { return };
        match address {
            Address::Window(window) => {
                self.run_window(window, Cause::Timer(0, timer.due, timer.slot), outlet);
            }
            Address::Trigger(trigger) => self.fire_trigger(trigger, timer.due, outlet),
            Address::Purge(partition) => self.purge(partition, timer),
            Address::Discard(aggregation) => self.discard(aggregation, timer),
            // A key that was purged has left its number to another, which this is not for.
            Address::Step { query, .. } | Address::Rate(query)
                if self.is_of_earlier_key(query, timer) => {}
            Address::Rate(query) => self.end_period(query, timer, outlet),
            Address::Step { query, port, step } => {
                let cause = Cause::Timer(step, timer.due, timer.slot);
                self.run_query(query, port, cause, outlet);
            }
        }
        if !self.in_send {
            self.end_send(outlet);
        }
        // A timer that wakes a step in vain must not be told from one that was never set.
        if self.context.entropy.draws > 0 {
            self.fired += 1;
        }
    }

    fn end_period(&mut self, query: QueryId, timer: Timer, outlet: &mut dyn Outlet) {
        let limiter = self.pipelines[query].limiter.as_mut();
        let period = limiter.and_then(|limiter| limiter.period());
        let from = self.allowance.skip(timer.due, period);
        if from.is_some() {
            self.note_skipped_periods(query, outlet);
        }
        self.run_query(query, 0, Cause::Rate(timer.due, timer.slot, from), outlet);
    }

    fn is_of_earlier_key(&self, query: QueryId, timer: Timer) -> bool {
        let Some(partition) = self.pipelines[query].partition else { return false };
        let birth = self.partitions[partition].births.get(timer.slot as usize);
        birth.is_some_and(|&birth| birth != timer.birth)
    }

    fn fire_trigger(&mut self, trigger: usize, due: Millis, outlet: &mut dyn Outlet) {
        let period = match self.triggers[trigger].when {
            When::Every(period) => Some(period),
            When::Start | When::Cron(_) => None,
        };
        let skipped = self.allowance.skip(due, period);
        if skipped.is_some() {
            self.note_skip(trigger, outlet);
        }
        self.set_trigger(trigger, skipped.unwrap_or(due));
        let stream = self.triggers[trigger].stream;
        let mut rows = Batch::new(&self.plan.streams[stream].schema.types());
        let own = if self.watermarks.is_some() { self.context.now } else { due };
        rows.push_row(own, &[Value::Long(due)]);
        self.deliver(stream, &rows, outlet);
    }

    /// Sets the next time of a trigger that has fired at `after`, or has just been started.
    pub(super) fn set_trigger(&mut self, trigger: usize, after: Millis) {
        let node = &self.triggers[trigger];
        let due = match &node.when {
            When::Start => None,
            When::Every(period) => after.checked_add(*period),
            When::Cron(cron) => cron.next_after(after),
        };
        if let Some(due) = due {
            self.set_wall_timer(Timer { due, operator: node.operator, birth: 0, slot: 0 });
        }
    }

    /// Sets a timer by the wall clock, which is not the engine's where events move that.
    pub(super) fn set_wall_timer(&mut self, timer: Timer) {
        match self.events_lead {
            false => self.context.timers.set(timer),
            true => self.wall_timers.set(timer),
        }
    }

    fn purge(&mut self, id: PartitionId, timer: Timer) {
        let partition = &mut self.partitions[id];
        let Some(purge) = partition.purge else { return };
        let mut in_use = BTreeSet::new();
        let inside = self.pipelines.iter().filter(|query| query.partition == Some(id));
        inside.for_each(|query| query.keys_in_use(&mut in_use));
        for slot in partition.take_idle(self.context.now, &in_use) {
            let inside = self.pipelines.iter_mut().filter(|query| query.partition == Some(id));
            inside.for_each(|query| query.forget(slot));
        }
        self.set_next(timer, purge.interval);
    }

    fn discard(&mut self, id: AggregationId, timer: Timer) {
        let plan = Arc::clone(&self.plan);
        let Some(purge) = &plan.aggregations[id].purge else { return };
        let aggregation = self.context.aggregations[id].as_mut().expect("nobody reads it now");
        aggregation.discard(self.context.now);
        self.set_next(timer, purge.interval);
    }

    /// Sets a timer that has fired for the next time.
    fn set_next(&mut self, timer: Timer, interval: Millis) {
        let skipped = self.allowance.skip(timer.due, Some(interval));
        if let Some(due) = skipped.or_else(|| timer.due.checked_add(interval)) {
            self.set_wall_timer(Timer { due, ..timer });
        }
    }
}
