//! A plan at work: its machine, what it needs to rebuild the machine, and results on their way out.
//!
//! The desk outlives the actor that works at it, so that an actor's fall loses nothing. A machine
//! that panics is thrown away and rebuilt from its last frozen state and the inputs since; the
//! input it fell over is skipped and counted as dead letters, and none of its results leave.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::oneshot;
use tracing::debug;
use tracing::error;
use tracing::info;
use tracing::trace;
use tracing::warn;

use crate::actors::clock;
use crate::actors::plan::Applied;
use crate::actors::plan::DeadLetters;
use crate::actors::plan::Ended;
use crate::actors::plan::Machine;
use crate::actors::plan::Misfit;
use crate::actors::plan::PublisherEnd;
use crate::actors::plan::Question;
use crate::actors::plan::Results;
use crate::actors::plan::Rows;
use crate::actors::plan::Switch;
use crate::actors::plan::Version;
use crate::actors::plan::Work;
use crate::actors::tree::PutError;
use crate::actors::tree::Taken;
use crate::actors::tree::last_panic;
use crate::actors::tree::note_panics;
use crate::engine::context::Level;
use crate::engine::context::Note;
use crate::engine::state::Frozen;
use crate::event::Batch;
use crate::event::Millis;
use crate::plan::logical::OnDemand;
use crate::plan::logical::Output;
use crate::plan::logical::StreamId;
use crate::publishers::Parcel;
use crate::telemetry::metrics::Metrics;

/// Inputs kept for a rebuild before the state is frozen anew.
const KEPT_INPUTS_MAX: usize = 1024;
/// Bytes of inputs kept for a rebuild before the state is frozen anew.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// A plan at work.
#[derive(Debug)]
pub struct Desk {
    version: Arc<Version>,
    machine: BoxedMachine,
    base: Base,
    /// Inputs applied since the base, each with its time.
    since: Vec<(Millis, Past)>,
    since_bytes: usize,
    /// The time of the input at hand; it never goes back.
    now: Millis,
    /// The time up to which everything was applied and its results handed out.
    done: Millis,
    position: u64,
    /// Results that have not been handed to their publishers yet.
    outgoing: VecDeque<(Arc<PublisherEnd>, Parcel)>,
    results: Results,
    poisoned: Counter,
    changed: Counter,
    dead_letters: Arc<DeadLetters>,
    held: Gauge,
    drops: Vec<Dropped>,
    metrics: Metrics,
}

/// Rows that ended inside the plan at one place for one reason, in the machine's order.
#[derive(Debug)]
struct Dropped {
    counter: Counter,
    /// How many of the machine's are in the counter.
    counted: u64,
}

/// An input that was applied and changed the state.
#[derive(Debug)]
enum Past {
    Rows(StreamId, Batch),
    Write(Arc<OnDemand>),
}

/// Newtype, so that a desk can be shown.
struct BoxedMachine(Box<dyn Machine>);

/// From where a machine can be rebuilt.
#[derive(Debug)]
enum Base {
    Started(Millis),
    Frozen(Box<Frozen>),
}

/// The machine fell and could not be rebuilt; the plan cannot go on.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken(pub String);

impl Desk {
    /// Starts a plan.
    ///
    /// # Errors
    /// If the plan's code panics at the start.
    pub fn new(version: Arc<Version>, metrics: &Metrics) -> Result<Self, Broken> {
        note_panics();
        let now = clock::now_ms();
        let machine = start(&version, now)?;
        let mut desk = Self {
            machine,
            base: Base::Started(now),
            since: Vec::new(),
            since_bytes: 0,
            now,
            done: now,
            position: 0,
            outgoing: VecDeque::new(),
            results: Results::default(),
            poisoned: metrics.dead_letters(&version.name, "poison"),
            changed: metrics.dead_letters(&version.name, "changed"),
            dead_letters: Arc::default(),
            held: metrics.held_rows(&version.name),
            drops: Vec::new(),
            metrics: metrics.clone(),
            version,
        };
        // What is to happen at the start happens now.
        desk.tick()?;
        Ok(desk)
    }

    /// The version at work.
    #[must_use]
    pub fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// What could not be handled.
    #[must_use]
    pub fn dead_letters(&self) -> &Arc<DeadLetters> {
        &self.dead_letters
    }

    /// Milliseconds until time must be let pass, by the wall clock; 0 if that moment has come.
    #[must_use]
    pub fn due_in(&self) -> Option<u64> {
        let due = self.machine.0.next_due()?;
        Some(u64::try_from(due.saturating_sub(clock::now_ms())).unwrap_or(0))
    }

    /// Hands results to their publishers, in order; `false` when one has no room.
    pub fn deliver(&mut self) -> bool {
        while let Some((end, parcel)) = self.outgoing.pop_front() {
            match end.inbox.try_put(parcel) {
                Ok(()) => {}
                Err(PutError::Full(parcel)) => {
                    self.outgoing.push_front((end, parcel));
                    return false;
                }
                Err(PutError::Closed(parcel)) => {
                    end.unpublished.inc_by(parcel.batch.len() as u64);
                }
            }
        }
        true
    }

