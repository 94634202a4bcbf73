//! The person who is called where a pair waits for one, and does what the manual says.

use crate::faults::Mend;
use crate::faults::NODES;
use crate::world::Event;
use crate::world::PLANS;
use crate::world::World;
use std::collections::BTreeMap;
use twinflow::ha::protocol::Input;
use twinflow::ha::protocol::NodeId;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::Word;

/// What the person has seen, and said.
#[derive(Debug)]
pub struct Person {
    /// Microseconds that something lasts before a word is said.
    patience: u64,
    began: u64,
    /// Since when plans have been down.
    down: BTreeMap<(NodeId, Plan), u64>,
    has_forced: bool,
    /// Until then the pair has to have found itself.
    end: u64,
    /// How many entries' results have been received, and when that was first so.
    received: (u64, u64),
}

/// Microseconds within which a parcel reaches its receiver, with its answer.
const PARCEL: u64 = 2_000_000;

impl Person {
    /// Everything works again from now on.
    pub fn called(world: &World) -> Person {
        let (began, patience) = (world.now, 10 * world.lease() + 5_000_000);
        let end = began + 2 * patience + 10_000_000;
        let (down, received) = (BTreeMap::new(), (0, began));
        Person { patience, began, down, has_forced: false, end, received }
    }

    /// Whether the pair has been waited for long enough. Once it has found itself, results may go
    /// on leaving as slowly as their receiver takes them.
    pub fn gives_up(&mut self, world: &World) -> bool {
        let received = world.history.seen.iter().map(|seen| seen.upto.0).sum();
        if received != self.received.0 {
            self.received = (received, world.now);
        }
        let leaves = world.has_settled() && world.now - self.received.1 < PARCEL;
        world.now > self.end && !leaves
    }

    /// Looks at both nodes, and says what is to be said.
    pub fn look(&mut self, world: &mut World) {
        for node in NODES {
            for plan in PLANS {
                self.look_at(world, node, plan);
            }
        }
        self.promote(world);
    }

    /// A plan of which the only whole copy was on a disk that is gone does not come back: it is run
    /// with what is left. One that the other node has all of has to come back by itself.
    fn look_at(&mut self, world: &mut World, node: NodeId, plan: Plan) {
        if !world.is_down(node, plan) {
            self.down.remove(&(node, plan));
            return;
        }
        let since = *self.down.entry((node, plan)).or_insert(world.now);
        if world.now - since <= self.patience || !world.is_gone(node.other(), plan) {
            return;
        }
        self.said(world);
        self.down.remove(&(node, plan));
        // The copy here may have everything, but nobody can know.
        world.history.both_doubtful = true;
        world.strike("tail given up", |world| {
            world.give(node, Input::Operator(Word::GiveUpTail { plan }), None);
        });
    }

    /// Some ends need a person: a blank disk where the active was, say.
    fn promote(&mut self, world: &mut World) {
        let may_need_word = world.history.loss_allowed || world.waits_for_word();
        let nobody = NODES.iter().all(|node| !world.acts(*node));
        if self.has_forced || !may_need_word || !nobody {
            return;
        }
        if world.now - self.began <= self.patience {
            return;
        }
        self.said(world);
        self.has_forced = true;
        let node = world.longer();
        world.kill(node.other());
        world.force(node);
        let back = Event::Mend(Mend::Start(node.other()));
        world.after(4 * world.lease() + 1_000_000, back);
    }

    /// After a word everything has to come right within a time.
    fn said(&mut self, world: &World) {
        self.end = self.end.max(world.now + self.patience + 10_000_000);
    }
}

impl World {
    /// Microseconds of a lease.
    pub fn lease(&self) -> u64 {
        self.making.settings.lease * 1_000
    }

    /// Whether a plan stays down at the node since the other one may have more of it.
    fn is_down(&self, node: NodeId, plan: Plan) -> bool {
        let (host, time) = (self.host(node), self.time(node));
        host.member.as_ref().is_some_and(|member| member.status(time).down.contains(&plan))
    }

    /// Whether the node runs, and has no whole copy of the plan.
    fn is_gone(&self, node: NodeId, plan: Plan) -> bool {
        let whole = |log: &twinflow::ha::protocol::PlanLog| log.whole;
        self.host(node).member.as_ref().is_some_and(|member| !member.log(plan).is_some_and(whole))
    }
}
