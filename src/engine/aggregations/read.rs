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
        let mut pending = self.levels[..=level].iter().rev().filter_map(|below| {
            let (from, _) = below.open?;
            let bucket = self.levels[level].period.start(from, self.ways.zone);
            (!below.cells.is_empty() && within.contains(&bucket)).then_some((bucket, &below.cells))
        });
        let Some((bucket, first)) = pending.next() else { return };
        let others: Vec<(Millis, &Cells)> = pending.collect();
        let all = |cells: &Cells| (0..cells.len() as u32).collect::<Vec<u32>>();
        if others.is_empty() && first.bucket(0) == bucket {
            return self.show(first, &all(first), into);
        }
        // The longer a bucket, the earlier what it holds: so the merged cells are in order.
        let mut merged = Cells::new(&self.ways.layout);
        let mut targets = Vec::new();
        for (bucket, cells) in std::iter::once((bucket, first)).chain(others) {
            merged.take_cells(&self.ways.layout, Some(bucket), cells, &mut targets, |_, _| {});
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
