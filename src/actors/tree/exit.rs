//! How an actor ended; its supervisor decides by this value alone.

use std::fmt;

/// The end of one life of an actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Its work is finished; there is nothing to restart.
    Done,
    /// It was told to stop.
    Asked,
    /// It could not go on.
    Failed {
        /// What went wrong, for people.
        reason: String,
        /// Whether another try may help.
        transient: bool,
    },
    /// Its code panicked.
    Panicked {
        /// The message and the place of the panic.
        note: String,
    },
}

impl Exit {
    /// A failure that another try may cure.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), transient: true }
    }

    /// A failure that another try would only repeat.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), transient: false }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("finished"),
            Self::Asked => f.write_str("asked to stop"),
            Self::Failed { reason, .. } => write!(f, "failed: {reason}"),
            Self::Panicked { note } => write!(f, "panicked: {note}"),
        }
    }
}
