//! The replica: applies entries to the machine, and can take back the one it fell over.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::context::Note;
use crate::engine::core::Carried;
use crate::engine::core::external::fits_answers;
use crate::engine::library::Library;
use crate::engine::state::Frozen;
use crate::engine::state::SavedState;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::language::parse_query;
use crate::language::variables;
use crate::plan::check_query;
use crate::plan::logical::OnDemand;
use crate::plan::logical::Plan;
use crate::plan::logical::StreamId;
use crate::replica::Body;
use crate::replica::Builder;
use crate::replica::Copies;
use crate::replica::Deployment;
use crate::replica::EngineBuilder;
use crate::replica::LetterNews;
use crate::replica::Letters;
use crate::replica::LogEntry;
use crate::replica::Machine;
use crate::replica::Producers;
use crate::replica::Results;
use crate::replica::Tally;
use crate::replica::tally::News;

/// Entries kept to take one back before the state is frozen anew.
const KEPT_ENTRIES_MAX: usize = 1024;
/// Bytes of entries kept to take one back before the state is frozen anew.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Makes what runs a plan of a version's text.
pub trait Maker: Send + Sync {
    /// Checks the text and makes a builder of it.
    ///
    /// # Errors
    /// If this program cannot run the text, for people.
    fn make(&self, deployment: &Deployment) -> Result<Made, String>;
}

/// A version's checked plan, and what makes machines of it.
#[derive(Clone)]
pub struct Made {
    /// The checked plan.
    pub plan: Arc<Plan>,
    /// Makes machines of it.
    pub builder: Arc<dyn Builder>,
}

/// Makes the engine's machines.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineMaker;

impl Maker for EngineMaker {
    fn make(&self, deployment: &Deployment) -> Result<Made, String> {
        // What was left open are options of sources, sinks and stores, which nobody reads here.
        let text = variables::substitute(&deployment.text, |_| Some(String::new()));
        let parsed = crate::language::parse(&text);
        let checked = crate::plan::check(&parsed.tree, &text, &Library::standard());
        let faults = parsed.diagnostics.iter().chain(&checked.diagnostics);
        if let Some(fault) = faults.into_iter().find(|fault| fault.is_error()) {
            return Err(fault.message.clone());
        }
        let plan = checked.plan.map(Arc::new).ok_or("the plan has errors")?;
        let builder = EngineBuilder { plan: Arc::clone(&plan), secret: deployment.secret };
        Ok(Made { plan, builder: Arc::new(builder) })
    }
}

/// The replica cannot go on, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

/// What became of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was applied.
    Done,
    /// Its sender had sent it before; it has no effect.
    Repeated,
    /// A query that writes could not be run; it has no effect.
    Refused(String),
    /// It is one of those that are skipped.
    Skipped,
}

/// Rows that passed through a stream while an entry was applied.
#[derive(Clone, Debug)]
pub struct Output {
    /// The stream, as the running version counts.
    pub stream: StreamId,
    /// The number of the first row among all that ever passed through the stream, from 1; 0 for
    /// rows of a dead letter, which passed before.
    pub first: u64,
    /// The rows, all current.
    pub rows: Arc<Batch>,
    /// For each of the stream's publishers its name and the number of the first row.
    pub publishers: Vec<(Text, u64)>,
}

/// What became of the state of a version when the next took over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// What was kept and what was dropped.
    pub carried: Carried,
    /// How many rows ended.
    pub ended: u64,
}

