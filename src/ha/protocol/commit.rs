//! When an entry is committed, and when its producer may be answered.

use crate::ha::protocol::action::Action;
use crate::ha::protocol::active::Active;
use crate::ha::protocol::member::Member;
use crate::ha::protocol::member::Part;
use crate::ha::protocol::settings::AckMode;
use crate::ha::protocol::words::Incarnation;
use crate::ha::protocol::words::Plan;
use crate::ha::protocol::words::Position;

/// What a commit of a plan needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needs {
    /// This node's disk.
    disk: bool,
    /// The copy of the follower, and of which life; `None` is any.
    peer: Option<Option<Incarnation>>,
}

impl Member {
    /// Commits what can be, and tells it.
    pub(super) fn commit(&mut self, plan: Plan, actions: &mut Vec<Action>) {
        let Some(upto) = self.committable(plan) else { return };
        let Some(log) = self.logs.get_mut(&plan) else { return };
        if upto > log.committed {
            log.committed = upto;
            actions.push(Action::Commit { plan, upto });
        }
    }

    fn committable(&self, plan: Plan) -> Option<Position> {
        let active = self.active().filter(|active| !active.down.contains(&plan))?;
        let log = self.logs.get(&plan)?;
        let needs = self.needs(active, plan)?;
        let both_disks = self.settings.ack == AckMode::PeerDisk;
        let mut upto = log.last();
        if needs.disk || both_disks {
            upto = upto.min(log.synced);
        }
        if let Some(life) = needs.peer {
            let follower = active.follower.as_ref()?;
            if life.is_some_and(|life| life != follower.incarnation) {
                return None;
            }
            let copy = follower.copy(plan).filter(|copy| copy.joined)?;
            upto = upto.min(if both_disks { copy.synced } else { copy.matched });
        }
        Some(upto)
    }

    /// While the record may say that nobody else has the plan, a commit needs the disk; while it
    /// may say that somebody has, that one's copy. `None`: it may name two lives, and nothing is
    /// enough.
    fn needs(&self, active: &Active, plan: Plan) -> Option<Needs> {
        let rules = &self.settings.rules;
        let confirmed = active.confirmed.as_ref().filter(|peer| !peer.lacks.contains(&plan));
        let mut disk = false;
        let mut life: Option<Incarnation> = None;
        for value in active.values() {
            match value.filter(|peer| !peer.lacks.contains(&plan)) {
                None => disk = true,
                Some(peer) => match life {
                    Some(other) if other != peer.incarnation => {
                        if rules.recorded_incarnation_only {
                            return None;
                        }
                    }
                    _ => life = Some(peer.incarnation),
                },
            }
        }
        if !rules.disk_while_maybe_alone {
            disk = confirmed.is_none() && life.is_none();
        }
        if !rules.peer_from_sync_sent && confirmed.is_none() {
            life = None;
        }
        if life.is_none() {
            disk = true;
        }
        let peer = life.map(|life| rules.recorded_incarnation_only.then_some(life));
        Some(Needs { disk, peer })
    }

    /// Whether anything waits for entries of a plan to be on this node's disk.
    #[must_use]
    pub fn needs_disk(&self, plan: Plan) -> bool {
        let ack = self.settings.ack;
        match self.active() {
            Some(_) if matches!(ack, AckMode::Disk | AckMode::PeerDisk) => true,
            Some(active) => self.needs(active, plan).is_none_or(|needs| needs.disk),
            None => ack == AckMode::PeerDisk,
        }
    }

    /// Lets producers be answered as far as the mode allows.
    pub(super) fn answer(&mut self, plan: Plan, actions: &mut Vec<Action>) {
        let Part::Active(active) = &self.part else { return };
        let Some(log) = self.logs.get(&plan).filter(|_| !active.down.contains(&plan)) else {
            return;
        };
        let upto = match self.settings.ack {
            AckMode::Memory => log.last(),
            AckMode::Disk => log.synced,
            AckMode::Peer | AckMode::PeerDisk => log.committed,
        };
        let answered = self.answered.entry(plan).or_default();
        if upto > *answered {
            *answered = upto;
            actions.push(Action::Answer { plan, upto });
        }
    }
}
