//! A connection of a store, lent from its pool: transactions, statements, rows.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::event::Batch;
use crate::event::DataType;
use crate::event::Value;
use crate::store::Change;
use crate::store::Dialect;
use crate::store::Kind;
use crate::store::StoreError;
use crate::store::Table;
use crate::store::driver::Driver;
use crate::store::driver::Query;
use crate::store::pool::Pool;

/// Rows handed over at once where nobody says otherwise.
const ROWS_AT_ONCE: usize = 1024;

/// A connection, lent. When it is dropped it goes back to the pool; what was not committed is
/// undone.
pub struct Session {
    pool: Arc<Pool>,
    /// There until the session is dropped.
    driver: Option<Box<dyn Driver>>,
    in_transaction: bool,
    lost: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Session with {}", self.pool.name())
    }
}

impl Session {
    pub(super) fn new(pool: Arc<Pool>, driver: Box<dyn Driver>) -> Session {
        Session { pool, driver: Some(driver), in_transaction: false, lost: false }
    }

    /// The SQL that the store speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.driver.as_ref().expect(LENT).dialect()
    }

    /// The store's name.
    #[must_use]
    pub fn store(&self) -> &str {
        self.pool.name()
    }

    /// Begins a transaction that may write.
    ///
    /// # Errors
    /// The store cannot do it now. Also where one is open already, which is a fault of the caller.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        if self.in_transaction {
            return Err(self.refused("a transaction is open already"));
        }
        let sql = self.dialect().begin();
        self.with(|driver| driver.run(sql))?;
        self.in_transaction = true;
        Ok(())
    }

    /// Makes what the transaction did last.
    ///
    /// # Errors
    /// [`Kind::Lost`] where nobody knows whether it was done; else it was undone.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        let done = self.with(|driver| driver.run("COMMIT"));
        if done.is_err() {
            // It may still be open there; its outcome is what the error says.
            let _ = self.rollback();
        }
        self.in_transaction = false;
        done
    }

    /// Undoes what the transaction did.
    ///
    /// # Errors
    /// The connection is lost; then it is undone as well, a little later.
    pub fn rollback(&mut self) -> Result<(), StoreError> {
        if !std::mem::take(&mut self.in_transaction) || self.lost {
            return Ok(());
        }
        let done = self.with(|driver| driver.run("ROLLBACK"));
        // Whatever it says, this connection is in no state that anyone knows.
        self.lost |= done.is_err();
        done
    }

    /// Does some work in one transaction: committed if the work goes well, else undone.
    ///
    /// # Errors
    /// Those of the work, and of the transaction.
    pub fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.begin()?;
        match work(self) {
            Ok(done) => self.commit().map(|()| done),
            Err(error) => {
                // The work's error says more than what undoing it could.
                let _ = self.rollback();
                Err(error)
            }
        }
    }

    /// Runs one statement with values in its places; says how many rows it changed.
    ///
    /// # Errors
    /// What the store says, by kind.
    pub fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.with(|driver| driver.execute(sql, values))
    }

    /// Runs statements without values, one or more.
    ///
    /// # Errors
    /// What the store says, by kind. Those before the one that failed may have been done.
    pub fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        self.with(|driver| driver.run(sql))
    }

    /// All rows of a query, whose columns are read as these types.
    ///
    /// # Errors
    /// What the store says, by kind; a value that is not of its column's type is refused.
    pub fn query(
        &mut self,
        sql: &str,
        values: &[Value],
        types: &[DataType],
    ) -> Result<Batch, StoreError> {
        let mut all = Batch::new(types);
        self.read(sql, values, types, |rows| {
            all.extend(&rows, 0, rows.len());
            Ok(())
        })?;
        Ok(all)
    }

    /// The rows of a query in pieces as they come, so that any number of them takes little memory.
    /// Where taking fails the query ends.
    ///
    /// # Errors
    /// As for [`query`](Session::query), and those of taking.
    pub fn read(
        &mut self,
        sql: &str,
        values: &[Value],
        types: &[DataType],
        mut take: impl FnMut(Batch) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let query = Query { sql, values, types, rows_at_once: ROWS_AT_ONCE };
        self.with(|driver| driver.read(&query, &mut take))
    }

    /// Changes a table by rows of a batch, whose columns are those of the table; says how many rows
    /// the store counts as changed, each database in its own way. What a database cannot hold it
    /// gets as something near: NaN as null where there is none, also infinite numbers, and U+FFFD
    /// for U+0000 in a text.
    ///
    /// # Errors
    /// What the store says, by kind. Without a transaction some rows may have been changed.
    ///
    /// # Panics
    /// If the batch has other columns, or there is no key by which to find rows.
    pub fn change(
        &mut self,
        change: Change,
        table: &Table,
        batch: &Batch,
        rows: Range<usize>,
    ) -> Result<u64, StoreError> {
        assert_eq!(batch.columns.len(), table.schema.len(), "the columns of {}", table.name);
        assert!(change == Change::Insert || !table.key.is_empty(), "{} has no key", table.name);
        let nothing_to_set = change == Change::Update && table.key.len() == table.schema.len();
        if rows.is_empty() || nothing_to_set {
            return Ok(0);
        }
        self.with(|driver| driver.change(change, table, batch, rows))
    }

    /// So many rows are written for good.
    pub(super) fn count_written(&self, rows: usize) {
        self.pool.figures().rows.inc_by(rows as u64);
    }

    /// An error of this store that says why it does not do something.
    pub(super) fn refused(&self, message: &str) -> StoreError {
        StoreError::refused(message).of(self.pool.name())
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut dyn Driver) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.lost {
            let error = StoreError::new(Kind::Lost, "the connection of this session is lost");
            return Err(error.of(self.pool.name()));
        }
        let driver = self.driver.as_mut().expect(LENT);
        self.pool.figures().requests.inc();
        work(driver.as_mut()).map_err(|error| {
            self.pool.figures().failed(error.kind.word());
            self.lost |= error.kind == Kind::Lost;
            error.of(self.pool.name())
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Undone by the database itself where this fails, for then the connection ends.
        let _ = self.rollback();
        if let Some(driver) = self.driver.take() {
            self.pool.give_back(driver, self.lost);
        }
    }
}

const LENT: &str = "a session has its connection until it is dropped";
