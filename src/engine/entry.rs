//! What may change a plan's state, and what the plan wants the world to know.

use crate::engine::context::Note;
use crate::event::Batch;
use crate::event::Millis;
use crate::plan::answers::Answers;
use crate::plan::logical::QueryId;
use crate::plan::logical::StreamId;
use crate::plan::logical::WindowId;
use std::sync::Arc;

/// One entry of a plan's log.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The wall clock when the entry was made. An earlier time than the last entry's counts as the
    /// last entry's.
    pub at: Millis,
    /// What came.
    pub input: Input<'a>,
}

/// What came.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Time passed; nothing else.
    Tick,
    /// Rows for a stream, all current and of slot 0, of the stream's types. Timestamps are the
    /// events' own times. Rows marked in [`Batch::send_continues`] are followed by another row of
    /// their send.
    Rows {
        /// The stream.
        stream: StreamId,
        /// The rows.
        batch: &'a Batch,
    },
    /// What an external table was found to hold.
    Answers(&'a Arc<Answers>),
}

/// Takes what leaves a plan while an entry is applied.
pub trait Outlet {
    /// Rows that pass through a stream which is watched; all current. `now` is the engine's clock.
    fn stream(&mut self, stream: StreamId, now: Millis, rows: &Batch);

    /// Rows that leave a query which is watched, with their kinds.
    fn query(&mut self, query: QueryId, now: Millis, rows: &Batch);

    /// Rows that a named window which is watched puts out, with their kinds; resets among them.
    fn window(&mut self, window: WindowId, now: Millis, rows: &Batch) {
        let _ = (window, now, rows);
    }

    /// A line for the log, from `#log` or about a row that could not be computed.
    fn note(&mut self, note: Note);
}

/// Takes nothing.
pub struct Nowhere;

impl Outlet for Nowhere {
    fn stream(&mut self, _: StreamId, _: Millis, _: &Batch) {}
    fn query(&mut self, _: QueryId, _: Millis, _: &Batch) {}
    fn note(&mut self, _: Note) {}
}
