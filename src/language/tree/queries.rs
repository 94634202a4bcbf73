//! Nodes of queries, partitions, selections and on-demand queries.

use super::AggregationRange;
use super::Annotation;
use super::Assignment;
use super::AttributeReference;
use super::Expression;
use super::Identifier;
use super::Input;
use super::Output;
use super::OutputRate;
use super::SourceName;
use super::Span;
use super::StringLiteral;

/// What may stand after the definitions.
#[expect(clippy::large_enum_variant, reason = "few of them; they read better without boxes")]
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// A query.
    Query(Query),
    /// A partition with its queries.
    Partition(Partition),
}

impl Element {
    /// All of it, annotations included.
    pub fn span(&self) -> Span {
        match self {
            Element::Query(query) => query.span,
            Element::Partition(partition) => partition.span,
        }
    }
}

/// `from .. select .. output .. insert into ..`.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Annotations before it, such as `@info(name='q')`.
    pub annotations: Vec<Annotation>,
    /// What it reads.
    pub input: Input,
    /// What it computes; all attributes if not said.
    pub selection: Option<Selection>,
    /// How often results leave; at once if not said.
    pub rate: Option<OutputRate>,
    /// Where they go.
    pub output: Output,
    /// All of it, annotations included.
    pub span: Span,
}

/// `select .. group by .. having .. order by .. limit .. offset ..`.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// What is computed.
    pub items: SelectItems,
    /// The attributes that make a group; empty without `group by`.
    pub group_by: Vec<AttributeReference>,
    /// Which results stay.
    pub having: Option<Expression>,
    /// How they are ordered; empty without `order by`.
    pub order_by: Vec<OrderBy>,
    /// At most so many.
    pub limit: Option<Expression>,
    /// Without the first so many.
    pub offset: Option<Expression>,
    /// All of it, from `select`.
    pub span: Span,
}

/// What stands after `select`.
#[derive(Clone, Debug, PartialEq)]
pub enum SelectItems {
    /// `*`: all attributes.
    All,
    /// Some, at least one.
    List(Vec<SelectItem>),
}

/// One output attribute: `price * 2 as double_price`.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectItem {
    /// Its value.
    pub expression: Expression,
    /// Its name; a plain attribute goes by its own if not said.
    pub name: Option<Identifier>,
    /// All of it.
    pub span: Span,
}

/// One attribute of an `order by`.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderBy {
    /// The attribute.
    pub attribute: AttributeReference,
    /// The direction; ascending if not said.
    pub order: Order,
    /// Both.
    pub span: Span,
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// From the least to the greatest.
    #[default]
    Ascending,
    /// From the greatest to the least.
    Descending,
}

/// `partition with (..) begin .. end`.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    /// Annotations before it, such as `@purge(..)`.
    pub annotations: Vec<Annotation>,
    /// How the streams are divided, at least one.
    pub keys: Vec<PartitionKey>,
    /// The queries inside, at least one.
    pub queries: Vec<Query>,
    /// All of it, annotations included.
    pub span: Span,
}

/// How one stream is divided: `symbol of Trades`.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionKey {
    /// What decides.
    pub kind: PartitionKeyKind,
    /// The stream.
    pub stream: Identifier,
    /// All of it.
    pub span: Span,
}

/// What decides to which part an event belongs.
#[derive(Clone, Debug, PartialEq)]
pub enum PartitionKeyKind {
    /// The value of an expression.
    Value(Expression),
    /// Conditions, each with a label: `price < 10 as 'low' or price >= 10 as 'high'`.
    Ranges(Vec<RangeCondition>),
}

/// One labelled condition of a range partition.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeCondition {
    /// Which events.
    pub condition: Expression,
    /// The key they get.
    pub label: StringLiteral,
    /// Both.
    pub span: Span,
}

/// A query asked once, of a table, window or aggregation of a running plan.
#[derive(Clone, Debug, PartialEq)]
pub struct OnDemandQuery {
    /// What it does.
    pub kind: OnDemandKind,
    /// What it computes; required by some kinds and optional in others.
    pub selection: Option<Selection>,
    /// All of it.
    pub span: Span,
}

/// The things that an on-demand query can do.
#[expect(clippy::large_enum_variant, reason = "few of them; they read better without boxes")]
#[derive(Clone, Debug, PartialEq)]
pub enum OnDemandKind {
    /// `from T as t on .. within .. per .. select ..`.
    Find {
        /// The table, window or aggregation.
        source: Identifier,
        /// `as t`.
        alias: Option<Identifier>,
        /// Which rows; all if not said.
        on: Option<Expression>,
        /// `within .. per ..`, for aggregations.
        range: Option<AggregationRange>,
    },
    /// `select .. insert into T`.
    Insert {
        /// The table.
        target: SourceName,
    },
    /// `delete T on ..`.
    Delete {
        /// The table.
        target: SourceName,
        /// Which rows; all if not said.
        on: Option<Expression>,
    },
    /// `update T set .. on ..`.
    Update {
        /// The table.
        target: SourceName,
        /// What is set; empty when attributes of the same name are overwritten.
        set: Vec<Assignment>,
        /// Which rows.
        on: Expression,
    },
    /// `select .. update or insert into T set .. on ..`.
    UpdateOrInsert {
        /// The table.
        target: SourceName,
        /// What is set; empty when attributes of the same name are overwritten.
        set: Vec<Assignment>,
        /// Which rows.
        on: Expression,
    },
}
