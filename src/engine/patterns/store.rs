//! Matches on their way and the events that they took, shared between matches and counted.

use crate::engine::rows::Pool;
use crate::engine::rows::Slab;
use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::plan::pattern::StateId;
use smallvec::SmallVec;

/// A match on its way, by its place.
pub type Match = u32;

/// What a match has of a state: the place of an event, or of a chain where the state counts.
pub type Taken = u32;

/// Nothing.
pub const NONE: Taken = u32::MAX;
/// Nothing came, as it should be.
pub const EMPTY: Taken = u32::MAX - 1;
/// The row at hand, which is not kept.
pub const HERE: Taken = u32::MAX - 2;

/// The time of a match that has taken nothing.
pub const NO_TIME: Millis = -1;

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it last took something.
    pub time: Millis,
    /// Whether it was found too old.
    pub expired: bool,
    /// By state.
    pub taken: SmallVec<[Taken; 4]>,
}

/// The events that a counting state took for a match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain {
    pub places: SmallVec<[u32; 4]>,
    pub refs: u32,
}

/// Events that a state took.
#[derive(Debug)]
pub struct Events {
    pub rows: Pool,
    /// By how many matches and chains each is held.
    pub refs: Vec<u32>,
    /// Whether the state takes several: then matches hold chains.
    pub counts: bool,
}

/// All matches of a query and their events.
#[derive(Debug)]
pub struct Store {
    pub matches: Slab<Record>,
    /// By match: in how many lists it waits.
    pub refs: Vec<u32>,
    pub chains: Slab<Chain>,
    pub events: Vec<Events>,
}

impl Store {
    /// For states with events of these columns, of which some are kept; each with whether it
    /// counts.
    pub fn new(states: impl Iterator<Item = (Vec<DataType>, Vec<bool>, bool)>) -> Store {
        let events = |(types, keep, counts): (Vec<DataType>, Vec<bool>, bool)| Events {
            rows: Pool::new(&types, &keep),
            refs: Vec::new(),
            counts,
        };
        Store {
            matches: Slab::default(),
            refs: Vec::new(),
            chains: Slab::default(),
            events: states.map(events).collect(),
        }
    }

    /// A match that has taken nothing and waits nowhere.
    #[inline]
    pub fn fresh(&mut self) -> Match {
        // A match that is gone gives its record without a look at what it took: all is let go.
        if let Some(place) = self.matches.reuse() {
            let record = self.matches.get_mut(place);
            record.time = NO_TIME;
            record.expired = false;
            record.taken.fill(NONE);
            return place;
        }
        let taken = SmallVec::from_elem(NONE, self.events.len());
        let place = self.matches.insert(Record { time: NO_TIME, expired: false, taken });
        if place as usize >= self.refs.len() {
            self.refs.resize(place as usize + 1, 0);
        }
        place
    }

    /// A copy of a match that keeps what it took at states before `until`; waits nowhere.
    #[inline]
    pub fn copy(&mut self, of: Match, until: StateId) -> Match {
        let copy = self.fresh();
        for state in 0..until {
            let taken = self.taken(of, state);
            self.hold(state, taken);
            self.matches.get_mut(copy).taken[state] = taken;
        }
        self.matches.get_mut(copy).time = self.time(of);
        copy
    }

    /// Notes that a match waits in one list more.
    #[inline]
    pub fn retain(&mut self, of: Match) {
        self.refs[of as usize] += 1;
    }

    /// Notes that a match waits in one list less; one that waits nowhere is gone.
    #[inline]
    pub fn release(&mut self, of: Match) {
        let refs = &mut self.refs[of as usize];
        *refs -= 1;
        if *refs == 0 {
            for state in 0..self.events.len() {
                let taken = self.matches.get(of).taken[state];
                self.let_go(state, taken);
            }
            self.matches.remove(of);
        }
    }

    /// Whether a match that is held at this moment waits in a list, too.
    #[inline]
    pub fn waits_elsewhere(&self, of: Match) -> bool {
        self.refs[of as usize] > 1
    }

    /// When a match last took something.
    #[inline]
    pub fn time(&self, of: Match) -> Millis {
        self.matches.get(of).time
    }

    /// Notes when a match took something.
    #[inline]
    pub fn set_time(&mut self, of: Match, time: Millis) {
        self.matches.get_mut(of).time = time;
    }

    /// Gives a match something of a state, and notes when.
    #[inline]
    pub fn take(&mut self, of: Match, state: StateId, taken: Taken, time: Millis) {
        self.hold(state, taken);
        let record = self.matches.get_mut(of);
        record.time = time;
        let before = std::mem::replace(&mut record.taken[state], taken);
        self.let_go(state, before);
    }

