//! Rows at places that are used again: for windows whose rows leave in any order.
//!
//! Rows lie in segments that frozen state shares by handle. A segment that is shared when a row is
//! put into it is copied first. The first few thousand rows lie in one piece that freezing copies:
//! to look whether a segment is shared costs as much as to put a row in.

use crate::engine::rows::MASK;
use crate::engine::rows::SEGMENT;
use crate::engine::rows::SHIFT;
use crate::engine::rows::fitted;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use std::sync::Arc;

/// Rows that freezing copies; a multiple of [`SEGMENT`].
const COPIED: usize = 4 * SEGMENT;

/// Where a row lies in a [`Pool`].
pub type Place = u32;

/// Rows in no order.
#[derive(Debug)]
pub struct Pool {
    first: Batch,
    /// What lies behind the first.
    segments: Vec<Arc<Batch>>,
    /// No rows, with the right columns.
    empty: Batch,
    free: Vec<Place>,
}

impl Pool {
    /// No rows. Columns that `keep` does not name are not kept.
    pub fn new(types: &[DataType], keep: &[bool]) -> Pool {
        let empty = Batch::keeping(types, keep);
        Pool { first: empty.clone(), segments: Vec::new(), empty, free: Vec::new() }
    }

    /// How many rows there are.
    pub fn held(&self) -> usize {
        self.used() - self.free.len()
    }

    fn used(&self) -> usize {
        let behind = |last: &Arc<Batch>| (self.segments.len() - 1) * SEGMENT + last.len();
        self.first.len() + self.segments.last().map_or(0, behind)
    }

    /// Puts in a row of a batch, with its time, and says where it lies.
    #[inline]
    pub fn insert(&mut self, batch: &Batch, row: usize) -> Place {
        self.insert_at(batch, row, batch.timestamps[row])
    }

    /// Puts in a row of a batch under another time, and says where it lies.
    #[inline]
    pub fn insert_at(&mut self, batch: &Batch, row: usize, timestamp: Millis) -> Place {
        if let Some(place) = self.free.pop() {
            let at = place as usize;
            let (segment, at) = match at < COPIED {
                true => (&mut self.first, at),
                false => {
                    let (segment, at) = locate(at);
                    (Arc::make_mut(&mut self.segments[segment]), at)
                }
            };
            for (mine, theirs) in segment.columns.iter_mut().zip(&batch.columns) {
                mine.replace(at, theirs, row);
            }
            segment.timestamps[at] = timestamp;
            return place;
        }
        let place = self.used();
        let last = match place < COPIED {
            true => &mut self.first,
            false => {
                if place == COPIED + self.segments.len() * SEGMENT {
                    self.segments.push(Arc::new(self.empty.clone()));
                }
                Arc::make_mut(self.segments.last_mut().expect("one has room"))
            }
        };
        for (mine, theirs) in last.columns.iter_mut().zip(&batch.columns) {
            mine.push_from(theirs, row);
        }
        last.timestamps.push(timestamp);
        place as Place
    }

    /// Lets go of the memory that rows took which are gone, if no row is left.
    pub fn shrink(&mut self) {
        if !self.segments.is_empty() && self.held() == 0 {
            self.first.clear();
            self.segments.clear();
            self.free.clear();
        }
    }

