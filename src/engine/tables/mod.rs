//! Tables in memory: rows found by primary key, by index or one by one, in order of insertion, or
//! of the table's key where it is one number or text.
//!
//! Rows lie in segments that are shared with whoever froze the state and copied on the first write
//! after. A row keeps its number until so many rows were deleted that the table is packed.

mod changes;
mod finder;
mod held;
mod index;
mod membership;
mod write;

pub use finder::Finder;
pub use finder::Pairs;
pub use membership::membership;
pub use write::TableWriter;

use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::tables::changes::Stored;
use crate::engine::tables::index::Index;
use crate::event::Batch;
use crate::event::Bits;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Value;
use crate::plan::stores::Change;
use std::sync::Arc;

/// Rows of a segment; a power of two.
const SEGMENT_ROWS: usize = 1024;
const SEGMENT_SHIFT: u32 = SEGMENT_ROWS.trailing_zeros();
/// Fewer dead rows are left where they are.
const DEAD_MIN: usize = 64;

/// A table's row by number.
pub type RowNumber = u32;

/// A table in memory.
pub struct MemoryTable {
    types: Vec<DataType>,
    segments: Vec<Arc<Batch>>,
    /// Rows ever put in since the table was last packed.
    rows: usize,
    dead: Bits,
    dead_count: usize,
    /// The first is the primary key, if `has_key`.
    indexes: Vec<Index>,
    has_key: bool,
    /// Where it is kept in a store: what the store is to be told. Without a primary key its rows
    /// then have one column more, by which the store knows them.
    stored: Option<Box<Stored>>,
}

/// A row was refused, since its primary key is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTaken;

impl MemoryTable {
    /// An empty table. `primary_key` and `indexes` are columns; a primary key may be of several.
    pub fn new(types: Vec<DataType>, primary_key: &[usize], indexes: &[usize]) -> MemoryTable {
        let mut all = Vec::new();
        if !primary_key.is_empty() {
            all.push(Index::new(primary_key.to_vec()));
        }
        all.extend(indexes.iter().map(|&column| Index::new(vec![column])));
        MemoryTable {
            types,
            segments: Vec::new(),
            rows: 0,
            dead: Bits::new(),
            dead_count: 0,
            indexes: all,
            has_key: !primary_key.is_empty(),
            stored: None,
        }
    }

    /// As [`MemoryTable::new`], for a table that is kept in a store.
    pub fn in_store(
        mut types: Vec<DataType>,
        primary_key: &[usize],
        indexes: &[usize],
    ) -> MemoryTable {
        let stored = Some(Box::new(Stored::new(types.len(), primary_key)));
        if primary_key.is_empty() {
            types.push(DataType::Long);
        }
        MemoryTable { stored, ..MemoryTable::new(types, primary_key, indexes) }
    }

    /// The column by which rows are found in order: a primary key that is one number or text, else
    /// the first index if that is of text or, where the `whole` table is read, of numbers.
    fn key_order(&self, whole: bool) -> Option<usize> {
        match *self.indexes.first()?.columns() {
            [column] if self.types[column] == DataType::Text => Some(column),
            [column] if (self.has_key || whole) && self.types[column].is_numeric() => Some(column),
            _ => None,
        }
    }

    /// Whether one of these columns belongs to the primary key.
    fn has_key_in(&self, mut columns: impl Iterator<Item = usize>) -> bool {
        self.has_key && columns.any(|column| self.indexes[0].columns().contains(&column))
    }

    /// How many columns a plan sees.
    fn width(&self) -> usize {
        self.stored.as_ref().map_or(self.types.len(), |stored| stored.width())
    }

    /// Types of the columns.
    pub fn types(&self) -> &[DataType] {
        &self.types[..self.width()]
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows - self.dead_count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows in order of insertion.
    pub fn live_rows(&self) -> impl Iterator<Item = RowNumber> + '_ {
        (0..self.rows).filter(|&row| !self.dead.get(row)).map(|row| row as RowNumber)
    }

    /// A cell.
    pub fn value(&self, row: RowNumber, column: usize) -> Value {
        let (segment, place) = self.place(row);
        segment.columns[column].value(place)
    }

    /// All cells of a row.
    pub fn row(&self, row: RowNumber) -> Vec<Value> {
        let (segment, place) = self.place(row);
        let columns = &segment.columns[..self.width()];
        columns.iter().map(|column| column.value(place)).collect()
    }

    fn place(&self, row: RowNumber) -> (&Batch, usize) {
        let row = row as usize;
        (&self.segments[row >> SEGMENT_SHIFT], row & (SEGMENT_ROWS - 1))
    }

    /// Appends cells of one column, for the rows named.
    pub fn gather(&self, column: usize, rows: &[RowNumber], into: &mut Column) {
        if let [only] = self.segments.as_slice() {
            return into.gather(&only.columns[column], rows);
        }
        for &row in rows {
            let (segment, place) = self.place(row);
            into.push_from(&segment.columns[column], place);
        }
    }

    /// Inserts row `row` of columns of the table's types.
    ///
    /// # Errors
    /// [`KeyTaken`] if there is a row of the same primary key; the table stays as it was.
    pub fn insert(&mut self, columns: &[Column], row: usize) -> Result<(), KeyTaken> {
        if self.is_key_taken(columns, row) {
            return Err(KeyTaken);
        }
        let identity = self.stored.as_mut().and_then(|stored| stored.next_row());
        let number = self.put(columns, row, identity);
        self.tell(Change::Insert, number);
        Ok(())
    }

