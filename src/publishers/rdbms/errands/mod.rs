//! Does the errands of a plan at an external table, in their order: writes once, each with its
//! number in the same transaction; questions as often as nobody has their answer.
//!
//! Parcels gather as they do where rows are written. What is asked after a write is asked when that
//! is committed. A question counts as done when its answer is in the plan's log, which is for the
//! actor to see to.

mod act;
mod ask;
mod cache;
mod condition;
mod entries;
mod keys;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::event::Batch;
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
use crate::publishers::Answered;
use crate::publishers::Parcel;
use crate::publishers::PublishError;
use crate::publishers::Publisher;
use crate::publishers::rdbms::batches;
use crate::publishers::rdbms::errands::act::Deed;
use crate::publishers::rdbms::errands::ask::Question;
use crate::publishers::rdbms::errands::cache::Cache;
use crate::publishers::rdbms::errands::entries::entries;
use crate::publishers::rdbms::options::CacheOptions;
use crate::publishers::rdbms::write::apart;
use crate::publishers::rdbms::write::blames_rows;
use crate::store;
use crate::store::Kind;
use crate::store::Session;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Table;
use crate::store::Writer;

/// So many errands are done together, as soon as there are so many.
const ROWS_MAX: usize = 8_192;
/// Questions that are answered by one entry of the log at most.
const QUESTIONS_MAX: usize = 4_096;

/// Does errands at a table of a store.
pub struct Errands {
    store: Store,
    plan: String,
    /// The table's name in the plan.
    name: Text,
    table: Table,
    /// Whether the table is known to be there and to fit.
    is_ready: bool,
    /// Parcels taken that are not done.
    gathered: Vec<Parcel>,
    rows: usize,
    /// The generation in which errands are numbered, and the number of the last one done.
    done: (u64, u64),
    /// Something taken was not done and is to come again.
    is_lost: bool,
    /// Each parcel goes alone, since one of many could not be done.
    is_careful: bool,
    /// Rows up to this number of the parcel at hand were refused or done.
    passed: (u64, u64),
    /// Among them may be questions whose answers got lost.
    asks_again: bool,
    /// Answers that the plan does not have yet.
    answered: Vec<Answered>,
    known: Map<Text, Arc<Errand>>,
    /// Answers that are kept for later questions.
    cache: Option<Cache>,
    /// What is wrong, if something is.
    trouble: String,
}

/// A question's number and its parameters.
type Numbered = (u64, Vec<Value>);

/// Errands that follow each other in a parcel.
struct Part {
    parcel: Parcel,
    start: usize,
    end: usize,
}

impl Part {
    fn number(&self) -> u64 {
        self.parcel.number + self.start as u64
    }

    fn len(&self) -> usize {
        self.end - self.start
    }

    fn asks(&self) -> bool {
        asks(&self.parcel.batch, self.start)
    }
}

/// Whether a row asks for something.
fn asks(batch: &Batch, row: usize) -> bool {
    !batch.columns[NUMBER].is_null(row)
}

impl Errands {
    /// A publisher that has done nothing.
    pub fn new(
        store: Store,
        plan: &str,
        name: &str,
        table: Table,
        cache: Option<CacheOptions>,
    ) -> Errands {
        Errands {
            store,
            plan: plan.to_owned(),
            name: name.into(),
            table,
            is_ready: false,
            gathered: Vec::new(),
            rows: 0,
            done: (0, 0),
            // What the life before has not finished is done again.
            is_lost: true,
            is_careful: false,
            passed: (0, 0),
            asks_again: false,
            answered: Vec::new(),
            known: Map::default(),
            cache: cache.map(Cache::new),
            trouble: String::new(),
        }
    }

    /// Whether a parcel goes on where the last one gathered ends.
    fn follows(&self, parcel: &Parcel) -> bool {
        self.gathered.last().is_none_or(|last| {
            last.number + last.batch.len() as u64 == parcel.number
                && (last.generation, last.epoch) == (parcel.generation, parcel.epoch)
        })
    }

