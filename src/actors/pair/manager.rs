//! The HA manager: one member of the protocol, fed with what happens and made to come true.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::actors::clock;
use crate::actors::gate::Part;
use crate::actors::pair::Hub;
use crate::actors::pair::PairStatus;
use crate::actors::pair::fences::Fences;
use crate::actors::pair::files::Files;
use crate::actors::pair::fingerprints::Fingerprints;
use crate::actors::pair::notes::Notes;
use crate::actors::pair::shipping::Reading;
use crate::actors::plan::hold;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;
use crate::actors::wire::Look;
use crate::config::Config;
use crate::ha::arbiter::Arbiter;
use crate::ha::arbiter::lock::NodeLock;
use crate::ha::link::Heard;
use crate::ha::link::Link;
use crate::ha::link::Peer;
use crate::ha::link::freight::Entries;
use crate::ha::protocol::Action;
use crate::ha::protocol::Asking;
use crate::ha::protocol::Epoch;
use crate::ha::protocol::Input;
use crate::ha::protocol::Member;
use crate::ha::protocol::Moment;
use crate::ha::protocol::Outcome;
use crate::ha::protocol::Plan;
use crate::ha::protocol::PlanSet;
use crate::ha::protocol::Position;
use crate::ha::protocol::Refusal;
use crate::ha::protocol::RequestId;
use crate::ha::protocol::Start;
use crate::ha::protocol::Version;
use crate::ha::protocol::Word;
use crate::ha::settings;
use crate::telemetry::metrics::Metrics;

/// How often time passes for the protocol.
const TICK: Duration = Duration::from_millis(10);
/// An active that was heard within this time can be forwarded to; milliseconds.
const REACHED: u64 = 1_000;
/// How often the figures for people are brought up to date.
const WATCH: Duration = Duration::from_millis(50);
/// How often it is seen to that the kernel lock protects something.
const LOCK_LOOK: Duration = Duration::from_secs(1);

/// What the manager is told.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Tell {
    /// A plan's log is in the hub.
    Attached(Plan),
    /// A plan's log has left the hub.
    Detached(Plan),
    /// A plan's journal was opened again after it failed: it may be shorter now.
    Reopened(Plan),
    /// The link says something.
    Heard(Box<Heard>),
    /// The arbiter answers.
    Arbiter(RequestId, Box<Outcome>),
    /// Every journal is on disk.
    SyncedAll(u64),
    /// Not all journals but those of these plans could be synced for this token.
    NotSynced(u64, PlanSet),
    /// The other's kernel lock was tested.
    Lock(Version, bool),
    /// A snapshot has come: of which plan, up to which position and its epoch, under which name.
    Snapshot(Plan, u64, u64, String),
    /// A snapshot was taken here, of this name.
    Share(Plan, String),
    /// The fingerprint of a plan's state here.
    Fingerprint {
        /// The plan.
        plan: Plan,
        /// The position it is of.
        position: u64,
        /// What it is.
        value: u64,
    },
}

/// The operator's word; answered when it is done, or refused.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Wish {
    /// The word.
    pub word: Word,
    /// Told what came of it.
    pub told: oneshot::Sender<Result<(), Refusal>>,
}

/// Asks for the status.
#[derive(Debug, Message)]
#[rtype(result = "PairStatus")]
pub struct AskStatus;

/// What outlives the manager.
#[derive(Debug)]
pub(super) struct Estate {
    pub config: Config,
    pub metrics: Metrics,
    pub hub: Arc<Hub>,
    /// Held as long as the process lives.
    pub lock: Option<NodeLock>,
    pub peer_lock: Option<PathBuf>,
    notes: Mutex<Notes>,
    /// Whether a manager has lived before in this process.
    has_lived: AtomicBool,
}

impl Estate {
    pub fn new(
        config: Config,
        metrics: Metrics,
        hub: Arc<Hub>,
        (lock, peer_lock): (Option<NodeLock>, Option<PathBuf>),
        notes: Notes,
    ) -> Self {
        let (notes, has_lived) = (Mutex::new(notes), AtomicBool::new(false));
        Self { config, metrics, hub, lock, peer_lock, notes, has_lived }
    }