/// One plan on one node.
pub struct Replica {
    maker: Arc<dyn Maker>,
    pub(super) running: Option<Running>,
    /// The position of the last entry applied.
    pub(super) position: u64,
    /// The latest time an entry brought.
    pub(super) now: Millis,
    /// How many results each publisher was given, and how many rows passed through each stream.
    pub(super) given: BTreeMap<Text, u64>,
    pub(super) producers: Producers,
    /// How far each receiver has come.
    pub(super) marks: BTreeMap<Text, Text>,
    /// What receivers of both nodes have brought.
    pub(super) copies: Copies,
    /// Entries that were skipped and whose skip has not come yet, with what they held.
    pub(super) skipped: BTreeMap<u64, Option<LogEntry>>,
    pub(super) letters: Letters,
    pub(super) tally: Tally,
    /// Rows of a dead letter that a publisher is given again by the entry at hand.
    pub(super) again: Option<Again>,
    base: Base,
    since: Vec<LogEntry>,
    since_bytes: usize,
    /// The entry that is being applied.
    at_hand: Option<LogEntry>,
    takeover: Option<Takeover>,
    pub(super) results: Results,
}

/// Rows that a publisher is given again.
pub(super) struct Again {
    pub(super) stream: StreamId,
    pub(super) publisher: Text,
    pub(super) rows: Arc<Batch>,
}

/// The version at work.
pub(super) struct Running {
    pub(super) deployment: Deployment,
    pub(super) made: Made,
    pub(super) machine: Box<dyn Machine>,
    /// The names of the publishers, by stream.
    publishers: Vec<Vec<Text>>,
    /// The names under which rows are counted, by stream.
    counters: Vec<Text>,
    /// The names of the receivers.
    receivers: BTreeSet<Text>,
}

/// From where the machine can be rebuilt.
enum Base {
    Started(Millis),
    Frozen(Arc<Frozen>),
}

impl Replica {
    /// A replica that has applied nothing.
    #[must_use]
    pub fn new(maker: Arc<dyn Maker>) -> Self {
        Self {
            maker,
            running: None,
            position: 0,
            now: 0,
            given: BTreeMap::new(),
            producers: Producers::default(),
            marks: BTreeMap::new(),
            copies: Copies::default(),
            skipped: BTreeMap::new(),
            letters: Letters::default(),
            tally: Tally::default(),
            again: None,
            base: Base::Started(0),
            since: Vec::new(),
            since_bytes: 0,
            at_hand: None,
            takeover: None,
            results: Results::default(),
        }
    }

    /// The position of the last entry applied; 0 before the first.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The version that runs.
    #[must_use]
    pub fn deployment(&self) -> Option<&Deployment> {
        self.running.as_ref().map(|running| &running.deployment)
    }

    /// The plan that runs.
    #[must_use]
    pub fn plan(&self) -> Option<&Arc<Plan>> {
        self.running.as_ref().map(|running| &running.made.plan)
    }

    /// The machine at work.
    #[must_use]
    pub fn machine(&self) -> Option<&dyn Machine> {
        self.running.as_ref().map(|running| &*running.machine)
    }

