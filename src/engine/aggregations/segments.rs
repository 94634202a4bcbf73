//! Rows in segments that are shared with whoever froze the state, and copied on the first write
//! after.

use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use std::ops::Range;
use std::sync::Arc;

/// Rows of a segment; a power of two.
const ROWS: usize = 1024;
const SHIFT: u32 = ROWS.trailing_zeros();

/// Rows by number.
pub struct Segments {
    types: Vec<DataType>,
    segments: Vec<Arc<Batch>>,
    rows: usize,
}

impl Segments {
    /// No rows, of columns of the given types.
    pub fn new(types: Vec<DataType>) -> Segments {
        Segments { types, segments: Vec::new(), rows: 0 }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Drops all rows.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.segments.truncate(1);
        match self.segments.first_mut().and_then(Arc::get_mut) {
            Some(segment) => segment.clear(),
            None => self.segments.clear(),
        }
    }

    /// Appends a row whose cells `fill` appends to the columns; its number.
    pub fn push(&mut self, fill: impl FnOnce(&mut [Column])) -> u32 {
        let place = self.rows & (ROWS - 1);
        if self.rows >> SHIFT == self.segments.len() {
            self.segments.push(Arc::new(Batch::new(&self.types)));
        }
        let segment = self.segments.last_mut().expect("one was made if there was none");
        let segment = Arc::make_mut(segment);
        fill(&mut segment.columns);
        segment.push_head(0, Kind::Current, 0);
        debug_assert_eq!(segment.len(), place + 1);
        self.rows += 1;
        (self.rows - 1) as u32
    }

    /// A cell: its column in its segment, and its place there.
    #[inline]
    pub fn cell(&self, row: u32, column: usize) -> (&Column, usize) {
        let row = row as usize;
        (&self.segments[row >> SHIFT].columns[column], row & (ROWS - 1))
    }

    /// The rows, segment by segment.
    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.segments.iter().map(|segment| &**segment)
    }

    /// Calls `change` with a column, for runs of `rows` that lie in one segment: with the places of
    /// these rows in it, and which of `rows` they are.
    pub fn change(
        &mut self,
        column: usize,
        rows: &[u32],
        mut change: impl FnMut(&mut Column, &[u32], Range<usize>),
    ) {
        let mut start = 0;
        while start < rows.len() {
            let segment = rows[start] >> SHIFT;
            let same = rows[start..].iter().take_while(|&&row| row >> SHIFT == segment).count();
            let range = start..start + same;
            let batch = Arc::make_mut(&mut self.segments[segment as usize]);
            change(&mut batch.columns[column], &rows[range.clone()], range);
            start += same;
        }
    }

    /// The place of a row in its segment.
    #[inline]
    pub fn place(row: u32) -> usize {
        row as usize & (ROWS - 1)
    }

    /// Appends cells of one column, for the rows named.
    pub fn gather(&self, column: usize, rows: &[u32], into: &mut Column) {
        if let [only] = self.segments.as_slice() {
            return into.gather(&only.columns[column], rows);
        }
        for &row in rows {
            let (cells, place) = self.cell(row, column);
            into.push_from(cells, place);
        }
    }

    /// Writes all rows by handle.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.rows);
        let filled = self.rows.div_ceil(ROWS);
        self.segments[..filled].iter().for_each(|segment| state.share(segment));
    }

    /// Takes what [`Segments::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that, or of other columns.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.rows = state.get()?;
        self.segments.clear();
        let mut left = self.rows;
        while left > 0 {
            let segment = state.rows()?;
            let types = segment.columns.iter().map(|column| column.values.data_type());
            if segment.len() != left.min(ROWS) || !types.eq(self.types.iter().map(|&ty| Some(ty))) {
                return Err(LoadError::Malformed);
            }
            left -= segment.len();
            self.segments.push(segment);
        }
        Ok(())
    }
}
