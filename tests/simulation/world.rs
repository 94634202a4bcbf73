//! The simulated world: two nodes, an arbiter, links, disks and clocks, all moved by one queue of
//! events.

use crate::arbiter::Arbiter;
use crate::books::Books;
use crate::chance::Chance;
use crate::checks::History;
use crate::entries::Entries;
use crate::entries::Entry;
use crate::entries::Flaw;
use crate::entries::Saved;
use crate::faults::Faults;
use crate::network::Network;
use crate::real::Real;
use crate::results::Results;
use crate::workload::Workload;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;
use std::collections::VecDeque;
use std::rc::Rc;
use twinflow::ha::protocol::AckMode;
use twinflow::ha::protocol::Action;
use twinflow::ha::protocol::ArbiterId;
use twinflow::ha::protocol::Asking;
use twinflow::ha::protocol::Input;
use twinflow::ha::protocol::Member;
use twinflow::ha::protocol::Message;
use twinflow::ha::protocol::Moment;
use twinflow::ha::protocol::NodeId;
use twinflow::ha::protocol::Outcome;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::PlanSet;
use twinflow::ha::protocol::Position;
use twinflow::ha::protocol::RequestId;
use twinflow::ha::protocol::Settings;
use twinflow::ha::protocol::Version;

/// The plans of every node.
pub const PLANS: [Plan; 2] = [Plan(1), Plan(2)];

/// A promise was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

/// What will happen at some moment.
#[derive(Clone, Debug)]
pub enum Event {
    Tick { node: NodeId, life: u64 },
    Message { to: NodeId, parcel: Rc<Parcel> },
    Asked { node: NodeId, life: u64, request: RequestId, asking: Asking },
    Replied { node: NodeId, life: u64, request: RequestId, outcome: Outcome },
    Lock { node: NodeId, life: u64, version: Version, free: bool },
    Flush { node: NodeId, life: u64 },
    Synced { node: NodeId, life: u64, job: u64 },
    Drained { node: NodeId, life: u64 },
    Snapshot { to: NodeId, plan: Plan, saved: Saved, generation: u64 },
    Discard { node: NodeId, plan: Plan },
    Produce { producer: usize },
    Received(Results),
    Save,
    Fault,
    Mend(crate::faults::Mend),
}

/// A message with the entries that travel along.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub message: Message,
    /// The entries begin after this position.
    pub after: Position,
    pub entries: Vec<Entry>,
    /// How far the sender's results were received.
    pub published: [Position; PLANS.len()],
    /// Of which generation they are.
    pub generation: u64,
}

struct Due {
    at: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// A node's machine and the process on it, if one runs.
#[derive(Debug)]
pub struct Host {
    pub member: Option<Member>,
    pub life: u64,
    pub paused: bool,
    pub waiting: VecDeque<Event>,
    pub entries: Box<dyn Entries>,
    pub doubt: bool,
    pub decayed: bool,
    pub blank: bool,
    /// It lost entries that it had, and perhaps has not got them back.
    pub dirty: bool,
    /// A byte on its disk was damaged, and perhaps nobody noticed yet.
    pub flipped: bool,
    /// How the next fall of its disk ends the process: with the machine, or alone.
    pub falls_with_power: bool,
    /// Milliseconds that the clock on the wall goes before the machine's own.
    pub wall: i64,
    pub arbiter: Option<ArbiterId>,
    /// The clock: its value then, the moment then, and tenths of a microsecond a microsecond.
    pub clock: (u64, u64, u64),
    /// Fsyncs under way, with what they reach.
    pub jobs: BTreeMap<u64, Job>,
    pub flushing: bool,
    /// So much of the history has been seen in this node's log.
    pub verified: [u64; PLANS.len()],
    /// Results up to here were received, and whether a parcel is out.
    pub outgoing: [(Position, bool); PLANS.len()],
}

impl Host {
    fn new(rate: u64, entries: Box<dyn Entries>) -> Host {
        Host {
            member: None,
            life: 0,
            paused: false,
            waiting: VecDeque::new(),
            entries,
            doubt: false,
            decayed: false,
            blank: true,
            dirty: false,
            flipped: false,
            falls_with_power: false,
            wall: 1_000_000,
            arbiter: None,
            clock: (5_000_000, 0, rate),
            jobs: BTreeMap::new(),
            flushing: false,
            verified: [0; PLANS.len()],
            outgoing: [(Position(0), false); PLANS.len()],
        }
    }