    /// When it wants time to pass even if nothing comes.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        self.machine()?.next_due()
    }

    /// What became of the state of the version before the last that took over, if nobody has asked
    /// since.
    pub fn take_takeover(&mut self) -> Option<Takeover> {
        self.takeover.take()
    }

    /// The last number taken of a producer.
    #[must_use]
    pub fn last_of(&self, producer: &str) -> Option<u64> {
        self.producers.last(producer)
    }

    /// How far a receiver has come, in a form of its own.
    #[must_use]
    pub fn place_of(&self, receiver: &str) -> Option<&Text> {
        self.marks.get(receiver)
    }

    /// What could not be handled and is kept.
    #[must_use]
    pub fn letters(&self) -> &Letters {
        &self.letters
    }

    /// What changed among the letters since somebody asked last.
    pub fn take_letter_news(&mut self) -> Vec<LetterNews> {
        self.letters.take_news()
    }

    /// Entries that were skipped here and of which no later entry says so, with why.
    #[must_use]
    pub fn unsaid_skips(&self) -> Vec<(u64, Text)> {
        let why = || Text::from("the plan could not process it");
        self.skipped.keys().map(|position| (*position, why())).collect()
    }

    /// From now on this entry counts as skipped.
    pub fn skip(&mut self, position: u64) {
        if position > self.position {
            self.skipped.insert(position, None);
        }
    }

    /// Applies the next entry; what comes out is appended to `outputs` and `notes`.
    ///
    /// If this panics, call [`Replica::take_back`] before anything else.
    ///
    /// # Errors
    /// If a version of the plan cannot be run; the replica must not be used further.
    pub fn apply(
        &mut self,
        mut entry: LogEntry,
        outputs: &mut Vec<Output>,
        notes: &mut Vec<Note>,
    ) -> Result<Outcome, Broken> {
        let position = self.position + 1;
        let now = self.now.max(entry.at);
        if self.skipped.contains_key(&position) {
            // Its rows end here, but a source must not bring them again, and what came along
            // counts. Where it has no effect, nothing of it is left.
            if self.unfold(now, &mut entry).is_err() {
                entry.body = Body::Tick;
            }
            self.skipped.insert(position, Some(entry));
            self.position = position;
            return Ok(Outcome::Skipped);
        }
        self.results.clear();
        self.letters.expire(now);
        let news = News::of(&entry);
        let outcome = match &entry.body {
            Body::Deploy(deployment) => {
                self.deploy(now, deployment)?;
                Outcome::Done
            }
            _ => self.feed(now, entry)?,
        };
        self.position = position;
        self.now = now;
        // Not before: an entry that is skipped counts for nothing, wherever that is known.
        self.count(news);
        self.keep_faults();
        self.number(outputs);
        self.give_again(outputs);
        notes.append(&mut self.results.notes);
        Ok(outcome)
    }

    /// Brings an entry to the machine, and keeps it to be able to take back a later one.
    fn feed(&mut self, now: Millis, mut entry: LogEntry) -> Result<Outcome, Broken> {
        if self.running.is_none() {
            let reason = "the log of the plan does not begin with its deployment";
            return Err(Broken(reason.to_owned()));
        }
        let sending = match self.unfold(now, &mut entry) {
            Ok(sending) => sending,
            Err(outcome) => return Ok(outcome),
        };
        let running = self.running.as_mut().expect("it was looked at");
        // A panic leaves it here.
        let body = &self.at_hand.insert(entry).body;
        let outcome = running.take(now, body, &mut self.results);
        let entry = self.at_hand.take();
        if let Some(sending) = sending {
            self.producers.take(&sending);
        }
        entry.into_iter().for_each(|entry| self.keep(entry));
        Ok(outcome)
    }

    fn deploy(&mut self, now: Millis, deployment: &Deployment) -> Result<(), Broken> {
        let made = self.maker.make(deployment).map_err(Broken)?;
        let is_first = self.running.is_none();
        let machine = match &self.running {
            None => made.builder.start(now).map_err(Broken)?,
            Some(Running { machine: before, .. }) => {
                let state = SavedState::of(&Arc::new(before.freeze()));
                let (machine, carried) = made.builder.carry(&state, now).map_err(Broken)?;
                let ended = before.held().saturating_sub(machine.held()) as u64;
                self.takeover = Some(Takeover { carried, ended });
                machine
            }
        };
        let mut running = Running::new(deployment.clone(), made, machine);
        running.begin(now, &mut self.results);
        self.copies.retain(|receiver| running.receivers.contains(receiver));
        self.running = Some(running);
        // Entries before a version cannot be applied to its machine.
        if is_first {
            self.base = Base::Started(now);
            self.forget_entries();
        } else {
            self.rest_here();
        }
        Ok(())
    }

    /// Puts rows together with their numbers.
    fn number(&mut self, outputs: &mut Vec<Output>) {
        let Some(running) = &self.running else { return };
        for (stream, rows) in self.results.drain() {
            let names = &running.publishers[stream];
            let count = rows.len() as u64;
            let first = next(&mut self.given, &running.counters[stream], count);
            let mut publishers = Vec::with_capacity(names.len());
            for name in names {
                publishers.push((Text::clone(name), next(&mut self.given, name, count)));
            }
            outputs.push(Output { stream, first, rows: Arc::new(rows), publishers });
        }
    }

    /// How many rows ever passed through a stream, as people call it.
    #[must_use]
    pub fn passed(&self, stream: &str) -> u64 {
        self.given.get(counter(stream).as_str()).copied().unwrap_or(0)
    }

    fn keep(&mut self, entry: LogEntry) {
        self.since_bytes += match &entry.body {
            Body::Rows { batch, .. } | Body::Load { batch, .. } => batch.bytes(),
            Body::Write { query, .. } => query.len(),
            Body::Answers(answers) => answers.rows.bytes() + 12 * answers.numbers.len(),
            // What else there is has become one of these by now.
            _ => 0,
        };
        self.since.push(entry);
        if self.since.len() >= KEPT_ENTRIES_MAX || self.since_bytes >= KEPT_BYTES_MAX {
            self.rest_here();
        }
    }

    /// Makes the state as it stands the one from which the machine is rebuilt.
    fn rest_here(&mut self) {
        if let Some(running) = &self.running {
            self.base = Base::Frozen(Arc::new(running.machine.freeze()));
            self.forget_entries();
        }
    }

    fn forget_entries(&mut self) {
        self.since.clear();
        self.since_bytes = 0;
    }

    /// After a panic in [`Replica::apply`]: brings the machine back to where it was before, and
    /// gives back the entry that was being applied, to be skipped, unless it was one that cannot
    /// be: time, or a new version. Copies are left out of it already.
    ///
    /// # Errors
    /// If that cannot be done; the replica must not be used further.
    pub fn take_back(&mut self) -> Result<Option<LogEntry>, Broken> {
        let Some(running) = &mut self.running else {
            return Err(Broken("the plan fell at its start".to_owned()));
        };
        let results = &mut self.results;
        let mut now = 0;
        match &self.base {
            Base::Started(at) => {
                now = *at;
                running.machine = running.made.builder.start(now).map_err(Broken)?;
                running.begin(now, results);
            }
            Base::Frozen(state) => {
                let state = SavedState::coming(state.pieces());
                let state = state.map_err(|error| Broken(error.to_string()))?;
                running.machine = running.made.builder.load(state).map_err(Broken)?;
            }
        }
        for entry in &self.since {
            now = now.max(entry.at);
            // What a query was answered before counts for nothing here.
            let _ = running.take(now, &entry.body, results);
            results.clear();
        }
        results.clear();
        let skippable = |entry: &LogEntry| {
            matches!(entry.body, Body::Rows { .. } | Body::Write { .. } | Body::Answers(_))
        };
        Ok(self.at_hand.take().filter(skippable))
    }

    /// Asks the state as it stands.
    ///
    /// # Errors
    /// If a part of the query cannot be run.
    pub fn ask(&mut self, query: &OnDemand) -> Result<Vec<Vec<Value>>, String> {
        let running = self.running.as_mut().ok_or("the plan does not run yet")?;
        running.machine.ask(query)
    }

    /// A replica in a state that was saved.
    pub(super) fn restored(
        maker: Arc<dyn Maker>,
        deployment: Deployment,
        state: SavedState<'_>,
    ) -> Result<Self, String> {
        let made = maker.make(&deployment)?;
        let machine = made.builder.load(state)?;
        let mut replica = Self::new(maker);
        replica.running = Some(Running::new(deployment, made, machine));
        replica.rest_here();
        Ok(replica)
    }
}

