//! Rows at places that are used again: for windows whose rows leave in any order.
//!
//! Rows lie in segments that frozen state shares by handle. A segment that is shared when a row is
//! put into it is copied first.

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

/// Where a row lies in a [`Pool`].
pub type Place = u32;

/// Rows in no order.
#[derive(Debug)]
pub struct Pool {
    segments: Vec<Arc<Batch>>,
    /// No rows, with the right columns.
    empty: Batch,
    free: Vec<Place>,
}

impl Pool {
    /// No rows. Columns that `keep` does not name are not kept.
    pub fn new(types: &[DataType], keep: &[bool]) -> Pool {
        Pool { segments: Vec::new(), empty: Batch::keeping(types, keep), free: Vec::new() }
    }

    /// How many rows there are.
    pub fn held(&self) -> usize {
        self.used() - self.free.len()
    }

    fn used(&self) -> usize {
        match self.segments.last() {
            Some(last) => (self.segments.len() - 1) * SEGMENT + last.len(),
            None => 0,
        }
    }

    /// Puts in a row of a batch, with its time, and says where it lies.
    pub fn insert(&mut self, batch: &Batch, row: usize) -> Place {
        self.insert_at(batch, row, batch.timestamps[row])
    }

    /// Puts in a row of a batch under another time, and says where it lies.
    pub fn insert_at(&mut self, batch: &Batch, row: usize, timestamp: Millis) -> Place {
        if let Some(place) = self.free.pop() {
            let (segment, at) = locate(place);
            let segment = Arc::make_mut(&mut self.segments[segment]);
            for (mine, theirs) in segment.columns.iter_mut().zip(&batch.columns) {
                mine.replace(at, theirs, row);
            }
            segment.timestamps[at] = timestamp;
            return place;
        }
        let place = self.used();
        if place == self.segments.len() * SEGMENT {
            self.segments.push(Arc::new(self.empty.clone()));
        }
        let last = self.segments.last_mut().expect("one has room");
        let last = Arc::make_mut(last);
        for (mine, theirs) in last.columns.iter_mut().zip(&batch.columns) {
            mine.push_from(theirs, row);
        }
        last.timestamps.push(timestamp);
        place as Place
    }

    /// Lets go of the memory that rows took which are gone, if no row is left.
    pub fn shrink(&mut self) {
        if self.segments.len() > 1 && self.held() == 0 {
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

    /// Lets go of a row. It can be read until the next is put in.
    pub fn remove(&mut self, place: Place) {
        self.free.push(place);
    }

    /// The row's own time.
    pub fn timestamp(&self, place: Place) -> Millis {
        let (segment, row) = locate(place);
        self.segments[segment].timestamps[row]
    }

    /// The column in which a row's value lies, and where.
    #[inline]
    pub fn column(&self, column: usize, place: Place) -> (&Column, usize) {
        let (segment, row) = locate(place);
        (&self.segments[segment].columns[column], row)
    }

    /// Appends a row to an output.
    pub fn put(&self, place: Place, kind: Kind, at: Millis, slot: Slot, output: &mut Batch) {
        let (segment, row) = locate(place);
        for (mine, theirs) in output.columns.iter_mut().zip(&self.segments[segment].columns) {
            mine.push_from(theirs, row);
        }
        output.push_head(at, kind, slot);
    }

    /// Writes all rows, by handle.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.free);
        state.put(&(self.segments.len() as u32));
        self.segments.iter().for_each(|segment| state.share(segment));
    }

    /// Takes what [`Pool::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that, or are of rows with other columns.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.free = state.get()?;
        let count: u32 = state.get()?;
        self.segments.clear();
        for _ in 0..count {
            self.segments.push(fitted(&self.empty, state.rows()?)?);
        }
        let before = self.segments.len().saturating_sub(1);
        let whole = self.segments[..before].iter().all(|segment| segment.len() == SEGMENT);
        let used = self.used();
        let sound =
            self.free.len() <= used && self.free.iter().all(|&place| (place as usize) < used);
        let fits = self.segments.last().is_none_or(|last| (1..=SEGMENT).contains(&last.len()));
        if whole && sound && fits { Ok(()) } else { Err(LoadError::Malformed) }
    }

    /// Whether a row lies at a place, for what loads places.
    pub fn holds(&self, place: Place) -> bool {
        (place as usize) < self.used()
    }
}

#[inline]
fn locate(place: Place) -> (usize, usize) {
    ((place >> SHIFT) as usize, (u64::from(place) & MASK) as usize)
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
        let places: Vec<Place> = (0..1500).map(|value| pool.insert(&row(Some(value)), 0)).collect();
        pool.remove(places[3]);
        pool.remove(places[1200]);
        assert_eq!(pool.held(), 1498);
        let mut writer = StateWriter::default();
        writer.section("pool", 1);
        pool.save(&mut writer);
        let frozen = writer.freeze();
        assert_eq!(pool.insert(&row(None), 0), places[1200]);
        assert_eq!(pool.insert(&row(Some(7)), 0), places[3]);
        assert_eq!(pool.insert(&row(Some(8)), 0), 1500);
        assert_eq!(read(&pool, places[1200]), Value::Null);
        assert_eq!(read(&pool, places[3]), Value::Long(7));
        let bytes = frozen.to_bytes();
        let saved = SavedState::parse(&bytes).expect("own bytes");
        let mut loaded = Pool::new(&[DataType::Long, DataType::Text], &[true, false]);
        loaded.load(&mut saved.section("pool", 1).expect("saved")).expect("own state");
        assert_eq!((loaded.held(), read(&loaded, 3)), (1498, Value::Long(3)));
        assert_eq!(loaded.insert(&row(Some(9)), 0), 1200);
    }
}
