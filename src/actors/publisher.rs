//! Runs any publisher: in order, with retry, and with an account of what could not be published.
//!
//! The parcel at hand and the count of its tries outlive the actor, so a parcel over which a
//! publisher panics is tried again, and given up like any other after a few tries. So do parcels
//! that were published and have not settled: they count as having left, in order, once they have,
//! and are published again if what became of them is not known.

mod answered;
mod given_up;
mod line;
mod parcels;
mod pauses;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use actix::prelude::*;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tracing::debug;
use tracing::info;
use tracing::warn;

use crate::actors::clock;
use crate::actors::gate::Gate;
use crate::actors::gate::RoleNow;
use crate::actors::plan::PublisherEnd;
use crate::actors::plan::Station;
use crate::actors::publisher::answered::UnderWay;
use crate::actors::publisher::given_up::LETTERS_UNDER_WAY_MAX;
use crate::actors::publisher::line::Line;
use crate::actors::publisher::parcels::generation;
use crate::actors::publisher::parcels::part;
use crate::actors::publisher::pauses::LINGER;
use crate::actors::publisher::pauses::Pause;
use crate::actors::publisher::pauses::SETTLE_PAUSE;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;
use crate::actors::tree::Surroundings;
use crate::actors::tree::Voice;
use crate::publishers::Built;
use crate::publishers::OnError;
use crate::publishers::PublishError;

/// Tries of a parcel before it is given up, unless the sink says `on.error='WAIT'`.
const TRIES: u32 = 3;
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// Short, because the plan may be waiting for room.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// The longest wait of those who wait for ever.
const BACKOFF_MAX_WAIT: Duration = Duration::from_secs(10);
/// How long a node waits that another one has taken the place of, for word that it follows.
const DEPOSED_PAUSE: Duration = Duration::from_secs(1);
/// How long it works before it looks at its other messages.
const SHIFT: Duration = Duration::from_millis(20);

/// Makes the publisher anew for each life, in the actor's thread.
pub type Make = Arc<dyn Fn() -> Result<Built, String> + Send + Sync>;

/// What a publisher's actor is started with; clones share what outlives it.
#[derive(Clone)]
pub struct PublisherJob {
    /// Makes the publisher.
    pub make: Make,
    /// The plan, for rows that go to a fault stream.
    pub station: Arc<Station>,
    /// Where parcels come from.
    pub end: Arc<PublisherEnd>,
    /// Shows how many events wait.
    pub depth: Gauge,
    /// Shows for how many seconds the oldest of them has been here.
    age: Gauge<f64, AtomicU64>,
    /// Where it says what it does.
    pub voice: Voice,
    /// Whether it may publish.
    gate: Arc<Gate>,
    /// Parcels that may have been published before.
    uncertain: Counter,
    line: Arc<Mutex<Line>>,
}

impl PublisherJob {
    /// A job that has not begun.
    pub fn new(
        make: Make,
        station: Arc<Station>,
        end: Arc<PublisherEnd>,
        around: &Surroundings,
    ) -> Self {
        let depth = around.metrics.queue_depth(&station.name, &end.name);
        let age = around.metrics.queue_age(&station.name, &end.name);
        let voice = around.registry.voice(format!("plans/{}/{}", station.name, end.name));
        let uncertain = around.metrics.uncertain(&station.name, &end.name);
        let (gate, line) = (Arc::clone(&around.gate), Arc::default());
        Self { make, station, end, depth, age, voice, gate, uncertain, line }
    }
}

/// Runs a publisher.
pub struct PublisherActor {
    job: PublisherJob,
    lifeline: Lifeline,
    built: Option<Built>,
    is_open: bool,
    /// Failures in a row, and why the last one was.
    failures: u32,
    reason: String,
    unflushed: bool,
    /// The epoch in which it published last.
    epoch: Option<u64>,
    /// Since when it is to stop.
    stopping: Option<Duration>,
    /// Answers on their way to the plan's log, in order.
    answers: VecDeque<UnderWay>,
    waiting: Option<SpawnHandle>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct WorkOn;

impl PublisherActor {
    /// An actor for this job.
    #[must_use]
    pub fn new(job: PublisherJob, lifeline: Lifeline) -> Self {
        Self {
            job,
            lifeline,
            built: None,
            is_open: false,
            failures: 0,
            reason: String::new(),
            unflushed: false,
            epoch: None,
            stopping: None,
            answers: VecDeque::new(),
            waiting: None,
        }
    }

