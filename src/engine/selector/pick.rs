//! Which rows of a batch leave, in which order, in which chunks.

use crate::event::Batch;
use crate::event::Bits;
use crate::event::Column;
use crate::event::Kind;
use crate::plan::logical::OutputEvents;
use std::cmp::Ordering;

/// Picks rows chunk by chunk.
pub struct Picker {
    events: OutputEvents,
    /// Whether a chunk gives one row (a group).
    collapses: bool,
    offset: usize,
    limit: usize,
    /// The rows picked, chunk after chunk.
    rows: Vec<u32>,
    /// Where in `rows` each chunk ends; chunks without rows are left out. Not kept while every
    /// chunk has one row.
    ends: Vec<u32>,
    singles: bool,
    /// By group: the last chunk in which it was seen, counted over batches, and its place in
    /// `rows`.
    seen: Vec<(u64, u32)>,
    chunks: u64,
}

impl Picker {
    /// For a selection that puts out `events`; `collapses` if it has aggregates or groups.
    pub fn new(
        events: OutputEvents,
        collapses: bool,
        offset: Option<u64>,
        limit: Option<u64>,
    ) -> Picker {
        let rows = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        Picker {
            events,
            collapses,
            offset: rows(offset.unwrap_or(0)),
            limit: limit.map_or(usize::MAX, rows),
            rows: Vec::new(),
            ends: Vec::new(),
            singles: true,
            seen: Vec::new(),
            chunks: 0,
        }
    }

    /// Picks all eligible rows of a chunk from now on; those of groups without offset and limit.
    pub fn leave_whole(&mut self, grouped: bool) {
        self.collapses = false;
        if grouped {
            (self.offset, self.limit) = (0, usize::MAX);
        }
    }

    /// Picks the eligible rows and collapses each chunk.
    pub fn pick(&mut self, input: &Batch, groups: Option<&[u32]>, having: Option<&Column>) {
        self.rows.clear();
        self.ends.clear();
        self.singles = !input.continues.any();
        if self.singles && input.kinds.is_empty() && having.is_none() {
            if self.events.current() {
                self.rows.extend(0..input.len() as u32);
            }
            return;
        }
        let passes = having.map(Column::bools);
        let eligible = |row: usize| {
            let put_out = match input.kind(row) {
                Kind::Current => self.events.current(),
                Kind::Expired => self.events.expired(),
                Kind::Reset => false,
            };
            put_out && passes.is_none_or(|passes| passes[row])
        };
        let rows = &mut self.rows;
        let mut start = 0;
        while start < input.len() {
            let end = input.chunk_end(start);
            let first = rows.len();
            let mut chosen = (start..end).filter(|&row| eligible(row));
            match groups {
                _ if !self.collapses => rows.extend(chosen.map(|row| row as u32)),
                None => rows.extend(chosen.next_back().map(|row| row as u32)),
                Some(groups) => {
                    self.chunks += 1;
                    for row in chosen {
                        let group = groups[row] as usize;
                        if group >= self.seen.len() {
                            self.seen.resize(group + 1, (0, 0));
                        }
                        let (chunk, place) = &mut self.seen[group];
                        if *chunk == self.chunks {
                            rows[*place as usize] = row as u32;
                        } else {
                            (*chunk, *place) = (self.chunks, rows.len() as u32);
                            rows.push(row as u32);
                        }
                    }
                }
            }
            if !self.singles && rows.len() > first {
                self.ends.push(rows.len() as u32);
            }
            start = end;
        }
        self.singles |= self.ends.len() == self.rows.len();
    }

    /// Marks the rows that are picked so far, and no others.
    pub fn mark(&self, marks: &mut Bits) {
        marks.clear();
        self.rows.iter().for_each(|&row| marks.set(row as usize));
    }

