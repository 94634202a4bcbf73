//! `expressionBatch(condition)`: rows until a condition on all of them no longer holds, at once.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::rows::Queues;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::WindowSetup;
use crate::engine::windows::arguments::flag;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::engine::windows::condition::Conditions;
use crate::engine::windows::condition::Renewed;
use crate::engine::windows::condition::RowOf;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Parameter;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

/// Rows until a condition on all of them no longer holds. The row that ends it begins the next
/// batch, or belongs to this one with `include.triggering.event`. The rows of the batch before
/// leave first; there is no reset. A row that alone does not meet the condition comes and leaves at
/// once. With `stream.current.event` rows pass as they come and leave together. What the condition
/// reads, and when it may change, is as with `expression`; it may be an attribute that is true or
/// false.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "expressionBatch",
        summary: "Gathers events while a condition on all of them holds, and puts them out as one \
            batch.",
        traits: &[Trait::ReadsAll, Trait::TakesCondition, Trait::Owes],
        overloads: &[
            takes(&[CONDITION]),
            takes(&[CONDITION, INCLUDE]),
            takes(&[CONDITION, INCLUDE, flag("stream.current.event")]),
        ],
        example: "define stream Trades (symbol string, price double);\n\
            from Trades#window.expressionBatch('last.symbol == first.symbol')\n\
            select symbol, avg(price) as mean insert into Runs;",
    },
    build,
};

const CONDITION: Parameter = Parameter::any("condition", &[DataType::Text, DataType::Bool]);
const INCLUDE: Parameter = Parameter::any("include.triggering.event", &[DataType::Bool]);

fn build(setup: &WindowSetup<'_>) -> Result<Box<dyn Window>, ArgumentFault> {
    let includes = match setup.arguments.get(1) {
        Some(argument) if argument.as_constant().is_none() => Includes::Column(setup.column(1)?),
        _ => Includes::Always(setup.flag(1)),
    };
    Ok(Box::new(Until {
        conditions: Conditions::new(setup)?,
        includes,
        streams: setup.flag(2),
        open: Queues::new(setup.types, setup.keep),
        before: Queues::new(setup.types, setup.keep),
        expired: setup.expired,
        keep: setup.keep.to_vec(),
        scratch: Batch::keeping(setup.types, setup.keep),
        again: Batch::keeping(setup.types, setup.keep),
    }))
}

/// Whether the row that ends a batch belongs to it.
#[derive(Clone, Copy, Debug)]
enum Includes {
    /// The same for all rows.
    Always(bool),
    /// As the row says.
    Column(usize),
}

impl Includes {
    fn row(self, batch: &Batch, row: usize) -> bool {
        match self {
            Includes::Always(includes) => includes,
            Includes::Column(column) => {
                let column = &batch.columns[column];
                !column.is_null(row) && column.bools()[row]
            }
        }
    }
}

struct Until {
    conditions: Conditions,
    includes: Includes,
    /// Whether rows pass as they come.
    streams: bool,
    /// Rows that have not been put out; none if rows pass as they come.
    open: Queues,
    /// Rows that have been put out and have not left.
    before: Queues,
    expired: bool,
    keep: Vec<bool>,
    scratch: Batch,
    /// Rows that are looked at again.
    again: Batch,
}

impl Until {
    fn take(&mut self, batch: &Batch, context: &mut Context, output: &mut Batch) {
        for row in 0..batch.len() {
            let faults = context.faults.len();
            match self.conditions.renew(batch, row) {
                Ok(renewed) => {
                    if renewed == Renewed::Other {
                        self.look_again(batch.slot(row), context, output);
                    }
                    self.take_row(batch, row, context, output);
                }
                Err(message) => context.fault(row, message),
            }
            context.faults[faults..].iter_mut().for_each(|fault| fault.row = row);
        }
        self.open.settle();
        self.before.settle();
    }

    fn take_row(&mut self, batch: &Batch, row: usize, context: &mut Context, out: &mut Batch) {
        if self.streams {
            self.pass(batch, row, context, out);
        } else {
            self.gather(batch, row, context, out);
        }
    }

