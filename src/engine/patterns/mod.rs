//! Patterns and sequences: rows of all ports in, whole matches out.
//!
//! Each row is shown to the states that read its stream, later states first. A state shows it to
//! the matches that wait there, oldest first; what takes it goes on to the next state, where it
//! waits from the next row on. All matches that one row completes are one chunk.
//!
//! Matches and the events they took lie in segments that frozen state shares by handle. A state
//! that compares for equality finds its matches by hash, so that those which cannot match cost
//! nothing; and a row that no state wants is passed over without looking at any. Where matches are
//! nothing but rows side by side, those that lie in one batch are found column by column.

mod absences;
mod build;
mod filter;
mod lists;
mod persist;
mod queue;
mod reader;
mod run;
mod store;
mod stretches;
mod take;

pub use build::reads;

use crate::engine::context::Context;
use crate::engine::patterns::filter::Filter;
use crate::engine::patterns::lists::Lists;
use crate::engine::patterns::run::Run;
use crate::engine::patterns::store::Match;
use crate::engine::patterns::store::Store;
use crate::engine::patterns::stretches::Stretches;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::pattern::Capture;
use crate::plan::pattern::State;
use crate::plan::pattern::StateId;
use std::ops::Range;

/// A pattern as it runs.
pub struct PatternStep {
    shape: Shape,
    filters: Vec<Filter>,
    /// If matches are rows side by side: what finds those that lie in one batch.
    stretches: Option<Stretches>,
    store: Store,
    /// By partition key.
    slots: Vec<Option<Box<Lists>>>,
    candidates: Vec<(u64, Match)>,
    numbers: Vec<u64>,
    /// By port: rows that no state wanted.
    left_out: Vec<u64>,
}

/// What does not change while a pattern runs.
pub struct Shape {
    sequence: bool,
    states: Vec<State>,
    ports: Vec<PortStates>,
    parts: Vec<StateId>,
    begun: Vec<StateId>,
    within: Option<Millis>,
    captures: Vec<Capture>,
    /// States by whose events the age of a match is told.
    starts: Vec<StateId>,
    /// Whether matches come to a state in the order in which they began, and the time at which one
    /// began stays as it is.
    in_order: bool,
    /// The id of the first state, as timers know it.
    first_operator: u32,
}

/// The states that look at the rows of a port.
struct PortStates {
    /// In order of number.
    states: Vec<StateId>,
}

impl PatternStep {
    /// How many states there are; timers know each by a number.
    pub fn states(&self) -> usize {
        self.shape.states.len()
    }

    /// Says by which number timers know the first state.
    pub fn set_first_operator(&mut self, id: u32) {
        self.shape.first_operator = id;
    }

    /// Whether time alone can begin a match.
    pub fn begins_by_time(&self) -> bool {
        self.shape.states.iter().any(|state| state.is_start && state.wait().is_some())
    }

    /// Begins to wait for absences, if that was not done yet for the partition key.
    pub fn begin(&mut self, slot: Slot, context: &mut Context, output: &mut Batch) {
        let now = context.now;
        self.with(slot, context, output, None, |run| {
            if !std::mem::replace(&mut run.lists.started, true) {
                run.begin(now);
            }
        });
    }

    /// Takes rows of a port.
    pub fn run(&mut self, port: usize, input: &Batch, context: &mut Context, output: &mut Batch) {
        let states = &self.shape.ports[port].states;
        for &id in states {
            self.filters[id].begin(input, context);
        }
        if !input.slots.is_empty() {
            for row in 0..input.len() {
                self.show(port, row..row + 1, input, context, output);
            }
            return;
        }
        let rows = input.len();
        let Some(edge) = self.stretches.as_ref().and_then(|found| found.edge(rows)) else {
            return self.show(port, 0..rows, input, context, output);
        };
        // Row by row only what began before the batch and what may go on behind it.
        self.show(port, 0..edge, input, context, output);
        if let Some(stretches) = &mut self.stretches {
            self.left_out[port] += stretches.unwanted(&self.filters, edge..rows - edge);
            stretches.find(&mut self.filters, input, context, output);
        }
        self.with(0, context, output, None, |run| run.drop_begun());
        self.show(port, rows - edge..rows, input, context, output);
    }

