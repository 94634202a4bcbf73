//! What the batch windows share: by slot, the rows of the batch that is open and those of the batch
//! before, which leave when the open one closes.

use crate::engine::rows::Queues;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::WindowSetup;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;

/// Two generations of rows a slot: the front of a slot's queue is the batch before, the rest is
/// open.
pub struct Generations {
    queues: Queues,
    before: Vec<u64>,
    /// Whether anybody reads the rows that leave.
    expired: bool,
    /// Whether a batch is held once it is closed.
    holds: bool,
    numbers: Vec<u64>,
}

/// Which rows of a slot, counted from the oldest.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Rows left out at the front.
    pub skip: u64,
    /// How many rows.
    pub count: u64,
}

impl Generations {
    /// No rows.
    pub fn new(setup: &WindowSetup<'_>) -> Generations {
        Generations {
            queues: Queues::new(setup.types, setup.keep),
            before: Vec::new(),
            expired: setup.expired,
            holds: setup.expired || setup.findable,
            numbers: Vec::new(),
        }
    }

    /// Holds closed batches even if nobody reads the rows that leave.
    pub fn hold(&mut self) {
        self.holds = true;
    }

    /// Keeps an index over these columns of what others see; `all` where they see the open batch
    /// too. Gives its number.
    pub fn index_on(&mut self, columns: &[usize], all: bool) -> usize {
        if !all {
            self.queues.show_by_hand();
        }
        let (index, is_new) = self.queues.index_on(columns);
        if is_new && !all {
            self.show_closed();
        }
        index
    }

    fn show_closed(&mut self) {
        for slot in 0..self.before.len() as Slot {
            self.show(slot, Part { skip: 0, count: self.before(slot) });
        }
    }

    fn show(&mut self, slot: Slot, part: Part) {
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.clear();
        self.queues.numbers(slot, part.skip, part.count, &mut numbers);
        numbers.iter().for_each(|&number| self.queues.show(slot, number));
        self.numbers = numbers;
    }

    /// Whether closed batches are held.
    pub fn holds(&self) -> bool {
        self.holds
    }

    /// Whether slots other than 0 have been seen.
    pub fn is_keyed(&self) -> bool {
        self.queues.is_keyed()
    }

    /// How many rows are held.
    pub fn held(&self) -> usize {
        self.queues.held()
    }

    /// Stores rows of a batch and gives the number of the first; see [`Queues::store`].
    pub fn store(&mut self, batch: &Batch, start: usize, end: usize) -> u64 {
        self.queues.store(batch, start, end)
    }

    /// Adds a stored row to the open batch of a slot.
    #[inline]
    pub fn admit(&mut self, slot: Slot, number: u64) {
        self.queues.admit(slot, number);
    }

    /// Adds stored rows to the open batch of slot 0. Not once other slots have been seen.
    #[inline]
    pub fn admit_range(&mut self, first: u64, count: u64) {
        self.queues.admit_range(first, count);
    }

    /// Stores all rows of a batch and adds each to the open batch of its slot.
    pub fn add(&mut self, batch: &Batch) {
        let first = self.queues.store(batch, 0, batch.len());
        self.queues.admit_all(first, batch);
    }

    /// How many rows the open batch of a slot has.
    #[inline]
    pub fn open(&self, slot: Slot) -> u64 {
        self.queues.length(slot) - self.before(slot)
    }

    /// How many rows the batch before has, as far as it is held.
    #[inline]
    pub fn before(&self, slot: Slot) -> u64 {
        self.before.get(slot as usize).copied().unwrap_or_default()
    }

    fn set_before(&mut self, slot: Slot, count: u64) {
        let place = slot as usize;
        if self.before.len() <= place {
            self.before.resize(place + 1, 0);
        }
        self.before[place] = count;
    }

    /// Lets the batch before leave; its rows are put out as expired at `now` if anybody reads them.
    pub fn leave(&mut self, slot: Slot, now: Millis, output: &mut Batch) {
        let count = self.before(slot);
        if count == 0 {
            return;
        }
        if self.expired {
            self.put(slot, Part { skip: 0, count }, Kind::Expired, Some(now), output);
        }
        self.drop_oldest(slot, count);
        self.set_before(slot, 0);
    }

    /// Puts out the open batch as current and makes it the batch before.
    pub fn arrive(&mut self, slot: Slot, output: &mut Batch) {
        let skip = self.before(slot);
        let count = self.open(slot);
        self.put(slot, Part { skip, count }, Kind::Current, None, output);
        self.age(slot);
    }

