//! The checked plan as plain data: every name is a number, every expression is typed.
//!
//! Ids are positions in the vectors of [`Plan`]. What the engine needs to run a plan is here and
//! nowhere else; what only people need (spans, comments) stays in the tree, except for the few
//! spans by which later faults find their place.

pub use crate::plan::rate::Rate;
pub use crate::plan::rate::RateKind;
pub use crate::plan::rate::RateTurn;
pub use crate::plan::stores::Role;
pub use crate::plan::stores::WayOut;

use crate::event::DataType;
use crate::event::Millis;
use crate::event::Schema;
use crate::event::Text;
use crate::language::tree::Span;
use crate::plan::aggregation::Aggregation;
use crate::plan::aggregation::Buckets;
use crate::plan::expression::Expr;
use crate::plan::expression::ScriptFunction;
use crate::plan::pattern::Pattern;
use crate::plan::watermark::Watermark;
use std::sync::Arc;

/// Position in [`Plan::streams`].
pub type StreamId = usize;
/// Position in [`Plan::tables`].
pub type TableId = usize;
/// Position in [`Plan::windows`].
pub type WindowId = usize;
/// Position in [`Plan::aggregations`].
pub type AggregationId = usize;
/// Position in [`Plan::queries`].
pub type QueryId = usize;
/// Position in [`Plan::partitions`].
pub type PartitionId = usize;

/// A checked plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// From `@app:name` or `@Plan:name`; empty if the plan does not say.
    pub name: String,
    /// From `@app:description`.
    pub description: String,
    /// Set by `@app:playback`: the events' own time moves the clock.
    pub playback: Option<Playback>,
    /// Defined, implicit, inner, fault and trigger streams.
    pub streams: Vec<Stream>,
    /// Tables.
    pub tables: Vec<Table>,
    /// Named windows.
    pub windows: Vec<NamedWindow>,
    /// Aggregations, each with the query that feeds it.
    pub aggregations: Vec<Aggregation>,
    /// Triggers, each with its stream.
    pub triggers: Vec<Trigger>,
    /// Partitions.
    pub partitions: Vec<Partition>,
    /// Functions that the plan defines.
    pub functions: Vec<Arc<ScriptFunction>>,
    /// Queries in order of text, those inside of partitions among them; then those that feed
    /// aggregations.
    pub queries: Vec<Query>,
}

/// `@app:playback`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Playback {
    /// After this much wall time without events the clock moves on by the second figure.
    pub idle: Option<(Millis, Millis)>,
}

/// A stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Name without `#` or `!`.
    pub name: Text,
    /// Its attributes.
    pub schema: Schema,
    /// Where it comes from.
    pub origin: Origin,
    /// `@source`s.
    pub sources: Vec<Endpoint>,
    /// `@sink`s.
    pub sinks: Vec<Endpoint>,
    /// `@store`: where its rows are kept, too.
    pub store: Option<Endpoint>,
    /// `@OnError`: the fault stream that takes rows which failed, if the plan wants that.
    pub fault: Option<StreamId>,
    /// `@OnError(action='STORE')`: what comes to the fault stream is kept as dead letters, too.
    pub keeps_faults: bool,
    /// `@watermark`: rows from outside are put in order of their event time.
    pub watermark: Option<Watermark>,
    /// Whether rows from outside (and of triggers) run through the plan one by one, since a whole
    /// batch could be seen in the results. What queries put into it belongs to the row at hand.
    pub row_by_row: bool,
    /// Queries that take its rows in batches all the same: what they do meets nothing that the
    /// other readers of the stream do.
    pub apart: Vec<QueryId>,
    /// Where it is defined, or first named.
    pub span: Span,
}

impl Stream {
    /// Its name for people: fault streams and inner ones are marked.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.origin {
            Origin::Fault(_) => format!("!{}", self.name),
            Origin::Inner(_) => format!("#{}", self.name),
            Origin::Changes(_) | Origin::Errands(_) => format!("store:{}", self.name),
            Origin::Defined | Origin::Implicit | Origin::Trigger => self.name.to_string(),
        }
    }

    /// All that takes its rows out of the plan.
    pub fn ways_out(&self) -> impl Iterator<Item = WayOut<'_>> {
        let sinks = self.sinks.iter().zip(1..).map(|(endpoint, number)| {
            let name = format!("publisher:{}:{number}", self.name).into();
            WayOut { name, endpoint, role: Role::Sink }
        });
        let role = match self.origin {
            Origin::Changes(_) => Role::Changes,
            Origin::Errands(_) => Role::Errands,
            _ => Role::Events,
        };
        let store = self.store.iter().map(move |endpoint| WayOut {
            name: format!("store:{}", self.name).into(),
            endpoint,
            role,
        });
        sinks.chain(store)
    }
}