    /// Shows rows of one partition key to its matches.
    fn show(
        &mut self,
        port: usize,
        rows: Range<usize>,
        input: &Batch,
        context: &mut Context,
        output: &mut Batch,
    ) {
        if rows.is_empty() {
            return;
        }
        let mut unwanted = 0;
        self.with(input.slot(rows.start), context, output, Some(input), |run| {
            rows.for_each(|row| unwanted += u64::from(!run.show(port, row)));
        });
        self.left_out[port] += unwanted;
    }

    /// A timer of a state is due.
    pub fn wake(
        &mut self,
        state: StateId,
        due: Millis,
        slot: Slot,
        context: &mut Context,
        output: &mut Batch,
    ) {
        if self.slots.get(slot as usize).is_some_and(Option::is_some) {
            self.with(slot, context, output, None, |run| run.wake_up(state, due));
            output.join_chunk(0);
        }
    }

    /// Does something with the matches of a partition key.
    fn with(
        &mut self,
        slot: Slot,
        context: &mut Context,
        output: &mut Batch,
        rows: Option<&Batch>,
        act: impl FnOnce(&mut Run<'_>),
    ) {
        let at = slot as usize;
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, || None);
        }
        let known = self.slots[at].take();
        let is_new = known.is_none();
        let mut lists = known.unwrap_or_else(|| Box::new(self.shape.lists(&self.filters)));
        let mut run = Run {
            shape: &self.shape,
            filters: &mut self.filters,
            store: &mut self.store,
            lists: &mut lists,
            slot,
            context,
            output,
            row: rows.map(|rows| (rows, 0)),
            whole: false,
            candidates: &mut self.candidates,
            numbers: &mut self.numbers,
        };
        if is_new {
            run.shape.begun.iter().for_each(|&id| run.init(id));
        }
        act(&mut run);
        self.slots[at] = Some(lists);
    }

    /// Drops the matches of a partition key.
    pub fn forget(&mut self, slot: Slot) {
        let Some(lists) = self.slots.get_mut(slot as usize).and_then(Option::take) else { return };
        for waiting in lists.states {
            for of in waiting.pending.iter().chain(waiting.fresh.iter().copied()) {
                self.store.release(of);
            }
        }
    }

    /// How many events are held by matches on their way.
    pub fn held(&self) -> usize {
        self.store.held()
    }

    /// How many matches are on their way, empty ones among them.
    pub fn matches(&self) -> usize {
        self.store.matches.held()
    }

    /// How many rows of a port no state wanted so far.
    pub fn left_out(&self, port: usize) -> u64 {
        self.left_out[port]
    }
}

impl Shape {
    fn lists(&self, filters: &[Filter]) -> Lists {
        Lists::new(filters.iter().map(Filter::is_indexed))
    }
}

impl Run<'_> {
    /// Shows a row to the states of its port; whether one of them wants it.
    fn show(&mut self, port: usize, row: usize) -> bool {
        let shape = self.shape;
        let Some((batch, at)) = &mut self.row else { return false };
        *at = row;
        let time = batch.timestamps[row];
        let states = &shape.ports[port].states;
        let wanted = states.iter().any(|&id| self.filters[id].passes(row));
        if !wanted && !shape.sequence && self.lists.is_calm(time) {
            // Nothing would change but that fresh matches ripen.
            let mut fresh = states.iter().filter(|&&id| !self.lists.is_ripe(id));
            if fresh.next().is_none() {
                return false;
            }
        }
        let before = self.output.len();
        self.ready(port, time);
        for &id in states.iter().rev() {
            self.take(id);
        }
        self.output.join_chunk(before);
        wanted
    }
}
