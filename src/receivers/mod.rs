//! Ways into a plan, one file a way. A receiver turns what the outside sends into rows; order,
//! waiting, restart and status are the business of the actor that runs it.
//!
//! An actor runs each receiver in a thread of its own, so a receiver may block for as long as it
//! takes to read what is there, but not to wait for what is not: then it says [`Next::After`] or
//! [`Next::WhenWoken`] and returns. The life of a receiver:
//!
//! ```text
//! build ─► open(door, mark) ─► poll ─► poll ─► … ─► close
//!   ▲                           │ error or panic
//!   └──────── after a wait ─────┘      a new one is built; `mark` says where the last one was
//! ```
//!
//! [`Receiver::poll`] is called only while the plan has room, so a slow plan slows its source and
//! nothing is dropped. A receiver that is pushed to (a server) keeps the [`Door`] and gives through
//! it, from any task of its thread; it waits where the plan has no room.
//!
//! Receivers are built from the `@source` of a plan; whatever is wrong with its options is told at
//! deployment, at its place in the plan.

mod again;
mod check;
pub mod copies;
mod file;
mod generator;
mod heard;
pub mod http;
mod in_memory;
mod reading;

#[cfg(test)]
mod harness;

pub use again::Unread;
pub use again::read_again;
pub use check::check;
pub use copies::Likeness;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crate::event::Batch;
use crate::event::Millis;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::options;
use crate::mappers::options::Options;
use crate::mappers::unknown_type;
use crate::plan::logical::Endpoint;
use crate::receivers::http::Paths;
use crate::topics::Topics;

/// What one [`Receiver::poll`] brought.
#[derive(Debug, Default)]
pub struct Received {
    /// Rows of the stream's schema, `send_continues` set where a send goes on. A batch holds whole
    /// sends, at least one and best about a thousand rows.
    pub batch: Batch,
    /// Where the receiver stands after these rows, if it can go back there: a place in a file, an
    /// offset. The next life is told the mark of the last rows the plan has taken.
    pub mark: Option<Mark>,
    /// Events left out because the mapping's pattern does not match them, which is no fault: they
    /// are counted as dropped with the reason `unmatched`.
    pub unmatched: usize,
    /// Inputs that could not be read as rows. They are counted and become dead letters.
    pub unreadable: Vec<Unreadable>,
}

/// A place in what a receiver reads, in a form of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(pub String);

/// An input that could not be read as rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong, what was expected and what came.
    pub reason: String,
    /// The input, whole: given to the same mapper again it means the same.
    pub input: Vec<u8>,
}

/// When a receiver wants to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once: there is more.
    Now,
    /// After this time, or when woken.
    After(Duration),
    /// When [`Door::wake`] is called, and not before.
    WhenWoken,
    /// Never: the source has come to its end.
    Never,
}

/// A way into a plan.
pub trait Receiver {
    /// Begins, in the thread that will also call the rest. `mark` is that of the last rows the plan
    /// took from this source in this process; `None` at first.
    ///
    /// # Errors
    /// If the source cannot be reached; a transient error leads to another try after a wait.
    fn open(&mut self, door: &Door, mark: Option<&Mark>) -> Result<(), ReceiverError>;

    /// What is there when it is opened without a mark has been brought: it begins behind that. Only
    /// asked of receivers that get every event on both nodes of a pair and have marks.
    fn pass_over(&mut self) {}

    /// Takes what is there, up to about a thousand rows, without waiting for more.
    ///
    /// # Errors
    /// If the source is lost; a new receiver is built after a wait.
    fn poll(&mut self) -> Result<(Received, Next), ReceiverError>;

    /// Whether it fetches what it brings. In a pair only the active node fetches; who is pushed to
    /// opens its door on both.
    fn pulls(&self) -> bool {
        true
    }

    /// From now on, until what is given back is dropped, what comes to it is kept for it, whether
    /// or not it is open. Called once it is deployed; `None` where nothing can be kept.
    fn attend(&self) -> Option<Box<dyn Any + Send>> {
        None
    }

    /// Ends in order: no call follows. What was pushed and not yet given may still be given.
    fn close(&mut self) {}

    /// What it is doing, for the status page, such as the file and the offset.
    fn detail(&self) -> String {
        String::new()
    }
}

/// Why a receiver cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReceiverError {
    /// What went wrong: what was expected and what came.
    pub message: String,
    /// Whether trying again may help.
    pub transient: bool,
}

impl ReceiverError {
    /// An error that may pass, such as a server that is away.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: true }
    }

    /// An error that will not pass by itself, such as a password that is refused.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false }
    }
}

/// The plan's side of a [`Door`]; the actor that runs the receiver provides it.
pub trait Threshold: Send + Sync {
    /// Takes rows into the plan, waiting for room; `true` once they are in.
    fn give(&self, received: Received) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
    /// The same; `true` once they are as safe as the node's settings say.
    fn give_safely(&self, received: Received) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
    /// Asks for a poll.
    fn wake(&self);
    /// How far the receiver has come as the plan's log says: the mark of the last rows that were
    /// applied, if there are any; `None` while that is not known.
    fn place(&self) -> Option<Option<Mark>>;
}

