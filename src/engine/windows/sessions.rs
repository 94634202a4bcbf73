//! Sessions by slot and key, and the moments at which they are over.

use crate::engine::rows::Place;
use crate::engine::rows::Pool;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::WindowSetup;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Map;
use crate::event::Millis;
use crate::event::Slot;
use crate::event::Text;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::VecDeque;

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Quiet for so long, a session is over.
    pub gap: Millis,
    /// It is held so much longer for late rows.
    pub latency: Millis,
}

/// Rows of a key without a gap between them.
#[derive(Clone, Debug, Default)]
struct Session {
    rows: VecDeque<Place>,
    start: Millis,
    end: Millis,
}

/// The session of a key that is open and the one before, held for late rows.
#[derive(Clone, Debug, Default)]
struct Pair {
    key: Text,
    /// Counts the keys of a slot as they appear.
    born: u64,
    current: Session,
    previous: Session,
    /// By when its ends are looked after.
    scheduled: Option<Millis>,
}

impl Pair {
    fn is_empty(&self) -> bool {
        self.current.rows.is_empty() && self.previous.rows.is_empty()
    }

    /// When the first of its sessions is over.
    fn due(&self, span: Span) -> Option<Millis> {
        let current = Some(self.current.end).filter(|_| !self.current.rows.is_empty());
        let held = self.previous.end.saturating_add(span.latency);
        let previous = Some(held).filter(|_| !self.previous.rows.is_empty());
        current.into_iter().chain(previous).min()
    }

    /// Joins the session before with the open one if no gap is left between them.
    fn merge(&mut self, span: Span) {
        let touches = self.previous.end >= self.current.start.saturating_sub(span.gap);
        if self.previous.rows.is_empty() || !touches {
            return;
        }
        let mut rows = std::mem::take(&mut self.previous.rows);
        rows.append(&mut self.current.rows);
        self.current.rows = rows;
        self.current.start = self.previous.start;
    }
}

/// The keys of one slot.
#[derive(Clone, Debug, Default)]
struct Keys {
    pairs: Vec<Pair>,
    free: Vec<usize>,
    by_key: Map<Text, usize>,
    born: u64,
    /// When a key is to be looked after: the moment, its birth, its place. One entry a key is
    /// meant, the one its pair is scheduled by.
    agenda: BinaryHeap<Reverse<(Millis, u64, usize)>>,
    /// Rows of sessions that are over and have not been put out yet.
    leaving: Vec<Place>,
}

/// All sessions.
pub struct Sessions {
    rows: Pool,
    slots: Vec<Keys>,
}

impl Sessions {
    /// No sessions.
    pub fn new(setup: &WindowSetup<'_>) -> Sessions {
        Sessions { rows: Pool::new(setup.types, setup.keep), slots: Vec::new() }
    }

    /// How many rows are held.
    pub fn held(&self) -> usize {
        self.rows.held()
    }

    /// Takes a row; `false` if it is too late for any session.
    pub fn add(&mut self, key: &str, batch: &Batch, row: usize, span: Span) -> bool {
        let slot = batch.slot(row) as usize;
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, Keys::default());
        }
        let keys = &mut self.slots[slot];
        let place = keys.place(key);
        let taken = keys.take(place, batch, row, span, &mut self.rows);
        keys.schedule(place, span);
        taken
    }

    /// Ends the sessions that are over by `now`; [`Sessions::leave`] puts their rows out.
    pub fn time_out(&mut self, slot: Slot, now: Millis, span: Span) {
        if let Some(keys) = self.slots.get_mut(slot as usize) {
            keys.time_out(now, span);
        }
    }

    /// When the next session of a slot may be over.
    pub fn next_due(&mut self, slot: Slot) -> Option<Millis> {
        self.slots.get_mut(slot as usize)?.next_due()
    }

    /// Lets the rows of sessions that are over go; puts them out as expired if `output` is given.
    pub fn leave(&mut self, slot: Slot, now: Millis, mut output: Option<&mut Batch>) {
        let Some(keys) = self.slots.get_mut(slot as usize) else { return };
        for place in keys.leaving.drain(..) {
            if let Some(output) = &mut output {
                self.rows.put(place, Kind::Expired, now, slot, output);
            }
            self.rows.remove(place);
        }
    }

    /// Drops all sessions of a slot.
    pub fn forget(&mut self, slot: Slot) {
        let Some(keys) = self.slots.get_mut(slot as usize) else { return };
        // Places are given back in an order that a copy would keep.
        let mut pairs = std::mem::take(keys).pairs;
        pairs.sort_unstable_by_key(|pair| pair.born);
        for pair in pairs {
            let rows = pair.current.rows.into_iter().chain(pair.previous.rows);
            rows.for_each(|place| self.rows.remove(place));
        }
    }

    /// Writes all sessions.
    pub fn save(&self, state: &mut StateWriter) {
        self.rows.save(state);
        state.put(&(self.slots.len() as u32));
        for keys in &self.slots {
            // Where a pair lies is of no account, and another place in a copy.
            let mut live: Vec<&Pair> = keys.pairs.iter().filter(|pair| !pair.is_empty()).collect();
            live.sort_unstable_by_key(|pair| pair.born);
            state.put(&(keys.born, live.len() as u32));
            for pair in live {
                state.put(&pair.key);
                state.put(&(pair.born, pair.scheduled));
                for session in [&pair.current, &pair.previous] {
                    state.put(&(session.start, session.end));
                    state.put(&session.rows.iter().copied().collect::<Vec<Place>>());
                }
            }
        }
    }

    /// Takes what [`Sessions::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.rows.load(state)?;
        self.slots.clear();
        for _ in 0..state.get::<u32>()? {
            let (born, count): (u64, u32) = state.get()?;
            let mut keys = Keys { born, ..Keys::default() };
            for place in 0..count as usize {
                let mut pair = Pair { key: state.get()?, ..Pair::default() };
                (pair.born, pair.scheduled) = state.get()?;
                for session in [&mut pair.current, &mut pair.previous] {
                    (session.start, session.end) = state.get()?;
                    session.rows = state.get::<Vec<Place>>()?.into();
                    if !session.rows.iter().all(|&place| self.rows.holds(place)) {
                        return Err(LoadError::Malformed);
                    }
                }
                keys.by_key.insert(pair.key.clone(), place);
                let scheduled = pair.scheduled.map(|due| Reverse((due, pair.born, place)));
                keys.agenda.extend(scheduled);
                keys.pairs.push(pair);
            }
            self.slots.push(keys);
        }
        Ok(())
    }
}

