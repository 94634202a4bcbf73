//! What people are shown of a member.

use crate::ha::protocol::action::Reason;
use crate::ha::protocol::action::Refusal;
use crate::ha::protocol::action::Role;
use crate::ha::protocol::input::Journal;
use crate::ha::protocol::log::PlanLog;
use crate::ha::protocol::member::Member;
use crate::ha::protocol::member::Part;
use crate::ha::protocol::record::PlanSet;
use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Generation;
use crate::ha::protocol::words::Incarnation;
use crate::ha::protocol::words::Moment;
use crate::ha::protocol::words::NodeId;
use crate::ha::protocol::words::Plan;
use crate::ha::protocol::words::Position;

/// A member at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which node.
    pub node: NodeId,
    /// Which life.
    pub incarnation: Incarnation,
    /// Active or passive.
    pub role: Role,
    /// Acted in, or the highest seen.
    pub epoch: Epoch,
    /// Of the results.
    pub generation: Option<Generation>,
    /// Whether emissions may begin now.
    pub may_act: bool,
    /// The peer's life, once it was heard.
    pub peer: Option<Incarnation>,
    /// Milliseconds since the peer was heard in its present role; `None`: not yet.
    pub peer_silent: Option<u64>,
    /// The record names the passive's life, which may take over: all but the plans it lacks would
    /// go on.
    pub named: bool,
    /// It could do so now: it is named and, as seen from the active, is heard.
    pub in_sync: bool,
    /// Plans that the other node would not run.
    pub lacks: PlanSet,
    /// Plans that stay down here, since only the other node has all of their entries.
    pub down: PlanSet,
    /// The journals may have lost their end.
    pub doubtful: bool,
    /// When the role changed last, and why.
    pub changed: (Moment, Reason),
    /// Why a planned switch would be refused; `None`: it is safe.
    pub switch_refusal: Option<Refusal>,
    /// Every plan.
    pub plans: Vec<PlanStatus>,
}

/// A plan's log at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanStatus {
    /// Which.
    pub plan: Plan,
    /// The last entry.
    pub last: Position,
    /// Fsynced up to here.
    pub synced: Position,
    /// Committed, as far as this node knows.
    pub committed: Position,
    /// At the active: how far the peer is.
    pub peer: Option<Position>,
    /// Of one history with the active's log, as far as it goes.
    pub follows: bool,
}

impl PlanStatus {
    /// Entries that the peer does not have.
    pub fn lag(&self) -> Option<u64> {
        self.peer.map(|peer| self.last.0.saturating_sub(peer.0))
    }
}

impl Member {
    /// Whether this is a life that is heard by the active, or this node's own.
    fn is_here(&self, now: Moment, life: Incarnation) -> bool {
        match self.active() {
            Some(active) => {
                let follower = active.follower.as_ref().map(|follower| follower.incarnation);
                follower == Some(life) && self.hears(now)
            }
            None => life == self.incarnation,
        }
    }

    /// What people are shown.
    pub fn status(&self, now: Moment) -> Status {
        let (role, heard) = match &self.part {
            Part::Active(active) => (Role::Active, active.follower.as_ref().map(|f| f.heard)),
            Part::Passive(p) => (Role::Passive, Some(p.heard).filter(|heard| *heard > p.since)),
        };
        let recorded = match &self.part {
            Part::Active(active) => active.confirmed.clone(),
            Part::Passive(_) => self
                .known()
                .and_then(|record| record.in_sync.clone())
                .filter(|peer| peer.incarnation == self.incarnation),
        };
        let follower = self.active().and_then(|active| active.follower.as_ref());
        let epoch = self.epoch().unwrap_or(self.highest);
        let plan_status = |(plan, log): (&Plan, &PlanLog)| PlanStatus {
            plan: *plan,
            last: log.last(),
            synced: log.synced,
            committed: log.committed,
            peer: follower.and_then(|f| f.copy(*plan)).map(|copy| copy.matched),
            follows: log.follows != Epoch(0) && log.follows == epoch,
        };
        Status {
            node: self.node,
            incarnation: self.incarnation,
            role,
            epoch,
            generation: self.generation,
            may_act: self.may_act(now),
            peer: Some(self.peer).filter(|peer| *peer != Incarnation(0)),
            peer_silent: heard.map(|heard| now.since(heard)),
            named: recorded.is_some(),
            in_sync: recorded.as_ref().is_some_and(|peer| self.is_here(now, peer.incarnation)),
            lacks: recorded.map(|peer| peer.lacks).unwrap_or_default(),
            down: self.active().map(|active| active.down.clone()).unwrap_or_default(),
            doubtful: self.journal != Journal::Sound,
            changed: self.changed,
            switch_refusal: self.switch_refusal(now),
            plans: self.logs.iter().map(plan_status).collect(),
        }
    }
}
