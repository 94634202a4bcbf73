//! Writes rows to a table of a store, many parcels in one transaction.
//!
//! Parcels gather until nothing more waits or there are enough of them. When a transaction fails
//! nothing of it counts: the parcels come again, one a transaction, so that what is to blame is
//! found; after the first that goes well they gather again.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use tracing::debug;
use tracing::warn;

use crate::event::Batch;
use crate::event::Value;
use crate::publishers::Parcel;
use crate::publishers::PublishError;
use crate::publishers::Publisher;
use crate::publishers::rdbms::batches;
use crate::publishers::rdbms::batches::Net;
use crate::publishers::rdbms::options::Job;
use crate::publishers::rdbms::options::TIMESTAMP;
use crate::store;
use crate::store::Change;
use crate::store::Kind;
use crate::store::Session;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Table;
use crate::store::Writer;

/// So many rows go in one transaction, as soon as there are so many.
const ROWS_MAX: usize = 20_000;
/// And so many bytes.
const BYTES_MAX: usize = 8 << 20;

/// How often it looks whether it is time to delete old events, at least.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// Writes to a table of a store.
pub struct Rdbms {
    store: Store,
    plan: String,
    table: Table,
    job: Job,
    /// Whether the table is known to be there and to fit.
    is_ready: bool,
    /// Parcels taken that are not written.
    gathered: Vec<Parcel>,
    rows: usize,
    bytes: usize,
    /// The generation in which rows are written, and the number of the last one written.
    written: (u64, u64),
    /// Something gathered was not written and is to come again.
    is_lost: bool,
    /// Each parcel goes alone, since one of many could not be written.
    is_careful: bool,
    /// Rows up to this number of the parcel at hand were refused or written.
    passed: (u64, u64),
    purged: Option<Instant>,
    /// What is wrong, if something is.
    trouble: String,
}

impl Rdbms {
    /// A publisher that has written nothing.
    pub fn new(store: Store, plan: &str, table: Table, job: Job) -> Rdbms {
        Rdbms {
            store,
            plan: plan.to_owned(),
            table,
            job,
            is_ready: false,
            gathered: Vec::new(),
            rows: 0,
            bytes: 0,
            written: (0, 0),
            is_lost: false,
            is_careful: false,
            passed: (0, 0),
            purged: None,
            trouble: String::new(),
        }
    }

    /// Whether a parcel goes on where the last one gathered ends.
    fn follows(&self, parcel: &Parcel) -> bool {
        self.gathered.last().is_none_or(|last| {
            last.number + last.batch.len() as u64 == parcel.number
                && (last.generation, last.epoch) == (parcel.generation, parcel.epoch)
        })
    }

    /// Writes what is gathered.
    fn write_gathered(&mut self) -> Result<(), PublishError> {
        let Some(first) = self.gathered.first().cloned() else { return Ok(()) };
        let mut rows = Batch::new(&first.schema.types());
        for parcel in &self.gathered {
            rows.extend(&parcel.batch, 0, parcel.batch.len());
        }
        self.forget_gathered();
        match self.write(&first, first.number, rows) {
            Ok(()) => {
                self.is_careful = false;
                Ok(())
            }
            Err(error) => {
                self.is_lost = true;
                self.is_careful = true;
                Err(self.told(&error))
            }
        }
    }

    fn forget_gathered(&mut self) {
        self.gathered.clear();
        (self.rows, self.bytes) = (0, 0);
    }

