//! Parcels on their way to a store: they gather until nothing more waits or there are enough of
//! them, and are done together.
//!
//! When that fails nothing of it counts: the parcels come again, each alone, so that what is to
//! blame is found; after the first that goes well they gather again.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use crate::event::Batch;
use crate::publishers::Answered;
use crate::publishers::Parcel;
use crate::publishers::PublishError;
use crate::publishers::Publisher;
use crate::publishers::rdbms::batches;
use crate::store::Kind;
use crate::store::Session;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Table;

/// So many bytes of rows are done together, as soon as there are so many.
const BYTES_MAX: usize = 8 << 20;
/// So many questions are asked together at most.
const QUESTIONS_MAX: usize = 4_096;

/// What is done with rows at a table of a store.
pub trait Work: Send {
    /// So many rows are done together, as soon as there are so many.
    const ROWS_MAX: usize;
    /// Whether a life begins with doing again what the one before may not have finished.
    const BEGINS_AGAIN: bool = false;
    /// What it does, for people: as in `into table t`, and what waits for that.
    const WORDS: (&'static str, &'static str);

    /// Whether a row asks for something: that is done apart from what writes.
    fn asks(_batch: &Batch, _row: usize) -> bool {
        false
    }

    /// Does rows that follow each other, which all ask or all write. Says how many of them it did:
    /// fewer than all where that is enough for now.
    ///
    /// # Errors
    /// What the store says; then nothing of it counts.
    fn run(
        &mut self,
        shelf: &mut Shelf,
        session: &mut Session,
        run: &[Part],
    ) -> Result<usize, StoreError>;

    /// As [`Publisher::rest`].
    fn rest(&mut self, _shelf: &mut Shelf, _may_act: bool) -> Option<Duration> {
        None
    }

    /// As [`Publisher::answers`].
    fn answers(&mut self) -> Vec<Answered> {
        Vec::new()
    }

    /// What was done may have got lost, or is of another history.
    fn forget(&mut self) {}

    /// As [`Publisher::abandon`].
    fn abandon(&mut self, _parcel: &Parcel, _reason: &str) {}
}

/// A table of a store.
pub struct Shelf {
    /// The store.
    pub store: Store,
    /// The table.
    pub table: Table,
    /// Whether the table is known to be there and to fit.
    is_ready: bool,
}

/// Rows of a parcel that follow each other, which all ask or all write.
pub struct Part {
    /// The parcel.
    pub parcel: Parcel,
    /// The rows.
    pub rows: Range<usize>,
    /// Whether they ask.
    pub asks: bool,
}

/// Up to which number rows of a parcel that goes alone are done with.
#[derive(Default)]
struct Passed {
    /// The parcel's number.
    parcel: u64,
    /// Rows that write: written or refused.
    written: u64,
    /// Rows that ask: asked, and nothing of that got lost.
    asked: u64,
}

/// Carries parcels to a store.
pub struct Gathering<W> {
    work: W,
    shelf: Shelf,
    /// What is taken and not done, in order and without a gap.
    gathered: VecDeque<Part>,
    rows: usize,
    bytes: usize,
    /// Something of it is to be done before more is taken.
    is_held_up: bool,
    /// The generation in which rows are numbered, and the number of the last one done.
    done: (u64, u64),
    /// Something taken was not done and is to come again.
    is_lost: bool,
    /// Each parcel goes alone, since one of many could not be done.
    is_careful: bool,
    passed: Passed,
    /// What is wrong, if something is.
    trouble: String,
}

impl Shelf {
    /// A table of which nothing is known.
    pub fn new(store: Store, table: Table) -> Shelf {
        Shelf { store, table, is_ready: false }
    }

    /// A session with the store, in which the table is there and fits.
    ///
    /// # Errors
    /// There is none, or the table does not fit.
    pub fn session(&mut self) -> Result<Session, StoreError> {
        let mut session = self.store.session()?;
        self.make_ready(&mut session)?;
        Ok(session)
    }

    /// After something was refused: the table may have been changed or taken away.
    ///
    /// # Errors
    /// The table is to blame, and no row.
    pub fn make_ready_again(&mut self, session: &mut Session) -> Result<(), StoreError> {
        self.is_ready = false;
        self.make_ready(session).map_err(|error| StoreError { kind: Kind::Broken, ..error })
    }

    fn make_ready(&mut self, session: &mut Session) -> Result<(), StoreError> {
        if !self.is_ready {
            session.make_or_check(&self.table)?;
            self.is_ready = true;
        }
        Ok(())
    }
}

