//! Rows in the order of their arrival, in sealed segments and an open tail: what windows keep.
//!
//! A row is named by its number, counted from 0 through the life of the queue. Segments hold
//! [`SEGMENT`] rows each and are never changed once sealed, so that saving shares them by handle
//! and copies no more than the tail. A segment all of whose rows are released gives its memory to
//! the next tail: a queue that runs steadily allocates nothing.

mod key;
mod keyed;
mod pool;
mod queues;
mod slab;
mod weave;

pub use key::write_key;
pub use key::write_value;
pub use keyed::KeyIndex;
pub use pool::Place;
pub use pool::Pool;
pub use queues::Queues;
pub use slab::Slab;
pub use weave::Leaving;
pub use weave::Stamp;
pub use weave::weave;

use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Values;
use crate::event::codec::Encode;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Rows in a sealed segment; a power of two.
pub const SEGMENT: usize = 1024;

const SHIFT: u32 = SEGMENT.trailing_zeros();
const MASK: u64 = SEGMENT as u64 - 1;

/// Columns in order of arrival, read by row number.
#[derive(Debug)]
pub struct Rows {
    sealed: VecDeque<Arc<Batch>>,
    /// Bytes of the sealed segments when saved.
    sealed_bytes: u64,
    tail: Batch,
    /// The number of the first row that is still here; a multiple of [`SEGMENT`].
    base: u64,
    spare: Option<Batch>,
}

impl Rows {
    /// No rows. Columns that `keep` does not name are not kept.
    pub fn new(types: &[DataType], keep: &[bool]) -> Rows {
        let (sealed, tail) = (VecDeque::new(), Batch::keeping(types, keep));
        Rows { sealed, sealed_bytes: 0, tail, base: 0, spare: None }
    }

    /// The number of the oldest row that can be read.
    pub fn start(&self) -> u64 {
        self.base
    }

    /// The number that the next row will get.
    #[inline]
    pub fn end(&self) -> u64 {
        self.base + (self.sealed.len() * SEGMENT + self.tail.len()) as u64
    }

    /// How many segments there are, the open tail among them.
    #[inline]
    pub fn segments(&self) -> usize {
        self.sealed.len() + 1
    }

    /// A segment by its place.
    #[inline]
    pub fn segment(&self, place: usize) -> &Batch {
        match self.sealed.get(place) {
            Some(segment) => segment,
            None => &self.tail,
        }
    }

    /// The segment that holds a row, and the row's place in it.
    #[inline]
    pub fn place(&self, number: u64) -> (usize, usize) {
        ((number >> SHIFT) as usize - (self.base >> SHIFT) as usize, (number & MASK) as usize)
    }

    /// The row's own time.
    #[inline]
    pub fn timestamp(&self, number: u64) -> Millis {
        let (segment, row) = self.place(number);
        self.segment(segment).timestamps[row]
    }

    /// The value of a `long` column that is kept.
    #[inline]
    pub fn long(&self, column: usize, number: u64) -> i64 {
        let (segment, row) = self.place(number);
        self.segment(segment).columns[column].longs()[row]
    }

    /// Calls `visit` with each stretch of rows that lie together, in order.
    #[inline]
    pub fn stretches(&self, numbers: Range<u64>, mut visit: impl FnMut(&Batch, Range<usize>)) {
        let mut at = numbers.start;
        while at < numbers.end {
            let (segment, row) = self.place(at);
            let count = (SEGMENT - row).min((numbers.end - at) as usize);
            visit(self.segment(segment), row..row + count);
            at += count as u64;
        }
    }

    /// Appends rows `start..end` of a batch, without their kinds and chunks.
    #[inline]
    pub fn extend(&mut self, batch: &Batch, start: usize, end: usize) {
        if end != start + 1 {
            return self.extend_block(batch, start, end);
        }
        // One row is common, and copying a block costs more than a push.
        for (mine, theirs) in self.tail.columns.iter_mut().zip(&batch.columns) {
            mine.push_from(theirs, start);
        }
        self.tail.push_head(batch.timestamps[start], Kind::Current, batch.slot(start));
        self.seal_if_full();
    }

    fn extend_block(&mut self, batch: &Batch, mut start: usize, end: usize) {
        while start < end {
            let count = (end - start).min(SEGMENT - self.tail.len());
            let until = start + count;
            for (mine, theirs) in self.tail.columns.iter_mut().zip(&batch.columns) {
                mine.extend(theirs, start, until);
            }
            if !batch.slots.is_empty() || !self.tail.slots.is_empty() {
                let rows = self.tail.len();
                self.tail.slots.resize(rows, 0);
                match batch.slots.get(start..until) {
                    Some(slots) => self.tail.slots.extend_from_slice(slots),
                    None => self.tail.slots.resize(rows + count, 0),
                }
            }
            self.tail.timestamps.extend_from_slice(&batch.timestamps[start..until]);
            start = until;
            self.seal_if_full();
        }
    }

