//! What must be true at every moment: one voice, nothing acknowledged lost, one history for all.

use crate::entries::Applied;
use crate::entries::Emission;
use crate::entries::Entry;
use crate::entries::Fallen;
use crate::hosting::index;
use crate::results::Seen;
use crate::world::PLANS;
use crate::world::World;
use std::rc::Rc;
use twinflow::ha::protocol::AckMode;
use twinflow::ha::protocol::Generation;
use twinflow::ha::protocol::NodeId;
use twinflow::ha::protocol::Plan;
use twinflow::ha::protocol::Position;
use twinflow::ha::protocol::Reason;
use twinflow::ha::protocol::Role;

/// An entry as whoever applied it first had it.
#[derive(Clone, Debug)]
pub struct Past {
    /// Unknown if it was lost, and came back in a snapshot.
    entry: Option<Entry>,
    /// A digest of the state after it, once somebody made one.
    state: Option<u64>,
    emissions: Rc<[Emission]>,
}

impl Past {
    fn is_other(&self, entry: &Entry) -> bool {
        self.entry.as_ref().is_some_and(|known| known != entry)
    }
}

/// What was committed and applied, by whomever first.
#[derive(Clone, Debug, Default)]
pub struct History {
    plans: [Vec<Past>; PLANS.len()],
    /// What the outside saw.
    pub seen: [Seen; PLANS.len()],
    generation: Option<Generation>,
    /// Both nodes lost power, or the operator forced one: entries may be lost under a new
    /// generation.
    pub loss_allowed: bool,
    pub both_doubtful: bool,
    pub generations: u64,
    pub role_changes: u64,
    pub switches: u64,
    pub promotions: u64,
}

impl World {
    /// Whether the node's log holds everything that was ever committed.
    pub fn holds_all(&self, node: NodeId) -> bool {
        PLANS.iter().all(|plan| self.missing(node, *plan).is_none())
    }

    /// The first committed entry that is not in the node's log.
    fn missing(&self, node: NodeId, plan: Plan) -> Option<u64> {
        let host = self.host(node);
        let history = &self.history.plans[index(plan)];
        let verified = host.verified[index(plan)] as usize;
        if verified >= history.len() {
            return None;
        }
        let (last, base) = (host.entries.last(plan).0, host.entries.base(plan).0);
        let from = verified.max(base as usize);
        if from >= history.len() {
            return None; // A snapshot holds all of it.
        }
        let upto = history.len().min(last as usize).max(from);
        let held = if upto > from {
            host.entries.held(plan, Position(from as u64), Position(upto as u64))
        } else {
            &[]
        };
        let differs =
            held.iter().zip(&history[from..]).position(|(held, past)| past.is_other(held));
        match differs {
            Some(offset) => Some((from + offset + 1) as u64),
            None if upto < history.len() => Some(upto as u64 + 1),
            None => None,
        }
    }

    /// Looks at the world after every event.
    pub fn check(&mut self) {
        if self.acts(NodeId::A) && self.acts(NodeId::B) {
            self.violate("two voices: both nodes may begin an emission".to_owned());
        }
        for node in [NodeId::A, NodeId::B] {
            if !self.acts(node) {
                continue;
            }
            let time = self.time(node);
            for plan in PLANS {
                let member = self.host(node).member.as_ref().expect("it acts");
                let down =
                    !member.may_append(time, plan) && member.status(time).down.contains(&plan);
                if down {
                    continue;
                }
                if let Some(position) = self.missing(node, plan) {
                    self.violate(format!(
                        "lost: {node} acts without the committed entry {position} of plan {plan}"
                    ));
                }
                let length = self.history.plans[index(plan)].len() as u64;
                self.host_mut(node).verified[index(plan)] = length;
            }
        }
    }

    /// A node applies what it believes to be committed.
    pub fn commit(&mut self, node: NodeId, plan: Plan, upto: Position) -> Result<(), Fallen> {
        for applied in self.host_mut(node).entries.apply(plan, upto)? {
            self.compare(node, plan, applied);
        }
        Ok(())
    }

    /// Who applies an entry has to do what everybody did who applied it before.
    fn compare(&mut self, node: NodeId, plan: Plan, applied: Applied) {
        let Applied { position, entry, state, emissions, missed } = applied;
        let loss = self.history.loss_allowed;
        let promised = matches!(self.making.settings.ack, AckMode::Peer | AckMode::PeerDisk);
        if missed && promised && !loss {
            self.violate(format!("{node} applies {position} of plan {plan}, events before lack"));
        }
        let history = &mut self.history.plans[index(plan)];
        let Some(past) = history.get_mut(position.0 as usize - 1) else {
            let nobodys = position.0 as usize - 1 - history.len();
            let unknown = Past { entry: None, state: None, emissions: Rc::new([]) };
            history.extend(std::iter::repeat_n(unknown, nobodys));
            history.push(Past { entry: Some(entry), state, emissions });
            if nobodys > 0 && !loss {
                self.violate(format!("{node} applies {position}, nobody those before it"));
            }
            return;
        };
        if past.is_other(&entry) {
            let known = past.entry.clone();
            return self.violate(format!(
                "{node} applies {entry:?} at {position} of plan {plan}, where {known:?} was"
            ));
        }
        let differs = state.is_some() && past.state.is_some_and(|past| Some(past) != state);
        past.state = past.state.or(state);
        let emits = past.emissions != emissions;
        if differs && !loss {
            self.violate(format!("the state of plan {plan} at {position} differs from before"));
        }
        if emits && !loss {
            self.violate(format!("the results of plan {plan} at {position} differ from before"));
        }
    }

