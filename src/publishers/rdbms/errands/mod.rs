//! Does the errands of a plan at an external table, in their order: writes once, each with its
//! number in the same transaction; questions as often as nobody has their answer.
//!
//! What is asked after a write is asked when that is committed. A question counts as done when its
//! answer is in the plan's log, which is for the actor to see to.

mod act;
mod ask;
mod cache;
mod condition;
mod entries;
mod keys;
mod terms;

#[cfg(test)]
mod tests;

pub use ask::find;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::event::Batch;
use crate::event::DataType;
use crate::event::Map;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::event::codec::Encode;
use crate::plan::answers::Answers;
use crate::plan::outside::Errand;
use crate::plan::outside::NUMBER;
use crate::plan::outside::OWN;
use crate::plan::outside::WHAT;
use crate::plan::outside::WITH;
use crate::plan::terms::Term;
use crate::publishers::Answered;
use crate::publishers::Parcel;
use crate::publishers::rdbms::errands::act::Deed;
use crate::publishers::rdbms::errands::ask::Question;
use crate::publishers::rdbms::errands::cache::Cache;
use crate::publishers::rdbms::errands::entries::entries;
use crate::publishers::rdbms::gathering::Part;
use crate::publishers::rdbms::gathering::Shelf;
use crate::publishers::rdbms::gathering::Work;
use crate::publishers::rdbms::gathering::count;
use crate::publishers::rdbms::gathering::rows;
use crate::publishers::rdbms::options::CacheOptions;
use crate::store;
use crate::store::Kind;
use crate::store::Session;
use crate::store::StoreError;
use crate::store::Table;
use crate::store::Writer;

/// Bytes of rows that the questions of one run may find before it stops: what is left of them is
/// asked when the plan has taken these. The last statement may go beyond it.
const FOUND_BYTES_MAX: usize = 32 << 20;

/// Does errands at a table of a store.
pub struct Errands {
    plan: String,
    /// The table's name in the plan.
    name: Text,
    /// The types of its columns.
    types: Vec<DataType>,
    /// Answers that the plan does not have yet.
    answered: Vec<Answered>,
    /// Bytes that the questions of the run at hand may still find.
    room: usize,
    /// Questions that are answered of the run at hand, and those of the one before it that come
    /// again since others of that run had no room.
    told: Vec<u64>,
    ahead: BTreeSet<u64>,
    known: Map<Text, Arc<Errand>>,
    /// Answers that are kept for later questions.
    cache: Option<Cache>,
}

/// A question's number and its parameters.
type Numbered = (u64, Vec<Value>);

impl Errands {
    /// For a plan that has done nothing at this table, which it knows by `name`.
    pub fn new(plan: &str, name: &str, table: &Table, cache: Option<CacheOptions>) -> Errands {
        Errands {
            plan: plan.to_owned(),
            name: name.into(),
            types: table.schema.types(),
            answered: Vec::new(),
            room: 0,
            told: Vec::new(),
            ahead: BTreeSet::new(),
            known: Map::default(),
            cache: cache.map(Cache::new),
        }
    }

