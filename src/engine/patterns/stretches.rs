//! Sequences of single events that any row may begin: a match is a stretch of rows side by side,
//! and all matches that lie in one batch are found column by column.
//!
//! A stretch is named by its first row: the event of the next state is the next row. So what a
//! state compares is compared for all stretches at once, two columns against each other with a few
//! rows between. Matches that reach from one batch into another go row by row as all others do.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::patterns::filter::Filter;
use crate::engine::patterns::filter::Pair;
use crate::engine::patterns::filter::holds;
use crate::engine::patterns::store::NO_TIME;
use crate::event::Batch;
use crate::event::Column;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Values;
use crate::plan::expression::Comparison;
use crate::plan::pattern::Capture;
use crate::plan::pattern::Pattern;
use crate::plan::pattern::Role;
use crate::plan::pattern::State;
use crate::plan::pattern::StateId;
use crate::plan::pattern::What;
use crate::plan::pattern::Which;
use std::ops::Range;

/// A batch must have so many times the rows of a match to be worth it.
const WORTH: usize = 4;

/// Finds the matches of a pattern that lie wholly in one batch.
pub struct Stretches {
    /// How many rows a match has.
    length: usize,
    within: Option<Millis>,
    /// By column put out: of which event, and which of its attributes.
    outputs: Vec<(StateId, usize)>,
    /// By first row: whether the stretch is a match as far as it has been looked at.
    open: Vec<bool>,
    /// First rows of stretches.
    firsts: Vec<u32>,
    /// Rows at hand, kept for their memory.
    rows: Vec<u32>,
}

impl Stretches {
    /// For a pattern whose matches are stretches of rows; nothing for any other.
    pub fn of(pattern: &Pattern, filters: &[Filter]) -> Option<Stretches> {
        let length = pattern.states.len();
        let follows = |(id, state): (StateId, &State)| {
            let is_last = id + 1 == length;
            state.port == 0
                && state.role == Role::One
                && state.is_start == (id == 0)
                && state.again == (id == 0).then_some(0)
                && state.next == (!is_last).then_some(id + 1)
                && state.ends == is_last
        };
        let looks_back = |filter: &Filter| {
            let mut reads = filter.reads.iter();
            filter.plain
                && reads.all(|read| read.state <= filter.state && attribute(read).is_some())
        };
        let suits = pattern.sequence
            && pattern.states.iter().enumerate().all(follows)
            && filters.iter().all(looks_back);
        let outputs = pattern.captures.iter().map(attribute).collect::<Option<_>>()?;
        suits.then(|| Stretches {
            length,
            within: pattern.within,
            outputs,
            open: Vec::new(),
            firsts: Vec::new(),
            rows: Vec::new(),
        })
    }

    /// How many rows at both ends of a batch have to go row by row; nothing if all do, since there
    /// are not enough.
    pub fn edge(&self, rows: usize) -> Option<usize> {
        (rows >= WORTH * self.length).then_some(self.length - 1)
    }

    /// How many of the rows no state wants.
    pub fn unwanted(&self, filters: &[Filter], rows: Range<usize>) -> u64 {
        if filters.iter().any(|filter| filter.passes.is_empty()) {
            return 0;
        }
        let unwanted = |row: &usize| !filters.iter().any(|filter| filter.passes[*row]);
        rows.filter(unwanted).count() as u64
    }

    /// Puts out the matches that lie in a batch with which the filters have begun.
    pub fn find(
        &mut self,
        filters: &mut [Filter],
        batch: &Batch,
        context: &mut Context,
        output: &mut Batch,
    ) {
        self.open.clear();
        self.open.resize((batch.len() + 1).saturating_sub(self.length), true);
        for filter in filters {
            self.narrow_by_age(filter.state, &batch.timestamps);
            self.narrow(filter, batch);
            if filter.rest.is_some() {
                self.note_firsts();
                self.narrow_by_rest(filter, batch, context);
            }
        }
        self.note_firsts();
        for (&(state, column), into) in self.outputs.iter().zip(&mut output.columns) {
            shift(&self.firsts, state, &mut self.rows);
            into.gather(&batch.columns[column], &self.rows);
        }
        let last = &batch.timestamps[self.length - 1..];
        for &first in &self.firsts {
            output.push_head(last[first as usize].max(NO_TIME), Kind::Current, 0);
        }
    }

    /// Fills `firsts` with the stretches that are open.
    fn note_firsts(&mut self) {
        self.firsts.resize(self.open.len(), 0);
        let mut count = 0;
        for (row, &open) in (0..).zip(&self.open) {
            // Written in any case: whether a stretch is open is hard to foresee.
            self.firsts[count] = row;
            count += usize::from(open);
        }
        self.firsts.truncate(count);
    }

