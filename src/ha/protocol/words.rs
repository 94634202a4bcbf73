//! The numbers of the protocol, each with a type of its own so that none is taken for another.

use serde::Deserialize;
use serde::Serialize;
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }
    };
}

number! {
    /// One start of an active; every entry carries the epoch it was appended in. 0: before the
    /// first.
    Epoch(u64)
}
number! {
    /// The place of an entry in its plan's log, counted from 1. 0: before the first.
    Position(u64)
}
number! {
    /// One life of a node's process. Later lives of a node have greater numbers, also after its
    /// disk was wiped.
    Incarnation(u64)
}
number! {
    /// Counts the writes of the arbiter's record.
    Version(u64)
}
number! {
    /// A moment of this node's own clock that counts while the machine sleeps (`CLOCK_BOOTTIME`),
    /// in milliseconds. Moments of two nodes cannot be compared.
    Moment(u64)
}
number! {
    /// The log of a plan, by a number that is never given to another plan.
    Plan(u32)
}
number! {
    /// Tells the answer of the arbiter to which question it belongs.
    RequestId(u64)
}
number! {
    /// Random, drawn when the arbiter's store was made: a restored or foreign store has another.
    ArbiterId(u128)
}

impl Epoch {
    /// The next one.
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl Position {
    /// The next one.
    pub fn next(self) -> Position {
        Position(self.0 + 1)
    }
}

impl Version {
    /// The next one.
    pub fn next(self) -> Version {
        Version(self.0 + 1)
    }
}

impl Moment {
    /// This many milliseconds later.
    pub fn plus(self, milliseconds: u64) -> Moment {
        Moment(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds since an earlier moment; 0 if it is not earlier.
    pub fn since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One of the two nodes of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NodeId {
    /// The first in the settings of both.
    A,
    /// The second.
    B,
}

impl NodeId {
    /// The other node of the pair.
    pub fn other(self) -> NodeId {
        match self {
            NodeId::A => NodeId::B,
            NodeId::B => NodeId::A,
        }
    }

    /// 0 or 1.
    pub fn index(self) -> usize {
        match self {
            NodeId::A => 0,
            NodeId::B => 1,
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeId::A => "A".fmt(out),
            NodeId::B => "B".fmt(out),
        }
    }
}

/// Names a history without a break. A forced promotion of a node that may lack entries begins a
/// new one; part of every result's id. A label and not a count: two that were forced apart differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation {
    /// The epoch it began in.
    pub epoch: Epoch,
    /// The node that began it.
    pub node: NodeId,
    /// That node's life.
    pub incarnation: Incarnation,
}

impl fmt::Display for Generation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}-{}", self.epoch, self.node, self.incarnation)
    }
}
