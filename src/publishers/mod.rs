//! Ways out of a plan, one file a way. A publisher carries parcels of rows to one place; order,
//! retry, dead letters, restart and status are the business of the actor that runs it.
//!
//! An actor runs each publisher in a thread of its own, so a publisher may block while it sends,
//! within a time limit of its own. The life of a publisher:
//!
//! ```text
//! build ─► open ─► publish ─► publish ─► … ─► close
//!   ▲               │ panic, or the connection is lost
//!   └─ after a wait ┘      a new one is built and gets the parcel again
//! ```
//!
//! Parcels come in the order of the results, one at a time. What happens to a parcel that cannot
//! be published is [`OnError`], the option `on.error` of the `@sink`. A publisher that carries a
//! parcel in pieces remembers how far it came, so that a parcel given again goes on there.

mod check;
mod file;
mod http;
mod in_memory;
mod log;
mod outgoing;
mod rdbms;

#[cfg(test)]
mod harness;

pub use check::check;
#[cfg(feature = "node")]
pub use rdbms::Most;
#[cfg(feature = "node")]
pub use rdbms::find_rows;
#[cfg(feature = "node")]
pub use rdbms::read_table;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::event::Batch;
use crate::event::Schema;
use crate::event::Text;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::options;
use crate::mappers::options::Form;
use crate::mappers::options::OptionDefinition;
use crate::mappers::options::Options;
use crate::mappers::options::option;
use crate::mappers::unknown_type;
use crate::plan::answers::Answers;
use crate::plan::logical::Endpoint;
use crate::plan::logical::Role;
#[cfg(feature = "node")]
use crate::store::Stores;
use crate::topics::Topics;

/// A build without a node has no stores.
#[cfg(not(feature = "node"))]
#[derive(Clone, Copy, Debug)]
pub enum Stores {}

/// Rows of one stream on their way out, with the numbers they have for ever.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// The plan they come from.
    pub plan: Arc<str>,
    /// The stream they come from.
    pub stream: Arc<str>,
    /// The publisher's name in the plan, by which its results are counted.
    pub publisher: Text,
    /// The stream's attributes.
    pub schema: Arc<Schema>,
    /// Sets the numbers of one life of the plan apart from those of another: a plan that is removed
    /// and deployed anew counts from 1 again, under another generation.
    pub generation: u64,
    /// The number of the first row among all that this publisher was ever given, from 1: the same
    /// when the parcel is given again, so that a receiver may drop repeats.
    pub number: u64,
    /// The epoch of the active node that publishes it; 0 where there is no pair. While it waits:
    /// the epoch in which this node ordered what it follows from; 0 if others did.
    pub epoch: u64,
    /// How often the plan's state had been taken from the other node when this was computed.
    pub reading: u64,
    /// The rows.
    pub batch: Arc<Batch>,
}

/// A way out of a plan.
pub trait Publisher {
    /// Begins, in the thread that will also call the rest.
    ///
    /// # Errors
    /// If the place cannot be reached; a transient error leads to another try after a wait.
    fn open(&mut self) -> Result<(), PublishError>;

    /// Carries one parcel, whole.
    ///
    /// # Errors
    /// If it may not have arrived. A transient error means that the same parcel may be tried again.
    fn publish(&mut self, parcel: &Parcel) -> Result<(), PublishError>;

    /// Whether the row of this number and all before it, which were published, are where nothing
    /// can undo them. Until then none of them counts as having left; asked again from time to time.
    fn settled(&mut self, _number: u64) -> bool {
        true
    }

    /// Whether something that was published and has not settled was lost: what has not settled must
    /// be published again, in order, before anything else. Told once.
    fn is_lost(&mut self) -> bool {
        false
    }

    /// Called when nothing more waits for now: what is buffered must leave.
    ///
    /// # Errors
    /// If it could not leave.
    fn flush(&mut self) -> Result<(), PublishError> {
        Ok(())
    }

    /// Called when nothing waits, for what is to be done now and then; `may_act`: whether this node
    /// may publish now. Says when to call again.
    fn rest(&mut self, _may_act: bool) -> Option<Duration> {
        None
    }