    /// Appends a row that is here already, under a new number.
    pub fn repeat(&mut self, number: u64) {
        let (place, row) = self.place(number);
        match self.sealed.get(place) {
            Some(segment) => {
                let segment = Arc::clone(segment);
                self.tail.push_from(&segment, row, segment.kind(row), segment.timestamps[row]);
            }
            None => self.tail.repeat(row),
        }
        self.seal_if_full();
    }

    #[inline]
    fn seal_if_full(&mut self) {
        if self.tail.len() == SEGMENT {
            self.seal();
        }
    }

    fn seal(&mut self) {
        let next = self.spare.take().unwrap_or_else(|| self.tail.empty_like(SEGMENT));
        let sealed = std::mem::replace(&mut self.tail, next);
        self.sealed_bytes += sealed.encoded_bytes();
        self.sealed.push_back(Arc::new(sealed));
    }

    /// Lets go of the segments that lie wholly before a row.
    #[inline]
    pub fn release(&mut self, before: u64) {
        while !self.sealed.is_empty() && self.base + SEGMENT as u64 <= before {
            self.release_segment();
        }
    }

    /// Lets go of the oldest sealed segment.
    fn release_segment(&mut self) {
        let Some(segment) = self.sealed.pop_front() else { return };
        self.base += SEGMENT as u64;
        self.sealed_bytes -= segment.encoded_bytes();
        // A segment that frozen state shares stays as it is; else its memory is used again.
        if let Ok(mut segment) = Arc::try_unwrap(segment) {
            segment.clear();
            self.spare = Some(segment);
        }
    }

    /// Appends the columns of rows that lie together; times and kinds are the caller's to append.
    /// Where `into` has a column that is not kept, the rows get zeros.
    pub fn copy(&self, numbers: Range<u64>, into: &mut [Column]) {
        self.stretches(numbers, |segment, rows| {
            for (mine, theirs) in into.iter_mut().zip(&segment.columns) {
                match theirs.values.data_type() {
                    Some(_) => mine.extend(theirs, rows.start, rows.end),
                    None => mine.extend_zeros(rows.len()),
                }
            }
        });
    }

    /// Appends the columns of rows, as [`Rows::copy`] does.
    pub fn gather(&self, numbers: &[u64], into: &mut [Column]) {
        numbers.iter().for_each(|&number| self.push(number, into));
    }

    /// Appends the columns of a row, as [`Rows::copy`] does.
    #[inline]
    pub fn push(&self, number: u64, into: &mut [Column]) {
        let (segment, row) = self.place(number);
        for (mine, theirs) in into.iter_mut().zip(&self.segment(segment).columns) {
            match theirs.values {
                Values::Absent => mine.push_zero(),
                _ => mine.push_from(theirs, row),
            }
        }
    }

    /// Appends the own times of rows that lie together.
    pub fn copy_timestamps(&self, numbers: Range<u64>, into: &mut Vec<Millis>) {
        self.stretches(numbers, |segment, rows| {
            into.extend_from_slice(&segment.timestamps[rows]);
        });
    }

    /// Writes all rows: sealed segments by handle, the tail by copy.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&(self.base, self.sealed.len() as u32));
        state.share_all(self.sealed.iter(), self.sealed_bytes);
        state.share(&Arc::new(self.tail.clone()));
    }

    /// Takes what [`Rows::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that, or are of rows with other columns.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        let (base, count): (u64, u32) = state.get()?;
        let mut sealed = VecDeque::new();
        for _ in 0..count {
            sealed.push_back(fitted(&self.tail, state.rows()?)?);
        }
        let tail = Arc::unwrap_or_clone(fitted(&self.tail, state.rows()?)?);
        let whole = sealed.iter().all(|segment| segment.len() == SEGMENT);
        if !whole
            || tail.len() >= SEGMENT
            || base & MASK != 0
            || base.checked_add(1 << 62).is_none()
        {
            return Err(LoadError::Malformed);
        }
        self.sealed_bytes = sealed.iter().map(|segment| segment.encoded_bytes()).sum();
        (self.base, self.sealed, self.tail) = (base, sealed, tail);
        Ok(())
    }
}