    /// What a match has of a state.
    #[inline]
    pub fn taken(&self, of: Match, state: StateId) -> Taken {
        self.matches.get(of).taken[state]
    }

    /// Whether a match has anything of a state.
    #[inline]
    pub fn has(&self, of: Match, state: StateId) -> bool {
        self.taken(of, state) != NONE
    }

    /// Gives a match something of a state in place of what it has; gives that back, still held.
    #[inline]
    pub fn swap(&mut self, of: Match, state: StateId, taken: Taken) -> Taken {
        self.hold(state, taken);
        std::mem::replace(&mut self.matches.get_mut(of).taken[state], taken)
    }

    /// Gives a match something of a state in place of what it has.
    #[inline]
    pub fn set(&mut self, of: Match, state: StateId, taken: Taken) {
        let before = self.swap(of, state, taken);
        self.let_go(state, before);
    }

    /// Keeps a row as an event of a state. It is held until [`Store::drop_event`] is called for it.
    #[inline]
    pub fn keep(&mut self, state: StateId, batch: &Batch, row: usize) -> Taken {
        let events = &mut self.events[state];
        let place = events.rows.insert(batch, row);
        if place as usize >= events.refs.len() {
            events.refs.resize(place as usize + 1, 0);
        }
        events.refs[place as usize] = 1;
        place
    }

    /// Appends an event to what a match has of a counting state.
    pub fn append(&mut self, of: Match, state: StateId, place: u32) {
        self.events[state].refs[place as usize] += 1;
        match self.taken(of, state) {
            NONE => {
                let mut chain = Chain::default();
                chain.places.push(place);
                let chain = self.chains.insert(chain);
                self.set(of, state, chain);
            }
            chain => self.chains.get_mut(chain).places.push(place),
        }
    }

    /// The events that a match has of a counting state.
    #[inline]
    pub fn chain(&self, of: Match, state: StateId) -> &[u32] {
        match self.taken(of, state) {
            NONE => &[],
            chain => &self.chains.get(chain).places,
        }
    }

    #[inline]
    fn hold(&mut self, state: StateId, taken: Taken) {
        if taken >= HERE {
            return;
        }
        match self.events[state].counts {
            true => self.chains.get_mut(taken).refs += 1,
            false => self.events[state].refs[taken as usize] += 1,
        }
    }

    /// Lets go of what a match had.
    #[inline]
    pub fn let_go(&mut self, state: StateId, taken: Taken) {
        if taken >= HERE {
            return;
        }
        if !self.events[state].counts {
            return self.drop_event(state, taken);
        }
        let chain = self.chains.get_mut(taken);
        chain.refs -= 1;
        if chain.refs == 0 {
            let places = std::mem::take(&mut chain.places);
            self.chains.remove(taken);
            places.iter().for_each(|&place| self.drop_event(state, place));
        }
    }

    /// Holds an event in one place less.
    #[inline]
    pub fn drop_event(&mut self, state: StateId, place: u32) {
        let Events { rows, refs, .. } = &mut self.events[state];
        refs[place as usize] -= 1;
        if refs[place as usize] == 0 {
            rows.remove(place);
        }
    }

    /// The own time of the first event that a match has of a state.
    #[inline]
    pub fn first_time(&self, of: Match, state: StateId) -> Option<Millis> {
        let taken = self.taken(of, state);
        if taken == EMPTY {
            return Some(NO_TIME);
        }
        if taken >= HERE {
            return None;
        }
        let events = &self.events[state];
        let place = if events.counts { self.chains.get(taken).places[0] } else { taken };
        Some(events.rows.timestamp(place))
    }

    /// Where a value of an event lies.
    #[inline]
    pub fn value(&self, state: StateId, place: u32, column: usize) -> (&Column, usize) {
        self.events[state].rows.column(column, place)
    }

    /// How many events are held.
    pub fn held(&self) -> usize {
        self.events.iter().map(|events| events.rows.held()).sum()
    }
}

impl Encode for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.time, self.expired).encode(out);
        self.taken.to_vec().encode(out);
    }

    /// Who holds it is counted by the lists.
    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (time, expired) = <(Millis, bool)>::decode(from)?;
        let taken = SmallVec::from_vec(Vec::decode(from)?);
        Ok(Record { time, expired, taken })
    }
}

impl Encode for Chain {
    fn encode(&self, out: &mut Vec<u8>) {
        self.places.to_vec().encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Chain { places: SmallVec::from_vec(Vec::decode(from)?), refs: 0 })
    }
}
