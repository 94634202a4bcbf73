//! What the windows of unique keys share: by slot, one row a key, in order of arrival.

use crate::engine::rows::Place;
use crate::engine::rows::Pool;
use crate::engine::rows::write_key;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::windows::WindowSetup;
use crate::event::Batch;
use crate::event::Kind;
use crate::event::Map;
use crate::event::Millis;
use crate::event::Slot;
use crate::plan::signature::ArgumentFault;
use std::collections::VecDeque;

/// A key with its row.
#[derive(Clone, Debug)]
struct Entry {
    key: Box<[u8]>,
    place: Place,
    /// Its turn among the rows of the slot.
    turn: u64,
    /// When it came.
    at: Millis,
}

/// The keys of one slot.
#[derive(Clone, Debug, Default)]
struct Keys {
    /// By number; those that are free are no longer in `by_key`.
    entries: Vec<Entry>,
    free: Vec<u32>,
    by_key: Map<Box<[u8]>, u32>,
    /// Turn and number of each row in order; those whose entry has another turn are gone.
    order: VecDeque<(u64, u32)>,
    next: u64,
}

/// One row a key.
pub struct Latest {
    columns: Vec<usize>,
    rows: Pool,
    slots: Vec<Keys>,
    key: Vec<u8>,
}

impl Latest {
    /// No rows. The attributes at these places of the arguments are the key.
    pub fn new(setup: &WindowSetup<'_>, places: &[usize]) -> Result<Latest, ArgumentFault> {
        let columns = places.iter().map(|&place| setup.column(place));
        Ok(Latest {
            columns: columns.collect::<Result<_, _>>()?,
            rows: Pool::new(setup.types, setup.keep),
            slots: Vec::new(),
            key: Vec::new(),
        })
    }

    /// How many rows are held.
    pub fn held(&self) -> usize {
        self.rows.held()
    }

    /// How many keys a slot has.
    pub fn keys(&self, slot: Slot) -> usize {
        self.slots.get(slot as usize).map_or(0, |keys| keys.by_key.len())
    }

    /// Whether there is a row of this row's key.
    pub fn knows(&mut self, batch: &Batch, row: usize) -> bool {
        write_key(&self.columns, batch, row, &mut self.key);
        let keys = self.slots.get(batch.slot(row) as usize);
        keys.is_some_and(|keys| keys.by_key.contains_key(&self.key[..]))
    }

    /// Puts in a row, as the last of its slot, in place of the row of its key, which is put out as
    /// expired at `at` if `output` is given.
    pub fn put(&mut self, batch: &Batch, row: usize, at: Millis, output: Option<&mut Batch>) {
        write_key(&self.columns, batch, row, &mut self.key);
        let slot = batch.slot(row);
        if self.slots.len() <= slot as usize {
            self.slots.resize(slot as usize + 1, Keys::default());
        }
        let keys = &mut self.slots[slot as usize];
        let turn = keys.next;
        keys.next += 1;
        let number = match keys.by_key.get(&self.key[..]) {
            Some(&number) => {
                let entry = &mut keys.entries[number as usize];
                if let Some(output) = output {
                    self.rows.put(entry.place, Kind::Expired, at, slot, output);
                }
                self.rows.remove(entry.place);
                entry.place = self.rows.insert(batch, row);
                (entry.turn, entry.at) = (turn, at);
                number
            }
            None => {
                let key: Box<[u8]> = self.key.as_slice().into();
                let place = self.rows.insert(batch, row);
                let entry = Entry { key: key.clone(), place, turn, at };
                let number = match keys.free.pop() {
                    Some(number) => {
                        keys.entries[number as usize] = entry;
                        number
                    }
                    None => {
                        keys.entries.push(entry);
                        keys.entries.len() as u32 - 1
                    }
                };
                keys.by_key.insert(key, number);
                number
            }
        };
        keys.order.push_back((turn, number));
        if keys.order.len() > 2 * keys.by_key.len() + 16 {
            let entries = &keys.entries;
            keys.order.retain(|&(turn, number)| entries[number as usize].turn == turn);
        }
    }

