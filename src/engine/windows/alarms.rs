//! At most one outstanding timer a slot; timers that were set before and are no longer meant are
//! recognised.

use crate::engine::context::Context;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Millis;
use crate::event::Slot;

/// By slot, when it is to be woken.
#[derive(Debug, Default)]
pub struct Alarms {
    due: Vec<Option<Millis>>,
}

impl Alarms {
    /// Whether a timer is outstanding.
    #[inline]
    pub fn is_set(&self, slot: Slot) -> bool {
        self.due.get(slot as usize).is_some_and(Option::is_some)
    }

    /// Sets the slot's timer; one that was outstanding is no longer meant.
    pub fn set(&mut self, due: Millis, slot: Slot, context: &mut Context) {
        let place = slot as usize;
        if self.due.len() <= place {
            self.due.resize(place + 1, None);
        }
        if self.due[place] != Some(due) {
            self.due[place] = Some(due);
            context.wake_at(due, slot);
        }
    }

    /// Sets the slot's timer unless it fires by then anyway.
    #[inline]
    pub fn set_by(&mut self, due: Millis, slot: Slot, context: &mut Context) {
        match self.due.get(slot as usize) {
            Some(Some(set)) if *set <= due => {}
            _ => self.set(due, slot, context),
        }
    }

    /// Whether a timer that fires is the one that is meant; then it is no longer outstanding.
    pub fn take(&mut self, due: Millis, slot: Slot) -> bool {
        match self.due.get_mut(slot as usize) {
            Some(set) if *set == Some(due) => {
                *set = None;
                true
            }
            _ => false,
        }
    }

    /// Ignores the slot's timer from now on.
    pub fn forget(&mut self, slot: Slot) {
        if let Some(due) = self.due.get_mut(slot as usize) {
            *due = None;
        }
    }

    /// Writes what is outstanding.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.due);
    }

    /// Takes what [`Alarms::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.due = state.get()?;
        Ok(())
    }
}
