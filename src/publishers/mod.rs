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
//! Parcels come in the order of the results, one at a time. What happens to a parcel that cannot be
//! published is [`OnError`], the option `on.error` of the `@sink`.

use std::sync::Arc;

use crate::event::Batch;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::plan::logical::Endpoint;

/// Rows of one stream on their way out, with the numbers they have for ever.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// The plan they come from.
    pub plan: Arc<str>,
    /// The stream they come from.
    pub stream: Arc<str>,
    /// The stream's attributes.
    pub schema: Arc<Schema>,
    /// The number of the first row among all that this publisher was ever given, from 1: the same
    /// when the parcel is given again, so that a receiver may drop repeats.
    pub number: u64,
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

    /// Called when nothing more waits for now: what is buffered must leave.
    ///
    /// # Errors
    /// If it could not leave.
    fn flush(&mut self) -> Result<(), PublishError> {
        Ok(())
    }

    /// Ends in order, after the last flush.
    fn close(&mut self) {}

    /// What it is doing, for the status page.
    fn detail(&self) -> String {
        String::new()
    }
}

/// Why a publisher could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PublishError {
    /// What went wrong: what was expected and what came.
    pub message: String,
    /// Whether trying again may help.
    pub transient: bool,
}

impl PublishError {
    /// An error that may pass, such as a server that is away.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: true }
    }

    /// An error that the same parcel would meet again, such as a body that is refused.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), transient: false }
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
    /// The `@sink`, as written.
    pub endpoint: &'a Endpoint,
}

/// A publisher with what its `@sink` says about errors.
pub struct Built {
    /// The way out.
    pub publisher: Box<dyn Publisher>,
    /// What is done with a parcel that could not be published.
    pub on_error: OnError,
}

/// One kind of publisher.
#[derive(Debug)]
pub struct Definition {
    /// The `type` of the `@sink`.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Builds one; touches nothing outside, so that a plan can be checked by building.
    pub build: fn(&Setup<'_>) -> Result<Built, Vec<Diagnostic>>,
}

/// All kinds of publishers.
pub const ALL: &[&Definition] = &[];

/// Builds the publisher that a `@sink` asks for, without touching anything outside.
///
/// # Errors
/// What is wrong with the `@sink`, at its place in the plan.
pub fn build(setup: &Setup<'_>) -> Result<Built, Vec<Diagnostic>> {
    let kind = setup.endpoint.kind.as_str();
    match ALL.iter().find(|definition| definition.name.eq_ignore_ascii_case(kind)) {
        Some(definition) => (definition.build)(setup),
        None => {
            let known: Vec<_> = ALL.iter().map(|definition| definition.name).collect();
            let message = format!("no publisher is called `{kind}`");
            let help = format!("there are: {}", known.join(", "));
            Err(vec![Diagnostic::error("S0001", setup.endpoint.span, message).help(help)])
        }
    }
}

impl std::fmt::Debug for Built {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Built").field("on_error", &self.on_error).finish_non_exhaustive()
    }
}