impl Part {
    /// The number of the first row.
    pub fn number(&self) -> u64 {
        self.parcel.number + self.rows.start as u64
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
}

/// Rows in order, each with its parcel.
pub fn rows(run: &[Part]) -> impl Iterator<Item = (&Parcel, usize)> {
    run.iter().flat_map(|part| part.rows.clone().map(move |row| (&part.parcel, row)))
}

/// How many rows there are.
pub fn count(run: &[Part]) -> usize {
    run.iter().map(Part::len).sum()
}

impl Passed {
    fn of(&mut self, asks: bool) -> &mut u64 {
        if asks { &mut self.asked } else { &mut self.written }
    }
}

impl<W: Work> Gathering<W> {
    /// A publisher that has done nothing.
    pub fn new(store: Store, table: Table, work: W) -> Gathering<W> {
        Gathering {
            work,
            shelf: Shelf::new(store, table),
            gathered: VecDeque::new(),
            rows: 0,
            bytes: 0,
            is_held_up: false,
            done: (0, 0),
            is_lost: W::BEGINS_AGAIN,
            is_careful: false,
            passed: Passed::default(),
            trouble: String::new(),
        }
    }

    /// Whether a parcel goes on where what is gathered ends.
    fn follows(&self, parcel: &Parcel) -> bool {
        self.gathered.back().is_none_or(|last| {
            let (number, last) = (last.number() + last.len() as u64, &last.parcel);
            (number, last.generation, last.epoch)
                == (parcel.number, parcel.generation, parcel.epoch)
        })
    }

    fn forget_gathered(&mut self) {
        self.gathered.clear();
        (self.rows, self.bytes, self.is_held_up) = (0, 0, false);
    }

    /// What is to be done next of that which is gathered.
    fn next_run(&mut self) -> Vec<Part> {
        let (mut run, mut count): (Vec<Part>, usize) = (Vec::new(), 0);
        while let Some(next) = self.gathered.front() {
            count += next.len();
            let is_full = next.asks && count > QUESTIONS_MAX;
            if run.first().is_some_and(|first| first.asks != next.asks || is_full) {
                break;
            }
            run.extend(self.gathered.pop_front());
        }
        run
    }

    /// Does what is gathered.
    fn do_gathered(&mut self) -> Result<(), PublishError> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        loop {
            let run = self.next_run();
            if run.is_empty() {
                break;
            }
            match self.run(&run) {
                Ok(done) if done == count(&run) => {}
                Ok(done) => {
                    self.put_back(run, done);
                    return Err(too_much());
                }
                Err(error) => {
                    self.forget_gathered();
                    self.work.forget();
                    (self.is_lost, self.is_careful) = (true, true);
                    return Err(self.told(&error));
                }
            }
        }
        self.forget_gathered();
        self.is_careful = false;
        Ok(())
    }

    /// Of a run only so many rows were done.
    fn put_back(&mut self, run: Vec<Part>, mut done: usize) {
        let mut rest = VecDeque::new();
        for mut part in run {
            let own = done.min(part.len());
            done -= own;
            part.rows.start += own;
            if part.len() > 0 {
                rest.push_back(part);
            }
        }
        rest.append(&mut self.gathered);
        self.gathered = rest;
        self.is_held_up = true;
    }

    /// Does one parcel, and finds the rows of it that are refused.
    fn do_alone(&mut self, parcel: &Parcel) -> Result<(), PublishError> {
        let before = parcel.number - 1;
        if self.passed.parcel != parcel.number {
            self.passed = Passed { parcel: parcel.number, written: before, asked: before };
        }
        for Part { rows, asks, .. } in parts::<W>(parcel) {
            let mut start = rows.start.max((*self.passed.of(asks) - before) as usize);
            let mut step = rows.end.saturating_sub(start).max(1);
            while start < rows.end {
                let end = (start + step).min(rows.end);
                let piece = Part { parcel: parcel.clone(), rows: start..end, asks };
                match self.run(std::slice::from_ref(&piece)) {
                    Ok(done) => {
                        start += done;
                        *self.passed.of(asks) = before + start as u64;
                        if start < end {
                            return Err(too_much());
                        }
                    }
                    Err(error) if !blames_rows(&error) => return Err(self.told(&error)),
                    Err(_) if step > 1 => step = step.div_ceil(2),
                    Err(error) => {
                        *self.passed.of(asks) = before + end as u64;
                        self.trouble.clear();
                        return Err(PublishError::permanent(error.message).of_rows(start..end));
                    }
                }
            }
        }
        self.is_careful = false;
        // Those at the end may have been refused.
        self.done = (parcel.generation, before + parcel.batch.len() as u64);
        Ok(())
    }

    /// Does rows that follow each other, all questions or all writes; says how many of them.
    fn run(&mut self, run: &[Part]) -> Result<usize, StoreError> {
        let done = apart(|| {
            let mut session = self.shelf.session()?;
            let done = self.work.run(&mut self.shelf, &mut session, run);
            if done.as_ref().is_err_and(|error| error.kind == Kind::Refused) {
                self.shelf.make_ready_again(&mut session)?;
            }
            done
        })?;
        self.done = (run[0].parcel.generation, run[0].number() + done as u64 - 1);
        self.trouble.clear();
        Ok(done)
    }