    /// Sorts each chunk by keys, each of them descending or not; nulls last either way. Only runs
    /// of rows of one kind are sorted; rows that are equal keep their order.
    pub fn order(&mut self, input: &Batch, keys: &[(&Column, bool)]) {
        if self.singles {
            return;
        }
        let compare = |&left: &u32, &right: &u32| {
            for (key, descending) in keys {
                let (left, right) = (key.value(left as usize), key.value(right as usize));
                let order = left.order(&right);
                let order = if *descending && !left.is_null() && !right.is_null() {
                    order.reverse()
                } else {
                    order
                };
                if order != Ordering::Equal {
                    return order;
                }
            }
            Ordering::Equal
        };
        let mut start = 0;
        for &end in &self.ends {
            let chunk = &mut self.rows[start..end as usize];
            let same_kind = |a: &u32, b: &u32| input.kind(*a as usize) == input.kind(*b as usize);
            for run in chunk.chunk_by_mut(same_kind) {
                run.sort_by(compare);
            }
            start = end as usize;
        }
    }

    /// Leaves out rows by offset, then by limit. As in the reference an expired row is never cut
    /// off by the limit, but uses it up.
    pub fn cut(&mut self, input: &Batch) {
        if self.offset == 0 && self.limit == usize::MAX {
            return;
        }
        let (offset, limit) = (self.offset, self.limit);
        self.keep(|place, row| {
            place >= offset && (place - offset < limit || input.kind(row as usize) == Kind::Expired)
        });
    }

    /// Leaves out rows of the batch whatever else holds of them.
    pub fn leave_out(&mut self, unwanted: impl Fn(usize) -> bool) {
        self.keep(|_, row| !unwanted(row as usize));
    }

    /// Keeps the rows of which `wanted`, told a row and its place in its chunk, says so.
    fn keep(&mut self, wanted: impl Fn(usize, u32) -> bool) {
        let ends: Vec<usize> = if self.singles {
            (1..=self.rows.len()).collect()
        } else {
            self.ends.iter().map(|&end| end as usize).collect()
        };
        let old = std::mem::take(&mut self.rows);
        self.ends.clear();
        let mut start = 0;
        for end in ends {
            let first = self.rows.len();
            let chunk = old[start..end].iter().enumerate();
            self.rows
                .extend(chunk.filter(|(place, row)| wanted(*place, **row)).map(|(_, row)| row));
            if self.rows.len() > first {
                self.ends.push(self.rows.len() as u32);
            }
            start = end;
        }
        self.singles = self.ends.len() == self.rows.len();
    }

    /// Appends times, kinds, slots and chunks of the picked rows; whether there are any.
    pub fn heads(&self, input: &Batch, selected: &mut Batch) -> bool {
        if self.rows.is_empty() {
            return false;
        }
        let rows = || self.rows.iter().map(|&row| row as usize);
        if self.takes_all(input) {
            selected.timestamps.extend_from_slice(&input.timestamps);
            selected.kinds.extend_from_slice(&input.kinds);
            selected.slots.extend_from_slice(&input.slots);
        } else {
            selected.timestamps.extend(rows().map(|row| input.timestamps[row]));
            if !input.kinds.is_empty() && self.events != OutputEvents::Current {
                selected.kinds.extend(rows().map(|row| input.kinds[row]));
            }
            if !input.slots.is_empty() {
                selected.slots.extend(rows().map(|row| input.slots[row]));
            }
        }
        if !self.singles {
            let mut start = 0;
            for &end in &self.ends {
                (start..end as usize - 1).for_each(|row| selected.continues.set(row));
                start = end as usize;
            }
        }
        true
    }

    /// Appends the picked rows of a column.
    pub fn gather(&self, source: &Column, into: &mut Column) {
        if self.rows.len() == self.rows.last().map_or(0, |&row| row as usize + 1) && self.singles {
            into.extend(source, 0, self.rows.len());
        } else {
            into.gather(source, &self.rows);
        }
    }

    fn takes_all(&self, input: &Batch) -> bool {
        self.singles && self.rows.len() == input.len()
    }
}
