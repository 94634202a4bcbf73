//! What can go wrong with a journal, by what its user can do about it.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// Why the journal cannot do what was asked.
#[derive(Clone, Debug, Error)]
pub enum JournalError {
    /// The disk has no room. Nothing of what was being written counts; open the journal again once
    /// there is room.
    #[error("the disk is full: cannot {doing} `{}`", file.display())]
    Full {
        /// What was tried.
        doing: &'static str,
        /// On which file or folder.
        file: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The system refused an operation.
    #[error("cannot {doing} `{}`", file.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file or folder.
        file: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A write or fsync failed earlier: what is on the disk is no longer known until the journal is
    /// opened again.
    #[error("the journal stopped after an error and has to be opened again: {0}")]
    Poisoned(Arc<JournalError>),
    /// Bytes that once were right are not any more.
    #[error("`{}` is damaged at byte {offset}: {what}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in it, in bytes from its front.
        offset: u64,
        /// What was expected and what came.
        what: String,
    },
    /// The file is the journal of another plan.
    #[error(
        "`{}` is the journal of another plan; was the folder copied or renamed?",
        file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// A newer version wrote the file.
    #[error(
        "`{}` has format {found}, this version knows {known}: run the newer version",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u16,
        /// The newest format known here.
        known: u16,
    },
    /// The records asked for have been released, since a snapshot has made them needless.
    #[error("position {asked} was released, the journal begins at {first}; take a snapshot first")]
    Released {
        /// The position asked for.
        asked: u64,
        /// The first position held.
        first: u64,
    },
    /// The journal was cut while it was read; what was read so far may no longer be true.
    #[error("the journal was cut while it was read; read it again")]
    Changed,
    /// An epoch may not fall.
    #[error("epoch {given} is below epoch {last} of the record before")]
    EpochFell {
        /// The epoch given.
        given: u64,
        /// The epoch of the last record.
        last: u64,
    },
    /// A body longer than the journal takes.
    #[error("a record of {bytes} bytes is too long, the limit is {limit}")]
    TooLong {
        /// Bytes of the body.
        bytes: usize,
        /// The limit in bytes.
        limit: u32,
    },
    /// A position that the journal does not have.
    #[error("position {asked} is outside the journal, which holds {first} to {last}")]
    Outside {
        /// The position asked for.
        asked: u64,
        /// The first position held.
        first: u64,
        /// The last position held.
        last: u64,
    },
}

impl JournalError {
    /// From what the system said.
    pub(crate) fn io(doing: &'static str, file: &Path, source: io::Error) -> JournalError {
        let file = file.to_owned();
        if crate::disk::is_full(&source) {
            return JournalError::Full { doing, file, source: Arc::new(source) };
        }
        JournalError::Io { doing, file, source: Arc::new(source) }
    }

    /// Whether the disk is full, now or when the journal was poisoned.
    pub fn is_full(&self) -> bool {
        match self {
            JournalError::Full { .. } => true,
            JournalError::Poisoned(reason) => reason.is_full(),
            _ => false,
        }
    }
}
