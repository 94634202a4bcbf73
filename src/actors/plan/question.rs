//! On-demand queries: asked in line with the events, so they see all that was accepted before.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::actors::plan::Closed;
use crate::actors::plan::Misfit;
use crate::actors::plan::Station;
use crate::actors::plan::Version;
use crate::actors::plan::Work;
use crate::engine::library::Library;
use crate::event::Schema;
use crate::event::Value;
use crate::language::diagnostic::Diagnostic;
use crate::language::parse_query;
use crate::language::source::Source;
use crate::plan::check_query;
use crate::plan::logical::OnDemand;
use crate::plan::logical::Output;

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
    /// Told the rows.
    pub told: oneshot::Sender<Result<Vec<Vec<Value>>, Misfit>>,
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
    /// The plan could not run it.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The plan takes nothing any more.
    #[error(transparent)]
    Closed(#[from] Closed),
}

impl Question {
    /// Tells who asked; it may have gone meanwhile.
    pub fn answer(self, answer: Result<Vec<Vec<Value>>, Misfit>) {
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
            match answer.await.map_err(|_| Closed)? {
                Ok(rows) => return Ok(Answer { schema: query.selection.schema.clone(), rows }),
                Err(Misfit::Changed { .. }) if tries < TRIES => tries += 1,
                Err(misfit) => return Err(misfit.into()),
            }
        }
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
