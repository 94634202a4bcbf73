//! The matches that wait at a state, oldest first, found by the hash of what the next event must
//! equal.

use crate::engine::patterns::store::Match;
use crate::event::Map;
use std::collections::VecDeque;

/// Stands where a match has gone.
const GONE: Match = u32::MAX;

/// Matches in the order in which they came. An entry is named by its number, which it keeps until
/// another is pushed.
#[derive(Debug)]
pub struct Queue {
    entries: VecDeque<Match>,
    /// The number of the first entry.
    base: u64,
    /// How many have not gone.
    live: usize,
    index: Option<Box<Index>>,
}

/// Entries of equal hash, each with the number of the next.
#[derive(Debug, Default)]
struct Index {
    /// First and last entry of each hash.
    ends: Map<u64, (u64, u64)>,
    /// By entry: its hash, and the next of the same hash, if that is greater than its own number.
    links: VecDeque<(u64, u64)>,
}

impl Queue {
    /// An empty queue; `indexed` if its entries are to be found by hash.
    pub fn new(indexed: bool) -> Queue {
        let index = indexed.then(Box::default);
        Queue { entries: VecDeque::new(), base: 0, live: 0, index }
    }

    /// How many matches wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether none waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Whether entries are found by hash.
    pub fn is_indexed(&self) -> bool {
        self.index.is_some()
    }

    /// The numbers of all entries.
    #[inline]
    pub fn numbers(&self) -> std::ops::Range<u64> {
        self.base..self.base + self.entries.len() as u64
    }

    /// The match of an entry, unless it has gone.
    #[inline]
    pub fn get(&self, number: u64) -> Option<Match> {
        let place = number.checked_sub(self.base)?;
        self.entries.get(place as usize).copied().filter(|&of| of != GONE)
    }

    /// The matches that wait, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Match> + '_ {
        self.entries.iter().copied().filter(|&of| of != GONE)
    }

    /// The oldest match.
    #[inline]
    pub fn front(&self) -> Option<Match> {
        self.entries.front().copied()
    }

    /// Appends a match; `hash` counts only where entries are found by it.
    #[inline]
    pub fn push(&mut self, of: Match, hash: u64) {
        if self.entries.len() > 2 * self.live + 64 {
            self.pack();
        }
        self.append(of, hash);
    }

    fn append(&mut self, of: Match, hash: u64) {
        let number = self.base + self.entries.len() as u64;
        self.entries.push_back(of);
        self.live += 1;
        let Some(index) = &mut self.index else { return };
        index.links.push_back((hash, number));
        let base = self.base;
        let ends = index.ends.entry(hash).or_insert((number, number));
        index.links[(ends.1 - base) as usize].1 = number;
        ends.1 = number;
    }

    /// Numbers the entries anew, without those that have gone.
    fn pack(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        let links = self.index.as_mut().map(|index| {
            index.ends.clear();
            std::mem::take(&mut index.links)
        });
        self.base += entries.len() as u64;
        self.live = 0;
        for (place, of) in entries.into_iter().enumerate().filter(|(_, of)| *of != GONE) {
            let hash = links.as_ref().map_or(0, |links| links[place].0);
            self.append(of, hash);
        }
    }

    /// Takes an entry out.
    #[inline]
    pub fn take(&mut self, number: u64) {
        let place = (number - self.base) as usize;
        self.unlink(number);
        self.entries[place] = GONE;
        self.live -= 1;
        while self.entries.front() == Some(&GONE) {
            self.entries.pop_front();
            self.base += 1;
            if let Some(index) = &mut self.index {
                index.links.pop_front();
            }
        }
    }

    /// Takes the oldest match out.
    #[inline]
    pub fn take_front(&mut self) {
        self.take(self.base);
    }

    fn unlink(&mut self, number: u64) {
        let Some(index) = &mut self.index else { return };
        let base = self.base;
        let link = |number: u64| (number - base) as usize;
        let (hash, next) = index.links[link(number)];
        let Some(ends) = index.ends.get_mut(&hash) else { return };
        if *ends == (number, number) {
            index.ends.remove(&hash);
            return;
        }
        if ends.0 == number {
            ends.0 = next;
            return;
        }
        let mut before = ends.0;
        while index.links[link(before)].1 != number {
            before = index.links[link(before)].1;
        }
        index.links[link(before)].1 = if next == number { before } else { next };
        if ends.1 == number {
            ends.1 = before;
        }
    }

    /// Takes a match out wherever it waits; whether it did.
    pub fn remove(&mut self, of: Match) -> bool {
        let found = self.numbers().find(|&number| self.get(number) == Some(of));
        if let Some(number) = found {
            self.take(number);
        }
        found.is_some()
    }

    /// Appends the numbers of the entries of a hash, oldest first.
    #[inline]
    pub fn find(&self, hash: u64, found: &mut Vec<u64>) {
        let Some(index) = &self.index else { return };
        let Some(&(first, last)) = index.ends.get(&hash) else { return };
        let mut number = first;
        loop {
            found.push(number);
            if number == last {
                return;
            }
            number = index.links[(number - self.base) as usize].1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_hash_in_order_through_all_changes() {
        let mut queue = Queue::new(true);
        let mut model: Vec<(Match, u64)> = Vec::new();
        let mut dice = 7_u64;
        for of in 0..5_000 {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let roll = (dice >> 33) as usize;
            if roll % 5 < 3 || model.is_empty() {
                queue.push(of, (roll % 7) as u64);
                model.push((of, (roll % 7) as u64));
            } else {
                let (gone, _) = model.remove((roll / 5) % model.len());
                assert!(queue.remove(gone));
            }
            let hash = (roll / 3 % 7) as u64;
            let mut found = Vec::new();
            queue.find(hash, &mut found);
            let found: Vec<Match> = found.iter().filter_map(|&number| queue.get(number)).collect();
            let wanted: Vec<Match> =
                model.iter().filter(|(_, own)| *own == hash).map(|(of, _)| *of).collect();
            assert_eq!(found, wanted);
            assert_eq!(queue.len(), model.len());
            assert_eq!(queue.front(), model.first().map(|(of, _)| *of));
        }
    }
}
