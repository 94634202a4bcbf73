//! Nodes of patterns and sequences.

use super::Identifier;
use super::SingleInput;
use super::Span;
use super::TimeLiteral;

/// A pattern or a sequence as a query's input.
#[derive(Clone, Debug, PartialEq)]
pub struct StateInput {
    /// Whether other events may lie between.
    pub kind: StateInputKind,
    /// What is looked for.
    pub root: StateElement,
    /// The longest time from the first event to the last.
    pub within: Option<TimeLiteral>,
    /// All of it.
    pub span: Span,
}

/// Whether other events may lie between those that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateInputKind {
    /// `A -> B`: they may.
    Pattern,
    /// `A, B`: they may not.
    Sequence,
}

/// A part of a pattern or sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct StateElement {
    /// What it is.
    pub kind: StateElementKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of parts.
#[derive(Clone, Debug, PartialEq)]
pub enum StateElementKind {
    /// One event: `e1=S[f]`.
    Stream(StateStream),
    /// Several events: `e1=S<2:5>`, or in sequences `e1=S*`, `e1=S+`, `e1=S?`.
    Count {
        /// The events.
        stream: StateStream,
        /// How many of them.
        count: Count,
    },
    /// `A and B` or `A or B`; both sides are [`StateElementKind::Stream`] or
    /// [`StateElementKind::Absent`].
    Logical {
        /// The side named first.
        left: Box<StateElement>,
        /// Whether both are needed.
        operator: LogicalOperator,
        /// The side named second.
        right: Box<StateElement>,
    },
    /// `not S[f] for 5 sec`; without `for` only inside `and`.
    Absent {
        /// What must not come; has no reference.
        input: SingleInput,
        /// For how long.
        duration: Option<TimeLiteral>,
    },
    /// `every X` or `every (X -> Y)`.
    Every(Box<StateElement>),
    /// One after another, at least two; a bracketed chain inside a chain is a chain of its own.
    Chain(Vec<StateElement>),
}

/// One stream of a pattern: `e1=S[f]`.
#[derive(Clone, Debug, PartialEq)]
pub struct StateStream {
    /// The name by which other parts refer to its events.
    pub reference: Option<Identifier>,
    /// The stream with its filters and functions.
    pub input: SingleInput,
    /// All of it.
    pub span: Span,
}

/// How many events a counting part takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// At least so many; 0 if not said.
    pub min: u32,
    /// At most so many; without bound if not said.
    pub max: Option<u32>,
    /// Where it stands.
    pub span: Span,
}

/// How the two sides of a logical part belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicalOperator {
    /// Both, in any order.
    And,
    /// Either.
    Or,
}