    /// Writes one parcel, and finds the rows of it that are refused.
    fn write_alone(&mut self, parcel: &Parcel) -> Result<(), PublishError> {
        let count = parcel.batch.len();
        let mut start = match self.passed {
            (number, passed) if number == parcel.number => (passed + 1 - number) as usize,
            _ => 0,
        };
        let mut step = count - start;
        while start < count {
            let end = (start + step).min(count);
            let mut rows = Batch::new(&parcel.schema.types());
            rows.extend(&parcel.batch, start, end);
            match self.write(parcel, parcel.number + start as u64, rows) {
                Ok(()) => {
                    start = end;
                    self.passed = (parcel.number, parcel.number + end as u64 - 1);
                }
                Err(error) if !blames_rows(&error) => return Err(self.told(&error)),
                Err(_) if step > 1 => step = step.div_ceil(2),
                Err(error) => {
                    self.passed = (parcel.number, parcel.number + start as u64);
                    self.trouble.clear();
                    return Err(PublishError::permanent(error.message).of_rows(start..end));
                }
            }
        }
        self.is_careful = false;
        // Those at the end may have been refused.
        self.written = (parcel.generation, parcel.number + count as u64 - 1);
        Ok(())
    }

    /// Writes rows in one transaction; the first has this number.
    fn write(&mut self, parcel: &Parcel, number: u64, rows: Batch) -> Result<(), StoreError> {
        apart(|| self.write_here(parcel, number, rows))
    }

    fn write_here(&mut self, parcel: &Parcel, number: u64, rows: Batch) -> Result<(), StoreError> {
        let count = rows.len();
        let mut session = self.store.session()?;
        self.make_ready(&mut session)?;
        let writer = Writer { plan: self.plan.clone(), name: parcel.publisher.to_string() };
        let (generation, epoch) = (parcel.generation, parcel.epoch);
        let apply = |session: &mut Session, skip: usize| self.apply(session, rows, skip);
        let done =
            store::write_once(&mut session, &writer, generation, epoch, number, count, apply);
        if done.as_ref().is_err_and(|error| error.kind == Kind::Refused) {
            // The table may have been changed or taken away: rows are not to blame for that.
            self.is_ready = false;
            self.make_ready(&mut session)
                .map_err(|error| StoreError { kind: Kind::Broken, ..error })?;
        }
        done?;
        self.written = (generation, number + count as u64 - 1);
        self.trouble.clear();
        self.purge(&mut session);
        Ok(())
    }

    fn make_ready(&mut self, session: &mut Session) -> Result<(), StoreError> {
        if !self.is_ready {
            session.make_or_check(&self.table)?;
            self.is_ready = true;
        }
        Ok(())
    }

    /// Writes the rows from `skip` on, within a transaction.
    fn apply(&self, session: &mut Session, rows: Batch, skip: usize) -> Result<(), StoreError> {
        let table = &self.table;
        let (change, rows) = match self.job {
            Job::Changes => {
                let Net { deletes, upserts } = batches::net(&rows, skip, &table.key);
                if !deletes.is_empty() {
                    session.change(Change::Delete, table, &deletes, 0..deletes.len())?;
                }
                session.change(Change::Upsert, table, &upserts, 0..upserts.len())?;
                return Ok(());
            }
            Job::Events { has_time: false, .. } => (Change::Insert, batches::with_time(rows)),
            Job::Events { .. } | Job::Insert => (Change::Insert, rows),
            Job::Upsert => (Change::Upsert, rows),
            // Others do these.
            Job::Errands(_) => return Ok(()),
        };
        session.change(change, table, &rows, skip..rows.len()).map(|_| ())
    }

