//! Nodes of what leaves a query: how often, which events and where to.

use super::AttributeReference;
use super::Expression;
use super::SourceName;
use super::Span;
use super::TimeLiteral;

/// What a query does with its results.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// What is done.
    pub kind: OutputKind,
    /// Which events it is done with; the default depends on the query.
    pub events: Option<EventKind>,
    /// All of it.
    pub span: Span,
}

impl Output {
    /// Where the results go; `return` has no target.
    pub fn target(&self) -> Option<&SourceName> {
        match &self.kind {
            OutputKind::Insert { target }
            | OutputKind::Delete { target, .. }
            | OutputKind::Update { target, .. }
            | OutputKind::UpdateOrInsert { target, .. } => Some(target),
            OutputKind::Return => None,
        }
    }
}

/// The things that can be done with results.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputKind {
    /// `insert into X`.
    Insert {
        /// A stream, inner stream, fault stream, table or window.
        target: SourceName,
    },
    /// `delete T on condition`.
    Delete {
        /// The table.
        target: SourceName,
        /// Which rows; all if not said.
        on: Option<Expression>,
    },
    /// `update T set .. on condition`.
    Update {
        /// The table.
        target: SourceName,
        /// What is set; empty when attributes of the same name are overwritten.
        set: Vec<Assignment>,
        /// Which rows.
        on: Expression,
    },
    /// `update or insert into T set .. on condition`.
    UpdateOrInsert {
        /// The table.
        target: SourceName,
        /// What is set; empty when attributes of the same name are overwritten.
        set: Vec<Assignment>,
        /// Which rows.
        on: Expression,
    },
    /// `return`: to whoever listens to the query.
    Return,
}

/// Which events of a query or window are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Those that arrive.
    Current,
    /// Those that leave a window.
    Expired,
    /// Both.
    All,
}

/// `T.a = value` in a `set`.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The attribute of the table.
    pub attribute: AttributeReference,
    /// Its new value.
    pub value: Expression,
    /// All of it.
    pub span: Span,
}

/// `output last every 5 events`: how often results leave.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputRate {
    /// Which of the results held back leave.
    pub kind: RateKind,
    /// What makes them leave.
    pub every: RateTrigger,
    /// All of it.
    pub span: Span,
}

/// Which results leave at the end of each turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateKind {
    /// All of them; the default.
    All,
    /// The first.
    First,
    /// The last.
    Last,
    /// What is present in the window, only with a time.
    Snapshot,
}

/// What ends a turn of an output rate.
#[derive(Clone, Debug, PartialEq)]
pub enum RateTrigger {
    /// So many events.
    Events(i32),
    /// So much time.
    Time(TimeLiteral),
}
