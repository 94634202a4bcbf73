//! Runs any receiver: polls it while the plan has room, and starts it again where it was.
//!
//! What was received and not yet taken by the plan outlives the actor, together with the place the
//! receiver has reached; so a fall neither loses nor doubles rows of a source that has places.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tracing::info;
use tracing::warn;

use crate::actors::clock;
use crate::actors::gate::Gate;
use crate::actors::plan::Applied;
use crate::actors::plan::Brought;
use crate::actors::plan::Misfit;
use crate::actors::plan::Standing;
use crate::actors::plan::Station;
use crate::actors::plan::place_name;
use crate::actors::plan::shortened;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;
use crate::actors::tree::Surroundings;
use crate::actors::tree::Voice;
use crate::event::Batch;
use crate::receivers::Door;
use crate::receivers::Likeness;
use crate::receivers::Mark;
use crate::receivers::Next;
use crate::receivers::Received;
use crate::receivers::Receiver;
use crate::receivers::Threshold;
use crate::receivers::Unreadable;
use crate::replica::Copied;
use crate::replica::Letter;
use crate::replica::LetterKind;
use crate::replica::Payload;

/// How long it polls before it looks at its other messages.
const SHIFT: Duration = Duration::from_millis(10);
/// How long it waits before it looks for room in the plan again.
const ROOM_PAUSE: Duration = Duration::from_millis(2);
/// How often it looks whether this node may pull.
const GATE_PAUSE: Duration = Duration::from_millis(20);
/// Unreadable inputs are logged at most this often; all are counted.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(1);

/// The reason of all its dead letters.
const UNREADABLE: &str = "unreadable";

/// Makes the receiver anew for each life, in the actor's thread.
pub type Make = Arc<dyn Fn() -> Result<Box<dyn Receiver>, String> + Send + Sync>;

/// What a receiver's actor is started with; clones share what outlives it.
#[derive(Clone)]
pub struct ReceiverJob {
    /// Makes the receiver.
    pub make: Make,
    /// The plan it feeds.
    pub station: Arc<Station>,
    /// The stream it feeds.
    pub stream: Arc<str>,
    /// Its name in the plan.
    name: Arc<str>,
    unreadable: Counter,
    unmatched: Counter,
    voice: Voice,
    gate: Arc<Gate>,
    twin: Option<Twin>,
    kept: Arc<Mutex<Kept>>,
}

/// The same receiver at the other node brings the same events.
#[derive(Clone, Debug)]
struct Twin {
    /// This node; empty where there is no pair.
    node: Arc<str>,
    likeness: Likeness,
}

#[derive(Default)]
struct Kept {
    mark: Option<Mark>,
    /// Of one with a twin: where it stood after the last that was brought to the plan.
    brought: Option<String>,
    /// Of one with a twin: it passes over what waits for it, and has brought no rows since.
    passes: bool,
    pending: Option<Pending>,
    /// By which the last rows brought to the plan tell what became of them.
    told: Option<Told>,
    /// Held as long as the receiver is deployed.
    _attendance: Option<Box<dyn Any + Send>>,
    last_complaint: Option<Duration>,
}

/// What was received and the plan has not taken yet.
struct Pending {
    batch: Batch,
    letters: Vec<Letter>,
}

