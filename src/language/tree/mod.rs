//! The syntax tree: what a plan says, as plain data, with the place of every word.
//!
//! Nothing here is checked beyond its shape: names may be unknown and types may not fit. Two trees
//! are equal when they say the same thing; where they say it does not count (see [`Span`]).

mod definitions;
mod expressions;
mod inputs;
mod outputs;
mod patterns;
mod queries;

pub use definitions::AggregationDefinition;
pub use definitions::AggregationPeriods;
pub use definitions::Annotation;
pub use definitions::AnnotationElement;
pub use definitions::Attribute;
pub use definitions::Definition;
pub use definitions::FunctionDefinition;
pub use definitions::Period;
pub use definitions::PropertyKey;
pub use definitions::Script;
pub use definitions::StreamDefinition;
pub use definitions::TableDefinition;
pub use definitions::TriggerDefinition;
pub use definitions::TriggerTime;
pub use definitions::TypeKind;
pub use definitions::TypeName;
pub use definitions::WindowDefinition;
pub use expressions::Arguments;
pub use expressions::AttributeReference;
pub use expressions::BinaryOperator;
pub use expressions::Call;
pub use expressions::EventIndex;
pub use expressions::EventIndexKind;
pub use expressions::EventReference;
pub use expressions::Expression;
pub use expressions::ExpressionKind;
pub use expressions::Literal;
pub use expressions::TimeLiteral;
pub use expressions::TimePart;
pub use expressions::TimeUnit;
pub use inputs::AggregationRange;
pub use inputs::Handler;
pub use inputs::HandlerKind;
pub use inputs::Input;
pub use inputs::JoinInput;
pub use inputs::JoinKind;
pub use inputs::JoinSide;
pub use inputs::SingleInput;
pub use outputs::Assignment;
pub use outputs::EventKind;
pub use outputs::Output;
pub use outputs::OutputKind;
pub use outputs::OutputRate;
pub use outputs::RateKind;
pub use outputs::RateTrigger;
pub use patterns::Count;
pub use patterns::LogicalOperator;
pub use patterns::StateElement;
pub use patterns::StateElementKind;
pub use patterns::StateInput;
pub use patterns::StateInputKind;
pub use patterns::StateStream;
pub use queries::Element;
pub use queries::OnDemandKind;
pub use queries::OnDemandQuery;
pub use queries::Order;
pub use queries::OrderBy;
pub use queries::Partition;
pub use queries::PartitionKey;
pub use queries::PartitionKeyKind;
pub use queries::Query;
pub use queries::RangeCondition;
pub use queries::SelectItem;
pub use queries::SelectItems;
pub use queries::Selection;

/// A stretch of the source text, in bytes: `start` is its first byte, `end` the one after its last.
///
/// Any two spans are equal, so that trees compare by what they say. Compare `start` and `end`
/// where the place matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset of the byte after the last one.
    pub end: usize,
}

impl Span {
    /// The stretch from `start` up to, not including, `end`.
    pub fn new(start: usize, end: usize) -> Span {
        debug_assert!(start <= end, "a span ends before it starts");
        Span { start, end }
    }

    /// The empty stretch at an offset: where something is missing.
    pub fn at(offset: usize) -> Span {
        Span { start: offset, end: offset }
    }

    /// The smallest stretch that holds both.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// How many bytes it covers.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether it covers no byte at all.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `other` lies in it, borders included.
    pub fn contains(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

impl PartialEq for Span {
    fn eq(&self, _: &Span) -> bool {
        true
    }
}

impl Eq for Span {}

/// A whole plan: annotations of the plan, then definitions, then queries and partitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// `@app:name('x')` and its like (also `@Plan:name`), in order of appearance.
    pub annotations: Vec<Annotation>,
    /// Streams, tables, windows, triggers, aggregations and functions, in order.
    pub definitions: Vec<Definition>,
    /// Queries and partitions, in order.
    pub elements: Vec<Element>,
    /// The whole text.
    pub span: Span,
}

/// A name as written, without its back-quotes. Names are equal when their texts are.
#[derive(Clone, Debug)]
pub struct Identifier {
    /// The name itself; case matters.
    pub text: String,
    /// Whether it stood in back-quotes.
    pub quoted: bool,
    /// Where it stands, back-quotes included.
    pub span: Span,
}

impl PartialEq for Identifier {
    fn eq(&self, other: &Identifier) -> bool {
        self.text == other.text
    }
}

impl Eq for Identifier {}

/// A string constant, without its quotes.
#[derive(Clone, Debug, PartialEq)]
pub struct StringLiteral {
    /// The characters between the quotes, exactly; the language has no escapes.
    pub value: String,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// What stands before the name of a source or target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourcePrefix {
    /// `S`: a stream, table, window, trigger or aggregation.
    #[default]
    None,
    /// `#S`: a stream inside a partition.
    Inner,
    /// `!S`: the fault stream of `S`.
    Fault,
}

/// The name of something that events come from or go to: `S`, `#S` or `!S`.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceName {
    /// Inner stream, fault stream or neither.
    pub prefix: SourcePrefix,
    /// The name after the prefix.
    pub name: Identifier,
    /// Prefix and name.
    pub span: Span,
}