/// Where a stream comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `define stream`.
    Defined,
    /// Defined by the first query that inserts into it.
    Implicit,
    /// `#name`: one a key of a partition.
    Inner(PartitionId),
    /// `!name`: rows of another stream that failed, with `_error`.
    Fault(StreamId),
    /// `define trigger`.
    Trigger,
    /// The changes of a table that is kept in a store; no query reads them.
    Changes(TableId),
    /// The errands of an external table; no query reads them.
    Errands(TableId),
}

/// A `@source`, `@sink` or `@store` with its mapping, as written; the receivers and publishers know
/// what the options mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// The option `type`.
    pub kind: String,
    /// All other options.
    pub options: Vec<EndpointOption>,
    /// `@map`; `None` if it is left out.
    pub map: Option<Mapping>,
    /// Where it stands.
    pub span: Span,
}

/// `@map(type='…', …, @attributes(…), @payload(…))`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// The option `type`.
    pub kind: String,
    /// All other options.
    pub options: Vec<EndpointOption>,
    /// `@attributes`: key empty where given by position.
    pub attributes: Vec<EndpointOption>,
    /// `@payload`: key empty where given by position.
    pub payload: Vec<EndpointOption>,
    /// Where it stands.
    pub span: Span,
}

/// `key='value'`.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointOption {
    /// The key, dots included.
    pub key: String,
    /// The value without quotes.
    pub value: String,
    /// Where it stands.
    pub span: Span,
}

/// An in-memory table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Name.
    pub name: Text,
    /// Columns.
    pub schema: Schema,
    /// Columns of `@primaryKey`; empty if there is none.
    pub primary_key: Vec<usize>,
    /// Columns of `@index`.
    pub indexes: Vec<usize>,
    /// Where it is kept in a store: the stream of its changes, or of its errands if it is external.
    pub changes: Option<StreamId>,
    /// Whether its rows are in its store alone.
    pub is_external: bool,
    /// Where it is defined.
    pub span: Span,
}

/// `define window`.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedWindow {
    /// Name.
    pub name: Text,
    /// Columns.
    pub schema: Schema,
    /// The window behind the name.
    pub call: WindowCall,
    /// What readers get.
    pub output: OutputEvents,
    /// Where it is defined.
    pub span: Span,
}

/// `define trigger`.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// The stream of the trigger's name.
    pub stream: StreamId,
    /// When it fires.
    pub when: TriggerTime,
    /// Where it is defined.
    pub span: Span,
}

/// When a trigger fires.
#[derive(Clone, Debug, PartialEq)]
pub enum TriggerTime {
    /// Once, when the plan starts.
    Start,
    /// Each time this many milliseconds have passed, first after the first period.
    Every(Millis),
    /// By a Quartz cron expression, in UTC.
    Cron(String),
}

/// `partition with (…) begin … end`; its queries name it.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    /// From `@info(name='…')`; may be empty.
    pub name: Text,
    /// The streams that are divided, and by what.
    pub keys: Vec<PartitionKey>,
    /// `@purge`.
    pub purge: Option<Purge>,
    /// Where it stands.
    pub span: Span,
}

/// How a partition divides one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionKey {
    /// The stream.
    pub stream: StreamId,
    /// What gives a row its keys.
    pub by: KeyBy,
}

/// What gives a row its partition keys.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyBy {
    /// The value of an expression; rows where it is null are dropped.
    Value(Expr),
    /// Every condition that holds gives the row to the key of its label.
    Ranges(Vec<(Expr, Text)>),
}

