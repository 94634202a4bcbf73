//! The JSON documents of the API, as the API document describes them.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What a request with events is answered with.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// How many events were taken: all of the request.
    pub accepted: usize,
    /// Under `ack=applied`: the position of the events in the plan's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// True if the producer had sent this sequence before: the events were taken then, not now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// The newest events of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct Events {
    /// The plan.
    pub plan: String,
    /// The stream.
    pub stream: String,
    /// The id to read on from: that of the last event here, or of the newest one there is.
    pub last: String,
    /// How many of the events asked for by `after` are kept no longer; null if nobody knows.
    pub missed: Option<u64>,
    /// The events, oldest first.
    pub events: Vec<Event>,
}

/// An event of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Names the event in this process; `after` and `Last-Event-ID` take it.
    pub id: String,
    /// False on the node of a pair that follows, where a result of the event has not left yet as
    /// far as it knows; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<bool>,
    /// Its time, in milliseconds since 1970.
    pub timestamp: i64,
    /// Its attributes by name.
    #[schema(value_type = Object)]
    pub event: Value,
}

/// The snapshots of a plan.
#[derive(Debug, Serialize, ToSchema)]
pub struct Snapshots {
    /// The plan.
    pub plan: String,
    /// Newest first.
    pub snapshots: Vec<Snapshot>,
}

/// A snapshot on disk.
#[derive(Debug, Serialize, ToSchema)]
pub struct Snapshot {
    /// The file's name: the time it was taken, in milliseconds since 1970, and the plan.
    pub name: String,
    /// The last position of the plan's log that it holds.
    pub position: Option<u64>,
    /// When it was taken, in milliseconds since 1970.
    pub created: Option<i64>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// A snapshot that was taken now.
#[derive(Debug, Serialize, ToSchema)]
pub struct SnapshotTaken {
    /// The plan.
    pub plan: String,
    /// The file's name.
    pub name: String,
    /// The last position of the plan's log that it holds.
    pub position: u64,
    /// Bytes of state.
    pub bytes: u64,
    /// How long the plan stood still.
    pub pause_seconds: f64,
    /// How long it took in all.
    pub seconds: f64,
}

/// What a plan could not handle.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetters {
    /// The plan.
    pub plan: String,
    /// How many dead letters it keeps.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Those that were asked for, newest first.
    pub dead_letters: Vec<DeadLetter>,
    /// The newest of what was only counted and is not kept, newest first; in memory of this node.
    pub counted: Vec<CountedLetter>,
}

/// Something that was put aside and is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetter {
    /// Its number in the plan, by which it is replayed or discarded; both nodes of a pair say the
    /// same.
    pub id: u64,
    /// When it was put aside, in milliseconds since 1970.
    pub at: i64,
    /// By whom: `receiver`, `publisher`, `store` or `plan`.
    pub kind: &'static str,
    /// The name of the receiver, publisher or store, as in `receiver:Logins:1`; of the plan, that
    /// of the stream.
    pub place: String,
    /// The stream it was for, or came from.
    pub stream: String,
    /// `unreadable`, `publisher` or `poison`, as in the metric `dead_letters`.
    pub reason: String,
    /// How many events; 1 for an input that could not be read.
    pub events: u64,
    /// The room it takes.
    pub bytes: usize,
    /// What went wrong.
    pub message: String,
    /// The beginning of the input, or the first of the events.
    pub sample: String,
}

/// A dead letter with all that is in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterDetail {
    /// What the list says of it.
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// The input as it came, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The input as it came, in Base64, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_base64: Option<String>,
    /// The events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<LetterRow>>,
}

/// An event in a dead letter.
#[derive(Debug, Serialize, ToSchema)]
pub struct LetterRow {
    /// Its time, in milliseconds since 1970.
    pub timestamp: i64,
    /// Its number among the results of its publisher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Its attributes.
    #[schema(value_type = Object)]
    pub event: serde_json::Map<String, serde_json::Value>,
}

/// Something that was counted and is not kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountedLetter {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// `publisher`, `poison` or `changed`, as in the metric `dead_letters`.
    pub reason: &'static str,
    /// The stream it was for, or came from.
    pub stream: String,
    /// How many events.
    pub events: usize,
    /// What went wrong.
    pub message: String,
    /// The first of the events.
    pub sample: String,
}

/// A dead letter was closed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClosedLetter {
    /// The plan.
    pub plan: String,
    /// The letter.
    pub id: u64,
    /// The position of the plan's log at which it was closed.
    pub position: u64,
}

