//! What a node does with entries: keeps them in a journal and applies them. Here they are bare
//! numbers; the real replica, engine and journal format can take this place behind the same trait.

use crate::chance::Chance;
use std::collections::BTreeMap;
use twinflow::ha::protocol::Epoch;
use twinflow::ha::protocol::LogStart;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::Position;
use twinflow::ha::protocol::Shape;

/// An entry: what one producer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub epoch: Epoch,
    pub producer: u32,
    pub sequence: u64,
}

/// The journals and states of a node's plans. What is written survives the process, what is synced
/// survives the machine.
pub trait Entries {
    /// The logs as a new process finds them.
    fn found(&self) -> Vec<(Plan, LogStart)>;
    /// Makes an empty log, if there is none.
    fn open(&mut self, plan: Plan);
    /// Writes entries after a position, which is the last.
    fn write(&mut self, plan: Plan, after: Position, entries: &[Entry]);
    /// Reads entries after a position up to another.
    fn read(&self, plan: Plan, after: Position, upto: Position) -> Vec<Entry>;
    /// Forgets entries after a position.
    fn cut(&mut self, plan: Plan, after: Position);
    /// The entries up to here are in a snapshot only.
    fn base(&self, plan: Plan) -> Position;
    /// Position of the last entry.
    fn last(&self, plan: Plan) -> Position;
    /// Marks entries as being on disk.
    fn synced(&mut self, plan: Plan, upto: Position);
    /// Applies entries up to a position and gives them back.
    fn apply(&mut self, plan: Plan, upto: Position) -> Vec<(Position, Entry)>;
    /// A digest of the state, and the position it is of.
    fn state(&self, plan: Plan) -> (Position, u64);
    /// Saves the state and drops what it makes needless: the new base, if it moved.
    fn save(&mut self, plan: Plan) -> Option<Position>;
    /// Notes that the log held every committed entry.
    fn whole(&mut self, plan: Plan);
    /// The newest saved state.
    fn saved(&self, plan: Plan) -> Saved;
    /// Puts a saved state in place of state and log.
    fn install(&mut self, plan: Plan, saved: Saved);
    /// The process ends.
    fn lose_process(&mut self);
    /// The machine ends: what was not synced is gone, or a part of it; true if anything is.
    fn lose_power(&mut self, disk: &mut Chance) -> bool;
    /// The disk ends.
    fn lose_disk(&mut self);
}

/// A snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    pub base: Position,
    pub base_epoch: Epoch,
    pub digest: u64,
}

/// Entries as bare numbers, the state as a digest of them.
#[derive(Clone, Debug, Default)]
pub struct Books {
    plans: BTreeMap<Plan, Book>,
}

#[derive(Clone, Debug, Default)]
struct Book {
    base: Position,
    base_epoch: Epoch,
    entries: Vec<Entry>,
    synced: Position,
    whole: bool,
    older: Saved,
    newest: Saved,
    applied: Position,
    digest: u64,
}

impl Book {
    fn last(&self) -> Position {
        Position(self.base.0 + self.entries.len() as u64)
    }

    fn epoch_at(&self, position: Position) -> Epoch {
        match position.0.checked_sub(self.base.0 + 1) {
            Some(index) => self.entries[index as usize].epoch,
            None => self.base_epoch,
        }
    }
}