    /// Looks at the rows held anew, by a condition that has seen none of them.
    fn look_again(&mut self, slot: Slot, context: &mut Context, output: &mut Batch) {
        let mut again = std::mem::take(&mut self.again);
        again.clear();
        let held = if self.streams { &mut self.before } else { &mut self.open };
        held.contents(slot, 0, held.length(slot), &mut again);
        held.forget(slot);
        let chunk = output.len();
        for row in 0..again.len() {
            if self.streams {
                self.pass_again(&again, row, context, output);
            } else {
                self.gather(&again, row, context, output);
            }
        }
        if self.streams && output.len() > chunk {
            // What leaves by this stands in the chunk of the row that brought the change.
            (chunk..output.len()).for_each(|row| output.continues.set(row));
        }
        self.again = again;
    }

    /// Takes a row into the condition. If it does not hold, the aggregates start anew with the row.
    fn holds(&mut self, batch: &Batch, row: usize, context: &mut Context) -> bool {
        let slot = batch.slot(row);
        let condition = self.conditions.of(slot);
        let held = if self.streams { &self.before } else { &self.open };
        let own = RowOf { batch, row };
        let first = held.front(slot).map_or(own, |first| {
            let (segment, row) = held.rows().place(first);
            RowOf { batch: held.rows().segment(segment), row }
        });
        if condition.take(Kind::Current, slot, [own, first, own], context) {
            return true;
        }
        condition.reset(slot);
        condition.take(Kind::Current, slot, [own, first, own], context);
        false
    }

    /// Adds a row to the open batch, or ends that.
    fn gather(&mut self, batch: &Batch, row: usize, context: &mut Context, output: &mut Batch) {
        let slot = batch.slot(row);
        let now = context.now;
        if self.holds(batch, row, context) {
            return add(&mut self.open, batch, row);
        }
        let chunk = output.len();
        self.leave(slot, now, output);
        if self.open.length(slot) == 0 {
            self.leave_alone(batch, row, now, output);
            output.push_from(batch, row, Kind::Current, now);
        } else {
            self.scratch.clear();
            self.open.contents(slot, 0, self.open.length(slot), &mut self.scratch);
            self.open.forget(slot);
            for row in 0..self.scratch.len() {
                output.push_from(&self.scratch, row, Kind::Current, now);
                add(&mut self.before, &self.scratch, row);
            }
            if self.includes.row(batch, row) {
                output.push_from(batch, row, Kind::Current, batch.timestamps[row]);
                add(&mut self.before, batch, row);
            } else {
                add(&mut self.open, batch, row);
            }
        }
        output.join_chunk(chunk);
    }

    /// Lets a row pass; if it ends the batch, that leaves.
    fn pass(&mut self, batch: &Batch, row: usize, context: &mut Context, output: &mut Batch) {
        let slot = batch.slot(row);
        let (now, own) = (context.now, batch.timestamps[row]);
        let chunk = output.len();
        if self.holds(batch, row, context) {
            output.push_from(batch, row, Kind::Current, own);
            add(&mut self.before, batch, row);
        } else if self.before.length(slot) == 0 {
            self.leave_alone(batch, row, now, output);
            output.push_from(batch, row, Kind::Current, now);
        } else if self.includes.row(batch, row) {
            output.push_from(batch, row, Kind::Current, own);
            self.leave(slot, now, output);
            self.leave_alone(batch, row, now, output);
        } else {
            self.leave(slot, now, output);
            output.push_from(batch, row, Kind::Current, own);
            add(&mut self.before, batch, row);
        }
        output.join_chunk(chunk);
    }

    /// Looks again at a row that has passed.
    fn pass_again(&mut self, batch: &Batch, row: usize, context: &mut Context, out: &mut Batch) {
        let slot = batch.slot(row);
        let now = context.now;
        if self.holds(batch, row, context) {
            return add(&mut self.before, batch, row);
        }
        let alone = self.before.length(slot) == 0;
        self.leave(slot, now, out);
        if alone || self.includes.row(batch, row) {
            self.leave_alone(batch, row, now, out);
        } else {
            add(&mut self.before, batch, row);
        }
    }