    /// What has to be remembered.
    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One member of the protocol at work.
pub struct HaManager {
    pub(super) estate: Arc<Estate>,
    lifeline: Lifeline,
    pub(super) life: Option<Life>,
    pub(super) actions: Vec<Action>,
    pub(super) reading: BTreeMap<Plan, Reading>,
    /// Plans of which entries at hand could not be written, and after which one.
    pub(super) unwritten: BTreeMap<Plan, Position>,
    /// Plans of which entries could not be sent, and after which one.
    pub(super) unshipped: BTreeMap<Plan, Position>,
    /// Bytes of entries that were sent for what is being handled.
    pub(super) shipped: usize,
    /// Plans whose threads are to be woken once all of it is done.
    pub(super) nudged: BTreeSet<Plan>,
    /// Plans that the other node has and this one does not know of.
    pub(super) unknown: BTreeSet<Plan>,
    /// Which logs are whole or not, where that is yet to be noted on disk.
    pub(super) marks: BTreeMap<Plan, bool>,
    /// When it was last tried to hand over because of a journal that fails.
    pub(super) fled_at: Duration,
    /// The last wish to have all on disk, if that failed: it is tried again.
    pub(super) unsynced: Option<(u64, PlanSet)>,
    pub(super) wishes: Vec<Wish>,
    pub(super) fences: Fences,
    pub(super) fingerprints: Fingerprints,
    pub(super) status: Watched,
    looked_at_lock: Duration,
    watched_at: Duration,
}

/// What a life of the manager is made of.
pub(super) struct Life {
    pub member: Member,
    pub link: Arc<Link>,
    pub arbiter: Option<Arbiter>,
    pub files: Files,
}

/// What is kept for people.
#[derive(Default)]
pub(super) struct Watched {
    pub peer: Option<Peer>,
    pub linked: bool,
    /// Why the peer is not talked to.
    pub trouble: Option<String>,
    /// When the active was heard last.
    pub heard_active: Option<u64>,
    /// Why this node does not start by itself, until one acts.
    pub waits: Option<String>,
    /// The arbiter's last answer was none.
    pub is_arbiter_silent: bool,
    pub alarm: Option<String>,
    pub failover: Option<(i64, String)>,
    /// Since when the peer lacks entries of a plan.
    pub behind: BTreeMap<Plan, u64>,
    pub told_sync: Option<bool>,
    /// Up to which position states were compared last.
    pub compared: Option<u64>,
}

impl HaManager {
    /// A manager with what its predecessor left.
    pub(super) fn new(estate: Arc<Estate>, lifeline: Lifeline) -> Self {
        Self {
            estate,
            lifeline,
            life: None,
            actions: Vec::new(),
            reading: BTreeMap::new(),
            unwritten: BTreeMap::new(),
            unshipped: BTreeMap::new(),
            shipped: 0,
            nudged: BTreeSet::new(),
            unknown: BTreeSet::new(),
            marks: BTreeMap::new(),
            fled_at: Duration::ZERO,
            unsynced: None,
            wishes: Vec::new(),
            fences: Fences::default(),
            fingerprints: Fingerprints::default(),
            status: Watched::default(),
            looked_at_lock: Duration::ZERO,
            watched_at: Duration::ZERO,
        }
    }

    pub(super) fn hub(&self) -> Arc<Hub> {
        Arc::clone(&self.estate.hub)
    }

