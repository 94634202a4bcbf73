//! `externalTimeBatch(attribute, t)`: what came in every t by an attribute's clock, at once.

use crate::engine::rows::Queues;
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
use crate::engine::windows::generations::Generations;
use crate::engine::windows::generations::Part;
use crate::engine::windows::period_batches::Batches;
use crate::engine::windows::period_batches::PeriodBatches;
use crate::engine::windows::periods::Closing;
use crate::engine::windows::periods::START;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

/// What came in every t. The first row beyond the end of the open batch closes it; periods without
/// rows are passed over, rows that are late count into the open batch. With `timeout`, a batch to
/// which nothing was added for so long is put out before it ends, and what still comes for it is
/// added to it: the whole batch is put out again.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "externalTimeBatch",
        summary: "Gathers the events of every `time` by an attribute that holds their time.",
        traits: &[Trait::StartsAnew],
        overloads: &[
            takes(&[time_attribute("timestamp"), time("time")]),
            takes(&[time_attribute("timestamp"), time("time"), START]),
            takes(&[time_attribute("timestamp"), time("time"), START, time("timeout")]),
            takes(&[
                time_attribute("timestamp"),
                time("time"),
                START,
                time("timeout"),
                flag("replace.with.batchtime"),
            ]),
        ],
        example: "define stream Trades (symbol string, price double, at long);\n\
            from Trades#window.externalTimeBatch(at, 1 min, 0, 10 sec)\n\
            select symbol, max(price) as top group by symbol insert into Tops;",
    },
    build,
};

fn build(setup: &WindowSetup<'_>) -> Result<Box<dyn Window>, ArgumentFault> {
    Ok(Box::new(PeriodBatches::new(setup, 0, |periods| {
        let mut rows = Generations::new(setup);
        if periods.puts_out_early() {
            rows.hold();
        }
        Ok(WholeBatches { rows, expired: setup.expired, stored: 0 })
    })?))
}

/// Batches that keep all their rows.
struct WholeBatches {
    rows: Generations,
    expired: bool,
    /// The number of the first row at hand.
    stored: u64,
}

impl WholeBatches {
    /// Puts out a batch to which rows were added after it had been put out.
    fn put_out_again(&mut self, slot: Slot, now: Millis, output: &mut Batch) {
        let chunk = output.len();
        let before = Part { skip: 0, count: self.rows.before(slot) };
        if self.expired {
            self.rows.put(slot, before, Kind::Expired, Some(now), output);
        }
        output.push_zeros(now, Kind::Reset, slot);
        self.rows.put(slot, before, Kind::Current, None, output);
        self.rows.arrive(slot, output);
        output.join_chunk(chunk);
    }
}

impl Batches for WholeBatches {
    fn store(&mut self, rows: &Batch) {
        self.stored = self.rows.store(rows, 0, rows.len());
    }

    fn admit(&mut self, rows: &Batch, row: usize, _now: Millis) {
        self.rows.admit(rows.slot(row), self.stored + row as u64);
    }

    fn close(&mut self, slot: Slot, closing: Closing, output: &mut Batch) {
        if self.rows.open(slot) > 0 {
            if closing.again {
                self.put_out_again(slot, closing.last, output);
            } else {
                self.rows.close(slot, closing.last, output);
            }
        }
    }

    fn settle(&mut self) {
        self.rows.settle();
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
    fn the_first_row_beyond_the_end_closes_the_batch() {
        let window = "externalTimeBatch";
        let seen = play(window, "at, 10", "@0 1=100 2=109 3=110 4=145 5=150 6=160");
        assert_eq!(
            seen,
            "@0 R^110 C1 C2 | X1^145 X2^145 R^145 C3 | X3^150 R^150 C4 | X4^160 R^160 C5"
        );
        let seen = play(window, "at, 10, 5", "@0 1=100 2=104 3=105");
        assert_eq!(seen, "@0 R^105 C1 C2");
        assert_eq!(contents(window, "at, 10", "@0 1=100 2=110"), "1");
    }

    #[test]
    fn the_start_may_be_the_first_rows_attribute() {
        let seen = play("externalTimeBatch", "at, 10, at", "@0 1=103 2=112 3=113");
        assert_eq!(seen, "@0 R^113 C1 C2");
    }

    #[test]
    fn late_rows_count_into_the_open_batch() {
        let seen = play("externalTimeBatch", "at, 10", "@0 1=100 2=110 3=101 4=120");
        assert_eq!(seen, "@0 R^110 C1 | X1^120 R^120 C2 C3");
    }

    #[test]
    fn after_the_timeout_the_batch_is_put_out_and_added_to() {
        let arguments = "at, 100, 0, 10";
        let seen = play("externalTimeBatch", arguments, "@0 1=5 2=7 @30 3=9 @60 4=100 5=200");
        assert_eq!(
            seen,
            "@10 R^7 C1^0 C2^0 | @40 X1^9 X2^9 R^9 C1^0 C2^0 C3^30 | \
             @60 X1^200 X2^200 X3^200 R^200 C4"
        );
    }

    #[test]
    fn the_timeout_is_counted_from_the_batchs_first_row() {
        let arguments = "at, 100, 0, 10";
        let seen = play("externalTimeBatch", arguments, "@0 1=5 @8 2=6 @9 3=100 @18 4=101 @50");
        assert_eq!(seen, "@9 R^100 C1^0 C2^8 | @19 X1^101 X2^101 R^101 C3^9 C4^18");
    }

    #[test]
    fn the_time_may_be_replaced_by_the_batchs_end() {
        let mut stage =
            crate::engine::windows::testing::stage("externalTimeBatch", "at, 10, 0, 0, true", true);
        crate::engine::windows::testing::run(&mut stage, "@0 1=3 2=14");
        assert_eq!(stage.seen[1].values[1], crate::event::Value::Long(10));
    }
}