    /// Lets the rows that have been put out leave.
    fn leave(&mut self, slot: Slot, now: Millis, output: &mut Batch) {
        while let Some(number) = self.before.pop(slot) {
            if self.expired {
                self.before.rows().gather(&[number], &mut output.columns);
                output.push_head(now, Kind::Expired, slot);
            }
        }
    }

    /// Lets a row leave that is not held.
    fn leave_alone(&self, batch: &Batch, row: usize, now: Millis, output: &mut Batch) {
        if self.expired {
            output.push_from(batch, row, Kind::Expired, now);
        }
    }
}

fn add(queues: &mut Queues, batch: &Batch, row: usize) {
    let number = queues.store(batch, row, row + 1);
    queues.admit(batch.slot(row), number);
}

impl Operator for Until {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let needed = self.conditions.column();
        let rows = arrivals(input, needed, context);
        self.take(&rows, context, output);
    }

    fn forget(&mut self, slot: Slot) {
        self.open.forget(slot);
        self.before.forget(slot);
        self.conditions.forget(slot);
    }

    fn held(&self) -> usize {
        self.open.held() + self.before.held()
    }

    fn save(&self, state: &mut StateWriter) {
        self.open.save(state);
        self.before.save(state);
        self.conditions.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.open.load(state)?;
        self.before.load(state)?;
        self.conditions.load(state)
    }
}

impl Window for Until {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        self.open.contents(slot, 0, self.open.length(slot), into);
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;
    use crate::engine::windows::testing::play_current;

    #[test]
    fn the_row_that_ends_a_batch_begins_the_next() {
        let seen = play("expressionBatch", "'count() <= 2'", "@0 1 2 @1 3 4 @2 5");
        assert_eq!(seen, "@1 C1 C2 | @2 X1 X2 C3 C4");
        assert_eq!(contents("expressionBatch", "'count() <= 2'", "@0 1 2 3"), "3");
        let seen = play_current("expressionBatch", "'count() <= 1'", "@0 1 2 3");
        assert_eq!(seen, "@0 C1 | C2");
    }

    #[test]
    fn the_row_that_ends_a_batch_may_belong_to_it() {
        let seen = play("expressionBatch", "'sum(value) < 10', true", "@0 1 2 8 3 4 9");
        // The aggregates start anew with the row that ended the batch: 8 counts with 3.
        assert_eq!(seen, "@0 C1 C2 C8 | X1 X2 X8 X3 C3 | C4 C9");
    }

    #[test]
    fn a_row_that_alone_does_not_hold_comes_and_leaves() {
        let seen = play("expressionBatch", "'value < 5'", "@0 7 1 @1 8 @2 9");
        assert_eq!(seen, "@0 X7 C7 | @1 C1 | @2 X1 C8");
    }

    #[test]
    fn rows_may_pass_as_they_come() {
        let window = "expressionBatch";
        let seen = play(window, "'count() <= 2', false, true", "@0 1+ 2 @1 3 4 5");
        assert_eq!(seen, "@0 C1 | C2 | @1 X1 X2 C3 | C4 | X3 X4 C5");
        let seen = play(window, "'first.key == last.key', true, true", "@0 1:a 2:a 3:b 4:b");
        assert_eq!(seen, "@0 C1 | C2 | C3 X1 X2 X3 | C4");
    }

    #[test]
    fn when_the_text_changes_all_rows_are_looked_at_again() {
        let script = "@0 1:count()<4 2:count()<4 3:count()<4 @1 4:count()<2";
        assert_eq!(play("expressionBatch", "key", script), "@1 C1 | X1 C2 | X2 C3");
        let script = "@0 1:count()<4 2:count()<4 3:count()<4 @1 4:count()<2";
        let seen = play("expressionBatch", "key, false, true", script);
        assert_eq!(seen, "@0 C1 | C2 | C3 | @1 X1 X2 X3 C4");
    }
}