/// `@purge` on a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purge {
    /// How often idle keys are looked for.
    pub interval: Millis,
    /// Keys without a row for this long lose their state.
    pub idle: Millis,
}

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// From `@info(name='…')`, else `query_<n>` counted from 1 through the plan.
    pub name: Text,
    /// Where rows come from, and the steps they take before the selection. One port; a join of two
    /// streams has two.
    pub ports: Vec<Port>,
    /// The pattern or sequence that the rows of all ports go through, if there is one; each port is
    /// a stream of its own then.
    pub pattern: Option<Box<Pattern>>,
    /// What is selected.
    pub selection: Selection,
    /// Where it goes.
    pub output: Output,
    /// Which rows leave.
    pub events: OutputEvents,
    /// How often they leave; `None`: at once.
    pub rate: Option<Rate>,
    /// The partition the query stands in.
    pub partition: Option<PartitionId>,
    /// Where it stands.
    pub span: Span,
}

/// One way into a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Where the rows come from.
    pub source: Source,
    /// The steps they take, in order.
    pub stages: Vec<Stage>,
    /// Whether rows only stay in the port's window for the other port to find them, and set nothing
    /// off themselves.
    pub is_silent: bool,
}

/// What a query can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A stream.
    Stream(StreamId),
    /// A named window; what it puts out.
    Window(WindowId),
}

/// A step before the selection. Each stands over the columns that the step before leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// `[condition]`.
    Filter(Expr),
    /// `#window.name(…)`.
    Window(WindowCall),
    /// `#name(…)`: may add columns.
    Function(FunctionCall),
    /// Join of the rows with those of something else, found at that moment.
    Lookup(Lookup),
}

impl Stage {
    /// Whether rows stay in it.
    pub fn holds_rows(&self) -> bool {
        match self {
            Stage::Window(_) => true,
            Stage::Function(call) => call.holds,
            Stage::Filter(_) | Stage::Lookup(_) => false,
        }
    }
}

/// A window and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowCall {
    /// Name with namespace, as in `length` or `unique:length`.
    pub name: String,
    /// Arguments over the columns before the window.
    pub arguments: Vec<Expr>,
    /// Types of the columns before (and after) the window.
    pub types: Vec<DataType>,
    /// Names of the columns, for windows whose arguments hold expressions as text.
    pub names: Vec<Text>,
    /// The condition that `expression` and `expressionBatch` hold as constant text, checked. Where
    /// the text is an attribute, `check_predicate` reads each of its values.
    pub predicate: Option<Predicate>,
    /// Where it stands.
    pub span: Span,
}

/// A condition on the rows that a window holds.
///
/// It stands over the columns of the newest row, one column an aggregate, the columns of the first
/// row held, those of the last row held, and the times of the first and of the last row.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate {
    /// Aggregates over all rows held, in order of text; their arguments stand over a row's columns.
    pub aggregates: Vec<AggregateCall>,
    /// The condition.
    pub condition: Expr,
}

/// A stream function and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionCall {
    /// Name with namespace.
    pub name: String,
    /// Arguments over the columns before the step.
    pub arguments: Vec<Expr>,
    /// Types of the columns before the step.
    pub types: Vec<DataType>,
    /// Columns that the step appends.
    pub added: Schema,
    /// Whether the step holds rows.
    pub holds: bool,
    /// Name of the stream the rows come from, which some functions show.
    pub stream: Text,
    /// Where it stands.
    pub span: Span,
}

/// Something whose rows can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Findable {
    /// A table.
    Table(TableId),
    /// A table whose rows are in its store alone.
    External(TableId),
    /// A named window.
    Window(WindowId),
    /// An aggregation; which of its buckets, is said beside.
    Aggregation(AggregationId),
    /// What the window of a port of the same query holds; nothing if it has none.
    Port(usize),
}

/// Join of rows with those of something that can be found. Leaves the rows' own columns and the
/// columns of what is found.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup {
    /// What is looked up.
    pub with: Findable,
    /// Which buckets, where that is an aggregation.
    pub buckets: Option<Buckets>,
    /// Over the rows' own columns, then those of what is found; `None`: all rows.
    pub on: Option<Expr>,
    /// Whether a row without match passes with nulls.
    pub outer: bool,
    /// How many columns the rows have themselves.
    pub width: usize,
    /// Types of the columns of what is found.
    pub types: Vec<DataType>,
    /// Where a side may be missing: the columns that say so of the row and of what is found.
    pub missing: Option<[usize; 2]>,
    /// Whether these columns stand before the rows' own, as where the right side of a join asks the
    /// left one.
    pub found_first: bool,
}

