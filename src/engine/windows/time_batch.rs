//! `timeBatch(t)`: what came in every t by the engine's clock, at once.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::rows::Queues;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::WindowSetup;
use crate::engine::windows::alarms::Alarms;
use crate::engine::windows::arguments::flag;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arguments::time;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::engine::windows::generations::Generations;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

/// What came in every t. The first batch ends t after the first row, or at the next moment that is
/// a multiple of t away from `start.time`. With `stream.current.event` rows pass as they come and
/// leave together at the end of the batch. A batch without rows puts out only the one before.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "timeBatch",
        summary: "Gathers the events of every `time` by the clock and puts them out as one batch.",
        traits: &[Trait::StartsAnew],
        overloads: &[
            takes(&[time("time")]),
            takes(&[time("time"), time("start.time")]),
            takes(&[time("time"), flag("stream.current.event")]),
            takes(&[time("time"), time("start.time"), flag("stream.current.event")]),
        ],
        example: "define stream Logins (user string, success bool);\n\
            from Logins#window.timeBatch(1 min)\n\
            select user, count() as logins group by user insert into PerMinute;",
    },
    build,
};

fn build(setup: &WindowSetup<'_>) -> Result<Box<dyn Window>, ArgumentFault> {
    let has_start = setup.arguments.get(1).is_some_and(|second| second.ty != DataType::Bool);
    Ok(Box::new(TimeBatch {
        period: setup.period(0)?,
        start: if has_start { Some(setup.number(1)?) } else { None },
        streams: setup.flag(if has_start { 2 } else { 1 }),
        rows: Generations::new(setup),
        ends: Vec::new(),
        alarms: Alarms::default(),
        keep: setup.keep.to_vec(),
    }))
}

struct TimeBatch {
    period: Millis,
    start: Option<Millis>,
    /// Whether rows pass as they come.
    streams: bool,
    rows: Generations,
    /// By slot, where one batch ended or will end; all others are periods away.
    ends: Vec<Option<Millis>>,
    alarms: Alarms,
    keep: Vec<bool>,
}

impl TimeBatch {
    fn take(&mut self, batch: &Batch, context: &mut Context, output: &mut Batch) {
        if self.streams {
            output.extend(batch, 0, batch.len());
        }
        if !self.streams || self.rows.holds() {
            self.rows.add(batch);
        }
        let mut last = None;
        for row in 0..batch.len() {
            let slot = batch.slot(row);
            if last.replace(slot) != Some(slot) {
                self.set_alarm(slot, context);
            }
            if batch.slots.is_empty() {
                break;
            }
        }
        self.rows.settle();
    }

    /// Makes sure that the slot is woken at the end of the batch that is open now.
    fn set_alarm(&mut self, slot: Slot, context: &mut Context) {
        let place = slot as usize;
        if self.ends.len() <= place {
            self.ends.resize(place + 1, None);
        }
        let now = context.now;
        let end = match (self.ends[place], self.start) {
            (None, None) => now.saturating_add(self.period),
            (Some(end), _) if end > now => end,
            // While nothing was held nobody was woken, but batches ended all the same.
            (Some(from), _) | (None, Some(from)) => next_end(now, from, self.period),
        };
        self.ends[place] = Some(end);
        self.alarms.set(end, slot, context);
    }
}

/// The first moment after `now` that is whole periods away from `from`; as the reference does, up
/// to a period later where `from` is in the future.
pub fn next_end(now: Millis, from: Millis, period: Millis) -> Millis {
    now.saturating_add(period - now.saturating_sub(from) % period)
}

impl Operator for TimeBatch {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, None, context);
        self.take(&rows, context, output);
    }

    fn wake(&mut self, due: Millis, slot: Slot, context: &mut Context, output: &mut Batch) {
        if !self.alarms.take(due, slot) {
            return;
        }
        leave_out(&self.keep, output);
        if self.streams {
            // It is woken only if rows have come since the last end.
            self.rows.age(slot);
            self.rows.leave(slot, context.now, output);
            output.push_zeros(context.now, Kind::Reset, slot);
            output.join_chunk(0);
        } else if self.rows.open(slot) > 0 {
            self.rows.close(slot, context.now, output);
        } else {
            self.rows.leave(slot, context.now, output);
            output.join_chunk(0);
        }
        if self.rows.before(slot) > 0 {
            self.set_alarm(slot, context);
        }
        self.rows.settle();
    }

    fn forget(&mut self, slot: Slot) {
        self.rows.forget(slot);
        self.alarms.forget(slot);
        if let Some(end) = self.ends.get_mut(slot as usize) {
            *end = None;
        }
    }

    fn held(&self) -> usize {
        self.rows.held()
    }

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.ends);
        self.alarms.save(state);
        self.rows.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.ends = state.get()?;
        self.alarms.load(state)?;
        self.rows.load(state)
    }
}

impl Window for TimeBatch {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        if self.streams {
            self.rows.all(slot, into);
        } else {
            self.rows.closed(slot, into);
        }
    }

    fn queued(&self, slot: Slot) -> Option<(&Queues, u64)> {
        Some(if self.streams { self.rows.seen_all(slot) } else { self.rows.seen_closed(slot) })
    }

    fn index_on(&mut self, columns: &[usize]) -> Option<usize> {
        Some(self.rows.index_on(columns, self.streams))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;
    use crate::engine::windows::testing::refusal;

    #[test]
    fn batches_end_at_multiples_of_the_period() {
        assert_eq!(next_end(1005, 0, 10), 1010);
        assert_eq!(next_end(1010, 0, 10), 1020);
        assert_eq!(next_end(1005, 3, 10), 1013);
        assert_eq!(next_end(1000, 1003, 10), 1013);
    }

    #[test]
    fn the_first_row_starts_the_periods() {
        let seen = play("timeBatch", "10", "@3 1 @5 2 @13 3 @50 4 @90");
        assert_eq!(seen, "@13 R C1^3 C2^5 | @23 X1 X2 R C3^13 | @33 X3 | @53 R C4^50 | @63 X4");
        assert_eq!(contents("timeBatch", "10", "@3 1 2 @13 3"), "1 2");
    }

    #[test]
    fn periods_may_be_counted_from_a_start() {
        assert_eq!(play("timeBatch", "10, 4", "@5 1 @30"), "@14 R C1^5 | @24 X1");
    }

    #[test]
    fn rows_may_pass_as_they_come() {
        let seen = play("timeBatch", "10, true", "@3 1+ 2 @5 3 @13 4 @40");
        assert_eq!(seen, "@3 C1 C2 | @5 C3 | @13 X1 X2 X3 R | C4 | @23 X4 R");
        assert_eq!(contents("timeBatch", "10, 0, true", "@3 1 2"), "1 2");
    }

    #[test]
    fn a_period_of_nothing_is_refused() {
        assert!(refusal("timeBatch", "0").contains("above 0"));
    }
}