impl Keys {
    /// Where a key's sessions are; makes room for a new key.
    fn place(&mut self, key: &str) -> usize {
        if let Some(&place) = self.by_key.get(key) {
            return place;
        }
        self.born += 1;
        let pair = Pair { key: Text::from(key), born: self.born, ..Pair::default() };
        let place = self.free.pop().unwrap_or(self.pairs.len());
        self.by_key.insert(pair.key.clone(), place);
        if place == self.pairs.len() {
            self.pairs.push(pair);
        } else {
            self.pairs[place] = pair;
        }
        place
    }

    /// Adds a row to the session it belongs to.
    fn take(&mut self, at: usize, batch: &Batch, row: usize, span: Span, rows: &mut Pool) -> bool {
        let own = batch.timestamps[row];
        let end = own.saturating_add(span.gap);
        let pair = &mut self.pairs[at];
        let (current, previous) = (&mut pair.current, &mut pair.previous);
        if current.rows.is_empty() {
            current.rows.push_back(rows.insert(batch, row));
            (current.start, current.end) = (own, end);
            return true;
        }
        if own >= current.start && own <= current.end {
            current.rows.push_back(rows.insert(batch, row));
            current.end = current.end.max(end);
            return true;
        }
        if own > current.end {
            // The row lies ahead of the clock, else the session would be over.
            if span.latency > 0 {
                self.leaving.extend(previous.rows.drain(..));
                std::mem::swap(previous, current);
                current.rows.push_back(rows.insert(batch, row));
                (current.start, current.end) = (own, end);
            }
            return true;
        }
        if own >= current.start.saturating_sub(span.gap) {
            current.rows.push_front(rows.insert(batch, row));
            current.start = own;
            pair.merge(span);
            return true;
        }
        if previous.rows.is_empty() || own < previous.start.saturating_sub(span.gap) {
            return false;
        }
        previous.rows.push_back(rows.insert(batch, row));
        if own < previous.start && end <= previous.end {
            previous.start = own;
        } else {
            previous.end = previous.end.max(end);
            pair.merge(span);
        }
        true
    }

    /// Puts a key on the agenda, unless it is there by then.
    fn schedule(&mut self, place: usize, span: Span) {
        let pair = &mut self.pairs[place];
        let Some(due) = pair.due(span) else { return };
        if pair.scheduled.is_none_or(|scheduled| scheduled > due) {
            pair.scheduled = Some(due);
            self.agenda.push(Reverse((due, pair.born, place)));
        }
    }

    /// Whether an entry of the agenda is meant.
    fn is_meant(&self, due: Millis, born: u64, place: usize) -> bool {
        self.pairs[place].born == born && self.pairs[place].scheduled == Some(due)
    }

    fn next_due(&mut self) -> Option<Millis> {
        while let Some(&Reverse((due, born, place))) = self.agenda.peek() {
            if self.is_meant(due, born, place) {
                return Some(due);
            }
            self.agenda.pop();
        }
        None
    }

    fn time_out(&mut self, now: Millis, span: Span) {
        let mut over: Vec<(Millis, u64, VecDeque<Place>)> = Vec::new();
        while let Some(&Reverse((due, born, place))) = self.agenda.peek() {
            if due > now {
                break;
            }
            self.agenda.pop();
            if !self.is_meant(due, born, place) {
                continue;
            }
            let pair = &mut self.pairs[place];
            pair.scheduled = None;
            if !pair.current.rows.is_empty() && pair.current.end <= now {
                let ended = std::mem::take(&mut pair.current);
                if span.latency > 0 {
                    let before = std::mem::replace(&mut pair.previous, ended);
                    over.push((before.end.saturating_add(span.latency), born, before.rows));
                } else {
                    over.push((ended.end, born, ended.rows));
                }
            }
            let held = pair.previous.end.saturating_add(span.latency);
            if !pair.previous.rows.is_empty() && held <= now {
                over.push((held, born, std::mem::take(&mut pair.previous).rows));
            }
            if pair.is_empty() {
                self.by_key.remove(&pair.key);
                self.free.push(place);
            } else {
                self.schedule(place, span);
            }
        }
        over.sort_by_key(|&(due, born, _)| (due, born));
        self.leaving.extend(over.into_iter().flat_map(|(_, _, rows)| rows));
    }
}
