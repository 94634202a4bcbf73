//! Makes an aggregator of one group's running value: who writes one need not know of batches, kinds
//! or groups.

use crate::engine::aggregators::AggregateRows;
use crate::engine::aggregators::Aggregator;
use crate::engine::expressions::Native;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Column;
use crate::event::Kind;
use crate::event::codec::Encode;

/// One group's running value. Its default is that of a group without rows.
pub trait Running: Default + Encode + Send + 'static {
    /// The type of the values it takes.
    type Argument: Native;
    /// The type of what it gives.
    type Result: Native;
    /// Whether it outlives resets, and cannot take values back.
    const FOREVER: bool = false;

    /// Takes a value in.
    fn enter(&mut self, value: &Self::Argument);
    /// Takes a value back.
    fn leave(&mut self, value: &Self::Argument);
    /// Takes a null in; most look away.
    fn enter_null(&mut self) {}
    /// Takes a null back.
    fn leave_null(&mut self) {}
    /// The value for the rows at hand; `None` is null.
    fn result(&mut self) -> Option<Self::Result>;
}

/// The running values of all groups, by group number.
pub struct PerGroup<R> {
    groups: Vec<R>,
}

impl<R: Running> PerGroup<R> {
    /// No group has a value yet.
    pub fn boxed() -> Box<dyn Aggregator> {
        Box::new(PerGroup::<R> { groups: Vec::new() })
    }
}

impl<R: Running> Aggregator for PerGroup<R> {
    fn run(&mut self, rows: &AggregateRows<'_>, arguments: &[&Column], output: &mut Column) {
        let range = rows.range.clone();
        let argument = arguments[0];
        let values = &R::Argument::rows(argument)[range.clone()];
        let kinds = rows.kinds.get(range.clone()).unwrap_or(&[]);
        let groups = rows.groups.get(range.clone()).unwrap_or(&[]);
        let most = groups.iter().copied().max().unwrap_or(0) as usize;
        if most >= self.groups.len() {
            self.groups.resize_with(most + 1, R::default);
        }

        let Column { values: results, nulls } = output;
        let results = R::Result::vector(results);
        let first = results.len();
        results.resize(first + values.len(), R::Result::default());
        let results = &mut results[first..];
        let mut put = |place: usize, slot: &mut R::Result, result: Option<R::Result>| match result {
            Some(result) => *slot = result,
            None => nulls.set(first + place),
        };

        let pairs = results.iter_mut().zip(values).enumerate();
        let is_plain = kinds.is_empty() && !argument.nulls.any();
        if groups.is_empty() {
            // A copy apart from the vector stays in registers.
            let mut running = std::mem::take(&mut self.groups[0]);
            if is_plain {
                for (place, (slot, value)) in pairs {
                    running.enter(value);
                    put(place, slot, running.result());
                }
            } else {
                for (place, (slot, value)) in pairs {
                    let is_null = argument.is_null(range.start + place);
                    step(&mut running, value, is_null, kinds.get(place));
                    put(place, slot, running.result());
                }
            }
            self.groups[0] = running;
        } else if is_plain {
            for ((place, (slot, value)), &group) in pairs.zip(groups) {
                let running = &mut self.groups[group as usize];
                running.enter(value);
                put(place, slot, running.result());
            }
        } else {
            for ((place, (slot, value)), &group) in pairs.zip(groups) {
                let running = &mut self.groups[group as usize];
                let is_null = argument.is_null(range.start + place);
                step(running, value, is_null, kinds.get(place));
                put(place, slot, running.result());
            }
        }
    }

    fn reset(&mut self, groups: &[u32], forget: bool) {
        if R::FOREVER && !forget {
            return;
        }
        for &group in groups {
            if let Some(running) = self.groups.get_mut(group as usize) {
                *running = R::default();
            }
        }
    }

    fn is_reversible(&self) -> bool {
        !R::FOREVER
    }

    fn is_as_new(&self, group: u32) -> bool {
        let encoded = |running: &R| {
            let mut bytes = Vec::new();
            running.encode(&mut bytes);
            bytes
        };
        let running = self.groups.get(group as usize);
        running.is_none_or(|running| encoded(running) == encoded(&R::default()))
    }

    fn save(&self, state: &mut StateWriter) {
        state.put(&(self.groups.len() as u32));
        self.groups.iter().for_each(|running| state.put(running));
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.groups = state.get()?;
        Ok(())
    }
}

#[inline]
fn step<R: Running>(running: &mut R, value: &R::Argument, is_null: bool, kind: Option<&Kind>) {
    let leaves = kind.is_some_and(|&kind| kind == Kind::Expired);
    match (leaves, is_null) {
        (false, false) => running.enter(value),
        (true, false) => running.leave(value),
        (false, true) => running.enter_null(),
        (true, true) => running.leave_null(),
    }
}
