//! Columns, timestamps, kinds and chunks of equal length: what flows between operators.

use crate::event::Bits;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Slot;
use crate::event::Value;

/// What a row says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Something arrived.
    #[default]
    Current,
    /// Something left a window.
    Expired,
    /// A batch window starts anew; the row's values mean nothing.
    Reset,
}

/// Rows in columns.
///
/// `timestamps` tells the number of rows. `kinds` and `slots` are empty while all rows are current
/// and of slot 0, else as long as `timestamps`. Columns are as long too, unless absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// One column an attribute.
    pub columns: Vec<Column>,
    /// Each row's own time.
    pub timestamps: Vec<Millis>,
    /// Each row's kind; empty: all current.
    pub kinds: Vec<Kind>,
    /// Rows that are followed by another row of their chunk.
    pub continues: Bits,
    /// Rows that are followed by another row of their send; read where input enters, nowhere else.
    pub send_continues: Bits,
    /// Each row's partition key, as a number; empty: all 0.
    pub slots: Vec<Slot>,
}

impl Batch {
    /// An empty batch with columns of the given types.
    pub fn new(types: &[DataType]) -> Batch {
        Batch { columns: types.iter().map(|&ty| Column::new(ty)).collect(), ..Batch::default() }
    }

    /// As [`Batch::new`], with the columns absent that `keep` does not name.
    pub fn keeping(types: &[DataType], keep: &[bool]) -> Batch {
        let column = |(&ty, &keep): (&DataType, &bool)| {
            if keep { Column::new(ty) } else { Column::absent() }
        };
        Batch { columns: types.iter().zip(keep).map(column).collect(), ..Batch::default() }
    }

    /// An empty batch with columns of the same types, with room for rows.
    pub fn empty_like(&self, rows: usize) -> Batch {
        Batch {
            columns: self.columns.iter().map(|column| column.empty_like(rows)).collect(),
            timestamps: Vec::with_capacity(rows),
            ..Batch::default()
        }
    }

