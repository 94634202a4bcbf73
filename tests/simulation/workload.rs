//! Producers, who send events to whichever node takes them and send again what was not answered,
//! and the receivers of results.

use crate::chance::Chance;
use crate::entries::Order;
use crate::world::Event;
use crate::world::PLANS;
use crate::world::World;
use std::collections::BTreeMap;
use twinflow::ha::protocol::AckMode;
use twinflow::ha::protocol::Input;
use twinflow::ha::protocol::LogStart;
use twinflow::ha::protocol::NodeId;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::Position;

/// Who sends what.
#[derive(Clone, Debug)]
pub struct Workload {
    pub chance: Chance,
    pub producers: Vec<Producer>,
    /// Entries whose producers wait for an answer, a node and a plan.
    waiting: BTreeMap<(NodeId, Plan), BTreeMap<Position, (u32, u64)>>,
    pub sent: u64,
    pub answered: u64,
    pub repeated: u64,
    /// How often a new version of a plan was deployed.
    pub versions: u64,
    pub stopped: bool,
}

/// One producer; it sends its next event when the last one was answered.
#[derive(Clone, Debug)]
pub struct Producer {
    pub plan: Plan,
    at: NodeId,
    sequence: u64,
    /// The last one that was answered.
    pub answered: u64,
    sent_at: Option<u64>,
}

impl Workload {
    pub fn new(seed: u64) -> Workload {
        let mut chance = Chance::new(seed, 5);
        let producers = (0..chance.pick(&[6, 8, 12]))
            .map(|number| Producer {
                plan: PLANS[number % PLANS.len()],
                at: NodeId::A,
                sequence: 1,
                answered: 0,
                sent_at: None,
            })
            .collect();
        Workload {
            chance,
            producers,
            waiting: BTreeMap::new(),
            sent: 0,
            answered: 0,
            repeated: 0,
            versions: 0,
            stopped: false,
        }
    }

    /// A node wrote an event as the entry at a position.
    pub fn took(&mut self, node: NodeId, plan: Plan, at: Position, event: (u32, u64)) {
        self.waiting.entry((node, plan)).or_default().insert(at, event);
    }

    /// The entries after a position are gone, and with them whoever waits.
    pub fn forget_after(&mut self, node: NodeId, plan: Plan, after: Position) {
        if let Some(waiting) = self.waiting.get_mut(&(node, plan)) {
            waiting.retain(|position, _| *position <= after);
        }
    }

    /// The node's process is gone, and with it all connections.
    pub fn forget(&mut self, node: NodeId) {
        self.waiting.retain(|(of, _), _| *of != node);
    }
}

impl World {
    /// A producer has a moment.
    pub fn produce(&mut self, producer: usize) {
        let now = self.now;
        let patience = 1_000_000;
        let think = self.workload.chance.spread(10_000, 120_000);
        self.after(think, Event::Produce { producer });
        let stopped = self.workload.stopped;
        let one = &mut self.workload.producers[producer];
        if one.answered == one.sequence {
            one.sequence += 1;
            one.sent_at = None;
        }
        let waits = one.sent_at.is_some_and(|sent| now - sent < patience);
        if waits || stopped {
            return;
        }
        let (plan, node) = (one.plan, one.at);
        self.deploy(node, plan);
        let time = self.time(node);
        let host = self.host(node);
        let member = host.member.as_ref().filter(|_| !host.paused);
        if !member.is_some_and(|member| member.may_append(time, plan)) {
            self.workload.producers[producer].at = node.other();
            return;
        }
        let one = &mut self.workload.producers[producer];
        let again = one.sent_at.replace(now).is_some();
        let order = Order::Send(producer as u32, one.sequence);
        self.workload.sent += 1;
        self.workload.repeated += u64::from(again);
        self.append(node, plan, order);
    }

    /// A plan is deployed at the active when its first event comes.
    fn deploy(&mut self, node: NodeId, plan: Plan) {
        let host = self.host_mut(node);
        let lacks = host.member.as_ref().is_some_and(|member| {
            member.epoch().is_some() && member.log(plan).is_none() && !host.paused
        });
        if lacks {
            if let Err(fallen) = host.entries.open(plan) {
                return self.fell(node, fallen);
            }
            self.give(node, Input::PlanAdded { plan, log: LogStart::default() }, None);
            self.aim_at_deployment(node);
        }
    }

    /// The node lets producers be answered up to a position.
    pub fn answer(&mut self, node: NodeId, plan: Plan, upto: Position) {
        let Some(waiting) = self.workload.waiting.get_mut(&(node, plan)) else { return };
        let later = waiting.split_off(&upto.next());
        let answered = std::mem::replace(waiting, later);
        let promised = matches!(self.making.settings.ack, AckMode::Peer | AckMode::PeerDisk);
        for (position, (producer, sequence)) in answered {
            self.workload.answered += 1;
            let one = &mut self.workload.producers[producer as usize];
            one.answered = one.answered.max(sequence);
            if promised {
                let log = &self.host(node).entries;
                let applied = log.state(plan).0;
                if applied < position {
                    let what = format!("{node} answers for {position}, applied only {applied}");
                    self.violate(what);
                }
            }
        }
    }
}