/// Dead letters were closed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClosedLetters {
    /// The plan.
    pub plan: String,
    /// How many.
    pub closed: usize,
    /// Those that were meant and are as they were.
    pub refused: Vec<RefusedLetter>,
}

/// A dead letter that is as it was.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedLetter {
    /// The letter.
    pub id: u64,
    /// Why.
    pub detail: String,
}

/// The answer to an on-demand query.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// What was selected; empty for a query that writes.
    pub columns: Vec<Attribute>,
    /// The rows, each a value a column.
    #[schema(value_type = Vec<Vec<Object>>)]
    pub rows: Vec<Vec<Value>>,
}

/// A name with its type.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attribute {
    /// The name.
    pub name: String,
    /// `string`, `int`, `long`, `float`, `double`, `bool` or `object`.
    #[serde(rename = "type")]
    pub ty: &'static str,
}

/// All plans.
#[derive(Debug, Serialize, ToSchema)]
pub struct Plans {
    /// By name.
    pub plans: Vec<Plan>,
}

/// A plan in few words.
#[derive(Debug, Serialize, ToSchema)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub state: PlanState,
    /// The file it was read from.
    pub file: String,
    /// Which version runs, counted from 1 in this process; null if none does.
    pub version: Option<u64>,
    /// When that version was deployed, in milliseconds since 1970.
    pub deployed_ms: Option<i64>,
    /// Events taken from outside, by all versions.
    pub events_in: u64,
    /// Events put into streams by queries, by all versions.
    pub events_out: u64,
    /// Events that wait for it.
    pub waiting: usize,
    /// Bytes of its state as a snapshot would hold it, when they were counted last.
    pub state_bytes: u64,
    /// With more it takes no events until it has less.
    pub state_bytes_max: u64,
    /// Warnings about the version that runs.
    pub warnings: usize,
    /// Why it stopped, if it did.
    pub failure: Option<String>,
    /// Why it takes no step at present, though it runs: it waits for the store of a table, or has
    /// too much state.
    pub held_up: Option<String>,
    /// Newer texts of the plan that were refused; the version before may still run.
    pub refused: Vec<Refused>,
}

/// Whether a plan runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlanState {
    /// It takes events.
    Running,
    /// It could not go on; `failure` says why.
    Failed,
    /// It never ran, since its text was refused.
    Refused,
}

/// A text that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refused {
    /// The file.
    pub file: String,
    /// Why, in a sentence.
    pub reason: String,
    /// What is wrong with the text.
    #[schema(value_type = Vec<Diagnostic>)]
    pub diagnostics: Value,
    /// The same for the eye: source lines with carets.
    pub text: String,
}

/// A plan with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanDetail {
    /// The plan in few words.
    #[serde(flatten)]
    pub plan: Plan,
    /// The text of the version that runs.
    pub text: Option<String>,
    /// From `@app:description`.
    pub description: String,
    /// Warnings about the version that runs.
    #[schema(value_type = Vec<Diagnostic>)]
    pub diagnostics: Value,
    /// Its streams.
    pub streams: Vec<Stream>,
    /// Its tables, which on-demand queries may read and write.
    pub tables: Vec<Table>,
    /// Its named windows, which on-demand queries may read.
    pub windows: Vec<Table>,
    /// Its aggregations, which on-demand queries may read with `within` and `per`.
    pub aggregations: Vec<Table>,
    /// The names of its queries.
    pub queries: Vec<String>,
}

/// A plan that was taken out of the folder of plans.
#[derive(Debug, Serialize, ToSchema)]
pub struct Removed {
    /// The plan.
    pub plan: String,
    /// The files that were removed.
    pub files: Vec<String>,
}

/// A stream of a plan.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// Whether it takes events from outside.
    pub takes_events: bool,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// Events taken from outside.
    pub events_in: u64,
    /// Events put into it by queries.
    pub events_out: u64,
    /// The id of its newest event; null before the first.
    pub newest: Option<String>,
    /// How its `@watermark` stands, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Watermark>,
}

/// How the `@watermark` of a stream stands. Times are in milliseconds since 1970.
#[derive(Debug, Serialize, ToSchema)]
pub struct Watermark {
    /// Nothing earlier is waited for on this stream; null before its first event.
    pub watermark_ms: Option<i64>,
    /// How far that is behind the clock of arrival, at the latest input of the plan.
    pub lag_ms: Option<i64>,
    /// The plan's clock, with which events leave; null before any left.
    pub clock_ms: Option<i64>,
    /// Whether other streams do not wait for this one, since nothing came for too long.
    pub idle: bool,
    /// Events that wait.
    pub waiting: usize,
    /// Events that came too late since this version took over.
    pub late: u64,
    /// Events that said a time too far ahead.
    pub ahead: u64,
    /// Events that left before their time, since too many waited.
    pub hurried: u64,
}

