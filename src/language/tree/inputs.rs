//! Nodes of what stands after `from`: single sources, joins and what leads to patterns.

use super::Call;
use super::Expression;
use super::Identifier;
use super::Query;
use super::SourceName;
use super::Span;
use super::StateInput;

/// What a query reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// One source with its handlers.
    Stream(SingleInput),
    /// Two sources joined.
    Join(Box<JoinInput>),
    /// A pattern (`->`) or a sequence (`,`).
    State(StateInput),
    /// `(from .. select .. return ..)`: a query in place of a source.
    Anonymous(Box<Query>),
}

impl Input {
    /// All of it.
    pub fn span(&self) -> Span {
        match self {
            Input::Stream(input) => input.span,
            Input::Join(input) => input.span,
            Input::State(input) => input.span,
            Input::Anonymous(query) => query.span,
        }
    }
}

/// One source with what its events pass before the query sees them.
#[derive(Clone, Debug, PartialEq)]
pub struct SingleInput {
    /// Where the events come from.
    pub source: SourceName,
    /// Filters, functions and at most one window, in the order in which events pass them.
    pub handlers: Vec<Handler>,
    /// `as a`; only sides of a join have one.
    pub alias: Option<Identifier>,
    /// All of it.
    pub span: Span,
}

impl SingleInput {
    /// The window among its handlers.
    pub fn window(&self) -> Option<&Call> {
        self.handlers.iter().find_map(|handler| match &handler.kind {
            HandlerKind::Window(call) => Some(call),
            HandlerKind::Filter(_) | HandlerKind::Function(_) => None,
        })
    }
}

/// Something that events pass on their way into a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Handler {
    /// What it does.
    pub kind: HandlerKind,
    /// All of it, from `[` or `#`.
    pub span: Span,
}

/// The kinds of handler.
#[derive(Clone, Debug, PartialEq)]
pub enum HandlerKind {
    /// `[condition]` or `#[condition]`.
    Filter(Expression),
    /// `#name(..)` or `#ns:name(..)`.
    Function(Call),
    /// `#window.name(..)`.
    Window(Call),
}

/// Two sources joined.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinInput {
    /// The side named first.
    pub left: JoinSide,
    /// Which rows without a match are kept.
    pub kind: JoinKind,
    /// The side named second.
    pub right: JoinSide,
    /// The condition; every pair matches if there is none.
    pub on: Option<Expression>,
    /// `within .. per ..`, for a join with an aggregation.
    pub range: Option<AggregationRange>,
    /// All of it.
    pub span: Span,
}

/// One side of a join.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinSide {
    /// The source.
    pub input: SingleInput,
    /// Whether only this side's events make the join look for matches.
    pub unidirectional: bool,
    /// Source and `unidirectional`.
    pub span: Span,
}

/// Which rows without a match a join keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// None: `join`, `inner join`.
    Inner,
    /// Those of the left side: `left outer join`.
    LeftOuter,
    /// Those of the right side: `right outer join`.
    RightOuter,
    /// Those of both: `full outer join`, `outer join`.
    FullOuter,
}

/// `within start, end per 'days'`: which buckets of an aggregation are read.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregationRange {
    /// The first moment, or a text with stars such as `'2024-01-** **:**:**'` when alone.
    pub start: Expression,
    /// The moment after the last.
    pub end: Option<Expression>,
    /// The length of the buckets.
    pub per: Expression,
    /// All of it.
    pub span: Span,
}
