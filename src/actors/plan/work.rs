//! What waits for a plan: rows, questions, and the next version.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::actors::plan::Question;
use crate::actors::plan::Version;
use crate::actors::tree::Weigh;
use crate::event::Batch;
use crate::plan::logical::StreamId;
use crate::replica::Body;
use crate::replica::Copied;
use crate::replica::Letter;
use crate::replica::Mark;
use crate::replica::Sending;

/// A message in a plan's inbox.
#[derive(Debug)]
pub enum Work {
    /// Rows for a stream.
    Rows(Box<Rows>),
    /// An on-demand query.
    Ask(Question),
    /// An entry about a dead letter: it is taken up, or discarded.
    OfLetter(Box<Body>, oneshot::Sender<Result<Applied, Misfit>>),
    /// The cut: everything before it goes to the old version, everything after it to this one.
    Switch(Switch),
}

/// Rows for a stream, of its schema.
#[derive(Debug)]
pub struct Rows {
    /// The version whose schema the rows were made for.
    pub version: Arc<Version>,
    /// The stream, as that version counts.
    pub stream: StreamId,
    /// The rows; timestamps are the events' own.
    pub batch: Batch,
    /// What a receiver could not read and brings along; `batch` may be empty then.
    pub letters: Vec<Letter>,
    /// Who sent them, if the sender numbers what it sends.
    pub sending: Option<Sending>,
    /// Where the receiver stands after them.
    pub mark: Option<Mark>,
    /// What makes rows known that come on both nodes of a pair.
    pub copied: Option<Copied>,
    /// When they were accepted, by [`clock::elapsed`](crate::actors::clock::elapsed).
    pub accepted: Duration,
    /// Told when they are applied, if somebody waits for that.
    pub told: Option<oneshot::Sender<Result<Applied, Misfit>>>,
}

/// The next version of a plan.
#[derive(Debug)]
pub struct Switch {
    /// What takes over.
    pub version: Arc<Version>,
    /// Told when it has.
    pub told: oneshot::Sender<()>,
}

/// Rows have been applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The position of the entry in what the plan took, from 1.
    pub position: u64,
    /// The sender had sent this before; it had no effect this time.
    pub is_repeated: bool,
}

/// Why what had been accepted was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The plan was changed meanwhile.
    #[error("{what} was changed or removed by a new version of the plan meanwhile")]
    Changed {
        /// What is no longer as it was, as in "the stream `S`".
        what: String,
    },
    /// A part of it cannot be run.
    #[error("{reason}")]
    NotRun {
        /// Why.
        reason: String,
    },
    /// The plan's code panicked on them; they were put aside.
    #[error("the plan could not process this: {note}")]
    Poison {
        /// What the panic said.
        note: String,
    },
    /// The node's role changed while it was under way.
    #[error(
        "the roles of the two nodes changed while this was under way, and whether it was taken \
             is not known; send it again under the same producer and sequence"
    )]
    Unsure,
}

impl Weigh for Work {
    fn events(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.batch.len() + rows.letters.len(),
            Self::OfLetter(body, _) => body.rows().map_or(0, |(_, batch)| batch.len()),
            Self::Ask(_) | Self::Switch(_) => 0,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Rows(rows) => {
                rows.batch.bytes() + rows.letters.iter().map(Letter::bytes).sum::<usize>()
            }
            Self::OfLetter(body, _) => body.rows().map_or(0, |(_, batch)| batch.bytes()),
            Self::Ask(_) | Self::Switch(_) => 0,
        }
    }
}
