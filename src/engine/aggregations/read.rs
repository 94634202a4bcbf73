//! Reading buckets: those that are closed, and what the open ones hold of others.

use crate::engine::aggregations::RunningAggregation;
use crate::engine::aggregations::cells::BUCKET;
use crate::engine::aggregations::cells::Cells;
use crate::event::Batch;
use crate::event::Column;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Values;
use crate::plan::aggregation::Shown;
use smallvec::SmallVec;
use std::ops::Range;

/// The time of rows that never had one.
const NO_TIME: Millis = -1;

impl RunningAggregation {
    /// Appends the rows of the buckets of a level that begin in a range: in order of their buckets,
    /// in one bucket in the order in which its groups first appeared.
    pub fn read(&self, level: usize, within: Range<Millis>, into: &mut Batch) {
        if within.is_empty() {
            return;
        }
        let closed = &self.levels[level].closed;
        let cells: Vec<u32> =
            closed.buckets.range(within.clone()).flat_map(|(_, cells)| cells).copied().collect();
        self.show(&closed.cells, &cells, into);
        let open = self.open_within(level, &within).map(|(bucket, _, cells)| (bucket, cells));
        self.show_open(&open.collect::<SmallVec<[_; 6]>>(), into);
    }

    /// The same of one group, which is given by a column for each key and a row of these.
    pub fn read_group(
        &self,
        level: usize,
        within: Range<Millis>,
        groups: &[&Column],
        row: usize,
        into: &mut Batch,
    ) {
        if within.is_empty() {
            return;
        }
        let layout = &self.ways.layout;
        let closed = &self.levels[level].closed;
        let buckets = closed.buckets.range(within.clone());
        let cells: Vec<u32> = buckets
            .filter_map(|(bucket, _)| closed.cells.find(layout, *bucket, groups, row))
            .collect();
        self.show(&closed.cells, &cells, into);
        let open = self.open_within(level, &within).filter_map(|(bucket, from, cells)| {
            let cell = cells.find(layout, from, groups, row)?;
            Some((bucket, cells.only(layout, cell)))
        });
        let open: SmallVec<[(Millis, Cells); 6]> = open.collect();
        let open = open.iter().map(|(bucket, cells)| (*bucket, cells));
        self.show_open(&open.collect::<SmallVec<[_; 6]>>(), into);
    }

    /// The open cells of this level and of shorter ones that belong to buckets of a range: their
    /// bucket, their own, and they.
    fn open_within(
        &self,
        level: usize,
        within: &Range<Millis>,
    ) -> impl Iterator<Item = (Millis, Millis, &Cells)> {
        self.levels[..=level].iter().rev().filter_map(move |below| {
            let (from, _) = below.open?;
            let bucket = self.levels[level].period.start(from, &self.ways.zone);
            let is_meant = !below.cells.is_empty() && within.contains(&bucket);
            is_meant.then_some((bucket, from, &below.cells))
        })
    }

    /// Appends cells that are open, those of each bucket merged.
    fn show_open(&self, open: &[(Millis, &Cells)], into: &mut Batch) {
        let all = |cells: &Cells| (0..cells.len() as u32).collect::<Vec<u32>>();
        match open {
            [] => return,
            [(bucket, cells)] if cells.bucket(0) == *bucket => {
                return self.show(cells, &all(cells), into);
            }
            _ => {}
        }
        // The longer a bucket, the earlier what it holds: so the merged cells are in order.
        let mut merged = Cells::new(&self.ways.layout);
        let mut targets = Vec::new();
        for (bucket, cells) in open {
            merged.take_cells(&self.ways.layout, Some(*bucket), cells, &mut targets, |_, _| {});
        }
        self.show(&merged, &all(&merged), into);
    }

    /// Appends cells as the aggregation's attributes.
    fn show(&self, from: &Cells, cells: &[u32], into: &mut Batch) {
        let (first, rest) = into.columns.split_at_mut(1);
        from.gather(BUCKET, cells, &mut first[0]);
        for (output, column) in self.outputs.iter().zip(rest) {
            match *output {
                Shown::Group(group) => {
                    from.gather(self.ways.layout.groups.start + group, cells, column);
                }
                Shown::Running(running) => {
                    from.gather(self.ways.layout.column(running), cells, column)
                }
                Shown::Mean { sum, count } => {
                    let gathered = |running: usize| {
                        let column = self.ways.layout.column(running);
                        let mut gathered = Column::new(self.ways.layout.types[column]);
                        from.gather(column, cells, &mut gathered);
                        gathered
                    };
                    mean(&gathered(sum), &gathered(count), column);
                }
            }
        }
        cells.iter().for_each(|_| into.push_head(NO_TIME, Kind::Current, 0));
    }
}

/// Divides sums by counts; whole numbers truncate.
fn mean(sums: &Column, counts: &Column, into: &mut Column) {
    for (row, &count) in counts.longs().iter().enumerate() {
        let mean = match &sums.values {
            _ if sums.is_null(row) || count == 0 => None,
            Values::Long(sums) => Some(sums[row].wrapping_div(count) as f64),
            Values::Double(sums) => Some(sums[row] / count as f64),
            _ => None,
        };
        match mean {
            Some(mean) => into.doubles_mut().push(mean),
            None => into.push_null(),
        }
    }
}