    fn work(&mut self, ctx: &mut Context<Self>) {
        if let Some(handle) = self.waiting.take() {
            ctx.cancel_future(handle);
        }
        let Some(mut built) = self.built.take() else {
            return;
        };
        let pause = self.shift(&mut built);
        let depth = self.job.end.inbox.events();
        self.job.depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        let oldest = self.line().oldest();
        let age = oldest.map(|since| clock::elapsed().saturating_sub(since)).unwrap_or_default();
        self.job.age.set(age.as_secs_f64());
        self.job.voice.say(built.publisher.detail());
        self.pause(pause, &mut built, ctx);
        self.built = Some(built);
    }

    /// What comes after a try to open that failed.
    fn not_opened(&mut self, built: &mut Built, error: &PublishError) -> Pause {
        let wait = self.failed(built.on_error, error, "cannot be opened");
        self.give_all_up(built, error, self.is_given_up(built.on_error));
        let nothing_waits = self.line().is_empty() && self.job.end.inbox.messages() == 0;
        let lingers = |since| clock::elapsed().saturating_sub(since) < LINGER;
        let is_done = self.stopping.is_some_and(|at| nothing_waits || !lingers(at));
        // More is given up as soon as there is room for more letters.
        let is_full = self.letters_under_way() > LETTERS_UNDER_WAY_MAX;
        let wait = if is_full { SETTLE_PAUSE } else { wait };
        if is_done { Pause::Idle } else { Pause::Later(wait) }
    }

    fn shift(&mut self, built: &mut Built) -> Pause {
        let began = clock::elapsed();
        if !self.is_open
            && let Err(error) = built.publisher.open()
        {
            return self.not_opened(built, &error);
        }
        self.opened();
        let gate = Arc::clone(&self.job.gate);
        loop {
            self.settle(built);
            if self.letters_under_way() > LETTERS_UNDER_WAY_MAX || self.answers_are_many() {
                return Pause::Unsettled;
            }
            let Some(mut at_hand) = self.next_parcel(built) else { break };
            if self.job.end.is_void(&at_hand.parcel.message) {
                // The other node published it, or computes it otherwise.
                continue;
            }
            if let Some(reason) = self.given_up_before(&at_hand) {
                if gate.begin().is_none() {
                    self.keep(at_hand);
                    return Pause::Held;
                }
                self.pass_over(built, at_hand, reason);
                continue;
            }
            if !built.publisher.bears_ids() && !self.is_known() {
                self.keep(at_hand);
                return Pause::Untold;
            }
            // Asked directly before each: it may end at any moment.
            let Some(permit) = gate.begin() else {
                self.keep(at_hand);
                return Pause::Held;
            };
            if at_hand.tries == 0 {
                self.note_epoch(&permit.role, at_hand.parcel.message.epoch);
            }
            at_hand.tries += 1;
            let tries = at_hand.tries;
            let mut parcel = at_hand.parcel.message.clone();
            parcel.epoch = permit.role.epoch;
            parcel.generation = generation(parcel.generation, &permit.role.generation);
            self.keep(at_hand);
            let published = built.publisher.publish(&parcel);
            self.unflushed = true;
            let mut given_up = None;
            match published {
                Ok(()) => self.succeeded(),
                Err(error) if error.busy => {
                    self.count_no_try();
                    return Pause::Busy;
                }
                Err(error) if error.deposed => {
                    self.count_no_try();
                    self.failed(OnError::Wait, &error, "another node publishes");
                    return Pause::Later(DEPOSED_PAUSE);
                }
                Err(error) if !error.transient && error.rows.is_some() => {
                    let part = part(&parcel, error.rows.clone().unwrap_or_default());
                    built.publisher.abandon(&part, &error.message);
                    let letter = self.give_up(built.on_error, &part, &error);
                    self.attach(letter);
                    // The rest of the parcel has its tries still before it.
                    self.count_no_try();
                    if clock::elapsed().saturating_sub(began) > SHIFT {
                        return Pause::Shift;
                    }
                    continue;
                }
                Err(error) => {
                    let wait = self.failed(built.on_error, &error, "could not publish");
                    let again =
                        error.transient && (built.on_error == OnError::Wait || tries < TRIES);
                    if again {
                        if built.on_error == OnError::Wait {
                            // However often it failed, it did not panic.
                            self.count_no_try();
                        }
                        return Pause::Later(wait);
                    }
                    built.publisher.abandon(&parcel, &error.message);
                    let letter = self.give_up_rest(built, built.on_error, &parcel, &error);
                    self.attach(letter);
                    given_up = Some(error.message.into());
                }
            }
            self.said(given_up);
            self.settle(built);
            drop(permit);
            if clock::elapsed().saturating_sub(began) > SHIFT {
                return Pause::Shift;
            }
        }
        self.flush(built)
    }

