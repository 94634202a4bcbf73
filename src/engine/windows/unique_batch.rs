//! `unique:lengthBatch`, `unique:timeBatch`, those that begin with `first`, and
//! `unique:timeLengthBatch`: batches with one row of each key.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::WindowSetup;
use crate::engine::windows::alarms::Alarms;
use crate::engine::windows::arguments::count;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arguments::time;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::engine::windows::latest::Latest;
use crate::engine::windows::time_batch::next_end;
use crate::engine::windows::unique::KEY;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

/// The newest row of each of n keys, at once.
pub const LENGTH: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "unique:lengthBatch",
        summary: "Gathers the newest event of each key until there are `length` keys.",
        traits: &[Trait::StartsAnew],
        overloads: &[takes(&[KEY, count("length")])],
        example: "define stream Trades (symbol string, volume long);\n\
            from Trades#window.unique:lengthBatch(symbol, 10)\n\
            select sum(volume) as total insert into Totals;",
    },
    build: |setup| by_length(setup, false),
};

/// The first row of each of n keys, at once.
pub const FIRST_LENGTH: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "unique:firstLengthBatch",
        summary: "Gathers the first event of each key until there are `length` keys.",
        traits: &[Trait::StartsAnew],
        overloads: &[takes(&[KEY, count("length")])],
        example: "define stream Trades (symbol string, volume long);\n\
            from Trades#window.unique:firstLengthBatch(symbol, 10)\n\
            select sum(volume) as total insert into Totals;",
    },
    build: |setup| by_length(setup, true),
};

/// The newest row of each key that came in every t, at once.
pub const TIME: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "unique:timeBatch",
        summary: "Gathers the newest event of each key in every `time` by the clock.",
        traits: &[Trait::StartsAnew],
        overloads: &[takes(&[KEY, time("time"), time("start.time").optional()])],
        example: "define stream Logins (user string);\n\
            from Logins#window.unique:timeBatch(user, 1 min)\n\
            select count() as users insert into PerMinute;",
    },
    build: |setup| by_time(setup, false),
};

/// The first row of each key that came in every t, at once.
pub const FIRST_TIME: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "unique:firstTimeBatch",
        summary: "Gathers the first event of each key in every `time` by the clock.",
        traits: &[Trait::StartsAnew],
        overloads: &[takes(&[KEY, time("time"), time("start.time").optional()])],
        example: "define stream Logins (user string);\n\
            from Logins#window.unique:firstTimeBatch(user, 1 min)\n\
            select count() as users insert into PerMinute;",
    },
    build: |setup| by_time(setup, true),
};

/// The newest row of each key that came in every t, or of each of the first n keys as soon as there
/// are so many; what else comes by the end of the period does not count.
pub const TIME_LENGTH: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "unique:timeLengthBatch",
        summary: "Gathers the newest event of each key in every `time`, at most `length` keys; \
                  once there are so many, events are left out until the time is over.",
        traits: &[Trait::StartsAnew],
        overloads: &[
            takes(&[KEY, time("time"), count("length")]),
            takes(&[KEY, time("time"), time("start.time"), count("length")]),
        ],
        example: "define stream Logins (user string);\n\
            from Logins#window.unique:timeLengthBatch(user, 1 min, 100)\n\
            select count() as users insert into PerMinute;",
    },
    build: |setup| {
        let last = setup.arguments.len() - 1;
        let start = if last > 2 { Some(setup.number(2)?) } else { None };
        let close =
            Close { full: Some(keys(setup, last)?), clock: Some((setup.period(1)?, start)) };
        build(setup, false, close)
    },
};

fn by_length(setup: &WindowSetup<'_>, first: bool) -> Result<Box<dyn Window>, ArgumentFault> {
    build(setup, first, Close { full: Some(keys(setup, 1)?), clock: None })
}

/// The number of keys at a place of the arguments.
fn keys(setup: &WindowSetup<'_>, place: usize) -> Result<usize, ArgumentFault> {
    match setup.number(place)? {
        0 => Err(ArgumentFault::at(place, "expected a length above 0")),
        most => Ok(most as usize),
    }
}

fn by_time(setup: &WindowSetup<'_>, first: bool) -> Result<Box<dyn Window>, ArgumentFault> {
    let period = setup.period(1)?;
    let start = if setup.arguments.len() > 2 { Some(setup.number(2)?) } else { None };
    build(setup, first, Close { full: None, clock: Some((period, start)) })
}

fn build(
    setup: &WindowSetup<'_>,
    first: bool,
    close: Close,
) -> Result<Box<dyn Window>, ArgumentFault> {
    Ok(Box::new(UniqueBatch {
        open: Latest::new(setup, &[0])?,
        before: Latest::new(setup, &[0])?,
        close,
        first,
        expired: setup.expired,
        holds: setup.expired || setup.findable,
        ends: Vec::new(),
        full: Vec::new(),
        alarms: Alarms::default(),
        keep: setup.keep.to_vec(),
    }))
}

/// What closes a batch. Where both do, nothing counts from when it was full until the time is over.
#[derive(Clone, Copy)]
struct Close {
    /// So many keys.
    full: Option<usize>,
    /// So much time, counted from a moment.
    clock: Option<(Millis, Option<Millis>)>,
}

struct UniqueBatch {
    open: Latest,
    before: Latest,
    close: Close,
    /// Whether a key keeps its first row, not its newest.
    first: bool,
    expired: bool,
    /// Whether a batch is held once it is closed.
    holds: bool,
    /// By slot, where one batch ended or will end; all others are periods away.
    ends: Vec<Option<Millis>>,
    /// By slot, whether the batch of this period has been put out.
    full: Vec<bool>,
    alarms: Alarms,
    keep: Vec<bool>,
}

