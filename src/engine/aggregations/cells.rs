//! Running values by bucket and group, one row each; rows are merged into them.

use crate::engine::aggregations::distinct::Distinct;
use crate::engine::aggregations::segments::Segments;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Values;
use crate::event::hash_cell;
use crate::plan::aggregation::Aggregation;
use crate::plan::aggregation::Clock;
use crate::plan::aggregation::Running;
use crate::plan::aggregation::RunningKind;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::ops::Range;

/// The column that holds the start of the bucket.
pub const BUCKET: usize = 0;

/// Which columns a cell has: the start of its bucket, the time of the latest row where that
/// matters, group keys, running values.
pub struct Layout {
    /// Types of the columns.
    pub types: Vec<DataType>,
    /// The running values.
    pub running: Vec<Running>,
    /// The column of the latest row's time.
    latest: Option<usize>,
    /// The columns of the group keys.
    pub groups: Range<usize>,
    /// How many columns of the rows taken stand before the group keys.
    clock: usize,
}

impl Layout {
    /// The columns that an aggregation needs.
    pub fn new(aggregation: &Aggregation) -> Layout {
        let mut types = vec![DataType::Long];
        // Rows that come in order of time need none.
        let keeps = |each: &Running| each.kind == RunningKind::Latest;
        let latest = aggregation.clock != Clock::Arrival && aggregation.running.iter().any(keeps);
        let latest = latest.then(|| {
            types.push(DataType::Long);
            types.len() - 1
        });
        let first = types.len();
        types.extend(&aggregation.groups);
        let groups = first..types.len();
        types.extend(aggregation.running.iter().map(|each| match each.kind {
            RunningKind::Distinct | RunningKind::Count => DataType::Long,
            _ => each.ty,
        }));
        let clock = aggregation.clock.columns();
        Layout { types, running: aggregation.running.clone(), latest, groups, clock }
    }

    /// The column of a running value.
    pub fn column(&self, running: usize) -> usize {
        self.groups.end + running
    }

    /// Rows as a plan's query gives them.
    pub fn rows<'a>(&self, batch: &'a Batch, times: &'a [Millis]) -> Taken<'a> {
        let columns = batch.columns.iter();
        Taken {
            groups: columns.skip(self.clock).take(self.groups.len()).collect(),
            values: self
                .running
                .iter()
                .map(|each| each.input.map(|input| &batch.columns[input]))
                .collect(),
            times: self.latest.map(|_| times),
            merged: false,
        }
    }

    /// A segment of cells.
    fn cells<'a>(&self, batch: &'a Batch) -> Taken<'a> {
        Taken {
            groups: batch.columns[self.groups.clone()].iter().collect(),
            values: batch.columns[self.groups.end..].iter().map(Some).collect(),
            times: self.latest.map(|column| batch.columns[column].longs()),
            merged: true,
        }
    }
}