    /// Nothing more is to be published for now.
    fn flush(&mut self, built: &mut Built) -> Pause {
        if std::mem::take(&mut self.unflushed)
            && let Err(error) = built.publisher.flush()
        {
            if error.busy {
                self.unflushed = true;
                self.settle(built);
                return Pause::Unsettled;
            }
            let wait = self.failed(built.on_error, &error, "could not flush");
            self.unflushed = error.transient && !self.is_given_up(built.on_error);
            if self.unflushed {
                return Pause::Later(wait);
            }
        }
        self.settle(built);
        if self.line().said.is_empty() { Pause::Idle } else { Pause::Unsettled }
    }

    /// Whether the other node would repeat nothing, if it took over now: then at most the parcel
    /// begun next is seen twice.
    fn is_known(&self) -> bool {
        let (end, mirrored) = (&self.job.end, self.job.station.mirrored());
        let known = mirrored.is_none_or(|mirrored| mirrored.is_known(&end.name, end.confirmed()));
        if !known && let Some(mirrored) = mirrored {
            mirrored.results_left(true);
        }
        known
    }

    /// The first parcel of an epoch may have left already, if whoever acted before was cut off, and
    /// if it does not follow from what was ordered here, in this epoch.
    fn note_epoch(&mut self, role: &RoleNow, ordered: u64) {
        let is_own = ordered > 0 && (role.epoch == 0 || ordered == role.epoch);
        if self.epoch.replace(role.epoch) != Some(role.epoch) && role.unsure && !is_own {
            self.job.uncertain.inc();
        }
    }

    /// The last try was none, or it came to an end of its own: the next one is the first.
    fn count_no_try(&self) {
        if let Some(at_hand) = &mut self.line().at_hand {
            at_hand.tries = 0;
        }
    }

    fn opened(&mut self) {
        if !self.is_open {
            self.is_open = true;
            debug!(plan = %self.job.station.name, publisher = self.job.end.name, "opened");
            self.succeeded();
        }
    }

    fn succeeded(&mut self) {
        self.reason.clear();
        if std::mem::take(&mut self.failures) > 0 {
            info!(plan = %self.job.station.name, publisher = self.job.end.name, "works again");
        }
    }

    /// Takes note of a failure; says how long to wait before the next try.
    fn failed(&mut self, on_error: OnError, error: &PublishError, what: &str) -> Duration {
        self.failures += 1;
        if self.reason != error.message {
            self.reason.clone_from(&error.message);
            let (plan, publisher) = (&self.job.station.name, &self.job.end.name);
            warn!(%plan, publisher, %error, ?on_error, "{what}; trying again");
        }
        let longest = if on_error == OnError::Wait { BACKOFF_MAX_WAIT } else { BACKOFF_MAX };
        BACKOFF_FIRST.saturating_mul(1 << (self.failures - 1).min(16)).min(longest)
    }

    fn is_given_up(&self, on_error: OnError) -> bool {
        on_error != OnError::Wait && self.failures >= TRIES
    }
}

impl Actor for PublisherActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match (self.job.make)() {
            Ok(built) => {
                self.built = Some(built);
                self.work(ctx);
            }
            Err(reason) => {
                // The plan must not wait for somebody who never comes.
                self.job.end.inbox.close();
                self.lifeline.end(Exit::permanent(reason));
                ctx.stop();
            }
        }
    }
}

impl Handler<WorkOn> for PublisherActor {
    type Result = ();

    fn handle(&mut self, _: WorkOn, ctx: &mut Self::Context) {
        self.work(ctx);
    }
}

impl Handler<Control> for PublisherActor {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Stop => {
                self.stopping.get_or_insert_with(clock::elapsed);
                self.work(ctx);
            }
            Control::Fall => Control::fall(),
        }
    }
}

impl fmt::Debug for PublisherJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublisherJob({})", self.end.name)
    }
}

impl fmt::Debug for PublisherActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublisherActor({})", self.job.end.name)
    }
}