    /// Lets time pass until now.
    ///
    /// # Errors
    /// If the machine fell and could not be rebuilt.
    pub fn tick(&mut self) -> Result<(), Broken> {
        self.now = self.now.max(clock::now_ms());
        // A timer that panics would do so again after every rebuild.
        self.run(None).map_err(|note| Broken(format!("a timer panicked: {note}")))?;
        self.hand_out(None);
        Ok(())
    }

    /// Does one piece of work.
    ///
    /// # Errors
    /// If the machine fell and could not be rebuilt.
    pub fn work(&mut self, work: Taken<Work>) -> Result<(), Broken> {
        match work.message {
            Work::Rows(rows) => self.take(rows),
            Work::Ask(question) => self.ask(question),
            Work::Switch(switch) => self.switch(switch),
        }
    }

    fn take(&mut self, rows: Rows) -> Result<(), Broken> {
        let Rows { version, stream, batch, accepted, told } = rows;
        let (told, stream) = match self.stream_here(&version, stream) {
            Ok(stream) => (told, stream),
            Err(misfit) => {
                self.changed.inc_by(batch.len() as u64);
                let name = &version.streams[stream].name;
                put_aside(&self.dead_letters, "changed", name, &batch, &misfit.to_string());
                refuse(misfit, told);
                return Ok(());
            }
        };
        self.now = self.now.max(clock::now_ms());
        if let Err(note) = self.run(Some((stream, &batch))) {
            error!(plan = %self.version.name, note, events = batch.len(), "events put aside: \
                the plan panicked over them");
            self.poisoned.inc_by(batch.len() as u64);
            let name = &self.version.streams[stream].name;
            put_aside(&self.dead_letters, "poison", name, &batch, &note);
            refuse(Misfit::Poison { note }, told);
            self.rebuild()?;
            // Timers that fired before the rows were thrown away with them.
            return self.tick();
        }
        self.position += 1;
        let front = &self.version.streams[stream];
        front.taken.inc_by(batch.len() as u64);
        let waited = clock::elapsed().saturating_sub(accepted);
        front.waited(&self.version.name, waited, &self.metrics);
        self.hand_out(Some((stream, batch.len())));
        let bytes = batch.bytes();
        self.keep(Past::Rows(stream, batch), bytes);
        if let Some(told) = told {
            // Whoever asked may have gone meanwhile.
            let _ = told.send(Ok(Applied { position: self.position }));
        }
        Ok(())
    }

    fn ask(&mut self, question: Question) -> Result<(), Broken> {
        let Question { version, query, told } = question;
        if !Arc::ptr_eq(&version, &self.version) {
            refuse(Misfit::Changed { what: "the plan".to_owned() }, Some(told));
            return Ok(());
        }
        self.now = self.now.max(clock::now_ms());
        let (machine, results, now) = (&mut self.machine.0, &mut self.results, self.now);
        results.clear();
        let asked = catch_unwind(AssertUnwindSafe(|| machine.ask(now, &query, results)));
        let answer = match asked {
            Ok(answer) => answer.map_err(|reason| Misfit::NotRun { reason }),
            Err(_) => {
                let note = last_panic();
                error!(plan = %self.version.name, note, "the plan panicked over a query");
                refuse(Misfit::Poison { note }, Some(told));
                self.rebuild()?;
                return self.tick();
            }
        };
        self.hand_out(None);
        if answer.is_ok() && query.output != Output::Return {
            self.keep(Past::Write(query), 0);
        }
        // Whoever asked may have gone meanwhile.
        let _ = told.send(answer);
        Ok(())
    }

    fn stream_here(&self, version: &Arc<Version>, stream: StreamId) -> Result<StreamId, Misfit> {
        if Arc::ptr_eq(version, &self.version) {
            return Ok(stream);
        }
        let what = || format!("the stream `{}`", version.streams[stream].name);
        let changed = || Misfit::Changed { what: what() };
        self.version.adopt(version, stream).ok_or_else(changed)
    }

    fn switch(&mut self, switch: Switch) -> Result<(), Broken> {
        self.now = self.now.max(clock::now_ms());
        self.show();
        // A version begins with nothing: what the one before held ends with it.
        let held = self.machine.0.held() as u64;
        self.metrics.dropped(&self.version.name, "", "", "version").inc_by(held);
        self.machine = start(&switch.version, self.now)?;
        self.version = switch.version;
        self.base = Base::Started(self.now);
        self.drops.clear();
        self.forget_inputs();
        info!(plan = %self.version.name, version = self.version.number, "new version took over");
        // Whoever asked may have gone meanwhile.
        let _ = switch.told.send(());
        self.tick()
    }

    /// Applies to the machine; `Err` holds what its panic said.
    fn run(&mut self, rows: Option<(StreamId, &Batch)>) -> Result<(), String> {
        let (machine, results) = (&mut self.machine.0, &mut self.results);
        results.clear();
        let now = self.now;
        catch_unwind(AssertUnwindSafe(|| machine.apply(now, rows, results)))
            .map_err(|_| last_panic())
    }

