//! What the sliding windows share: rows leave in the order in which they came, because too many or
//! too old, and each arriving row is put out after those that leave by it.

use crate::engine::context::Context;
use crate::engine::operator::Operator;
use crate::engine::rows::Leaving;
use crate::engine::rows::Queues;
use crate::engine::rows::Stamp;
use crate::engine::rows::weave;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Window;
use crate::engine::windows::WindowSetup;
use crate::engine::windows::alarms::Alarms;
use crate::engine::windows::arrivals::arrivals;
use crate::engine::windows::arrivals::leave_out;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use smallvec::SmallVec;

/// When a row is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Never.
    Any,
    /// When a row arrives whose value in a column is greater by so much.
    Column {
        /// The column, of type long; not null.
        column: usize,
        /// How much.
        keep: Millis,
    },
    /// When the engine's clock is so far beyond the row's own time.
    Clock {
        /// How far.
        keep: Millis,
    },
}

/// A window from which rows leave in order.
pub struct Sliding {
    queues: Queues,
    /// Rows that a slot may hold.
    most: u64,
    age: Age,
    /// Whether anybody reads the rows that leave.
    expired: bool,
    /// Whether rows need to be held at all.
    holds: bool,
    keep: Vec<bool>,
    /// While rows have come in order of their own times, the last of these.
    newest: Option<Millis>,
    alarms: Alarms,
    counts: Vec<u32>,
    numbers: Vec<u64>,
}

impl Sliding {
    /// A window that holds at most so many rows, none of them too old.
    pub fn new(setup: &WindowSetup<'_>, most: u64, age: Age) -> Sliding {
        Sliding {
            queues: Queues::new(
                setup.types,
                if setup.findable { setup.keep } else { setup.leaving },
            ),
            most,
            age,
            expired: setup.expired,
            holds: most > 0 && (setup.expired || setup.findable),
            keep: setup.keep.to_vec(),
            newest: None,
            alarms: Alarms::default(),
            counts: Vec::new(),
            numbers: Vec::new(),
        }
    }

    fn take(&mut self, batch: &Batch, context: &mut Context, output: &mut Batch) {
        if !self.holds {
            return output.extend(batch, 0, batch.len());
        }
        if let Age::Clock { keep } = self.age
            && !self.is_plain(batch, keep, context.now)
        {
            return self.take_late(batch, keep, context, output);
        }
        self.counts.clear();
        self.numbers.clear();
        let first = self.queues.store(batch, 0, batch.len());
        let leaving = if self.queues.is_keyed() {
            self.count_keyed(first, batch);
            // One row at most is common, and reading a list that was just filled costs more.
            match self.numbers.len() {
                0 => Leaving::From(first),
                1 => Leaving::From(self.numbers[0]),
                _ => Leaving::Numbers(&self.numbers),
            }
        } else {
            Leaving::From(self.count_together(first, batch))
        };
        if self.expired {
            let stamp = match self.age {
                Age::Column { column, .. } => Stamp::Each(batch.columns[column].longs()),
                Age::Any | Age::Clock { .. } => Stamp::At(context.now),
            };
            weave(self.queues.rows(), leaving, &self.counts, stamp, batch, output);
        } else {
            output.extend(batch, 0, batch.len());
        }
        if let Age::Clock { keep } = self.age {
            self.set_alarms(batch, keep, context);
        }
        self.queues.settle();
    }

    /// Whether no row can be too old as soon as it has come, or as soon as it is the oldest.
    fn is_plain(&mut self, batch: &Batch, keep: Millis, now: Millis) -> bool {
        let late = batch.timestamps.iter().any(|own| own.saturating_add(keep) <= now);
        if self.most == u64::MAX {
            return !late;
        }
        if late {
            self.newest = None;
            return false;
        }
        // A row that is the oldest because others left for their number may have been too old long
        // since, but only if it came with an earlier time than these.
        if self.queues.held() == 0 {
            self.newest = Some(Millis::MIN);
        }
        let Some(mut newest) = self.newest else { return false };
        for &own in &batch.timestamps {
            if own < newest {
                self.newest = None;
                return false;
            }
            newest = own;
        }
        self.newest = Some(newest);
        true
    }

    /// Finds how many rows leave before each that arrives, where all are of slot 0; gives the
    /// first.
    fn count_together(&mut self, first: u64, batch: &Batch) -> u64 {
        let rows = batch.len() as u64;
        let held = self.queues.length(0);
        let oldest = self.queues.front(0).unwrap_or(first);
        if let Age::Column { column, keep } = self.age {
            let times = batch.columns[column].longs();
            self.count_aged(oldest, first, column, times, keep);
        } else {
            let room = self.most.saturating_sub(held).min(rows) as usize;
            self.counts.resize(room, 0);
            self.counts.resize(batch.len(), 1);
        }
        let total = self.counts.iter().map(|&count| u64::from(count)).sum();
        self.queues.admit_all(first, batch);
        self.queues.pop_range(total);
        oldest
    }

    /// The same by a column of times: a row leaves once its time lies `keep` behind.
    fn count_aged(
        &mut self,
        mut oldest: u64,
        mut arriving: u64,
        column: usize,
        times: &[Millis],
        keep: Millis,
    ) {
        let rows = self.queues.rows();
        let mut ages: &[Millis] = &[];
        for time in times {
            let limit = time.saturating_sub(keep);
            let mut count = 0;
            while oldest < arriving {
                if ages.is_empty() {
                    let (segment, row) = rows.place(oldest);
                    ages = &rows.segment(segment).columns[column].longs()[row..];
                }
                if ages[0] > limit {
                    break;
                }
                ages = &ages[1..];
                oldest += 1;
                count += 1;
            }
            self.counts.push(count);
            arriving += 1;
        }
    }

