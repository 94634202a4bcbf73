//! `output … every …`: which of the selected rows leave, and when.
//!
//! Each partition key counts and waits by itself, and so does each group where there is one.
//! Periods are counted by the engine's clock from the moment at which the plan, or the partition
//! key, began; what is due at the end of a period leaves before a row of that moment comes. A
//! timer is set only while something waits for it.

mod periods;
mod snapshot;
mod turns;

use crate::engine::context::Context;
use crate::engine::rates::periods::Periods;
use crate::engine::rates::snapshot::Snapshot;
use crate::engine::rates::turns::Turns;
use crate::engine::selector::Grouping;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::logical::Query;
use crate::plan::logical::Rate;
use crate::plan::logical::RateKind;
use crate::plan::logical::RateTurn;
use smallvec::SmallVec;

/// The format of what [`Limiter::save`] writes.
pub const VERSION: u16 = 1;

/// Holds selected rows back.
pub struct Limiter {
    /// What was selected, with the group keys behind the outputs; filled by the selection.
    pub input: Batch,
    /// The id by which timers know it.
    pub operator: u32,
    /// How many outputs there are; the group keys stand behind them.
    width: usize,
    grouping: Option<Grouping>,
    groups: Vec<u32>,
    /// Groups of which nothing may be left.
    emptied: Vec<u32>,
    holder: Holder,
}

/// What the kinds of rate keep.
enum Holder {
    Turns(Turns),
    Snapshot(Snapshot),
}

/// The types of what the selection must give to a rate: the outputs, then the group keys.
fn types_of(query: &Query) -> Vec<DataType> {
    let keys = query.selection.group_by.iter().map(|key| key.ty);
    query.selection.schema.types().into_iter().chain(keys).collect()
}

impl Limiter {
    /// For the rate of a query that looks at a window or not; timers know it as `operator`.
    pub fn build(rate: &Rate, query: &Query, windowed: bool, operator: u32) -> Limiter {
        let selection = &query.selection;
        let types = types_of(query);
        let outputs = selection.schema.types();
        let grouped = !selection.group_by.is_empty();
        let periods = match rate.turn {
            RateTurn::Events(_) => None,
            RateTurn::Time(period) => Some(Periods::new(period)),
        };
        let holder = match (rate.kind, periods) {
            (RateKind::Snapshot, Some(periods)) => {
                let inputs = selection.input.len();
                let is_aggregate = |expr: &crate::plan::expression::Expr| {
                    let mut read = Vec::new();
                    expr.columns(&mut read);
                    read.iter().any(|&column| column >= inputs)
                };
                let aggregates = selection.outputs.iter().map(is_aggregate).collect();
                Holder::Snapshot(Snapshot::new(periods, &outputs, aggregates, windowed, grouped))
            }
            (kind, periods) => {
                let most = match rate.turn {
                    RateTurn::Events(count) => count,
                    RateTurn::Time(_) => u64::MAX,
                };
                let collects = kind == RateKind::All;
                let takes_first = kind == RateKind::First;
                Holder::Turns(Turns::new(collects, takes_first, most, periods, &outputs))
            }
        };
        let keys = selection.group_by.iter().map(|key| Column::new(key.ty)).collect();
        // What leaves as a whole needs no groups.
        let grouped = grouped && rate.kind != RateKind::All;
        Limiter {
            input: Batch::new(&types),
            operator,
            width: outputs.len(),
            grouping: grouped.then(|| Grouping::new(keys, false)),
            groups: Vec::new(),
            emptied: Vec::new(),
            holder,
        }
    }

    fn periods(&mut self) -> Option<&mut Periods> {
        match &mut self.holder {
            Holder::Turns(turns) => turns.periods.as_mut(),
            Holder::Snapshot(snapshot) => Some(&mut snapshot.periods),
        }
    }

    /// How long its periods are, if it goes by time.
    pub fn period(&mut self) -> Option<Millis> {
        self.periods().map(|periods| periods.length())
    }

