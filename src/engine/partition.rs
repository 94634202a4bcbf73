//! `partition with (…)`: rows to keys, keys to numbers by which all inner steps hold their state.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Map;
use crate::event::Millis;
use crate::event::Slot;
use crate::event::Text;
use crate::event::Values;
use crate::plan::logical::Purge;
use crate::plan::logical::QueryId;
use crate::plan::logical::StreamId;
use std::collections::BTreeSet;

/// The keys of a partition.
pub struct Partition {
    slots: Map<Text, Slot>,
    /// By slot; a key that was purged leaves its slot to a later one.
    keys: Vec<Text>,
    /// By slot: when the key first appeared, as a count.
    pub births: Vec<u64>,
    /// By slot: when a row of the key was last seen.
    last_seen: Vec<Millis>,
    free: Vec<Slot>,
    born: u64,
    /// Keys that have appeared since somebody last looked.
    pub fresh: Vec<Slot>,
    /// How streams reach the queries inside.
    pub routes: Vec<Route>,
    /// `@purge`.
    pub purge: Option<Purge>,
    rows: Vec<u32>,
    numbers: Vec<Slot>,
    text: String,
}

/// How one stream reaches the queries inside.
pub struct Route {
    /// The stream.
    pub stream: StreamId,
    /// What gives a row its keys; `None`: a row goes to every key there is.
    pub by: Option<RouteBy>,
    /// The queries inside that read it, with their ports, in order of text.
    pub readers: Vec<(QueryId, usize)>,
    /// Which of the stream's columns any of them reads; the others are not copied.
    pub reads: Vec<bool>,
    /// The rows last routed, with their slots; away while they are on their way.
    pub routed: Option<Box<Batch>>,
}

/// What gives a row its keys.
pub enum RouteBy {
    /// The value of an expression.
    Value(Box<dyn Kernel>),
    /// Each condition that holds.
    Ranges(Vec<(Box<dyn Kernel>, Text)>),
}

impl Partition {
    /// A partition without keys.
    pub fn new(routes: Vec<Route>, purge: Option<Purge>) -> Partition {
        Partition {
            slots: Map::default(),
            keys: Vec::new(),
            births: Vec::new(),
            last_seen: Vec::new(),
            free: Vec::new(),
            born: 0,
            fresh: Vec::new(),
            routes,
            purge,
            rows: Vec::new(),
            numbers: Vec::new(),
            text: String::new(),
        }
    }

    /// Fills [`Route::routed`] of a route with the rows for the queries inside.
    pub fn route(&mut self, route: usize, input: &Batch, context: &mut Context) {
        self.rows.clear();
        self.numbers.clear();
        let mut by = self.routes[route].by.take();
        let frame = Frame::new(&input.columns, &input.timestamps);
        match &mut by {
            Some(RouteBy::Value(kernel)) => self.route_by_value(kernel, &frame, context),
            Some(RouteBy::Ranges(ranges)) => self.route_by_ranges(ranges, &frame, context),
            None => {
                let mut live: Vec<Slot> = self.slots.values().copied().collect();
                live.sort_unstable_by_key(|&slot| self.births[slot as usize]);
                if live.is_empty() {
                    context.drops.no_key += input.len() as u64;
                }
                let mut start = 0;
                while start < input.len() {
                    // Every key gets the whole chunk.
                    let end = input.chunk_end(start);
                    for &slot in &live {
                        self.rows.extend(start as u32..end as u32);
                        self.numbers.resize(self.rows.len(), slot);
                    }
                    start = end;
                }
            }
        }
        let route = &mut self.routes[route];
        route.by = by;
        let Some(routed) = &mut route.routed else { return };
        routed.clear();
        if let ([row], [slot]) = (&self.rows[..], &self.numbers[..]) {
            // One row is common, and needs none of what follows.
            let row = *row as usize;
            for (mine, theirs) in routed.columns.iter_mut().zip(&input.columns) {
                mine.push_from(theirs, row);
            }
            return routed.push_head(input.timestamps[row], input.kind(row), *slot);
        }
        let everything = self.rows.len() == input.len()
            && self.rows.iter().enumerate().all(|(place, &row)| place == row as usize);
        match everything {
            true => routed.extend(input, 0, input.len()),
            false => routed.gather(input, &self.rows),
        }
        if self.numbers.iter().any(|&slot| slot != 0) {
            routed.slots.clone_from(&self.numbers);
        }
        if input.continues.any() {
            // A chunk is cut where the key changes.
            for row in 1..self.rows.len() {
                if self.numbers[row] != self.numbers[row - 1] {
                    routed.continues.unset(row - 1);
                }
            }
        }
    }