/// Rows that are merged into cells: those of a plan, or cells themselves.
pub struct Taken<'a> {
    groups: SmallVec<[&'a Column; 4]>,
    /// By running value; `None`: each row counts as one.
    values: SmallVec<[Option<&'a Column>; 8]>,
    times: Option<&'a [Millis]>,
    /// Whether counts are counts already.
    merged: bool,
}

/// Cells by bucket and group.
pub struct Cells {
    rows: Segments,
    index: HashTable<(u64, u32)>,
    /// One a running value that tells different values apart.
    sets: Vec<Distinct>,
    wins: Vec<bool>,
}

impl Cells {
    /// None yet.
    pub fn new(layout: &Layout) -> Cells {
        let sets = layout.running.iter().filter(|each| each.kind == RunningKind::Distinct);
        Cells {
            rows: Segments::new(layout.types.clone()),
            index: HashTable::new(),
            sets: sets.map(|each| Distinct::new(each.ty)).collect(),
            wins: Vec::new(),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.index.clear();
        self.sets.iter_mut().for_each(Distinct::clear);
    }

    /// The start of the bucket of a cell.
    pub fn bucket(&self, cell: u32) -> Millis {
        let (column, place) = self.rows.cell(cell, BUCKET);
        column.longs()[place]
    }

    /// Appends one column of the named cells.
    pub fn gather(&self, column: usize, cells: &[u32], into: &mut Column) {
        self.rows.gather(column, cells, into);
    }

    /// Merges rows into the cells of a bucket; `targets` is left with the cell of each.
    pub fn take(
        &mut self,
        layout: &Layout,
        bucket: Millis,
        taken: &Taken<'_>,
        rows: Range<usize>,
        targets: &mut Vec<u32>,
    ) {
        targets.clear();
        if layout.groups.is_empty() && self.len() == 1 && self.bucket(0) == bucket {
            targets.resize(rows.len(), 0);
        } else {
            targets.extend(rows.clone().map(|row| self.find_or_make(layout, bucket, taken, row).0));
        }
        self.merge(layout, taken, rows, targets);
    }

    /// Merges all cells of another into those of a bucket, or each into the one of its own bucket;
    /// `made` is told of each cell that is new, and of its bucket.
    pub fn take_cells(
        &mut self,
        layout: &Layout,
        bucket: Option<Millis>,
        other: &Cells,
        targets: &mut Vec<u32>,
        mut made: impl FnMut(u32, Millis),
    ) {
        let mut all: Vec<u32> = Vec::with_capacity(other.len());
        for batch in other.rows.batches() {
            let taken = layout.cells(batch);
            targets.clear();
            for (row, &own) in batch.columns[BUCKET].longs().iter().enumerate() {
                let bucket = bucket.unwrap_or(own);
                let (cell, is_new) = self.find_or_make(layout, bucket, &taken, row);
                if is_new {
                    made(cell, bucket);
                }
                targets.push(cell);
            }
            self.merge(layout, &taken, 0..batch.len(), targets);
            all.extend_from_slice(targets);
        }
        for (place, set) in other.sets.iter().enumerate() {
            let mine = &mut self.sets[place];
            let mut grown: Vec<u32> = Vec::new();
            set.each(|cell, column, row| {
                let cell = all[cell as usize];
                if mine.insert(cell, column, row) {
                    grown.push(cell);
                }
            });
            self.count_values(layout, place, &grown);
        }
    }

    /// Adds one to the count of different values of each cell named.
    fn count_values(&mut self, layout: &Layout, set: usize, cells: &[u32]) {
        let kinds = layout.running.iter().enumerate();
        let mut distinct = kinds.filter(|(_, each)| each.kind == RunningKind::Distinct);
        let Some((running, _)) = distinct.nth(set) else { return };
        self.rows.change(layout.column(running), cells, |column, cells, _| count(column, cells));
    }

    /// The cell of a group in a bucket; the group is given by columns and a row of these.
    pub fn find(
        &self,
        layout: &Layout,
        bucket: Millis,
        groups: &[&Column],
        row: usize,
    ) -> Option<u32> {
        let hash = hash_of(bucket, groups.iter().map(|key| (*key, row)));
        let found =
            self.index.find(hash, |&entry| self.is(layout, entry, hash, bucket, groups, row));
        found.map(|&(_, cell)| cell)
    }

    /// Whether an entry of the index is that of a group in a bucket.
    fn is(
        &self,
        layout: &Layout,
        (known, cell): (u64, u32),
        hash: u64,
        bucket: Millis,
        groups: &[&Column],
        row: usize,
    ) -> bool {
        known == hash && self.bucket(cell) == bucket && {
            let mut keys = layout.groups.clone().zip(groups);
            keys.all(|(column, key)| {
                let (mine, place) = self.rows.cell(cell, column);
                mine.same(place, key, row)
            })
        }
    }

    /// One cell alone.
    pub fn only(&self, layout: &Layout, cell: u32) -> Cells {
        let mut only = Cells::new(layout);
        only.rows.push(|columns| {
            for (column, mine) in columns.iter_mut().enumerate() {
                let (theirs, place) = self.rows.cell(cell, column);
                mine.push_from(theirs, place);
            }
        });
        for (mine, theirs) in only.sets.iter_mut().zip(&self.sets) {
            theirs.each(|each, column, row| {
                if each == cell {
                    mine.insert(0, column, row);
                }
            });
        }
        only.reindex(layout, |_| false);
        only
    }

    fn find_or_make(
        &mut self,
        layout: &Layout,
        bucket: Millis,
        taken: &Taken<'_>,
        row: usize,
    ) -> (u32, bool) {
        let hash = hash_of(bucket, taken.groups.iter().map(|key| (*key, row)));
        let same = |&entry: &(u64, u32)| self.is(layout, entry, hash, bucket, &taken.groups, row);
        if let Some(&(_, cell)) = self.index.find(hash, same) {
            return (cell, false);
        }
        let cell = self.rows.push(|columns| {
            columns[BUCKET].longs_mut().push(bucket);
            if let Some(latest) = layout.latest {
                columns[latest].push_null();
            }
            let (keys, running) = columns[layout.groups.start..].split_at_mut(taken.groups.len());
            for (mine, key) in keys.iter_mut().zip(&taken.groups) {
                mine.push_from(key, row);
            }
            running.iter_mut().for_each(Column::push_null);
        });
        self.index.insert_unique(hash, (hash, cell), |&(hash, _)| hash);
        (cell, true)
    }

    fn merge(&mut self, layout: &Layout, taken: &Taken<'_>, rows: Range<usize>, targets: &[u32]) {
        self.wins.clear();
        if let (Some(column), Some(times)) = (layout.latest, taken.times) {
            let wins = &mut self.wins;
            self.rows.change(column, targets, |mine, cells, which| {
                later(mine, cells, &times[rows.start + which.start..], wins);
            });
        }
        let mut set = 0;
        for (running, each) in layout.running.iter().enumerate() {
            let values = taken.values[running];
            let column = layout.column(running);
            if each.kind == RunningKind::Distinct {
                if let (false, Some(values)) = (taken.merged, values) {
                    let mine = &mut self.sets[set];
                    let fresh = targets
                        .iter()
                        .zip(rows.clone())
                        .filter(|(cell, row)| mine.insert(**cell, values, *row));
                    let fresh: Vec<u32> = fresh.map(|(cell, _)| *cell).collect();
                    self.count_values(layout, set, &fresh);
                }
                set += 1;
                continue;
            }
            let wins = &self.wins;
            self.rows.change(column, targets, |mine, cells, which| {
                let from = rows.start + which.start;
                match (each.kind, values) {
                    (RunningKind::Count, None) => count(mine, cells),
                    (RunningKind::Count | RunningKind::Sum, Some(values)) => {
                        add(mine, cells, values, from);
                    }
                    (RunningKind::Least, Some(values)) => extreme(mine, cells, values, from, true),
                    (RunningKind::Greatest, Some(values)) => {
                        extreme(mine, cells, values, from, false);
                    }
                    (RunningKind::Latest, Some(values)) => {
                        let wins = wins.get(which).unwrap_or(&[]);
                        replace(mine, cells, values, from, wins);
                    }
                    (_, None) | (RunningKind::Distinct, _) => {}
                }
            });
        }
    }

    /// Takes a cell out of the index; its row stays.
    pub fn forget(&mut self, layout: &Layout, cell: u32) {
        let bucket = self.bucket(cell);
        let keys = layout.groups.clone().map(|column| self.rows.cell(cell, column));
        let hash = hash_of(bucket, keys);
        if let Ok(entry) = self.index.find_entry(hash, |&(_, known)| known == cell) {
            entry.remove();
        }
    }

    /// The same cells without those that are dead, in the same order.
    pub fn packed(&self, layout: &Layout, is_dead: impl Fn(u32) -> bool) -> Cells {
        let mut packed = Cells::new(layout);
        let mut moved: Vec<Option<u32>> = Vec::with_capacity(self.len());
        for batch in self.rows.batches() {
            for row in 0..batch.len() {
                let cell = moved.len() as u32;
                let live = !is_dead(cell);
                moved.push(live.then(|| {
                    packed.rows.push(|columns| {
                        for (mine, theirs) in columns.iter_mut().zip(&batch.columns) {
                            mine.push_from(theirs, row);
                        }
                    })
                }));
            }
        }
        for (mine, theirs) in packed.sets.iter_mut().zip(&self.sets) {
            theirs.each(|cell, column, row| {
                if let Some(cell) = moved[cell as usize] {
                    mine.insert(cell, column, row);
                }
            });
        }
        packed.reindex(layout, |_| false);
        packed
    }

    fn reindex(&mut self, layout: &Layout, is_dead: impl Fn(u32) -> bool) {
        self.index.clear();
        for cell in 0..self.len() as u32 {
            if !is_dead(cell) {
                let keys = layout.groups.clone().map(|column| self.rows.cell(cell, column));
                let hash = hash_of(self.bucket(cell), keys);
                self.index.insert_unique(hash, (hash, cell), |&(hash, _)| hash);
            }
        }
    }

    /// Writes all.
    pub fn save(&self, state: &mut StateWriter) {
        self.rows.save(state);
        self.sets.iter().for_each(|set| set.save(state));
    }

    /// Takes what [`Cells::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(
        &mut self,
        layout: &Layout,
        state: &mut StateReader<'_>,
        is_dead: impl Fn(u32) -> bool,
    ) -> Result<(), LoadError> {
        self.rows.load(state)?;
        let cells = self.len();
        self.sets.iter_mut().try_for_each(|set| set.load(state, cells))?;
        self.reindex(layout, is_dead);
        Ok(())
    }
}

fn hash_of<'a>(bucket: Millis, keys: impl Iterator<Item = (&'a Column, usize)>) -> u64 {
    // Spread by one multiplication where there are no keys to do so.
    let seed = (bucket as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    keys.fold(seed, |hash, (key, row)| hash_cell(key, row, hash))
}

/// Notes the later of two times, and whether the row's is: of equal ones the last to come is.
fn later(mine: &mut Column, cells: &[u32], times: &[Millis], wins: &mut Vec<bool>) {
    for (&cell, &time) in cells.iter().zip(times) {
        let place = Segments::place(cell);
        let is_later = mine.is_null(place) || time >= mine.longs()[place];
        wins.push(is_later);
        if is_later {
            mine.nulls.unset(place);
            mine.longs_mut()[place] = time;
        }
    }
}

fn count(mine: &mut Column, cells: &[u32]) {
    for &cell in cells {
        let place = Segments::place(cell);
        mine.nulls.unset(place);
        mine.longs_mut()[place] += 1;
    }
}

fn replace(mine: &mut Column, cells: &[u32], values: &Column, from: usize, wins: &[bool]) {
    for (offset, &cell) in cells.iter().enumerate() {
        if wins.get(offset).is_none_or(|wins| *wins) {
            mine.replace(Segments::place(cell), values, from + offset);
        }
    }
}

/// Adds values to sums, passing nulls over.
fn add(mine: &mut Column, cells: &[u32], values: &Column, from: usize) {
    let Column { values: totals, nulls } = mine;
    let mut counts = |offset: usize, place: usize| {
        let counts = !values.is_null(from + offset);
        if counts {
            nulls.unset(place);
        }
        counts
    };
    match (totals, &values.values) {
        (Values::Long(totals), Values::Long(rows)) => {
            for (offset, (&cell, &value)) in cells.iter().zip(&rows[from..]).enumerate() {
                let place = Segments::place(cell);
                if counts(offset, place) {
                    totals[place] = totals[place].wrapping_add(value);
                }
            }
        }
        (Values::Double(totals), Values::Double(rows)) => {
            for (offset, (&cell, &value)) in cells.iter().zip(&rows[from..]).enumerate() {
                let place = Segments::place(cell);
                if counts(offset, place) {
                    totals[place] += value;
                }
            }
        }
        _ => debug_assert!(false, "sums are longs or doubles"),
    }
}

/// Keeps the least, or the greatest, of values that are not null.
fn extreme(mine: &mut Column, cells: &[u32], values: &Column, from: usize, least: bool) {
    macro_rules! keep {
        ($best:expr, $rows:expr) => {
            for (offset, &cell) in cells.iter().enumerate() {
                let (place, row) = (Segments::place(cell), from + offset);
                if values.is_null(row) {
                    continue;
                }
                let (best, value) = (&mut $best[place], $rows[row]);
                let better = if least { value < *best } else { value > *best };
                if better || mine.nulls.get(place) {
                    *best = value;
                    mine.nulls.unset(place);
                }
            }
        };
    }
    match (&mut mine.values, &values.values) {
        (Values::Int(best), Values::Int(rows)) => keep!(best, rows),
        (Values::Long(best), Values::Long(rows)) => keep!(best, rows),
        (Values::Float(best), Values::Float(rows)) => keep!(best, rows),
        (Values::Double(best), Values::Double(rows)) => keep!(best, rows),
        _ => debug_assert!(false, "extremes are numbers of one type"),
    }
}
