//! One first-in-first-out queue a partition key, over rows that lie together in order of arrival.
//!
//! While only slot 0 has been seen its queue is a range of numbers. From the first other slot on,
//! each row knows the distance to the next row of its slot; that is not saved but found again on
//! loading, since a slot's rows lie in their order. Segments leave when none of their rows is
//! queued. What a quiet slot holds would pin old segments for ever, so when too much of what lies
//! here is dead the queues that reach back furthest move to the end, each as a whole.

use crate::engine::rows::KeyIndex;
use crate::engine::rows::Rows;
use crate::engine::rows::SEGMENT;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Slot;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use std::collections::VecDeque;
use std::ops::Range;

/// One slot's queue: the numbers of its first and last row and how many it has.
#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    first: u64,
    last: u64,
    length: u64,
}

impl Encode for Queue {
    fn encode(&self, out: &mut Vec<u8>) {
        // An empty queue remembers rows that it had; a copy of it would not.
        let first = if self.length == 0 { 0 } else { self.first };
        (first, self.length).encode(out);
    }
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (first, length) = <(u64, u64)>::decode(from)?;
        Ok(Queue { first, last: first, length })
    }
}

/// What keyed queues know of a segment.
#[derive(Debug)]
struct Links {
    /// By row: how far the next row of the same slot is away.
    next: Box<[u32; SEGMENT]>,
    /// How many rows are queued.
    live: u32,
}

/// Queues of rows by slot.
#[derive(Debug)]
pub struct Queues {
    rows: Rows,
    queues: Vec<Queue>,
    /// By segment of the rows; empty while only slot 0 has been seen.
    links: VecDeque<Links>,
    keyed: bool,
    live: u64,
    /// By which columns rows can be found.
    indexes: Vec<KeyIndex>,
    /// Whether rows are found only once [`Queues::show`] was called, and not as soon as queued.
    by_hand: bool,
}

/// Dead rows beyond this and beyond the number of live ones make queues move.
const DEAD_MAX: u64 = 8 * SEGMENT as u64;

impl Queues {
    /// No rows. Columns that `keep` does not name are not kept.
    pub fn new(types: &[DataType], keep: &[bool]) -> Queues {
        Queues {
            rows: Rows::new(types, keep),
            queues: vec![Queue::default()],
            links: VecDeque::new(),
            keyed: false,
            live: 0,
            indexes: Vec::new(),
            by_hand: false,
        }
    }

    /// From now on rows can be found by key only once they are shown with [`Queues::show`].
    pub fn show_by_hand(&mut self) {
        self.by_hand = true;
    }

    /// Keeps an index over these columns, which must be kept, from now on; gives its number, and
    /// whether it is new. A new one has all queued rows, unless they are shown by hand.
    pub fn index_on(&mut self, columns: &[usize]) -> (usize, bool) {
        if let Some(known) = self.indexes.iter().position(|index| index.columns() == columns) {
            return (known, false);
        }
        let mut index = KeyIndex::new(columns);
        index.clear(self.rows.start());
        if !self.by_hand {
            self.each_queued(|slot, number| index.add(&self.rows, slot, number));
        }
        self.indexes.push(index);
        (self.indexes.len() - 1, true)
    }

    /// An index by its number.
    #[inline]
    pub fn key_index(&self, number: usize) -> &KeyIndex {
        &self.indexes[number]
    }

    /// Lets a queued row be found, where that is done by hand; rows of a slot are shown in order.
    pub fn show(&mut self, slot: Slot, number: u64) {
        for index in &mut self.indexes {
            if !index.has(number) {
                index.add(&self.rows, slot, number);
            }
        }
    }

    /// Whether rows can be found by key.
    pub fn is_indexed(&self) -> bool {
        !self.indexes.is_empty()
    }

    fn each_queued(&self, mut visit: impl FnMut(Slot, u64)) {
        for (slot, queue) in self.queues.iter().enumerate() {
            let mut number = queue.first;
            for place in 0..queue.length {
                visit(slot as Slot, number);
                if place + 1 < queue.length {
                    number = self.after(number);
                }
            }
        }
    }

    #[inline]
    fn enter_indexes(&mut self, slot: Slot, numbers: Range<u64>) {
        if self.by_hand {
            return;
        }
        for index in &mut self.indexes {
            numbers.clone().for_each(|number| index.add(&self.rows, slot, number));
        }
    }

    #[inline]
    fn leave_indexes(&mut self, slot: Slot, numbers: Range<u64>) {
        for index in &mut self.indexes {
            numbers.clone().for_each(|number| index.remove(&self.rows, slot, number));
        }
    }

    /// The rows behind the queues, by number.
    #[inline]
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Whether slots other than 0 have been seen; else the rows of slot 0 lie together.
    #[inline]
    pub fn is_keyed(&self) -> bool {
        self.keyed
    }