/// The state after an entry.
pub fn digest(before: u64, entry: &Entry) -> u64 {
    let entry = entry.epoch.0 ^ (u64::from(entry.producer) << 40) ^ (entry.sequence << 16);
    (before.rotate_left(7) ^ entry).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Books {
    fn book(&self, plan: Plan) -> &Book {
        &self.plans[&plan]
    }

    fn book_mut(&mut self, plan: Plan) -> &mut Book {
        self.plans.entry(plan).or_default()
    }
}

impl Entries for Books {
    fn found(&self) -> Vec<(Plan, LogStart)> {
        let start = |(plan, book): (&Plan, &Book)| {
            let (base, base_epoch) = (book.base, book.base_epoch);
            let mut shape = Shape { base, base_epoch, spans: Vec::new(), last: base };
            for (index, entry) in book.entries.iter().enumerate() {
                shape.extend(entry.epoch, Position(base.0 + 1 + index as u64));
            }
            let applied = book.newest.base;
            (*plan, LogStart { shape, synced: book.synced, applied, whole: book.whole })
        };
        self.plans.iter().map(start).collect()
    }

    fn open(&mut self, plan: Plan) {
        self.plans.entry(plan).or_default();
    }

    fn write(&mut self, plan: Plan, after: Position, entries: &[Entry]) {
        let book = self.book_mut(plan);
        assert_eq!(book.last(), after, "entries are written where the log ends");
        book.entries.extend_from_slice(entries);
    }

    fn read(&self, plan: Plan, after: Position, upto: Position) -> Vec<Entry> {
        let book = self.book(plan);
        let index = |position: Position| (position.0 - book.base.0) as usize;
        book.entries[index(after)..index(upto)].to_vec()
    }

    fn cut(&mut self, plan: Plan, after: Position) {
        let book = self.book_mut(plan);
        book.entries.truncate((after.0 - book.base.0) as usize);
        book.synced = book.synced.min(after);
    }

    fn base(&self, plan: Plan) -> Position {
        self.plans.get(&plan).map(|book| book.base).unwrap_or_default()
    }

    fn last(&self, plan: Plan) -> Position {
        self.plans.get(&plan).map(Book::last).unwrap_or_default()
    }

    fn synced(&mut self, plan: Plan, upto: Position) {
        let book = self.book_mut(plan);
        book.synced = book.synced.max(upto.min(book.last()));
    }

    fn apply(&mut self, plan: Plan, upto: Position) -> Vec<(Position, Entry)> {
        let book = self.book_mut(plan);
        let mut applied = Vec::new();
        while book.applied < upto.min(book.last()) {
            let entry = book.entries[(book.applied.0 - book.base.0) as usize];
            book.applied = book.applied.next();
            book.digest = digest(book.digest, &entry);
            applied.push((book.applied, entry));
        }
        applied
    }

    fn state(&self, plan: Plan) -> (Position, u64) {
        self.plans.get(&plan).map(|book| (book.applied, book.digest)).unwrap_or_default()
    }

    fn save(&mut self, plan: Plan) -> Option<Position> {
        let book = self.book_mut(plan);
        if book.applied <= book.newest.base {
            return None;
        }
        // What a snapshot holds is as good as synced: it was written and fsynced itself.
        book.older = book.newest;
        let base_epoch = book.epoch_at(book.applied);
        book.newest = Saved { base: book.applied, base_epoch, digest: book.digest };
        let to = book.older;
        if to.base <= book.base {
            return None;
        }
        book.entries.drain(..(to.base.0 - book.base.0) as usize);
        (book.base, book.base_epoch) = (to.base, to.base_epoch);
        book.synced = book.synced.max(book.base);
        Some(book.base)
    }

    fn whole(&mut self, plan: Plan) {
        self.book_mut(plan).whole = true;
    }

    fn saved(&self, plan: Plan) -> Saved {
        self.plans.get(&plan).map(|book| book.newest).unwrap_or_default()
    }

    fn install(&mut self, plan: Plan, saved: Saved) {
        let Saved { base, base_epoch, digest } = saved;
        let whole = self.book(plan).whole;
        *self.book_mut(plan) = Book {
            base,
            base_epoch,
            entries: Vec::new(),
            synced: base,
            whole,
            older: saved,
            newest: saved,
            applied: base,
            digest,
        };
    }

    fn lose_process(&mut self) {
        for book in self.plans.values_mut() {
            book.applied = book.newest.base;
            book.digest = book.newest.digest;
        }
    }

    fn lose_power(&mut self, disk: &mut Chance) -> bool {
        let mut lost = false;
        for book in self.plans.values_mut() {
            let unsynced = book.last().0 - book.synced.0;
            let kept = if disk.permille(700) { 0 } else { disk.below(unsynced + 1) };
            let keep = book.synced.0 + kept;
            lost |= keep < book.last().0;
            book.entries.truncate((keep - book.base.0) as usize);
            if book.last() < book.newest.base {
                // The snapshot goes further than what is left of the journal.
                let Saved { base, base_epoch, .. } = book.newest;
                (book.base, book.base_epoch) = (base, base_epoch);
                book.entries.clear();
            }
            book.synced = book.last();
        }
        self.lose_process();
        lost
    }

    fn lose_disk(&mut self) {
        self.plans.clear();
    }
}
