//! What goes wrong with disks: a process that ends in the middle of a write, writes that fail,
//! bytes that are others than were written.

use crate::entries::DiskFault;
use crate::entries::Fallen;
use crate::faults::Mend;
use crate::hosting::index;
use crate::world::Event;
use crate::world::PLANS;
use crate::world::Things;
use crate::world::World;
use twinflow::ha::protocol::AckMode;
use twinflow::ha::protocol::InSync;
use twinflow::ha::protocol::NodeId;

impl World {
    /// The node's disk will fail after so many writes, or end the process in the middle of one.
    pub fn fault_disk(&mut self, node: NodeId) {
        let writes = self.faults.chance.spread(1, 400);
        self.arm(node, writes);
    }

    fn arm(&mut self, node: NodeId, writes: u64) {
        if self.making.things == Things::Bare {
            return;
        }
        let ends = self.faults.chance.below(4) > 0;
        let power = self.faults.chance.below(2) == 0;
        let fault = if ends { DiskFault::EndAt(writes) } else { DiskFault::ErrorAt(writes) };
        let host = self.host_mut(node);
        host.falls_with_power = power;
        if host.entries.arm(Some(fault)) {
            self.faults.count(if ends { "disk ends the process" } else { "write fails" });
        }
    }

    /// The node is about to write what must not be half done: now and then that is what happens
    /// within so many writes.
    pub fn aim_at_disk(&mut self, node: NodeId, permille: u64, writes: u64) {
        let is_bare = self.making.things == Things::Bare;
        if is_bare || self.faults.over || !self.faults.chance.permille(permille) {
            return;
        }
        let writes = self.faults.chance.below(writes);
        self.arm(node, writes);
    }

    /// A byte of a node decays while the other has everything. It is noticed when it is read: at
    /// once, since the process begins anew, or sometime.
    pub fn fault_flip(&mut self, node: NodeId) {
        if !self.may_lose_disk(node) || self.host(node).member.is_none() {
            return;
        }
        let at_once = self.faults.chance.below(2) == 0;
        // A last record that has decayed is cut off, and the node doubts what it has: enough where
        // the other has it, too. After a loss of power it passes for a write that never finished.
        let told_apart = !self.host(node).doubt || !self.needs_both_disks();
        let with_last = at_once && told_apart;
        let mut disk = self.disk.clone();
        let place = self.host_mut(node).entries.flip(&mut disk, with_last);
        self.disk = disk;
        let Some(place) = place else { return };
        let host = self.host_mut(node);
        host.flipped = true;
        self.faults.count("byte flipped");
        self.tell(|| format!("{node} has a damaged byte in {place}"));
        if !at_once {
            return;
        }
        self.kill(node);
        let host = self.host_mut(node);
        let received = PLANS.map(|plan| (plan, host.outgoing[index(plan)].0));
        let found = host.entries.start(&received);
        host.entries.lose_process();
        match found {
            Err(Fallen::Damaged(what)) => self.fell(node, Fallen::Damaged(what)),
            // The snapshot before serves, with more of the journal.
            Ok(_) if place.contains("snapshots") => {
                self.faults.count("damaged snapshot passed over");
                self.after(1_000, Event::Mend(Mend::Start(node)));
            }
            Ok(found) if found.is_decayed && with_last => {
                self.faults.count("decayed end cut off");
                self.found_decayed(node);
                self.after(1_000, Event::Mend(Mend::Start(node)));
            }
            found => self.violate(format!("{node} takes damage in {place} for sound: {found:?}")),
        }
    }

    /// Whether the other one has everything, so that nothing is lost with this disk.
    pub fn may_lose_disk(&self, node: NodeId) -> bool {
        let other = node.other();
        let record = &self.arbiter.record;
        let named = record.holder == Some(other) || record.in_sync.is_some();
        let lacks = match &record.in_sync {
            Some(peer) if record.holder == Some(node) => !peer.lacks.is_empty(),
            _ => record.holder == Some(other) && !record.holder_lacks.is_empty(),
        };
        let host = self.host(other);
        let whole = self.holds_all(other) && host.member.is_some() && !lacks;
        whole && named && !host.doubt && !host.decayed && !host.blank && !host.flipped
    }

    /// Whether the node may have the only whole copy of a plan: it is the holder, and the other one
    /// lacks plans that it runs; or it is the other one, and plans are down at the holder.
    pub fn has_more(&self, node: NodeId) -> bool {
        let record = &self.arbiter.record;
        let down = &record.holder_lacks;
        let lacks = |peer: &InSync| peer.lacks.difference(down).next().is_some();
        if record.holder == Some(node) {
            record.in_sync.as_ref().is_some_and(lacks)
        } else {
            !down.is_empty()
        }
    }

    /// A node found damage: its disk counts as blank. If the other one lacks something by now, it
    /// is lost.
    pub fn give_up_disk(&mut self, node: NodeId) {
        if self.may_lose_disk(node) {
            self.host_mut(node.other()).dirty = false;
        } else {
            self.history.loss_allowed = true;
        }
        self.wipe(node);
    }

    /// A machine may lose power while the other has everything that was acknowledged; at any time,
    /// where a commit needs the disks of both.
    pub fn may_lose_power(&mut self, node: NodeId) -> bool {
        let other = node.other();
        if self.host(other).dirty && self.holds_all(other) {
            self.host_mut(other).dirty = false;
        }
        let (host, other) = (self.host(node), self.host(other));
        if self.making.settings.ack == AckMode::PeerDisk {
            // A damaged record at the end would pass for one that was never written.
            return !host.flipped && !other.flipped;
        }
        !other.dirty && !other.flipped
    }
}
