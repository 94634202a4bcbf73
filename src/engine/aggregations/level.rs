//! The buckets of one length: the one that is open, and those that are closed.

use crate::engine::aggregations::cells::Cells;
use crate::engine::aggregations::cells::Layout;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Bits;
use crate::event::Millis;
use crate::plan::calendar::Period;
use crate::plan::zone::Zone;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// How many dead cells are worth packing.
const MANY: usize = 1024;

/// The buckets of one length.
///
/// Rows are merged into the open bucket of the shortest length alone. When it is closed its cells
/// are merged into the open bucket of the next length, and so on: so a row costs one merge, and
/// whoever reads a bucket adds what still lies in the open ones of shorter lengths.
pub struct Level {
    /// The length.
    pub period: Period,
    /// From when until when (exclusive) the open bucket lasts.
    pub open: Option<(Millis, Millis)>,
    /// The cells of the open bucket.
    pub cells: Cells,
    /// Those of closed ones.
    pub closed: Closed,
}

/// Cells of closed buckets.
pub struct Closed {
    /// The cells, those that are dead among them.
    pub cells: Cells,
    /// The cells of each bucket, in the order in which its groups first appeared.
    pub buckets: BTreeMap<Millis, SmallVec<[u32; 2]>>,
    dead: Bits,
    dead_count: usize,
}

impl Level {
    /// Without buckets.
    pub fn new(period: Period, layout: &Layout) -> Level {
        let closed = Closed {
            cells: Cells::new(layout),
            buckets: BTreeMap::new(),
            dead: Bits::new(),
            dead_count: 0,
        };
        Level { period, open: None, cells: Cells::new(layout), closed }
    }

    /// Opens the bucket of a time.
    pub fn begin(&mut self, time: Millis, zone: &Zone) -> (Millis, Millis) {
        let until = self.period.next(time, zone);
        *self.open.insert((self.period.start(time, zone), until))
    }

    /// How many cells there are.
    pub fn held(&self) -> usize {
        self.cells.len() + self.closed.cells.len() - self.closed.dead_count
    }

    /// Writes all buckets.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.open);
        self.cells.save(state);
        state.put(&self.closed.dead);
        self.closed.cells.save(state);
    }

    /// Takes what [`Level::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, layout: &Layout, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.open = state.get()?;
        self.cells.load(layout, state, |_| false)?;
        let closed = &mut self.closed;
        closed.dead = state.get()?;
        closed.dead_count = closed.dead.count();
        closed.cells.load(layout, state, |cell| closed.dead.get(cell as usize))?;
        if closed.dead_count > closed.cells.len() {
            return Err(LoadError::Malformed);
        }
        closed.find_buckets();
        Ok(())
    }
}

impl Closed {
    /// Takes the cells of a bucket that is closed, which has none here.
    pub fn take_bucket(&mut self, layout: &Layout, cells: &Cells, scratch: &mut Vec<u32>) {
        let buckets = &mut self.buckets;
        self.cells.take_cells(layout, None, cells, scratch, |cell, bucket| {
            buckets.entry(bucket).or_default().push(cell);
        });
    }

    /// Merges cells into a bucket that is closed.
    pub fn take_late(
        &mut self,
        layout: &Layout,
        bucket: Millis,
        cells: &Cells,
        scratch: &mut Vec<u32>,
    ) {
        let buckets = &mut self.buckets;
        self.cells.take_cells(layout, Some(bucket), cells, scratch, |cell, bucket| {
            buckets.entry(bucket).or_default().push(cell);
        });
    }

    /// Drops the buckets that begin before a moment.
    pub fn drop_before(&mut self, layout: &Layout, limit: Millis) {
        let later = self.buckets.split_off(&limit);
        let gone = std::mem::replace(&mut self.buckets, later);
        for cell in gone.into_values().flatten() {
            self.cells.forget(layout, cell);
            self.dead.set(cell as usize);
            self.dead_count += 1;
        }
        if self.buckets.is_empty() {
            self.cells.clear();
            self.dead.clear();
            self.dead_count = 0;
        } else if self.dead_count >= MANY && self.dead_count * 2 >= self.cells.len() {
            self.cells = self.cells.packed(layout, |cell| self.dead.get(cell as usize));
            self.dead.clear();
            self.dead_count = 0;
            self.find_buckets();
        }
    }

    fn find_buckets(&mut self) {
        self.buckets.clear();
        for cell in 0..self.cells.len() as u32 {
            if !self.dead.get(cell as usize) {
                self.buckets.entry(self.cells.bucket(cell)).or_default().push(cell);
            }
        }
    }
}
