//! The contract of a step: chunks in, chunks out, state saved and loaded.

use crate::engine::context::Context;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::logical::TableId;
use std::collections::BTreeSet;

/// A step of a query.
///
/// A step maps chunks to chunks: whatever the batches are cut into, the same rows in the same
/// chunks come out. State is held by slot, one a partition key; outside of partitions all rows are
/// of slot 0. `output` comes empty, with columns of the step's output types, and goes back to the
/// caller.
///
/// The engine's clock, [`Context::now`], is the same for all rows of a call.
pub trait Operator: Send {
    /// Takes rows.
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch);

    /// A timer that this step set for `slot` with [`Context::wake_at`] is due; the clock stands at
    /// `due`. All that is due then in this slot leaves as one chunk. Steps ignore timers they no
    /// longer need.
    fn wake(&mut self, due: Millis, slot: Slot, context: &mut Context, output: &mut Batch) {
        let _ = (due, slot, context, output);
    }

    /// A send, or the work of a timer, has ended: what a step gathers by sends leaves now.
    fn end_send(&mut self, context: &mut Context, output: &mut Batch) {
        let _ = (context, output);
    }

    /// Whether [`Operator::end_send`] matters to this step.
    fn gathers_sends(&self) -> bool {
        false
    }

    /// The external table that the step asks, if it does.
    fn asks(&self) -> Option<TableId> {
        None
    }

    /// [`Context::answers`] came from a table that the step asks, or more of what waits can leave.
    fn answered(&mut self, context: &mut Context, output: &mut Batch) {
        let _ = (context, output);
    }

    /// Adds the partition keys of which the step holds rows that have still to pass: they are not
    /// purged, however long ago their last row came.
    fn keys_in_use(&self, keys: &mut BTreeSet<Slot>) {
        let _ = keys;
    }

    /// Drops the state of a partition key, whose number may be given to another key later.
    fn forget(&mut self, slot: Slot);

    /// How many rows the step holds.
    fn held(&self) -> usize {
        0
    }

    /// How many rows ended here since they did not meet a condition; `None` where none can, or
    /// where they have been counted as held before.
    fn left_out(&self) -> Option<u64> {
        None
    }

    /// The format of what [`Operator::save`] writes; raise it with every change.
    fn version(&self) -> u16 {
        1
    }

    /// Writes all state. Small things by copy, rows by handle.
    fn save(&self, state: &mut StateWriter);

    /// Takes the state that [`Operator::save`] wrote, in place of what it has.
    ///
    /// # Errors
    /// If the bytes are not that.
    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError>;
}
