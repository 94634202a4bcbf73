//! Cuts the rows of an entry into what may run through the plan at once.

use crate::engine::core::PlanCore;
use crate::engine::entry::Outlet;
use crate::event::Batch;
use crate::event::Millis;
use crate::plan::logical::StreamId;

impl PlanCore {
    /// Runs rows through the plan in the order in which they came.
    pub(super) fn run_rows(&mut self, stream: StreamId, batch: &Batch, outlet: &mut dyn Outlet) {
        let apart = self.streams[stream].apart.contains(&true);
        let by_row = self.streams[stream].by_row && !apart;
        let mut start = 0;
        while start < batch.len() {
            let end = self.step_end(batch, start, by_row);
            if self.plan.playback.is_some() {
                let now = self.context.now.max(batch.timestamps[start]);
                self.advance_clock(now, outlet);
                if self.rows == 0 {
                    self.begin_patterns();
                }
            }
            self.begin_cause(self.rows);
            self.rows += (end - start) as u64;
            if start == 0 && end == batch.len() && !batch.continues.any() {
                self.run_step(stream, batch, apart, outlet);
            } else {
                let mut part = std::mem::take(&mut self.parts[stream]);
                part.clear();
                part.extend(batch, start, end);
                part.continues.clear();
                self.run_step(stream, &part, apart, outlet);
                self.parts[stream] = part;
            }
            self.in_send = batch.send_continues.get(end - 1);
            if !self.in_send {
                self.end_send(outlet);
            }
            self.fire_due(outlet);
            start = end;
        }
    }

    /// Runs rows that may run at once, or those of one reader after the other.
    fn run_step(&mut self, stream: StreamId, rows: &Batch, apart: bool, outlet: &mut dyn Outlet) {
        if apart && rows.len() > 1 {
            self.run_apart(stream, rows, outlet);
        } else {
            self.deliver(stream, rows, outlet);
        }
    }

    /// Brings rows at once to the readers whose paths nothing else crosses, and then row by row to
    /// the others.
    fn run_apart(&mut self, stream: StreamId, rows: &Batch, outlet: &mut dyn Outlet) {
        if !self.enter(stream, rows, outlet) {
            return;
        }
        let readers = self.streams[stream].readers.len();
        for reader in 0..readers {
            if self.streams[stream].apart[reader] {
                self.read(stream, reader, rows, outlet);
            }
        }
        let (first, last) = (self.rows - rows.len() as u64, rows.len() - 1);
        let mut single = std::mem::take(&mut self.singles[stream]);
        for row in 0..rows.len() {
            single.clear();
            single.extend(rows, row, row + 1);
            self.begin_cause(first + row as u64);
            for reader in 0..readers {
                if !self.streams[stream].apart[reader] {
                    self.read(stream, reader, &single, outlet);
                }
            }
            if row < last {
                self.in_send = rows.send_continues.get(row);
                self.fire_due(outlet);
            }
        }
        self.singles[stream] = single;
    }

    /// How far rows from `start` on can run as one batch.
    fn step_end(&self, batch: &Batch, start: usize, by_row: bool) -> usize {
        if by_row {
            return start + 1;
        }
        let mut end = batch.len();
        if self.plan.playback.is_some() {
            // The clock stands still within a batch.
            let clock = self.context.now.max(batch.timestamps[start]);
            let same = |&&time: &&Millis| time == batch.timestamps[start] || time <= clock;
            end = start + batch.timestamps[start..].iter().take_while(same).count();
        }
        if !self.gatherers.is_empty() || !self.gathering_windows.is_empty() {
            let send = (start..end).find(|&row| !batch.send_continues.get(row));
            end = send.map_or(end, |row| row + 1);
        }
        end
    }

    /// Tells where chance is drawn from: the number of the row or timer that is the cause.
    pub(super) fn begin_cause(&mut self, number: u64) {
        self.context.entropy.row = number;
        self.context.entropy.draws = 0;
    }
}
