//! Whether the two nodes made the same of the same log: fingerprints of their states at equal
//! positions, compared by the node that follows.
//!
//! They can only differ by a fault of this program or of the machine. Then a person is told, and
//! the node that follows throws its state away and applies the log anew from a snapshot of the
//! other.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::thread;

use bytes::Bytes;
use serde::Deserialize;
use serde::Serialize;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::actors::pair::HaManager;
use crate::actors::pair::Tell;
use crate::actors::wire;
use crate::ha::link::freight::Freight;
use crate::ha::link::freight::Parcel;
use crate::ha::protocol::Plan;

/// So many fingerprints of each side wait for the other's.
const WAITING_MAX: usize = 256;

/// What one node tells the other.
#[derive(Serialize, Deserialize)]
struct Fingerprint {
    plan: Plan,
    position: u64,
    value: u64,
}

/// What waits to be compared.
#[derive(Debug, Default)]
pub struct Fingerprints {
    here: BTreeMap<(u64, Plan), u64>,
    there: BTreeMap<(u64, Plan), u64>,
    /// Plans whose state is to be taken from the other node.
    resyncing: BTreeSet<Plan>,
}

impl HaManager {
    /// The state here, at a position.
    pub(super) fn fingerprinted(&mut self, plan: Plan, position: u64, value: u64) {
        let acts = self.life.as_ref().is_some_and(|life| life.member.epoch().is_some());
        if acts {
            let told = Fingerprint { plan, position, value };
            self.send_parcel(wire::FINGERPRINTS, &told);
        } else {
            insert(&mut self.fingerprints.here, (position, plan), value);
            self.compare(plan, position);
        }
    }

    /// The state there, at a position.
    pub(super) fn fingerprint_heard(&mut self, bytes: &Bytes) {
        let Ok(Fingerprint { plan, position, value }) = postcard::from_bytes(bytes) else { return };
        insert(&mut self.fingerprints.there, (position, plan), value);
        self.compare(plan, position);
    }

    fn compare(&mut self, plan: Plan, position: u64) {
        let Fingerprints { here, there, resyncing } = &mut self.fingerprints;
        let key = (position, plan);
        let (Some(mine), Some(theirs)) = (here.get(&key).copied(), there.get(&key).copied()) else {
            return;
        };
        here.remove(&key);
        there.remove(&key);
        let Some(log) = self.estate.hub.log(plan) else { return };
        self.status.compared = Some(position);
        if mine == theirs || !resyncing.insert(plan) {
            return;
        }
        let text = format!(
            "the nodes differ: the state of plan `{}` at position {position} has the fingerprint \
             {mine:016x} here and {theirs:016x} at the active node; it is taken from there",
            log.name
        );
        error!("{text}");
        self.status.alarm = Some(text);
        self.send_parcel(wire::RESYNCS, &plan);
    }

    /// The other node found that its state differs: it gets a snapshot of this one's.
    pub(super) fn resync_asked(&mut self, bytes: &Bytes) {
        let Ok(plan) = postcard::from_bytes::<Plan>(bytes) else { return };
        let Some(log) = self.estate.hub.log(plan) else { return };
        let hub = self.hub();
        error!(plan = %log.name, "the other node's state differs; it is sent a snapshot");
        let work = move || {
            let taken = log.station().map(|station| station.take_snapshot());
            match taken {
                Some(Ok(taken)) => drop(hub.tell(Tell::Share(plan, taken.name))),
                Some(Err(error)) => {
                    warn!(plan = %log.name, %error, "no snapshot for the other node")
                }
                None => {}
            }
        };
        if let Err(error) = thread::Builder::new().name("resync".to_owned()).spawn(work) {
            error!(%error, "no thread for a snapshot");
        }
    }

    /// A snapshot came: perhaps it is the one that a plan waits for.
    pub(super) fn resynced(&mut self, plan: Plan, base: u64, name: &str) {
        let Some(log) = self.estate.hub.log(plan) else { return };
        if !self.fingerprints.resyncing.remove(&plan) {
            return;
        }
        // What this node saved itself is of the state that is thrown away.
        if let Err(error) = log.snapshots.keep_only(name) {
            return error!(plan = %log.name, %error, "old snapshots cannot be removed");
        }
        let (plan, position) = (&log.name, base);
        info!(%plan, position, "the other node's state takes the place of this one's");
        log.mirrored.reload(base);
        (log.nudge)();
    }

    fn send_parcel(&self, channel: u16, what: &impl Serialize) {
        let bytes = postcard::to_stdvec(what).expect("plain values always have a form").into();
        // What finds no room is told with the next comparison.
        self.estate.hub.wire.ship(&Freight::Parcel(Parcel { channel, bytes }));
    }
}

fn insert(into: &mut BTreeMap<(u64, Plan), u64>, key: (u64, Plan), value: u64) {
    into.insert(key, value);
    if into.len() > WAITING_MAX {
        into.pop_first();
    }
}