impl Running {
    fn new(deployment: Deployment, made: Made, machine: Box<dyn Machine>) -> Self {
        let streams = made.plan.streams.iter();
        let publishers = streams.map(|stream| stream.ways_out().map(|way| way.name).collect());
        let publishers = publishers.collect();
        let counters = made.plan.streams.iter().map(|stream| counter(&stream.shown()));
        let counters = counters.collect();
        let receivers = made.plan.streams.iter().flat_map(|stream| {
            let number = 1..=stream.sources.len();
            number.map(|number| format!("receiver:{}:{number}", stream.name).into())
        });
        let receivers = receivers.collect();
        Self { deployment, made, machine, publishers, counters, receivers }
    }

    /// Applies what came; a query that cannot be run only lets time pass.
    fn take(&mut self, now: Millis, body: &Body, results: &mut Results) -> Outcome {
        match body {
            Body::Rows { stream, batch, .. } => {
                let id = self.stream(stream, batch).expect("looked at before");
                self.machine.apply(now, Some((id, batch)), results);
            }
            Body::Write { query, .. } => {
                self.machine.apply(now, None, results);
                let query = question(query, &self.made.plan);
                if let Err(reason) = query.and_then(|query| self.machine.ask(&query)) {
                    return Outcome::Refused(reason);
                }
                // Lets out what it changed in tables that are kept in a store.
                self.machine.apply(now, None, results);
            }
            Body::Load { .. } => return self.load(now, body, results),
            Body::Answers(answers) => {
                if !fits_answers(&self.made.plan, answers) {
                    let reason = format!("no external table `{}` of these columns", answers.table);
                    return Outcome::Refused(reason);
                }
                self.machine.answer(now, answers, results);
            }
            // What else there is has become one of these by now.
            _ => self.machine.apply(now, None, results),
        }
        Outcome::Done
    }