    fn route_by_value(
        &mut self,
        kernel: &mut Box<dyn Kernel>,
        frame: &Frame<'_>,
        context: &mut Context,
    ) {
        let now = context.now;
        let key = kernel.evaluate(frame, context);
        if let (Values::Text(texts), false) = (&key.values, key.nulls.any()) {
            for (row, text) in texts[..frame.len()].iter().enumerate() {
                let slot = self.slot_of(text, now);
                self.rows.push(row as u32);
                self.numbers.push(slot);
            }
            return;
        }
        for row in 0..frame.len() {
            if key.is_null(row) {
                context.drops.no_key += 1;
                continue;
            }
            let mut text = std::mem::take(&mut self.text);
            text.clear();
            key.value(row).write_text(&mut text);
            let slot = self.slot_of(&text, now);
            self.text = text;
            self.rows.push(row as u32);
            self.numbers.push(slot);
        }
    }

    fn route_by_ranges(
        &mut self,
        ranges: &mut [(Box<dyn Kernel>, Text)],
        frame: &Frame<'_>,
        context: &mut Context,
    ) {
        let now = context.now;
        let mut holds: Vec<(&[bool], &Text)> = Vec::with_capacity(ranges.len());
        for (kernel, label) in ranges {
            holds.push((kernel.evaluate(frame, context).bools(), label));
        }
        for row in 0..frame.len() {
            let before = self.rows.len();
            for (passes, label) in &holds {
                if passes[row] {
                    let slot = self.slot_of(label, now);
                    self.rows.push(row as u32);
                    self.numbers.push(slot);
                }
            }
            if self.rows.len() == before {
                context.drops.no_key += 1;
            }
        }
    }

    #[inline]
    fn slot_of(&mut self, key: &str, now: Millis) -> Slot {
        if let Some(&slot) = self.slots.get(key) {
            self.last_seen[slot as usize] = now;
            return slot;
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.keys.push(Text::new());
                self.births.push(0);
                self.last_seen.push(0);
                (self.keys.len() - 1) as Slot
            }
        };
        let at = slot as usize;
        self.keys[at] = Text::from(key);
        self.births[at] = self.born;
        self.last_seen[at] = now;
        self.born += 1;
        self.fresh.push(slot);
        self.slots.insert(self.keys[at].clone(), slot);
        slot
    }

    /// Forgets keys that were idle for as long as `@purge` says and are not in use; gives their
    /// slots.
    pub fn take_idle(&mut self, now: Millis, in_use: &BTreeSet<Slot>) -> Vec<Slot> {
        let Some(purge) = self.purge else { return Vec::new() };
        let mut idle: Vec<Slot> = self
            .slots
            .values()
            .copied()
            .filter(|&slot| self.last_seen[slot as usize] + purge.idle <= now)
            .filter(|slot| !in_use.contains(slot))
            .collect();
        idle.sort_unstable_by_key(|&slot| self.births[slot as usize]);
        for &slot in &idle {
            let key = std::mem::take(&mut self.keys[slot as usize]);
            self.slots.remove(&key);
            self.free.push(slot);
        }
        idle
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Writes all keys.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.keys);
        state.put(&self.births);
        state.put(&self.last_seen);
        state.put(&self.free);
        state.put(&self.born);
    }

    /// Takes what [`Partition::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.keys = state.get()?;
        self.births = state.get()?;
        self.last_seen = state.get()?;
        self.free = state.get()?;
        self.born = state.get()?;
        let slots = self.keys.len();
        let sound = self.births.len() == slots
            && self.last_seen.len() == slots
            && self.free.iter().all(|&slot| (slot as usize) < slots);
        if !sound {
            return Err(LoadError::Malformed);
        }
        let mut is_free = vec![false; slots];
        self.free.iter().for_each(|&slot| is_free[slot as usize] = true);
        self.slots = (0..slots)
            .filter(|&slot| !is_free[slot])
            .map(|slot| (self.keys[slot].clone(), slot as Slot))
            .collect();
        Ok(())
    }
}
