//! `unique:ever`, `unique:length`, `unique:time`, `unique:first`: at most one row of each key.

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
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::signature::ANY;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Parameter;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

pub(super) const KEY: Parameter = Parameter::attribute("key", ANY);

/// The newest row of each key.
pub const EVER: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "unique:ever",
        summary: "Keeps the newest event of each key; the one before leaves.",
        traits: &[Trait::Lasts],
        overloads: &[takes(&[KEY, Parameter::attribute("more", ANY).many()])],
        example: "define stream Logins (user string, address string);\n\
            from Logins#window.unique:ever(address)\n\
            select count() as addresses insert into Known;",
    },
    build: |setup| {
        let places: Vec<usize> = (0..setup.arguments.len()).collect();
        unique(setup, &places, usize::MAX, None)
    },
};

/// The newest row of each of the n keys that came last.
pub const LENGTH: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "unique:length",
        summary: "Keeps the newest event of each key, of the `length` keys that came last.",
        traits: &[],
        overloads: &[takes(&[KEY, count("length")])],
        example: "define stream Trades (symbol string, price double);\n\
            from Trades#window.unique:length(symbol, 10)\n\
            select avg(price) as mean insert into Means;",
    },
    build: |setup| unique(setup, &[0], setup.number(1)?.max(1) as usize, None),
};

/// The newest row of each key, for so long after it came.
pub const TIME: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "unique:time",
        summary: "Keeps the newest event of each key, each for `time` after it came.",
        traits: &[],
        overloads: &[takes(&[KEY, time("time")])],
        example: "define stream Logins (user string, address string);\n\
            from Logins#window.unique:time(user, 5 min)\n\
            select count() as users insert into Active;",
    },
    build: |setup| unique(setup, &[0], usize::MAX, Some(setup.period(1)?)),
};

/// The first row of each key; others do not pass.
pub const FIRST: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "unique:first",
        summary: "Keeps the first event of each key and passes no other.",
        traits: &[Trait::Lasts],
        overloads: &[takes(&[KEY, Parameter::attribute("more", ANY).many()])],
        example: "define stream Logins (user string, address string);\n\
            from Logins#window.unique:first(user)\n\
            select user, address insert into FirstLogins;",
    },
    build: |setup| {
        let places: Vec<usize> = (0..setup.arguments.len()).collect();
        Ok(Box::new(First { rows: Latest::new(setup, &places)?, keep: setup.keep.to_vec() }))
    },
};

fn unique(
    setup: &WindowSetup<'_>,
    places: &[usize],
    most: usize,
    stay: Option<Millis>,
) -> Result<Box<dyn Window>, ArgumentFault> {
    Ok(Box::new(Unique {
        rows: Latest::new(setup, places)?,
        most,
        stay,
        expired: setup.expired,
        alarms: Alarms::default(),
        keep: setup.keep.to_vec(),
    }))
}

struct Unique {
    rows: Latest,
    /// Keys that a slot may have.
    most: usize,
    /// How long a row stays.
    stay: Option<Millis>,
    expired: bool,
    alarms: Alarms,
    keep: Vec<bool>,
}

impl Unique {
    fn take(&mut self, batch: &Batch, context: &mut Context, output: &mut Batch) {
        let mut chunk = output.len();
        for row in 0..batch.len() {
            let slot = batch.slot(row);
            let now = context.now;
            if self.rows.keys(slot) >= self.most && !self.rows.knows(batch, row) {
                let leaving = self.expired.then_some(&mut *output);
                self.rows.pop(slot, Kind::Expired, Some(now), leaving);
            }
            let leaving = self.expired.then_some(&mut *output);
            self.rows.put(batch, row, now, leaving);
            output.push_from(batch, row, Kind::Current, batch.timestamps[row]);
            if !batch.chunk_continues(row) {
                output.join_chunk(chunk);
                chunk = output.len();
            }
            self.set_alarm(slot, context);
        }
    }

    fn set_alarm(&mut self, slot: Slot, context: &mut Context) {
        if let Some(stay) = self.stay
            && let Some(at) = self.rows.oldest_at(slot)
        {
            self.alarms.set_by(at.saturating_add(stay), slot, context);
        }
    }
}

impl Operator for Unique {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let rows = arrivals(input, None, context);
        self.take(&rows, context, output);
    }

    fn wake(&mut self, due: Millis, slot: Slot, context: &mut Context, output: &mut Batch) {
        let Some(stay) = self.stay.filter(|_| self.alarms.take(due, slot)) else { return };
        leave_out(&self.keep, output);
        let now = context.now;
        while self.rows.oldest_at(slot).is_some_and(|at| at.saturating_add(stay) <= now) {
            let leaving = self.expired.then_some(&mut *output);
            self.rows.pop(slot, Kind::Expired, Some(now), leaving);
        }
        output.join_chunk(0);
        self.set_alarm(slot, context);
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

impl Window for Unique {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        self.rows.contents(slot, into);
    }
}

struct First {
    rows: Latest,
    keep: Vec<bool>,
}

impl Operator for First {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let batch = &*arrivals(input, None, context);
        let mut chunk = output.len();
        for row in 0..batch.len() {
            if !self.rows.knows(batch, row) {
                self.rows.put(batch, row, context.now, None);
                output.push_from(batch, row, Kind::Current, batch.timestamps[row]);
            }
            if !batch.chunk_continues(row) {
                output.join_chunk(chunk);
                chunk = output.len();
            }
        }
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
}

impl Window for First {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        self.rows.contents(slot, into);
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;
    use crate::engine::windows::testing::play_current;

    #[test]
    fn a_row_takes_the_place_of_that_of_its_key() {
        let seen = play("unique:ever", "key", "@0 1:a 2:b @5 3:a");
        assert_eq!(seen, "@0 C1 | C2 | @5 X1 C3");
        assert_eq!(contents("unique:ever", "key", "@0 1:a 2:b 3:a"), "2 3");
        assert_eq!(play_current("unique:ever", "key", "@0 1:a 2:a"), "@0 C1 | C2");
    }

    #[test]
    fn the_key_that_came_first_makes_room() {
        let seen = play("unique:length", "key, 2", "@0 1:a 2:b 3:a 4:c");
        assert_eq!(seen, "@0 C1 | C2 | X1 C3 | X2 C4");
        assert_eq!(contents("unique:length", "key, 2", "@0 1:a 2:b 3:a 4:c"), "3 4");
    }

    #[test]
    fn rows_leave_after_their_time_or_for_one_of_their_key() {
        let seen = play("unique:time", "key, 10", "@0 1:a @4 2:a 3:b @14 @20");
        assert_eq!(seen, "@0 C1 | @4 X1 C2 | C3 | @14 X2 X3");
    }

    #[test]
    fn only_the_first_row_of_a_key_passes() {
        assert_eq!(play("unique:first", "key", "@0 1:a 2:a 3:b"), "@0 C1 | C3");
        assert_eq!(contents("unique:first", "key", "@0 1:a 2:a 3:b"), "1 3");
    }

    #[test]
    fn slots_have_keys_of_their_own() {
        assert_eq!(play("unique:ever", "key", "@0 1:a/1 2:a/2 3:a/1"), "@0 C1 | C2 | X1 C3");
    }
}