    /// Leaves out what has become too old when a state looks at its row.
    fn narrow_by_age(&mut self, state: StateId, times: &[Millis]) {
        let Some(within) = self.within else { return };
        for ((open, &first), &now) in self.open.iter_mut().zip(times).zip(&times[state..]) {
            let (age, lead) = (now.saturating_sub(first), first.saturating_sub(now));
            *open &= age <= within && lead <= within;
        }
    }

    /// Leaves out what a state does not take for what its row says alone, or beside another.
    fn narrow(&mut self, filter: &Filter, batch: &Batch) {
        if !filter.passes.is_empty() {
            let passes = &filter.passes[filter.state..];
            self.open.iter_mut().zip(passes).for_each(|(open, &passes)| *open &= passes);
        }
        for Pair { column, comparison, held } in &filter.pairs {
            let Some((state, earlier)) = attribute(held) else { continue };
            let own = (&batch.columns[*column], filter.state);
            compare(*comparison, own, (&batch.columns[earlier], state), &mut self.open);
        }
    }

    /// Leaves out of `firsts` and of what is open what a state does not take for another reason.
    fn narrow_by_rest(&mut self, filter: &mut Filter, batch: &Batch, context: &mut Context) {
        let Some(rest) = filter.rest.as_mut().filter(|_| !self.firsts.is_empty()) else { return };
        filter.times.clear();
        let times = &batch.timestamps[filter.state..];
        filter.times.extend(self.firsts.iter().map(|&first| times[first as usize]));
        for (read, into) in filter.reads.iter().zip(&mut filter.frame) {
            let Some((state, column)) = attribute(read) else { continue };
            into.clear();
            shift(&self.firsts, state, &mut self.rows);
            into.gather(&batch.columns[column], &self.rows);
        }
        let frame = Frame::new(&filter.frame, &filter.times);
        let passes = rest.evaluate(&frame, context).bools();
        for (&first, &passes) in self.firsts.iter().zip(passes) {
            self.open[first as usize] = passes;
        }
    }
}

/// The state and the column that are read, if an attribute of its only event is.
fn attribute(capture: &Capture) -> Option<(StateId, usize)> {
    match (capture.what, capture.event) {
        (What::Attribute(column, _), Which::Latest | Which::FromFirst(0)) => {
            Some((capture.state, column))
        }
        _ => None,
    }
}

/// Fills `rows` with those of a state, for stretches given by their first.
fn shift(firsts: &[u32], state: StateId, rows: &mut Vec<u32>) {
    rows.clear();
    rows.extend(firsts.iter().map(|first| first + state as u32));
}

/// Leaves out the stretches for which a comparison of two columns does not hold, each from the
/// state on whose event's it is. With null none holds.
fn compare(
    comparison: Comparison,
    (own, from): (&Column, StateId),
    (held, at): (&Column, StateId),
    open: &mut [bool],
) {
    if own.nulls.any() || held.nulls.any() {
        for (first, open) in open.iter_mut().enumerate() {
            *open &= !own.is_null(first + from) && !held.is_null(first + at);
        }
    }
    match (&own.values, &held.values) {
        (Values::Int(own), Values::Int(held)) => {
            compare_all(comparison, &own[from..], &held[at..], open);
        }
        (Values::Long(own), Values::Long(held)) => {
            compare_all(comparison, &own[from..], &held[at..], open);
        }
        (Values::Float(own), Values::Float(held)) => {
            compare_all(comparison, &own[from..], &held[at..], open);
        }
        (Values::Double(own), Values::Double(held)) => {
            compare_all(comparison, &own[from..], &held[at..], open);
        }
        (Values::Bool(own), Values::Bool(held)) => {
            compare_all(comparison, &own[from..], &held[at..], open);
        }
        (Values::Text(own), Values::Text(held)) => {
            // Texts are not compared where nobody asks any more.
            for ((open, own), held) in open.iter_mut().zip(&own[from..]).zip(&held[at..]) {
                *open = *open && holds(comparison, own, held);
            }
        }
        _ => open.fill(false),
    }
}

/// Compares numbers, in a loop of its own for each comparison.
fn compare_all<T: PartialOrd>(comparison: Comparison, own: &[T], held: &[T], open: &mut [bool]) {
    match comparison {
        Comparison::Equal => each(own, held, open, |own, held| own == held),
        Comparison::NotEqual => each(own, held, open, |own, held| own != held),
        Comparison::Less => each(own, held, open, |own, held| own < held),
        Comparison::LessOrEqual => each(own, held, open, |own, held| own <= held),
        Comparison::Greater => each(own, held, open, |own, held| own > held),
        Comparison::GreaterOrEqual => each(own, held, open, |own, held| own >= held),
    }
}

fn each<T>(own: &[T], held: &[T], open: &mut [bool], holds: impl Fn(&T, &T) -> bool) {
    for ((open, own), held) in open.iter_mut().zip(own).zip(held) {
        *open &= holds(own, held);
    }
}