impl ReceiverJob {
    /// A job that has not begun.
    pub fn new(
        make: Make,
        station: Arc<Station>,
        stream: Arc<str>,
        (name, likeness): (&str, Option<Likeness>),
        around: &Surroundings,
    ) -> Self {
        let metrics = &around.metrics;
        let voice = around.registry.voice(format!("plans/{}/{name}", station.name));
        let unreadable = metrics.dead_letters(&station.name, UNREADABLE);
        let unmatched = metrics.dropped(&station.name, &stream, "", "unmatched");
        let (name, gate) = (name.into(), Arc::clone(&around.gate));
        let attendance = make().ok().and_then(|receiver| receiver.attend());
        let kept = Arc::new(Mutex::new(Kept { _attendance: attendance, ..Kept::default() }));
        let node = around.pair.as_ref().map_or_else(|| "".into(), |pair| Arc::clone(&pair.node));
        // Alone, without an id, nothing can be the copy of anything.
        let twin = likeness.filter(|like| like.id.is_some() || !node.is_empty());
        let twin = twin.map(|likeness| Twin { node, likeness });
        Self { make, station, stream, name, unreadable, unmatched, voice, gate, twin, kept }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds where the receiver goes on: where it was in this process, else where the plan's log
    /// says. `false` while that is not known.
    fn find_mark(&self) -> bool {
        let mut kept = self.kept();
        if kept.mark.is_some() {
            return true;
        }
        if let Some(told) = &mut kept.told
            && matches!(told.try_recv(), Err(TryRecvError::Empty))
        {
            // What was brought before is neither in the log nor turned away yet.
            return false;
        }
        kept.told = None;
        drop(kept);
        let Some(twin) = &self.twin else {
            let Some(place) = self.station.place_of(&self.name) else { return false };
            self.kept().mark = place.map(Mark);
            return true;
        };
        let Some(standing) = self.station.standing_of(&self.name, &twin.node) else { return false };
        let Standing { known, mark, is_passed } = standing;
        let mut kept = self.kept();
        (kept.brought, kept.passes) = (known, is_passed);
        kept.mark = mark.filter(|_| !is_passed).map(Mark);
        if is_passed {
            let (plan, stream) = (&self.station.name, &self.stream);
            info!(%plan, %stream, "what waits at this source was brought by the other node");
        }
        true
    }

    /// Whether rows that were brought before were turned away, so that what follows them would be,
    /// too. Only of one with a twin: others are told by the gate.
    fn is_astray(&self) -> bool {
        let mut kept = self.kept();
        if self.twin.is_none() {
            return false;
        }
        match kept.told.as_mut().map(oneshot::Receiver::try_recv) {
            Some(Ok(Err(_)) | Err(TryRecvError::Closed)) => true,
            Some(Ok(Ok(_))) => {
                kept.told = None;
                false
            }
            Some(Err(TryRecvError::Empty)) | None => false,
        }
    }

    /// Whether rows that were brought before are neither in the log nor turned away yet.
    fn is_untold(&self) -> bool {
        self.twin.is_some() && self.kept().told.is_some()
    }

    /// What makes the rows known that are brought next, with a mark or without.
    fn copied(&self, kept: &Kept, has_mark: bool) -> Option<Copied> {
        let Twin { node, likeness: Likeness { id, window } } = self.twin.as_ref()?;
        Some(Copied {
            receiver: (&*self.name).into(),
            node: (&**node).into(),
            id: id.and_then(|id| u32::try_from(id).ok()),
            window: *window,
            after: kept.brought.as_deref().filter(|_| has_mark).map(Into::into),
            has_passed: kept.passes,
        })
    }

    /// The name under which its place is kept.
    fn place_name(&self) -> String {
        let node = self.twin.as_ref().map_or("", |twin| &twin.node);
        place_name(&self.name, node)
    }

    /// This node does not pull any more: what it had not brought to the plan's log the other node
    /// brings there, and where that stands the log will say.
    fn let_go(&self) {
        let mut kept = self.kept();
        if kept.mark.is_some() || self.twin.is_some() {
            (kept.mark, kept.pending) = (None, None);
        }
    }

    /// Counts what is not going to reach the stream; what could not be read becomes letters.
    fn account(&self, received: &mut Received) -> Vec<Letter> {
        self.unmatched.inc_by(received.unmatched as u64);
        let unreadable = std::mem::take(&mut received.unreadable);
        if let Some(first) = unreadable.first() {
            self.unreadable.inc_by(unreadable.len() as u64);
            self.complain(first);
        }
        unreadable.into_iter().map(|unreadable| self.letter(unreadable)).collect()
    }

    fn letter(&self, unreadable: Unreadable) -> Letter {
        let Unreadable { reason, input } = unreadable;
        Letter {
            at: clock::now_ms(),
            kind: LetterKind::Receiver,
            place: (&*self.name).into(),
            stream: (&*self.stream).into(),
            reason: UNREADABLE.into(),
            message: reason.as_str().into(),
            payload: Payload::Message(input),
        }
    }

    fn complain(&self, first: &Unreadable) {
        let (mut kept, now) = (self.kept(), clock::elapsed());
        if kept.last_complaint.is_none_or(|last| now.saturating_sub(last) > COMPLAINT_PAUSE) {
            kept.last_complaint = Some(now);
            let (plan, stream, reason) = (&self.station.name, &self.stream, &first.reason);
            let sample = shortened(&String::from_utf8_lossy(&first.input));
            warn!(%plan, %stream, reason, ?sample, "input put aside: it cannot be read as events");
        }
    }
}

/// Runs a receiver.
pub struct ReceiverActor {
    job: ReceiverJob,
    lifeline: Lifeline,
    receiver: Option<Box<dyn Receiver>>,
    next: Next,
    woken: Arc<AtomicBool>,
    waiting: Option<SpawnHandle>,
    stopping: bool,
    /// Whether it fetches; known once one was made.
    pulls: Option<bool>,
    /// The turn of the gate at which it was opened.
    turn: u64,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Poll;

impl ReceiverActor {
    /// An actor for this job.
    #[must_use]
    pub fn new(job: ReceiverJob, lifeline: Lifeline) -> Self {
        let woken = Arc::new(AtomicBool::new(false));
        let (receiver, next, waiting) = (None, Next::Now, None);
        let (stopping, pulls, turn) = (false, None, 0);
        Self { job, lifeline, receiver, next, woken, waiting, stopping, pulls, turn }
    }