    /// Whether what it carries bears an id, so that the receiver can tell what it gets twice.
    fn bears_ids(&self) -> bool {
        false
    }

    /// What came back for what was asked, since this was last called. A parcel that asked has left
    /// only when the plan's log has its answers.
    fn answers(&mut self) -> Vec<Answered> {
        Vec::new()
    }

    /// Answers that it gave got lost: what asked for them comes again.
    fn answers_lost(&mut self) {}

    /// A parcel is given up, for this reason: what it asked is to be answered all the same. Told
    /// again where such an answer may have got lost.
    fn abandon(&mut self, _parcel: &Parcel, _reason: &str) {}

    /// Which rows of a parcel that is given up are lost by that: all, but for those at the
    /// beginning that were carried or refused before, or only asked.
    fn undone(&self, parcel: &Parcel) -> Range<usize> {
        0..parcel.batch.len()
    }

    /// Ends in order, after the last flush.
    fn close(&mut self) {}

    /// What it is doing, for the status page.
    fn detail(&self) -> String {
        String::new()
    }
}

/// What came back for what a publisher asked.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The number of the first row that it may be for.
    pub first: u64,
    /// It.
    pub answers: Arc<Answers>,
}

/// Why a publisher could not do its work.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PublishError {
    /// What went wrong: what was expected and what came.
    pub message: String,
    /// Whether trying again may help.
    pub transient: bool,
    /// Nothing is wrong, the place only takes no more for now: trying again soon will help, and
    /// the try does not count. Always transient.
    pub busy: bool,
    /// A node of a later epoch publishes already: this one must not, until it is told to again. The
    /// try does not count. Always transient.
    pub deposed: bool,
    /// Of a permanent error: the rows of the parcel that are refused for good. Those before them
    /// have arrived; given the parcel again, the publisher goes on after them. `None`: no row of
    /// the parcel can be published.
    pub rows: Option<Range<usize>>,
}

impl PublishError {
    /// An error that may pass, such as a server that is away.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: true, ..Self::default() }
    }

    /// An error that the same parcel would meet again, such as a body that is refused.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false, ..Self::default() }
    }

    /// A place that takes no more for now.
    pub fn busy(message: impl Into<String>) -> Self {
        Self { busy: true, ..Self::transient(message) }
    }

    /// A place where another node publishes by now.
    pub fn deposed(message: impl Into<String>) -> Self {
        Self { deposed: true, ..Self::transient(message) }
    }

    /// The same, about some rows of the parcel only.
    #[must_use]
    pub fn of_rows(mut self, rows: Range<usize>) -> Self {
        self.rows = Some(rows);
        self
    }
}

/// What is done with a parcel that could not be published: the option `on.error` of a `@sink`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// A few tries, then it is logged and counted as dead letters, and the next one follows.
    #[default]
    Log,
    /// Tried until it is taken; the plan waits when too much has gathered.
    Wait,
    /// A few tries, then its rows go to the fault stream `!S` of the plan.
    Stream,
    /// A few tries, then its rows become a dead letter that is kept.
    Store,
}

/// What a publisher is built from.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The plan's name.
    pub plan: &'a str,
    /// The stream whose events leave.
    pub stream: &'a str,
    /// The stream's attributes.
    pub schema: &'a Schema,
    /// The `@sink` or `@store`, as written.
    pub endpoint: &'a Endpoint,
    /// What its rows mean.
    pub role: Role,
    /// The topics of this node.
    pub topics: &'a Topics,
    /// The stores of this node; `None` where nobody knows them.
    pub stores: Option<&'a Stores>,
}

/// A publisher with what its `@sink` says about errors.
pub struct Built {
    /// The way out.
    pub publisher: Box<dyn Publisher>,
    /// What is done with a parcel that could not be published.
    pub on_error: OnError,
}

