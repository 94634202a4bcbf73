//! `frequent(n, attribute, …)`: the newest row of each of the n most frequent keys.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::arguments::count;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::engine::windows::counted::Counted;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Slot;
use crate::plan::signature::ANY;
use crate::plan::signature::Parameter;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

/// The newest row of each of the n most frequent keys, by the counting of Misra and Gries: a row
/// passes if its key is counted. A key that finds no room takes one off the count of all others;
/// those that come to nothing leave, and make room for it.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "frequent",
        summary: "Passes the events of the `count` most frequent keys, and keeps their newest.",
        traits: &[Trait::ReadsAll],
        overloads: &[takes(&[count("count"), Parameter::attribute("attribute", ANY).many()])],
        example: "define stream Purchases (card string, price double);\n\
            from Purchases#window.frequent(2, card)\n\
            select card, price insert into Frequent;",
    },
    build: |setup| {
        Ok(Box::new(Frequent {
            most: setup.number(0)? as usize,
            expired: setup.expired,
            keys: Counted::new(setup, 1)?,
            keep: setup.keep.to_vec(),
        }))
    },
};

struct Frequent {
    most: usize,
    expired: bool,
    keys: Counted,
    keep: Vec<bool>,
}

impl Frequent {
    fn take(&mut self, batch: &Batch, context: &Context, output: &mut Batch) {
        let mut chunk = output.len();
        for row in 0..batch.len() {
            if self.passes(batch, row, context, output) {
                output.push_from(batch, row, Kind::Current, batch.timestamps[row]);
            }
            if !batch.chunk_continues(row) {
                output.join_chunk(chunk);
                chunk = output.len();
            }
        }
    }

    fn passes(&mut self, batch: &Batch, row: usize, now: &Context, output: &mut Batch) -> bool {
        let slot = batch.slot(row);
        if let Some(entry) = self.keys.renew(batch, row) {
            entry.count += 1;
            return true;
        }
        if self.keys.keys(slot) >= self.most {
            self.keys.entries(slot).iter_mut().for_each(|entry| entry.count -= 1);
            let output = self.expired.then_some(output);
            self.keys.remove(slot, now.now, output, |entry| entry.count == 0);
        }
        let has_room = self.keys.keys(slot) < self.most;
        if has_room {
            self.keys.add(batch, row, 1, 0);
        }
        has_room
    }
}

impl Operator for Frequent {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, None, context);
        self.take(&rows, context, output);
    }

    fn forget(&mut self, slot: Slot) {
        self.keys.forget(slot);
    }

    fn held(&self) -> usize {
        self.keys.held()
    }

    fn save(&self, state: &mut StateWriter) {
        self.keys.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.keys.load(state)
    }
}

impl Window for Frequent {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        self.keys.contents(slot, into);
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;

    #[test]
    fn a_key_without_room_takes_one_off_the_others() {
        let script = "@0 1:a 2:b 3:a @1 4:c @2 5:c @3 6:d 7:d";
        // c takes one off a and b: b leaves and makes room for it. d does the same to a, then c.
        assert_eq!(
            play("frequent", "2, key", script),
            "@0 C1 | C2 | C3 | @1 X2 C4 | @2 C5 | @3 X3 C6 | C7"
        );
        assert_eq!(contents("frequent", "2, key", "@0 1:a 2:b 3:a"), "3 2");
    }

    #[test]
    fn a_key_that_finds_no_room_does_not_pass() {
        let seen = play("frequent", "1, key", "@0 1:a 2:a 3:b 4:b 5:b");
        assert_eq!(seen, "@0 C1 | C2 | X2 C4 | C5");
    }
}
