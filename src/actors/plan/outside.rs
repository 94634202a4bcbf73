//! On-demand queries of tables whose rows lie in a store: asked beside the plan, once what the plan
//! wrote there before is in the store.
//!
//! The plan only says, in line with the events, what it has written by then. All else is done by a
//! thread of its own, so that a store which is slow or away holds up nobody but who asks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::actors::clock;
use crate::actors::plan::AskError;
use crate::actors::plan::Desk;
use crate::actors::plan::Misfit;
use crate::actors::plan::PublisherEnd;
use crate::actors::plan::Station;
use crate::actors::plan::TableReader;
use crate::actors::plan::Version;
use crate::engine::build::BuildError;
use crate::engine::context::Entropy;
use crate::engine::core::Apart;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::logical::OnDemand;
use crate::plan::logical::TableId;
use crate::plan::outside::NUMBER;
use crate::publishers::Most;

/// Queries of one plan that ask stores at once; each holds a thread and a connection.
const ASKED_MAX: usize = 4;
/// What a store may give for one query.
const MOST: Most = Most { rows: 100_000, bytes: 16 << 20 };
/// How long what the plan wrote before is waited for.
const WRITES_TIME: Duration = Duration::from_secs(5);
/// How often it is looked whether that is done.
const LOOK: Duration = Duration::from_millis(5);

/// Who of a plan may ask stores.
#[derive(Debug)]
pub struct Askers {
    seats: Arc<Semaphore>,
    /// How many have asked.
    count: AtomicU64,
}

impl Default for Askers {
    fn default() -> Self {
        Self { seats: Arc::new(Semaphore::new(ASKED_MAX)), count: AtomicU64::new(0) }
    }
}

/// How a plan stands when a query comes to its place in line.
pub struct Outside {
    version: Arc<Version>,
    /// The plan's clock.
    now: Millis,
    /// The way to the table, and the number of the last write there that is not known to be done.
    awaited: Option<(Arc<PublisherEnd>, u64)>,
    reader: Option<Arc<dyn TableReader>>,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outside({:?})", self.version)
    }
}

impl Desk {
    /// How the plan stands, for a query that reads this table of this version.
    pub(super) fn outside(&self, version: &Arc<Version>, table: TableId) -> Outside {
        let errands = version.plan.tables[table].changes;
        let end = errands.and_then(|stream| version.streams[stream].publishers.first());
        let awaited = end.and_then(|end| Some((Arc::clone(end), last_write(end)?)));
        let machine = self.replica.machine();
        Outside {
            version: Arc::clone(version),
            now: machine.and_then(|machine| machine.clock()).unwrap_or_else(clock::now_ms),
            awaited,
            reader: self.loading.reader(),
        }
    }
}

impl Station {
    /// Asks the store of a table.
    pub(super) async fn ask_outside(
        &self,
        query: &Arc<OnDemand>,
        outside: Outside,
    ) -> Result<Vec<Vec<Value>>, AskError> {
        let Outside { version, now, awaited, reader } = outside;
        let count = self.askers.count.fetch_add(1, Ordering::Relaxed);
        // Beside what the plan itself draws: its queries are counted from the other end.
        let entropy = Entropy {
            secret: version.secret,
            row: now.cast_unsigned(),
            query: u64::MAX - count,
            draws: 0,
        };
        let apart = Apart::new(&version.plan, query, now, entropy);
        let (Some(mut apart), Some(reader)) = (apart, reader) else {
            let reason = "this node has no stores".to_owned();
            return Err(Misfit::NotRun { reason }.into());
        };
        if let Some((end, write)) = awaited {
            reached(&end, write).await.map_err(|()| {
                let table = &version.plan.tables[apart.table()].name;
                let text = format!(
                    "what the plan wrote to table `{table}` before was not done in its store \
                     within {WRITES_TIME:?}"
                );
                AskError::Behind(text)
            })?;
        }
        let seat = Arc::clone(&self.askers.seats).acquire_owned().await;
        let (told, answer) = oneshot::channel();
        let ask = move || {
            // Whoever asked may have gone.
            let _ = told.send(ask(&mut apart, &version, &*reader));
            drop(seat);
        };
        let begun = thread::Builder::new().name("store-asker".to_owned()).spawn(ask);
        begun.map_err(|error| Misfit::NotRun { reason: format!("no thread: {error}") })?;
        let fallen = |_| Misfit::Poison { note: "the query made its thread panic".to_owned() };
        answer.await.map_err(fallen)?
    }
}

/// Asks and makes the answer; blocks.
fn ask(
    apart: &mut Apart,
    version: &Version,
    reader: &dyn TableReader,
) -> Result<Vec<Vec<Value>>, AskError> {
    let table = apart.table();
    let not_run = |error: BuildError| Misfit::NotRun { reason: error.message };
    let wanted = apart.wanted().map_err(not_run)?;
    let rows = reader.find(&version.plan, table, &wanted, MOST)?.ok_or_else(|| {
        let name = &version.plan.tables[table].name;
        let (rows, bytes) = (MOST.rows, MOST.bytes >> 20);
        AskError::TooLarge(format!(
            "expected at most {rows} rows and {bytes} MiB of table `{name}`; a condition that its \
             database understands, or `limit` where rows are taken as they are, asks for less",
        ))
    })?;
    Ok(apart.answer(rows).map_err(not_run)?)
}

/// The number of the last errand that writes, of those that have not left.
fn last_write(end: &PublisherEnd) -> Option<u64> {
    // A question has a number of its own.
    let writes = |errands: &Batch, row| {
        errands.columns.get(NUMBER).is_some_and(|numbers| numbers.is_null(row))
    };
    end.outbox.last(end.confirmed(), writes)
}

/// Waits until all up to this number is done.
async fn reached(end: &PublisherEnd, number: u64) -> Result<(), ()> {
    let until = clock::elapsed() + WRITES_TIME;
    while end.confirmed() < number {
        if clock::elapsed() >= until {
            return Err(());
        }
        sleep(LOOK).await;
    }
    Ok(())
}