/// Makes a publisher; faults are appended. It touches nothing outside, so that a plan can be
/// checked by building.
pub type Build = fn(&Setup<'_>, &Options, &mut Vec<Diagnostic>) -> Option<Box<dyn Publisher>>;

/// One kind of publisher.
#[derive(Debug)]
pub struct Definition {
    /// Its name, the `type` of the `@sink`, with its options.
    pub options: &'static options::Definition,
    /// The mapper of a `@sink` without `@map`.
    pub default_mapper: &'static str,
    build: Build,
}

/// The option that every publisher has.
const ON_ERROR: OptionDefinition = option(
    "on.error",
    Form::Word(&["LOG", "WAIT", "STREAM", "STORE"]),
    "LOG",
    "What is done with what cannot be published: after a few tries counted and logged (`LOG`), \
     tried until it is taken while the plan waits (`WAIT`), sent to the fault stream (`STREAM`), \
     or kept as a dead letter that can be replayed (`STORE`).",
);

/// All kinds of publishers.
pub const ALL: &[&Definition] =
    &[&file::DEFINITION, &http::DEFINITION, &in_memory::DEFINITION, &log::DEFINITION, &rdbms::SINK];

/// All kinds of stores of tables.
pub const TABLE_STORES: &[&Definition] = &[&rdbms::TABLE];

/// All kinds of stores of streams.
pub const EVENT_STORES: &[&Definition] = &[&rdbms::EVENTS];

/// Kinds of stores of the reference that this engine does not have yet.
const STORES_NOT_YET: &[&str] = &[
    "mongodb",
    "redis",
    "hbase",
    "cassandra",
    "solr",
    "elasticsearch",
    "influxdb",
    "hazelcast",
    "analytics.table",
];

/// Kinds of the reference that this engine does not have yet.
const NOT_YET: &[&str] = &[
    "tcp",
    "kafka",
    "kafkaMultiDC",
    "kafka-replay-request",
    "jms",
    "mqtt",
    "rabbitmq",
    "email",
    "websocket",
    "websocket-server",
    "wso2event",
    "sqs",
    "s3",
    "gcs",
    "azuredatalake",
    "hl7",
    "snmp",
    "googlepubsub",
    "prometheus",
    "nats",
    "grpc",
    "grpc-call",
    "grpc-service-response",
    "ibmmq",
    "report",
    "http-request",
    "http-call",
    "http-response",
    "http-service-response",
    "sse-server",
    "websubhub",
];

/// Builds the publisher that a `@sink` asks for, without touching anything outside.
///
/// # Errors
/// What is wrong with the `@sink`, at its place in the plan.
pub fn build(setup: &Setup<'_>) -> Result<Built, Vec<Diagnostic>> {
    let endpoint = setup.endpoint;
    let kind = endpoint.kind.as_str();
    let (what, all, not_yet) = match setup.role {
        Role::Sink => ("publisher", ALL, NOT_YET),
        Role::Changes | Role::Errands => ("store", TABLE_STORES, STORES_NOT_YET),
        Role::Events => ("store", EVENT_STORES, STORES_NOT_YET),
    };
    let known = all.iter().find(|kinds| kinds.options.name.eq_ignore_ascii_case(kind));
    let Some(definition) = known else {
        let names: Vec<&str> = all.iter().map(|definition| definition.options.name).collect();
        return Err(vec![unknown_type(what, kind, &names, not_yet, endpoint.span)]);
    };
    let mut faults = Vec::new();
    let (options, span) = (&endpoint.options, endpoint.span);
    let options = Options::read(what, definition.options, options, span, &mut faults);
    let on_error = on_error(&options);
    let built = (definition.build)(setup, &options, &mut faults);
    match built.filter(|_| faults.is_empty()) {
        Some(publisher) => Ok(Built { publisher, on_error }),
        None => Err(faults),
    }
}

fn on_error(options: &Options) -> OnError {
    match options.word("on.error") {
        Some("WAIT" | "RETRY") => OnError::Wait,
        Some("STREAM") => OnError::Stream,
        Some("STORE") => OnError::Store,
        _ => OnError::Log,
    }
}

impl std::fmt::Debug for Built {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Built").field("on_error", &self.on_error).finish_non_exhaustive()
    }
}
