//! Runs any publisher: in order, with retry, and with an account of what could not be published.
//!
//! The parcel at hand and the count of its tries outlive the actor, so a parcel over which a
//! publisher panics is tried again, and given up like any other after a few tries. So do parcels
//! that were published and have not settled: they count as having left, in order, once they have,
//! and are published again if what became of them is not known.

mod answered;
mod given_up;
mod parcels;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use actix::prelude::*;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::timeout;
use tracing::debug;
use tracing::info;
use tracing::warn;

use crate::actors::clock;
use crate::actors::gate::Gate;
use crate::actors::gate::RoleNow;
use crate::actors::plan::PublisherEnd;
use crate::actors::plan::Station;
use crate::actors::publisher::answered::ANSWERS_UNDER_WAY_MAX;
use crate::actors::publisher::answered::UnderWay;
use crate::actors::publisher::given_up::GivenUp;
use crate::actors::publisher::given_up::LETTERS_UNDER_WAY_MAX;
use crate::actors::publisher::parcels::generation;
use crate::actors::publisher::parcels::part;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;
use crate::actors::tree::Surroundings;
use crate::actors::tree::Taken;
use crate::actors::tree::Voice;
use crate::publishers::Built;
use crate::publishers::OnError;
use crate::publishers::Parcel;
use crate::publishers::PublishError;

/// Tries of a parcel before it is given up, unless the sink says `on.error='WAIT'`.
const TRIES: u32 = 3;
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// Short, because the plan may be waiting for room.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// The longest wait of those who wait for ever.
const BACKOFF_MAX_WAIT: Duration = Duration::from_secs(10);
/// How long it waits for a place that takes no more for now.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// How long a node waits that another one has taken the place of, for word that it follows.
const DEPOSED_PAUSE: Duration = Duration::from_secs(1);
/// How often it looks whether what was published has settled.
const SETTLE_PAUSE: Duration = Duration::from_millis(3);
/// How long it waits for that, or for a busy place, once it is told to stop. What has not left by
/// then is kept with the plan.
const LINGER: Duration = Duration::from_secs(3);
/// How long it works before it looks at its other messages.
const SHIFT: Duration = Duration::from_millis(20);
/// How often a publisher of the passive looks what the active published.
const HELD_PAUSE: Duration = Duration::from_millis(20);

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

/// Parcels taken out of the inbox that have not left, the oldest first.
#[derive(Default)]
struct Line {
    /// Published, or given up; to be confirmed in order.
    said: VecDeque<AtHand>,
    at_hand: Option<AtHand>,
    /// To be published again.
    again: VecDeque<AtHand>,
}

struct AtHand {
    parcel: Taken<Parcel>,
    /// When it was taken out of the inbox.
    since: Duration,
    tries: u32,
    /// It was put aside: nothing is to be done but to confirm it in its turn.
    given_up: bool,
    /// Letters that hold it, or parts of it, and have to be safe before.
    letters: Vec<GivenUp>,
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

enum Pause {
    Idle,
    Shift,
    Later(Duration),
    /// The place takes no more for now.
    Busy,
    /// What was published has not settled yet.
    Unsettled,
    /// This node may not publish now.
    Held,
    /// The other node does not know yet that the parcel before has left.
    Untold,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.said.is_empty() && self.again.is_empty() && self.at_hand.is_none()
    }

    /// Since when the oldest of them is here.
    fn oldest(&self) -> Option<Duration> {
        let first = self.said.front().or(self.at_hand.as_ref()).or(self.again.front());
        first.map(|at_hand| at_hand.since)
    }

    /// The parcel that is to be published next, of those taken before.
    fn next(&mut self) -> Option<AtHand> {
        self.at_hand.take().or_else(|| self.again.pop_front())
    }