    fn begin(&mut self, ctx: &mut Context<Self>) -> io::Result<Life> {
        let (config, hub) = (&self.estate.config, &self.estate.hub);
        let address = ctx.address();
        hub.set_manager(Some(address.clone().recipient()));
        let secret = settings::secret(&config.ha).map_err(io::Error::other)?;
        let tls = settings::tls(&config.ha).map_err(io::Error::other)?;
        if self.estate.has_lived.swap(true, Ordering::AcqRel) {
            self.estate.notes().begin_again()?;
        }
        let (incarnation, journal, known) = {
            let mut notes = self.estate.notes();
            if hub.take_decayed() {
                notes.decayed()?;
            }
            (notes.incarnation(), notes.journal(), notes.arbiter())
        };
        let to = address.clone();
        let link = settings::link(config, incarnation, secret.clone(), tls.clone());
        let link = Link::start(link, move |heard| to.do_send(Tell::Heard(Box::new(heard))))?;
        let link = Arc::new(link);
        let (look, tell) = (address.clone().recipient(), address.clone().recipient());
        hub.wire.set(incarnation.0, Arc::clone(&link), look, tell);
        // What a former life was called to and did not look at any more is looked at below.
        for log in hub.logs() {
            log.mirrored.looked();
        }
        let to = address.clone();
        let answer = move |request, outcome| to.do_send(Tell::Arbiter(request, Box::new(outcome)));
        let own = config.node.data.join("record.db");
        let store = settings::store(config, secret, tls).unwrap_or_else(|| {
            // Without an arbiter the record is this node's own, and only people decide.
            settings::own_store(&config.ha, &own)
        });
        let arbiter = Some(Arbiter::start(store, answer)?);
        let plans =
            hub.logs().into_iter().filter_map(|log| Some((log.mirrored.plan, log.start()?)));
        let start = Start {
            node: settings::node(&config.ha),
            incarnation,
            journal,
            arbiter: known,
            plans: plans.collect(),
        };
        info!(
            node = %start.node, %incarnation, journal = ?start.journal, plans = start.plans.len(),
            listen = %link.address(), peer = config.ha.peer, "the pair begins"
        );
        let member = Member::new(settings::protocol(&config.ha), start, now());
        let files = Files::start(
            Arc::clone(hub),
            Arc::clone(&link),
            address.recipient(),
            config.ha.resync,
        )?;
        Ok(Life { member, link, arbiter, files })
    }

    /// Tells the protocol what happened, and does what it wishes.
    pub(super) fn give(&mut self, input: Input, freight: Option<&Entries>) {
        let Some(life) = &mut self.life else { return };
        let mut actions = std::mem::take(&mut self.actions);
        self.shipped = 0;
        life.member.handle(now(), input, &mut actions);
        for action in actions.drain(..) {
            self.perform(action, freight);
        }
        self.actions = actions;
        for plan in std::mem::take(&mut self.nudged) {
            if let Some(log) = self.estate.hub.log(plan) {
                (log.nudge)();
            }
        }
        for (plan, after) in std::mem::take(&mut self.unwritten) {
            self.give(Input::Unwritten { plan, after }, None);
        }
        for (plan, after) in std::mem::take(&mut self.unshipped) {
            self.give(Input::NotShipped { plan, after }, None);
        }
        self.open_gate();
    }

    /// Until when emissions may begin follows from the last answers.
    fn open_gate(&self) {
        let Some(life) = &self.life else { return };
        let until = life.member.may_act_until().map_or(0, |moment| moment.0);
        self.estate.hub.gate.follow(life.member.may_be_followed());
        if self.estate.hub.gate.open_until(until) {
            self.nudge_all();
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let wait = self.life.as_ref().is_some_and(|life| life.link.entries_wait());
        self.give(Input::EntriesWait(wait), None);
        self.give(Input::Tick, None);
        self.ease_syncs();
        self.confirm_all_left();
        self.reach();
        self.fence_tick();
        self.say_answers();
        self.hand_over_where_broken();
        let elapsed = clock::elapsed();
        if elapsed.saturating_sub(self.watched_at) > WATCH {
            self.watched_at = elapsed;
            self.watch();
        }
        if elapsed.saturating_sub(self.looked_at_lock) > LOCK_LOOK {
            self.looked_at_lock = elapsed;
            self.note_marks();
            if let Some((token, besides)) = self.unsynced.take() {
                self.sync_all(token, besides);
            }
            if self.estate.lock.as_ref().is_some_and(|lock| !lock.is_intact()) {
                error!("the file of this node's kernel lock was removed: the node cannot go on");
                self.end(Exit::permanent("the kernel lock is gone".to_owned()), ctx);
            }
        }
    }

    /// Whether what comes can be forwarded, as far as this passive knows.
    fn reach(&mut self) {
        let Some(life) = &self.life else { return };
        if life.member.epoch().is_some() {
            return;
        }
        let heard = self.status.heard_active.is_some_and(|at| now().0.saturating_sub(at) < REACHED);
        let part = if self.status.linked && heard { Part::Passive } else { Part::Undecided };
        let gate = &self.estate.hub.gate;
        let role = gate.role();
        if role.part != part {
            gate.set_role(crate::actors::gate::RoleNow { part, ..role });
            self.nudge_all();
        }
    }

    pub(super) fn nudge_all(&self) {
        for log in self.estate.hub.logs() {
            (log.nudge)();
        }
    }

    /// The end of this life; the next one begins from what is on disk.
    fn end(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        self.step_down();
        self.lifeline.end(exit);
        ctx.stop();
    }

    /// Brings everything to disk, so that the next life need not doubt it.
    fn end_in_order(&mut self) {
        let synced = self.hub().logs().iter().all(|log| {
            let syncer = hold(&log.journal).as_mut().and_then(|journal| {
                journal.flush().ok().map(|()| (journal.syncer(), journal.written()))
            });
            syncer.is_some_and(|(syncer, upto)| syncer.sync(upto).is_ok())
        });
        if synced && let Err(error) = self.estate.notes().end() {
            warn!(%error, "cannot note that the node ended in order");
        }
    }

    /// Nothing more is done in the name of the pair.
    fn step_down(&mut self) {
        let hub = self.hub();
        hub.gate.open_until(0);
        for log in hub.logs() {
            self.let_append(&log, None);
        }
        hub.wire.clear();
        hub.set_manager(None);
        self.life = None;
    }

    pub(super) fn ask(&self, request: RequestId, asking: Asking) {
        if let Some(arbiter) = self.life.as_ref().and_then(|life| life.arbiter.as_ref()) {
            arbiter.ask(request, asking);
        }
    }
}

/// The moment by this node's clock of the pair.
pub(super) fn now() -> Moment {
    Moment(clock::boot_ms())
}

impl Actor for HaManager {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Whatever a former life of the manager let happen ends here.
        self.step_down();
        match self.begin(ctx) {
            Ok(life) => {
                self.life = Some(life);
                ctx.run_interval(TICK, Self::tick);
                self.tick(ctx);
            }
            Err(error) => {
                error!(%error, "the pair cannot begin");
                let exit = Exit::Failed { reason: error.to_string(), transient: true };
                self.end(exit, ctx);
            }
        }
    }
}

impl Handler<Tell> for HaManager {
    type Result = ();

