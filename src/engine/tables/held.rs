//! What a window holds, for one search: places in its queues, or else a copy of its rows.

use crate::engine::tables::RowNumber;
use crate::engine::windows::Window;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Slot;
use std::ops::Range;

/// The rows of the slots that one search has looked at.
pub(super) struct HeldRows {
    /// Copied rows, where they lie in no queues.
    copies: Batch,
    /// The slot looked at last, and its places: in `numbers`, or of `copies`.
    last: Option<(Slot, Range<usize>)>,
    /// The slots that were copied.
    known: Vec<(Slot, Range<usize>)>,
    /// The rows of the slot looked at last, counted from the first row in the queues.
    numbers: Vec<u64>,
    queued: bool,
}

impl HeldRows {
    /// Nothing yet, for rows of these types.
    pub(super) fn new(types: &[DataType]) -> HeldRows {
        HeldRows {
            copies: Batch::new(types),
            last: None,
            known: Vec::new(),
            numbers: Vec::new(),
            queued: false,
        }
    }

    /// Forgets what the last search looked at.
    pub(super) fn clear(&mut self) {
        if !self.copies.is_empty() {
            self.copies.clear();
        }
        self.last = None;
        self.known.clear();
    }

    /// Room for rows that lie elsewhere, which are named by their places here.
    pub(super) fn copies(&mut self) -> &mut Batch {
        &mut self.copies
    }

    /// How many rows of a slot there are to be looked at, which [`HeldRows::place`] then gives.
    pub(super) fn places(&mut self, window: &dyn Window, slot: Slot) -> usize {
        if let Some((_, places)) = self.last.as_ref().filter(|(last, _)| *last == slot) {
            return places.len();
        }
        let places = match window.queued(slot) {
            Some((queues, count)) => {
                self.queued = true;
                self.numbers.clear();
                queues.numbers(slot, 0, count, &mut self.numbers);
                let start = queues.rows().start();
                self.numbers.iter_mut().for_each(|number| *number -= start);
                0..self.numbers.len()
            }
            None => {
                self.queued = false;
                self.copy(window, slot)
            }
        };
        let count = places.len();
        self.last = Some((slot, places));
        count
    }

    fn copy(&mut self, window: &dyn Window, slot: Slot) -> Range<usize> {
        if let Some((_, places)) = self.known.iter().find(|(known, _)| *known == slot) {
            return places.clone();
        }
        let start = self.copies.len();
        window.contents(slot, &mut self.copies);
        let places = start..self.copies.len();
        self.known.push((slot, places.clone()));
        places
    }

    /// A row of the slot that was looked at last, as a search names it.
    #[inline]
    pub(super) fn place(&self, place: usize) -> RowNumber {
        if self.queued {
            return self.numbers[place] as RowNumber;
        }
        let start = self.last.as_ref().map_or(0, |(_, places)| places.start);
        (start + place) as RowNumber
    }

    /// Appends cells of rows that the search has named.
    pub(super) fn gather(
        &self,
        window: Option<&dyn Window>,
        column: usize,
        rows: &[RowNumber],
        into: &mut Column,
    ) {
        match window.and_then(|window| window.queued(0)) {
            Some((queues, _)) => {
                let held = queues.rows();
                for &row in rows {
                    let (segment, place) = held.place(held.start() + u64::from(row));
                    into.push_from(&held.segment(segment).columns[column], place);
                }
            }
            None => into.gather(&self.copies.columns[column], rows),
        }
    }
}