    /// The number of the slot's oldest row, and when it came.
    fn oldest(&mut self, slot: Slot) -> Option<(u32, Millis)> {
        let keys = self.slots.get_mut(slot as usize)?;
        while let Some(&(turn, number)) = keys.order.front() {
            let entry = &keys.entries[number as usize];
            if entry.turn == turn {
                return Some((number, entry.at));
            }
            keys.order.pop_front();
        }
        None
    }

    /// When the slot's oldest row came.
    pub fn oldest_at(&mut self, slot: Slot) -> Option<Millis> {
        self.oldest(slot).map(|(_, at)| at)
    }

    /// Lets the slot's oldest row leave; it is put out under a kind if `output` is given, at a time
    /// or at its own.
    pub fn pop(
        &mut self,
        slot: Slot,
        kind: Kind,
        at: Option<Millis>,
        output: Option<&mut Batch>,
    ) -> bool {
        let Some((number, _)) = self.oldest(slot) else { return false };
        let keys = &mut self.slots[slot as usize];
        keys.order.pop_front();
        let entry = &mut keys.entries[number as usize];
        // No row has this turn.
        entry.turn = u64::MAX;
        let place = entry.place;
        let key = std::mem::take(&mut entry.key);
        keys.by_key.remove(&key);
        keys.free.push(number);
        if let Some(output) = output {
            let at = at.unwrap_or_else(|| self.rows.timestamp(place));
            self.rows.put(place, kind, at, slot, output);
        }
        self.rows.remove(place);
        true
    }

    /// Drops the rows of a slot.
    pub fn forget(&mut self, slot: Slot) {
        while self.pop(slot, Kind::Expired, None, None) {}
    }

    /// The entries of a slot, the oldest first.
    fn in_order(&self, slot: Slot) -> impl Iterator<Item = &Entry> {
        let keys = self.slots.get(slot as usize);
        keys.into_iter().flat_map(|keys| {
            keys.order.iter().filter_map(|&(turn, number)| {
                let entry = &keys.entries[number as usize];
                (entry.turn == turn).then_some(entry)
            })
        })
    }

    /// Appends the rows of a slot under a kind, at a time or at their own.
    pub fn show(&self, slot: Slot, kind: Kind, at: Option<Millis>, into: &mut Batch) {
        for entry in self.in_order(slot) {
            let at = at.unwrap_or_else(|| self.rows.timestamp(entry.place));
            self.rows.put(entry.place, kind, at, slot, into);
        }
    }

    /// Appends the rows of a slot.
    pub fn contents(&self, slot: Slot, into: &mut Batch) {
        self.show(slot, Kind::Current, None, into);
    }

    /// Writes all rows.
    pub fn save(&self, state: &mut StateWriter) {
        self.rows.save(state);
        state.put(&(self.slots.len() as u32));
        for slot in 0..self.slots.len() as Slot {
            state.put(&(self.keys(slot) as u32));
            for entry in self.in_order(slot) {
                state.put(&entry.key.to_vec());
                state.put(&entry.place);
                state.put(&entry.at);
            }
        }
    }

    /// Takes what [`Latest::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.rows.load(state)?;
        self.slots.clear();
        for _ in 0..state.get::<u32>()? {
            let mut keys = Keys::default();
            for number in 0..state.get::<u32>()? {
                let key: Box<[u8]> = state.get::<Vec<u8>>()?.into();
                let (place, at) = (state.get()?, state.get()?);
                if !self.rows.holds(place) || keys.by_key.insert(key.clone(), number).is_some() {
                    return Err(LoadError::Malformed);
                }
                let turn = u64::from(number);
                keys.entries.push(Entry { key, place, turn, at });
                keys.order.push_back((turn, number));
                keys.next = turn + 1;
            }
            self.slots.push(keys);
        }
        Ok(())
    }
}
