//! Queued rows by the values of some columns: what a join asks a window for.
//!
//! Rows of one queue leave in the order in which they came, and so do those among them that are
//! equal in the columns. So it is enough to know, for each key, its first and last row, and for
//! each row how far the next one of its key is away: a row comes and goes without searching and
//! without memory of its own. Nothing of it is saved; it is made again from the rows.

use crate::engine::rows::Rows;
use crate::engine::rows::SEGMENT;
use crate::event::Column;
use crate::event::Slot;
use crate::event::hash_cell;
use hashbrown::HashTable;
use std::collections::VecDeque;

/// Not in the index.
const ABSENT: u32 = u32::MAX;
/// In the index, but with a null in its key, so that nothing is equal to it.
const NO_KEY: u32 = u32::MAX - 1;

/// Rows by key.
#[derive(Debug)]
pub struct KeyIndex {
    columns: Vec<usize>,
    groups: HashTable<Group>,
    /// By segment of the rows from `base` on: how far the next row of the same key is.
    next: VecDeque<Box<[u32; SEGMENT]>>,
    base: u64,
}

/// The rows of one slot that are equal.
#[derive(Debug)]
struct Group {
    hash: u64,
    slot: Slot,
    first: u64,
    last: u64,
}

/// The rows found for a key, in order.
#[derive(Debug)]
pub struct Matches<'a> {
    index: &'a KeyIndex,
    next: Option<u64>,
    last: u64,
}

impl Iterator for Matches<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        let number = self.next?;
        self.next = (number != self.last).then(|| number + u64::from(*self.index.distance(number)));
        Some(number)
    }
}

impl KeyIndex {
    /// No rows, by the values of `columns`.
    pub fn new(columns: &[usize]) -> KeyIndex {
        KeyIndex {
            columns: columns.to_vec(),
            groups: HashTable::new(),
            next: VecDeque::new(),
            base: 0,
        }
    }

    /// The columns of the key.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Drops all rows; the next to be added lie from number `base` on, where a segment begins.
    pub fn clear(&mut self, base: u64) {
        self.groups.clear();
        self.next.clear();
        self.base = base;
    }

    fn place(&self, number: u64) -> (usize, usize) {
        let offset = (number - self.base) as usize;
        (offset / SEGMENT, offset % SEGMENT)
    }

    #[inline]
    fn distance(&self, number: u64) -> &u32 {
        let (segment, row) = self.place(number);
        &self.next[segment][row]
    }

    #[inline]
    fn set(&mut self, number: u64, distance: u32) {
        let (segment, row) = self.place(number);
        while self.next.len() <= segment {
            self.next.push_back(Box::new([ABSENT; SEGMENT]));
        }
        self.next[segment][row] = distance;
    }

    /// Whether a row was added, and not removed since.
    pub fn has(&self, number: u64) -> bool {
        let (segment, row) = self.place(number);
        self.next.get(segment).is_some_and(|distances| distances[row] != ABSENT)
    }

    /// Adds a row of a slot; rows of a slot are added in order.
    #[inline]
    pub fn add(&mut self, rows: &Rows, slot: Slot, number: u64) {
        let (segment, row) = rows.place(number);
        let columns = &rows.segment(segment).columns;
        let mut hash = u64::from(slot);
        for &column in &self.columns {
            if columns[column].is_null(row) {
                return self.set(number, NO_KEY);
            }
            hash = hash_cell(&columns[column], row, hash);
        }
        self.set(number, 0);
        let same = |group: &Group| {
            group.hash == hash && group.slot == slot && {
                let (segment, other) = rows.place(group.last);
                let known = &rows.segment(segment).columns;
                self.columns.iter().all(|&at| known[at].same(other, &columns[at], row))
            }
        };
        match self.groups.find_mut(hash, same) {
            Some(group) => {
                let before = std::mem::replace(&mut group.last, number);
                self.set(before, (number - before) as u32);
            }
            None => {
                let group = Group { hash, slot, first: number, last: number };
                self.groups.insert_unique(hash, group, |group| group.hash);
            }
        }
    }

    /// Removes a row, which must be the oldest of its slot, if it was added.
    #[inline]
    pub fn remove(&mut self, rows: &Rows, slot: Slot, number: u64) {
        let (segment, row) = self.place(number);
        let Some(distances) = self.next.get_mut(segment) else { return };
        let distance = std::mem::replace(&mut distances[row], ABSENT);
        if distance >= NO_KEY {
            return;
        }
        let (segment, row) = rows.place(number);
        let columns = &rows.segment(segment).columns;
        let hash = |hash, &column: &usize| hash_cell(&columns[column], row, hash);
        let hash = self.columns.iter().fold(u64::from(slot), hash);
        let own = |group: &Group| group.first == number && group.hash == hash;
        if let Ok(mut entry) = self.groups.find_entry(hash, own) {
            let group = entry.get_mut();
            if group.last == number {
                entry.remove();
            } else {
                group.first = number + u64::from(distance);
            }
        }
    }

    /// Lets go of what is known of rows before `start`, where a segment begins.
    #[inline]
    pub fn release(&mut self, start: u64) {
        while self.base < start {
            if let Some(mut distances) = self.next.pop_front() {
                distances.fill(ABSENT);
                self.next.push_back(distances);
            }
            self.base += SEGMENT as u64;
        }
    }

    /// The rows of a slot whose key equals row `row` of `key`, columns of the key's types. Nulls
    /// are equal to nothing.
    #[inline]
    pub fn find(&self, rows: &Rows, slot: Slot, key: &[&Column], row: usize) -> Matches<'_> {
        let nothing = Matches { index: self, next: None, last: 0 };
        let mut hash = u64::from(slot);
        for column in key {
            if column.is_null(row) {
                return nothing;
            }
            hash = hash_cell(column, row, hash);
        }
        let same = |group: &Group| {
            group.hash == hash && group.slot == slot && {
                let (segment, known) = rows.place(group.first);
                let columns = &rows.segment(segment).columns;
                self.columns.iter().zip(key).all(|(&at, key)| columns[at].same(known, key, row))
            }
        };
        match self.groups.find(hash, same) {
            Some(group) => Matches { next: Some(group.first), last: group.last, ..nothing },
            None => nothing,
        }
    }
}
