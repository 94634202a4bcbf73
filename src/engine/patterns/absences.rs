//! Time has passed without an event that should not come.

use crate::engine::patterns::run::Run;
use crate::engine::patterns::store::EMPTY;
use crate::engine::patterns::store::Match;
use crate::engine::patterns::store::NO_TIME;
use crate::event::Millis;
use crate::plan::pattern::Role;
use crate::plan::pattern::Side;
use crate::plan::pattern::StateId;

impl Run<'_> {
    /// Begins to wait for the absences with which matches can begin.
    pub fn begin(&mut self, now: Millis) {
        for id in 0..self.shape.states.len() {
            let state = &self.shape.states[id];
            let Some(wait) = state.wait().filter(|_| state.is_start) else { continue };
            if !self.lists.states[id].active {
                continue;
            }
            match state.role {
                Role::Absent(_) => self.wake_for_absence(id, now.saturating_add(wait)),
                _ => self.wake(id, now.saturating_add(wait)),
            }
        }
    }

    /// The time for which a state waits may have passed.
    pub fn wake_up(&mut self, id: StateId, now: Millis) {
        if !self.lists.states[id].active {
            return;
        }
        match self.shape.states[id].role {
            Role::Absent(wait) => self.absent(id, wait, now),
            Role::Side(side) => {
                if let Some(wait) = self.shape.states[id].wait() {
                    self.absent_side(id, side, wait, now);
                }
            }
            Role::One | Role::Count { .. } => {}
        }
    }

    fn absent(&mut self, id: StateId, wait: Millis, now: Millis) {
        let shape = self.shape;
        let state = &shape.states[id];
        let waiting = &self.lists.states[id];
        let unseen = state.is_start && waiting.fresh.is_empty() && waiting.pending.is_empty();
        let over = shape.sequence && state.again.is_none() && waiting.last > 0;
        if unseen && !over {
            let fresh = self.store.fresh();
            self.store.retain(fresh);
            self.add(id, fresh);
            self.store.release(fresh);
        } else if shape.sequence && !self.lists.states[id].fresh.is_empty() {
            self.reset(id);
        }
        self.update(id);
        let mut passed: Vec<Match> = Vec::new();
        for number in self.lists.states[id].pending.numbers() {
            let Some(of) = self.lists.states[id].pending.get(number) else { continue };
            if self.is_expired(of, now) {
                self.store.retain(of);
                self.leave(id, number);
                if let Some(again) = state.again.filter(|&again| again != id)
                    && state.rearms.is_some()
                {
                    self.add_again(again, of);
                }
                self.store.release(of);
                continue;
            }
            let due = match self.store.time(of) {
                NO_TIME => self.lists.states[id].last,
                time => time.saturating_add(wait),
            };
            if now >= due {
                self.store.retain(of);
                self.leave(id, number);
                self.store.set_time(of, now);
                passed.push(of);
            }
        }
        if let Some(first) = state.rearms {
            self.update(first);
        }
        let none = passed.is_empty();
        for of in passed {
            self.send(id, of);
            self.store.release(of);
        }
        if none && self.lists.states[id].last < now {
            self.wake_for_absence(id, now.saturating_add(wait));
        }
    }

    /// A match goes on since nothing came.
    fn send(&mut self, id: StateId, of: Match) {
        let state = &self.shape.states[id];
        if state.ends {
            self.emit(of);
        }
        self.go_on(id, of);
        self.look_for_whole(of);
        if state.again.is_none() && state.is_start {
            self.lists.states[id].active = false;
        }
        self.restart(id);
    }

    fn absent_side(&mut self, id: StateId, side: Side, wait: Millis, now: Millis) {
        let shape = self.shape;
        let state = &shape.states[id];
        let mut processed = false;
        if now >= self.lists.states[id].last.saturating_add(wait) {
            let waiting = &self.lists.states[id];
            let unseen = waiting.fresh.is_empty() && waiting.pending.is_empty();
            if state.is_start && shape.sequence && unseen {
                let fresh = self.store.fresh();
                self.store.retain(fresh);
                self.add(id, fresh);
                self.store.release(fresh);
            } else if shape.sequence && !self.lists.states[id].fresh.is_empty() {
                self.reset(id);
            }
            self.update(id);
            let passed = self.pass_absent_side(id, side, wait, now);
            processed = !passed.is_empty();
            for of in passed {
                self.store.set_time(of, now);
                self.send(id, of);
                let state = &shape.states[id];
                let both_absent = shape.states[side.partner].is_absent();
                if state.again.is_none() && state.is_start && !side.and && both_absent {
                    self.lists.states[side.partner].active = false;
                }
                self.store.release(of);
            }
            self.lists.states[id].last = 0;
        }
        if state.again.is_some() || !processed && state.is_start {
            let from = match self.lists.states[id].last {
                0 => self.context.now,
                last => last,
            };
            self.wake(id, from.saturating_add(wait));
        }
    }

    /// The matches of an absent side that go on now.
    fn pass_absent_side(
        &mut self,
        id: StateId,
        side: Side,
        wait: Millis,
        now: Millis,
    ) -> Vec<Match> {
        let mut passed = Vec::new();
        let mut latest: Option<Match> = None;
        for number in self.lists.states[id].pending.numbers() {
            let Some(of) = self.lists.states[id].pending.get(number) else { continue };
            if self.is_expired(of, now) {
                self.store.retain(of);
                self.leave(id, number);
                if let Some(before) = latest.replace(of) {
                    self.store.release(before);
                }
                continue;
            }
            let since = self.store.first_time(of, id).unwrap_or(self.store.time(of));
            if now < since.saturating_add(wait) {
                continue;
            }
            self.store.retain(of);
            self.leave(id, number);
            let other_came = self.store.has(of, side.partner);
            match (side.and, other_came) {
                (false, false) => {
                    self.give(of, id, EMPTY);
                    passed.push(of);
                    continue;
                }
                (true, true) => {
                    passed.push(of);
                    continue;
                }
                // The other side may end it.
                (true, false) => self.give(of, id, EMPTY),
                (false, true) => {}
            }
            self.store.release(of);
        }
        if let Some(of) = latest {
            if let Some(first) = self.shape.states[id].rearms {
                self.add_again(first, of);
                self.update(first);
            }
            self.store.release(of);
        }
        passed
    }
}