    /// How many rows all queues hold.
    #[inline]
    pub fn held(&self) -> usize {
        self.live as usize
    }

    /// How many rows the queue of a slot holds.
    #[inline]
    pub fn length(&self, slot: Slot) -> u64 {
        self.queues.get(slot as usize).map_or(0, |queue| queue.length)
    }

    /// The number of the oldest row of a slot.
    #[inline]
    pub fn front(&self, slot: Slot) -> Option<u64> {
        self.queues.get(slot as usize).filter(|queue| queue.length > 0).map(|queue| queue.first)
    }

    /// Stores rows `start..end` of a batch and gives the number of the first. They are in no queue
    /// until [`Queues::admit`] or [`Queues::admit_all`] puts them there, each row before the next
    /// call of [`Queues::settle`].
    pub fn store(&mut self, batch: &Batch, start: usize, end: usize) -> u64 {
        let slots = batch.slots.get(start..end).unwrap_or_default();
        if let Some(&most) = slots.iter().max()
            && most > 0
        {
            self.become_keyed(most);
        }
        let first = self.rows.end();
        self.rows.extend(batch, start, end);
        if self.keyed {
            self.grow_links();
        }
        first
    }

    fn become_keyed(&mut self, slot: Slot) {
        if self.queues.len() <= slot as usize {
            self.queues.resize(slot as usize + 1, Queue::default());
        }
        if self.keyed {
            return;
        }
        self.keyed = true;
        self.grow_links();
        // Their rows are known already.
        let indexes = std::mem::take(&mut self.indexes);
        let only = self.queues[0];
        self.queues[0] = Queue::default();
        self.live = 0;
        for number in only.first..only.first + only.length {
            self.admit(0, number);
        }
        self.indexes = indexes;
    }

    fn grow_links(&mut self) {
        while self.links.len() < self.rows.segments() {
            self.links.push_back(Links { next: Box::new([0; SEGMENT]), live: 0 });
        }
    }

    /// Puts a stored row at the end of a slot's queue.
    #[inline]
    pub fn admit(&mut self, slot: Slot, number: u64) {
        self.enter_indexes(slot, number..number + 1);
        self.live += 1;
        let queue = &mut self.queues[slot as usize];
        let before = queue.last;
        queue.last = number;
        queue.length += 1;
        let is_first = queue.length == 1;
        if is_first {
            queue.first = number;
        }
        if !self.keyed {
            return;
        }
        if !is_first {
            let (place, row) = self.rows.place(before);
            // Moving keeps all rows nearer to each other than this.
            self.links[place].next[row] = (number - before) as u32;
        }
        let (place, _) = self.rows.place(number);
        self.links[place].live += 1;
    }

    /// Puts all rows of a batch, stored from number `first` on, at the ends of their slots' queues.
    pub fn admit_all(&mut self, first: u64, batch: &Batch) {
        if self.keyed {
            for row in 0..batch.len() {
                self.admit(batch.slot(row), first + row as u64);
            }
        } else {
            self.admit_range(first, batch.len() as u64);
        }
    }

    /// Puts rows that lie together at the end of the queue of slot 0. Not for keyed queues.
    #[inline]
    pub fn admit_range(&mut self, first: u64, count: u64) {
        debug_assert!(!self.keyed);
        if count == 0 {
            return;
        }
        let queue = &mut self.queues[0];
        if queue.length == 0 {
            queue.first = first;
        }
        queue.length += count;
        queue.last = first + count - 1;
        self.live += count;
        self.enter_indexes(0, first..first + count);
    }

    /// Takes the oldest row off a slot's queue. It can be read until [`Queues::settle`].
    #[inline]
    pub fn pop(&mut self, slot: Slot) -> Option<u64> {
        let queue = self.queues.get_mut(slot as usize).filter(|queue| queue.length > 0)?;
        let number = queue.first;
        queue.length -= 1;
        self.live -= 1;
        if self.keyed {
            let (place, row) = self.rows.place(number);
            let links = &mut self.links[place];
            links.live -= 1;
            queue.first = number + u64::from(links.next[row]);
        } else {
            queue.first = number + 1;
        }
        self.leave_indexes(slot, number..number + 1);
        Some(number)
    }

    /// Takes the `count` oldest rows off the queue of slot 0, which must have them, and gives their
    /// range. Not for keyed queues.
    #[inline]
    pub fn pop_range(&mut self, count: u64) -> Range<u64> {
        debug_assert!(!self.keyed && count <= self.queues[0].length);
        let queue = &mut self.queues[0];
        let first = queue.first;
        queue.first += count;
        queue.length -= count;
        self.live -= count;
        self.leave_indexes(0, first..first + count);
        first..first + count
    }

