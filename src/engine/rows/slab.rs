//! Small records at places that are used again, in segments that frozen state shares by handle.
//!
//! The first few thousand lie in one piece that freezing copies: to look whether a segment is
//! shared costs more than most changes of a record, and places are used again from the front.

use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::codec::Encode;
use std::sync::Arc;

/// Records in a segment; a power of two.
const SEGMENT: usize = 256;
const SHIFT: u32 = SEGMENT.trailing_zeros();
const MASK: usize = SEGMENT - 1;
/// Records that freezing copies; a multiple of [`SEGMENT`].
const COPIED: usize = 16 * SEGMENT;

/// Records in no order, named by their place.
#[derive(Debug)]
pub struct Slab<T> {
    first: Vec<T>,
    /// What lies behind the first.
    segments: Vec<Arc<Vec<T>>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { first: Vec::new(), segments: Vec::new(), free: Vec::new() }
    }
}

impl<T: Clone + Encode + Send + Sync + 'static> Slab<T> {
    /// How many records there are.
    pub fn held(&self) -> usize {
        self.used() - self.free.len()
    }

    /// How many places there are, free ones among them.
    pub fn used(&self) -> usize {
        let behind = |last: &Arc<Vec<T>>| (self.segments.len() - 1) * SEGMENT + last.len();
        self.first.len() + self.segments.last().map_or(0, behind)
    }

    /// Puts in a record and says where it lies.
    #[inline]
    pub fn insert(&mut self, record: T) -> u32 {
        if let Some(place) = self.free.pop() {
            *self.get_mut(place) = record;
            return place;
        }
        self.append(record)
    }

    /// A place that was let go of, with what lies there still, for use again.
    #[inline]
    pub fn reuse(&mut self) -> Option<u32> {
        self.free.pop()
    }

    fn append(&mut self, record: T) -> u32 {
        let place = self.used();
        if place < COPIED {
            self.first.push(record);
            return place as u32;
        }
        if place == COPIED + self.segments.len() * SEGMENT {
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
        let place = place as usize;
        match place < COPIED {
            true => &self.first[place],
            false => &self.segments[(place - COPIED) >> SHIFT][place & MASK],
        }
    }

    /// A record, to be changed.
    #[inline]
    pub fn get_mut(&mut self, place: u32) -> &mut T {
        let place = place as usize;
        match place < COPIED {
            true => &mut self.first[place],
            false => {
                &mut Arc::make_mut(&mut self.segments[(place - COPIED) >> SHIFT])[place & MASK]
            }
        }
    }

    /// Whether a record lies at a place, for what loads places.
    pub fn holds(&self, place: u32) -> bool {
        (place as usize) < self.used()
    }

    /// The places that are free, in the order in which they will be given.
    pub fn free(&self) -> &[u32] {
        &self.free
    }

    /// Writes all records, segment by segment, by handle but for the first.
    pub fn save(&self, state: &mut StateWriter) {
        state.put(&self.free);
        let first = self.first.chunks(SEGMENT);
        state.put(&((first.len() + self.segments.len()) as u32));
        first.for_each(|records| state.share_list(&Arc::new(records.to_vec())));
        self.segments.iter().for_each(|segment| state.share_list(segment));
    }

    /// Takes what [`Slab::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.free = state.get()?;
        let count: u32 = state.get()?;
        self.first.clear();
        self.segments.clear();
        let (mut used, mut whole) = (0, true);
        for _ in 0..count {
            let segment: Vec<T> = state.get()?;
            // Only the last may be short.
            whole &= used % SEGMENT == 0 && (1..=SEGMENT).contains(&segment.len());
            used += segment.len();
            match self.first.len() < COPIED {
                true => self.first.extend(segment),
                false => self.segments.push(Arc::new(segment)),
            }
        }
        let mut taken = vec![false; used];
        let sound = self.free.iter().all(|&place| {
            let seen = taken.get_mut(place as usize);
            seen.is_some_and(|seen| !std::mem::replace(seen, true))
        });
        if whole && sound { Ok(()) } else { Err(LoadError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::SavedState;

    #[test]
    fn places_are_used_again_and_frozen_records_stay() {
        let mut slab: Slab<u64> = Slab::default();
        let places: Vec<u32> = (0..6000).map(|number| slab.insert(number)).collect();
        slab.remove(places[5]);
        let mut writer = StateWriter::default();
        writer.section("slab", 1);
        slab.save(&mut writer);
        let frozen = writer.freeze();
        assert_eq!(slab.insert(7000), places[5]);
        *slab.get_mut(places[5999]) = 1;
        assert_eq!((slab.held(), *slab.get(places[5])), (6000, 7000));
        let bytes = frozen.to_bytes();
        let saved = SavedState::parse(&bytes).expect("own bytes");
        let mut loaded: Slab<u64> = Slab::default();
        loaded.load(&mut saved.section("slab", 1).expect("saved")).expect("own state");
        assert_eq!((loaded.held(), *loaded.get(5999), *loaded.get(5)), (5999, 5999, 5));
    }
}