/// Where a receiver gives its rows and asks to be polled; clones lead to the same plan.
#[derive(Clone)]
pub struct Door(Arc<dyn Threshold>);

impl Door {
    /// A door to what the actor provides.
    pub fn new(threshold: Arc<dyn Threshold>) -> Self {
        Self(threshold)
    }

    /// Hands rows over, waiting until the plan has room for them.
    ///
    /// `false` says that the plan takes nothing any more; the rows were not taken.
    #[must_use = "rows that were not taken must be refused to their sender"]
    pub async fn give(&self, received: Received) -> bool {
        self.0.give(received).await
    }

    /// Hands rows over and waits until they are as safe as the node's settings say: for senders
    /// that are told so.
    #[must_use = "rows that were not taken must be refused to their sender"]
    pub async fn give_safely(&self, received: Received) -> bool {
        self.0.give_safely(received).await
    }

    /// How far the receiver has come as the plan's log says: the mark of the last rows that were
    /// applied, if there are any; `None` while that is not known.
    #[must_use]
    pub fn place(&self) -> Option<Option<Mark>> {
        self.0.place()
    }

    /// Asks the actor to poll; from any thread, cheap, and many calls count as one.
    pub fn wake(&self) {
        self.0.wake();
    }
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Built").field("likeness", &self.likeness).finish_non_exhaustive()
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

/// What a receiver is built from.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The plan's name.
    pub plan: &'a str,
    /// The receiver's name in the plan, as in `receiver:Logins:1`.
    pub name: &'a str,
    /// The stream that is fed.
    pub stream: &'a str,
    /// The stream's attributes.
    pub schema: &'a Schema,
    /// The `@source`, as written.
    pub endpoint: &'a Endpoint,
    /// The topics of this node.
    pub topics: &'a Topics,
    /// The named paths of this node's HTTP server.
    pub paths: &'a Paths,
}

/// Makes a receiver; faults are appended. It touches nothing outside, so that a plan can be checked
/// by building.
pub type Build = fn(&Setup<'_>, &Options, &mut Vec<Diagnostic>) -> Option<Box<dyn Receiver>>;

/// One kind of receiver.
#[derive(Debug)]
pub struct Definition {
    /// Its name, the `type` of the `@source`, with its options.
    pub options: &'static options::Definition,
    /// The mapper of a `@source` without `@map`.
    pub default_mapper: &'static str,
    build: Build,
}

/// All kinds of receivers.
pub const ALL: &[&Definition] =
    &[&file::DEFINITION, &generator::DEFINITION, &http::DEFINITION, &in_memory::DEFINITION];

/// Kinds of the reference that this engine does not have yet.
const NOT_YET: &[&str] = &[
    "tcp",
    "kafka",
    "jms",
    "mqtt",
    "rabbitmq",
    "email",
    "cdc",
    "websocket",
    "websocket-server",
    "wso2event",
    "sqs",
    "hl7",
    "snmp",
    "googlepubsub",
    "prometheus",
    "nats",
    "grpc",
    "grpc-service",
    "ibmmq",
    "twitter",
    "http-request",
    "http-service",
    "http-response",
    "http-call-response",
    "sse",
    "websubhub",
];

/// What a `@source` asks for.
pub struct Built {
    /// The receiver.
    pub receiver: Box<dyn Receiver>,
    /// What makes copies of events known, if every event comes on both nodes of a pair.
    pub likeness: Option<Likeness>,
    /// What its author should know.
    pub warnings: Vec<Diagnostic>,
}

/// Builds the receiver that a `@source` asks for, without touching anything outside.
///
/// # Errors
/// What is wrong with the `@source`, at its place in the plan.
pub fn build(setup: &Setup<'_>) -> Result<Built, Vec<Diagnostic>> {
    let endpoint = setup.endpoint;
    let kind = endpoint.kind.as_str();
    let known = ALL.iter().find(|kinds| kinds.options.name.eq_ignore_ascii_case(kind));
    let Some(definition) = known else {
        let names: Vec<&str> = ALL.iter().map(|definition| definition.options.name).collect();
        return Err(vec![unknown_type("receiver", kind, &names, NOT_YET, endpoint.span)]);
    };
    let mut faults = Vec::new();
    let (options, span) = (&endpoint.options, endpoint.span);
    let options = Options::read("receiver", definition.options, options, span, &mut faults);
    let built = (definition.build)(setup, &options, &mut faults);
    let mut warnings = Vec::new();
    let likeness = copies::read(definition.options, &options, setup.schema, &mut faults);
    if let Some(Likeness { id: None, .. }) = likeness {
        warnings.push(copies::without_id(&options));
    }
    match built.filter(|_| faults.is_empty()) {
        Some(receiver) => Ok(Built { receiver, likeness, warnings }),
        None => Err(faults),
    }
}

/// Milliseconds since 1970 by the wall clock: the timestamp of what arrives.
fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}