/// `select … group by … having … order by … limit … offset`.
///
/// Its expressions stand over the input columns, then one column an aggregate; `having` and
/// `order_by` over these and then the outputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Types of the input columns.
    pub input: Vec<DataType>,
    /// Aggregates, in order of text; each adds a column after the input's.
    pub aggregates: Vec<AggregateCall>,
    /// Output columns.
    pub outputs: Vec<Expr>,
    /// Names and types of the outputs.
    pub schema: Schema,
    /// Group keys, over the input columns.
    pub group_by: Vec<Expr>,
    /// Condition on what leaves.
    pub having: Option<Expr>,
    /// Sort keys, and whether each is descending.
    pub order_by: Vec<(Expr, bool)>,
    /// Most rows a chunk may have.
    pub limit: Option<u64>,
    /// Rows left out at the front of a chunk.
    pub offset: Option<u64>,
}

/// An aggregator in a selection.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateCall {
    /// Name with namespace, as in `sum`.
    pub name: String,
    /// Arguments over the input columns.
    pub arguments: Vec<Expr>,
    /// Type of the result.
    pub ty: DataType,
}

/// Which rows a query puts out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputEvents {
    /// Rows that arrive.
    #[default]
    Current,
    /// Rows that leave a window.
    Expired,
    /// Both.
    All,
}

/// Where a query's rows go. Conditions and assignments stand over the selection's outputs, then the
/// table's columns.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Into a stream, as current rows.
    Stream(StreamId),
    /// Into a named window.
    Window(WindowId),
    /// Into the buckets of an aggregation; only the plan's own queries do that.
    Aggregate(AggregationId),
    /// Into a table, as new rows.
    Insert(TableId),
    /// Rows of the table that match are deleted.
    Delete(TableId, TableCondition),
    /// Rows of the table that match are changed.
    Update(TableId, TableCondition, Vec<Assignment>),
    /// As update; where nothing matches the row is inserted.
    UpdateOrInsert(TableId, TableCondition, Vec<Assignment>),
    /// Nowhere but to those who watch the query.
    Return,
}

/// Which rows of a table are meant; `None`: all.
pub type TableCondition = Option<Expr>;

/// `T.column = value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Column of the table.
    pub column: usize,
    /// The value, of the column's type.
    pub value: Expr,
}

/// A checked on-demand query.
#[derive(Clone, Debug, PartialEq)]
pub struct OnDemand {
    /// What is read; `None`: the selection stands alone and gives one row.
    pub from: Option<Findable>,
    /// Which buckets, where that is an aggregation.
    pub buckets: Option<Buckets>,
    /// Condition over the columns read.
    pub on: Option<Expr>,
    /// What is selected of it.
    pub selection: Selection,
    /// What is done with it; [`Output::Return`] answers with the rows.
    pub output: Output,
}

impl Query {
    /// The look-up that finds rows in the window of a port, if there is one.
    pub fn lookup_into(&self, port: usize) -> Option<&Lookup> {
        let stages = self.ports.iter().flat_map(|port| &port.stages);
        let mut lookups = stages.filter_map(|stage| match stage {
            Stage::Lookup(lookup) => Some(lookup),
            Stage::Filter(_) | Stage::Window(_) | Stage::Function(_) => None,
        });
        lookups.find(|lookup| lookup.with == Findable::Port(port))
    }
}

impl Port {
    /// Whether its rows pass a window.
    pub fn has_window(&self) -> bool {
        matches!(self.source, Source::Window(_))
            || self.stages.iter().any(|stage| matches!(stage, Stage::Window(_)))
    }
}

impl OutputEvents {
    /// Whether rows that arrive are put out.
    pub fn current(self) -> bool {
        self != OutputEvents::Expired
    }

    /// Whether rows that leave are put out.
    pub fn expired(self) -> bool {
        self != OutputEvents::Current
    }
}

impl Plan {
    /// Finds a stream by its name as watchers and clients write it; inner streams are not visible.
    pub fn stream(&self, name: &str) -> Option<StreamId> {
        let (fault, bare) = match name.strip_prefix('!') {
            Some(bare) => (true, bare),
            None => (false, name),
        };
        self.streams.iter().position(|stream| {
            let visible = match stream.origin {
                Origin::Fault(_) => fault,
                Origin::Inner(_) | Origin::Changes(_) | Origin::Errands(_) => false,
                _ => !fault,
            };
            visible && stream.name == bare
        })
    }

    /// Finds a query by its name.
    pub fn query(&self, name: &str) -> Option<QueryId> {
        self.queries.iter().position(|query| query.name == name)
    }
}
