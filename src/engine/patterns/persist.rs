//! The state of a pattern: matches and events by handle, the lists by copy.

use crate::engine::patterns::PatternStep;
use crate::engine::patterns::lists::Lists;
use crate::engine::patterns::store::HERE;
use crate::engine::patterns::store::Match;
use crate::engine::patterns::store::Store;
use crate::engine::patterns::store::Taken;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Millis;

impl PatternStep {
    /// The format of what [`PatternStep::save`] writes; raise it with every change.
    pub const VERSION: u16 = 1;

    /// Writes all state.
    pub fn save(&self, state: &mut StateWriter) {
        self.store.matches.save(state);
        self.store.chains.save(state);
        self.store.events.iter().for_each(|events| events.rows.save(state));
        state.put(&self.slots.len());
        for lists in &self.slots {
            state.put(&lists.is_some());
            let Some(lists) = lists else { continue };
            state.put(&(lists.started, lists.calm));
            for waiting in &lists.states {
                state.put(&waiting.pending.iter().collect::<Vec<Match>>());
                state.put(&waiting.fresh.iter().copied().collect::<Vec<Match>>());
                state.put(&(waiting.initialized, waiting.active));
                state.put(&waiting.restart);
                state.put(&waiting.last);
            }
        }
    }

    /// Takes what [`PatternStep::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.store.matches.load(state)?;
        self.store.refs.clear();
        self.store.refs.resize(self.store.matches.used(), 0);
        self.store.chains.load(state)?;
        for events in &mut self.store.events {
            events.rows.load(state)?;
            events.refs.clear();
        }
        let slots: usize = state.get()?;
        self.slots.clear();
        let mut lost = Lost::of(&self.store);
        for _ in 0..slots {
            let lists = match state.get()? {
                true => Some(Box::new(self.load_lists(state, &mut lost)?)),
                false => None,
            };
            self.slots.push(lists);
        }
        lost.check()?;
        self.hash_again();
        Ok(())
    }

    fn load_lists(
        &mut self,
        state: &mut StateReader<'_>,
        lost: &mut Lost,
    ) -> Result<Lists, LoadError> {
        let mut lists = self.shape.lists(&self.filters);
        lists.started = state.get()?;
        lists.calm = state.get::<(Millis, Millis)>()?;
        for waiting in &mut lists.states {
            let pending: Vec<Match> = state.get()?;
            let fresh: Vec<Match> = state.get()?;
            for &of in pending.iter().chain(&fresh) {
                lost.find(of, &mut self.store)?;
            }
            // Hashes are told when all events are known to be there.
            pending.into_iter().for_each(|of| waiting.pending.push(of, 0));
            waiting.fresh = fresh.into();
            (waiting.initialized, waiting.active) = state.get()?;
            waiting.restart = state.get()?;
            waiting.last = state.get()?;
        }
        Ok(lists)
    }

    /// Puts the waiting matches under their hashes.
    fn hash_again(&mut self) {
        for lists in self.slots.iter_mut().flatten() {
            for (waiting, filter) in lists.states.iter_mut().zip(&self.filters) {
                if !waiting.pending.is_indexed() {
                    continue;
                }
                let all: Vec<Match> = waiting.pending.iter().collect();
                all.iter().for_each(|_| waiting.pending.take_front());
                for of in all {
                    waiting.pending.push(of, filter.hash_of_match(of, &self.store));
                }
            }
        }
    }
}

/// Matches that no list has named yet. Who holds what is counted while lists are read.
struct Lost {
    found: usize,
    held: usize,
    chains: usize,
}

impl Lost {
    fn of(store: &Store) -> Lost {
        Lost { found: 0, held: store.matches.held(), chains: 0 }
    }

    /// Notes that a list names a match.
    fn find(&mut self, of: Match, store: &mut Store) -> Result<(), LoadError> {
        if !store.matches.holds(of) || store.matches.get(of).taken.len() != store.events.len() {
            return Err(LoadError::Malformed);
        }
        let refs = &mut store.refs[of as usize];
        *refs += 1;
        if *refs > 1 {
            return Ok(());
        }
        self.found += 1;
        let taken = store.matches.get(of).taken.clone();
        for (state, &taken) in taken.iter().enumerate().filter(|(_, taken)| **taken < HERE) {
            self.hold(state, taken, store)?;
        }
        // The row at hand is no event that can be kept.
        if taken.contains(&HERE) { Err(LoadError::Malformed) } else { Ok(()) }
    }

    fn hold(&mut self, state: usize, taken: Taken, store: &mut Store) -> Result<(), LoadError> {
        if !store.events[state].counts {
            return hold_event(state, taken, store);
        }
        if !store.chains.holds(taken) {
            return Err(LoadError::Malformed);
        }
        let chain = store.chains.get_mut(taken);
        chain.refs += 1;
        if chain.refs > 1 {
            return Ok(());
        }
        self.chains += 1;
        let places = chain.places.clone();
        if places.is_empty() {
            return Err(LoadError::Malformed);
        }
        places.iter().try_for_each(|&place| hold_event(state, place, store))
    }

    /// Whether all that was saved belongs to a list.
    fn check(&self) -> Result<(), LoadError> {
        if self.found == self.held { Ok(()) } else { Err(LoadError::Malformed) }
    }
}

fn hold_event(state: usize, place: u32, store: &mut Store) -> Result<(), LoadError> {
    let events = &mut store.events[state];
    if !events.rows.holds(place) {
        return Err(LoadError::Malformed);
    }
    if place as usize >= events.refs.len() {
        events.refs.resize(place as usize + 1, 0);
    }
    events.refs[place as usize] += 1;
    Ok(())
}
