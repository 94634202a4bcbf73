//! What a plan's metrics say of rows: how many it holds, and how many ended inside it, by reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::actors::plan::LetterFigures;
use crate::actors::plan::Version;
use crate::event::Text;
use crate::replica::Ended;
use crate::replica::Machine;
use crate::telemetry::metrics::Metrics;

/// Counts of one plan.
#[derive(Debug)]
pub struct Account {
    plan: Arc<str>,
    /// Where figures are made.
    pub metrics: Metrics,
    /// Rows over which the plan panicked.
    pub poisoned: Counter,
    /// Rows that came for a stream which a new version changed or removed.
    pub changed: Counter,
    held: Gauge,
    kept: Gauge,
    kept_bytes: Gauge,
    /// Replayed, discarded, expired: with how many of the state's are in the counter.
    closed: [(Counter, u64); 3],
    drops: Vec<Dropped>,
}

/// Rows that ended inside the plan at one place for one reason, in the machine's order.
#[derive(Debug)]
struct Dropped {
    counter: Counter,
    /// How many of the machine's are in the counter.
    counted: u64,
}

impl Account {
    /// The account of a plan.
    #[must_use]
    pub fn new(plan: &Arc<str>, metrics: &Metrics) -> Self {
        Self {
            plan: Arc::clone(plan),
            metrics: metrics.clone(),
            poisoned: metrics.dead_letters(plan, "poison"),
            changed: metrics.dead_letters(plan, "changed"),
            held: metrics.held_rows(plan),
            kept: metrics.dead_letters_kept(plan),
            kept_bytes: metrics.dead_letters_kept_bytes(plan),
            closed: ["replayed", "discarded", "expired"]
                .map(|how| (metrics.dead_letters_closed(plan, how), 0)),
            drops: Vec::new(),
        }
    }

    /// Brings the figures of the dead letters up to date.
    pub fn show_letters(&mut self, figures: &LetterFigures) {
        let LetterFigures { events, bytes, closed, .. } = figures;
        self.kept.set(i64::try_from(*events).unwrap_or(i64::MAX));
        self.kept_bytes.set(i64::try_from(*bytes).unwrap_or(i64::MAX));
        let all = [closed.replayed, closed.discarded, closed.expired];
        for ((counter, counted), all) in self.closed.iter_mut().zip(all) {
            counter.inc_by(all.saturating_sub(*counted));
            *counted = all;
        }
    }

    /// Another machine takes over, which counts from nothing; so many rows of those that the one
    /// before held end.
    pub fn end_version(&mut self, ended: u64) {
        self.metrics.dropped(&self.plan, "", "", "version").inc_by(ended);
        self.drops.clear();
    }

    /// Rows of streams were left out as copies of what the other node brought; gives their sum.
    pub fn leave_out(&self, rows: BTreeMap<Text, u64>) -> usize {
        let mut sum = 0;
        for (stream, rows) in rows {
            self.metrics.dropped(&self.plan, &stream, "", "copy").inc_by(rows);
            sum += rows;
        }
        usize::try_from(sum).unwrap_or(usize::MAX)
    }

    /// Brings the figures up to date.
    pub fn show(&mut self, version: &Version, machine: &dyn Machine) {
        self.held.set(i64::try_from(machine.held()).unwrap_or(i64::MAX));
        for (index, ended) in machine.drops().into_iter().enumerate() {
            if index == self.drops.len() {
                let Ended { reason, stream, query, .. } = ended;
                let query = query.map_or("", |query| &version.plan.queries[query].name);
                let stream = stream.map_or("", |stream| &version.streams[stream].name);
                let counter = self.metrics.dropped(&self.plan, stream, query, reason);
                self.drops.push(Dropped { counter, counted: 0 });
            }
            let dropped = &mut self.drops[index];
            dropped.counter.inc_by(ended.rows.saturating_sub(dropped.counted));
            dropped.counted = ended.rows;
        }
        for state in machine.watermarks() {
            version.streams[state.stream].show_watermark(&self.plan, state, &self.metrics);
        }
    }
}
