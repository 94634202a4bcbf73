//! Results on their way out: begun by whoever may act, one parcel a plan at a time, taken by a
//! receiver that keeps ids and refuses an epoch below the highest it saw.

use crate::entries::Emission;
use crate::hosting::index;
use crate::world::Event;
use crate::world::PLANS;
use crate::world::World;
use std::collections::BTreeMap;
use twinflow::event::Text;
use twinflow::ha::protocol::Epoch;
use twinflow::ha::protocol::Member;
use twinflow::ha::protocol::NodeId;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::Position;

/// At most so many results in one parcel.
const PARCEL: u64 = 16;

/// What the outside saw of a plan.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Results up to here were received.
    pub upto: Position,
    pub epoch: Epoch,
    pub repeated: u64,
    pub refused: u64,
    /// By publisher all results that were received, in order of their numbers.
    numbers: BTreeMap<Text, Vec<Emission>>,
}

impl Seen {
    /// Takes results; says what is wrong with their numbers, if anything is.
    pub fn take(&mut self, emission: &Emission) -> Option<String> {
        let known = self.numbers.entry(emission.publisher.clone()).or_default();
        let next = known.last().map_or(1, |last| last.first + last.rows);
        if emission.first >= next {
            known.push(emission.clone());
            let missing = || format!("{emission:?} comes, {next} was expected");
            return (emission.first > next).then(missing);
        }
        let before = known.binary_search_by_key(&emission.first, |known| known.first);
        let same = before.is_ok_and(|index| known[index] == *emission);
        (!same).then(|| format!("{emission:?} was something else before"))
    }

    /// Forgets all numbers: those of another generation are other ids.
    pub fn forget_numbers(&mut self) {
        self.numbers.clear();
    }
}

/// A parcel of results.
#[derive(Clone, Debug)]
pub struct Results {
    pub node: NodeId,
    pub life: u64,
    pub plan: Plan,
    pub epoch: Epoch,
    /// Ids of another generation are other ids.
    pub generation: u64,
    pub after: Position,
    pub upto: Position,
    pub emissions: Vec<Emission>,
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
            let emissions = host.entries.results(plan, after, upto);
            if emissions.is_none() && !self.history.loss_allowed {
                let what = format!("{node} has no results of plan {plan} from {after} to {upto}");
                return self.violate(what);
            }
            let emissions = emissions.unwrap_or_default();
            let generation = self.history.generations;
            let results = Results { node, life, plan, epoch, generation, after, upto, emissions };
            let delay = self.workload.chance.spread(200, 400_000);
            self.after(delay, Event::Received(results));
        }
    }

    /// A parcel reaches the receiver; its answer goes back at once.
    pub fn received(&mut self, results: &Results) {
        let Results { node, life, plan, epoch, generation, after, upto, .. } = *results;
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
            let upto = out.0;
            host.entries.received(plan, upto);
        }
        seen.epoch = epoch;
        seen.repeated += seen.upto.0.min(upto.0) - after.0.min(seen.upto.0);
        let gap = after > seen.upto;
        seen.upto = seen.upto.max(upto);
        let wrong = results.emissions.iter().filter_map(|emission| seen.take(emission)).next();
        if let Some(wrong) = wrong.filter(|_| !self.history.loss_allowed) {
            return self.violate(format!("results of plan {plan}: {wrong}"));
        }
        if gap && !self.history.loss_allowed {
            self.violate(format!(
                "results of plan {plan} after {after} come, some before are missing"
            ));
        }
    }

    /// The active told how far its results were received.
    pub fn learn_published(&mut self, node: NodeId, published: [Position; PLANS.len()]) {
        let host = self.host_mut(node);
        for (plan, told) in PLANS.into_iter().zip(published) {
            let known = &mut host.outgoing[index(plan)].0;
            *known = (*known).max(told);
            host.entries.received(plan, told);
        }
    }
}
