//! The statements that run: a bounded number, each in a thread, each to be ended by its id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::sync::mpsc::Receiver;

use crate::http::documents::RunningStatement;
use crate::http::parameters;
use crate::http::problem;
use crate::http::problem::Refusal;
use crate::store::End;
use crate::store::Kind;
use crate::store::Part;
use crate::store::Select;
use crate::store::Stop;
use crate::store::Store;
use crate::store::StoreError;

/// Statements at once; each holds a thread and a connection.
const STATEMENTS_MAX: usize = 8;
/// Parts between a statement and its answer.
const PARTS: usize = 4;
/// The longest id that a client may give; bytes.
const ID_BYTES_MAX: usize = 100;

/// The statements that run. A clone is the same ones.
#[derive(Debug, Clone, Default)]
pub struct Statements(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    by_id: BTreeMap<String, Statement>,
    count: u64,
}

#[derive(Debug)]
struct Statement {
    store: String,
    sql: String,
    since: Instant,
    stop: Stop,
}

/// What a statement says as it runs.
#[derive(Debug)]
pub(super) enum Word {
    /// Some of the answer.
    Part(Part),
    /// The last word.
    End(Result<End, StoreError>),
}

/// A statement that runs; dropping it ends it.
pub(super) struct Running {
    statements: Statements,
    id: String,
    stop: Stop,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.ask();
        self.statements.all_of_them().by_id.remove(&self.id);
    }
}

impl Statements {
    /// Starts a statement over a store; says what it says.
    ///
    /// # Errors
    /// If too many run already, or one of this id does.
    pub(super) fn start(
        &self,
        store: &Store,
        select: Select,
        id: Option<&str>,
    ) -> Result<(Running, Receiver<Word>), Refusal> {
        let running = self.enter(store.name(), &select, id)?;
        let (words, heard) = mpsc::channel(PARTS);
        let store = store.clone();
        let run = move || {
            let end = store.select(&select, |part| {
                let gone = |_| StoreError::new(Kind::Stopped, "nobody reads the answer");
                words.blocking_send(Word::Part(part)).map_err(gone)
            });
            // Whoever does not read any more need not know.
            let _ = words.blocking_send(Word::End(end));
        };
        match thread::Builder::new().name("sql".to_owned()).spawn(run) {
            Ok(_) => Ok((running, heard)),
            Err(error) => Err(Refusal::new(problem::OVERLOADED, format!("no thread: {error}"))),
        }
    }

    fn enter(&self, store: &str, select: &Select, id: Option<&str>) -> Result<Running, Refusal> {
        let mut all = self.all_of_them();
        if all.by_id.len() >= STATEMENTS_MAX {
            let detail = format!("expected fewer than {STATEMENTS_MAX} statements at once");
            return Err(Refusal::new(problem::OVERLOADED, detail));
        }
        all.count += 1;
        let id = id.map_or_else(|| all.count.to_string(), str::to_owned);
        if id.is_empty() || id.len() > ID_BYTES_MAX || id.contains('/') {
            let detail = format!("expected 1 to {ID_BYTES_MAX} bytes without `/`, found `{id}`");
            return Err(parameters::refuse(format!("parameter `id`: {detail}")));
        }
        if all.by_id.contains_key(&id) {
            return Err(parameters::refuse(format!("parameter `id`: `{id}` runs already")));
        }
        let stop = select.stop.clone();
        let (store, sql) = (store.to_owned(), select.sql.clone());
        let statement = Statement { store, sql, since: Instant::now(), stop: stop.clone() };
        all.by_id.insert(id.clone(), statement);
        Ok(Running { statements: self.clone(), id, stop })
    }

    /// Those that run, in order of their ids.
    pub(super) fn all(&self) -> Vec<RunningStatement> {
        let all = self.all_of_them();
        all.by_id.iter().map(|(id, statement)| statement.show(id)).collect()
    }

    /// Ends one; `None` if none of this id runs.
    pub(super) fn stop(&self, id: &str) -> Option<RunningStatement> {
        let all = self.all_of_them();
        let statement = all.by_id.get(id)?;
        statement.stop.ask();
        Some(statement.show(id))
    }

    fn all_of_them(&self) -> MutexGuard<'_, All> {
        // Nothing that can panic is done while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Statement {
    fn show(&self, id: &str) -> RunningStatement {
        let milliseconds = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (store, sql) = (self.store.clone(), self.sql.clone());
        RunningStatement { id: id.to_owned(), store, sql, milliseconds }
    }
}
