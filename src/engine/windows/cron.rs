//! `cron(expression)`: what came between two moments of a calendar, at once.

use crate::engine::context::Context;
use crate::engine::cron::Cron;
use crate::engine::operator::Operator;
use crate::engine::rows::Queues;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::alarms::Alarms;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::engine::windows::generations::Generations;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Parameter;
use crate::plan::signature::Signature;

/// What came between two moments. There is no reset; a moment before which nothing came passes
/// without a trace, and the batch before stays.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "cron",
        summary: "Gathers events and puts them out as one batch when a cron expression fires.",
        traits: &[],
        overloads: &[takes(&[Parameter::constant("cron", &[DataType::Text])])],
        example: "define stream Orders (item string, amount int);\n\
            from Orders#window.cron('0 0 18 ? * MON-FRI')\n\
            select item, sum(amount) as sold group by item insert into Daily;",
    },
    build: |setup| {
        let text = setup.constant(0).and_then(|text| text.as_text()).unwrap_or_default();
        let cron = Cron::parse(text).map_err(|message| ArgumentFault::at(0, message))?;
        Ok(Box::new(ByCalendar {
            cron,
            rows: Generations::new(setup),
            alarms: Alarms::default(),
            keep: setup.keep.to_vec(),
        }))
    },
};

struct ByCalendar {
    cron: Cron,
    rows: Generations,
    alarms: Alarms,
    keep: Vec<bool>,
}

impl ByCalendar {
    fn take(&mut self, batch: &Batch, context: &mut Context) {
        self.rows.add(batch);
        for row in 0..batch.len() {
            let slot = batch.slot(row);
            if self.alarms.is_set(slot) {
                continue;
            }
            if let Some(due) = self.cron.next_after(context.now) {
                self.alarms.set(due, slot, context);
            }
        }
        self.rows.settle();
    }
}

impl Operator for ByCalendar {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, None, context);
        self.take(&rows, context);
    }

    fn wake(&mut self, due: Millis, slot: Slot, context: &mut Context, output: &mut Batch) {
        if self.alarms.take(due, slot) {
            leave_out(&self.keep, output);
            self.rows.leave(slot, context.now, output);
            self.rows.arrive(slot, output);
            output.join_chunk(0);
            self.rows.settle();
        }
    }

    fn forget(&mut self, slot: Slot) {
        self.rows.forget(slot);
        self.alarms.forget(slot);
    }

    fn held(&self) -> usize {
        self.rows.held()
    }

    fn save(&self, state: &mut StateWriter) {
        self.alarms.save(state);
        self.rows.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.alarms.load(state)?;
        self.rows.load(state)
    }
}

impl Window for ByCalendar {
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
    use crate::engine::windows::testing::refusal;

    #[test]
    fn batches_end_when_the_expression_fires_and_something_came() {
        let seen = play("cron", "'*/5 * * * * ?'", "@1000 1 2 @6000 3 @30000 4 @40000");
        assert_eq!(seen, "@5000 C1^1000 C2^1000 | @10000 X1 X2 C3^6000 | @35000 X3 C4^30000");
        assert_eq!(contents("cron", "'*/5 * * * * ?'", "@1000 1 @6000 2"), "1");
    }

    #[test]
    fn a_wrong_expression_is_refused() {
        assert!(refusal("cron", "'*/5 * * * *'").contains("expected six fields"));
    }
}
