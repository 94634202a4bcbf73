//! Group keys to group numbers, once a batch.

use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::Column;
use crate::event::Kind;
use crate::event::Slot;
use crate::event::Text;
use crate::event::Values;
use crate::event::hash_bytes;
use crate::event::hash_column;
use hashbrown::HashTable;

/// Gives rows of equal key and partition key the same number.
///
/// Numbers are given up when the last row of a group has left a window, or when a batch window
/// starts anew, and are used again; so the memory follows the groups that are present.
pub struct Grouping {
    numbers: HashTable<u32>,
    /// By number.
    keys: Vec<Column>,
    hashes: Vec<u64>,
    slots: Vec<Slot>,
    /// Rows taken in less rows taken back, by number. Kept only if groups are given up.
    present: Vec<u32>,
    /// Groups of which `present` is not 0.
    occupied: usize,
    free: Vec<u32>,
    gives_up: bool,
    /// Whether there are groups of other partition keys than 0.
    keyed: bool,
    batch_hashes: Vec<u64>,
}

impl Grouping {
    /// For keys of as many columns as `keys` has, all empty. `gives_up` says that groups without
    /// rows may be forgotten.
    pub fn new(keys: Vec<Column>, gives_up: bool) -> Grouping {
        Grouping {
            numbers: HashTable::new(),
            keys,
            hashes: Vec::new(),
            slots: Vec::new(),
            present: Vec::new(),
            occupied: 0,
            free: Vec::new(),
            gives_up,
            keyed: false,
            batch_hashes: Vec::new(),
        }
    }

    /// Whether groups without rows are forgotten.
    pub fn gives_up(&self) -> bool {
        self.gives_up
    }

    /// Hashes the keys of a batch; to be called before [`Grouping::number`] for its rows.
    pub fn begin(&mut self, batch: &Batch, keys: &[&Column]) {
        self.batch_hashes.clear();
        self.batch_hashes.resize(batch.len(), 0);
        for key in keys {
            hash_column(key, &mut self.batch_hashes);
        }
        self.keyed |= !batch.slots.is_empty();
        // A batch may leave out slots that are all 0, so slot 0 leaves the hash as it is.
        for (hash, slot) in self.batch_hashes.iter_mut().zip(&batch.slots).filter(|(_, s)| **s != 0)
        {
            *hash ^= hash_bytes(&slot.to_le_bytes());
        }
    }

    /// Numbers rows `start..end` of the batch, none of which is a reset.
    pub fn number(
        &mut self,
        batch: &Batch,
        keys: &[&Column],
        range: std::ops::Range<usize>,
        groups: &mut Vec<u32>,
    ) {
        if let ([key], [known]) = (keys, self.keys.as_slice())
            && let (Values::Text(texts), Values::Text(_)) = (&key.values, &known.values)
            && batch.slots.is_empty()
            && !key.nulls.any()
            && !known.nulls.any()
            && !self.keyed
        {
            return self.number_texts(batch, keys, texts, range, groups);
        }
        for row in range {
            let number = self.find_or_add(keys, row, batch.slot(row));
            if self.gives_up {
                self.count(number, batch.kind(row));
            }
            groups.push(number);
        }
    }

    /// As [`Grouping::number`] for the usual key, one text.
    fn number_texts(
        &mut self,
        batch: &Batch,
        keys: &[&Column],
        texts: &[Text],
        range: std::ops::Range<usize>,
        groups: &mut Vec<u32>,
    ) {
        for row in range {
            let hash = self.batch_hashes[row];
            let known = self.keys[0].texts();
            let same = |&number: &u32| {
                self.hashes[number as usize] == hash && known[number as usize] == texts[row]
            };
            let number = match self.numbers.find(hash, same) {
                Some(&number) => number,
                None => self.find_or_add(keys, row, 0),
            };
            if self.gives_up {
                self.count(number, batch.kind(row));
            }
            groups.push(number);
        }
    }

    /// Counts a row of a group.
    #[inline]
    fn count(&mut self, number: u32, kind: Kind) {
        let present = &mut self.present[number as usize];
        match kind {
            Kind::Current => {
                self.occupied += usize::from(*present == 0);
                *present += 1;
            }
            Kind::Expired => {
                self.occupied -= usize::from(*present == 1);
                *present = present.saturating_sub(1);
            }
            Kind::Reset => {}
        }
    }

