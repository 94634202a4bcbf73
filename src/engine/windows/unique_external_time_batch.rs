//! `unique:externalTimeBatch(key, attribute, t)`: of what came in every t by an attribute's clock,
//! the newest row of each key, at once.

use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::WindowSetup;
use crate::engine::windows::arguments::flag;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arguments::time;
use crate::engine::windows::arguments::time_attribute;
use crate::engine::windows::latest::Latest;
use crate::engine::windows::period_batches::Batches;
use crate::engine::windows::period_batches::PeriodBatches;
use crate::engine::windows::periods::Closing;
use crate::engine::windows::periods::START;
use crate::engine::windows::unique::KEY;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

/// The newest row of each key in every t. Batches end as those of `externalTimeBatch` do; what
/// still comes for a batch that was put out at its time-out takes the place of its key's row, and
/// the whole batch is put out again.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "unique:externalTimeBatch",
        summary: "Gathers the newest event of each key in every `time` by an attribute that \
                  holds their time.",
        traits: &[Trait::StartsAnew],
        overloads: &[
            takes(&[KEY, time_attribute("timestamp"), time("time")]),
            takes(&[KEY, time_attribute("timestamp"), time("time"), START]),
            takes(&[KEY, time_attribute("timestamp"), time("time"), START, time("timeout")]),
            takes(&[
                KEY,
                time_attribute("timestamp"),
                time("time"),
                START,
                time("timeout"),
                flag("replace.with.batchtime"),
            ]),
        ],
        example: "define stream Logins (user string, at long);\n\
            from Logins#window.unique:externalTimeBatch(user, at, 1 min, 0, 10 sec)\n\
            select count() as users insert into PerMinute;",
    },
    build,
};

fn build(setup: &WindowSetup<'_>) -> Result<Box<dyn Window>, ArgumentFault> {
    Ok(Box::new(PeriodBatches::new(setup, 1, |periods| {
        Ok(NewestOfKeys {
            open: Latest::new(setup, &[0])?,
            before: Latest::new(setup, &[0])?,
            expired: setup.expired,
            holds: setup.expired || setup.findable || periods.puts_out_early(),
            merged: Batch::keeping(setup.types, setup.keep),
        })
    })?))
}

/// Batches that keep the newest row of each key.
struct NewestOfKeys {
    /// What came since the last batch was put out.
    open: Latest,
    /// The batch that was put out last.
    before: Latest,
    expired: bool,
    /// Whether a batch is held once it is put out.
    holds: bool,
    /// The rows that were added to a batch.
    merged: Batch,
}

impl NewestOfKeys {
    /// Adds what came to the batch that was put out already, and puts it out again.
    fn add_to_before(&mut self, slot: Slot, closing: Closing, output: &mut Batch) {
        if self.expired {
            self.before.show(slot, Kind::Expired, Some(closing.last), output);
        }
        self.merged.clear();
        while self.open.pop(slot, Kind::Current, None, Some(&mut self.merged)) {}
        for row in 0..self.merged.len() {
            self.before.put(&self.merged, row, closing.last, None);
        }
        output.push_zeros(closing.last, Kind::Reset, slot);
        self.before.show(slot, Kind::Current, None, output);
    }
}

impl Batches for NewestOfKeys {
    fn admit(&mut self, rows: &Batch, row: usize, now: Millis) {
        self.open.put(rows, row, now, None);
    }

    fn close(&mut self, slot: Slot, closing: Closing, output: &mut Batch) {
        if self.open.keys(slot) == 0 {
            return;
        }
        let chunk = output.len();
        if closing.again {
            self.add_to_before(slot, closing, output);
        } else {
            loop {
                let leaving = self.expired.then_some(&mut *output);
                if !self.before.pop(slot, Kind::Expired, Some(closing.last), leaving) {
                    break;
                }
            }
            output.push_zeros(closing.last, Kind::Reset, slot);
            while self.open.pop(slot, Kind::Current, None, Some(output)) {
                if self.holds {
                    self.before.put(output, output.len() - 1, closing.last, None);
                }
            }
        }
        output.join_chunk(chunk);
    }

    fn forget(&mut self, slot: Slot) {
        self.open.forget(slot);
        self.before.forget(slot);
    }

    fn held(&self) -> usize {
        self.open.held() + self.before.held()
    }

    fn save(&self, state: &mut StateWriter) {
        self.open.save(state);
        self.before.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.open.load(state)?;
        self.before.load(state)
    }

    fn contents(&self, slot: Slot, into: &mut Batch) {
        self.before.contents(slot, into);
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;
    use crate::engine::windows::testing::play_current;

    const WINDOW: &str = "unique:externalTimeBatch";

    #[test]
    fn a_batch_holds_the_newest_row_of_each_key() {
        let script = "@0 1=100:a 2=101:b 3=102:a 4=110:a 5=125:b";
        let seen = play(WINDOW, "key, at, 10", script);
        assert_eq!(seen, "@0 R^110 C2 C3 | X2^125 X3^125 R^125 C4");
        assert_eq!(play_current(WINDOW, "key, at, 10", script), "@0 R^110 C2 C3 | R^125 C4");
        assert_eq!(contents(WINDOW, "key, at, 10", "@0 1=100:a 2=101:b 3=110:a"), "1 2");
    }

    #[test]
    fn after_the_timeout_the_batch_is_put_out_and_added_to() {
        let script = "@0 1=5:a 2=7:b @30 3=9:a @60 4=100:a";
        let seen = play(WINDOW, "key, at, 100, 0, 10", script);
        assert_eq!(seen, "@10 R^7 C1^0 C2^0 | @40 X1^9 X2^9 R^9 C2^0 C3^30");
    }

    #[test]
    fn slots_have_periods_of_their_own() {
        let seen = play(WINDOW, "key, at, 10", "@0 1=100:a 2=105:a/2 3=110:a 4=112:a/2");
        assert_eq!(seen, "@0 R^110 C1");
    }
}
