//! Aggregations as plain data: what is kept of the rows of each bucket, and how it is read.

use crate::event::DataType;
use crate::event::Millis;
use crate::event::Schema;
use crate::event::Text;
use crate::language::tree::Span;
use crate::plan::calendar::Period;
use crate::plan::expression::Expr;
use crate::plan::logical::QueryId;
use crate::plan::zone::Zone;

/// The name of the attribute that holds the start of a bucket.
pub const BUCKET: &str = "AGG_TIMESTAMP";

/// `define aggregation`.
///
/// The rows come from a query of the plan's own, whose outputs are the time (unless it is that of
/// arrival), the group keys, and what the running values take in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aggregation {
    /// Name.
    pub name: Text,
    /// The query that makes the rows it takes.
    pub query: QueryId,
    /// What puts a row into its bucket.
    pub clock: Clock,
    /// Types of the group keys.
    pub groups: Vec<DataType>,
    /// What is kept for each bucket and group.
    pub running: Vec<Running>,
    /// Its attributes behind the start of the bucket.
    pub outputs: Vec<Shown>,
    /// Names and types of its attributes, the start of the bucket first.
    pub schema: Schema,
    /// The lengths of its buckets, the shortest first.
    pub periods: Vec<Period>,
    /// The clocks by which its buckets begin.
    pub zone: Zone,
    /// When buckets leave; `None`: never.
    pub purge: Option<Discard>,
    /// Where it is defined.
    pub span: Span,
}

/// What puts a row into its bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// The engine's clock when it arrives.
    #[default]
    Arrival,
    /// The first column of the rows taken, a long.
    Long,
    /// The first column of the rows taken, a date as text.
    Text,
}

/// A running value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// What it is.
    pub kind: RunningKind,
    /// The column of the rows taken that it takes in; counts need none.
    pub input: Option<usize>,
    /// The type of what it takes in, and of the value but for counts.
    pub ty: DataType,
}

/// The kinds of running value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningKind {
    /// The sum; nulls are passed over.
    Sum,
    /// How many rows.
    Count,
    /// The least; nulls are passed over.
    Least,
    /// The greatest; nulls are passed over.
    Greatest,
    /// How many different values, null among them.
    Distinct,
    /// The value of the latest row, of equally late ones the last to come.
    Latest,
}

/// What an attribute shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A group key.
    Group(usize),
    /// A running value.
    Running(usize),
    /// One running value divided by another; whole numbers truncate.
    Mean {
        /// The sum.
        sum: usize,
        /// The count.
        count: usize,
    },
}

/// `@purge` of an aggregation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discard {
    /// How often old buckets are looked for.
    pub interval: Millis,
    /// For each of its periods how old a bucket may become; `None`: as old as it likes.
    pub retention: Vec<Option<Millis>>,
}

/// `within .. per ..`: which buckets are read. The expressions stand over the row that asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// The first moment; a text with stars where no end is given.
    pub start: Expr,
    /// The moment after the last.
    pub end: Option<Expr>,
    /// The name of the period.
    pub per: Expr,
}

impl Buckets {
    /// Its expressions.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        [&self.start, &self.per].into_iter().chain(&self.end)
    }
}

impl Clock {
    /// How many columns of the rows taken stand before the group keys.
    pub fn columns(self) -> usize {
        match self {
            Clock::Arrival => 0,
            Clock::Long | Clock::Text => 1,
        }
    }
}