    /// Where rows lie, in rising order.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        let mut free = self.free.clone();
        free.sort_unstable();
        (0..self.used() as Place).filter(move |place| free.binary_search(place).is_err())
    }

    /// The segment that holds a row, and the row's place in it.
    #[inline]
    fn place(&self, place: Place) -> (&Batch, usize) {
        let at = place as usize;
        if at < COPIED {
            return (&self.first, at);
        }
        let (segment, at) = locate(at);
        (&self.segments[segment], at)
    }

    /// Lets go of a row. It can be read until the next is put in.
    pub fn remove(&mut self, place: Place) {
        self.free.push(place);
    }

    /// The row's own time.
    pub fn timestamp(&self, place: Place) -> Millis {
        let (segment, row) = self.place(place);
        segment.timestamps[row]
    }

    /// The column in which a row's value lies, and where.
    #[inline]
    pub fn column(&self, column: usize, place: Place) -> (&Column, usize) {
        let (segment, row) = self.place(place);
        (&segment.columns[column], row)
    }

    /// Appends a row to an output.
    pub fn put(&self, place: Place, kind: Kind, at: Millis, slot: Slot, output: &mut Batch) {
        let (segment, row) = self.place(place);
        for (mine, theirs) in output.columns.iter_mut().zip(&segment.columns) {
            mine.push_from(theirs, row);
        }
        output.push_head(at, kind, slot);
    }

    /// Writes all rows, segment by segment, by handle but for the first.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.free);
        let first = self.first.len().div_ceil(SEGMENT);
        state.put(&((first + self.segments.len()) as u32));
        for segment in 0..first {
            let mut rows = self.empty.clone();
            let from = segment * SEGMENT;
            rows.extend(&self.first, from, self.first.len().min(from + SEGMENT));
            state.share(&Arc::new(rows));
        }
        self.segments.iter().for_each(|segment| state.share(segment));
    }

    /// Takes what [`Pool::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that, or are of rows with other columns.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.free = state.get()?;
        let count: u32 = state.get()?;
        self.first.clear();
        self.segments.clear();
        let (mut used, mut whole) = (0, true);
        for _ in 0..count {
            let segment = fitted(&self.empty, state.rows()?)?;
            // Only the last may be short.
            whole &= used % SEGMENT == 0 && (1..=SEGMENT).contains(&segment.len());
            used += segment.len();
            match self.first.len() < COPIED {
                true => self.first.extend(&segment, 0, segment.len()),
                false => self.segments.push(segment),
            }
        }
        let sound =
            self.free.len() <= used && self.free.iter().all(|&place| (place as usize) < used);
        if whole && sound { Ok(()) } else { Err(LoadError::Malformed) }
    }

    /// Whether a row lies at a place, for what loads places.
    pub fn holds(&self, place: Place) -> bool {
        (place as usize) < self.used()
    }
}

/// Where a row behind the first lies.
#[inline]
fn locate(place: usize) -> (usize, usize) {
    ((place - COPIED) >> SHIFT, place & MASK as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::SavedState;
    use crate::event::Value;

    fn row(value: Option<i64>) -> Batch {
        let mut batch = Batch::new(&[DataType::Long, DataType::Text]);
        let long = value.map_or(Value::Null, Value::Long);
        batch.push_row(value.unwrap_or(-1), &[long, Value::from("x")]);
        batch
    }

    fn read(pool: &Pool, place: Place) -> Value {
        let (column, row) = pool.column(0, place);
        column.value(row)
    }

    #[test]
    fn places_are_used_again_and_frozen_rows_stay() {
        let mut pool = Pool::new(&[DataType::Long, DataType::Text], &[true, false]);
        let places: Vec<Place> = (0..5500).map(|value| pool.insert(&row(Some(value)), 0)).collect();
        pool.remove(places[3]);
        pool.remove(places[5200]);
        assert_eq!(pool.held(), 5498);
        let mut writer = StateWriter::default();
        writer.section("pool", 1);
        pool.save(&mut writer);
        let frozen = writer.freeze();
        assert_eq!(pool.insert(&row(None), 0), places[5200]);
        assert_eq!(pool.insert(&row(Some(7)), 0), places[3]);
        assert_eq!(pool.insert(&row(Some(8)), 0), 5500);
        assert_eq!(read(&pool, places[5200]), Value::Null);
        assert_eq!(read(&pool, places[3]), Value::Long(7));
        let bytes = frozen.to_bytes();
        let saved = SavedState::parse(&bytes).expect("own bytes");
        let mut loaded = Pool::new(&[DataType::Long, DataType::Text], &[true, false]);
        loaded.load(&mut saved.section("pool", 1).expect("saved")).expect("own state");
        assert_eq!((loaded.held(), read(&loaded, 3)), (5498, Value::Long(3)));
        assert_eq!(loaded.insert(&row(Some(9)), 0), 5200);
    }
}