    /// The stream of this name, if the rows fit it.
    pub(super) fn stream(&self, name: &str, rows: &Batch) -> Option<StreamId> {
        self.made.plan.stream(name).filter(|id| self.fits(*id, rows))
    }

    /// The stream of the publisher of this name, if the rows fit it.
    pub(super) fn stream_of(&self, publisher: &str, rows: &Batch) -> Option<StreamId> {
        let has = |names: &Vec<Text>| names.iter().any(|name| **name == *publisher);
        self.publishers.iter().position(has).filter(|id| self.fits(*id, rows))
    }

    fn fits(&self, stream: StreamId, rows: &Batch) -> bool {
        let types = self.made.plan.streams[stream].schema.types();
        types.len() == rows.columns.len()
            && types
                .iter()
                .zip(&rows.columns)
                .all(|(ty, column)| column.values.data_type().is_none_or(|of| of == *ty))
    }

    /// The rows of an entry as the fault stream of their stream takes them.
    pub(super) fn fault(&self, entry: &LogEntry, reason: &Text) -> Option<Body> {
        let Body::Rows { stream, batch, .. } = &entry.body else { return None };
        let plan = &self.made.plan;
        let target = plan.streams[self.stream(stream, batch)?].fault?;
        let mut rows = Batch::new(&plan.streams[target].schema.types());
        for row in 0..batch.len() {
            let mut values = batch.row(row);
            values.push(Value::Object(Arc::new(Structure::Error(Text::clone(reason)))));
            rows.push_row(batch.timestamps[row], &values);
        }
        Some(Body::Rows {
            stream: format!("!{stream}").into(),
            sending: None,
            mark: None,
            copied: None,
            batch: rows,
        })
    }
}

/// The name under which the rows of a stream are counted; no publisher is called so.
fn counter(stream: &str) -> Text {
    format!("stream:{stream}").into()
}

/// The number of the first of so many more.
pub(super) fn next(given: &mut BTreeMap<Text, u64>, name: &Text, count: u64) -> u64 {
    let given = match given.get_mut(name) {
        Some(given) => given,
        None => given.entry(Text::clone(name)).or_default(),
    };
    *given += count;
    *given + 1 - count
}

/// Reads and checks a query that was found right when it was ordered.
fn question(text: &str, plan: &Plan) -> Result<OnDemand, String> {
    let parsed = parse_query(text);
    let tree = parsed.tree.ok_or("the query cannot be read")?;
    let checked = check_query(&tree, plan, &Library::standard());
    checked.query.ok_or_else(|| {
        let first = checked.diagnostics.first();
        first.map_or_else(|| "the query has errors".to_owned(), |fault| fault.message.clone())
    })
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("position", &self.position).finish_non_exhaustive()
    }
}
