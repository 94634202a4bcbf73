//! Rows held back so that they come in order of a time attribute, as far as waiting for late ones
//! helps: what `reorder:kslack` and `akslack` share.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::rows::Place;
use crate::engine::rows::Pool;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::stream_functions::accuracy::Accuracy;
use crate::engine::stream_functions::accuracy::Adapting;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::event::Value;
use crate::plan::logical::FunctionCall;
use crate::plan::signature::ArgumentFault;
use std::collections::BTreeMap;

/// Rows by their time, then by arrival.
type Ordered = BTreeMap<(i64, u64), Place>;

/// What waits in one slot.
#[derive(Debug, Default)]
struct Waiting {
    /// How long rows are held back.
    slack: i64,
    greatest: i64,
    /// The time of the row that left last.
    left: Option<i64>,
    /// Rows that came since the greatest time did, and earlier ones.
    fresh: Ordered,
    held: Ordered,
    count: u64,
    due: Option<Millis>,
    accuracy: Accuracy,
}

/// Holds rows back.
pub(super) struct Slack {
    column: usize,
    timeout: Option<Millis>,
    most: i64,
    /// Whether rows that come behind later ones that left are dropped.
    discard: bool,
    /// By what the slack adapts itself, if it does.
    adapting: Option<Adapting>,
    name: &'static str,
    rows: Pool,
    slots: Vec<Waiting>,
}

impl Slack {
    /// For a call whose first argument is the time attribute, and from `place` on the time-out, the
    /// greatest slack, and whether rows that are too late are dropped.
    ///
    /// # Errors
    /// Which argument it cannot take.
    pub(super) fn new(
        name: &'static str,
        call: &FunctionCall,
        place: usize,
        adapting: Option<Adapting>,
    ) -> Result<Slack, ArgumentFault> {
        let constant = |place: usize| call.arguments.get(place).and_then(|each| each.as_constant());
        let column = call.arguments.first().and_then(|argument| argument.as_column());
        let column = column.ok_or_else(|| ArgumentFault::at(0, "expected an attribute"))?;
        let timeout = constant(place).and_then(Value::as_long).filter(|timeout| *timeout > 0);
        let most = constant(place + 1).and_then(Value::as_long);
        let boundless = most.is_none() || most == Some(-1) && adapting.is_some();
        let most = most.filter(|_| !boundless).unwrap_or(i64::MAX);
        if most < 0 {
            let message = format!("expected a time from 0, found `{most}`");
            return Err(ArgumentFault::at(place + 1, message));
        }
        Ok(Slack {
            column,
            timeout,
            most,
            discard: constant(place + 2).and_then(Value::as_bool).unwrap_or_default(),
            adapting,
            name,
            rows: Pool::new(&call.types, &vec![true; call.types.len()]),
            slots: Vec::new(),
        })
    }

    fn take(&mut self, input: &Batch, row: usize, context: &mut Context, output: &mut Batch) {
        let slot = input.slot(row);
        if self.slots.len() <= slot as usize {
            self.slots.resize_with(slot as usize + 1, Waiting::default);
        }
        let waiting = &mut self.slots[slot as usize];
        let time = input.columns[self.column].longs()[row];
        if let Some(adapting) = &self.adapting {
            let value = input.columns[adapting.column].value(row).as_double();
            waiting.accuracy.note(time, value.unwrap_or_default(), adapting);
        }
        if self.discard && waiting.left.is_some_and(|left| time < left) {
            context.drops.late += 1;
            return;
        }
        let place = self.rows.insert(input, row);
        waiting.fresh.insert((time, waiting.count), place);
        waiting.count += 1;
        if let Some(adapting) = &self.adapting {
            waiting.accuracy.count(time, waiting.slack, adapting);
        }
        if time > waiting.greatest {
            waiting.greatest = time;
            let oldest = waiting.fresh.first_key_value().map_or(time, |((time, _), _)| *time);
            let late = time.saturating_sub(oldest);
            if late > waiting.slack {
                waiting.slack = match &self.adapting {
                    Some(_) if late < self.most => waiting.accuracy.share_of(late),
                    _ => late.min(self.most),
                };
            }
            waiting.held.append(&mut waiting.fresh);
            let leaves = |time: i64, waiting: &Waiting| {
                time.saturating_add(waiting.slack) <= waiting.greatest
            };
            while let Some((&(time, _), _)) = waiting.held.first_key_value()
                && leaves(time, waiting)
                && let Some((_, place)) = waiting.held.pop_first()
            {
                waiting.left = Some(time);
                put(&mut self.rows, place, slot, output);
            }
        }
        if let Some(timeout) = self.timeout
            && waiting.due.is_none()
        {
            let due = context.now.saturating_add(timeout);
            waiting.due = Some(due);
            context.wake_at(due, slot);
        }
    }
}