impl UniqueBatch {
    fn take(&mut self, batch: &Batch, context: &mut Context, output: &mut Batch) {
        for row in 0..batch.len() {
            let slot = batch.slot(row);
            if self.full.get(slot as usize).copied().unwrap_or_default() {
                continue;
            }
            if !self.first || !self.open.knows(batch, row) {
                self.open.put(batch, row, context.now, None);
            }
            if let Some((period, start)) = self.close.clock {
                self.set_alarm(slot, period, start, context);
            }
            if self.close.full == Some(self.open.keys(slot)) {
                self.put_out(slot, context.now, output);
                if self.close.clock.is_some() {
                    self.set_full(slot, true);
                }
            }
        }
    }

    /// Notes whether the batch of this period has been put out; gives what was noted.
    fn set_full(&mut self, slot: Slot, full: bool) -> bool {
        let place = slot as usize;
        if self.full.len() <= place {
            self.full.resize(place + 1, false);
        }
        std::mem::replace(&mut self.full[place], full)
    }

    /// Makes sure that the slot is woken at the end of the batch that is open now.
    fn set_alarm(
        &mut self,
        slot: Slot,
        period: Millis,
        start: Option<Millis>,
        context: &mut Context,
    ) {
        let place = slot as usize;
        if self.ends.len() <= place {
            self.ends.resize(place + 1, None);
        }
        let now = context.now;
        let end = match (self.ends[place], start) {
            (None, None) => now.saturating_add(period),
            (Some(end), _) if end > now => end,
            (Some(from), _) | (None, Some(from)) => next_end(now, from, period),
        };
        self.ends[place] = Some(end);
        self.alarms.set(end, slot, context);
    }

    /// The batch before leaves; the open one, if it has rows, comes and is the one before.
    fn put_out(&mut self, slot: Slot, now: Millis, output: &mut Batch) {
        let chunk = output.len();
        loop {
            let leaving = self.expired.then_some(&mut *output);
            if !self.before.pop(slot, Kind::Expired, Some(now), leaving) {
                break;
            }
        }
        if self.open.keys(slot) > 0 {
            output.push_zeros(now, Kind::Reset, slot);
        }
        while self.open.pop(slot, Kind::Current, None, Some(output)) {
            if self.holds {
                self.before.put(output, output.len() - 1, now, None);
            }
        }
        output.join_chunk(chunk);
    }
}

impl Operator for UniqueBatch {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, None, context);
        self.take(&rows, context, output);
    }

    fn wake(&mut self, due: Millis, slot: Slot, context: &mut Context, output: &mut Batch) {
        let Some((period, start)) = self.close.clock else { return };
        if !self.alarms.take(due, slot) {
            return;
        }
        leave_out(&self.keep, output);
        if !self.set_full(slot, false) {
            self.put_out(slot, context.now, output);
        }
        // What has come must leave at the next end.
        if self.before.keys(slot) > 0 {
            self.set_alarm(slot, period, start, context);
        }
    }

    fn forget(&mut self, slot: Slot) {
        self.open.forget(slot);
        self.before.forget(slot);
        self.alarms.forget(slot);
        if let Some(end) = self.ends.get_mut(slot as usize) {
            *end = None;
        }
        if let Some(full) = self.full.get_mut(slot as usize) {
            *full = false;
        }
    }

    fn held(&self) -> usize {
        self.open.held() + self.before.held()
    }

    fn version(&self) -> u16 {
        2
    }

    fn save(&self, state: &mut StateWriter) {
        self.open.save(state);
        self.before.save(state);
        state.put(&self.ends);
        state.put(&self.full);
        self.alarms.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.open.load(state)?;
        self.before.load(state)?;
        self.ends = state.get()?;
        self.full = state.get()?;
        self.alarms.load(state)
    }
}

impl Window for UniqueBatch {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        self.before.contents(slot, into);
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;

    #[test]
    fn a_batch_is_full_with_so_many_keys() {
        let script = "@0 1:a 2:a 3:b @5 4:a 5:c";
        let seen = play("unique:lengthBatch", "key, 2", script);
        assert_eq!(seen, "@0 R C2 C3 | @5 X2 X3 R C4 C5");
        assert_eq!(contents("unique:lengthBatch", "key, 2", script), "4 5");
        let seen = play("unique:firstLengthBatch", "key, 2", script);
        assert_eq!(seen, "@0 R C1 C3 | @5 X1 X3 R C4 C5");
    }

    #[test]
    fn a_batch_ends_after_its_time() {
        let script = "@0 1:a 2:b 3:a @12 4:c @40";
        let seen = play("unique:timeBatch", "key, 10", script);
        assert_eq!(seen, "@10 R C2^0 C3^0 | @20 X2 X3 R C4^12 | @30 X4");
        let seen = play("unique:firstTimeBatch", "key, 10", script);
        assert_eq!(seen, "@10 R C1^0 C2^0 | @20 X1 X2 R C4^12 | @30 X4");
    }

    #[test]
    fn a_batch_of_a_time_may_be_full_before() {
        let script = "@0 1:a 2:a 3:b @5 4:c @12 5:c @40";
        let seen = play("unique:timeLengthBatch", "key, 10, 2", script);
        assert_eq!(seen, "@0 R C2 C3 | @20 X2 X3 R C5^12 | @30 X5");
        let seen = play("unique:timeLengthBatch", "key, 10, 3, 2", script);
        assert_eq!(seen, "@0 R C2 C3 | @23 X2 X3");
    }
}