    /// What this node's clock says.
    pub fn time(&self, now: u64) -> Moment {
        let (value, then, rate) = self.clock;
        Moment((value + (now - then) * rate / 10) / 1_000)
    }
}

/// An fsync under way.
#[derive(Clone, Debug)]
pub struct Job {
    /// Of the member that asked for it.
    pub token: Option<u64>,
    /// What will be on disk.
    pub reach: Vec<(Plan, Position)>,
    /// It was done as soon as it began, and only said late.
    pub early: bool,
}

/// What nodes do with entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Things {
    /// They count them.
    Bare,
    /// They run a plan and keep it on a disk.
    Real,
}

/// How a world is made; chosen by the seed, but for what a mutant fixes.
#[derive(Clone, Debug)]
pub struct Making {
    pub settings: Settings,
    pub things: Things,
    /// What both nodes do wrong with their files.
    pub flaw: Option<Flaw>,
    /// Microseconds between the beginnings of fsyncs.
    pub flush: (u64, u64),
    /// Microseconds of an fsync.
    pub fsync: u64,
    /// Microseconds between two faults, at most.
    pub fault_every: u64,
    /// How often a delicate write is made worse, in a thousand.
    pub aim: u64,
    /// So many faults more in a thousand are a cut-off holder, one that comes back deaf from a
    /// power loss, or a switch asked for.
    pub cut_off: u64,
    pub deaf: u64,
    pub switches: u64,
    /// So many faults in a thousand are a plan that breaks, and a disk lost at the holder.
    pub wipes: u64,
    /// Microseconds until the faults end.
    pub length: u64,
}

impl Making {
    /// What the seed says, but for what is fixed.
    pub fn of(seed: u64, fix: impl FnOnce(&mut Settings)) -> Making {
        let mut chance = Chance::new(seed, 1);
        let lease = chance.pick(&[500, 1_000, 2_000]);
        let defaults = Settings::default();
        let mut settings = Settings {
            lease,
            grant: lease * chance.pick(&[50, 75, 100]) / 100,
            renew: lease / 5,
            poll: lease / 10,
            silence: 150.min(lease / 5),
            heartbeat: 50.min(lease / 15),
            patience: chance.pick(&[lease / 2, lease / 4]),
            answer: chance.pick(&[lease / 4, lease / 2, lease]),
            ship: chance.pick(&[4, 32, 1_024]),
            lock: chance.permille(300),
            ack: chance.pick(&[
                AckMode::Peer,
                AckMode::Peer,
                AckMode::Peer,
                AckMode::Peer,
                AckMode::Peer,
                AckMode::PeerDisk,
                AckMode::Disk,
                AckMode::Memory,
            ]),
            ..defaults
        };
        fix(&mut settings);
        let disk_is_waited_for = matches!(settings.ack, AckMode::PeerDisk | AckMode::Disk);
        let slowest = if disk_is_waited_for { (5_000, 20_000) } else { (500_000, 5_000_000) };
        Making {
            settings,
            things: Things::Bare,
            flaw: None,
            flush: chance.pick(&[(5_000, 20_000), (100_000, 300_000), slowest]),
            fsync: chance.pick(&[1_000, 10_000, 100_000]),
            fault_every: chance.pick(&[600_000, 1_500_000, 3_000_000]),
            aim: chance.pick(&[0, 200, 500]),
            cut_off: 0,
            deaf: 0,
            switches: 0,
            wipes: 0,
            length: 40_000_000,
        }
    }
}