/// A table or a named window.
#[derive(Debug, Serialize, ToSchema)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub attributes: Vec<Attribute>,
    /// The columns of its primary key.
    pub primary_key: Vec<String>,
}

/// A path at which a plan takes requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiverPath {
    /// The address to send to.
    pub path: String,
    /// The plan it leads to.
    pub plan: String,
    /// The stream it leads to.
    pub stream: String,
}

/// What checking a plan found.
#[derive(Debug, Serialize, ToSchema)]
pub struct Checked {
    /// Whether it could be deployed.
    pub ok: bool,
    /// The name it gives itself; empty if it leaves that to its file.
    pub name: String,
    /// What is wrong or worth knowing, in order of place.
    #[schema(value_type = Vec<Diagnostic>)]
    pub diagnostics: Value,
    /// The same for the eye: source lines with carets.
    pub text: String,
}

/// A message about a text in SiddhiQL. Lines and columns count from 1; an end is the place after
/// the last character.
#[derive(Debug, Serialize, ToSchema)]
pub struct Diagnostic {
    /// Its stable code, such as `L0001`.
    pub code: String,
    /// `error` or `warning`.
    pub severity: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The file.
    pub path: String,
    /// Where it begins.
    pub line: usize,
    /// Where it begins.
    pub column: usize,
    /// Where it ends.
    pub end_line: usize,
    /// Where it ends.
    pub end_column: usize,
    /// What is to be said at that place.
    pub label: String,
    /// The line of the text.
    pub source: String,
    /// Other places that matter.
    #[schema(value_type = Vec<Object>)]
    pub related: Vec<Value>,
    /// What to do about it.
    pub help: Option<String>,
    /// A change that would mend it.
    #[schema(value_type = Option<Object>)]
    pub suggestion: Option<Value>,
    /// The text is right, but the engine cannot run it yet.
    pub not_supported: bool,
}

/// The node and its actors.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// The node's name.
    pub node: String,
    /// The version of the program.
    pub version: &'static str,
    /// Seconds since the node started.
    pub up_seconds: u64,
    /// Every actor, by its place in the tree.
    pub actors: Vec<Actor>,
}

/// An actor of the node.
#[derive(Debug, Serialize, ToSchema)]
pub struct Actor {
    /// Its place in the tree, as in `plans/alerts/publisher:Alerts:1`.
    pub name: String,
    /// What kind of actor it is.
    pub kind: &'static str,
    /// `running`, `waiting`, `stopping`, `stopped` or `failed`.
    #[schema(value_type = String)]
    pub state: crate::actors::tree::State,
    /// How often it was raised again after it fell.
    pub restarts: u64,
    /// How its last life ended.
    pub last_exit: Option<String>,
    /// Since when it is in this state, in milliseconds since 1970.
    pub since_ms: i64,
    /// What it says of itself.
    pub detail: String,
}

/// Whether the node is well.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `alive` or `ready`.
    pub status: &'static str,
}

/// Where to go from here.
#[derive(Debug, Serialize, ToSchema)]
pub struct Home {
    /// What this is.
    pub name: &'static str,
    /// The version of the program.
    pub version: &'static str,
    /// Addresses worth knowing, by what they give.
    #[schema(value_type = Object)]
    pub links: Value,
}

/// The answer to a SELECT.
#[derive(Debug, Serialize, ToSchema)]
pub struct Selected {
    /// What was selected; the types as the database calls them.
    pub columns: Vec<SelectedColumn>,
    /// The rows, each a value a column. What is neither a number nor a truth value is a text.
    #[schema(value_type = Vec<Vec<Object>>)]
    pub rows: Vec<Vec<Value>>,
    /// Whether these are all rows.
    pub complete: bool,
    /// Why they are not, where there are more than may be told.
    pub cut: Option<String>,
    /// Why they are not, where the statement failed after some were told.
    pub error: Option<crate::http::problem::Problem>,
}

/// A column of an answer to a SELECT.
#[derive(Debug, Serialize, ToSchema)]
pub struct SelectedColumn {
    /// The name.
    pub name: String,
    /// The type, as the database calls it.
    #[serde(rename = "type")]
    pub ty: String,
}

/// The statements that run.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunningStatements {
    /// They, by id.
    pub statements: Vec<RunningStatement>,
}

/// A statement that runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunningStatement {
    /// By which it can be ended.
    pub id: String,
    /// Over which store.
    pub store: String,
    /// Its text.
    pub sql: String,
    /// How long it has run.
    pub milliseconds: u64,
}
