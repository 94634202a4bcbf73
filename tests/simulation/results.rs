//! Results on their way out: begun by whoever may act, one parcel a plan at a time, taken by a
//! receiver that keeps ids and refuses an epoch below the highest it saw.

use crate::entries::Entries;
use crate::hosting::index;
use crate::world::Event;
use crate::world::PLANS;
use crate::world::World;
use twinflow::ha::protocol::Epoch;
use twinflow::ha::protocol::Member;
use twinflow::ha::protocol::NodeId;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::Position;

/// At most so many results in one parcel.
const PARCEL: u64 = 16;

/// What the outside saw of a plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Results up to here were received.
    pub upto: Position,
    pub epoch: Epoch,
    pub repeated: u64,
    pub refused: u64,
}

/// A parcel of results.
#[derive(Clone, Copy, Debug)]
pub struct Results {
    pub node: NodeId,
    pub life: u64,
    pub plan: Plan,
    pub epoch: Epoch,
    /// Ids of another generation are other ids.
    pub generation: u64,
    pub after: Position,
    pub upto: Position,
}

impl World {
    /// Begins what may be begun.
    pub fn publish(&mut self, node: NodeId) {
        for plan in PLANS {
            let acts = self.acts(node);
            let host = self.host_mut(node);
            let applied = host.entries.state(plan).0;
            let out = &mut host.outgoing[index(plan)];
            let epoch = host.member.as_ref().and_then(Member::epoch);
            let (Some(epoch), true, false) = (epoch, acts, out.1) else { continue };
            if out.0 >= applied {
                continue;
            }
            out.1 = true;
            let (after, upto) = (out.0, Position(applied.0.min(out.0.0 + PARCEL)));
            let life = host.life;
            let generation = self.history.generations;
            let results = Results { node, life, plan, epoch, generation, after, upto };
            let delay = self.workload.chance.spread(200, 400_000);
            self.after(delay, Event::Received(results));
        }
    }

    /// A parcel reaches the receiver; its answer goes back at once.
    pub fn received(&mut self, results: Results) {
        let Results { node, life, plan, epoch, generation, after, upto } = results;
        let host = &mut self.hosts[node.index()];
        let mut out = None;
        if host.member.is_some() && host.life == life {
            out = Some(&mut host.outgoing[index(plan)]);
        }
        if let Some(out) = &mut out {
            out.1 = false;
        }
        let seen = &mut self.history.seen[index(plan)];
        if generation != self.history.generations {
            return;
        }
        if epoch < seen.epoch {
            seen.refused += 1;
            return;
        }
        if let Some(out) = out {
            out.0 = out.0.max(upto);
        }
        seen.epoch = epoch;
        seen.repeated += seen.upto.0.min(upto.0) - after.0.min(seen.upto.0);
        let gap = after > seen.upto;
        seen.upto = seen.upto.max(upto);
        if gap && !self.history.loss_allowed {
            self.violate(format!(
                "results of plan {plan} after {after} come, some before are missing"
            ));
        }
    }

    /// The active told how far its results were received.
    pub fn learn_published(&mut self, node: NodeId, published: [Position; PLANS.len()]) {
        for (known, told) in self.host_mut(node).outgoing.iter_mut().zip(published) {
            known.0 = known.0.max(told);
        }
    }
}