    /// How many rows.
    #[inline]
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there are no rows.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Drops all rows; keeps types and memory.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Column::clear);
        self.timestamps.clear();
        self.kinds.clear();
        self.continues.clear();
        self.send_continues.clear();
        self.slots.clear();
    }

    /// The kind of row `row`.
    #[inline]
    pub fn kind(&self, row: usize) -> Kind {
        self.kinds.get(row).copied().unwrap_or_default()
    }

    /// The partition key of row `row`.
    #[inline]
    pub fn slot(&self, row: usize) -> Slot {
        self.slots.get(row).copied().unwrap_or_default()
    }

    /// Whether the chunk goes on after row `row`.
    #[inline]
    pub fn chunk_continues(&self, row: usize) -> bool {
        self.continues.get(row)
    }

    /// Appends time, kind and slot of a row whose values the caller appends to the columns.
    #[inline]
    pub fn push_head(&mut self, timestamp: Millis, kind: Kind, slot: Slot) {
        let rows = self.timestamps.len();
        self.timestamps.push(timestamp);
        if kind != Kind::Current || !self.kinds.is_empty() {
            if self.kinds.is_empty() {
                self.kinds.resize(rows, Kind::Current);
            }
            self.kinds.push(kind);
        }
        if slot != 0 || !self.slots.is_empty() {
            if self.slots.is_empty() {
                self.slots.resize(rows, 0);
            }
            self.slots.push(slot);
        }
    }

    /// Appends a current row of slot 0 given as values, which must fit the columns' types.
    pub fn push_row(&mut self, timestamp: Millis, values: &[Value]) {
        debug_assert_eq!(values.len(), self.columns.len());
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value);
        }
        self.push_head(timestamp, Kind::Current, 0);
    }

    /// Appends one row of another batch with its slot, under another kind and time.
    #[inline]
    pub fn push_from(&mut self, other: &Batch, row: usize, kind: Kind, timestamp: Millis) {
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            mine.push_from(theirs, row);
        }
        self.push_head(timestamp, kind, other.slot(row));
    }

    /// Appends one of its own rows once more.
    pub fn repeat(&mut self, row: usize) {
        self.columns.iter_mut().for_each(|column| column.repeat_row(row));
        self.push_head(self.timestamps[row], self.kind(row), self.slot(row));
    }

    /// Appends a row of zeros, such as a reset: its values mean nothing, and none of them is null.
    pub fn push_zeros(&mut self, timestamp: Millis, kind: Kind, slot: Slot) {
        self.columns.iter_mut().for_each(Column::push_zero);
        self.push_head(timestamp, kind, slot);
    }

    /// Appends a row of nulls, such as a reset.
    pub fn push_nulls(&mut self, timestamp: Millis, kind: Kind, slot: Slot) {
        self.columns.iter_mut().for_each(Column::push_null);
        self.push_head(timestamp, kind, slot);
    }

    /// Makes the rows from `start` to the last one chunk.
    pub fn join_chunk(&mut self, start: usize) {
        for row in start..self.len().saturating_sub(1) {
            self.continues.set(row);
        }
    }

    /// Appends rows `start..end` of another batch with kinds, slots, chunks and sends.
    pub fn extend(&mut self, other: &Batch, start: usize, end: usize) {
        let rows = self.len();
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            mine.extend(theirs, start, end);
        }
        self.extend_heads(other, start, end);
        // What is cut off does not go on.
        let last = end.saturating_sub(1);
        self.continues.extend(rows, &other.continues, start, last.max(start));
        self.send_continues.extend(rows, &other.send_continues, start, end);
    }

    fn extend_heads(&mut self, other: &Batch, start: usize, end: usize) {
        if end == start + 1 {
            return self.push_head(other.timestamps[start], other.kind(start), other.slot(start));
        }
        let rows = self.len();
        self.timestamps.extend_from_slice(&other.timestamps[start..end]);
        if !other.kinds.is_empty() || !self.kinds.is_empty() {
            self.kinds.resize(rows, Kind::Current);
            match other.kinds.get(start..end) {
                Some(kinds) => self.kinds.extend_from_slice(kinds),
                None => self.kinds.resize(rows + end - start, Kind::Current),
            }
        }
        if !other.slots.is_empty() || !self.slots.is_empty() {
            self.slots.resize(rows, 0);
            match other.slots.get(start..end) {
                Some(slots) => self.slots.extend_from_slice(slots),
                None => self.slots.resize(rows + end - start, 0),
            }
        }
    }

    /// Appends the named rows of another batch, in rising order, with kinds, slots and what is left
    /// of their chunks.
    pub fn gather(&mut self, other: &Batch, rows: &[u32]) {
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            mine.gather(theirs, rows);
        }
        self.gather_heads(other, rows);
    }

    /// As [`Batch::gather`], without the columns.
    pub fn gather_heads(&mut self, other: &Batch, rows: &[u32]) {
        if let [row] = *rows {
            let row = row as usize;
            return self.push_head(other.timestamps[row], other.kind(row), other.slot(row));
        }
        let at = self.len();
        self.timestamps.extend(rows.iter().map(|&row| other.timestamps[row as usize]));
        if !other.kinds.is_empty() || !self.kinds.is_empty() {
            self.kinds.resize(at, Kind::Current);
            self.kinds.extend(rows.iter().map(|&row| other.kind(row as usize)));
        }
        if !other.slots.is_empty() || !self.slots.is_empty() {
            self.slots.resize(at, 0);
            self.slots.extend(rows.iter().map(|&row| other.slot(row as usize)));
        }
        if other.continues.any() {
            for (offset, pair) in rows.windows(2).enumerate() {
                if (pair[0]..pair[1]).all(|row| other.continues.get(row as usize)) {
                    self.continues.set(at + offset);
                }
            }
        }
    }

    /// The end (exclusive) of the chunk that holds row `row`.
    #[inline]
    pub fn chunk_end(&self, row: usize) -> usize {
        let mut last = row;
        while self.continues.get(last) {
            last += 1;
        }
        last + 1
    }

    /// The values of row `row`.
    pub fn row(&self, row: usize) -> Vec<Value> {
        self.columns.iter().map(|column| column.value(row)).collect()
    }

    /// Bytes by logical count, the same on every node: what limits and budgets are counted in.
    pub fn bytes(&self) -> usize {
        self.len() * 8 + self.columns.iter().map(Column::bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(rows: i64) -> Batch {
        let mut batch = Batch::new(&[DataType::Long]);
        (0..rows).for_each(|row| batch.push_row(row, &[Value::Long(row)]));
        batch
    }

    #[test]
    fn kinds_and_slots_appear_when_first_needed() {
        let mut batch = batch(2);
        assert!(batch.kinds.is_empty() && batch.slots.is_empty());
        batch.push_nulls(5, Kind::Reset, 3);
        assert_eq!(batch.kinds, [Kind::Current, Kind::Current, Kind::Reset]);
        assert_eq!(batch.slots, [0, 0, 3]);
    }

    #[test]
    fn what_is_left_of_a_chunk_stays_a_chunk() {
        let mut source = batch(5);
        source.join_chunk(1); // 0 | 1 2 3 4
        let mut target = Batch::new(&[DataType::Long]);
        target.gather(&source, &[0, 2, 4]);
        assert_eq!(target.chunk_end(0), 1);
        assert_eq!(target.chunk_end(1), 3);
        let mut cut = Batch::new(&[DataType::Long]);
        cut.extend(&source, 0, 3);
        assert_eq!(cut.chunk_end(1), 3);
        assert!(!cut.chunk_continues(2));
    }
}
