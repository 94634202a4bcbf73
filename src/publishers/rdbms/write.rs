//! Writes rows to a table of a store, many parcels in one transaction.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use tracing::debug;
use tracing::warn;

use crate::event::Batch;
use crate::event::Value;
use crate::publishers::rdbms::batches;
use crate::publishers::rdbms::batches::Net;
use crate::publishers::rdbms::gathering::Part;
use crate::publishers::rdbms::gathering::Shelf;
use crate::publishers::rdbms::gathering::Work;
use crate::publishers::rdbms::gathering::apart;
use crate::publishers::rdbms::options::Job;
use crate::publishers::rdbms::options::TIMESTAMP;
use crate::store;
use crate::store::Change;
use crate::store::Session;
use crate::store::StoreError;
use crate::store::Table;
use crate::store::Writer;

/// How often it looks whether it is time to delete old events, at least.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// Writes to a table of a store.
pub struct Writing {
    plan: String,
    job: Job,
    /// When old events were deleted last.
    purged: Option<Instant>,
}

impl Writing {
    /// For a plan that has written nothing.
    pub fn new(plan: &str, job: Job) -> Writing {
        Writing { plan: plan.to_owned(), job, purged: None }
    }

    /// Writes the rows from `skip` on, within a transaction.
    fn apply(
        &self,
        table: &Table,
        session: &mut Session,
        rows: Batch,
        skip: usize,
    ) -> Result<(), StoreError> {
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
    fn purge(&mut self, table: &Table, session: &mut Session) {
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
            dialect.quote(&table.name),
            dialect.quote(TIMESTAMP),
            dialect.placeholder(1)
        );
        let (plan, table) = (&self.plan, &table.name);
        match session.execute(&sql, &[Value::Long(before)]) {
            Ok(rows) => {
                self.purged = Some(Instant::now());
                debug!(plan, table, rows, "events that are too old were deleted");
            }
            Err(error) => warn!(plan, table, %error, "events that are too old stay for now"),
        }
    }

    /// Deletes events that are too old, if it is time.
    fn purge_alone(&mut self, shelf: &mut Shelf) -> Result<(), StoreError> {
        let mut session = shelf.session()?;
        self.purge(&shelf.table, &mut session);
        Ok(())
    }
}

impl Work for Writing {
    const ROWS_MAX: usize = 20_000;
    const WORDS: (&'static str, &'static str) = ("into", "rows");

    fn run(
        &mut self,
        shelf: &mut Shelf,
        session: &mut Session,
        run: &[Part],
    ) -> Result<usize, StoreError> {
        let parcel = &run[0].parcel;
        let mut rows = Batch::new(&parcel.schema.types());
        for part in run {
            rows.extend(&part.parcel.batch, part.rows.start, part.rows.end);
        }
        let count = rows.len();
        let writer = Writer { plan: self.plan.clone(), name: parcel.publisher.to_string() };
        let (generation, epoch, first) = (parcel.generation, parcel.epoch, run[0].number());
        let apply =
            |session: &mut Session, skip: usize| self.apply(&shelf.table, session, rows, skip);
        store::write_once(session, &writer, generation, epoch, first, count, apply)?;
        self.purge(&shelf.table, session);
        Ok(count)
    }

    fn rest(&mut self, shelf: &mut Shelf, may_act: bool) -> Option<Duration> {
        let Job::Events { kept: Some(_), interval, .. } = self.job else { return None };
        if may_act && let Err(error) = apart(|| self.purge_alone(shelf)) {
            let (plan, table) = (&self.plan, &shelf.table.name);
            warn!(plan, table, %error, "events that are too old stay for now");
        }
        Some(Duration::from_millis(interval.unsigned_abs()).min(LOOK_MAX))
    }
}