    /// The number of the row after this one in a slot's queue; it must not be the last.
    #[inline]
    pub fn after(&self, number: u64) -> u64 {
        if !self.keyed {
            return number + 1;
        }
        let (place, row) = self.rows.place(number);
        number + u64::from(self.links[place].next[row])
    }

    /// Appends the numbers of a slot's rows, oldest first, from row `skip` of the queue on.
    pub fn numbers(&self, slot: Slot, skip: u64, count: u64, into: &mut Vec<u64>) {
        let Some(mut number) = self.front(slot).filter(|_| count > 0) else { return };
        for _ in 0..skip {
            number = self.after(number);
        }
        into.push(number);
        for _ in 1..count {
            number = self.after(number);
            into.push(number);
        }
    }

    /// Appends the rows of a slot, oldest first, from row `skip` of the queue on, with their own
    /// times.
    pub fn contents(&self, slot: Slot, skip: u64, count: u64, into: &mut Batch) {
        let mut numbers = Vec::with_capacity(count as usize);
        self.numbers(slot, skip, count, &mut numbers);
        self.rows.gather(&numbers, &mut into.columns);
        for &number in &numbers {
            into.push_head(self.rows.timestamp(number), crate::event::Kind::Current, slot);
        }
    }

    /// Lets go of what no queue holds. Numbers may change.
    #[inline]
    pub fn settle(&mut self) {
        if !self.keyed {
            let queue = &self.queues[0];
            let first = if queue.length > 0 { queue.first } else { self.rows.end() };
            self.rows.release(first);
            return self.release_indexes();
        }
        self.release_dead();
        while self.rows.end() - self.rows.start() > 2 * self.live + DEAD_MAX {
            self.move_oldest();
        }
    }

    /// Sealed segments without live rows leave from the front.
    fn release_dead(&mut self) {
        while self.rows.segments() > 1 && self.links[0].live == 0 {
            self.rows.release_segment();
            let links = self.links.pop_front().expect("each segment has links");
            self.links.push_back(links);
        }
        self.release_indexes();
    }

    #[inline]
    fn release_indexes(&mut self) {
        let start = self.rows.start();
        self.indexes.iter_mut().for_each(|index| index.release(start));
    }

    /// Moves every queue that reaches into the oldest segment to the end.
    fn move_oldest(&mut self) {
        let start = self.rows.start();
        for row in 0..SEGMENT {
            let number = start + row as u64;
            let slot = self.rows.segment(0).slot(row) as usize;
            let queue = self.queues[slot];
            // Rows of a queue lie in its order, so its first row is met before its others.
            if queue.length == 0 || queue.first != number {
                continue;
            }
            for _ in 0..queue.length {
                let first = self.queues[slot].first;
                let shown = self.indexes.first().is_some_and(|index| index.has(first));
                let moved = self.pop(slot as Slot).expect("the queue is as long as it says");
                let number = self.rows.end();
                self.rows.repeat(moved);
                self.grow_links();
                self.admit(slot as Slot, number);
                if shown {
                    self.show(slot as Slot, number);
                }
            }
        }
        self.release_dead();
    }

    /// Drops the queue of a slot.
    pub fn forget(&mut self, slot: Slot) {
        if self.keyed {
            while self.pop(slot).is_some() {}
        } else {
            self.pop_range(self.length(slot));
        }
        self.settle();
    }

