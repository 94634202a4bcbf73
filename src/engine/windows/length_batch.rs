//! `lengthBatch(n)`: every n rows, at once.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::rows::Queues;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::WindowSetup;
use crate::engine::windows::arguments::count;
use crate::engine::windows::arguments::flag;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::engine::windows::generations::Generations;
use crate::engine::windows::length;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Slot;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

/// Every n rows, at once. With `stream.current.event` rows pass as they come; a full batch leaves
/// before the row after it, in that row's chunk.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "lengthBatch",
        summary: "Gathers `length` events and puts them out as one batch.",
        traits: &[Trait::StartsAnew],
        overloads: &[
            takes(&[count("length")]),
            takes(&[count("length"), flag("stream.current.event")]),
        ],
        example: "define stream Trades (symbol string, volume long);\n\
            from Trades#window.lengthBatch(1000)\n\
            select symbol, sum(volume) as total group by symbol insert into Totals;",
    },
    build,
};

fn build(setup: &WindowSetup<'_>) -> Result<Box<dyn Window>, ArgumentFault> {
    let length = setup.number(0)? as u64;
    if length == 0 {
        return Ok(Box::new(length::Nothing::apart(setup)));
    }
    let rows = Generations::new(setup);
    let keep = setup.keep.to_vec();
    Ok(match setup.flag(1) {
        true => Box::new(Streaming { length, rows, counts: Vec::new(), keep }),
        false => Box::new(LengthBatch { length, rows, keep }),
    })
}

struct LengthBatch {
    length: u64,
    rows: Generations,
    keep: Vec<bool>,
}

impl LengthBatch {
    fn take(&mut self, batch: &Batch, context: &Context, output: &mut Batch) {
        let first = self.rows.store(batch, 0, batch.len());
        let mut row = 0;
        while row < batch.len() {
            let slot = batch.slot(row);
            let number = first + row as u64;
            if self.rows.is_keyed() {
                self.rows.admit(slot, number);
                row += 1;
            } else {
                let room = self.length - self.rows.open(slot);
                let count = room.min((batch.len() - row) as u64);
                self.rows.admit_range(number, count);
                row += count as usize;
            }
            if self.rows.open(slot) == self.length {
                self.rows.close(slot, context.now, output);
            }
        }
        self.rows.settle();
    }
}

impl Operator for LengthBatch {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, None, context);
        self.take(&rows, context, output);
    }

    fn forget(&mut self, slot: Slot) {
        self.rows.forget(slot);
    }

    fn held(&self) -> usize {
        self.rows.held()
    }

    fn save(&self, state: &mut StateWriter) {
        self.rows.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.rows.load(state)
    }
}

impl Window for LengthBatch {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        self.rows.closed(slot, into);
    }

    fn queued(&self, slot: Slot) -> Option<(&Queues, u64)> {
        Some(self.rows.seen_closed(slot))
    }

    fn index_on(&mut self, columns: &[usize]) -> Option<usize> {
        Some(self.rows.index_on(columns, false))
    }
}

/// The form that lets rows pass as they come. The open batch is always held as the one before, so
/// that it leaves as such.
struct Streaming {
    length: u64,
    rows: Generations,
    /// By slot, how many rows have come since the last reset.
    counts: Vec<u64>,
    keep: Vec<bool>,
}

impl Streaming {
    fn take(&mut self, batch: &Batch, context: &Context, output: &mut Batch) {
        let first = if self.rows.holds() { self.rows.store(batch, 0, batch.len()) } else { 0 };
        for row in 0..batch.len() {
            let slot = batch.slot(row);
            let place = slot as usize;
            if self.counts.len() <= place {
                self.counts.resize(place + 1, 0);
            }
            let chunk = output.len();
            if self.counts[place] == self.length {
                self.counts[place] = 0;
                self.rows.leave(slot, context.now, output);
                output.push_zeros(context.now, Kind::Reset, slot);
            }
            self.counts[place] += 1;
            output.push_from(batch, row, Kind::Current, batch.timestamps[row]);
            output.join_chunk(chunk);
            if self.rows.holds() {
                self.rows.admit(slot, first + row as u64);
                self.rows.age(slot);
            }
        }
        self.rows.settle();
    }
}

impl Operator for Streaming {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, None, context);
        self.take(&rows, context, output);
    }

    fn forget(&mut self, slot: Slot) {
        self.rows.forget(slot);
        if let Some(count) = self.counts.get_mut(slot as usize) {
            *count = 0;
        }
    }

    fn held(&self) -> usize {
        self.rows.held()
    }

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.counts);
        self.rows.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.counts = state.get()?;
        self.rows.load(state)
    }
}

impl Window for Streaming {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        self.rows.all(slot, into);
    }

    fn queued(&self, slot: Slot) -> Option<(&Queues, u64)> {
        Some(self.rows.seen_all(slot))
    }

    fn index_on(&mut self, columns: &[usize]) -> Option<usize> {
        Some(self.rows.index_on(columns, true))
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;
    use crate::engine::windows::testing::play_current;

    #[test]
    fn a_full_batch_leaves_with_the_next() {
        let seen = play("lengthBatch", "2", "@0 1 @1 2 3 @2 4 5");
        assert_eq!(seen, "@1 R C1^0 C2 | @2 X1 X2 R C3^1 C4");
        assert_eq!(contents("lengthBatch", "2", "@0 1 2 3"), "1 2");
        assert_eq!(contents("lengthBatch", "2", "@0 1"), "");
    }

    #[test]
    fn chunks_that_come_do_not_matter() {
        let seen = play("lengthBatch", "2", "@0 1+ 2+ 3+ 4 5");
        assert_eq!(seen, "@0 R C1 C2 | X1 X2 R C3 C4");
    }

    #[test]
    fn rows_may_pass_as_they_come() {
        let seen = play("lengthBatch", "2, true", "@0 1+ 2 @1 3 @2 4 5");
        assert_eq!(seen, "@0 C1 | C2 | @1 X1 X2 R C3 | @2 C4 | X3 X4 R C5");
        assert_eq!(contents("lengthBatch", "2, true", "@0 1 2 3"), "3");
        assert_eq!(play_current("lengthBatch", "1, true", "@0 1 2"), "@0 C1 | R C2");
    }

    #[test]
    fn with_length_0_each_row_is_a_batch() {
        assert_eq!(play("lengthBatch", "0", "@0 1+ 2"), "@0 C1 X1 R | C2 X2 R");
    }

    #[test]
    fn without_readers_nothing_leaves() {
        assert_eq!(play_current("lengthBatch", "1", "@0 1 2"), "@0 R C1 | R C2");
    }
}
