//! A row is shown to the matches that wait.

use crate::engine::patterns::run::Run;
use crate::engine::patterns::store::EMPTY;
use crate::engine::patterns::store::HERE;
use crate::engine::patterns::store::Match;
use crate::engine::patterns::store::NONE;
use crate::engine::patterns::store::Taken;
use crate::event::Batch;
use crate::event::Millis;
use crate::plan::pattern::Absence;
use crate::plan::pattern::Role;
use crate::plan::pattern::Side;
use crate::plan::pattern::StateId;

impl Run<'_> {
    /// Readies what waits for a row of a port.
    pub fn ready(&mut self, port: usize, time: Millis) {
        self.expire(time);
        let shape = self.shape;
        if shape.sequence {
            shape.parts.iter().rev().for_each(|&id| self.reset(id));
            shape.parts.iter().for_each(|&id| self.update(id));
        } else {
            shape.ports[port].states.iter().for_each(|&id| self.update(id));
        }
    }

    /// Shows the row at hand to a state.
    pub fn take(&mut self, id: StateId) {
        match self.shape.states[id].role {
            Role::One => self.take_one(id),
            Role::Absent(wait) => self.take_unwanted(id, wait),
            Role::Count { min, max } => self.take_several(id, min, max),
            Role::Side(side) if side.absence == Absence::No => self.take_side(id, side),
            Role::Side(side) => self.take_unwanted_side(id, side),
        }
    }

    fn here(&self) -> (&Batch, usize) {
        self.row.expect("a row is shown")
    }

    fn time(&self) -> Millis {
        let (batch, row) = self.here();
        batch.timestamps[row]
    }

    /// Keeps the row at hand as an event of a state.
    fn keep(&mut self, id: StateId) -> Taken {
        let (batch, row) = self.row.expect("a row is shown");
        self.store.keep(id, batch, row)
    }

    /// Lets go of what was kept of the row at hand.
    fn end_row(&mut self, id: StateId, kept: Taken) {
        if kept < HERE {
            self.store.drop_event(id, kept);
        }
    }

    /// Fills `candidates` with the matches waiting at a state that take the row at hand.
    fn select(&mut self, id: StateId) {
        let (batch, row) = self.row.expect("a row is shown");
        self.candidates.clear();
        if !self.filters[id].passes(row) {
            return;
        }
        let pending = &self.lists.states[id].pending;
        if pending.is_indexed() {
            let Some(hash) = self.filters[id].hash_of_row(batch, row) else { return };
            self.numbers.clear();
            pending.find(hash, self.numbers);
            let found = self.numbers.iter();
            self.candidates.extend(found.filter_map(|&n| Some((n, pending.get(n)?))));
        } else {
            self.candidates.extend(pending.numbers().filter_map(|n| Some((n, pending.get(n)?))));
        }
        self.filters[id].select(self.candidates, self.store, (batch, row), self.context);
    }

    /// Whether one match takes the row at hand.
    fn takes(&mut self, id: StateId, number: u64, of: Match) -> bool {
        let (batch, row) = self.row.expect("a row is shown");
        if !self.filters[id].passes(row) {
            return false;
        }
        self.candidates.clear();
        self.candidates.push((number, of));
        self.filters[id].select(self.candidates, self.store, (batch, row), self.context);
        !self.candidates.is_empty()
    }

    /// Puts the match at hand out if it has become whole.
    pub fn look_for_whole(&mut self, of: Match) {
        if std::mem::take(&mut self.whole) {
            self.emit(of);
        }
    }

    fn take_one(&mut self, id: StateId) {
        let shape = self.shape;
        let state = &shape.states[id];
        if self.lists.states[id].pending.is_empty() {
            return;
        }
        self.select(id);
        let taken = std::mem::take(self.candidates);
        if shape.sequence && taken.len() < self.lists.states[id].pending.len() {
            self.restart(id);
        }
        // The row at hand holds the event as long as it is at hand.
        let (mut kept, time) = (HERE, self.time());
        for &(number, of) in &taken {
            self.store.retain(of);
            self.leave(id, number);
            if state.next.is_some() && kept == HERE {
                kept = self.keep(id);
            }
            self.store.take(of, id, kept, time);
            if state.is_start {
                self.watch(of);
            }
            self.go_on_here(id, of);
            self.look_for_whole(of);
            if kept == HERE && self.store.waits_elsewhere(of) {
                // A count before it must know that its match has gone on.
                self.store.set(of, id, EMPTY);
            }
            self.store.release(of);
        }
        self.end_row(id, kept);
        *self.candidates = taken;
        if shape.sequence {
            for number in self.lists.states[id].pending.numbers() {
                self.leave(id, number);
            }
        }
    }

    /// What becomes of a match that has taken its event at a state.
    fn pass(&mut self, id: StateId, of: Match) {
        let time = self.time();
        self.store.set_time(of, time);
        self.go_on_here(id, of);
    }

    fn go_on_here(&mut self, id: StateId, of: Match) {
        if self.shape.states[id].ends {
            self.whole = true;
        }
        self.go_on(id, of);
        self.restart(id);
    }

    /// The event came that should not: the match is over.
    fn take_unwanted(&mut self, id: StateId, wait: Millis) {
        if !self.lists.states[id].active || self.lists.states[id].pending.is_empty() {
            return;
        }
        self.select(id);
        let taken = std::mem::take(self.candidates);
        let shape = self.shape;
        let time = self.time();
        for &(number, of) in &taken {
            self.store.retain(of);
            self.leave(id, number);
            self.store.set_time(of, time);
            let state = &shape.states[id];
            if state.is_start && state.again == Some(id) {
                self.add_again(id, of);
            }
            self.wake_for_absence(id, time.saturating_add(wait));
            self.store.release(of);
        }
        *self.candidates = taken;
    }

    fn take_several(&mut self, id: StateId, min: u32, max: Option<u32>) {
        let mut kept = NONE;
        for number in self.lists.states[id].pending.numbers() {
            let Some(of) = self.lists.states[id].pending.get(number) else { continue };
            let states = self.shape.states.len();
            if (id + 1..states).any(|later| self.store.has(of, later)) {
                self.leave(id, number);
                continue;
            }
            if !self.takes(id, number, of) {
                if self.shape.sequence {
                    self.leave(id, number);
                }
                continue;
            }
            self.store.retain(of);
            if kept == NONE {
                kept = self.keep(id);
            }
            self.store.append(of, id, kept);
            self.watch(of);
            let time = self.time();
            self.store.set_time(of, time);
            let count = self.store.chain(of, id).len();
            if self.counted(id, of, count, (min, max)) {
                self.leave(id, number);
            }
            self.look_for_whole(of);
            self.store.release(of);
        }
        self.end_row(id, kept);
    }

    /// What becomes of a match that has so many events of a counting state; whether it has waited
    /// long enough there.
    fn counted(
        &mut self,
        id: StateId,
        of: Match,
        count: usize,
        (min, max): (u32, Option<u32>),
    ) -> bool {
        if count < min as usize {
            if self.shape.sequence {
                self.add(id, of);
            }
            return false;
        }
        let full = max.is_some_and(|max| count == max as usize);
        let shape = self.shape;
        if shape.sequence {
            if shape.states[id].ends && count == min as usize {
                self.reach_least(id, of);
                return true;
            }
            if let Some(next) = shape.states[id].next {
                self.add(next, of);
            }
            if !full {
                self.add(id, of);
            }
            return full;
        }
        if count == min as usize {
            self.reach_least(id, of);
            return full || shape.states[id].ends;
        }
        full
    }

    fn take_side(&mut self, id: StateId, side: Side) {
        let mut kept = NONE;
        for number in self.lists.states[id].pending.numbers() {
            let Some(of) = self.lists.states[id].pending.get(number) else { continue };
            if !side.and && self.store.has(of, side.partner) {
                self.leave(id, number);
                continue;
            }
            if !self.takes(id, number, of) {
                if self.shape.sequence {
                    self.leave(id, number);
                }
                continue;
            }
            self.store.retain(of);
            if kept == NONE {
                kept = self.keep(id);
            }
            self.give(of, id, kept);
            if !side.and || self.other_allows(side.partner, of) {
                self.pass(id, of);
            }
            self.leave(id, number);
            self.look_for_whole(of);
            self.store.release(of);
        }
        self.end_row(id, kept);
    }

    /// Whether the other side of an `and` has what it waits for.
    fn other_allows(&mut self, other: StateId, of: Match) -> bool {
        let Role::Side(side) = self.shape.states[other].role else { return false };
        let repeats = self.shape.states[other].again.is_some();
        let came = self.lists.states[other].last > 0;
        match side.absence {
            Absence::No => self.store.has(of, other),
            _ if self.shape.sequence && !repeats && came => false,
            Absence::For(_) => self.store.has(of, other),
            Absence::Always if !repeats => !self.store.has(of, other),
            Absence::Always if came => {
                self.lists.states[other].last = 0;
                self.init(other);
                false
            }
            Absence::Always => true,
        }
    }

    /// The event came that should not, beside another that may.
    fn take_unwanted_side(&mut self, id: StateId, side: Side) {
        if !self.lists.states[id].active {
            return;
        }
        let shape = self.shape;
        let repeats = shape.states[id].again.is_some();
        let undone = side.absence != Absence::Always || shape.sequence && side.and && repeats;
        let leads = shape.states[id].leads;
        let mut kept = NONE;
        for number in self.lists.states[id].pending.numbers() {
            let Some(of) = self.lists.states[id].pending.get(number) else { continue };
            if !side.and && self.store.has(of, side.partner) {
                self.leave(id, number);
                continue;
            }
            if self.takes(id, number, of) {
                self.store.retain(of);
                if !undone {
                    if kept == NONE {
                        kept = self.keep(id);
                    }
                    self.give(of, id, kept);
                }
                self.lists.states[id].last = self.time();
                if !leads {
                    self.leave(id, number);
                    if shape.sequence && self.lists.states[side.partner].pending.remove(of) {
                        self.store.release(of);
                    }
                }
                self.store.release(of);
            } else if shape.sequence {
                self.leave(id, number);
            }
        }
        self.end_row(id, kept);
    }
}