    /// What was published is to be published again, in order and before all else.
    fn recall(&mut self) {
        if let Some(at_hand) = self.at_hand.take() {
            self.again.push_front(at_hand);
        }
        for said in self.said.drain(..).rev() {
            self.again.push_front(AtHand { tries: 0, ..said });
        }
    }
}

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
        let lingers = |since: Duration| clock::elapsed().saturating_sub(since) < LINGER;
        match pause {
            Pause::Idle | Pause::Held if self.stopping.is_some() => self.end(&mut built, ctx),
            Pause::Busy | Pause::Unsettled if self.stopping.is_some_and(|at| !lingers(at)) => {
                self.end(&mut built, ctx);
            }
            Pause::Shift => ctx.notify(WorkOn),
            Pause::Later(wait) => {
                self.waiting = Some(ctx.run_later(wait, |this, ctx| this.work(ctx)));
            }
            Pause::Busy => {
                self.waiting = Some(ctx.run_later(BUSY_PAUSE, |this, ctx| this.work(ctx)));
            }
            Pause::Held => {
                let mut changes = self.job.gate.changes();
                // Results that the other node published are dropped in time.
                let look = async move { drop(timeout(HELD_PAUSE, changes.changed()).await) };
                let look = look.into_actor(self).map(|(), this, ctx| this.work(ctx));
                self.waiting = Some(ctx.spawn(look));
            }
            Pause::Untold => {
                let learning = self.job.station.mirrored().map(|mirrored| mirrored.learning());
                if self.is_known() {
                    // It became known before this began to listen.
                    self.built = Some(built);
                    return ctx.notify(WorkOn);
                }
                let look = async move {
                    if let Some(mut learning) = learning {
                        drop(timeout(HELD_PAUSE, learning.changed()).await);
                    }
                };
                let look = look.into_actor(self).map(|(), this, ctx| this.work(ctx));
                self.waiting = Some(ctx.spawn(look));
            }
            Pause::Unsettled => {
                let inbox = self.job.end.inbox.clone();
                let look = async move { drop(timeout(SETTLE_PAUSE, inbox.arrived()).await) };
                let look = look.into_actor(self).map(|(), this, ctx| this.work(ctx));
                self.waiting = Some(ctx.spawn(look));
            }
            Pause::Idle => {
                let may_act = self.job.gate.begin().is_some();
                let (inbox, rest) = (self.job.end.inbox.clone(), built.publisher.rest(may_act));
                let arrived = async move {
                    match rest {
                        Some(rest) => drop(timeout(rest, inbox.arrived()).await),
                        None => inbox.arrived().await,
                    }
                };
                let arrived = arrived.into_actor(self).map(|(), this, ctx| this.work(ctx));
                self.waiting = Some(ctx.spawn(arrived));
            }
        }
        self.built = Some(built);
    }

    fn end(&mut self, built: &mut Built, ctx: &mut Context<Self>) {
        built.publisher.close();
        self.lifeline.end(Exit::Asked);
        ctx.stop();
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
            if self.letters_under_way() > LETTERS_UNDER_WAY_MAX
                || self.answers.len() > ANSWERS_UNDER_WAY_MAX
            {
                return Pause::Unsettled;
            }
            let Some(mut at_hand) = self.next_parcel(built.on_error) else { break };
            if self.job.end.is_void(&at_hand.parcel.message) {
                // The other node published it, or computes it otherwise.
                continue;
            }
            if at_hand.given_up || self.job.end.is_put_aside(&at_hand.parcel.message) {
                at_hand.given_up = true;
                self.line().said.push_back(at_hand);
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
            let mut given_up = false;
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
                    let letter = self.give_up(built.on_error, &parcel, &error);
                    self.attach(letter);
                    given_up = true;
                }
            }
            self.said(given_up);
            self.settle(built);
            drop(permit);
            if clock::elapsed().saturating_sub(began) > SHIFT {
                return Pause::Shift;
            }
        }
        if std::mem::take(&mut self.unflushed)
            && let Err(error) = built.publisher.flush()
        {
            let wait = self.failed(built.on_error, &error, "could not flush");
            self.unflushed = error.transient && !self.is_given_up(built.on_error);
            if self.unflushed {
                return Pause::Later(wait);
            }
        }
        self.settle(built);
        if self.line().said.is_empty() { Pause::Idle } else { Pause::Unsettled }
    }

    /// The parcel at hand is done with as soon as it and those before it have settled.
    fn said(&self, given_up: bool) {
        let mut line = self.line();
        if let Some(at_hand) = line.at_hand.take() {
            line.said.push_back(AtHand { given_up, ..at_hand });
        }
    }

    /// Confirms what has settled, in order; what was lost is next again.
    fn settle(&mut self, built: &mut Built) {
        self.send_answers(built);
        let unheard = self.look_at_answers();
        if unheard {
            built.publisher.answers_lost();
        }
        let mut line = self.line();
        if built.publisher.is_lost() || unheard {
            line.recall();
        }
        if let Some(at_hand) = &mut line.at_hand {
            // It may have a letter for each of many rows.
            self.letters_are_safe(at_hand);
        }
        while let Some(at_hand) = line.said.front_mut() {
            let end = &self.job.end;
            if !end.is_void(&at_hand.parcel.message) {
                let number = at_hand.parcel.message.number;
                if !self.letters_are_safe(at_hand)
                    || !at_hand.given_up && !built.publisher.settled(number)
                    || !self.is_answered(number + at_hand.parcel.message.batch.len() as u64 - 1)
                {
                    break;
                }
                let parcel = &at_hand.parcel.message;
                end.confirm(parcel);
                // A receiver that keeps ids is told again, if need be, what it knows.
                self.job.station.published(!built.publisher.bears_ids());
            }
            line.said.pop_front();
        }
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

    fn line(&self) -> MutexGuard<'_, Line> {
        self.job.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, at_hand: AtHand) {
        self.line().at_hand = Some(at_hand);
    }

    /// The parcel that was begun, else the next one; one that was tried too often is given up.
    fn next_parcel(&self, on_error: OnError) -> Option<AtHand> {
        let begun = self.line().next();
        match begun {
            Some(mut begun) if begun.tries > TRIES * 2 && !begun.given_up => {
                // Its last tries ended in panics: even who waits for ever must not wait for this.
                let error = PublishError::permanent("the publisher panicked over it repeatedly");
                let on_error = if on_error == OnError::Log { on_error } else { OnError::Store };
                begun.letters.extend(self.give_up(on_error, &begun.parcel.message, &error));
                Some(AtHand { given_up: true, ..begun })
            }
            Some(begun) => Some(begun),
            None => {
                let parcel = self.job.end.inbox.take()?;
                let since = clock::elapsed();
                Some(AtHand { parcel, since, tries: 0, given_up: false, letters: Vec::new() })
            }
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