    /// Sends results on their way; the rows of the input itself are not counted as put out.
    fn hand_out(&mut self, input: Option<(StreamId, usize)>) {
        self.done = self.now;
        let version = &self.version;
        for note in self.results.notes.drain(..) {
            write(&version.name, &note);
        }
        for (stream, batch) in self.results.drain() {
            let front = &version.streams[stream];
            let own = input.filter(|(of, _)| *of == stream).map_or(0, |(_, rows)| rows);
            front.put_out.inc_by(batch.len().saturating_sub(own) as u64);
            let batch = Arc::new(batch);
            front.tail.push(&front.schema, &batch);
            for end in &front.publishers {
                let parcel = end.parcel(&version.name, front, &batch);
                self.outgoing.push_back((Arc::clone(end), parcel));
            }
        }
    }

    fn keep(&mut self, input: Past, bytes: usize) {
        self.since_bytes += bytes;
        self.since.push((self.now, input));
        if self.since.len() >= KEPT_INPUTS_MAX || self.since_bytes >= KEPT_BYTES_MAX {
            self.base = Base::Frozen(Box::new(self.machine.0.freeze()));
            self.forget_inputs();
        }
    }

    /// Shows in the metrics how many rows it holds, and how many ended inside it.
    pub fn show(&mut self) {
        self.held.set(i64::try_from(self.machine.0.held()).unwrap_or(i64::MAX));
        for (index, ended) in self.machine.0.drops().into_iter().enumerate() {
            if index == self.drops.len() {
                let Ended { reason, place, .. } = ended;
                let (query, stream) = place.map_or(("", ""), |(query, stream)| {
                    let plan = &self.version.plan;
                    (&plan.queries[query].name, &self.version.streams[stream].name)
                });
                let counter = self.metrics.dropped(&self.version.name, stream, query, reason);
                self.drops.push(Dropped { counter, counted: 0 });
            }
            let dropped = &mut self.drops[index];
            dropped.counter.inc_by(ended.rows.saturating_sub(dropped.counted));
            dropped.counted = ended.rows;
        }
    }

    fn forget_inputs(&mut self) {
        self.since.clear();
        self.since_bytes = 0;
    }

    /// Makes a machine in the state before the input at hand, and throws the results away: they
    /// have left before.
    fn rebuild(&mut self) -> Result<(), Broken> {
        let mut results = Results::default();
        let (version, base, since, done) = (&self.version, &self.base, &self.since, self.done);
        let rebuilt = catch_unwind(AssertUnwindSafe(|| {
            let mut machine = match base {
                Base::Started(at) => version.builder.start(*at)?,
                Base::Frozen(state) => version.builder.load(state)?,
            };
            for (at, input) in since {
                match input {
                    Past::Rows(stream, batch) => {
                        machine.apply(*at, Some((*stream, batch)), &mut results);
                    }
                    Past::Write(query) => {
                        machine.ask(*at, query, &mut results)?;
                    }
                }
                results.clear();
            }
            // Timers that have fired since the last input must not fire again.
            machine.apply(done, None, &mut results);
            Ok::<_, String>(machine)
        }));
        match rebuilt {
            Ok(Ok(machine)) => self.machine = BoxedMachine(machine),
            Ok(Err(reason)) => return Err(Broken(reason)),
            Err(_) => return Err(Broken(last_panic())),
        }
        Ok(())
    }
}

/// Writes a line of the plan into the log of the node.
fn write(plan: &str, note: &Note) {
    let text = &note.text;
    match note.level {
        Level::Error => error!(plan, "{text}"),
        Level::Warn => warn!(plan, "{text}"),
        Level::Info => info!(plan, "{text}"),
        Level::Debug => debug!(plan, "{text}"),
        Level::Trace => trace!(plan, "{text}"),
    }
}

/// Keeps the first row of what is put aside, for people.
fn put_aside(
    letters: &DeadLetters,
    reason: &'static str,
    stream: &str,
    batch: &Batch,
    message: &str,
) {
    let first = if batch.is_empty() { Vec::new() } else { batch.row(0) };
    letters.put(reason, stream, batch.len(), message, &format!("{first:?}"));
}

fn refuse<T>(misfit: Misfit, told: Option<oneshot::Sender<Result<T, Misfit>>>) {
    if let Some(told) = told {
        // Whoever asked may have gone meanwhile.
        let _ = told.send(Err(misfit));
    }
}

fn start(version: &Version, now: Millis) -> Result<BoxedMachine, Broken> {
    match catch_unwind(AssertUnwindSafe(|| version.builder.start(now))) {
        Ok(Ok(machine)) => Ok(BoxedMachine(machine)),
        Ok(Err(reason)) => Err(Broken(reason)),
        Err(_) => Err(Broken(last_panic())),
    }
}

impl std::fmt::Debug for BoxedMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("machine")
    }
}
