//! The arbiter's record and its only way of changing: a compare-and-set of the version.
//!
//! Every arbiter (a file, a witness process, a row in a database) keeps one [`Record`] and answers
//! reads and writes with it; the write is [`Record::compare_and_set`], made durable before the
//! answer. Where both nodes lose their power with the arbiter, a write that raised nothing but the
//! version may be lost with it.

use crate::ha::protocol::words::ArbiterId;
use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Generation;
use crate::ha::protocol::words::Incarnation;
use crate::ha::protocol::words::NodeId;
use crate::ha::protocol::words::Plan;
use crate::ha::protocol::words::Version;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeSet;

/// Plans, in order of their numbers.
pub type PlanSet = BTreeSet<Plan>;

/// What the arbiter knows of a pair. It holds no time of any clock, only a duration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which store this is; never changes.
    pub arbiter: ArbiterId,
    /// Raised by every write.
    pub version: Version,
    /// The start of the present holder.
    pub epoch: Epoch,
    /// The history that goes on; `None` before the first start.
    pub generation: Option<Generation>,
    /// The node that may act; `None` before the first start.
    pub holder: Option<NodeId>,
    /// Plans that the holder may not run, since committed entries of theirs are on the other node
    /// only.
    pub holder_lacks: PlanSet,
    /// How long a candidate waits after it first saw a version, in milliseconds.
    pub lease: u64,
    /// The life of the other node that may stand; `None` is *alone*.
    pub in_sync: Option<InSync>,
}

/// A life of the node that is not the holder, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InSync {
    /// It alone may stand.
    pub incarnation: Incarnation,
    /// Plans of which it does not hold every committed entry.
    pub lacks: PlanSet,
}

impl Record {
    /// The record of a store that was just made.
    pub fn virgin(arbiter: ArbiterId, lease: u64) -> Record {
        Record {
            arbiter,
            version: Version(0),
            epoch: Epoch(0),
            generation: None,
            holder: None,
            holder_lacks: PlanSet::new(),
            lease,
            in_sync: None,
        }
    }

    /// Takes the proposed record if nobody wrote since `expected`, and says whether it did. The
    /// version counts by itself; the arbiter's id is not for sale.
    pub fn compare_and_set(&mut self, expected: Version, proposed: &Record) -> bool {
        if self.version != expected || self.arbiter != proposed.arbiter {
            return false;
        }
        *self = Record { version: expected.next(), ..proposed.clone() };
        true
    }

    /// Whether the other node's recorded life holds every committed entry of the plan.
    pub fn covers(&self, plan: Plan) -> bool {
        self.in_sync.as_ref().is_some_and(|peer| !peer.lacks.contains(&plan))
    }
}
