//! Entries as bare numbers: quick, and all that the protocol can see.

use crate::chance::Chance;
use crate::entries::Applied;
use crate::entries::Body;
use crate::entries::DiskFault;
use crate::entries::Emission;
use crate::entries::Entries;
use crate::entries::Entry;
use crate::entries::Fallen;
use crate::entries::Found;
use crate::entries::Order;
use crate::entries::Saved;
use std::collections::BTreeMap;
use std::rc::Rc;
use twinflow::ha::protocol::Epoch;
use twinflow::ha::protocol::LogStart;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::Position;
use twinflow::ha::protocol::Shape;

/// Entries as bare numbers, the state as a digest of them.
#[derive(Clone, Debug)]
pub struct Books {
    plans: BTreeMap<Plan, Book>,
    /// What an entry puts out here.
    nothing: Rc<[Emission]>,
}

#[derive(Clone, Debug, Default)]
struct Book {
    base: Position,
    base_epoch: Epoch,
    entries: Vec<Entry>,
    synced: Position,
    whole: bool,
    older: Kept,
    newest: Kept,
    applied: Position,
    digest: u64,
}

/// A snapshot on the disk.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    base: Position,
    base_epoch: Epoch,
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
fn digest(before: u64, entry: &Entry) -> u64 {
    let Body::Bare(producer, sequence) = entry.body else {
        unreachable!("bare books hold bare entries");
    };
    let entry = entry.epoch.0 ^ (u64::from(producer) << 40) ^ (sequence << 16);
    (before.rotate_left(7) ^ entry).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Books {
    pub fn new() -> Books {
        Books { plans: BTreeMap::new(), nothing: Rc::new([]) }
    }

    fn book(&self, plan: Plan) -> &Book {
        &self.plans[&plan]
    }

    fn book_mut(&mut self, plan: Plan) -> &mut Book {
        self.plans.entry(plan).or_default()
    }
}

impl Entries for Books {
    fn start(&mut self, _: &[(Plan, Position)]) -> Result<Found, Fallen> {
        let start = |(plan, book): (&Plan, &Book)| {
            let (base, base_epoch) = (book.base, book.base_epoch);
            let mut shape = Shape { base, base_epoch, spans: Vec::new(), last: base };
            for (index, entry) in book.entries.iter().enumerate() {
                shape.extend(entry.epoch, Position(base.0 + 1 + index as u64));
            }
            let applied = book.newest.base;
            (*plan, LogStart { shape, synced: book.synced, applied, whole: book.whole })
        };
        let logs = self.plans.iter().map(start).collect();
        Ok(Found { logs, ..Found::default() })
    }

    fn open(&mut self, plan: Plan) -> Result<(), Fallen> {
        self.plans.entry(plan).or_default();
        Ok(())
    }

    fn make(&mut self, _: Plan, epoch: Epoch, order: Order, _: i64) -> Vec<Entry> {
        let body = match order {
            Order::Send(producer, sequence) => Body::Bare(producer, sequence),
            Order::Deploy(number) => Body::Bare(u32::MAX, number),
        };
        vec![Entry { epoch, body }]
    }

    fn write(&mut self, plan: Plan, after: Position, entries: &[Entry]) -> Result<(), Fallen> {
        let book = self.book_mut(plan);
        assert_eq!(book.last(), after, "entries are written where the log ends");
        book.entries.extend_from_slice(entries);
        Ok(())
    }

    fn read(&self, plan: Plan, after: Position, upto: Position) -> Result<Vec<Entry>, Fallen> {
        Ok(self.held(plan, after, upto).to_vec())
    }

    fn held(&self, plan: Plan, after: Position, upto: Position) -> &[Entry] {
        let book = self.book(plan);
        let index = |position: Position| (position.0 - book.base.0) as usize;
        &book.entries[index(after)..index(upto)]
    }

    fn cut(&mut self, plan: Plan, after: Position) -> Result<(), Fallen> {
        let book = self.book_mut(plan);
        book.entries.truncate((after.0 - book.base.0) as usize);
        book.synced = book.synced.min(after);
        Ok(())
    }

    fn base(&self, plan: Plan) -> Position {
        self.plans.get(&plan).map(|book| book.base).unwrap_or_default()
    }

    fn last(&self, plan: Plan) -> Position {
        self.plans.get(&plan).map(Book::last).unwrap_or_default()
    }

    fn sync(&mut self, plan: Plan, upto: Position) -> Result<(), Fallen> {
        let book = self.book_mut(plan);
        book.synced = book.synced.max(upto.min(book.last()));
        Ok(())
    }

    fn apply(&mut self, plan: Plan, upto: Position) -> Result<Vec<Applied>, Fallen> {
        let emissions = Rc::clone(&self.nothing);
        let book = self.book_mut(plan);
        let mut applied = Vec::new();
        while book.applied < upto.min(book.last()) {
            let entry = book.entries[(book.applied.0 - book.base.0) as usize].clone();
            book.applied = book.applied.next();
            book.digest = digest(book.digest, &entry);
            let (position, state) = (book.applied, Some(book.digest));
            let emissions = Rc::clone(&emissions);
            applied.push(Applied { position, entry, state, emissions, missed: false });
        }
        Ok(applied)
    }

    fn state(&self, plan: Plan) -> (Position, Option<u64>) {
        self.plans.get(&plan).map(|book| (book.applied, Some(book.digest))).unwrap_or_default()
    }

    fn last_of(&self, _: Plan, _: u32) -> Option<u64> {
        None
    }

    fn results(&self, _: Plan, _: Position, _: Position) -> Option<Vec<Emission>> {
        Some(Vec::new())
    }

    fn received(&mut self, _: Plan, _: Position) {}

    fn save(&mut self, plan: Plan, _: Position) -> Result<Option<Position>, Fallen> {
        let book = self.book_mut(plan);
        if book.applied <= book.newest.base {
            return Ok(None);
        }
        // What a snapshot holds is as good as synced: it was written and fsynced itself.
        book.older = book.newest;
        let base_epoch = book.epoch_at(book.applied);
        book.newest = Kept { base: book.applied, base_epoch, digest: book.digest };
        let to = book.older;
        if to.base <= book.base {
            return Ok(None);
        }
        book.entries.drain(..(to.base.0 - book.base.0) as usize);
        (book.base, book.base_epoch) = (to.base, to.base_epoch);
        book.synced = book.synced.max(book.base);
        Ok(Some(book.base))
    }

    fn note_whole(&mut self, plan: Plan, whole: bool) {
        self.book_mut(plan).whole = whole;
    }

    fn saved(&self, plan: Plan, _: Position) -> Result<Option<Saved>, Fallen> {
        let kept = self.plans.get(&plan).map(|book| book.newest).unwrap_or_default();
        let Kept { base, base_epoch, digest } = kept;
        Ok(Some(Saved { base, base_epoch, digest, file: None }))
    }

    fn receive(&mut self, _: Plan, _: &Saved) -> Result<bool, Fallen> {
        Ok(true)
    }

    fn install(&mut self, plan: Plan, saved: &Saved) -> Result<(), Fallen> {
        let Saved { base, base_epoch, digest, .. } = *saved;
        let whole = self.book(plan).whole;
        let kept = Kept { base, base_epoch, digest };
        *self.book_mut(plan) = Book {
            base,
            base_epoch,
            entries: Vec::new(),
            synced: base,
            whole,
            older: kept,
            newest: kept,
            applied: base,
            digest,
        };
        Ok(())
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
                let Kept { base, base_epoch, .. } = book.newest;
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

    fn arm(&mut self, _: Option<DiskFault>) -> bool {
        false
    }

    fn flip(&mut self, _: &mut Chance, _: bool) -> Option<String> {
        None
    }
}
