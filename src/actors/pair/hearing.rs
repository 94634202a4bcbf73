//! What the other node said: to the protocol, to the plans, to the people.

use tracing::error;
use tracing::warn;

use crate::actors::pair::HaManager;
use crate::actors::pair::manager::now;
use crate::actors::plan::Arrival;
use crate::actors::wire;
use crate::ha::link::Heard;
use crate::ha::link::Hold;
use crate::ha::link::freight::Entries;
use crate::ha::link::freight::Freight;
use crate::ha::protocol::Body;
use crate::ha::protocol::Input;
use crate::ha::protocol::Message;
use crate::ha::protocol::Plan;

impl HaManager {
    pub(super) fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Joined(peer) => {
                self.status.peer = Some(peer);
                (self.status.linked, self.status.trouble) = (true, None);
                for log in self.hub().logs() {
                    log.mirrored.send_again();
                    (log.nudge)();
                }
                self.confirm_all();
            }
            Heard::Message(message) => self.said(message, None),
            Heard::Freight(freight, hold) => self.freight(freight, hold),
            Heard::Lost(reason) => {
                self.status.linked = false;
                self.status.trouble = Some(reason);
                self.give(Input::LinkLost, None);
            }
            Heard::Refused(reason) => self.status.trouble = Some(reason),
        }
    }

    fn said(&mut self, mut message: Message, entries: Option<&Entries>) {
        match &mut message.body {
            Body::Heartbeat { plans, .. } => {
                self.status.heard_active = Some(now().0);
                // A plan that is not deployed here yet has no journal here yet.
                plans.retain(|offered| self.estate.hub.log(offered.plan).is_some());
            }
            Body::Tail { plan, .. } if self.estate.hub.log(*plan).is_none() => {
                return self.cannot_take(*plan);
            }
            _ => {}
        }
        self.give(Input::Heard(message), entries);
    }

    /// The other node shows the log of a plan of which nothing is known here: its deployment is
    /// among what this node lost. There is no journal that could take it. So the node does not have
    /// all that it asked for and does not start; the other one has it, and stands.
    fn cannot_take(&mut self, plan: Plan) {
        if self.unknown.insert(plan) {
            warn!(
                %plan, "the other node has a plan that is not known here; this node leaves it to \
                the other one to be active"
            );
        }
    }

    fn freight(&mut self, freight: Freight, hold: Hold) {
        match freight {
            Freight::Entries(entries) => {
                let message = entries.message.clone();
                self.said(message, Some(&entries));
            }
            Freight::Piece(piece) => {
                if let Some(life) = &self.life {
                    life.files.take(piece, hold);
                }
            }
            Freight::Confirmed(confirmed) => self.confirmed(&confirmed),
            Freight::Parcel(parcel) if parcel.channel == wire::FORWARDS => {
                self.forwarded(&parcel.bytes, hold);
            }
            Freight::Parcel(parcel) if parcel.channel == wire::REPLIES => {
                if let Some(reply) = wire::read_reply(&parcel.bytes)
                    && let Some(log) = self.hub().log(reply.plan)
                {
                    log.mirrored.answered_elsewhere(reply.stamp, reply.verdict);
                    (log.nudge)();
                }
            }
            Freight::Parcel(parcel) if parcel.channel == wire::FINGERPRINTS => {
                self.fingerprint_heard(&parcel.bytes);
            }
            Freight::Parcel(parcel) if parcel.channel == wire::RESYNCS => {
                self.resync_asked(&parcel.bytes);
            }
            Freight::Parcel(parcel) => self.fence_heard(&parcel),
        }
    }

    /// The other node has something to be ordered here.
    fn forwarded(&mut self, bytes: &bytes::Bytes, hold: Hold) {
        let Some((plan, stamp, first, entry)) = wire::read_forward(bytes) else {
            return error!("what the other node forwarded cannot be read; do versions differ?");
        };
        if let Some(log) = self.hub().log(plan)
            && log.mirrored.epoch().is_some()
        {
            log.mirrored.arrive(Arrival { stamp, entry, hold: Some(hold) }, first);
            (log.nudge)();
        }
    }
}
