//! `expression(condition)`: the newest rows for which a condition on all of them holds.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::rows::Queues;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
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
use crate::plan::signature::Parameter;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

/// The newest rows for which a condition holds. When it does not, the oldest leave one by one until
/// it does. The condition reads aggregates over the rows held, attributes of the row that came (or
/// left), of the `first` and of the `last` row. Where its text is an attribute and changes, the
/// rows held are looked at anew, from the oldest on.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "expression",
        summary: "Slides over the newest events for which a condition on all of them holds.",
        traits: &[Trait::ReadsAll, Trait::TakesCondition, Trait::Owes],
        overloads: &[takes(&[CONDITION])],
        example: "define stream Trades (symbol string, price double);\n\
            from Trades#window.expression('sum(price) < 1000 and last.symbol == first.symbol')\n\
            select symbol, count() as trades insert into Runs;",
    },
    build: |setup| {
        Ok(Box::new(While {
            conditions: Conditions::new(setup)?,
            rows: Queues::new(setup.types, setup.keep),
            expired: setup.expired,
            keep: setup.keep.to_vec(),
            leaving: Vec::new(),
        }))
    },
};

/// The text of a condition, constant or an attribute.
pub const CONDITION: Parameter = Parameter::any("condition", &[DataType::Text]);

struct While {
    conditions: Conditions,
    rows: Queues,
    expired: bool,
    keep: Vec<bool>,
    leaving: Vec<u64>,
}

impl While {
    fn take(&mut self, batch: &Batch, context: &mut Context, output: &mut Batch) {
        let mut chunk = output.len();
        for row in 0..batch.len() {
            self.leaving.clear();
            let faults = context.faults.len();
            match self.conditions.renew(batch, row) {
                Ok(renewed) => {
                    let slot = batch.slot(row);
                    if renewed == Renewed::Other {
                        self.look_again(slot, context);
                    }
                    let number = self.rows.store(batch, row, row + 1);
                    self.rows.admit(slot, number);
                    self.fit(slot, number, context);
                    self.put_out(slot, context.now, output);
                    output.push_from(batch, row, Kind::Current, batch.timestamps[row]);
                }
                Err(message) => context.fault(row, message),
            }
            context.faults[faults..].iter_mut().for_each(|fault| fault.row = row);
            if !batch.chunk_continues(row) {
                output.join_chunk(chunk);
                chunk = output.len();
            }
            self.rows.settle();
        }
    }

    /// Looks at all rows of a slot anew, by a condition that has seen none of them.
    fn look_again(&mut self, slot: Slot, context: &mut Context) {
        let mut numbers = Vec::new();
        self.rows.numbers(slot, 0, self.rows.length(slot), &mut numbers);
        for number in numbers {
            self.fit(slot, number, context);
        }
    }

    /// Takes in a row, which may be followed by others that are not yet taken in; the oldest leave
    /// until the condition holds.
    fn fit(&mut self, slot: Slot, number: u64, context: &mut Context) {
        let condition = self.conditions.of(slot);
        let at = |number: u64| {
            let (segment, row) = self.rows.rows().place(number);
            RowOf { batch: self.rows.rows().segment(segment), row }
        };
        let first = self.rows.front(slot).unwrap_or(number);
        let last = at(number);
        if condition.take(Kind::Current, slot, [last, at(first), last], context) {
            return;
        }
        while let Some(oldest) = self.rows.front(slot).filter(|&oldest| oldest <= number) {
            self.rows.pop(slot);
            self.leaving.push(oldest);
            let next = self.rows.front(slot).filter(|&next| next <= number).unwrap_or(oldest);
            let at = |number: u64| {
                let (segment, row) = self.rows.rows().place(number);
                RowOf { batch: self.rows.rows().segment(segment), row }
            };
            let rows = [at(oldest), at(next), at(number)];
            if condition.take(Kind::Expired, slot, rows, context) {
                return;
            }
        }
    }

    fn put_out(&self, slot: Slot, now: Millis, output: &mut Batch) {
        if self.expired {
            self.rows.rows().gather(&self.leaving, &mut output.columns);
            self.leaving.iter().for_each(|_| output.push_head(now, Kind::Expired, slot));
        }
    }
}

impl Operator for While {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let needed = self.conditions.column();
        let rows = arrivals(input, needed, context);
        self.take(&rows, context, output);
    }

    fn forget(&mut self, slot: Slot) {
        self.rows.forget(slot);
        self.conditions.forget(slot);
    }

    fn held(&self) -> usize {
        self.rows.held()
    }

    fn save(&self, state: &mut StateWriter) {
        self.rows.save(state);
        self.conditions.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.rows.load(state)?;
        self.conditions.load(state)
    }
}

impl Window for While {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        self.rows.contents(slot, 0, self.rows.length(slot), into);
    }

    fn queued(&self, slot: Slot) -> Option<(&Queues, u64)> {
        Some((&self.rows, self.rows.length(slot)))
    }

    fn index_on(&mut self, columns: &[usize]) -> Option<usize> {
        Some(self.rows.index_on(columns).0)
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;
    use crate::engine::windows::testing::refusal;

    #[test]
    fn the_oldest_leave_until_the_condition_holds() {
        let seen = play("expression", "'count() <= 2'", "@0 1 2 @5 3 4");
        assert_eq!(seen, "@0 C1 | C2 | @5 X1 C3 | X2 C4");
        let seen = play("expression", "'sum(value) < 10'", "@0 1 2 6 @1 4+ 20 1");
        assert_eq!(seen, "@0 C1 | C2 | C6 | @1 X1 X2 X6 C4 X4 X20 C20 | C1");
        assert_eq!(contents("expression", "'sum(value) < 10'", "@0 1 2 6 4 3"), "4 3");
    }

    #[test]
    fn first_and_last_row_and_their_times_can_be_read() {
        let condition = "'eventTimestamp(last) - eventTimestamp(first) < 10'";
        let seen = play("expression", condition, "@0 1 @5 2 @12 3 @40 4");
        assert_eq!(seen, "@0 C1 | @5 C2 | @12 X1 C3 | @40 X2 X3 C4");
        let seen = play("expression", "'first.key == last.key'", "@0 1:a 2:a 3:b 4:b");
        assert_eq!(seen, "@0 C1 | C2 | X1 X2 C3 | C4");
    }

    #[test]
    fn when_the_text_changes_all_rows_are_looked_at_again() {
        let script = "@0 1:count()<4 2:count()<4 3:count()<4 4:count()<3 5:count()<3";
        assert_eq!(play("expression", "key", script), "@0 C1 | C2 | C3 | X1 X2 C4 | X3 C5");
        assert_eq!(play("expression", "key", "@0 1:count() 2 3:count()<2"), "@0 C3");
    }

    #[test]
    fn a_text_that_is_no_condition_is_refused() {
        assert!(refusal("expression", "'count()'").contains("true or false"));
        assert!(refusal("expression", "'volume < 3'").contains("volume"));
    }
}
