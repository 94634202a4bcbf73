//! What the two nodes tell each other.

use crate::ha::protocol::log::Shape;
use crate::ha::protocol::log::Span;
use crate::ha::protocol::words::Epoch;
use crate::ha::protocol::words::Generation;
use crate::ha::protocol::words::Incarnation;
use crate::ha::protocol::words::Moment;
use crate::ha::protocol::words::Plan;
use crate::ha::protocol::words::Position;
use crate::ha::protocol::words::Version;
use serde::Deserialize;
use serde::Serialize;

/// A message to the peer. It may be late, doubled, lost or overtaken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The life of the sender.
    pub from: Incarnation,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// The active is here.
    Heartbeat {
        /// Its epoch.
        epoch: Epoch,
        /// The history it goes on with.
        generation: Generation,
        /// Its own clock when it sent this; comes back in the answer.
        sent: Moment,
        /// Every plan it runs.
        plans: Vec<Offered>,
    },
    /// The passive heard a heartbeat.
    Heard {
        /// The epoch of the heartbeat.
        epoch: Epoch,
        /// The life of the active that sent it.
        to: Incarnation,
        /// `sent` of the heartbeat.
        sent: Moment,
        /// For so many milliseconds the passive will not stand; 0 is no promise.
        grant: u64,
        /// How far it is, for every plan it was offered.
        plans: Vec<Followed>,
    },
    /// Entries of a plan travel with this message.
    Entries {
        /// The epoch of the active that sends them.
        epoch: Epoch,
        /// The plan they are of.
        plan: Plan,
        /// They begin after this position.
        after: Position,
        /// Position of the last of them.
        upto: Position,
        /// In which epochs they were appended.
        spans: Vec<Span>,
        /// The active has committed up to here.
        committed: Position,
    },
    /// The passive has written entries into its journal, or has what it was sent already.
    Taken {
        /// The epoch of the entries' sender.
        epoch: Epoch,
        /// The life of the entries' sender.
        to: Incarnation,
        /// How far it is in which plan.
        plan: Followed,
    },
    /// A node asks for what a passive holds further.
    TailRequest {
        /// Its own clock when it sent this; comes back in the answers.
        asked: Moment,
        /// Its logs.
        plans: Vec<(Plan, Shape)>,
        /// Also of the plans that it does not name.
        all: bool,
    },
    /// A passive shows its log, and perhaps entries travel with this message.
    Tail {
        /// The life that asked.
        to: Incarnation,
        /// `asked` of the request: what was shown to an earlier stint may have grown since.
        asked: Moment,
        /// The plan.
        plan: Plan,
        /// The passive's own journal may have lost its tail.
        doubtful: bool,
        /// The passive's log of this plan holds every committed entry, as far as it knows.
        whole: bool,
        /// The passive's log.
        shape: Shape,
        /// Entries begin after this position.
        after: Position,
        /// Position of the last of them; equal to `after` if there are none.
        upto: Position,
        /// So many plans are in the whole answer.
        plans: usize,
    },
    /// The arbiter's record names the receiver as holder now.
    YourTurn {
        /// The epoch that the sender acted in.
        epoch: Epoch,
        /// The version that says so.
        version: Version,
    },
    /// The passive ends in order; nobody waits for it any more.
    Leaving,
}

impl Body {
    /// The epoch the sender claims to act or follow in, where it claims one.
    pub fn epoch(&self) -> Option<Epoch> {
        match self {
            Body::Heartbeat { epoch, .. }
            | Body::Heard { epoch, .. }
            | Body::Entries { epoch, .. }
            | Body::Taken { epoch, .. }
            | Body::YourTurn { epoch, .. } => Some(*epoch),
            Body::TailRequest { .. } | Body::Tail { .. } | Body::Leaving => None,
        }
    }
}

/// A plan as the active offers it in a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Which plan.
    pub plan: Plan,
    /// Committed up to here.
    pub committed: Position,
    /// The log, as long as the passive has not found its place in it.
    pub shape: Option<Shape>,
}

/// How far the passive is in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Which plan.
    pub plan: Plan,
    /// What it has.
    pub progress: Progress,
}

/// How far the passive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// Its log is the beginning of the active's, up to `matched`, and on disk up to `synced`.
    Follows {
        /// In its journal.
        matched: Position,
        /// Fsynced.
        synced: Position,
    },
    /// It has not found its place in the active's log in this epoch.
    Apart,
    /// The active's journal no longer holds what it needs.
    NeedsSnapshot,
    /// It cannot take the plan's entries.
    Broken,
}
