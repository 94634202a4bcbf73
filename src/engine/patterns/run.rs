//! How matches come to states and leave them: what all that happens has in common.

use crate::engine::context::Context;
use crate::engine::patterns::Shape;
use crate::engine::patterns::filter::Filter;
use crate::engine::patterns::lists::Lists;
use crate::engine::patterns::reader::Reader;
use crate::engine::patterns::store::Match;
use crate::engine::patterns::store::NO_TIME;
use crate::engine::patterns::store::NONE;
use crate::engine::patterns::store::Store;
use crate::engine::patterns::store::Taken;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::pattern::Absence;
use crate::plan::pattern::Role;
use crate::plan::pattern::Side;
use crate::plan::pattern::StateId;

/// What happens at one moment to the matches of one partition key.
pub struct Run<'a> {
    pub shape: &'a Shape,
    pub filters: &'a mut [Filter],
    pub store: &'a mut Store,
    pub lists: &'a mut Lists,
    pub slot: Slot,
    pub context: &'a mut Context,
    pub output: &'a mut Batch,
    /// The row at hand, if one is the cause.
    pub row: Option<(&'a Batch, usize)>,
    /// Whether the match at hand has become whole.
    pub whole: bool,
    /// The states whose matches change; see [`Run::select`].
    pub candidates: &'a mut Vec<(u64, Match)>,
    /// Numbers at hand, kept for their memory.
    pub numbers: &'a mut Vec<u64>,
}