    /// A state has to be the one that everybody had at this position.
    pub fn check_state(&mut self, plan: Plan, at: Position, state: u64) {
        let known = match at.0.checked_sub(1) {
            None => Some(0),
            Some(index_in) => match self.history.plans[index(plan)].get_mut(index_in as usize) {
                Some(past) => Some(*past.state.get_or_insert(state)),
                None => None,
            },
        };
        if known != Some(state) && !self.history.loss_allowed {
            self.violate(format!("the state of plan {plan} at {at} differs from what it was"));
        }
    }

    /// What producers were told is in the state, and what they were not told at most once.
    pub fn check_producers(&mut self) {
        let promised = matches!(self.making.settings.ack, AckMode::Peer | AckMode::PeerDisk);
        if !promised || self.history.loss_allowed {
            return;
        }
        for node in [NodeId::A, NodeId::B] {
            for (number, producer) in self.workload.producers.iter().enumerate() {
                let (plan, answered) = (producer.plan, producer.answered);
                let last = self.host(node).entries.last_of(plan, number as u32);
                if last.is_some_and(|last| last < answered) {
                    let what = format!("{node} has {last:?} of producer {number}, not {answered}");
                    return self.violate(what);
                }
            }
        }
    }

    /// A node says that its role, epoch or generation changed.
    pub fn role_changed(
        &mut self,
        node: NodeId,
        role: Role,
        generation: Option<Generation>,
        reason: Reason,
    ) {
        if role != Role::Active {
            return;
        }
        self.history.role_changes += 1;
        match reason {
            Reason::HandedOver => self.history.switches += 1,
            Reason::LeaseRanOut | Reason::HolderEnded => self.history.promotions += 1,
            Reason::Started | Reason::Operator | Reason::NewerEpoch | Reason::TailTaken => {}
        }
        let Some(generation) = generation else { return };
        if self.history.generation.replace(generation).is_none_or(|before| before == generation) {
            return;
        }
        self.history.generations += 1;
        if !self.history.loss_allowed && !self.history.both_doubtful {
            self.violate(format!("{node} begins the generation {generation} without a reason"));
        }
        for plan in PLANS {
            if let Some(lost) = self.missing(node, plan) {
                self.tell(|| format!("entries of plan {plan} from {lost} are lost for good"));
                if !self.history.loss_allowed {
                    self.violate(format!("lost: entries of plan {plan} from {lost} on"));
                }
                self.history.plans[index(plan)].truncate(lost as usize - 1);
                let last = Position(lost - 1);
                let seen = &mut self.history.seen[index(plan)];
                seen.upto = seen.upto.min(last);
                seen.forget_numbers();
                let received = &self.history.plans[index(plan)][..seen.upto.0 as usize];
                for emission in received.iter().flat_map(|past| past.emissions.iter()) {
                    let _ = seen.take(emission);
                }
                for host in &mut self.hosts {
                    let out = &mut host.outgoing[index(plan)].0;
                    *out = (*out).min(last);
                    let verified = &mut host.verified[index(plan)];
                    *verified = (*verified).min(lost - 1);
                }
            }
        }
    }

    /// One acts, the other follows and has everything.
    pub fn has_settled(&self) -> bool {
        let acting = [NodeId::A, NodeId::B].into_iter().find(|node| self.acts(*node));
        let Some(active) = acting else { return false };
        let (Some(leader), Some(follower)) =
            (&self.host(active).member, &self.host(active.other()).member)
        else {
            return false;
        };
        let status = leader.status(self.time(active));
        let in_sync = status.in_sync && status.lacks.is_empty() && status.down.is_empty();
        in_sync
            && status.peer == Some(follower.incarnation())
            && PLANS.iter().all(|plan| {
                let Some(ours) = leader.log(*plan) else {
                    return true; // It was not deployed yet.
                };
                let Some(theirs) = follower.log(*plan) else { return false };
                ours.last() == theirs.last()
                    && ours.committed == ours.last()
                    && theirs.committed == ours.last()
            })
    }

    /// Whether every result was received.
    pub fn all_received(&self) -> bool {
        let lengths = self.history.plans.iter().map(|entries| entries.len() as u64);
        lengths.zip(&self.history.seen).all(|(length, seen)| seen.upto.0 == length)
    }

    /// Whether a node said that it needs the operator.
    pub fn waits_for_word(&self) -> bool {
        self.hosts.iter().any(|host| host.blank || host.doubt || host.decayed)
    }

    /// The node whose logs go further.
    pub fn longer(&self) -> NodeId {
        let length = |node: NodeId| -> u64 {
            PLANS.iter().map(|plan| self.host(node).entries.last(*plan).0).sum()
        };
        if length(NodeId::A) >= length(NodeId::B) { NodeId::A } else { NodeId::B }
    }
}