    /// Asks, and keeps the answers for the plan. Says how many rows need not come again.
    fn ask(
        &mut self,
        shelf: &mut Shelf,
        session: &mut Session,
        run: &[Part],
    ) -> Result<usize, StoreError> {
        self.room = FOUND_BYTES_MAX;
        self.told.clear();
        // Questions of one place of the plan go together.
        let mut places: Vec<(Arc<Errand>, Vec<Numbered>)> = Vec::new();
        let mut numbers = Vec::with_capacity(count(run));
        for (parcel, row) in rows(run) {
            let number = number(&parcel.batch, row);
            numbers.push(number);
            let Some(errand) = self.errand(&parcel.batch, row)? else { continue };
            if self.ahead.contains(&number) {
                continue;
            }
            let asked = (number, with(&parcel.batch, row));
            match places.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &errand)) {
                Some((_, questions)) => questions.push(asked),
                None => places.push((errand, vec![asked])),
            }
        }
        let first = run[0].number();
        let asked: usize = places.iter().map(|(_, asked)| asked.len()).sum();
        for (errand, asked) in places {
            let asked = self.answer_known(first, &errand, asked);
            let (numbers, questions): (Vec<u64>, Vec<Question<'_>>) = asked
                .into_iter()
                .map(|(number, with)| (number, Question { errand: &errand, with }))
                .unzip();
            self.ask_all(shelf, session, first, &numbers, &questions)?;
        }
        if self.told.len() == asked {
            self.ahead.clear();
            return Ok(numbers.len());
        }
        self.ahead.extend(self.told.drain(..));
        let open = numbers.iter().position(|number| !self.ahead.contains(number));
        Ok(open.unwrap_or(numbers.len()))
    }

    /// Asks questions of one place, as long as there is room for what they find; those that the
    /// store refuses fail, and no others.
    fn ask_all(
        &mut self,
        shelf: &mut Shelf,
        session: &mut Session,
        first: u64,
        numbers: &[u64],
        questions: &[Question<'_>],
    ) -> Result<(), StoreError> {
        if questions.is_empty() || self.room == 0 {
            return Ok(());
        }
        match ask::ask(session, &shelf.table, questions, self.room) {
            Ok(finds) => {
                self.room = self.room.saturating_sub(finds.rows.bytes());
                if finds.found.len() < questions.len() {
                    self.room = 0;
                }
                self.keep(questions, &finds);
                self.answer(first, numbers, &finds);
            }
            Err(error) if error.kind == Kind::Refused => {
                shelf.make_ready_again(session)?;
                let half = numbers.len() / 2;
                if half == 0 {
                    self.told.extend(numbers);
                    self.fail(first, numbers.to_vec(), &error.message);
                    return Ok(());
                }
                self.ask_all(shelf, session, first, &numbers[..half], &questions[..half])?;
                self.ask_all(shelf, session, first, &numbers[half..], &questions[half..])?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Answers questions whose answers are kept; gives the others.
    fn answer_known(&mut self, first: u64, errand: &Errand, asked: Vec<Numbered>) -> Vec<Numbered> {
        let Some(cache) = &mut self.cache else { return asked };
        let now = Instant::now();
        let rows = Batch::new(&self.types);
        let mut finds = ask::Finds { rows, found: Vec::new() };
        let (mut numbers, mut rest) = (Vec::new(), Vec::new());
        let mut taken: Map<Vec<u8>, Range<usize>> = Map::default();
        for (number, with) in asked {
            let name = question_name(errand, &with);
            let known = if self.room > 0 { cache.find(&name, now) } else { None };
            let Some(known) = known else {
                rest.push((number, with));
                continue;
            };
            let found = taken.entry(name).or_insert_with(|| {
                let at = finds.rows.len();
                self.room = self.room.saturating_sub(known.bytes());
                finds.rows.extend(known, 0, known.len());
                at..finds.rows.len()
            });
            finds.found.push(Ok(found.clone()));
            numbers.push(number);
        }
        if !numbers.is_empty() {
            self.answer(first, &numbers, &finds);
        }
        rest
    }

    /// Keeps what was found, if that is wanted.
    fn keep(&mut self, questions: &[Question<'_>], finds: &ask::Finds) {
        let Some(cache) = &mut self.cache else { return };
        let now = Instant::now();
        for (question, found) in questions.iter().zip(&finds.found) {
            if let Ok(found) = found {
                let mut rows = finds.rows.empty_like(found.len());
                rows.extend(&finds.rows, found.start, found.end);
                cache.keep(question_name(question.errand, &question.with), rows, now);
            }
        }
    }

    /// What was found is on its way to the plan.
    fn answer(&mut self, first: u64, numbers: &[u64], finds: &ask::Finds) {
        self.told.extend(numbers.iter().zip(&finds.found).map(|(number, _)| number));
        let entries = entries(&self.name, numbers, finds).into_iter();
        self.answered.extend(entries.map(|one| Answered { first, answers: Arc::new(one) }));
    }

    /// These questions have no answer, for this reason.
    fn fail(&mut self, first: u64, numbers: Vec<u64>, reason: &str) {
        let none = vec![0; numbers.len()];
        let rows = Batch::new(&self.types);
        let (table, failure) = (self.name.clone(), Some(Text::from(reason)));
        let answers = Answers { table, numbers, starts: none.clone(), counts: none, rows, failure };
        self.answered.push(Answered { first, answers: Arc::new(answers) });
    }

    /// Writes in one transaction.
    fn write(
        &mut self,
        table: &Table,
        session: &mut Session,
        run: &[Part],
    ) -> Result<usize, StoreError> {
        let (parcel, count) = (&run[0].parcel, count(run));
        let mut deeds = Vec::with_capacity(count);
        let mut errands = Vec::with_capacity(count);
        let mut given = Batch::new(&self.types);
        for (parcel, row) in rows(run) {
            errands.push(self.errand(&parcel.batch, row)?);
            for (mine, theirs) in given.columns.iter_mut().zip(&parcel.batch.columns[OWN..]) {
                mine.push_from(theirs, row);
            }
            given.timestamps.push(parcel.batch.timestamps[row]);
            deeds.push(with(&parcel.batch, row));
        }
        if let Some(cache) = &mut self.cache {
            cache.clear();
        }
        let writer = Writer { plan: self.plan.clone(), name: parcel.publisher.to_string() };
        let (generation, epoch, first) = (parcel.generation, parcel.epoch, run[0].number());
        let apply = |session: &mut Session, skip: usize| {
            let deeds = errands.iter().zip(deeds).enumerate().skip(skip);
            let deeds = deeds.filter_map(|(row, (errand, with))| {
                errand.as_ref().map(|errand| Deed { errand, with, row })
            });
            let deeds: Vec<Deed<'_>> = deeds.collect();
            act::act(session, table, &deeds, &given)
        };
        store::write_once(session, &writer, generation, epoch, first, count, apply)?;
        Ok(count)
    }

    /// What a row says is to be done.
    fn errand(&mut self, batch: &Batch, row: usize) -> Result<Option<Arc<Errand>>, StoreError> {
        let Value::Text(text) = batch.columns[WHAT].value(row) else { return Ok(None) };
        if let Some(known) = self.known.get(&text) {
            return Ok(Some(Arc::clone(known)));
        }
        let errand = Errand::from_text(&text);
        let width = self.types.len();
        let fits = |(column, term): &(usize, Term)| {
            let mut columns = vec![*column];
            term.columns(&mut columns);
            columns.iter().all(|&column| column < width)
        };
        let errand = errand.filter(|errand| errand.sets.iter().all(fits));
        let errand =
            errand.ok_or_else(|| StoreError::refused(format!("nobody can do `{text}`")))?;
        let errand = Arc::new(errand);
        self.known.insert(text, Arc::clone(&errand));
        Ok(Some(errand))
    }
}

/// By what a question is known: what is asked, and with which values.
fn question_name(errand: &Errand, with: &[Value]) -> Vec<u8> {
    let mut name = errand.to_text().into_bytes();
    with.iter().for_each(|value| value.encode(&mut name));
    name
}

/// The number of a question.
fn number(batch: &Batch, row: usize) -> u64 {
    batch.columns[NUMBER].value(row).as_long().unwrap_or_default().cast_unsigned()
}

/// The parameters of a row.
fn with(batch: &Batch, row: usize) -> Vec<Value> {
    match batch.columns[WITH].value(row) {
        Value::Object(list) => match &*list {
            Structure::List(values) => values.clone(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

impl Work for Errands {
    const ROWS_MAX: usize = 8_192;
    const BEGINS_AGAIN: bool = true;
    const WORDS: (&'static str, &'static str) = ("at", "errands");

    fn asks(batch: &Batch, row: usize) -> bool {
        !batch.columns[NUMBER].is_null(row)
    }

    fn run(
        &mut self,
        shelf: &mut Shelf,
        session: &mut Session,
        run: &[Part],
    ) -> Result<usize, StoreError> {
        match run[0].asks {
            true => self.ask(shelf, session, run),
            false => self.write(&shelf.table, session, run),
        }
    }

    fn rest(&mut self, _: &mut Shelf, _: bool) -> Option<Duration> {
        self.cache.as_mut()?.purge(Instant::now())
    }

    fn answers(&mut self) -> Vec<Answered> {
        std::mem::take(&mut self.answered)
    }

    fn forget(&mut self) {
        self.ahead.clear();
    }

    fn abandon(&mut self, parcel: &Parcel, reason: &str) {
        let asked = (0..parcel.batch.len()).filter(|&row| Errands::asks(&parcel.batch, row));
        let numbers: Vec<u64> = asked.map(|row| number(&parcel.batch, row)).collect();
        if !numbers.is_empty() {
            self.fail(parcel.number, numbers, reason);
        }
    }
}
