//! `batch()`: what one send brought, at once.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::rows::Queues;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::arguments::count;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::engine::windows::generations::Generations;
use crate::engine::windows::generations::Part;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

/// What one send brought; in a partition, each run of rows of one key. With a length the rows that
/// arrive are cut into pieces, each a chunk; what leaves stands before the first of them.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "batch",
        summary: "Takes what was sent together as one batch.",
        traits: &[Trait::StartsAnew],
        overloads: &[takes(&[]), takes(&[count("length")])],
        example: "define stream Readings (sensor string, value double);\n\
            from Readings#window.batch()\n\
            select sensor, avg(value) as mean group by sensor insert into Means;",
    },
    build: |setup| {
        let length = if setup.arguments.is_empty() { 0 } else { setup.number(0)? as u64 };
        Ok(Box::new(Sends {
            length: if length == 0 { u64::MAX } else { length },
            rows: Generations::new(setup),
            gathering: None,
            keep: setup.keep.to_vec(),
        }))
    },
};

struct Sends {
    /// Rows in a piece.
    length: u64,
    rows: Generations,
    /// The slot whose rows are coming.
    gathering: Option<Slot>,
    keep: Vec<bool>,
}

impl Sends {
    fn take(&mut self, batch: &Batch, now: Millis, output: &mut Batch) {
        let first = self.rows.store(batch, 0, batch.len());
        for row in 0..batch.len() {
            let slot = batch.slot(row);
            if self.gathering != Some(slot) {
                self.flush(now, output);
                self.gathering = Some(slot);
            }
            self.rows.admit(slot, first + row as u64);
        }
    }

    /// Puts out what was gathered.
    fn flush(&mut self, now: Millis, output: &mut Batch) {
        let Some(slot) = self.gathering.take() else { return };
        let mut chunk = output.len();
        self.rows.leave(slot, now, output);
        output.push_zeros(now, Kind::Reset, slot);
        let rows = self.rows.open(slot);
        let mut skip = 0;
        while skip < rows {
            let count = self.length.min(rows - skip);
            self.rows.put(slot, Part { skip, count }, Kind::Current, None, output);
            output.join_chunk(chunk);
            chunk = output.len();
            skip += count;
        }
        self.rows.age(slot);
    }
}

impl Operator for Sends {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, None, context);
        self.take(&rows, context.now, output);
        self.rows.settle();
    }

    fn end_send(&mut self, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        self.flush(context.now, output);
        self.rows.settle();
    }

    fn gathers_sends(&self) -> bool {
        true
    }

    fn forget(&mut self, slot: Slot) {
        self.rows.forget(slot);
        self.gathering = self.gathering.filter(|&gathering| gathering != slot);
    }

    fn held(&self) -> usize {
        self.rows.held()
    }

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.gathering);
        self.rows.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.gathering = state.get()?;
        self.rows.load(state)
    }
}

impl Window for Sends {
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

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;

    #[test]
    fn a_send_is_a_batch() {
        let seen = play("batch", "", "@0 1 2 ; 3 @5 4+ 5");
        assert_eq!(seen, "@0 R C1 C2 | X1 X2 R C3 | @5 X3 R C4 C5");
        assert_eq!(contents("batch", "", "@0 1 2 ; 3 4"), "3 4");
    }

    #[test]
    fn a_batch_may_come_in_pieces() {
        let seen = play("batch", "2", "@0 1 2 3 @1 4");
        assert_eq!(seen, "@0 R C1 C2 | C3 | @1 X1 X2 X3 R C4");
    }

    #[test]
    fn in_a_partition_runs_of_a_key_are_batches() {
        let seen = play("batch", "", "@0 1/1 2/1 3/2 4/1");
        assert_eq!(seen, "@0 R C1 C2 | R C3 | X1 X2 R C4");
    }
}
