//! `select … group by … having … order by … limit … offset`: what a query makes of its rows.
//!
//! Everything acts inside a chunk. With group by a chunk gives the last eligible row of each group,
//! at the place where the group was first seen; without group by but with an aggregate the last
//! eligible row; else all eligible rows. Eligible is a row of a kind that the query puts out and
//! that passes `having`. Aggregates see every row in order; a reset sets all groups of its
//! partition key back.

mod build;
mod grouping;
mod pick;

pub(super) use crate::engine::selector::build::Incoming;
pub(super) use crate::engine::selector::grouping::Grouping;

use crate::engine::aggregators::AggregateRows;
use crate::engine::aggregators::Aggregator;
use crate::engine::context::Context;
use crate::engine::expressions::Columns;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::selector::pick::Picker;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Bits;
use crate::event::Column;
use crate::event::Kind;
use crate::event::Slot;
use smallvec::SmallVec;
use std::ops::Range;

/// Runs the selection of a query.
pub struct Selector {
    keys: Vec<Box<dyn Kernel>>,
    grouping: Option<Grouping>,
    /// Each row's group; empty while all rows are of group 0.
    groups: Vec<u32>,
    /// Rows that are resets, and which of `reset_groups` each sets back.
    resets: Vec<(usize, Range<usize>)>,
    reset_groups: Vec<u32>,
    aggregates: Vec<Aggregate>,
    /// One column an aggregate, as long as the batch.
    results: Vec<Column>,
    outputs: Vec<Output>,
    /// The outputs for all rows of the batch; only where `having` or `order by` may look at them.
    computed: Vec<Column>,
    /// Whether `computed` is to be filled.
    computes_all: bool,
    having: Option<Box<dyn Kernel>>,
    order_by: Vec<(Box<dyn Kernel>, bool)>,
    picker: Picker,
    /// Whether groups are given up once their aggregates are as new.
    gives_up_new: bool,
    /// Rows whose aggregates are read; kept for aggregates that are costly to tell.
    wanted: Bits,
    /// Group numbers at hand, kept for its memory.
    scratch: Vec<u32>,
}

struct Aggregate {
    arguments: Vec<Box<dyn Kernel>>,
    running: Box<dyn Aggregator>,
}

enum Output {
    /// A column as it is: of the input, or beyond it of the aggregates.
    Input(usize),
    Result(usize),
    Computed(Box<dyn Kernel>),
}

impl Selector {
    /// For a snapshot, which looks at every row: no chunk gives one row for several, and groups
    /// are neither sorted nor cut off.
    pub fn row_by_row(mut self) -> Selector {
        self.picker.leave_whole(self.grouping.is_some());
        if self.grouping.is_some() {
            self.order_by.clear();
        }
        self
    }

    /// Selects from a batch. `selected` comes empty.
    pub fn run(&mut self, input: &Batch, context: &mut Context, selected: &mut Batch) {
        // Rows that a step before could not compute are not among these.
        let earlier = std::mem::take(&mut context.faults);
        if !self.aggregates.is_empty() || self.grouping.is_some() {
            self.group(input, context);
        }
        if self.having.is_none() {
            let groups = self.grouping.is_some().then_some(self.groups.as_slice());
            self.picker.pick(input, groups, None);
        }
        self.aggregate(input, context);
        if self.computes_all {
            self.compute_all(input, context);
        }
        let frame = Frame {
            parts: [&input.columns, &self.results, &self.computed],
            timestamps: &input.timestamps,
        };
        if let Some(having) = &mut self.having {
            let having = having.evaluate(&frame, context);
            let groups = self.grouping.is_some().then_some(self.groups.as_slice());
            self.picker.pick(input, groups, Some(having));
        }
        if !self.order_by.is_empty() {
            let keys: SmallVec<[(&Column, bool); 4]> = self
                .order_by
                .iter_mut()
                .map(|(kernel, descending)| (kernel.evaluate(&frame, context), *descending))
                .collect();
            self.picker.order(input, &keys);
        }
        self.picker.cut(input);
        self.emit(input, context, selected);
        if !context.faults.is_empty() {
            context.one_fault_a_row(0);
            self.emit_without_faults(input, context, selected);
        }
        if !earlier.is_empty() {
            context.faults.splice(0..0, earlier);
        }
        match &mut self.grouping {
            // Without aggregates a group means nothing beyond its chunk.
            Some(grouping) if self.aggregates.is_empty() => grouping.clear(),
            Some(grouping)
                if (grouping.gives_up() || self.gives_up_new) && !input.kinds.is_empty() =>
            {
                self.give_up_groups();
            }
            _ => {}
        }
    }

    /// Fills `groups`, and notes which groups each reset sets back.
    fn group(&mut self, input: &Batch, context: &mut Context) {
        let frame = Frame::new(&input.columns, &input.timestamps);
        self.groups.clear();
        self.resets.clear();
        self.reset_groups.clear();
        let mut room = Columns::default();
        let keys = room.evaluate(&mut self.keys, &frame, context);
        if let Some(grouping) = &mut self.grouping {
            grouping.begin(input, keys);
        }
        let mut start = 0;
        while start < input.len() {
            let end = next_reset(input, start);
            match &mut self.grouping {
                Some(grouping) => grouping.number(input, keys, start..end, &mut self.groups),
                None => self.groups.extend_from_slice(input.slots.get(start..end).unwrap_or(&[])),
            }
            if end < input.len() {
                let first = self.reset_groups.len();
                match &mut self.grouping {
                    Some(grouping) => {
                        grouping.of_slot(input.slot(end), &mut self.reset_groups);
                        // Their numbers stay until the batch ends: a row of the same chunk may be
                        // of the same group.
                        grouping.empty(&self.reset_groups[first..]);
                        self.groups.push(0);
                    }
                    None => {
                        self.reset_groups.push(input.slot(end));
                        self.groups.extend(input.slots.get(end));
                    }
                }
                self.resets.push((end, first..self.reset_groups.len()));
            }
            start = end + 1;
        }
    }

