//! Periods of equal length, one after the other, by partition key.

use crate::engine::context::Context;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::Alarms;
use crate::event::Millis;
use crate::event::Slot;

/// When periods end.
pub(super) struct Periods {
    length: Millis,
    /// By slot, when the first one began.
    begun: Vec<Option<Millis>>,
    alarms: Alarms,
}

impl Periods {
    /// Periods of a length, which is above 0.
    pub(super) fn new(length: Millis) -> Periods {
        Periods { length: length.max(1), begun: Vec::new(), alarms: Alarms::default() }
    }

    pub(super) fn length(&self) -> Millis {
        self.length
    }

    /// Begins the first period of a slot.
    pub(super) fn begin(&mut self, slot: Slot, now: Millis) {
        let place = slot as usize;
        if self.begun.len() <= place {
            self.begun.resize(place + 1, None);
        }
        self.begun[place] = Some(now);
    }

    /// Makes sure that the slot is woken at the end of the period in which `now` lies. What a timer
    /// brings that fires before this one, at the very end of a period, is of that period still.
    #[inline]
    pub(super) fn wait(&mut self, slot: Slot, now: Millis, context: &mut Context) {
        if self.alarms.is_set(slot) {
            return;
        }
        if self.begun.get(slot as usize).is_none_or(Option::is_none) {
            self.begin(slot, now);
        }
        let begun = self.begun[slot as usize].unwrap_or(now);
        let into = now.saturating_sub(begun).rem_euclid(self.length);
        let fires_before = context.firing.is_some_and(|firing| firing < context.operator);
        let left = match into {
            0 if fires_before && begun < now => 0,
            into => self.length - into,
        };
        self.alarms.set(now.saturating_add(left), slot, context);
    }

    /// Whether a timer that fires is the one that is meant.
    pub(super) fn take(&mut self, due: Millis, slot: Slot) -> bool {
        self.alarms.take(due, slot)
    }

    pub(super) fn forget(&mut self, slot: Slot) {
        self.alarms.forget(slot);
        if let Some(begun) = self.begun.get_mut(slot as usize) {
            *begun = None;
        }
    }

    pub(super) fn save(&self, state: &mut StateWriter) {
        state.put(&self.begun);
        self.alarms.save(state);
    }

    pub(super) fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.begun = state.get()?;
        self.alarms.load(state)
    }
}
