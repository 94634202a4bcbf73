//! What can go wrong with a store, told apart by what may be done about it.

use std::fmt;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What may be done about it.
    pub kind: Kind,
    /// What happened, for people: which store, and what it said.
    pub message: String,
}

/// What may be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The connection is gone or was never made: try again later, with another session. Of a
    /// commit nobody knows whether it was done.
    Lost,
    /// The connection is good, but others were in the way: try the transaction again.
    Busy,
    /// It took longer than it may.
    Slow,
    /// Somebody ended it.
    Stopped,
    /// A row with this key is there already.
    Conflict,
    /// The store will never do this: bad SQL, no permission, a value that does not fit.
    Refused,
    /// The writer's place is taken by one of a later epoch: this node must not write any more.
    Deposed,
    /// What is in the store was written by a newer build, or is not ours.
    Broken,
}

impl Kind {
    /// The word for it in figures.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Lost => "lost",
            Kind::Busy => "busy",
            Kind::Slow => "slow",
            Kind::Stopped => "stopped",
            Kind::Conflict => "conflict",
            Kind::Refused => "refused",
            Kind::Deposed => "deposed",
            Kind::Broken => "broken",
        }
    }
}

impl StoreError {
    /// An error of this kind.
    pub fn new(kind: Kind, message: impl fmt::Display) -> StoreError {
        StoreError { kind, message: message.to_string() }
    }

    /// Something that the store will never do.
    pub fn refused(message: impl fmt::Display) -> StoreError {
        StoreError::new(Kind::Refused, message)
    }

    /// Whether the same may go well another time.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self.kind, Kind::Lost | Kind::Busy | Kind::Slow)
    }

    /// The same, saying which store it is about.
    pub(super) fn of(self, store: &str) -> StoreError {
        StoreError { message: format!("store `{store}`: {}", self.message), ..self }
    }
}