    /// Fills `results`.
    fn aggregate(&mut self, input: &Batch, context: &mut Context) {
        let frame = Frame::new(&input.columns, &input.timestamps);
        let knows = self.having.is_none();
        if knows && self.aggregates.iter().any(|aggregate| aggregate.running.is_lazy()) {
            self.picker.mark(&mut self.wanted);
        }
        for (aggregate, result) in self.aggregates.iter_mut().zip(&mut self.results) {
            result.clear();
            let mut room = Columns::default();
            let arguments = room.evaluate(&mut aggregate.arguments, &frame, context);
            let mut start = 0;
            let running = &mut aggregate.running;
            let wanted = Some(&self.wanted).filter(|_| knows && running.is_lazy());
            let rows =
                |range| AggregateRows { range, kinds: &input.kinds, groups: &self.groups, wanted };
            for (row, groups) in &self.resets {
                running.run(&rows(start..*row), arguments, result);
                // The reset itself: a row nobody selects.
                result.push_null();
                running.reset(&self.reset_groups[groups.clone()], false);
                start = row + 1;
            }
            running.run(&rows(start..input.len()), arguments, result);
        }
    }

    fn compute_all(&mut self, input: &Batch, context: &mut Context) {
        let frame =
            Frame { parts: [&input.columns, &self.results, &[]], timestamps: &input.timestamps };
        for (output, column) in self.outputs.iter_mut().zip(&mut self.computed) {
            column.clear();
            let source = match output {
                Output::Input(index) => &input.columns[*index],
                Output::Result(index) => &self.results[*index],
                Output::Computed(kernel) => kernel.evaluate(&frame, context),
            };
            column.extend(source, 0, input.len());
        }
    }

    fn emit(&mut self, input: &Batch, context: &mut Context, selected: &mut Batch) {
        if !self.picker.heads(input, selected) {
            return;
        }
        let frame =
            Frame { parts: [&input.columns, &self.results, &[]], timestamps: &input.timestamps };
        for (index, output) in self.outputs.iter_mut().enumerate() {
            let source = match output {
                _ if self.computes_all => &self.computed[index],
                Output::Input(index) => &input.columns[*index],
                Output::Result(index) => &self.results[*index],
                Output::Computed(kernel) => kernel.evaluate(&frame, context),
            };
            self.picker.gather(source, &mut selected.columns[index]);
        }
    }

    /// Selects once more, without the rows that could not be computed.
    fn emit_without_faults(&mut self, input: &Batch, context: &mut Context, selected: &mut Batch) {
        let faults = std::mem::take(&mut context.faults);
        self.picker.leave_out(|row| faults.binary_search_by_key(&row, |fault| fault.row).is_ok());
        selected.clear();
        self.emit(input, context, selected);
        context.faults = faults;
    }

    fn give_up_groups(&mut self) {
        let Some(grouping) = &mut self.grouping else { return };
        self.scratch.clear();
        if self.gives_up_new {
            let as_new = |group: &u32| {
                self.aggregates.iter().all(|aggregate| aggregate.running.is_as_new(*group))
            };
            self.groups.retain(as_new);
            self.reset_groups.retain(as_new);
        }
        grouping.give_up_empty(&self.groups, &mut self.scratch);
        if grouping.is_sparse() {
            grouping.give_up_empty(&self.reset_groups, &mut self.scratch);
        }
        if !self.scratch.is_empty() {
            for aggregate in &mut self.aggregates {
                aggregate.running.reset(&self.scratch, true);
            }
        }
    }

    /// Drops the state of a partition key.
    pub fn forget(&mut self, slot: Slot) {
        self.scratch.clear();
        match &mut self.grouping {
            Some(grouping) => {
                grouping.of_slot(slot, &mut self.scratch);
                grouping.give_up(&self.scratch);
            }
            None => self.scratch.push(slot),
        }
        for aggregate in &mut self.aggregates {
            aggregate.running.reset(&self.scratch, true);
        }
    }

    /// How many groups are kept.
    pub fn held_groups(&self) -> usize {
        self.grouping.as_ref().map_or(0, Grouping::len)
    }

    /// Writes all state.
    pub fn save(&self, state: &mut StateWriter) {
        if let Some(grouping) = &self.grouping {
            grouping.save(state);
        }
        self.aggregates.iter().for_each(|aggregate| aggregate.running.save(state));
    }

    /// Takes what [`Selector::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        if let Some(grouping) = &mut self.grouping {
            grouping.load(state)?;
        }
        self.aggregates.iter_mut().try_for_each(|aggregate| aggregate.running.load(state))
    }
}

/// The first reset at or after `start`, or the end of the batch.
fn next_reset(input: &Batch, start: usize) -> usize {
    match input.kinds.get(start..) {
        Some(kinds) => kinds
            .iter()
            .position(|&kind| kind == Kind::Reset)
            .map_or(input.len(), |offset| start + offset),
        None => input.len(),
    }
}
