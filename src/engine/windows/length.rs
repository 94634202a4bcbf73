//! `length(n)`: the last n rows.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
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
use crate::engine::windows::sliding::Age;
use crate::engine::windows::sliding::Sliding;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Slot;
use crate::plan::signature::Signature;

/// The last n rows.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "length",
        summary: "Slides over the last `length` events.",
        traits: &[],
        overloads: &[takes(&[count("length")])],
        example: "define stream Trades (symbol string, price double);\n\
            from Trades#window.length(100) select symbol, avg(price) as mean insert into Means;",
    },
    build: |setup| {
        let most = setup.number(0)?;
        if most == 0 {
            return Ok(Box::new(Nothing::together(setup)));
        }
        Ok(Box::new(Sliding::new(setup, most as u64, Age::Any)))
    },
};

/// A window of length 0: each row leaves as soon as it has come, and aggregates start anew.
pub struct Nothing {
    keep: Vec<bool>,
    expired: bool,
    /// Whether rows of one chunk stay together.
    together: bool,
}

impl Nothing {
    /// As a sliding window: rows of one chunk stay together.
    pub fn together(setup: &WindowSetup<'_>) -> Nothing {
        Nothing { together: true, ..Nothing::apart(setup) }
    }

    /// As a batch window: each row is a chunk.
    pub fn apart(setup: &WindowSetup<'_>) -> Nothing {
        Nothing { keep: setup.keep.to_vec(), expired: setup.expired, together: false }
    }
}

impl Operator for Nothing {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let batch = &*arrivals(input, None, context);
        for row in 0..batch.len() {
            let chunk = output.len();
            output.push_from(batch, row, Kind::Current, batch.timestamps[row]);
            if self.expired {
                output.push_from(batch, row, Kind::Expired, context.now);
            }
            output.push_zeros(context.now, Kind::Reset, batch.slot(row));
            output.join_chunk(chunk);
            if self.together && batch.chunk_continues(row) {
                output.continues.set(output.len() - 1);
            }
        }
    }

    fn forget(&mut self, _slot: Slot) {}

    fn save(&self, _state: &mut StateWriter) {}

    fn load(&mut self, _state: &mut StateReader<'_>) -> Result<(), LoadError> {
        Ok(())
    }
}

impl Window for Nothing {
    fn contents(&self, _slot: Slot, _into: &mut Batch) {}
}

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;
    use crate::engine::windows::testing::play_current;
    use crate::engine::windows::testing::refusal;

    #[test]
    fn the_oldest_row_leaves_before_the_row_that_is_too_many() {
        assert_eq!(play("length", "2", "@0 1 2 @5 3 4"), "@0 C1 | C2 | @5 X1 C3 | X2 C4");
        assert_eq!(contents("length", "2", "@0 1 2 3"), "2 3");
    }

    #[test]
    fn a_chunk_stays_one() {
        assert_eq!(play("length", "1", "@0 1+ 2+ 3 4"), "@0 C1 X1 C2 X2 C3 | X3 C4");
    }

    #[test]
    fn with_length_0_rows_come_go_and_reset() {
        assert_eq!(play("length", "0", "@0 1 @3 2+ 3"), "@0 C1 X1 R | @3 C2 X2 R C3 X3 R");
        assert_eq!(contents("length", "0", "@0 1"), "");
    }

    #[test]
    fn without_readers_nothing_leaves() {
        assert_eq!(play_current("length", "1", "@0 1 2"), "@0 C1 | C2");
        assert_eq!(play_current("length", "0", "@0 1 2"), "@0 C1 R | C2 R");
    }

    #[test]
    fn each_slot_slides_alone() {
        let seen = play("length", "1", "@0 1/1 2/0 3/1 4/0");
        assert_eq!(seen, "@0 C1 | C2 | X1 C3 | X2 C4");
    }

    #[test]
    fn a_negative_length_is_refused() {
        assert!(refusal("length", "-1").contains("not negative, found `-1`"));
    }
}