    /// Finds which rows leave before each that arrives.
    fn count_keyed(&mut self, first: u64, batch: &Batch) {
        for row in 0..batch.len() {
            let slot = batch.slot(row);
            let mut count = 0;
            if let Age::Column { column, keep } = self.age {
                let limit = batch.columns[column].longs()[row].saturating_sub(keep);
                while let Some(oldest) = self.queues.front(slot)
                    && self.queues.rows().long(column, oldest) <= limit
                {
                    self.queues.pop(slot);
                    self.numbers.push(oldest);
                    count += 1;
                }
            } else if self.queues.length(slot) >= self.most {
                self.numbers.extend(self.queues.pop(slot));
                count = 1;
            }
            self.counts.push(count);
            self.queues.admit(slot, first + row as u64);
        }
    }

    fn set_alarms(&mut self, batch: &Batch, keep: Millis, context: &mut Context) {
        if batch.slots.is_empty() {
            return self.set_alarm(0, keep, context);
        }
        for &slot in &batch.slots {
            self.set_alarm(slot, keep, context);
        }
    }

    /// Makes sure that the slot is woken when its oldest row is too old.
    #[inline]
    fn set_alarm(&mut self, slot: Slot, keep: Millis, context: &mut Context) {
        if let Some(oldest) = self.queues.front(slot) {
            let due = self.queues.rows().timestamp(oldest).saturating_add(keep);
            self.alarms.set_by(due, slot, context);
        }
    }

    /// Takes rows some of which are too old when they come, or once they are the oldest. These
    /// leave at once, after the chunk at hand: as if the timer of a due time that has passed fired
    /// there.
    fn take_late(&mut self, batch: &Batch, keep: Millis, context: &mut Context, out: &mut Batch) {
        let mut start = 0;
        while start < batch.len() {
            let end = batch.chunk_end(start).min(batch.len());
            let chunk = out.len();
            // Rows that a timer of this very moment is still to let out wait for it.
            let is_due = |slot: &Slot| self.is_due(*slot, keep, context.now);
            let waiting: SmallVec<[Slot; 4]> =
                (start..end).map(|row| batch.slot(row)).filter(is_due).collect();
            for row in start..end {
                let slot = batch.slot(row);
                let number = self.queues.store(batch, row, row + 1);
                if self.queues.length(slot) >= self.most {
                    self.numbers.clear();
                    self.numbers.extend(self.queues.pop(slot));
                    self.put_out(slot, context.now, out);
                }
                self.queues.admit(slot, number);
                out.push_from(batch, row, Kind::Current, batch.timestamps[row]);
            }
            out.join_chunk(chunk);
            for row in start..end {
                let slot = batch.slot(row);
                if !waiting.contains(&slot) {
                    self.expire(slot, keep, context.now, out);
                }
            }
            start = end;
        }
        self.set_alarms(batch, keep, context);
        self.queues.settle();
    }

    /// Whether the oldest row of a slot is too old.
    fn is_due(&self, slot: Slot, keep: Millis, now: Millis) -> bool {
        let oldest = self.queues.front(slot);
        oldest
            .is_some_and(|oldest| self.queues.rows().timestamp(oldest).saturating_add(keep) <= now)
    }

    /// Puts out, as one chunk, all rows of a slot that are too old.
    fn expire(&mut self, slot: Slot, keep: Millis, now: Millis, output: &mut Batch) {
        self.numbers.clear();
        while self.is_due(slot, keep, now) {
            self.numbers.extend(self.queues.pop(slot));
        }
        let chunk = output.len();
        self.put_out(slot, now, output);
        output.join_chunk(chunk);
    }

    fn put_out(&mut self, slot: Slot, now: Millis, output: &mut Batch) {
        if !self.expired {
            return;
        }
        self.queues.rows().gather(&self.numbers, &mut output.columns);
        for _ in &self.numbers {
            output.push_head(now, Kind::Expired, slot);
        }
    }
}

impl Operator for Sliding {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        leave_out(&self.keep, output);
        let needed = match self.age {
            Age::Column { column, .. } => Some(column),
            Age::Any | Age::Clock { .. } => None,
        };
        let rows = arrivals(input, needed, context);
        self.take(&rows, context, output);
    }

    fn wake(&mut self, due: Millis, slot: Slot, context: &mut Context, output: &mut Batch) {
        let Age::Clock { keep } = self.age else { return };
        if self.alarms.take(due, slot) {
            leave_out(&self.keep, output);
            self.expire(slot, keep, context.now, output);
            self.set_alarm(slot, keep, context);
            self.queues.settle();
        }
    }

    fn forget(&mut self, slot: Slot) {
        self.queues.forget(slot);
        self.alarms.forget(slot);
    }

    fn held(&self) -> usize {
        self.queues.held()
    }

    fn save(&self, state: &mut StateWriter) {
        self.queues.save(state);
        self.alarms.save(state);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.newest = None;
        self.queues.load(state)?;
        self.alarms.load(state)
    }
}

impl Window for Sliding {
    fn contents(&self, slot: Slot, into: &mut Batch) {
        self.queues.contents(slot, 0, self.queues.length(slot), into);
    }

    fn queued(&self, slot: Slot) -> Option<(&Queues, u64)> {
        Some((&self.queues, self.queues.length(slot)))
    }

    fn index_on(&mut self, columns: &[usize]) -> Option<usize> {
        Some(self.queues.index_on(columns).0)
    }
}