/// Lets a row leave, with nothing in the columns that are added.
fn put(rows: &mut Pool, place: Place, slot: Slot, output: &mut Batch) {
    rows.put(place, Kind::Current, rows.timestamp(place), slot, output);
    rows.remove(place);
    let length = output.len();
    for column in &mut output.columns {
        if column.values.data_type().is_some() && column.len() < length {
            column.push_null();
        }
    }
}

impl Operator for Slack {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        let mut chunk = output.len();
        for row in 0..input.len() {
            if input.kind(row) == Kind::Current {
                let needed = std::iter::once(self.column)
                    .chain(self.adapting.as_ref().map(|adapting| adapting.column));
                if needed.into_iter().any(|column| input.columns[column].is_null(row)) {
                    context.fault(row, format!("`{}`: an attribute is null", self.name));
                } else {
                    self.take(input, row, context, output);
                }
            }
            if !input.chunk_continues(row) {
                output.join_chunk(chunk);
                chunk = output.len();
            }
        }
    }

    fn wake(&mut self, due: Millis, slot: Slot, context: &mut Context, output: &mut Batch) {
        let Some(waiting) = self.slots.get_mut(slot as usize) else { return };
        if waiting.due != Some(due) {
            return;
        }
        waiting.due = None;
        while let Some(((time, _), place)) = waiting.held.pop_first() {
            waiting.left = waiting.left.max(Some(time));
            put(&mut self.rows, place, slot, output);
        }
        if self.adapting.is_some() {
            while let Some(((time, _), place)) = waiting.fresh.pop_first() {
                waiting.left = waiting.left.max(Some(time));
                put(&mut self.rows, place, slot, output);
            }
        }
        output.join_chunk(0);
        if let Some(timeout) = self.timeout.filter(|_| !waiting.fresh.is_empty()) {
            // The rest is let out at the next turn.
            waiting.held.append(&mut waiting.fresh);
            let due = due.saturating_add(timeout);
            waiting.due = Some(due);
            context.wake_at(due, slot);
        }
    }

    fn forget(&mut self, slot: Slot) {
        if let Some(waiting) = self.slots.get_mut(slot as usize) {
            let gone = std::mem::take(waiting);
            for place in gone.fresh.into_values().chain(gone.held.into_values()) {
                self.rows.remove(place);
            }
        }
    }

    fn held(&self) -> usize {
        self.rows.held()
    }

    fn save(&self, state: &mut StateWriter) {
        self.rows.save(state);
        state.put(&(self.slots.len() as u32));
        for waiting in &self.slots {
            state.put(&(waiting.slack, waiting.greatest));
            state.put(&waiting.left);
            state.put(&waiting.count);
            state.put(&waiting.due);
            for rows in [&waiting.fresh, &waiting.held] {
                state.put(&(rows.len() as u32));
                for (&(time, count), &place) in rows {
                    state.put(&(time, count as i64));
                    state.put(&place);
                }
            }
            if self.adapting.is_some() {
                waiting.accuracy.save(state);
            }
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.rows.load(state)?;
        self.slots.clear();
        for _ in 0..state.get::<u32>()? {
            let (slack, greatest) = state.get()?;
            let mut waiting = Waiting {
                slack,
                greatest,
                left: state.get()?,
                count: state.get()?,
                due: state.get()?,
                ..Waiting::default()
            };
            for rows in [&mut waiting.fresh, &mut waiting.held] {
                for _ in 0..state.get::<u32>()? {
                    let (time, count): (i64, i64) = state.get()?;
                    let place: Place = state.get()?;
                    if !self.rows.holds(place) {
                        return Err(LoadError::Malformed);
                    }
                    rows.insert((time, count as u64), place);
                }
            }
            if self.adapting.is_some() {
                waiting.accuracy = Accuracy::load(state)?;
            }
            self.slots.push(waiting);
        }
        Ok(())
    }
}