    /// Writes all queues: sealed segments by handle, the rest by copy.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&(self.keyed, self.live));
        state.put(&self.queues);
        self.rows.save(state);
    }

    /// Takes what [`Queues::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that, or are of rows with other columns.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        (self.keyed, self.live) = state.get()?;
        self.queues = state.get()?;
        self.rows.load(state)?;
        self.links.clear();
        let mut indexes = std::mem::take(&mut self.indexes);
        if self.keyed {
            self.link()?
        } else {
            self.check_range()?
        }
        for index in &mut indexes {
            index.clear(self.rows.start());
            if !self.by_hand {
                self.each_queued(|slot, number| index.add(&self.rows, slot, number));
            }
        }
        self.indexes = indexes;
        Ok(())
    }

    fn check_range(&mut self) -> Result<(), LoadError> {
        let [queue] = &mut self.queues[..] else { return Err(LoadError::Malformed) };
        let end = queue.first.checked_add(queue.length).ok_or(LoadError::Malformed)?;
        let held = self.rows.start()..=self.rows.end();
        let sound = queue.length == 0 || held.contains(&queue.first) && held.contains(&end);
        if !sound || self.live != queue.length {
            return Err(LoadError::Malformed);
        }
        queue.last = end.saturating_sub(1);
        Ok(())
    }

    /// Finds again which rows are queued and what follows what.
    fn link(&mut self) -> Result<(), LoadError> {
        self.grow_links();
        let saved = std::mem::take(&mut self.queues);
        self.queues = vec![Queue::default(); saved.len()];
        let live = std::mem::take(&mut self.live);
        for number in self.rows.start()..self.rows.end() {
            let (place, row) = self.rows.place(number);
            let slot = self.rows.segment(place).slot(row);
            let wanted = saved.get(slot as usize).ok_or(LoadError::Malformed)?;
            let found = self.queues[slot as usize].length;
            if number >= wanted.first && found < wanted.length {
                self.admit(slot, number);
            }
        }
        let same = |(a, b): (&Queue, &Queue)| {
            a.length == b.length && (a.length == 0 || a.first == b.first)
        };
        if live == self.live && saved.iter().zip(&self.queues).all(same) {
            Ok(())
        } else {
            Err(LoadError::Malformed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::SavedState;
    use crate::event::Kind;
    use crate::event::Value;
    use proptest::prelude::*;

    fn one(slot: Slot, value: i64) -> Batch {
        let mut batch = Batch::new(&[DataType::Long]);
        batch.columns[0].push(&Value::Long(value));
        batch.push_head(value, Kind::Current, slot);
        batch
    }

    fn queues() -> Queues {
        Queues::new(&[DataType::Long], &[true])
    }

    fn saved(queues: &Queues) -> Vec<u8> {
        let mut writer = StateWriter::default();
        writer.section("queues", 1);
        queues.save(&mut writer);
        writer.freeze().to_bytes()
    }

    fn reload(queues: &Queues) -> Queues {
        let bytes = saved(queues);
        let mut loaded = self::queues();
        let saved = SavedState::parse(&bytes).expect("own bytes");
        loaded.load(&mut saved.section("queues", 1).expect("saved")).expect("own state");
        loaded
    }

    fn push(queues: &mut Queues, slot: Slot, value: i64) {
        let batch = one(slot, value);
        let number = queues.store(&batch, 0, 1);
        queues.admit_all(number, &batch);
    }

    fn held(queues: &Queues, slot: Slot) -> Vec<i64> {
        let mut batch = Batch::new(&[DataType::Long]);
        queues.contents(slot, 0, queues.length(slot), &mut batch);
        batch.columns[0].longs().to_vec()
    }

    proptest! {
        /// Against a queue a slot of the standard library, with saving and forgetting mixed in.
        #[test]
        fn each_slot_is_a_queue_of_its_own(
            steps in proptest::collection::vec((0u32..4, 0u8..20), 1..400),
            only_slot_0 in any::<bool>(),
        ) {
            let mut queues = queues();
            let mut model = vec![VecDeque::new(); 4];
            for (count, &(slot, what)) in steps.iter().enumerate() {
                let slot = if only_slot_0 { 0 } else { slot };
                match what {
                    0 => {
                        let loaded = reload(&queues);
                        prop_assert!(saved(&loaded) == saved(&queues), "a copy is told apart");
                        queues = loaded;
                    }
                    1 => {
                        queues.forget(slot);
                        model[slot as usize].clear();
                    }
                    2..8 => {
                        let popped = queues.pop(slot).map(|number| queues.rows().long(0, number));
                        prop_assert_eq!(popped, model[slot as usize].pop_front());
                    }
                    _ => {
                        push(&mut queues, slot, count as i64);
                        model[slot as usize].push_back(count as i64);
                    }
                }
                queues.settle();
                let wanted = &model[slot as usize];
                prop_assert_eq!(&held(&queues, slot), &wanted.iter().copied().collect::<Vec<_>>());
                let front = queues.front(slot).map(|number| queues.rows().timestamp(number));
                prop_assert_eq!(front, wanted.front().copied());
            }
            let total: usize = model.iter().map(VecDeque::len).sum();
            prop_assert_eq!(queues.held(), total);
        }
    }

    #[test]
    fn a_quiet_slot_does_not_pin_old_segments() {
        let mut queues = queues();
        (0..3).for_each(|value| push(&mut queues, 1, value));
        for value in 0..100_000 {
            push(&mut queues, 2, value);
            if queues.length(2) > 10 {
                queues.pop(2);
            }
            queues.settle();
            assert!(queues.rows().segments() <= 10);
        }
        assert_eq!(held(&queues, 1), [0, 1, 2]);
        assert_eq!(held(&reload(&queues), 1), [0, 1, 2]);
        assert_eq!(held(&queues, 2), (99_990..100_000).collect::<Vec<_>>());
    }

    #[test]
    fn the_second_slot_may_come_late() {
        let mut queues = queues();
        (0..2000).for_each(|value| push(&mut queues, 0, value));
        queues.pop_range(1500);
        push(&mut queues, 7, -1);
        push(&mut queues, 0, 2000);
        queues.settle();
        assert_eq!(held(&queues, 0), (1500..=2000).collect::<Vec<_>>());
        assert_eq!(held(&queues, 7), [-1]);
    }
}