/// Saved rows with the columns that are kept: those that nobody reads any more are left out.
fn fitted(kept: &Batch, mut found: Arc<Batch>) -> Result<Arc<Batch>, LoadError> {
    let types = |batch: &Batch| {
        batch.columns.iter().map(|column| column.values.data_type()).collect::<Vec<_>>()
    };
    let (mine, theirs) = (types(kept), types(&found));
    if mine == theirs {
        return Ok(found);
    }
    let enough = mine.len() == theirs.len()
        && mine.iter().zip(&theirs).all(|(mine, theirs)| mine.is_none() || mine == theirs);
    if !enough {
        return Err(LoadError::Other(format!(
            "saved rows have columns {theirs:?}, this plan keeps {mine:?}: they are of another plan"
        )));
    }
    let columns = &mut Arc::make_mut(&mut found).columns;
    for (column, _) in columns.iter_mut().zip(&mine).filter(|(_, mine)| mine.is_none()) {
        *column = Column::absent();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::SavedState;
    use crate::event::Value;

    fn batch(numbers: Range<i64>) -> Batch {
        let mut batch = Batch::new(&[DataType::Long, DataType::Text]);
        for number in numbers {
            batch.push_row(number, &[Value::Long(number), Value::Null]);
        }
        batch
    }

    fn rows() -> Rows {
        Rows::new(&[DataType::Long, DataType::Text], &[true, true])
    }

    #[test]
    fn rows_are_found_by_number_through_segments() {
        let mut rows = rows();
        let all = batch(0..3000);
        rows.extend(&all, 0, 700);
        rows.extend(&all, 700, 3000);
        assert_eq!((rows.end(), rows.segments()), (3000, 3));
        for number in [0, 1023, 1024, 2999] {
            assert_eq!(rows.long(0, number), number as i64);
        }
        let mut copied = Batch::new(&[DataType::Long, DataType::Text]);
        rows.copy(1000..2100, &mut copied.columns);
        rows.copy_timestamps(1000..2100, &mut copied.timestamps);
        assert_eq!(copied.columns[0].longs(), (1000..2100).collect::<Vec<i64>>());
        assert_eq!(copied.timestamps[1099], 2099);
        assert!((0..1100).all(|row| copied.columns[1].is_null(row)));
        let mut gathered = Batch::new(&[DataType::Long, DataType::Text]);
        rows.gather(&[2999, 5], &mut gathered.columns);
        assert_eq!(gathered.columns[0].longs(), [2999, 5]);
    }

    #[test]
    fn released_memory_is_used_again_and_numbers_go_on() {
        let mut rows = rows();
        let all = batch(0..1024);
        for turn in 0..10 {
            rows.extend(&all, 0, 1024);
            rows.release(turn * 1024);
            assert!(rows.segments() <= 3);
        }
        assert_eq!((rows.start(), rows.end()), (9 * 1024, 10 * 1024));
        assert_eq!(rows.long(0, 9 * 1024 + 7), 7);
    }

    #[test]
    fn saving_shares_sealed_segments() {
        let mut rows = rows();
        rows.extend(&batch(0..2500), 0, 2500);
        rows.release(1024);
        let handles = Arc::strong_count(&rows.sealed[0]);
        let mut writer = StateWriter::default();
        writer.section("rows", 1);
        rows.save(&mut writer);
        assert_eq!(Arc::strong_count(&rows.sealed[0]), handles + 1);
        let bytes = writer.freeze().to_bytes();
        let saved = SavedState::parse(&bytes).expect("own bytes");
        let mut loaded = self::rows();
        loaded.load(&mut saved.section("rows", 1).expect("saved")).expect("own state");
        assert_eq!((loaded.start(), loaded.end()), (1024, 2500));
        assert_eq!(loaded.long(0, 2400), 2400);
        let mut narrow = Rows::new(&[DataType::Long, DataType::Text], &[true, false]);
        narrow
            .load(&mut saved.section("rows", 1).expect("saved"))
            .expect("it has all that is kept");
        assert_eq!((narrow.end(), narrow.long(0, 1500)), (2500, 1500));
        let kept = |column: &Column| column.values.data_type();
        assert!((0..2).all(|place| kept(&narrow.segment(place).columns[1]).is_none()));
        let mut writer = StateWriter::default();
        writer.section("rows", 1);
        narrow.save(&mut writer);
        let bytes = writer.freeze().to_bytes();
        let saved = SavedState::parse(&bytes).expect("own bytes");
        let refused = self::rows().load(&mut saved.section("rows", 1).expect("saved"));
        assert!(refused.is_err_and(|error| error.to_string().contains("another plan")));
    }

    #[test]
    fn bytes_are_counted_as_they_are_written_whatever_came_and_went() {
        let same = |rows: &Rows| {
            let (mut writer, mut counting) = (StateWriter::default(), StateWriter::counting());
            for state in [&mut writer, &mut counting] {
                state.section("rows", 1);
                rows.save(state);
            }
            let bytes = writer.freeze().to_bytes();
            assert_eq!(counting.counted(), bytes.len() as u64);
            bytes
        };
        let mut rows = rows();
        for (released, until) in [(0, 1000), (0, 5000), (1500, 5001), (5001, 9000), (9000, 9000)] {
            let from = rows.end().cast_signed();
            rows.extend(&batch(from..until), 0, usize::try_from(until - from).expect("small"));
            rows.release(released);
            let bytes = same(&rows);
            let saved = SavedState::parse(&bytes).expect("own bytes");
            let mut loaded = self::rows();
            loaded.load(&mut saved.section("rows", 1).expect("saved")).expect("own state");
            assert_eq!(same(&loaded), bytes);
        }
    }

    #[test]
    fn a_row_can_be_repeated_from_anywhere() {
        let mut rows = rows();
        rows.extend(&batch(0..1030), 0, 1030);
        rows.repeat(3);
        rows.repeat(1028);
        assert_eq!((rows.long(0, 1030), rows.long(0, 1031)), (3, 1028));
        assert_eq!(rows.timestamp(1031), 1028);
    }
}
