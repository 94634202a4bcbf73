//! `lossyFrequent(support, error, attribute, …)`: rows of keys that are frequent enough.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::WindowSetup;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::engine::windows::counted::Counted;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Slot;
use crate::event::Value;
use crate::plan::signature::ANY;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::NUMBER;
use crate::plan::signature::Parameter;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

/// Rows of frequent keys, by lossy counting: a row passes if its key makes up the share `support`
/// of all rows, with an error of at most `error`, which is a tenth of the support if left out.
/// After each 1 / error rows the keys that are too rare are forgotten; their newest rows leave,
/// after the row that came.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "lossyFrequent",
        summary: "Passes the events of keys that make up the share `support` of all events.",
        traits: &[Trait::ReadsAll, Trait::Owes],
        overloads: &[
            takes(&[Parameter::constant("support", NUMBER)]),
            takes(&[
                Parameter::constant("support", NUMBER),
                Parameter::constant("error", NUMBER),
                Parameter::attribute("attribute", ANY).many(),
            ]),
        ],
        example: "define stream Purchases (card string, price double);\n\
            from Purchases#window.lossyFrequent(0.1, 0.01, card)\n\
            select card, price insert into Frequent;",
    },
    build: |setup| {
        let support = share(setup, 0)?;
        let error = if setup.arguments.len() > 1 { share(setup, 1)? } else { support / 10.0 };
        Ok(Box::new(LossyFrequent {
            support,
            error,
            width: (1.0 / error).ceil(),
            expired: setup.expired,
            totals: Vec::new(),
            keys: Counted::new(setup, 2)?,
            keep: setup.keep.to_vec(),
        }))
    },
};

/// The share at a place, above 0 and at most 1.
fn share(setup: &WindowSetup<'_>, place: usize) -> Result<f64, ArgumentFault> {
    match setup.constant(place).and_then(Value::as_double) {
        Some(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err(ArgumentFault::at(place, "expected a share above 0 and at most 1, as in `0.1`")),
    }
}

struct LossyFrequent {
    support: f64,
    error: f64,
    /// After so many rows rare keys are forgotten.
    width: f64,
    expired: bool,
    /// By slot, how many rows have come.
    totals: Vec<i64>,
    keys: Counted,
    keep: Vec<bool>,
}

impl LossyFrequent {
    fn take(&mut self, batch: &Batch, context: &Context, output: &mut Batch) {
        let mut chunk = output.len();
        for row in 0..batch.len() {
            self.take_row(batch, row, context, output);
            if !batch.chunk_continues(row) {
                output.join_chunk(chunk);
                chunk = output.len();
            }
        }
    }

    fn take_row(&mut self, batch: &Batch, row: usize, context: &Context, output: &mut Batch) {
        let slot = batch.slot(row);
        let place = slot as usize;
        if self.totals.len() <= place {
            self.totals.resize(place + 1, 0);
        }
        self.totals[place] += 1;
        let total = self.totals[place] as f64;
        let bucket = (total / self.width).ceil() as i64;
        let count = match self.keys.renew(batch, row) {
            Some(entry) => {
                entry.count += 1;
                entry.count
            }
            None => {
                self.keys.add(batch, row, 1, bucket - 1);
                1
            }
        };
        if count as f64 >= (self.support - self.error) * total {
            output.push_from(batch, row, Kind::Current, batch.timestamps[row]);
        }
        if total % self.width == 0.0 {
            let output = self.expired.then_some(output);
            self.keys.remove(slot, context.now, output, |entry| entry.count + entry.mark <= bucket);
        }
    }
}

impl Operator for LossyFrequent {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, None, context);
        self.take(&rows, context, output);
    }

    fn forget(&mut self, slot: Slot) {
        self.keys.forget(slot);
        if let Some(total) = self.totals.get_mut(slot as usize) {
            *total = 0;
        }
    }

    fn held(&self) -> usize {
        self.keys.held()
    }

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.totals);
        self.keys.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.totals = state.get()?;
        self.keys.load(state)
    }
}

impl Window for LossyFrequent {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        self.keys.contents(slot, into);
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;
    use crate::engine::windows::testing::refusal;

    #[test]
    fn keys_below_their_share_do_not_pass_and_are_forgotten() {
        // A bucket has four rows; with each row a key must have come 0.25 times as often in all.
        let seen = play("lossyFrequent", "0.5, 0.25, key", "@0 1:a 2:b 3:b 4:b @1 5:b 6:b 7:a 8:b");
        assert_eq!(seen, "@0 C1 | C2 | C3 | C4 X1 | @1 C5 | C6 | C8 X7");
        assert_eq!(contents("lossyFrequent", "0.5, 0.25, key", "@0 1:a 2:b 3:b 4:b"), "4");
    }

    #[test]
    fn shares_beyond_1_are_refused() {
        assert!(refusal("lossyFrequent", "1.5").contains("at most 1"));
        assert!(refusal("lossyFrequent", "0.5, 0.0").contains("above 0"));
    }
}