impl Run<'_> {
    /// Puts the empty match to the states that can begin one.
    pub fn init(&mut self, id: StateId) {
        let state = &self.shape.states[id];
        if !state.is_start {
            return;
        }
        let before_absence = self.shape.sequence
            && state.next.is_some_and(|next| self.shape.states[next].is_absent());
        if !self.lists.states[id].initialized || state.again.is_some() || before_absence {
            let fresh = self.store.fresh();
            self.store.retain(fresh);
            self.add(id, fresh);
            self.store.release(fresh);
            self.lists.states[id].initialized = true;
        }
    }

    /// Lets a match wait at a state from the next row on.
    pub fn add(&mut self, id: StateId, of: Match) {
        let state = &self.shape.states[id];
        let sequence = self.shape.sequence;
        match state.role {
            Role::One => {
                if !sequence || self.lists.states[id].fresh.is_empty() {
                    self.enlist(id, of);
                }
            }
            Role::Count { min, .. } => {
                if !sequence || self.lists.states[id].fresh.is_empty() {
                    self.enlist(id, of);
                }
                if min == 0 && !self.store.has(of, id) {
                    self.reach_least(id, of);
                }
            }
            Role::Side(side) => self.add_side(id, side, of),
            Role::Absent(wait) => {
                if !self.lists.states[id].active {
                    return;
                }
                if sequence {
                    self.drop_fresh(id);
                }
                self.enlist(id, of);
                if !state.is_start {
                    self.wake_for_absence(id, self.store.time(of).saturating_add(wait));
                }
            }
        }
    }

    fn add_side(&mut self, id: StateId, side: Side, of: Match) {
        let state = &self.shape.states[id];
        if side.absence != Absence::No && !self.lists.states[id].active {
            return;
        }
        let once = state.is_start || self.shape.sequence;
        for id in [id, side.partner] {
            if !once || self.lists.states[id].fresh.is_empty() {
                self.enlist(id, of);
            }
        }
        let Absence::For(wait) = side.absence else { return };
        if !state.is_start {
            let time = self.store.time(of);
            self.wake(id, time.saturating_add(wait));
            if let Some(wait) = self.shape.states[side.partner].wait() {
                self.wake(side.partner, time.saturating_add(wait));
            }
        }
    }

    /// Puts a match to the fresh ones of a state.
    #[inline]
    pub fn enlist(&mut self, id: StateId, of: Match) {
        self.store.retain(of);
        self.lists.states[id].fresh.push_back(of);
        self.watch(of);
    }

    /// Minds when a match becomes too old.
    #[inline]
    pub fn watch(&mut self, of: Match) {
        if let Some(within) = self.shape.within
            && let Some(times) = self.starts(of)
        {
            self.lists.narrow(times, within);
        }
    }

    /// The least and the greatest time of the events with which a match began.
    fn starts(&self, of: Match) -> Option<(Millis, Millis)> {
        let times = self.shape.starts.iter().filter_map(|&id| self.store.first_time(of, id));
        times.fold(None, |known, time| match known {
            None => Some((time, time)),
            Some((first, last)) => Some((time.min(first), time.max(last))),
        })
    }

    /// Lets a new match begin at the first state of an `every`, with what `of` took before it.
    pub fn add_again(&mut self, id: StateId, of: Match) {
        let state = &self.shape.states[id];
        match state.role {
            Role::One | Role::Count { .. } => {
                let copy = self.store.copy(of, id);
                self.enlist(id, copy);
            }
            Role::Absent(wait) => {
                let copy = self.store.copy(of, id);
                self.enlist(id, copy);
                self.wake_for_absence(id, self.store.time(of).saturating_add(wait));
            }
            Role::Side(Side { partner, absence, .. }) => {
                let absent = absence != Absence::No;
                let until = if absent { self.store.events.len() } else { id };
                let copy = self.store.copy(of, until);
                if absent && let Some(time) = self.store.first_time(copy, id) {
                    self.store.set_time(copy, time);
                }
                self.store.set(copy, id, NONE);
                self.store.set(copy, partner, NONE);
                self.enlist(id, copy);
                self.enlist(partner, copy);
            }
        }
    }

    /// What becomes of a match that has taken what a state waits for.
    pub fn go_on(&mut self, id: StateId, of: Match) {
        let state = &self.shape.states[id];
        if let Some(next) = state.next {
            self.add(next, of);
        }
        if let Some(again) = state.again {
            self.add_again(again, of);
        }
    }

    /// What becomes of a match that has as many events of a counting state as it needs.
    pub fn reach_least(&mut self, id: StateId, of: Match) {
        if self.shape.states[id].ends {
            self.whole = true;
        }
        self.go_on(id, of);
    }

    /// Lets the count before a state begin anew.
    pub fn restart(&mut self, id: StateId) {
        if let Some(count) = self.shape.states[id].restarts {
            self.lists.states[count].restart = true;
        }
    }

    /// Shows the fresh matches of a state to rows from now on.
    pub fn update(&mut self, id: StateId) {
        if std::mem::take(&mut self.lists.states[id].restart) {
            self.init(id);
        }
        self.ripen(id);
        if let Some(partner) = self.shape.states[id].partner() {
            self.ripen(partner);
        }
    }

    fn ripen(&mut self, id: StateId) {
        let waiting = &mut self.lists.states[id];
        if waiting.fresh.len() > 1 {
            // Older ones first; those that have taken nothing stand last.
            let store = &*self.store;
            let key = |of: &Match| match store.time(*of) {
                NO_TIME => Millis::MAX,
                time => time,
            };
            waiting.fresh.make_contiguous().sort_by_key(key);
        }
        while let Some(of) = waiting.fresh.pop_front() {
            let hash = match waiting.pending.is_indexed() {
                true => self.filters[id].hash_of_match(of, self.store),
                false => 0,
            };
            waiting.pending.push(of, hash);
        }
    }

    /// Ends the matches of a sequence that the row before did not lead on.
    pub fn reset(&mut self, id: StateId) {
        let state = &self.shape.states[id];
        match state.role {
            Role::Side(Side { and, partner, .. }) => {
                let [mine, theirs] = [id, partner].map(|id| self.lists.states[id].pending.len());
                if and && mine != theirs {
                    return;
                }
                self.drop_pending(id);
                self.drop_pending(partner);
            }
            _ => self.drop_pending(id),
        }
        let always = matches!(state.role, Role::Absent(_));
        if !state.is_start || !always && !self.lists.states[id].fresh.is_empty() {
            return;
        }
        let goes_on = state.next.is_some_and(|next| !self.lists.states[next].pending.is_empty());
        if !(self.shape.sequence && state.again.is_none() && goes_on) {
            self.init(id);
        }
    }

    fn drop_pending(&mut self, id: StateId) {
        while let Some(of) = self.lists.states[id].pending.front() {
            self.lists.states[id].pending.take_front();
            self.store.release(of);
        }
    }

    fn drop_fresh(&mut self, id: StateId) {
        while let Some(of) = self.lists.states[id].fresh.pop_front() {
            self.store.release(of);
        }
    }

    /// Ends all matches that wait behind the first state.
    pub fn drop_begun(&mut self) {
        for id in 1..self.shape.states.len() {
            self.drop_pending(id);
            self.drop_fresh(id);
        }
    }

    /// Takes an entry out of those that wait at a state.
    #[inline]
    pub fn leave(&mut self, id: StateId, number: u64) {
        if let Some(of) = self.lists.states[id].pending.get(number) {
            self.lists.states[id].pending.take(number);
            self.watch_front(id);
            self.store.release(of);
        }
    }

    /// Only the front of those that wait is looked at by age.
    #[inline]
    fn watch_front(&mut self, id: StateId) {
        if self.shape.within.is_some()
            && let Some(front) = self.lists.states[id].pending.front()
        {
            self.watch(front);
        }
    }

    /// Whether a match is too old.
    pub fn is_expired(&self, of: Match, now: Millis) -> bool {
        self.shape.within.is_some_and(|within| {
            self.starts(of).is_some_and(|(first, last)| {
                now.saturating_sub(first) > within || last.saturating_sub(now) > within
            })
        })
    }

    /// Ends the matches that are too old at a time.
    pub fn expire(&mut self, now: Millis) {
        if self.shape.within.is_none() || self.lists.is_calm(now) {
            return;
        }
        for id in 0..self.shape.states.len() {
            self.expire_at(id, now);
        }
        self.lists.calm = (Millis::MIN, Millis::MAX);
        for id in 0..self.shape.states.len() {
            self.watch_front(id);
            self.watch_fresh(id);
        }
    }

    fn watch_fresh(&mut self, id: StateId) {
        let fresh = &self.lists.states[id].fresh;
        if self.shape.in_order && fresh.len() > 2 {
            let ends = [fresh[0], fresh[fresh.len() - 1]];
            ends.into_iter().for_each(|of| self.watch(of));
            return;
        }
        for place in 0..fresh.len() {
            self.watch(self.lists.states[id].fresh[place]);
        }
    }

    fn expire_at(&mut self, id: StateId, now: Millis) {
        let mut latest: Option<Match> = None;
        while let Some(of) = self.lists.states[id].pending.front() {
            if !self.is_expired(of, now) {
                break;
            }
            self.lists.states[id].pending.take_front();
            self.note_expired(of, &mut latest);
        }
        self.expire_fresh(id, now, &mut latest);
        let Some(of) = latest else { return };
        if let Some(first) = self.shape.states[id].rearms {
            self.add_again(first, of);
            self.update(first);
        }
        self.store.release(of);
    }

    /// Keeps the match that was found too old last, in place of the one before.
    fn note_expired(&mut self, of: Match, latest: &mut Option<Match>) {
        if std::mem::replace(&mut self.store.matches.get_mut(of).expired, true) {
            return self.store.release(of);
        }
        if let Some(before) = latest.replace(of) {
            self.store.release(before);
        }
    }

    fn expire_fresh(&mut self, id: StateId, now: Millis, latest: &mut Option<Match>) {
        if self.shape.in_order {
            // Those that came first began first.
            while let Some(&of) = self.lists.states[id].fresh.front()
                && self.is_expired(of, now)
            {
                self.lists.states[id].fresh.pop_front();
                self.note_expired(of, latest);
            }
            let newest = self.lists.states[id].fresh.back();
            if newest.is_none_or(|&of| !self.is_expired(of, now)) {
                return;
            }
        }
        for of in std::mem::take(&mut self.lists.states[id].fresh) {
            match self.is_expired(of, now) {
                true => self.note_expired(of, latest),
                false => self.lists.states[id].fresh.push_back(of),
            }
        }
    }

    /// Puts a match out.
    pub fn emit(&mut self, of: Match) {
        let reader = Reader { store: self.store, here: self.row, own: None };
        for (capture, column) in self.shape.captures.iter().zip(&mut self.output.columns) {
            reader.push(of, capture, column);
        }
        let time = reader.time(of);
        self.output.push_head(time, Kind::Current, self.slot);
    }

    /// Gives a match something of a state.
    pub fn give(&mut self, of: Match, id: StateId, taken: Taken) {
        self.store.set(of, id, taken);
        if self.shape.states[id].is_start {
            self.watch(of);
        }
    }

    /// Looks at an absence again at a time.
    pub fn wake_for_absence(&mut self, id: StateId, at: Millis) {
        self.lists.states[id].last = at;
        self.wake(id, at);
    }

    /// Wakes a state at a time.
    pub fn wake(&mut self, id: StateId, at: Millis) {
        self.context.operator = self.shape.first_operator + id as u32;
        self.context.wake_at(at, self.slot);
    }
}
