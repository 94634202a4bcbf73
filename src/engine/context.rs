//! What all steps of a plan share while they run: the clock, timers, tables, named windows, faults.

use crate::engine::aggregations::RunningAggregation;
use crate::engine::external::Errands;
use crate::engine::external::Failed;
use crate::engine::tables::MemoryTable;
use crate::engine::timers::Timer;
use crate::engine::timers::Timers;
use crate::engine::windows::Window;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::answers::Answers;
use std::sync::Arc;

/// Shared by all steps of a plan; each step gets it with every call.
#[derive(Default)]
pub struct Context {
    /// The engine's clock: the arrival time of the rows at hand, or the due time of the timer that
    /// fires; under playback the greatest event time seen.
    pub now: Millis,
    /// Deadlines.
    pub timers: Timers,
    /// The step that runs, as timers know it.
    pub operator: u32,
    /// The step whose timer fires while the clock moves on.
    pub firing: Option<u32>,
    /// When each partition key of the partition at hand first appeared, as a count; by slot.
    pub births: Vec<u64>,
    /// Tables by id; a table is away while it is searched.
    pub tables: Vec<Option<Box<MemoryTable>>>,
    /// Aggregations by id; an aggregation is away while it is read.
    pub aggregations: Vec<Option<Box<RunningAggregation>>>,
    /// Named windows by id; a window is away while it takes rows.
    pub windows: Vec<Option<Box<dyn Window>>>,
    /// The window of the other port of a join, while a port runs.
    pub lent: Option<Box<dyn Window>>,
    /// What was dropped inside the plan, by reason.
    pub drops: Drops,
    /// Rows that could not be computed, since the caller last looked.
    pub faults: Vec<Fault>,
    /// Lines for the log, since the caller last looked.
    pub notes: Vec<Note>,
    /// From where chance is drawn.
    pub entropy: Entropy,
    /// What is to be done with external tables.
    pub errands: Errands,
    /// The answers at hand of an external table.
    pub answers: Option<Arc<Answers>>,
    /// Rows that waited for an answer and fail, since the caller last looked.
    pub failed: Failed,
    /// Rows that waited leave one chunk at a time; whether more could.
    pub by_one: Option<bool>,
}

/// A line for the node's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How grave it is.
    pub level: Level,
    /// What to write.
    pub text: String,
}

/// How grave a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Something happened.
    Info,
    /// For those who look for a fault.
    Debug,
    /// Each step.
    Trace,
}

/// Rows that end inside a plan without a trace in any result, counted by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// Rows refused by a table, since their primary key was taken.
    pub key_taken: u64,
    /// Rows without a partition key.
    pub no_key: u64,
    /// Rows that could not be computed.
    pub fault: u64,
    /// Rows that came too late for a window, by their own time.
    pub late: u64,
}

/// A row that could not be computed. It is dropped from the query that met it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The row of the batch at hand.
    pub row: usize,
    /// What is wrong.
    pub message: String,
}

/// Numbers that look like chance and are a function of the log: a keyed hash of the plan's secret,
/// the number of the row that is the cause, the query, the call place and a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entropy {
    /// The plan's secret, drawn when it was first deployed.
    pub secret: u64,
    /// The number of the row (or timer) that is the cause.
    pub row: u64,
    /// The query at hand.
    pub query: u64,
    /// How often this cause has drawn.
    pub draws: u64,
}

impl Entropy {
    /// Draws 128 bits for a call place.
    pub fn draw(&mut self, site: u32) -> u128 {
        self.draws += 1;
        let half = |salt: u64| {
            let mut bytes = [0; 48];
            let words = [self.secret, self.row, self.query, u64::from(site), self.draws, salt];
            for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
                place.copy_from_slice(&word.to_le_bytes());
            }
            crate::event::hash_bytes(&bytes)
        };
        u128::from(half(1)) << 64 | u128::from(half(2))
    }
}

impl Context {
    /// Wakes the running step for `slot` at `due`. A due time that has passed fires at once, after
    /// the rows at hand.
    pub fn wake_at(&mut self, due: Millis, slot: Slot) {
        let birth = self.births.get(slot as usize).copied().unwrap_or_default();
        self.timers.set(Timer { due, operator: self.operator, birth, slot });
    }

    /// How many of the rows that are ready leave now, of which the first chunk has so many.
    pub fn released(&mut self, ready: usize, first: usize) -> usize {
        match &mut self.by_one {
            Some(more) if ready > first => {
                *more = true;
                first
            }
            _ => ready,
        }
    }

    /// The faults since there were `before` of them, one a row, which are no longer the caller's.
    pub fn own_faults(&mut self, before: usize) -> Vec<Fault> {
        if self.faults.len() == before {
            return Vec::new();
        }
        self.one_fault_a_row(before);
        self.faults.split_off(before)
    }

    /// Notes that a row of the batch at hand could not be computed.
    pub fn fault(&mut self, row: usize, message: impl Into<String>) {
        self.faults.push(Fault { row, message: message.into() });
    }

    /// Sorts the faults since there were `before` of them by row, and leaves each row its first: a
    /// row fails once, however many of its expressions do.
    #[cold]
    pub fn one_fault_a_row(&mut self, before: usize) {
        let mut late = self.faults.split_off(before);
        late.sort_by_key(|fault| fault.row);
        late.dedup_by_key(|fault| fault.row);
        self.faults.extend(late);
    }

    /// Takes back faults since there were `before` of them, of rows whose value nobody asks for:
    /// the right side of an `and` whose left side does not hold is as if it were not computed.
    #[inline]
    pub fn pardon(&mut self, before: usize, unasked: impl Fn(usize) -> bool) {
        if self.faults.len() > before {
            let late = self.faults.split_off(before);
            self.faults.extend(late.into_iter().filter(|fault| !unasked(fault.row)));
        }
    }
}