    /// Makes the open batch, too, the batch before.
    pub fn age(&mut self, slot: Slot) {
        let length = self.queues.length(slot);
        if self.holds {
            if self.queues.is_indexed() {
                let skip = self.before(slot);
                self.show(slot, Part { skip, count: length - skip });
            }
            self.set_before(slot, length);
        } else {
            self.drop_oldest(slot, length);
        }
    }

    /// Closes the open batch of a slot: puts out, as one chunk, the batch before as expired at
    /// `now`, a reset, and the open batch as current.
    pub fn close(&mut self, slot: Slot, now: Millis, output: &mut Batch) {
        let chunk = output.len();
        self.leave(slot, now, output);
        output.push_zeros(now, Kind::Reset, slot);
        self.arrive(slot, output);
        output.join_chunk(chunk);
    }

    fn drop_oldest(&mut self, slot: Slot, count: u64) {
        if self.queues.is_keyed() {
            for _ in 0..count {
                self.queues.pop(slot);
            }
        } else {
            self.queues.pop_range(count);
        }
    }

    /// Appends rows of a slot under one kind, at a time or at their own.
    pub fn put(
        &mut self,
        slot: Slot,
        part: Part,
        kind: Kind,
        at: Option<Millis>,
        output: &mut Batch,
    ) {
        let rows = self.queues.rows();
        let start = output.len();
        let end = start + part.count as usize;
        if self.queues.is_keyed() {
            self.numbers.clear();
            self.queues.numbers(slot, part.skip, part.count, &mut self.numbers);
            rows.gather(&self.numbers, &mut output.columns);
            let own = self.numbers.iter().map(|&number| at.unwrap_or(rows.timestamp(number)));
            output.timestamps.extend(own);
        } else if let Some(front) = self.queues.front(slot) {
            let first = front + part.skip;
            let numbers = first..first + part.count;
            rows.copy(numbers.clone(), &mut output.columns);
            match at {
                Some(at) => output.timestamps.resize(end, at),
                None => rows.copy_timestamps(numbers, &mut output.timestamps),
            }
        }
        if kind != Kind::Current || !output.kinds.is_empty() {
            output.kinds.resize(start, Kind::Current);
            output.kinds.resize(end, kind);
        }
        if slot != 0 || !output.slots.is_empty() {
            output.slots.resize(start, 0);
            output.slots.resize(end, slot);
        }
    }

    /// Lets go of what is no longer held; see [`Queues::settle`].
    pub fn settle(&mut self) {
        self.queues.settle();
    }

    /// Appends rows of a slot for those who look from outside.
    pub fn contents(&self, slot: Slot, part: Part, into: &mut Batch) {
        self.queues.contents(slot, part.skip, part.count, into);
    }

    /// Appends the batch before, which is what others see of a batch window.
    pub fn closed(&self, slot: Slot, into: &mut Batch) {
        self.contents(slot, Part { skip: 0, count: self.before(slot) }, into);
    }

    /// The queues, and how many of the oldest rows of a slot others see of a batch window.
    pub fn seen_closed(&self, slot: Slot) -> (&Queues, u64) {
        (&self.queues, self.before(slot))
    }

    /// The same, where others see the open batch too.
    pub fn seen_all(&self, slot: Slot) -> (&Queues, u64) {
        (&self.queues, self.queues.length(slot))
    }

    /// Appends all rows of a slot.
    pub fn all(&self, slot: Slot, into: &mut Batch) {
        self.contents(slot, Part { skip: 0, count: self.queues.length(slot) }, into);
    }

    /// Drops all rows of a slot.
    pub fn forget(&mut self, slot: Slot) {
        self.queues.forget(slot);
        if let Some(before) = self.before.get_mut(slot as usize) {
            *before = 0;
        }
    }

    /// Writes all rows.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.before);
        self.queues.save(state);
    }

    /// Takes what [`Generations::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.before = state.get()?;
        self.queues.load(state)?;
        let sound = |(slot, &count): (usize, &u64)| count <= self.queues.length(slot as Slot);
        if !self.before.iter().enumerate().all(sound) {
            return Err(LoadError::Malformed);
        }
        if self.queues.is_indexed() {
            self.show_closed();
        }
        Ok(())
    }
}
