//! `delay(t)`: rows pass t later.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::rows::Queues;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::alarms::Alarms;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arguments::time;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::signature::Signature;

/// Rows pass once the clock reaches their own time plus t, with that moment as their time.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "delay",
        summary: "Holds events and passes each on after `time`.",
        traits: &[],
        overloads: &[takes(&[time("time")])],
        example: "define stream Orders (id string, amount double);\n\
            from Orders#window.delay(1 hour) select id, amount insert into Reminders;",
    },
    build: |setup| {
        Ok(Box::new(Delay {
            time: setup.number(0)?,
            rows: Queues::new(setup.types, setup.keep),
            alarms: Alarms::default(),
            keep: setup.keep.to_vec(),
            numbers: Vec::new(),
        }))
    },
};

struct Delay {
    time: Millis,
    rows: Queues,
    alarms: Alarms,
    keep: Vec<bool>,
    numbers: Vec<u64>,
}

impl Delay {
    fn take(&mut self, batch: &Batch, context: &mut Context, output: &mut Batch) {
        let late = |own: &Millis| own.saturating_add(self.time) <= context.now;
        if !batch.timestamps.iter().any(late) {
            let first = self.rows.store(batch, 0, batch.len());
            self.rows.admit_all(first, batch);
        } else {
            self.take_late(batch, context.now, output);
        }
        let mut last = None;
        for row in 0..batch.len() {
            let slot = batch.slot(row);
            if last.replace(slot) != Some(slot) {
                self.set_alarm(slot, context);
            }
        }
        self.rows.settle();
    }

    /// Takes rows whose time has come already: they pass at once, after the chunk they came in.
    fn take_late(&mut self, batch: &Batch, now: Millis, output: &mut Batch) {
        let mut start = 0;
        while start < batch.len() {
            let end = batch.chunk_end(start).min(batch.len());
            for row in start..end {
                let number = self.rows.store(batch, row, row + 1);
                self.rows.admit(batch.slot(row), number);
            }
            for row in start..end {
                self.pass(batch.slot(row), now, output);
            }
            start = end;
        }
    }

    fn set_alarm(&mut self, slot: Slot, context: &mut Context) {
        if let Some(oldest) = self.rows.front(slot) {
            let due = self.rows.rows().timestamp(oldest).saturating_add(self.time);
            self.alarms.set_by(due, slot, context);
        }
    }

    /// Passes on, as one chunk, the rows of a slot whose time has come.
    fn pass(&mut self, slot: Slot, now: Millis, output: &mut Batch) {
        self.numbers.clear();
        while let Some(oldest) = self.rows.front(slot)
            && self.rows.rows().timestamp(oldest).saturating_add(self.time) <= now
        {
            self.rows.pop(slot);
            self.numbers.push(oldest);
        }
        let chunk = output.len();
        self.rows.rows().gather(&self.numbers, &mut output.columns);
        for _ in &self.numbers {
            output.push_head(now, Kind::Current, slot);
        }
        output.join_chunk(chunk);
    }
}

impl Operator for Delay {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, None, context);
        self.take(&rows, context, output);
    }

    fn wake(&mut self, due: Millis, slot: Slot, context: &mut Context, output: &mut Batch) {
        if self.alarms.take(due, slot) {
            leave_out(&self.keep, output);
            self.pass(slot, context.now, output);
            self.set_alarm(slot, context);
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
        self.rows.save(state);
        self.alarms.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.rows.load(state)?;
        self.alarms.load(state)
    }
}

impl Window for Delay {
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

    #[test]
    fn rows_pass_later_with_the_time_at_which_they_do() {
        assert_eq!(play("delay", "10", "@0 1 2 @3 3 @50"), "@10 C1 C2 | @13 C3");
        assert_eq!(contents("delay", "10", "@0 1 @3 2 @10"), "2");
    }

    #[test]
    fn late_rows_pass_after_the_chunk_they_came_in() {
        assert_eq!(play("delay", "10", "@50 1~20+ 2 3 @90"), "@50 C1 | @60 C2 C3");
    }
}
