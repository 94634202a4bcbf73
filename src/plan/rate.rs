//! The output rate of a checked query.

use crate::event::Millis;

/// `output … every …`: which of the rows selected in a turn leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Which of them.
    pub kind: RateKind,
    /// How long a turn lasts.
    pub turn: RateTurn,
}

/// Which rows leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateKind {
    /// All, when the turn ends.
    All,
    /// The first one, of each group if there are groups, at once.
    First,
    /// The last one, of each group if there are groups, when the turn ends.
    Last,
    /// What is present when the turn ends, a time.
    Snapshot,
}

/// How long a turn lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateTurn {
    /// So many rows, at least one.
    Events(u64),
    /// So many milliseconds, at least one.
    Time(Millis),
}