    /// Puts in a row whose key nobody has.
    fn put(&mut self, columns: &[Column], row: usize, identity: Option<i64>) -> RowNumber {
        let number = self.rows as RowNumber;
        if self.rows & (SEGMENT_ROWS - 1) == 0 {
            self.segments.push(Arc::new(Batch::new(&self.types)));
        }
        let width = self.width();
        let segment = self.segments.last_mut().expect("a segment was just made if there was none");
        let segment = Arc::make_mut(segment);
        for (mine, theirs) in segment.columns[..width].iter_mut().zip(columns) {
            mine.push_from(theirs, row);
        }
        if let Some(identity) = identity {
            segment.columns[width].longs_mut().push(identity);
        }
        segment.push_head(0, Kind::Current, 0);
        self.rows += 1;
        for index in &mut self.indexes {
            index.add(&self.segments, number);
        }
        number
    }

    /// Deletes a row that is there.
    pub fn delete(&mut self, row: RowNumber) {
        self.tell(Change::Delete, row);
        for index in &mut self.indexes {
            index.remove(&self.segments, row);
        }
        self.dead.set(row as usize);
        self.dead_count += 1;
    }

    /// Overwrites cells of a row that is there. Values are of the columns' types or null.
    ///
    /// # Errors
    /// [`KeyTaken`] if another row has the new primary key; the row stays as it was.
    pub fn update(&mut self, row: RowNumber, cells: &[(usize, Value)]) -> Result<(), KeyTaken> {
        let touched =
            |index: &Index| cells.iter().any(|(column, _)| index.columns().contains(column));
        let mut is_moved = false;
        if self.has_key && touched(&self.indexes[0]) {
            let mut probe: Vec<Column> = Vec::new();
            for &column in self.indexes[0].columns() {
                let value = match cells.iter().find(|(changed, _)| *changed == column) {
                    Some((_, value)) => value.clone(),
                    None => self.value(row, column),
                };
                probe.push(Column::repeat(self.types[column], &value, 1));
            }
            let probe: Vec<&Column> = probe.iter().collect();
            let found = self.indexes[0].find(&self.segments, &probe, 0);
            if found.iter().any(|&other| other != row) {
                return Err(KeyTaken);
            }
            is_moved = found.is_empty();
            if is_moved {
                self.tell(Change::Delete, row);
            }
        }
        let touched: Vec<bool> = self.indexes.iter().map(touched).collect();
        for (index, _) in self.indexes.iter_mut().zip(&touched).filter(|(_, touched)| **touched) {
            index.remove(&self.segments, row);
        }
        let place = row as usize & (SEGMENT_ROWS - 1);
        let segment = Arc::make_mut(&mut self.segments[row as usize >> SEGMENT_SHIFT]);
        for (column, value) in cells {
            segment.columns[*column].set(place, value);
        }
        for (index, _) in self.indexes.iter_mut().zip(&touched).filter(|(_, touched)| **touched) {
            index.add(&self.segments, row);
        }
        self.tell(if is_moved { Change::Insert } else { Change::Update }, row);
        Ok(())
    }

    /// Packs the table once most of its rows are dead. Row numbers change: nobody may hold one.
    pub fn pack(&mut self) {
        if self.dead_count < DEAD_MIN || self.dead_count * 2 < self.rows {
            return;
        }
        let live: Vec<RowNumber> = self.live_rows().collect();
        let old = std::mem::take(&mut self.segments);
        for part in live.chunks(SEGMENT_ROWS) {
            let mut segment = Batch::new(&self.types);
            for &row in part {
                let from = &old[row as usize >> SEGMENT_SHIFT];
                segment.push_from(from, row as usize & (SEGMENT_ROWS - 1), Kind::Current, 0);
            }
            self.segments.push(Arc::new(segment));
        }
        self.rows = live.len();
        self.dead.clear();
        self.dead_count = 0;
        self.rebuild();
    }

    fn rebuild(&mut self) {
        for index in &mut self.indexes {
            index.clear();
        }
        for row in 0..self.rows {
            if !self.dead.get(row) {
                for index in &mut self.indexes {
                    index.add(&self.segments, row as RowNumber);
                }
            }
        }
    }

    /// The index over exactly these columns.
    fn index(&self, number: usize) -> &Index {
        &self.indexes[number]
    }

    /// Writes all rows; segments by handle.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.rows);
        state.put(&self.dead);
        state.put(&self.segments.len());
        self.segments.iter().for_each(|segment| state.share(segment));
        if let Some(stored) = &self.stored {
            stored.save(state);
        }
    }

    /// Takes what [`MemoryTable::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that, or of a table of other columns.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.rows = state.get()?;
        self.dead = state.get()?;
        self.dead_count = self.dead.count();
        let count: usize = state.get()?;
        self.segments.clear();
        for _ in 0..count {
            let segment = state.rows()?;
            let types = segment.columns.iter().map(|column| column.values.data_type());
            if !types.eq(self.types.iter().map(|&ty| Some(ty))) {
                return Err(LoadError::Other("saved table has other columns".to_owned()));
            }
            self.segments.push(segment);
        }
        if let Some(stored) = &mut self.stored {
            stored.load(state)?;
        }
        let rows: usize = self.segments.iter().map(|segment| segment.len()).sum();
        let full = self.segments.iter().rev().skip(1).all(|segment| segment.len() == SEGMENT_ROWS);
        if rows != self.rows || !full || self.dead_count > rows {
            return Err(LoadError::Malformed);
        }
        self.rebuild();
        Ok(())
    }
}
