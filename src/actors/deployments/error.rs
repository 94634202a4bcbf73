//! What can go wrong with the log of deployments.

use std::fmt;

use crate::catalogue::Misfit;
use crate::journal::JournalError;
use crate::rehearsal::Reading;
use crate::snapshot::SnapshotError;

/// Why the log of deployments cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentsError {
    /// Its journal.
    #[error("the log of deployments: {0}")]
    Journal(#[from] JournalError),
    /// Its snapshots.
    #[error("the log of deployments: {0}")]
    Snapshots(#[from] SnapshotError),
    /// A snapshot is not what this program writes.
    #[error("a snapshot of the deployments cannot be read by this version of the program")]
    Snapshot,
    /// An entry is not what this program writes.
    #[error("entry {position} of the log of deployments cannot be read by this version")]
    Unreadable {
        /// Its position.
        position: u64,
    },
    /// Entries are missing.
    #[error("the log of deployments goes on at {position}, but {next} comes next")]
    Gap {
        /// The position that came.
        position: u64,
        /// The position that was expected.
        next: u64,
    },
    /// After it was opened again the journal lacks entries that were applied.
    #[error(
        "the disk has lost entries of the log of deployments: it ends at {last}, but {next} comes \
         next; start the node again, so that it takes them from the other one"
    )]
    Lost {
        /// The last one.
        last: u64,
        /// The one that was to come.
        next: u64,
    },
    /// No thread can be started.
    #[error("the log of deployments: no thread can be started: {0}")]
    Thread(std::io::Error),
}

/// Why a change is not in the log, or without effect.
#[derive(Debug)]
pub enum NotOrdered {
    /// It does not fit what runs: often another change came first.
    Misfit(Misfit),
    /// The text has errors, as the node says that orders.
    Unsound(Box<Reading>),
    /// The node that orders refuses it for another reason.
    Refused(String),
    /// Nobody orders at the moment, or nobody knows what became of it.
    Unavailable(String),
}

impl From<Misfit> for NotOrdered {
    fn from(misfit: Misfit) -> Self {
        Self::Misfit(misfit)
    }
}

impl fmt::Display for NotOrdered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misfit(misfit) => misfit.fmt(f),
            Self::Unsound(_) => f.write_str("the plan has errors"),
            Self::Refused(reason) | Self::Unavailable(reason) => f.write_str(reason),
        }
    }
}
