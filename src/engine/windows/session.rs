//! `session(gap, key, latency)`: the rows of a key until it is quiet for a while.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::WindowSetup;
use crate::engine::windows::alarms::Alarms;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arguments::time;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::engine::windows::sessions::Sessions;
use crate::engine::windows::sessions::Span;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Parameter;
use crate::plan::signature::Signature;

/// The rows of a key until it is quiet for `gap`. Rows pass as they come; when a session is over
/// all its rows leave together. Rows that are late by their own time belong to the session they
/// fall into or touch. With `latency` a session that is over is held so much longer for them, and
/// joined with the next if they close the gap. Rows that are too late are dropped. Those who look
/// into the window from outside see nothing, as in the reference.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "session",
        summary: "Holds the events of a key until none has come for `gap`.",
        traits: &[],
        overloads: &[
            takes(&[time("gap")]),
            takes(&[time("gap"), KEY]),
            takes(&[time("gap"), KEY, time("latency")]),
        ],
        example: "define stream Clicks (user string, page string);\n\
            from Clicks#window.session(10 min, user)\n\
            select user, count() as clicks group by user insert all events into Visits;",
    },
    build,
};

const KEY: Parameter = Parameter::attribute("key", &[DataType::Text]);

fn build(setup: &WindowSetup<'_>) -> Result<Box<dyn Window>, ArgumentFault> {
    let gap = setup.number(0)?;
    let key = if setup.arguments.len() > 1 { Some(setup.column(1)?) } else { None };
    let latency = if setup.arguments.len() > 2 { setup.number(2)? } else { 0 };
    if latency > gap {
        let message = format!("expected at most the gap of {gap} ms, found {latency} ms");
        return Err(ArgumentFault::at(2, message));
    }
    Ok(Box::new(Session {
        key,
        span: Span { gap, latency },
        expired: setup.expired,
        sessions: Sessions::new(setup),
        alarms: Alarms::default(),
        keep: setup.keep.to_vec(),
    }))
}

struct Session {
    key: Option<usize>,
    span: Span,
    expired: bool,
    sessions: Sessions,
    alarms: Alarms,
    keep: Vec<bool>,
}

impl Session {
    fn take(&mut self, batch: &Batch, context: &mut Context, output: &mut Batch) {
        let mut start = 0;
        while start < batch.len() {
            let end = batch.chunk_end(start).min(batch.len());
            let chunk = output.len();
            for row in start..end {
                let key = self.key.map_or("", |column| batch.columns[column].texts()[row].as_str());
                if self.sessions.add(key, batch, row, self.span) {
                    output.push_from(batch, row, Kind::Current, batch.timestamps[row]);
                } else {
                    context.drops.late += 1;
                }
            }
            for row in start..end {
                self.put_out(batch.slot(row), context.now, output);
            }
            output.join_chunk(chunk);
            // Sessions whose end lies in the past already are over at once.
            for row in start..end {
                self.time_out(batch.slot(row), context, output);
            }
            start = end;
        }
    }

    /// Puts out, as one chunk, what is over by now.
    fn time_out(&mut self, slot: Slot, context: &mut Context, output: &mut Batch) {
        let chunk = output.len();
        self.sessions.time_out(slot, context.now, self.span);
        self.put_out(slot, context.now, output);
        output.join_chunk(chunk);
        if let Some(due) = self.sessions.next_due(slot) {
            self.alarms.set_by(due, slot, context);
        }
    }

    fn put_out(&mut self, slot: Slot, now: Millis, output: &mut Batch) {
        let output = self.expired.then_some(output);
        self.sessions.leave(slot, now, output);
    }
}

impl Operator for Session {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, self.key, context);
        self.take(&rows, context, output);
    }

    fn wake(&mut self, due: Millis, slot: Slot, context: &mut Context, output: &mut Batch) {
        if self.alarms.take(due, slot) {
            leave_out(&self.keep, output);
            self.time_out(slot, context, output);
        }
    }

    fn forget(&mut self, slot: Slot) {
        self.sessions.forget(slot);
        self.alarms.forget(slot);
    }

    fn held(&self) -> usize {
        self.sessions.held()
    }

    fn save(&self, state: &mut StateWriter) {
        self.alarms.save(state);
        self.sessions.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.alarms.load(state)?;
        self.sessions.load(state)
    }
}

impl Window for Session {
    fn contents(&self, _slot: Slot, _into: &mut Batch) {}
}

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::play;
    use crate::engine::windows::testing::refusal;

    #[test]
    fn a_session_leaves_when_its_key_is_quiet() {
        let seen = play("session", "10, key", "@0 1:a 2:b @5 3:a @40 4:a");
        assert_eq!(seen, "@0 C1 | C2 | @5 C3 | @10 X2 | @15 X1 X3 | @40 C4");
    }

    #[test]
    fn without_key_all_rows_are_one_session() {
        assert_eq!(play("session", "10", "@0 1 @9 2 @40"), "@0 C1 | @9 C2 | @19 X1 X2");
    }

    #[test]
    fn late_rows_begin_the_session_earlier_or_are_dropped() {
        let seen = play("session", "10, key", "@50 1:a 2~5:a 3~20:a @90");
        assert_eq!(seen, "@50 C1 | C2^45 | @60 X2 X1");
    }

    #[test]
    fn a_row_ahead_of_the_clock_passes_and_is_not_held() {
        assert_eq!(play("session", "10, key", "@0 1:a 2~-15:a @40"), "@0 C1 | C2^15 | @10 X1");
    }

    #[test]
    fn with_latency_late_rows_close_the_gap() {
        // The first session is over at 10 and held until 15; 3 lies between it and the second.
        let seen = play("session", "10, key, 5", "@0 1:a @12 2:a @13 3~7:a @60");
        assert_eq!(seen, "@0 C1 | @12 C2 | @13 C3^6 | @27 X1 X3 X2");
        let seen = play("session", "10, key, 5", "@0 1:a @12 2:a @60");
        assert_eq!(seen, "@0 C1 | @12 C2 | @15 X1 | @27 X2");
    }

    #[test]
    fn more_latency_than_gap_is_refused() {
        assert!(refusal("session", "10, key, 11").contains("at most the gap of 10 ms"));
    }
}
