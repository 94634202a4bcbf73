//! Aggregations: running values by bucket of time and group, in buckets of several lengths.
//!
//! A row goes into the bucket of its time, however late it comes. What is in a bucket depends on
//! the rows alone and not on how they were cut into batches.

mod cells;
mod choice;
mod distinct;
mod level;
#[cfg(test)]
mod model;
mod read;
mod segments;

pub use choice::BucketChoice;

use crate::engine::aggregations::cells::Cells;
use crate::engine::aggregations::cells::Layout;
use crate::engine::aggregations::level::Level;
use crate::engine::context::Context;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Millis;
use crate::plan::aggregation::Aggregation;
use crate::plan::aggregation::Clock;
use crate::plan::aggregation::Shown;
use crate::plan::calendar;
use crate::plan::calendar::Period;
use crate::plan::zone::Zone;

/// An aggregation that runs.
pub struct RunningAggregation {
    ways: Ways,
    outputs: Vec<Shown>,
    clock: Clock,
    /// Shorter buckets first.
    levels: Vec<Level>,
    /// How old the buckets of each level may become.
    retention: Vec<Option<Millis>>,
    times: Vec<Millis>,
    /// A cell for each row at hand, kept for its memory.
    targets: Vec<u32>,
    /// A row that came late, kept for its memory.
    passing: Cells,
}

/// What all levels know.
struct Ways {
    layout: Layout,
    zone: Zone,
}

impl RunningAggregation {
    /// Without buckets.
    pub fn new(aggregation: &Aggregation) -> RunningAggregation {
        let layout = Layout::new(aggregation);
        let periods = &aggregation.periods;
        let retention = aggregation.purge.as_ref().map(|purge| purge.retention.clone());
        RunningAggregation {
            outputs: aggregation.outputs.clone(),
            clock: aggregation.clock,
            levels: periods.iter().map(|&period| Level::new(period, &layout)).collect(),
            retention: retention.unwrap_or_else(|| vec![None; periods.len()]),
            times: Vec::new(),
            targets: Vec::new(),
            passing: Cells::new(&layout),
            ways: Ways { layout, zone: aggregation.zone.clone() },
        }
    }

    /// The level of a period, if there are such buckets.
    pub fn level(&self, period: Period) -> Option<usize> {
        self.levels.iter().position(|level| level.period == period)
    }

    /// How many running rows there are, over all lengths.
    pub fn held(&self) -> usize {
        self.levels.iter().map(Level::held).sum()
    }

    /// Takes rows. Those without a time are faults.
    pub fn take(&mut self, rows: &Batch, context: &mut Context) {
        let RunningAggregation { ways, levels, times, targets, passing, .. } = self;
        times.clear();
        let broken = read_times(self.clock, rows, context, times);
        let taken = ways.layout.rows(rows, times);
        let mut start = 0;
        while start < rows.len() {
            if broken && context.faults.iter().any(|fault| fault.row == start) {
                start += 1;
                continue;
            }
            let time = times[start];
            let (from, until) = match levels[0].open {
                Some((from, until)) if time < until => (from, until),
                _ => {
                    ways.close(levels, targets);
                    levels[0].begin(time, &ways.zone)
                }
            };
            let mut end = start + 1;
            if time < from {
                // Alone, as if its bucket had just been closed.
                passing.clear();
                passing.take(&ways.layout, time, &taken, start..end, targets);
                ways.pass(levels, time, passing, targets);
            } else {
                if !broken {
                    let same = |time: &&Millis| (from..until).contains(*time);
                    end += times[end..].iter().take_while(same).count();
                }
                levels[0].cells.take(&ways.layout, from, &taken, start..end, targets);
            }
            start = end;
        }
    }

    /// Drops the buckets that are too old at a moment.
    pub fn discard(&mut self, now: Millis) {
        for place in 0..self.levels.len() {
            let Some(kept) = self.retention[place] else { continue };
            let (below, levels) = self.levels.split_at_mut(place);
            // What still lies in shorter buckets must not come into one that is gone.
            let period = levels[0].period;
            let pending = below.iter().filter_map(|level| level.open);
            let pending = pending.map(|(from, _)| period.start(from, &self.ways.zone));
            let limit = pending.fold(now.saturating_sub(kept), Millis::min);
            if let Some(open) = levels[0].open.filter(|(from, _)| *from < limit) {
                self.ways.close(levels, &mut self.targets);
                // Rows before it stay late ones: what is longer has gone on from there.
                levels[0].open = Some(open);
            }
            levels[0].closed.drop_before(&self.ways.layout, limit);
        }
    }

    /// Writes all buckets; rows by handle.
    pub fn save(&self, state: &mut StateWriter) {
        self.levels.iter().for_each(|level| level.save(state));
    }

    /// Takes what [`RunningAggregation::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.levels.iter_mut().try_for_each(|level| level.load(&self.ways.layout, state))
    }
}

impl Ways {
    /// Closes the open bucket of the first of these levels, if one is, and passes its cells on.
    fn close(&self, levels: &mut [Level], targets: &mut Vec<u32>) {
        let Some((this, above)) = levels.split_first_mut() else { return };
        let Some((from, _)) = this.open.take() else { return };
        this.closed.take_bucket(&self.layout, &this.cells, targets);
        self.pass(above, from, &this.cells, targets);
        this.cells.clear();
    }

    /// Merges cells of a time into buckets of these levels: into the open one, from where they go
    /// on when that is closed, or into one that is closed, and then into those of the next level.
    fn pass(&self, levels: &mut [Level], time: Millis, cells: &Cells, targets: &mut Vec<u32>) {
        for place in 0..levels.len() {
            let (from, _) = match levels[place].open {
                Some((from, until)) if time < until => (from, until),
                _ => {
                    self.close(&mut levels[place..], targets);
                    levels[place].begin(time, &self.zone)
                }
            };
            let level = &mut levels[place];
            if time >= from {
                return level.cells.take_cells(&self.layout, Some(from), cells, targets, |_, _| {});
            }
            let bucket = level.period.start(time, &self.zone);
            level.closed.take_late(&self.layout, bucket, cells, targets);
        }
    }
}

/// Appends the time of each row; whether there is one without.
fn read_times(clock: Clock, rows: &Batch, context: &mut Context, times: &mut Vec<Millis>) -> bool {
    let before = context.faults.len();
    match clock {
        Clock::Arrival => times.resize(rows.len(), context.now),
        Clock::Long => {
            let column = &rows.columns[0];
            times.extend_from_slice(&column.longs()[..rows.len()]);
            if column.nulls.any() {
                for row in (0..rows.len()).filter(|row| column.is_null(*row)) {
                    context.fault(row, "the time of an aggregation is null");
                }
            }
        }
        Clock::Text => {
            let column = &rows.columns[0];
            for (row, text) in column.texts()[..rows.len()].iter().enumerate() {
                let time = calendar::moment(text);
                times.push(time.unwrap_or_default());
                if column.is_null(row) {
                    context.fault(row, "the time of an aggregation is null");
                } else if time.is_none() {
                    let expected = "expected a time as `2024-06-01 04:05:50 +02:00`";
                    context.fault(row, format!("{expected}, found `{text}`"));
                }
            }
        }
    }
    context.faults.len() > before
}