    /// Begins the periods of a partition key, or of the plan.
    pub fn begin(&mut self, slot: Slot, now: Millis) {
        if let Some(periods) = self.periods() {
            periods.begin(slot, now);
        }
    }

    /// Takes what was selected, and puts out what may leave at once.
    pub fn run(&mut self, context: &mut Context, output: &mut Batch) {
        let input = &self.input;
        self.groups.clear();
        match &mut self.grouping {
            Some(grouping) => {
                let keys: SmallVec<[&Column; 4]> = input.columns[self.width..].iter().collect();
                grouping.begin(input, &keys);
                grouping.number(input, &keys, 0..input.len(), &mut self.groups);
            }
            None => self.groups.extend((0..input.len()).map(|row| input.slot(row))),
        }
        let (groups, emptied) = (&self.groups, &mut self.emptied);
        match &mut self.holder {
            Holder::Turns(turns) => turns.take(input, groups, context, output, emptied),
            Holder::Snapshot(snapshot) => snapshot.take(input, groups, context, emptied),
        }
        self.give_up();
    }

    /// A period of a slot ends at `due`; where timers that were missed are left out, the next one
    /// ends after `from`.
    pub fn wake(
        &mut self,
        due: Millis,
        slot: Slot,
        from: Option<Millis>,
        context: &mut Context,
        output: &mut Batch,
    ) {
        let Some(periods) = self.periods() else { return };
        if !periods.take(due, slot) {
            return;
        }
        match &mut self.holder {
            Holder::Turns(turns) => turns.flush(slot, output, &mut self.emptied),
            Holder::Snapshot(snapshot) => {
                let from = from.unwrap_or(due).max(context.now);
                snapshot.put_out(slot, from, context, output);
            }
        }
        self.give_up();
    }

    /// Gives up the groups of which nothing is left. Not before a batch ends: its rows have their
    /// numbers by then.
    fn give_up(&mut self) {
        if self.emptied.is_empty() {
            return;
        }
        let holder = &self.holder;
        self.emptied.sort_unstable();
        self.emptied.dedup();
        self.emptied.retain(|&group| match holder {
            Holder::Turns(turns) => turns.has_nothing_of(group),
            Holder::Snapshot(snapshot) => snapshot.has_nothing_of(group),
        });
        if let Some(grouping) = self.grouping.as_mut().filter(|_| !self.emptied.is_empty()) {
            grouping.give_up(&self.emptied);
        }
        self.emptied.clear();
    }

    /// Drops what is held of a partition key.
    pub fn forget(&mut self, slot: Slot) {
        match &mut self.holder {
            Holder::Turns(turns) => turns.forget(slot, &mut self.emptied),
            Holder::Snapshot(snapshot) => snapshot.forget(slot, &mut self.emptied),
        }
        match &mut self.grouping {
            None => self.emptied.push(slot),
            Some(grouping) => grouping.of_slot(slot, &mut self.emptied),
        }
        for &group in &self.emptied {
            match &mut self.holder {
                Holder::Turns(turns) => turns.forget_group(group),
                Holder::Snapshot(_) => {}
            }
        }
        self.give_up();
    }

    /// How many rows are held back.
    pub fn held(&self) -> usize {
        match &self.holder {
            Holder::Turns(turns) => turns.held(),
            Holder::Snapshot(snapshot) => snapshot.held(),
        }
    }

    /// Writes all state.
    pub fn save(&self, state: &mut StateWriter) {
        if let Some(grouping) = &self.grouping {
            grouping.save(state);
        }
        match &self.holder {
            Holder::Turns(turns) => turns.save(state),
            Holder::Snapshot(snapshot) => snapshot.save(state),
        }
    }

    /// Takes what [`Limiter::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        if let Some(grouping) = &mut self.grouping {
            grouping.load(state)?;
        }
        match &mut self.holder {
            Holder::Turns(turns) => turns.load(state),
            Holder::Snapshot(snapshot) => snapshot.load(state),
        }
    }
}