    fn find_or_add(&mut self, keys: &[&Column], row: usize, slot: Slot) -> u32 {
        let hash = self.batch_hashes[row];
        let same = |&number: &u32| {
            let number = number as usize;
            self.hashes[number] == hash
                && self.slots[number] == slot
                && keys.iter().zip(&self.keys).all(|(key, known)| key.same(row, known, number))
        };
        if let Some(&number) = self.numbers.find(hash, same) {
            return number;
        }
        let number = self.add(keys, row, slot, hash);
        let hashes = &self.hashes;
        self.numbers.insert_unique(hash, number, |&number| hashes[number as usize]);
        number
    }

    fn add(&mut self, keys: &[&Column], row: usize, slot: Slot, hash: u64) -> u32 {
        if let Some(number) = self.free.pop() {
            let at = number as usize;
            for (mine, theirs) in self.keys.iter_mut().zip(keys) {
                mine.set(at, &theirs.value(row));
            }
            self.hashes[at] = hash;
            self.slots[at] = slot;
            self.present[at] = 0;
            return number;
        }
        for (mine, theirs) in self.keys.iter_mut().zip(keys) {
            mine.push_from(theirs, row);
        }
        self.hashes.push(hash);
        self.slots.push(slot);
        self.present.push(0);
        (self.hashes.len() - 1) as u32
    }

    /// Takes all rows of the groups named for gone.
    pub fn empty(&mut self, groups: &[u32]) {
        for &number in groups {
            let present = &mut self.present[number as usize];
            self.occupied -= usize::from(*present > 0);
            *present = 0;
        }
    }

    /// Whether most groups have no rows. While they are few they are kept for the rows to come: a
    /// batch window mostly brings the same ones again.
    pub fn is_sparse(&self) -> bool {
        self.numbers.len() > 2 * self.occupied + 64
    }

    /// Of the groups named, gives up those that are there and have no rows; their numbers go to
    /// `gone`.
    pub fn give_up_empty(&mut self, groups: &[u32], gone: &mut Vec<u32>) {
        for &number in groups {
            let at = number as usize;
            // A reset stands for a group that may not be there.
            if self.present.get(at) != Some(&0) {
                continue;
            }
            let hash = self.hashes[at];
            if let Ok(entry) = self.numbers.find_entry(hash, |&other| other == number) {
                entry.remove();
                self.free.push(number);
                gone.push(number);
            }
        }
    }

    /// Appends the groups of a partition key, in order of number.
    pub fn of_slot(&self, slot: Slot, found: &mut Vec<u32>) {
        if slot == 0 && self.numbers.len() == self.hashes.len() && !self.keyed {
            return found.extend(0..self.hashes.len() as u32);
        }
        let before = found.len();
        found.extend(self.numbers.iter().copied().filter(|&n| self.slots[n as usize] == slot));
        found[before..].sort_unstable();
    }

    /// Gives up groups whatever they hold.
    pub fn give_up(&mut self, groups: &[u32]) {
        if groups.len() == self.numbers.len() {
            return self.clear();
        }
        for &number in groups {
            let hash = self.hashes[number as usize];
            if let Ok(entry) = self.numbers.find_entry(hash, |&other| other == number) {
                entry.remove();
                self.free.push(number);
                self.occupied -= usize::from(self.present[number as usize] > 0);
                self.present[number as usize] = 0;
            }
        }
    }

    /// Forgets all groups.
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.keys.iter_mut().for_each(Column::clear);
        self.hashes.clear();
        self.slots.clear();
        self.present.clear();
        self.occupied = 0;
        self.free.clear();
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Writes the state.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.keys);
        state.put(&self.hashes);
        state.put(&self.slots);
        state.put(&self.present);
        state.put(&self.free);
    }

    /// Takes what [`Grouping::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        let keys: Vec<Column> = state.get()?;
        self.hashes = state.get()?;
        self.slots = state.get()?;
        self.present = state.get()?;
        self.free = state.get()?;
        self.occupied = self.present.iter().filter(|&&present| present > 0).count();
        self.keyed = self.slots.iter().any(|&slot| slot != 0);
        let groups = self.hashes.len();
        let sound = keys.len() == self.keys.len()
            && keys.iter().all(|key| key.len() == groups)
            && self.slots.len() == groups
            && self.present.len() == groups
            && self.free.iter().all(|&number| (number as usize) < groups);
        if !sound {
            return Err(LoadError::Malformed);
        }
        self.keys = keys;
        let mut is_free = vec![false; groups];
        self.free.iter().for_each(|&number| is_free[number as usize] = true);
        self.numbers.clear();
        let hashes = &self.hashes;
        for number in (0..groups).filter(|&number| !is_free[number]) {
            let rehash = |&number: &u32| hashes[number as usize];
            self.numbers.insert_unique(hashes[number], number as u32, rehash);
        }
        Ok(())
    }
}
