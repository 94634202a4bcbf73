//! What a database's driver does for a session, whichever database it is.

use std::ops::Range;
use std::time::Duration;

use crate::event::Batch;
use crate::event::DataType;
use crate::event::Value;
use crate::event::codec::Encode;
use crate::store::Change;
use crate::store::Dialect;
use crate::store::StoreError;
use crate::store::Table;

/// Takes rows as they come.
pub(super) type Take<'a> = &'a mut dyn FnMut(Batch) -> Result<(), StoreError>;

/// One connection. Every call blocks, no longer than the time limit of the store.
pub(super) trait Driver: Send {
    /// The SQL it takes.
    fn dialect(&self) -> Dialect;

    /// Runs statements without values, one or more.
    fn run(&mut self, sql: &str) -> Result<(), StoreError>;

    /// Runs one statement; says how many rows it changed.
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError>;

    /// Runs one query, whose columns are read as these types.
    fn read(&mut self, query: &Query<'_>, take: Take<'_>) -> Result<(), StoreError>;

    /// Changes the rows of a table by rows of a batch; says how many it changed.
    fn change(
        &mut self,
        change: Change,
        table: &Table,
        batch: &Batch,
        rows: Range<usize>,
    ) -> Result<u64, StoreError>;
}

/// One query.
pub(super) struct Query<'a> {
    /// The statement.
    pub sql: &'a str,
    /// The values in its places.
    pub values: &'a [Value],
    /// The types of its columns.
    pub types: &'a [DataType],
    /// The most rows handed over at once.
    pub rows_at_once: usize,
}

/// A session that lies still inside a transaction for so long is ended by the server, where the
/// server can: a node that was stopped there must not keep the other one from writing.
pub(super) const TRANSACTION_REST_MAX: Duration = Duration::from_secs(5);

/// How a value of any type stands in a column of bytes.
pub(super) fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}
