//! Where the pair's history breaks, and which results have left in the one that begins.
//!
//! A node that is forced to go on without all that the other one ordered numbers what comes next
//! anew. The other one may have said of those numbers that they have left, but it meant results
//! that nobody has any more.

use std::sync::Arc;

use crate::actors::gate::Part;
use crate::actors::plan::Desk;
use crate::actors::plan::Mirrored;

impl Desk {
    /// The next entry to be applied is of this epoch: what others ordered has been applied by now,
    /// and nothing of what this node ordered in it.
    pub(super) fn enter(&mut self, epoch: u64) {
        if std::mem::replace(&mut self.epoch, epoch) != epoch && epoch > 0 {
            self.begin_history();
        }
    }

    /// The same where this node orders, and nothing may come.
    pub(super) fn look_at_history(&mut self, mirrored: &Arc<Mirrored>) {
        let turn = Some(mirrored.gate.turns());
        let waits = self.follow.stalled.is_some() || self.is_ahead();
        if self.follow.turn != turn && !waits && !self.ledger.is_catching_up() {
            self.follow.turn = turn;
            self.begin_history();
        }
    }

    fn begin_history(&self) {
        let Some(mirrored) = self.ledger.mirrored() else { return };
        let role = mirrored.gate.role();
        if role.part == Part::Active {
            mirrored.begin_results(&role.generation, |publisher| self.replica.given(publisher));
        }
    }
}
