//! What a store is to be told of the table that is kept in it: each change, in order.

use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::tables::MemoryTable;
use crate::engine::tables::RowNumber;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::plan::stores::Change;

/// A table's side towards its store.
pub struct Stored {
    /// How many columns of the table the plan sees.
    width: usize,
    /// The columns that tell a row from others: the primary key, else the number behind all others.
    key: Vec<usize>,
    /// The number of the next row, where rows have no other key.
    next_row: Option<i64>,
    /// Whether the rows that the store had at first are all here.
    is_loaded: bool,
    /// What the store was not told yet; `None` while nobody asks.
    changes: Option<Batch>,
    /// When changes happen.
    now: Millis,
}

impl Stored {
    /// Nothing told, nothing loaded.
    pub(super) fn new(width: usize, primary_key: &[usize]) -> Stored {
        let (key, next_row) = match primary_key {
            [] => (vec![width], Some(1)),
            key => (key.to_vec(), None),
        };
        Stored { width, key, next_row, is_loaded: false, changes: None, now: 0 }
    }

    /// How many columns of the table the plan sees.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The number of a row that comes in, if it needs one.
    pub(super) fn next_row(&mut self) -> Option<i64> {
        let next = self.next_row.as_mut()?;
        *next += 1;
        Some(*next - 1)
    }

    /// Writes what the table's state has of it.
    pub(super) fn save(&self, state: &mut StateWriter) {
        state.put(&self.is_loaded);
        state.put(&self.next_row);
    }

    /// Takes what [`Stored::save`] wrote.
    pub(super) fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.is_loaded = state.get()?;
        let next_row: Option<i64> = state.get()?;
        if next_row.is_some() != self.next_row.is_some() {
            return Err(LoadError::Malformed);
        }
        self.next_row = next_row;
        Ok(())
    }
}

impl MemoryTable {
    /// Keeps changes for its store from now on, to be fetched by [`MemoryTable::take_changes`].
    pub fn begin_telling(&mut self) {
        let types = std::iter::once(DataType::Int).chain(self.types.iter().copied());
        let types: Vec<DataType> = types.collect();
        if let Some(stored) = &mut self.stored {
            stored.changes.get_or_insert_with(|| Batch::new(&types));
        }
    }

    /// What was changed since this was last asked, if anything was and somebody wants to know.
    pub fn take_changes(&mut self) -> Option<Batch> {
        let changes = self.stored.as_mut()?.changes.as_mut()?;
        if changes.is_empty() {
            return None;
        }
        let fresh = changes.empty_like(0);
        Some(std::mem::replace(changes, fresh))
    }

    /// Changes from now on happen at this time.
    pub(super) fn set_clock(&mut self, now: Millis) {
        if let Some(stored) = &mut self.stored {
            stored.now = now;
        }
    }

    /// How many changes wait, to go back there by [`MemoryTable::untell`].
    pub(super) fn told(&self) -> usize {
        let changes = self.stored.as_ref().and_then(|stored| stored.changes.as_ref());
        changes.map_or(0, Batch::len)
    }

    /// Forgets changes that were undone.
    pub(super) fn untell(&mut self, told: usize) {
        let changes = self.stored.as_mut().and_then(|stored| stored.changes.as_mut());
        if let Some(changes) = changes {
            changes.columns.iter_mut().for_each(|column| column.truncate(told));
            changes.timestamps.truncate(told);
        }
    }

    /// Notes what is done to a row, as it is now.
    #[inline]
    pub(super) fn tell(&mut self, change: Change, row: RowNumber) {
        if self.stored.is_some() {
            self.note(change, row);
        }
    }

    fn note(&mut self, change: Change, row: RowNumber) {
        let Some(mut stored) = self.stored.take() else { return };
        if let Some(changes) = &mut stored.changes {
            let (segment, place) = self.place(row);
            let [done, columns @ ..] = changes.columns.as_mut_slice() else { return };
            done.ints_mut().push(change.code());
            for (column, (mine, theirs)) in columns.iter_mut().zip(&segment.columns).enumerate() {
                if change == Change::Delete && !stored.key.contains(&column) {
                    mine.push_null();
                } else {
                    mine.push_from(theirs, place);
                }
            }
            changes.push_head(stored.now, Kind::Current, 0);
        }
        self.stored = Some(stored);
    }

    /// How rows stand of which the store was told these changes: each as it is now, or that it is
    /// gone.
    pub fn as_it_is(&self, told: &Batch) -> Batch {
        let mut changes = told.empty_like(0);
        let Some(stored) = &self.stored else { return changes };
        for row in 0..told.len() {
            let found = self.find_told(stored, told, row);
            let change = if found.is_some() { Change::Update } else { Change::Delete };
            let [done, columns @ ..] = changes.columns.as_mut_slice() else { break };
            done.ints_mut().push(change.code());
            for (column, mine) in columns.iter_mut().enumerate() {
                match found {
                    Some(found) => {
                        let (segment, place) = self.place(found);
                        mine.push_from(&segment.columns[column], place);
                    }
                    None if stored.key.contains(&column) => {
                        mine.push_from(&told.columns[column + 1], row);
                    }
                    None => mine.push_null(),
                }
            }
            changes.push_head(stored.now, Kind::Current, 0);
        }
        changes
    }

    /// The row that a change was about, if it is there.
    fn find_told(&self, stored: &Stored, told: &Batch, row: usize) -> Option<RowNumber> {
        let column = |&column: &usize| &told.columns[column + 1];
        if self.has_key {
            let probe: Vec<&Column> = self.indexes[0].columns().iter().map(column).collect();
            return self.indexes[0].find(&self.segments, &probe, row).first().copied();
        }
        let number = &told.columns[stored.width + 1];
        self.live_rows().find(|&known| {
            let (segment, place) = self.place(known);
            segment.columns[stored.width].same(place, number, row)
        })
    }

    /// Whether the rows that its store had at first are still to come.
    pub fn awaits_rows(&self) -> bool {
        self.stored.as_ref().is_some_and(|stored| !stored.is_loaded)
    }

    /// Takes rows that its store had, in columns of the table's and, without primary key, the rows'
    /// numbers behind them. They are no changes. A row whose key is taken is passed over.
    pub fn fill(&mut self, rows: &Batch, is_first: bool, is_last: bool) {
        if self.stored.is_none() {
            return;
        }
        if is_first {
            self.empty();
        }
        let width = self.width();
        for row in 0..rows.len() {
            let identity = rows.columns.get(width).map(|numbers| numbers.longs()[row]);
            if !self.is_key_taken(&rows.columns, row) {
                self.put(&rows.columns, row, identity);
            }
            let stored = self.stored.as_mut().expect("looked at above");
            if let (Some(next), Some(identity)) = (&mut stored.next_row, identity) {
                *next = (*next).max(identity.saturating_add(1));
            }
        }
        if is_last && let Some(stored) = &mut self.stored {
            stored.is_loaded = true;
        }
    }

    /// Whether there is a row of the same primary key.
    pub(super) fn is_key_taken(&self, columns: &[Column], row: usize) -> bool {
        if !self.has_key {
            return false;
        }
        let key = &self.indexes[0];
        let probe: Vec<&Column> = key.columns().iter().map(|&column| &columns[column]).collect();
        !key.find(&self.segments, &probe, row).is_empty()
    }

    fn empty(&mut self) {
        self.segments.clear();
        self.rows = 0;
        self.dead.clear();
        self.dead_count = 0;
        self.rebuild();
    }
}