    /// Deletes events that are too old, now and then. Doing it twice does no harm, and what fails
    /// is done the next time.
    fn purge(&mut self, session: &mut Session) {
        let Job::Events { kept: Some(kept), interval, .. } = self.job else { return };
        let interval = Duration::from_millis(interval.unsigned_abs());
        if self.purged.is_some_and(|purged| purged.elapsed() < interval) {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = i64::try_from(now.as_millis()).unwrap_or(i64::MAX).saturating_sub(kept);
        let dialect = session.dialect();
        let sql = format!(
            "DELETE FROM {} WHERE {} < {}",
            dialect.quote(&self.table.name),
            dialect.quote(TIMESTAMP),
            dialect.placeholder(1)
        );
        let (plan, table) = (&self.plan, &self.table.name);
        match session.execute(&sql, &[Value::Long(before)]) {
            Ok(rows) => {
                self.purged = Some(Instant::now());
                debug!(plan, table, rows, "events that are too old were deleted");
            }
            Err(error) => warn!(plan, table, %error, "events that are too old stay for now"),
        }
    }

    /// An error of the store as one of a publisher.
    fn told(&mut self, error: &StoreError) -> PublishError {
        self.trouble = error.message.clone();
        match error.kind {
            Kind::Deposed => PublishError::deposed(error.message.as_str()),
            _ => PublishError::transient(error.message.as_str()),
        }
    }

    /// Deletes events that are too old, if it is time.
    fn purge_alone(&mut self) -> Result<(), StoreError> {
        let mut session = self.store.session()?;
        self.make_ready(&mut session)?;
        self.purge(&mut session);
        Ok(())
    }
}

/// Works in a thread of its own: a session must not be used in one that drives an actor.
pub(super) fn apart<T: Send>(
    work: impl FnOnce() -> Result<T, StoreError> + Send,
) -> Result<T, StoreError> {
    thread::scope(|scope| {
        let begun =
            thread::Builder::new().name("store-writer".to_owned()).spawn_scoped(scope, work);
        let begun = begun.map_err(|error| StoreError::new(Kind::Lost, error))?;
        begun.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Whether rows are refused for what they are.
pub(super) fn blames_rows(error: &StoreError) -> bool {
    matches!(error.kind, Kind::Refused | Kind::Conflict)
}

impl Publisher for Rdbms {
    /// The store is asked when there is something to write: on a node that follows there is not.
    fn open(&mut self) -> Result<(), PublishError> {
        Ok(())
    }

    fn publish(&mut self, parcel: &Parcel) -> Result<(), PublishError> {
        if !batches::fits(&parcel.batch, &parcel.schema.types()) {
            return Err(PublishError::permanent("rows of another version of the plan"));
        }
        if self.written.0 != parcel.generation || self.written.1 >= parcel.number {
            // Another history, or one gone back: what was written says nothing of it.
            self.written = (parcel.generation, parcel.number - 1);
        }
        if !self.follows(parcel) {
            self.write_gathered()?;
        }
        if self.is_careful {
            return self.write_alone(parcel);
        }
        self.rows += parcel.batch.len();
        self.bytes += parcel.batch.bytes();
        self.gathered.push(Parcel { batch: Arc::clone(&parcel.batch), ..parcel.clone() });
        if self.rows >= ROWS_MAX || self.bytes >= BYTES_MAX {
            return self.write_gathered();
        }
        Ok(())
    }

    fn settled(&mut self, number: u64) -> bool {
        number <= self.written.1
    }

    fn is_lost(&mut self) -> bool {
        std::mem::take(&mut self.is_lost)
    }

    fn flush(&mut self) -> Result<(), PublishError> {
        self.write_gathered()
    }

    fn rest(&mut self, may_act: bool) -> Option<Duration> {
        let Job::Events { kept: Some(_), interval, .. } = self.job else { return None };
        if may_act && let Err(error) = apart(|| self.purge_alone()) {
            let (plan, table) = (&self.plan, &self.table.name);
            warn!(plan, table, %error, "events that are too old stay for now");
        }
        Some(Duration::from_millis(interval.unsigned_abs()).min(LOOK_MAX))
    }

    fn bears_ids(&self) -> bool {
        true
    }

    fn close(&mut self) {
        // What is not written by now is kept with the plan.
        self.forget_gathered();
    }

    fn detail(&self) -> String {
        let (store, table) = (self.store.name(), &self.table.name);
        match self.trouble.as_str() {
            "" => format!("into table {table} of store {store}, {} rows wait", self.rows),
            trouble => format!("into table {table} of store {store}; {trouble}"),
        }
    }
}

impl fmt::Debug for Rdbms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rdbms").field("table", &self.table.name).finish_non_exhaustive()
    }
}