    /// An error of the store as one of a publisher.
    fn told(&mut self, error: &StoreError) -> PublishError {
        self.trouble = error.message.clone();
        match error.kind {
            Kind::Deposed => PublishError::deposed(error.message.as_str()),
            _ => PublishError::transient(error.message.as_str()),
        }
    }
}

fn too_much() -> PublishError {
    PublishError::busy("the plan has to take what was found before more is asked")
}

/// A parcel cut where questions follow writes, and writes questions.
fn parts<W: Work>(parcel: &Parcel) -> Vec<Part> {
    let (mut all, count) = (Vec::new(), parcel.batch.len());
    let mut start = 0;
    while start < count {
        let asks = W::asks(&parcel.batch, start);
        let most = if asks { QUESTIONS_MAX } else { count };
        let same = (start..count).take(most).take_while(|&row| W::asks(&parcel.batch, row) == asks);
        let end = start + same.count();
        all.push(Part { parcel: parcel.clone(), rows: start..end, asks });
        start = end;
    }
    all
}

/// Works in a thread of its own: a session must not be used in one that drives an actor.
pub fn apart<T: Send>(
    work: impl FnOnce() -> Result<T, StoreError> + Send,
) -> Result<T, StoreError> {
    thread::scope(|scope| {
        let begun =
            thread::Builder::new().name("store-writer".to_owned()).spawn_scoped(scope, work);
        let begun = begun.map_err(|error| StoreError::new(Kind::Lost, error))?;
        begun.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Whether rows are refused for what they are.
fn blames_rows(error: &StoreError) -> bool {
    matches!(error.kind, Kind::Refused | Kind::Conflict)
}

impl<W: Work> Publisher for Gathering<W> {
    /// The store is asked when there is something to do: on a node that follows there is not.
    fn open(&mut self) -> Result<(), PublishError> {
        Ok(())
    }

    fn publish(&mut self, parcel: &Parcel) -> Result<(), PublishError> {
        if !batches::fits(&parcel.batch, &parcel.schema.types()) {
            return Err(PublishError::permanent("rows of another version of the plan"));
        }
        if self.done.0 != parcel.generation {
            // Another history.
            self.passed = Passed::default();
            self.work.forget();
        }
        if self.done.0 != parcel.generation || self.done.1 >= parcel.number {
            // Or one gone back: what was done says nothing of it.
            self.done = (parcel.generation, parcel.number - 1);
        }
        if self.is_held_up || !self.follows(parcel) {
            self.do_gathered()?;
        }
        if self.is_careful {
            return self.do_alone(parcel);
        }
        self.rows += parcel.batch.len();
        self.bytes += parcel.batch.bytes();
        self.gathered.extend(parts::<W>(parcel));
        if self.rows >= W::ROWS_MAX || self.bytes >= BYTES_MAX {
            return match self.do_gathered() {
                // This parcel is taken.
                Err(error) if error.busy => Ok(()),
                done => done,
            };
        }
        Ok(())
    }

    fn settled(&mut self, number: u64) -> bool {
        number <= self.done.1
    }

    fn is_lost(&mut self) -> bool {
        std::mem::take(&mut self.is_lost)
    }

    fn flush(&mut self) -> Result<(), PublishError> {
        self.do_gathered()
    }

    fn rest(&mut self, may_act: bool) -> Option<Duration> {
        self.work.rest(&mut self.shelf, may_act)
    }

    fn bears_ids(&self) -> bool {
        true
    }

    fn answers(&mut self) -> Vec<Answered> {
        self.work.answers()
    }

    fn answers_lost(&mut self) {
        // All that has not left comes again.
        self.forget_gathered();
        self.passed.asked = self.passed.parcel.saturating_sub(1);
        self.work.forget();
    }

    fn abandon(&mut self, parcel: &Parcel, reason: &str) {
        self.work.abandon(parcel, reason);
    }

    fn undone(&self, parcel: &Parcel) -> Range<usize> {
        let (count, passed) = (parcel.batch.len(), &self.passed);
        let is_begun = passed.parcel == parcel.number;
        let done = if is_begun { (passed.written + 1 - parcel.number) as usize } else { 0 };
        let first = (done..count).find(|&row| !W::asks(&parcel.batch, row));
        first.unwrap_or(count)..count
    }

    fn close(&mut self) {
        // What is not done by now is kept with the plan.
        self.forget_gathered();
    }

    fn detail(&self) -> String {
        let ((at, waiting), table) = (W::WORDS, &self.shelf.table.name);
        let (store, rows) = (self.shelf.store.name(), self.rows);
        match self.trouble.as_str() {
            "" => format!("{at} table {table} of store {store}, {rows} {waiting} wait"),
            trouble => format!("{at} table {table} of store {store}; {trouble}"),
        }
    }
}

impl<W> fmt::Debug for Gathering<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering").field("table", &self.shelf.table.name).finish_non_exhaustive()
    }
}