    /// Does what is gathered.
    fn do_gathered(&mut self) -> Result<(), PublishError> {
        let parcels = std::mem::take(&mut self.gathered);
        self.rows = 0;
        let mut runs: Vec<Vec<Part>> = Vec::new();
        for part in parcels.into_iter().flat_map(parts) {
            let room = |run: &&mut Vec<Part>| {
                run[0].asks() == part.asks()
                    && run.iter().map(Part::len).sum::<usize>() < QUESTIONS_MAX
            };
            match runs.last_mut().filter(room) {
                Some(run) => run.push(part),
                None => runs.push(vec![part]),
            }
        }
        for run in &runs {
            if let Err(error) = self.run(run) {
                (self.is_lost, self.is_careful) = (true, true);
                return Err(self.told(&error));
            }
        }
        self.is_careful = false;
        Ok(())
    }

    /// Does one parcel, and finds the rows of it that are refused.
    fn do_alone(&mut self, parcel: &Parcel) -> Result<(), PublishError> {
        let (number, passed) = self.passed;
        let (skip, passed) = match number == parcel.number {
            true => ((passed + 1 - number) as usize, passed),
            false => (0, 0),
        };
        for part in parts(parcel.clone()) {
            let asks_again = self.asks_again && part.asks();
            let mut start = if asks_again { part.start } else { part.start.max(skip) };
            let mut step = part.end.saturating_sub(start).max(1);
            while start < part.end {
                let end = (start + step).min(part.end);
                let piece = Part { parcel: parcel.clone(), start, end };
                match self.run(std::slice::from_ref(&piece)) {
                    Ok(()) => start = end,
                    Err(error) if !blames_rows(&error) => return Err(self.told(&error)),
                    Err(_) if step > 1 => {
                        step = step.div_ceil(2);
                        continue;
                    }
                    Err(error) => {
                        self.passed = (parcel.number, parcel.number + start as u64);
                        self.trouble.clear();
                        self.asks_again = false;
                        return Err(PublishError::permanent(error.message).of_rows(start..end));
                    }
                }
                let upto = parcel.number + start as u64 - 1;
                self.passed = (parcel.number, passed.max(upto));
            }
        }
        (self.is_careful, self.asks_again) = (false, false);
        // Those at the end may have been refused.
        self.done = (parcel.generation, parcel.number + parcel.batch.len() as u64 - 1);
        Ok(())
    }

    /// Does errands that follow each other, all questions or all writes.
    fn run(&mut self, run: &[Part]) -> Result<(), StoreError> {
        if run.is_empty() {
            return Ok(());
        }
        apart(|| self.run_here(run))
    }

    fn run_here(&mut self, run: &[Part]) -> Result<(), StoreError> {
        let mut session = self.store.session()?;
        self.make_ready(&mut session)?;
        let done = match run[0].asks() {
            true => self.ask(&mut session, run),
            false => self.write(&mut session, run),
        };
        if done.as_ref().is_err_and(|error| error.kind == Kind::Refused) {
            // The table may have been changed or taken away: rows are not to blame for that.
            self.is_ready = false;
            self.make_ready(&mut session)
                .map_err(|error| StoreError { kind: Kind::Broken, ..error })?;
        }
        done?;
        let last = &run[run.len() - 1];
        self.done = (last.parcel.generation, last.parcel.number + last.end as u64 - 1);
        self.trouble.clear();
        Ok(())
    }

    fn make_ready(&mut self, session: &mut Session) -> Result<(), StoreError> {
        if !self.is_ready {
            session.make_or_check(&self.table)?;
            self.is_ready = true;
        }
        Ok(())
    }