    fn begin(&mut self, ctx: &mut Context<Self>) -> Result<(), Exit> {
        let mut receiver = (self.job.make)().map_err(Exit::permanent)?;
        let door = Door::new(Arc::new(PlanDoor {
            job: self.job.clone(),
            woken: Arc::clone(&self.woken),
            address: ctx.address(),
        }));
        let mark = self.job.kept().mark.clone();
        if self.job.kept().passes && mark.is_none() {
            receiver.pass_over();
        }
        receiver
            .open(&door, mark.as_ref())
            .map_err(|error| Exit::Failed { reason: error.message, transient: error.transient })?;
        self.receiver = Some(receiver);
        Ok(())
    }

    fn work(&mut self, ctx: &mut Context<Self>) {
        if let Some(handle) = self.waiting.take() {
            ctx.cancel_future(handle);
        }
        self.woken.store(false, Ordering::Release);
        let Some(receiver) = &mut self.receiver else {
            return;
        };
        // Also where the gate is open again: meanwhile what was brought may have been turned away.
        let has_turned = match self.job.twin {
            Some(_) => self.job.is_astray(),
            None => self.turn != self.job.gate.turns() || !self.job.gate.is_open(),
        };
        if receiver.pulls() && has_turned && !self.stopping {
            receiver.close();
            (self.receiver, self.next) = (None, Next::Now);
            self.job.let_go();
            return self.start_when_caught_up(ctx);
        }
        let began = clock::elapsed();
        loop {
            if !deliver(&self.job) {
                self.waiting = Some(ctx.run_later(ROOM_PAUSE, |this, ctx| this.work(ctx)));
                return;
            }
            if self.stopping {
                return self.end(Exit::Asked, ctx);
            }
            match std::mem::replace(&mut self.next, Next::Now) {
                Next::Now => {}
                Next::After(wait) => {
                    self.job.voice.say(receiver.detail());
                    self.waiting = Some(ctx.run_later(wait, |this, ctx| this.work(ctx)));
                    return;
                }
                Next::WhenWoken => return self.job.voice.say(receiver.detail()),
                Next::Never if self.job.is_untold() => {
                    // If they are turned away, it has to bring them again.
                    self.next = Next::Never;
                    self.waiting = Some(ctx.run_later(ROOM_PAUSE, |this, ctx| this.work(ctx)));
                    return;
                }
                Next::Never => return self.end(Exit::Done, ctx),
            }
            if clock::elapsed().saturating_sub(began) > SHIFT {
                self.job.voice.say(receiver.detail());
                return ctx.notify(Poll);
            }
            match receiver.poll() {
                Ok((received, next)) => {
                    self.next = next;
                    take(&self.job, received);
                }
                Err(error) => {
                    let exit = Exit::Failed { reason: error.message, transient: error.transient };
                    return self.end(exit, ctx);
                }
            }
        }
    }

