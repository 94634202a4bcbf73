//! Small records at places that are used again, in segments that frozen state shares by handle.

use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::codec::Encode;
use std::sync::Arc;

/// Records in a segment; a power of two.
const SEGMENT: usize = 256;
const SHIFT: u32 = SEGMENT.trailing_zeros();
const MASK: u32 = SEGMENT as u32 - 1;

/// Records in no order, named by their place.
#[derive(Debug)]
pub struct Slab<T> {
    segments: Vec<Arc<Vec<T>>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { segments: Vec::new(), free: Vec::new() }
    }
}

impl<T: Clone + Encode + Send + Sync + 'static> Slab<T> {
    /// How many records there are.
    pub fn held(&self) -> usize {
        self.used() - self.free.len()
    }

    /// How many places there are, free ones among them.
    pub fn used(&self) -> usize {
        self.segments.last().map_or(0, |last| (self.segments.len() - 1) * SEGMENT + last.len())
    }

    /// Puts in a record and says where it lies.
    #[inline]
    pub fn insert(&mut self, record: T) -> u32 {
        if let Some(place) = self.free.pop() {
            *self.get_mut(place) = record;
            return place;
        }
        let place = self.used();
        if place == self.segments.len() * SEGMENT {
            self.segments.push(Arc::new(Vec::with_capacity(SEGMENT)));
        }
        let last = self.segments.last_mut().expect("one has room");
        Arc::make_mut(last).push(record);
        place as u32
    }

    /// Lets go of a record; its place may be given to another.
    #[inline]
    pub fn remove(&mut self, place: u32) {
        self.free.push(place);
    }

    /// A record.
    #[inline]
    pub fn get(&self, place: u32) -> &T {
        &self.segments[(place >> SHIFT) as usize][(place & MASK) as usize]
    }

    /// A record, to be changed.
    #[inline]
    pub fn get_mut(&mut self, place: u32) -> &mut T {
        let segment = &mut self.segments[(place >> SHIFT) as usize];
        &mut Arc::make_mut(segment)[(place & MASK) as usize]
    }

    /// Whether a record lies at a place, for what loads places.
    pub fn holds(&self, place: u32) -> bool {
        (place as usize) < self.used()
    }

    /// The places that are free, in the order in which they will be given.
    pub fn free(&self) -> &[u32] {
        &self.free
    }

    /// Writes all records, by handle.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.free);
        state.put(&(self.segments.len() as u32));
        self.segments.iter().for_each(|segment| state.share_list(segment));
    }

    /// Takes what [`Slab::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.free = state.get()?;
        let count: u32 = state.get()?;
        self.segments.clear();
        for _ in 0..count {
            self.segments.push(Arc::new(state.get()?));
        }
        let before = self.segments.len().saturating_sub(1);
        let whole = self.segments[..before].iter().all(|segment| segment.len() == SEGMENT);
        let fits = self.segments.last().is_none_or(|last| (1..=SEGMENT).contains(&last.len()));
        let used = self.used();
        let mut taken = vec![false; used];
        let sound = self.free.iter().all(|&place| {
            let seen = taken.get_mut(place as usize);
            seen.is_some_and(|seen| !std::mem::replace(seen, true))
        });
        if whole && fits && sound { Ok(()) } else { Err(LoadError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::SavedState;

    #[test]
    fn places_are_used_again_and_frozen_records_stay() {
        let mut slab: Slab<u64> = Slab::default();
        let places: Vec<u32> = (0..600).map(|number| slab.insert(number)).collect();
        slab.remove(places[5]);
        let mut writer = StateWriter::default();
        writer.section("slab", 1);
        slab.save(&mut writer);
        let frozen = writer.freeze();
        assert_eq!(slab.insert(7000), places[5]);
        *slab.get_mut(places[599]) = 1;
        assert_eq!((slab.held(), *slab.get(places[5])), (600, 7000));
        let bytes = frozen.to_bytes();
        let saved = SavedState::parse(&bytes).expect("own bytes");
        let mut loaded: Slab<u64> = Slab::default();
        loaded.load(&mut saved.section("slab", 1).expect("saved")).expect("own state");
        assert_eq!((loaded.held(), *loaded.get(599), *loaded.get(5)), (599, 599, 5));
    }
}
