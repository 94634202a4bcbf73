//! One query as it runs: its steps, its selection, and where the rows go.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::patterns::PatternStep;
use crate::engine::selector::Selector;
use crate::engine::tables::TableWriter;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::logical::AggregationId;
use crate::plan::logical::PartitionId;
use crate::plan::logical::StreamId;
use crate::plan::logical::WindowId;

/// A query.
pub struct Pipeline {
    /// One way in a port.
    pub ports: Vec<Way>,
    /// The pattern to which all ways lead, if there is one.
    pub pattern: Option<Box<PatternWay>>,
    /// What is selected.
    pub selector: Selector,
    /// What the last run selected; away while it is on its way to the target.
    pub selected: Option<Box<Batch>>,
    /// Where it goes.
    pub target: Target,
    /// The partition the query stands in.
    pub partition: Option<PartitionId>,
    /// Whether somebody outside watches the query.
    pub watched: bool,
}

/// The steps of one port, each with the rows it put out last.
pub struct Way {
    /// The steps.
    pub steps: Vec<Box<dyn Operator>>,
    /// What each put out last.
    pub buffers: Vec<Batch>,
    /// The id of the first step, as timers know it; the others follow.
    pub first_operator: u32,
}

/// A pattern with the matches that it put out last.
pub struct PatternWay {
    /// The pattern.
    pub step: PatternStep,
    /// The matches.
    pub buffer: Batch,
}

/// Where a query's rows go.
pub enum Target {
    /// Into a stream, as current rows; inner streams keep the partition key.
    Stream {
        /// The stream.
        stream: StreamId,
        /// Whether it is an inner stream.
        inner: bool,
    },
    /// Into a named window.
    Window(WindowId),
    /// Into an aggregation.
    Aggregation(AggregationId),
    /// Into a table.
    Table(Box<TableWriter>),
    /// Nowhere.
    Nowhere,
}

/// What makes a step run.
#[derive(Clone, Copy)]
pub enum Cause<'a> {
    /// Rows come in at the front.
    Rows(&'a Batch),
    /// A timer of the step at this place is due.
    Timer(usize, Millis, Slot),
    /// A send has ended, for the step at this place.
    SendEnd(usize),
}

impl Pipeline {
    /// Runs the steps from where the cause acts, then the selection; the result is in `selected`.
    pub fn run(&mut self, port: usize, cause: Cause<'_>, context: &mut Context) {
        let selected = self.selected.as_mut();
        let selected = selected.expect("a query never feeds itself, so that its rows are back");
        selected.clear();
        if let Some(pattern) = &mut self.pattern {
            let rows = &mut pattern.buffer;
            rows.clear();
            match cause {
                Cause::Rows(input) => pattern.step.run(port, input, context, rows),
                Cause::Timer(state, due, slot) => {
                    pattern.step.wake(state, due, slot, context, rows);
                }
                Cause::SendEnd(_) => {}
            }
            if !rows.is_empty() {
                self.selector.run(rows, context, selected);
            }
            return;
        }
        let way = &mut self.ports[port];
        let mut input: Option<&Batch> = None;
        let mut next = 0;
        match cause {
            Cause::Rows(rows) => input = Some(rows),
            Cause::Timer(place, ..) | Cause::SendEnd(place) => {
                context.operator = way.first_operator + place as u32;
                let output = &mut way.buffers[place];
                output.clear();
                match cause {
                    Cause::Timer(_, due, slot) => {
                        way.steps[place].wake(due, slot, context, output);
                    }
                    _ => way.steps[place].end_send(context, output),
                }
                if output.is_empty() {
                    return;
                }
                next = place + 1;
            }
        }
        while next < way.steps.len() {
            context.operator = way.first_operator + next as u32;
            let (before, after) = way.buffers.split_at_mut(next);
            let output = &mut after[0];
            output.clear();
            let rows = input.take().unwrap_or_else(|| &before[next - 1]);
            way.steps[next].run(rows, context, output);
            if output.is_empty() {
                return;
            }
            next += 1;
        }
        let rows = input.unwrap_or_else(|| &way.buffers[next - 1]);
        self.selector.run(rows, context, selected);
    }

    /// Drops the state of a partition key.
    pub fn forget(&mut self, slot: Slot) {
        for way in &mut self.ports {
            way.steps.iter_mut().for_each(|step| step.forget(slot));
        }
        if let Some(pattern) = &mut self.pattern {
            pattern.step.forget(slot);
        }
        self.selector.forget(slot);
    }

    /// How many rows and groups are held.
    pub fn held(&self) -> usize {
        let steps = self.ports.iter().flat_map(|way| &way.steps);
        let matches = self.pattern.as_ref().map_or(0, |pattern| pattern.step.held());
        steps.map(|step| step.held()).sum::<usize>() + matches
    }

    /// Begins to wait for absences, for a partition key that is new to it.
    pub fn begin(&mut self, slot: Slot, context: &mut Context) {
        if let Some(pattern) = &mut self.pattern
            && pattern.step.begins_by_time()
        {
            pattern.buffer.clear();
            pattern.step.begin(slot, context, &mut pattern.buffer);
        }
    }
}