    fn end(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        if let Some(mut receiver) = self.receiver.take() {
            receiver.close();
        }
        self.lifeline.end(exit);
        ctx.stop();
    }
}

/// Keeps what was received until the plan has taken it.
fn take(job: &ReceiverJob, mut received: Received) {
    let letters = job.account(&mut received);
    let mut kept = job.kept();
    if received.mark.is_some() {
        kept.mark = received.mark;
    }
    if !received.batch.is_empty() || !letters.is_empty() {
        kept.pending = Some(Pending { batch: received.batch, letters });
    }
}

/// Brings what is kept to the plan; `false` when there is no room.
fn deliver(job: &ReceiverJob) -> bool {
    let mut kept = job.kept();
    let Some(pending) = kept.pending.take() else {
        return true;
    };
    let version = job.station.version();
    let Some((stream, _)) = version.stream(&job.stream) else {
        // The stream is gone; the deployer is about to stop this receiver.
        kept.pending = Some(pending);
        return false;
    };
    let mark = kept.mark.as_ref().map(|Mark(place)| {
        let (receiver, place) = (job.place_name().as_str().into(), place.as_str().into());
        crate::replica::Mark { receiver, place }
    });
    let copied = job.copied(&kept, mark.is_some());
    let (tell, told) = oneshot::channel();
    let has_mark = mark.is_some();
    let tell = has_mark.then_some(tell);
    let Pending { batch, letters } = pending;
    let has_rows = !batch.is_empty();
    let brought = Brought { batch, letters, mark, copied };
    match job.station.put_now(&version, stream, brought, tell) {
        Ok(()) => {
            kept.told = has_mark.then_some(told);
            kept.brought = kept.mark.as_ref().map(|Mark(place)| place.clone());
            // Letters alone do not say that it passed: only of rows that is remembered.
            kept.passes &= !has_rows;
        }
        Err(brought) => {
            let Brought { batch, letters, .. } = *brought;
            kept.pending = Some(Pending { batch, letters });
        }
    }
    kept.pending.is_none()
}

/// The way in for receivers that are pushed to.
struct PlanDoor {
    job: ReceiverJob,
    woken: Arc<AtomicBool>,
    address: Addr<ReceiverActor>,
}

/// Told once rows are applied.
type Told = oneshot::Receiver<Result<Applied, Misfit>>;

impl PlanDoor {
    /// Brings rows to the plan, waiting for room; `None` if it takes nothing any more. Of nothing
    /// nobody is told.
    async fn enter(&self, mut received: Received) -> Option<Option<Told>> {
        let letters = self.job.account(&mut received);
        if received.batch.is_empty() && letters.is_empty() {
            return Some(None);
        }
        let version = self.job.station.version();
        let (stream, _) = version.stream(&self.job.stream)?;
        let copied = self.job.copied(&self.job.kept(), false);
        let brought = Brought { batch: received.batch, letters, mark: None, copied };
        let told = self.job.station.bring(&version, stream, brought).await;
        told.ok().map(Some)
    }
}

impl Threshold for PlanDoor {
    fn give(&self, received: Received) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async move { self.enter(received).await.is_some() })
    }

    fn give_safely(&self, received: Received) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async move {
            match self.enter(received).await {
                // What the plan put aside was taken nevertheless.
                Some(Some(told)) => told.await.is_ok(),
                Some(None) => true,
                None => false,
            }
        })
    }

    fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.address.do_send(Poll);
        }
    }

    fn place(&self) -> Option<Option<Mark>> {
        Some(self.job.station.place_of(&self.job.name)?.map(Mark))
    }
}

impl Actor for ReceiverActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.start_when_caught_up(ctx);
    }
}

impl ReceiverActor {
    /// What the plan's log says of this source is known once all that is kept was applied.
    fn start_when_caught_up(&mut self, ctx: &mut Context<Self>) {
        if self.stopping {
            return;
        }
        let pulls = match self.pulls.map_or_else(|| (self.job.make)().map(|of| of.pulls()), Ok) {
            Ok(pulls) => *self.pulls.insert(pulls),
            Err(reason) => return self.end(Exit::permanent(reason), ctx),
        };
        // Looked at first, so that no turn after this is overlooked.
        self.turn = self.job.gate.turns();
        // Who is pushed to opens its door on both nodes; who pulls does so where entries are
        // ordered, unless its twin brings the same events; from where the log says.
        let may = !pulls || self.job.twin.is_some() || self.job.gate.is_open();
        if !may || pulls && !self.job.find_mark() {
            let pause = if self.job.gate.is_open() { ROOM_PAUSE } else { GATE_PAUSE };
            ctx.run_later(pause, |this, ctx| this.start_when_caught_up(ctx));
            return;
        }
        match self.begin(ctx) {
            Ok(()) => self.work(ctx),
            Err(exit) => self.end(exit, ctx),
        }
    }
}

impl Handler<Poll> for ReceiverActor {
    type Result = ();

    fn handle(&mut self, _: Poll, ctx: &mut Self::Context) {
        self.work(ctx);
    }
}

impl Handler<Control> for ReceiverActor {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Stop => {
                // What was received and not yet taken by the plan is brought there first.
                self.stopping = true;
                match self.receiver {
                    Some(_) => self.work(ctx),
                    None => self.end(Exit::Asked, ctx),
                }
            }
            Control::Fall => Control::fall(),
        }
    }
}

impl fmt::Debug for ReceiverJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiverJob({}/{})", self.station.name, self.stream)
    }
}

impl fmt::Debug for ReceiverActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiverActor({}/{})", self.job.station.name, self.job.stream)
    }
}
