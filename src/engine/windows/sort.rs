//! `sort(n, attribute, …)`: the n rows that stand first in an order.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::rows::Place;
use crate::engine::rows::Pool;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::WindowSetup;
use crate::engine::windows::arguments::count;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Slot;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Parameter;
use crate::plan::signature::Signature;
use std::cmp::Ordering;

const ORDERED: &[DataType] =
    &[DataType::Text, DataType::Int, DataType::Long, DataType::Float, DataType::Double];

/// The n rows that stand first. When one is too many the last leaves, after the row that came; it
/// may be that very row. Of equal rows the later stands behind.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "sort",
        summary: "Keeps the `length` events that stand first by attributes, each 'asc' or 'desc'.",
        traits: &[],
        overloads: &[takes(&[
            count("length"),
            Parameter::attribute("attribute", ORDERED),
            Parameter::any("order", ORDERED).many(),
        ])],
        example: "define stream Trades (symbol string, price double);\n\
            from Trades#window.sort(10, price, 'desc', symbol)\n\
            select symbol, price insert all events into Dearest;",
    },
    build,
};

fn build(setup: &WindowSetup<'_>) -> Result<Box<dyn Window>, ArgumentFault> {
    let mut keys: Vec<Key> = Vec::new();
    for place in 1..setup.arguments.len() {
        let Some(word) = setup.constant(place) else {
            keys.push(Key { column: setup.column(place)?, descending: false });
            continue;
        };
        let descending = match word.as_text() {
            Some(word) if word.eq_ignore_ascii_case("asc") => false,
            Some(word) if word.eq_ignore_ascii_case("desc") => true,
            _ => {
                return Err(ArgumentFault::at(place, "expected an attribute, 'asc' or 'desc'"));
            }
        };
        match keys.last_mut() {
            Some(key) if setup.constant(place - 1).is_none() => key.descending = descending,
            _ => return Err(ArgumentFault::at(place, "expected an attribute before the order")),
        }
    }
    Ok(Box::new(Sort {
        most: setup.number(0)? as usize,
        keys,
        expired: setup.expired,
        holds: setup.expired || setup.findable,
        rows: Pool::new(setup.types, setup.keep),
        slots: Vec::new(),
        keep: setup.keep.to_vec(),
    }))
}

#[derive(Clone, Copy, Debug)]
struct Key {
    column: usize,
    descending: bool,
}

struct Sort {
    most: usize,
    keys: Vec<Key>,
    expired: bool,
    holds: bool,
    rows: Pool,
    slots: Vec<Kept>,
    keep: Vec<bool>,
}

/// What a slot holds: in order of arrival until it overflows for the first time, then sorted.
#[derive(Clone, Debug, Default)]
struct Kept {
    places: Vec<Place>,
    sorted: bool,
}

impl Sort {
    fn take(&mut self, batch: &Batch, context: &Context, output: &mut Batch) {
        if !self.holds {
            return output.extend(batch, 0, batch.len());
        }
        for row in 0..batch.len() {
            let slot = batch.slot(row);
            let first = output.len();
            output.push_from(batch, row, Kind::Current, batch.timestamps[row]);
            if let Some(last) = self.insert(batch, row, slot) {
                if self.expired {
                    self.rows.put(last, Kind::Expired, context.now, slot, output);
                }
                self.rows.remove(last);
            }
            output.join_chunk(first);
            if batch.chunk_continues(row) {
                output.continues.set(output.len() - 1);
            }
        }
    }

    /// Puts a row in its place; gives the one that is too many.
    fn insert(&mut self, batch: &Batch, row: usize, slot: Slot) -> Option<Place> {
        let place = self.rows.insert(batch, row);
        if self.slots.len() <= slot as usize {
            self.slots.resize(slot as usize + 1, Kept::default());
        }
        let (rows, keys) = (&self.rows, &self.keys);
        let kept = &mut self.slots[slot as usize];
        if kept.places.len() < self.most && !kept.sorted {
            kept.places.push(place);
            return None;
        }
        if kept.sorted {
            let stays_before = |&other: &Place| order(rows, keys, other, place).is_le();
            let at = kept.places.partition_point(stays_before);
            kept.places.insert(at, place);
        } else {
            kept.places.push(place);
            kept.places.sort_by(|&a, &b| order(rows, keys, a, b));
            kept.sorted = true;
        }
        kept.places.pop()
    }
}

/// The order of two rows; nulls stand last in both directions.
fn order(rows: &Pool, keys: &[Key], a: Place, b: Place) -> Ordering {
    for key in keys {
        let (left, left_row) = rows.column(key.column, a);
        let (right, right_row) = rows.column(key.column, b);
        let order = left.order(left_row, right, right_row);
        let nulls = left.is_null(left_row) || right.is_null(right_row);
        match order {
            Ordering::Equal => {}
            order if key.descending && !nulls => return order.reverse(),
            order => return order,
        }
    }
    Ordering::Equal
}

impl Operator for Sort {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, None, context);
        self.take(&rows, context, output);
    }

    fn forget(&mut self, slot: Slot) {
        if let Some(kept) = self.slots.get_mut(slot as usize) {
            kept.sorted = false;
            kept.places.drain(..).for_each(|place| self.rows.remove(place));
        }
    }

    fn held(&self) -> usize {
        self.rows.held()
    }

    fn save(&self, state: &mut StateWriter) {
        self.rows.save(state);
        state.put(&(self.slots.len() as u32));
        for kept in &self.slots {
            state.put(&kept.sorted);
            state.put(&kept.places);
        }
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.rows.load(state)?;
        self.slots.clear();
        for _ in 0..state.get::<u32>()? {
            let kept = Kept { sorted: state.get()?, places: state.get()? };
            if !kept.places.iter().all(|&place| self.rows.holds(place)) {
                return Err(LoadError::Malformed);
            }
            self.slots.push(kept);
        }
        Ok(())
    }
}

impl Window for Sort {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        for &place in self.slots.get(slot as usize).map_or(&[][..], |kept| &kept.places) {
            self.rows.put(place, Kind::Current, self.rows.timestamp(place), slot, into);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;
    use crate::engine::windows::testing::refusal;

    #[test]
    fn the_last_in_order_leaves_after_the_row_that_came() {
        let seen = play("sort", "2, value", "@0 5 3 @1 4 @2 9 1");
        assert_eq!(seen, "@0 C5 | C3 | @1 C4 X5 | @2 C9 X9 | C1 X4");
        assert_eq!(contents("sort", "2, value", "@0 5 3"), "5 3");
        assert_eq!(contents("sort", "2, value", "@0 5 3 4"), "3 4");
    }

    #[test]
    fn attributes_count_in_turn_and_each_way() {
        let seen = play("sort", "1, key, 'desc', value, 'asc'", "@0 1:a 2:b 3:b 1:b 9");
        assert_eq!(seen, "@0 C1 | C2 X1 | C3 X3 | C1 X2 | C9 X9");
    }

    #[test]
    fn a_chunk_stays_one() {
        assert_eq!(play("sort", "1, value", "@0 1+ 2+ 3 4"), "@0 C1 C2 X2 C3 X3 | C4 X4");
    }

    #[test]
    fn orders_without_attribute_are_refused() {
        assert!(refusal("sort", "1, value, 'up'").contains("'asc' or 'desc'"));
        assert!(refusal("sort", "1, value, 'asc', 'asc'").contains("before the order"));
    }
}
