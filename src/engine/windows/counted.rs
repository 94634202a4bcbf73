//! What the windows that count keys share: by slot, the newest row of each key, in order of the
//! keys' first appearance.

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

/// A key with its newest row.
#[derive(Clone, Debug)]
pub struct Entry {
    key: Box<[u8]>,
    place: Place,
    /// How often it has come, as far as that is known.
    pub count: i64,
    /// A number of the window's own.
    pub mark: i64,
}

/// The keys of one slot.
#[derive(Clone, Debug, Default)]
struct Keys {
    entries: Vec<Entry>,
    by_key: Map<Box<[u8]>, usize>,
}

/// The keys of all slots and their rows.
pub struct Counted {
    columns: Vec<usize>,
    rows: Pool,
    slots: Vec<Keys>,
    key: Vec<u8>,
}

impl Counted {
    /// No keys. The attributes from argument `first` on are the key; without any, all columns are.
    pub fn new(setup: &WindowSetup<'_>, first: usize) -> Result<Counted, ArgumentFault> {
        let columns = match first < setup.arguments.len() {
            true => (first..setup.arguments.len()).map(|place| setup.column(place)).collect(),
            false => Ok((0..setup.types.len()).collect()),
        };
        Ok(Counted {
            columns: columns?,
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
        self.slots.get(slot as usize).map_or(0, |keys| keys.entries.len())
    }

    /// All keys of a slot.
    pub fn entries(&mut self, slot: Slot) -> &mut [Entry] {
        self.slots.get_mut(slot as usize).map_or(&mut [], |keys| &mut keys.entries)
    }

    /// The entry of a row's key, if there is one; the row becomes its newest.
    pub fn renew(&mut self, batch: &Batch, row: usize) -> Option<&mut Entry> {
        write_key(&self.columns, batch, row, &mut self.key);
        let keys = self.slots.get_mut(batch.slot(row) as usize)?;
        let &index = keys.by_key.get(&self.key[..])?;
        let entry = &mut keys.entries[index];
        self.rows.remove(entry.place);
        entry.place = self.rows.insert(batch, row);
        Some(entry)
    }

    /// Adds a row whose key has no entry.
    pub fn add(&mut self, batch: &Batch, row: usize, count: i64, mark: i64) {
        write_key(&self.columns, batch, row, &mut self.key);
        let slot = batch.slot(row) as usize;
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, Keys::default());
        }
        let keys = &mut self.slots[slot];
        let key: Box<[u8]> = self.key.as_slice().into();
        keys.by_key.insert(key.clone(), keys.entries.len());
        keys.entries.push(Entry { key, place: self.rows.insert(batch, row), count, mark });
    }

    /// Removes the entries that `leaves` names. Their rows are put out as expired if `output` is
    /// given.
    pub fn remove(
        &mut self,
        slot: Slot,
        now: Millis,
        mut output: Option<&mut Batch>,
        leaves: impl Fn(&Entry) -> bool,
    ) {
        let Some(keys) = self.slots.get_mut(slot as usize) else { return };
        let rows = &mut self.rows;
        let before = keys.entries.len();
        keys.entries.retain(|entry| {
            let stays = !leaves(entry);
            if !stays {
                if let Some(output) = &mut output {
                    rows.put(entry.place, Kind::Expired, now, slot, output);
                }
                rows.remove(entry.place);
                keys.by_key.remove(&entry.key);
            }
            stays
        });
        if keys.entries.len() < before {
            for (index, entry) in keys.entries.iter().enumerate() {
                if let Some(place) = keys.by_key.get_mut(&entry.key) {
                    *place = index;
                }
            }
        }
    }

    /// Drops the keys of a slot.
    pub fn forget(&mut self, slot: Slot) {
        self.remove(slot, 0, None, |_| true);
    }

    /// Appends the rows of a slot.
    pub fn contents(&self, slot: Slot, into: &mut Batch) {
        for entry in self.slots.get(slot as usize).map_or(&[][..], |keys| &keys.entries) {
            let own = self.rows.timestamp(entry.place);
            self.rows.put(entry.place, Kind::Current, own, slot, into);
        }
    }

    /// Writes all keys and rows.
    pub fn save(&self, state: &mut StateWriter) {
        self.rows.save(state);
        state.put(&(self.slots.len() as u32));
        for keys in &self.slots {
            state.put(&(keys.entries.len() as u32));
            for entry in &keys.entries {
                state.put(&entry.key.to_vec());
                state.put(&entry.place);
                state.put(&(entry.count, entry.mark));
            }
        }
    }

    /// Takes what [`Counted::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.rows.load(state)?;
        self.slots.clear();
        for _ in 0..state.get::<u32>()? {
            let mut keys = Keys::default();
            for index in 0..state.get::<u32>()? as usize {
                let key: Box<[u8]> = state.get::<Vec<u8>>()?.into();
                let place = state.get()?;
                let (count, mark) = state.get()?;
                if !self.rows.holds(place) || keys.by_key.insert(key.clone(), index).is_some() {
                    return Err(LoadError::Malformed);
                }
                keys.entries.push(Entry { key, place, count, mark });
            }
            self.slots.push(keys);
        }
        Ok(())
    }
}
