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
use crate::engine::windows::arrivals::Arrivals;
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
    arrivals: Arrivals,
}

impl Nothing {
    /// As a sliding window: rows of one chunk stay together.
    pub fn together(setup: &WindowSetup<'_>) -> Nothing {
        Nothing { together: true, ..Nothing::apart(setup) }
    }

    /// As a batch window: each row is a chunk.
    pub fn apart(setup: &WindowSetup<'_>) -> Nothing {
        Nothing {
            keep: setup.keep.to_vec(),
            expired: setup.expired,
            together: false,
            arrivals: Arrivals::default(),
        }
    }
}

impl Operator for Nothing {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let batch = self.arrivals.of(input, None, context);
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