/// Everything there is.
pub struct World {
    pub making: Making,
    pub now: u64,
    queue: BinaryHeap<Due>,
    numbered: u64,
    pub hosts: [Host; 2],
    pub arbiter: Arbiter,
    pub network: Network,
    pub disk: Chance,
    pub clocks: Chance,
    pub faults: Faults,
    pub workload: Workload,
    pub history: History,
    pub trace: bool,
    pub jobs: u64,
    pub lives: u64,
    pub scratch: Vec<Action>,
    pub violation: Option<Violation>,
}

impl World {
    pub fn new(seed: u64, making: Making, trace: bool) -> World {
        let mut clocks = Chance::new(seed, 4);
        let hosts = [1, 2].map(|node| {
            let entries: Box<dyn Entries> = match making.things {
                Things::Bare => Box::new(Books::new()),
                Things::Real => Box::new(Real::new(seed.wrapping_mul(64) + 16 * node, making.flaw)),
            };
            Host::new(clocks.range(9, 12), entries)
        });
        let mut world = World {
            arbiter: Arbiter::new(making.settings.lease),
            network: Network::new(seed),
            disk: Chance::new(seed, 3),
            clocks,
            faults: Faults::new(seed),
            workload: Workload::new(seed),
            history: History::default(),
            making,
            now: 0,
            queue: BinaryHeap::new(),
            numbered: 0,
            hosts,
            trace,
            jobs: 0,
            lives: 0,
            scratch: Vec::new(),
            violation: None,
        };
        world.start(NodeId::A);
        world.start(NodeId::B);
        for producer in 0..world.workload.producers.len() {
            world.after(1_000 * producer as u64, Event::Produce { producer });
        }
        world.after(1_000_000, Event::Save);
        world.after(2 * world.making.settings.lease * 1_000, Event::Fault);
        world
    }

    /// Something happens so many microseconds from now.
    pub fn after(&mut self, delay: u64, event: Event) {
        self.numbered += 1;
        self.queue.push(Due { at: self.now + delay, number: self.numbered, event });
    }

    pub fn host(&self, node: NodeId) -> &Host {
        &self.hosts[node.index()]
    }

    pub fn host_mut(&mut self, node: NodeId) -> &mut Host {
        &mut self.hosts[node.index()]
    }

    /// What the node's clock says now.
    pub fn time(&self, node: NodeId) -> Moment {
        self.host(node).time(self.now)
    }

    /// Whether the node may begin an emission now; a stopped process may, as it does not know
    /// better.
    pub fn acts(&self, node: NodeId) -> bool {
        let member = self.host(node).member.as_ref();
        member.is_some_and(|member| member.may_act(self.time(node)))
    }

    /// Lets the world go on until a moment.
    pub fn run_until(&mut self, end: u64) -> Result<(), Violation> {
        while let Some(due) = self.queue.peek()
            && due.at <= end
        {
            let due = self.queue.pop().expect("it was there a moment ago");
            self.now = due.at;
            self.happen(due.event);
            self.check();
            if let Some(violation) = self.violation.take() {
                return Err(violation);
            }
        }
        self.now = end;
        Ok(())
    }