    fn handle(&mut self, tell: Tell, _: &mut Self::Context) {
        match tell {
            Tell::Attached(plan) => self.attached(plan),
            Tell::Detached(plan) => {
                self.reading.remove(&plan);
                self.give(Input::PlanRemoved { plan }, None);
            }
            Tell::Reopened(plan) => self.reopened(plan),
            Tell::Heard(heard) => self.heard(*heard),
            Tell::Arbiter(request, outcome) => {
                self.status.is_arbiter_silent = matches!(*outcome, Outcome::Silent);
                self.give(Input::Arbiter { request, outcome: *outcome }, None);
            }
            Tell::NotSynced(token, besides) => self.unsynced = Some((token, besides)),
            Tell::SyncedAll(token) => {
                for log in self.hub().logs() {
                    self.look(log.mirrored.plan);
                }
                self.give(Input::SyncedAll { token }, None);
            }
            Tell::Lock(version, free) => self.give(Input::LockTested { version, free }, None),
            Tell::Share(plan, name) => {
                if let Some(life) = self.life.as_ref().filter(|_| self.status.linked) {
                    life.files.send_this(plan, &name);
                }
            }
            Tell::Fingerprint { plan, position, value } => {
                self.fingerprinted(plan, position, value);
            }
            Tell::Snapshot(plan, base, epoch, name) => {
                self.resynced(plan, base, &name);
                let (base, base_epoch) = (Position(base), Epoch(epoch));
                self.give(Input::SnapshotArrived { plan, base, base_epoch }, None);
            }
        }
    }
}

impl Handler<Look> for HaManager {
    type Result = ();

    fn handle(&mut self, Look(plan): Look, _: &mut Self::Context) {
        self.look(plan);
    }
}

impl Handler<Wish> for HaManager {
    type Result = ();

    fn handle(&mut self, wish: Wish, _: &mut Self::Context) {
        let word = wish.word;
        self.wishes.push(wish);
        self.give(Input::Operator(word), None);
    }
}

impl Handler<AskStatus> for HaManager {
    type Result = MessageResult<AskStatus>;

    fn handle(&mut self, _: AskStatus, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.describe())
    }
}

impl Handler<Control> for HaManager {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Stop => {
                self.give(Input::Operator(Word::Leave), None);
                self.end_in_order();
                self.end(Exit::Asked, ctx);
            }
            Control::Fall => Control::fall(),
        }
    }
}

impl std::fmt::Debug for HaManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HaManager")
    }
}
