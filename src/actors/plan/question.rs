//! On-demand queries: asked in line with the events, so they see all that was accepted before.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::error;

use crate::actors::plan::Closed;
use crate::actors::plan::Desk;
use crate::actors::plan::Misfit;
use crate::actors::plan::Station;
use crate::actors::plan::Told;
use crate::actors::plan::Version;
use crate::actors::plan::Work;
use crate::actors::plan::outside::Outside;
use crate::actors::tree::Room;
use crate::actors::tree::last_panic;
use crate::engine::library::Library;
use crate::event::Schema;
use crate::event::Value;
use crate::language::diagnostic::Diagnostic;
use crate::language::parse_query;
use crate::language::source::Source;
use crate::plan::check_query;
use crate::plan::logical::Findable;
use crate::plan::logical::OnDemand;
use crate::plan::logical::Output;
use crate::replica::Body;
use crate::replica::Broken;
use crate::store::StoreError;

/// How often a question is checked anew because the plan was changed meanwhile.
const TRIES: usize = 3;

/// A query on its way to the plan.
#[derive(Debug)]
pub struct Question {
    /// The version it was checked against.
    pub version: Arc<Version>,
    /// The query as written.
    pub text: Arc<str>,
    /// The checked query.
    pub query: Arc<OnDemand>,
    /// Told the answer.
    pub told: oneshot::Sender<Result<Reply, Misfit>>,
}

/// What the plan says to a query.
#[derive(Debug)]
pub enum Reply {
    /// The rows; none to a query that writes.
    Rows(Vec<Vec<Value>>),
    /// They lie in a store, which is to be asked.
    Outside(Box<Outside>),
}

/// What a query gave; a query that writes gives no rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The columns.
    pub schema: Schema,
    /// The rows, in the order of the query.
    pub rows: Vec<Vec<Value>>,
}

/// Why a query was not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// The query is wrong, or cannot be run yet.
    #[error("the query has errors")]
    Refused {
        /// The query, by which places are found.
        source_text: Source,
        /// What is wrong with it.
        diagnostics: Vec<Diagnostic>,
    },
    /// It would add rows, and the plan has more state than it may.
    #[error("{0}")]
    Exceeded(String),
    /// It found more in a store than an answer may be made of.
    #[error("{0}")]
    TooLarge(String),
    /// What the plan wrote before is not in the store that is to be asked.
    #[error("{0}")]
    Behind(String),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plan could not run it.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The plan takes nothing any more.
    #[error(transparent)]
    Closed(#[from] Closed),
}

impl Question {
    /// Tells who asked; it may have gone meanwhile.
    pub fn answer(self, answer: Result<Reply, Misfit>) {
        let _ = self.told.send(answer);
    }
}

impl Station {
    /// Asks a table or a named window of the plan, or writes to a table.
    ///
    /// # Errors
    /// If the query is wrong or cannot be run, or the plan takes nothing any more.
    pub async fn ask(&self, text: &str) -> Result<Answer, AskError> {
        let mut tries = 1;
        loop {
            let version = self.version();
            let query = Arc::new(check(text, &version)?);
            if adds_rows(&query)
                && let Some(complaint) = self.budget.complaint()
            {
                return Err(AskError::Exceeded(complaint));
            }
            let (told, answer) = oneshot::channel();
            let question = Question { version, text: text.into(), query: Arc::clone(&query), told };
            self.inbox.put(Work::Ask(question)).await.map_err(|_| Closed)?;
            let reply = match answer.await.map_err(|_| Closed)? {
                Ok(Reply::Rows(rows)) => Ok(rows),
                Ok(Reply::Outside(outside)) => self.ask_outside(&query, *outside).await,
                Err(misfit) => Err(misfit.into()),
            };
            match reply {
                Ok(rows) => return Ok(Answer { schema: query.selection.schema.clone(), rows }),
                Err(AskError::Misfit(Misfit::Changed { .. })) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

impl Desk {
    pub(super) fn take_question(&mut self, question: Question, room: Room) {
        if !Arc::ptr_eq(&question.version, &self.ordering) {
            return question.answer(Err(Misfit::Changed { what: "the plan".to_owned() }));
        }
        if question.query.output == Output::Return {
            // It sees the state of now, also where only time has passed.
            if self.ledger.is_waiting() || self.due_in() == Some(0) {
                self.order(Body::Tick, Told::Nobody, None);
            }
            self.ledger.line_up(question, Some(room));
        } else {
            let (query, sending) = ((&*question.text).into(), None);
            self.order(Body::Write { query, sending }, Told::Asker(question), Some(room));
        }
    }

    pub(super) fn answer(&mut self, told: Told) -> Result<(), Broken> {
        let Told::Asker(question) = told else { return Ok(()) };
        if let Some(Findable::External(table)) = question.query.from {
            let outside = self.outside(&question.version, table);
            question.answer(Ok(Reply::Outside(Box::new(outside))));
            return Ok(());
        }
        let (replica, query) = (&mut self.replica, &question.query);
        self.busy.begin();
        let asked = catch_unwind(AssertUnwindSafe(|| replica.ask(query)));
        self.busy.end();
        match asked {
            Ok(rows) => {
                let misfit = |reason| Misfit::NotRun { reason };
                question.answer(rows.map(Reply::Rows).map_err(misfit));
            }
            Err(_) => {
                let note = last_panic();
                error!(plan = %self.version.name, note, "the plan panicked over a query");
                question.answer(Err(Misfit::Poison { note }));
                self.bring_back()?;
            }
        }
        Ok(())
    }
}

/// Whether a query adds rows to a table; others are the way to have less.
fn adds_rows(query: &OnDemand) -> bool {
    matches!(query.output, Output::Insert(_) | Output::UpdateOrInsert(..))
}

fn check(text: &str, version: &Version) -> Result<OnDemand, AskError> {
    let parsed = parse_query(text);
    let mut diagnostics = parsed.diagnostics;
    if let Some(tree) = &parsed.tree
        && !diagnostics.iter().any(Diagnostic::is_error)
    {
        let checked = check_query(tree, &version.plan, &Library::standard());
        if let Some(query) = checked.query {
            return Ok(query);
        }
        diagnostics.extend(checked.diagnostics);
    }
    Err(AskError::Refused { source_text: Source::new("query", text), diagnostics })
}
