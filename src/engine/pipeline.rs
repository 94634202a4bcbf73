//! One query as it runs: its steps, its selection, and where the rows go.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::patterns::PatternStep;
use crate::engine::rates::Limiter;
use crate::engine::selector::Selector;
use crate::engine::tables::TableWriter;
use crate::engine::windows::Window;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::logical::AggregationId;
use crate::plan::logical::PartitionId;
use crate::plan::logical::StreamId;
use crate::plan::logical::WindowId;
use std::collections::BTreeSet;
use std::ops::Deref;
use std::ops::DerefMut;

/// A query.
pub struct Pipeline {
    /// One way in a port; two where streams are joined.
    pub ports: Vec<Way>,
    /// The pattern to which all ways lead, if there is one.
    pub pattern: Option<Box<PatternWay>>,
    /// What is selected.
    pub selector: Selector,
    /// What holds selected rows back, if something does.
    pub limiter: Option<Box<Limiter>>,
    /// What the last run put out; away while it is on its way to the target.
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
    pub steps: Vec<Step>,
    /// What each put out last.
    pub buffers: Vec<Batch>,
    /// The id of the first step, as timers know it; the others follow.
    pub first_operator: u32,
    /// Whether what the last step puts out goes no further.
    pub is_silent: bool,
    /// The step that holds the rows which the other port finds.
    pub side: Option<usize>,
}

/// A step of a port.
pub enum Step {
    /// Any step.
    Plain(Box<dyn Operator>),
    /// A window that is lent to the other port of a join while that runs.
    Side(Option<Box<dyn Window>>),
}

const BACK: &str = "a window is back from the other port when its own runs";

impl Deref for Step {
    type Target = dyn Operator;

    fn deref(&self) -> &Self::Target {
        match self {
            Step::Plain(step) => &**step,
            Step::Side(window) => &**window.as_ref().expect(BACK),
        }
    }
}

impl DerefMut for Step {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Step::Plain(step) => &mut **step,
            Step::Side(window) => &mut **window.as_mut().expect(BACK),
        }
    }
}

impl Way {
    /// The place of the window that is lent, if there is one.
    fn lends(&mut self) -> Option<&mut Option<Box<dyn Window>>> {
        match self.steps.get_mut(self.side?)? {
            Step::Side(window) => Some(window),
            Step::Plain(_) => None,
        }
    }
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
    /// Answers of an external table came for the step at this place.
    Answered(usize),
    /// A period of the output rate ends; the moment from which to go on, if some are left out.
    Rate(Millis, Slot, Option<Millis>),
}

impl Pipeline {
    /// Runs the steps from where the cause acts, then the selection; the result is in `selected`.
    pub fn run(&mut self, port: usize, cause: Cause<'_>, context: &mut Context) {
        if self.ports.len() != 2 || self.pattern.is_some() {
            return self.run_steps(port, cause, context);
        }
        // What the other side of a join holds is looked at while this one runs.
        let other = 1 - port;
        context.lent = self.ports[other].lends().and_then(Option::take);
        self.run_steps(port, cause, context);
        if let Some(window) = self.ports[other].lends() {
            *window = context.lent.take();
        }
    }

    fn run_steps(&mut self, port: usize, cause: Cause<'_>, context: &mut Context) {
        let selected = self.selected.as_mut();
        let selected = selected.expect("a query never feeds itself, so that its rows are back");
        selected.clear();
        if let Cause::Rate(due, slot, from) = cause {
            if let Some(limiter) = &mut self.limiter {
                context.operator = limiter.operator;
                limiter.wake(due, slot, from, context, selected);
            }
            return;
        }
        if let Some(pattern) = &mut self.pattern {
            let rows = &mut pattern.buffer;
            rows.clear();
            match cause {
                Cause::Rows(input) => pattern.step.run(port, input, context, rows),
                Cause::Timer(state, due, slot) => {
                    pattern.step.wake(state, due, slot, context, rows);
                }
                Cause::SendEnd(_) | Cause::Answered(_) | Cause::Rate(..) => {}
            }
            if !rows.is_empty() {
                select(&mut self.selector, &mut self.limiter, rows, context, selected);
            }
            return;
        }
        let way = &mut self.ports[port];
        let mut input: Option<&Batch> = None;
        let mut next = 0;
        match cause {
            Cause::Rows(rows) => input = Some(rows),
            Cause::Rate(..) => {}
            Cause::Timer(place, ..) | Cause::SendEnd(place) | Cause::Answered(place) => {
                context.operator = way.first_operator + place as u32;
                let output = &mut way.buffers[place];
                output.clear();
                match cause {
                    Cause::Timer(_, due, slot) => {
                        way.steps[place].wake(due, slot, context, output);
                    }
                    Cause::Answered(_) => way.steps[place].answered(context, output),
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
        if way.is_silent {
            return;
        }
        let rows = input.unwrap_or_else(|| &way.buffers[next - 1]);
        select(&mut self.selector, &mut self.limiter, rows, context, selected);
    }

    /// Adds the partition keys of rows that wait.
    pub fn keys_in_use(&self, keys: &mut BTreeSet<Slot>) {
        let steps = self.ports.iter().flat_map(|way| &way.steps);
        steps.for_each(|step| step.keys_in_use(keys));
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
        if let Some(limiter) = &mut self.limiter {
            limiter.forget(slot);
        }
    }

    /// How many rows and groups are held.
    pub fn held(&self) -> usize {
        let steps = self.ports.iter().flat_map(|way| &way.steps);
        let matches = self.pattern.as_ref().map_or(0, |pattern| pattern.step.held());
        let limited = self.limiter.as_ref().map_or(0, |limiter| limiter.held());
        steps.map(|step| step.held()).sum::<usize>() + matches + limited
    }

    /// Begins to wait for absences and to count periods, for a partition key that is new to it.
    pub fn begin(&mut self, slot: Slot, context: &mut Context) {
        if let Some(limiter) = &mut self.limiter {
            limiter.begin(slot, context.now);
        }
        if let Some(pattern) = &mut self.pattern
            && pattern.step.begins_by_time()
        {
            pattern.buffer.clear();
            pattern.step.begin(slot, context, &mut pattern.buffer);
        }
    }
}

/// Selects, and holds back what may not leave yet.
fn select(
    selector: &mut Selector,
    limiter: &mut Option<Box<Limiter>>,
    rows: &Batch,
    context: &mut Context,
    selected: &mut Batch,
) {
    let Some(limiter) = limiter else { return selector.run(rows, context, selected) };
    limiter.input.clear();
    selector.run(rows, context, &mut limiter.input);
    context.operator = limiter.operator;
    limiter.run(context, selected);
}