    /// Writes a line of the walk.
    pub fn tell(&self, line: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>12.3} ms  {}", self.now as f64 / 1_000.0, line());
        }
    }

    /// Notes the first broken promise.
    pub fn violate(&mut self, what: String) {
        self.tell(|| format!("BROKEN: {what}"));
        self.violation.get_or_insert(Violation(what));
    }

    fn happen(&mut self, event: Event) {
        let (node, life) = match &event {
            Event::Tick { node, life }
            | Event::Replied { node, life, .. }
            | Event::Lock { node, life, .. }
            | Event::Flush { node, life }
            | Event::Synced { node, life, .. }
            | Event::Drained { node, life } => (*node, Some(*life)),
            Event::Message { to, .. } | Event::Snapshot { to, .. } => (*to, None),
            Event::Discard { node, .. } => (*node, None),
            Event::Asked { node, request, asking, life } => {
                return self.arbiter_asked(*node, *life, *request, asking);
            }
            Event::Received(results) => return self.received(results),
            Event::Produce { producer } => return self.produce(*producer),
            Event::Save => return self.save(),
            Event::Fault => return self.fault(),
            Event::Mend(mend) => return self.mend(mend.clone()),
        };
        let host = self.host_mut(node);
        if host.member.is_none() || life.is_some_and(|life| life != host.life) {
            return;
        }
        if host.paused {
            host.waiting.push_back(event);
            return;
        }
        self.happen_at(node, event);
    }

    /// Something reaches a running process.
    pub fn happen_at(&mut self, node: NodeId, event: Event) {
        match event {
            Event::Tick { life, .. } => {
                self.give(node, Input::Tick, None);
                self.publish(node);
                self.after(20_000, Event::Tick { node, life });
            }
            Event::Message { parcel, .. } => {
                let message = parcel.message.clone();
                if parcel.generation == self.history.generations {
                    self.learn_published(node, parcel.published);
                }
                self.give(node, Input::Heard(message), Some(&parcel));
            }
            Event::Replied { request, outcome, .. } => {
                self.give(node, Input::Arbiter { request, outcome }, None);
            }
            Event::Lock { version, free, .. } => {
                self.give(node, Input::LockTested { version, free }, None);
            }
            Event::Flush { .. } => {
                if let Err(fallen) = self.begin_sync(node, None, &PlanSet::new()) {
                    self.fell(node, fallen);
                }
            }
            Event::Synced { job, .. } => self.end_sync(node, job),
            Event::Drained { .. } => self.give(node, Input::Drained, None),
            Event::Snapshot { plan, saved, generation, .. } => {
                self.snapshot_arrives(node, plan, &saved, generation);
            }
            Event::Discard { plan, .. } => {
                let word = twinflow::ha::protocol::Word::Discard { plan };
                self.give(node, Input::Operator(word), None);
            }
            Event::Asked { .. }
            | Event::Produce { .. }
            | Event::Received(_)
            | Event::Save
            | Event::Fault
            | Event::Mend(_) => unreachable!("these reach no process"),
        }
    }

    /// The arbiter does at once all that it was asked while it was stuck.
    pub fn arbiter_goes_on(&mut self) {
        for (node, life, request, asking) in self.arbiter.stuck.take().unwrap_or_default() {
            self.arbiter_asked(node, life, request, &asking);
        }
    }

    fn arbiter_asked(&mut self, node: NodeId, life: u64, request: RequestId, asking: &Asking) {
        if let Some(stuck) = &mut self.arbiter.stuck {
            stuck.push((node, life, request, asking.clone()));
            return;
        }
        if !self.arbiter.up {
            return;
        }
        let before = self.arbiter.record.clone();
        let outcome = self.arbiter.answer(asking);
        let after = self.arbiter.record.clone();
        if before.epoch != after.epoch || before.in_sync != after.in_sync {
            self.tell(|| {
                let in_sync = after.in_sync.as_ref().map(|peer| (peer.incarnation, &peer.lacks));
                format!(
                    "arbiter: {node}'s write lands: version {} epoch {} holder {:?} in sync \
                     {in_sync:?}",
                    after.version, after.epoch, after.holder
                )
            });
        }
        if self.network.reply[node.index()] {
            let slow = self.arbiter.slow;
            let (delays, times) = self.network.send();
            for delay in &delays[..times] {
                let outcome = outcome.clone();
                self.after(delay + slow, Event::Replied { node, life, request, outcome });
            }
        }
    }
}