    /// Asks, and keeps the answers for the plan.
    fn ask(&mut self, session: &mut Session, run: &[Part]) -> Result<(), StoreError> {
        // Questions of one place of the plan go together.
        let mut places: Vec<(Arc<Errand>, Vec<Numbered>)> = Vec::new();
        for (parcel, row) in rows(run) {
            let Some(errand) = self.errand(&parcel.batch, row)? else { continue };
            let asked = (number(&parcel.batch, row), with(&parcel.batch, row));
            match places.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &errand)) {
                Some((_, questions)) => questions.push(asked),
                None => places.push((errand, vec![asked])),
            }
        }
        let first = run[0].number();
        for (errand, asked) in places {
            let asked = self.answer_known(first, &errand, asked);
            let mut numbers = Vec::with_capacity(asked.len());
            let mut questions = Vec::with_capacity(asked.len());
            for (number, with) in asked {
                numbers.push(number);
                questions.push(Question { errand: &errand, with });
            }
            if questions.is_empty() {
                continue;
            }
            self.ask_all(session, first, &numbers, &questions)?;
        }
        Ok(())
    }

    /// Asks questions of one place; those that the store refuses fail, and no others.
    fn ask_all(
        &mut self,
        session: &mut Session,
        first: u64,
        numbers: &[u64],
        questions: &[Question<'_>],
    ) -> Result<(), StoreError> {
        match ask::ask(session, &self.table, questions) {
            Ok(finds) => {
                self.keep(questions, &finds);
                self.answer(first, numbers, &finds);
            }
            Err(error) if error.kind == Kind::Refused => {
                self.make_ready_again(session)?;
                let half = numbers.len() / 2;
                if half == 0 {
                    self.fail(first, numbers.to_vec(), &error.message);
                    return Ok(());
                }
                self.ask_all(session, first, &numbers[..half], &questions[..half])?;
                self.ask_all(session, first, &numbers[half..], &questions[half..])?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Answers questions whose answers are kept; gives the others.
    fn answer_known(&mut self, first: u64, errand: &Errand, asked: Vec<Numbered>) -> Vec<Numbered> {
        let Some(cache) = &mut self.cache else { return asked };
        let now = Instant::now();
        let rows = Batch::new(&self.table.schema.types());
        let mut finds = ask::Finds { rows, found: Vec::new() };
        let (mut numbers, mut rest) = (Vec::new(), Vec::new());
        let mut taken: Map<Vec<u8>, Range<usize>> = Map::default();
        for (number, with) in asked {
            let name = question_name(errand, &with);
            let Some(known) = cache.find(&name, now) else {
                rest.push((number, with));
                continue;
            };
            let found = taken.entry(name).or_insert_with(|| {
                let at = finds.rows.len();
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
        let entries = entries(&self.name, numbers, finds).into_iter();
        self.answered.extend(entries.map(|one| Answered { first, answers: Arc::new(one) }));
    }

    /// After something was refused: whether the table is to blame for it.
    fn make_ready_again(&mut self, session: &mut Session) -> Result<(), StoreError> {
        self.is_ready = false;
        self.make_ready(session).map_err(|error| StoreError { kind: Kind::Broken, ..error })
    }

    /// These questions have no answer, for this reason.
    fn fail(&mut self, first: u64, numbers: Vec<u64>, reason: &str) {
        let none = vec![0; numbers.len()];
        let rows = Batch::new(&self.table.schema.types());
        let (table, failure) = (self.name.clone(), Some(Text::from(reason)));
        let answers = Answers { table, numbers, starts: none.clone(), counts: none, rows, failure };
        self.answered.push(Answered { first, answers: Arc::new(answers) });
    }

    /// Writes in one transaction.
    fn write(&mut self, session: &mut Session, run: &[Part]) -> Result<(), StoreError> {
        let parcel = &run[0].parcel;
        let count = run.iter().map(Part::len).sum();
        let mut deeds = Vec::with_capacity(count);
        let mut errands = Vec::with_capacity(count);
        let mut given = Batch::new(&self.table.schema.types());
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
        let table = &self.table;
        let apply = |session: &mut Session, skip: usize| {
            let deeds = errands.iter().zip(deeds).enumerate().skip(skip);
            let deeds = deeds.filter_map(|(row, (errand, with))| {
                errand.as_ref().map(|errand| Deed { errand, with, row })
            });
            let deeds: Vec<Deed<'_>> = deeds.collect();
            act::act(session, table, &deeds, &given)
        };
        store::write_once(session, &writer, generation, epoch, first, count, apply).map(|_| ())
    }

    /// What a row says is to be done.
    fn errand(&mut self, batch: &Batch, row: usize) -> Result<Option<Arc<Errand>>, StoreError> {
        let Value::Text(text) = batch.columns[WHAT].value(row) else { return Ok(None) };
        if let Some(known) = self.known.get(&text) {
            return Ok(Some(Arc::clone(known)));
        }
        let errand = Errand::from_text(&text);
        let width = self.table.schema.len();
        let errand = errand.filter(|errand| errand.sets.iter().all(|set| set.0 < width));
        let errand =
            errand.ok_or_else(|| StoreError::refused(format!("nobody can do `{text}`")))?;
        let errand = Arc::new(errand);
        self.known.insert(text, Arc::clone(&errand));
        Ok(Some(errand))
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

/// A parcel cut where questions follow writes, and writes questions.
fn parts(parcel: Parcel) -> Vec<Part> {
    let (mut all, count) = (Vec::new(), parcel.batch.len());
    let mut start = 0;
    while start < count {
        let is_question = asks(&parcel.batch, start);
        let most = if is_question { QUESTIONS_MAX } else { count };
        let same =
            (start..count).take(most).take_while(|&row| asks(&parcel.batch, row) == is_question);
        let end = start + same.count();
        all.push(Part { parcel: parcel.clone(), start, end });
        start = end;
    }
    all
}

fn rows(run: &[Part]) -> impl Iterator<Item = (&Parcel, usize)> {
    run.iter().flat_map(|part| (part.start..part.end).map(move |row| (&part.parcel, row)))
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

impl Publisher for Errands {
    /// The store is asked when there is something to do: on a node that follows there is not.
    fn open(&mut self) -> Result<(), PublishError> {
        Ok(())
    }

    fn publish(&mut self, parcel: &Parcel) -> Result<(), PublishError> {
        if !batches::fits(&parcel.batch, &parcel.schema.types()) {
            return Err(PublishError::permanent("rows of another version of the plan"));
        }
        if self.done.0 != parcel.generation || self.done.1 >= parcel.number {
            // Another history, or one gone back: what was done says nothing of it.
            self.done = (parcel.generation, parcel.number - 1);
        }
        if !self.follows(parcel) {
            self.do_gathered()?;
        }
        if self.is_careful {
            return self.do_alone(parcel);
        }
        self.rows += parcel.batch.len();
        self.gathered.push(parcel.clone());
        if self.rows >= ROWS_MAX {
            return self.do_gathered();
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

    fn rest(&mut self, _: bool) -> Option<Duration> {
        self.cache.as_mut()?.purge(Instant::now())
    }

    fn bears_ids(&self) -> bool {
        true
    }

    fn answers(&mut self) -> Vec<Answered> {
        std::mem::take(&mut self.answered)
    }

    fn answers_lost(&mut self) {
        self.asks_again = true;
    }

    fn abandon(&mut self, parcel: &Parcel, reason: &str) {
        let asked = (0..parcel.batch.len()).filter(|&row| asks(&parcel.batch, row));
        let numbers: Vec<u64> = asked.map(|row| number(&parcel.batch, row)).collect();
        if !numbers.is_empty() {
            self.fail(parcel.number, numbers, reason);
        }
    }

    fn close(&mut self) {
        // What is not done by now is kept with the plan.
        self.gathered.clear();
        self.rows = 0;
    }

    fn detail(&self) -> String {
        let (store, table) = (self.store.name(), &self.table.name);
        match self.trouble.as_str() {
            "" => format!("at table {table} of store {store}, {} errands wait", self.rows),
            trouble => format!("at table {table} of store {store}; {trouble}"),
        }
    }
}

impl fmt::Debug for Errands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errands").field("table", &self.table.name).finish_non_exhaustive()
    }
}
