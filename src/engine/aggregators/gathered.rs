//! Makes an aggregator of the values that are present in a group: who writes one says what it takes
//! of a row and what it gives of them all.

use crate::engine::aggregators::AggregateRows;
use crate::engine::aggregators::Aggregator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Column;
use crate::event::Kind;
use crate::event::Value;

/// What is taken of a row and given of all.
pub trait Gather: Send {
    /// What the group keeps of a row; null is passed over.
    fn take(&self, arguments: &[&Column], row: usize) -> Value {
        arguments[0].value(row)
    }

    /// Where among those present a value is put: at their end.
    fn place(&self, present: &[Value], _value: &Value) -> usize {
        present.len()
    }

    /// Where among those present a value is; the first of equal ones.
    fn find(&self, present: &[Value], value: &Value) -> Option<usize> {
        present.iter().position(|each| each == value)
    }

    /// What all those present give.
    fn result(&self, present: &[Value]) -> Value;
}

/// The values of all groups, by group number.
pub struct Gathered<G> {
    how: G,
    groups: Vec<Vec<Value>>,
}

impl<G: Gather + 'static> Gathered<G> {
    /// No group has a value yet.
    pub fn boxed(how: G) -> Box<dyn Aggregator> {
        Box::new(Gathered { how, groups: Vec::new() })
    }
}

impl<G: Gather> Aggregator for Gathered<G> {
    fn run(&mut self, rows: &AggregateRows<'_>, arguments: &[&Column], output: &mut Column) {
        for row in rows.range.clone() {
            let group = rows.groups.get(row).map_or(0, |&group| group as usize);
            if group >= self.groups.len() {
                self.groups.resize_with(group + 1, Vec::new);
            }
            let present = &mut self.groups[group];
            let value = self.how.take(arguments, row);
            let leaves = rows.kinds.get(row) == Some(&Kind::Expired);
            match (value, leaves) {
                (Value::Null, _) => {}
                (value, false) => present.insert(self.how.place(present, &value), value),
                (value, true) => {
                    if let Some(place) = self.how.find(present, &value) {
                        present.remove(place);
                    }
                }
            }
            // A batch that comes at once is mostly wanted for its last row alone.
            let shown = if rows.is_wanted(row) { present.as_slice() } else { &[] };
            output.push(&self.how.result(shown));
        }
    }

    fn reset(&mut self, groups: &[u32], _forget: bool) {
        for &group in groups {
            if let Some(present) = self.groups.get_mut(group as usize) {
                present.clear();
            }
        }
    }

    fn is_lazy(&self) -> bool {
        true
    }

    fn is_as_new(&self, group: u32) -> bool {
        self.groups.get(group as usize).is_none_or(Vec::is_empty)
    }

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.groups);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.groups = state.get()?;
        Ok(())
    }
}
