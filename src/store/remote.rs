//! What the connections to servers have in common: a reactor of their own, a time limit on every
//! answer, and what errors mean.

use std::future::Future;
use std::io;
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use sqlx::ColumnIndex;
use sqlx::Decode;
use sqlx::Row;
use sqlx::error::ErrorKind;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;

use crate::event::Batch;
use crate::event::DataType;
use crate::event::Text;
use crate::event::Value;
use crate::event::codec::Encode;
use crate::store::Kind;
use crate::store::StoreError;
use crate::store::driver::Query;
use crate::store::driver::Take;

/// The server gives up a statement by itself; so much later at most its answer is no more waited
/// for.
const GRACE_MAX: Duration = Duration::from_secs(1);

/// Waits for answers in the thread that asks.
#[derive(Debug)]
pub(super) struct Waiter {
    runtime: Runtime,
    limit: Duration,
}

impl Waiter {
    /// A reactor for one connection, on which no answer is waited for much longer than `limit`.
    ///
    /// # Errors
    /// The system gives none.
    pub(super) fn new(limit: Duration) -> Result<Waiter, StoreError> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|error| StoreError::new(Kind::Lost, error))?;
        Ok(Waiter { runtime, limit })
    }

    /// Waits for the connection to be made.
    ///
    /// # Errors
    /// Why it was not; always to be tried again unless the server refuses.
    pub(super) fn connect<T>(
        &self,
        connecting: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        match self.run(async { tokio::time::timeout(self.limit, connecting).await }) {
            Ok(done) => done.map_err(explain),
            Err(_) => {
                let text = format!("no connection within {:?}", self.limit);
                Err(StoreError::new(Kind::Lost, text))
            }
        }
    }

    /// Waits for anything, which has to have an end of its own.
    pub(super) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// What the server says, by kind. Without an answer in time the connection counts as lost.
    pub(super) fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let limit = self.limit + GRACE_MAX.min(self.limit / 4);
        match self.run(async { tokio::time::timeout(limit, answer).await }) {
            Ok(done) => done.map_err(explain),
            Err(_) => Err(StoreError::new(Kind::Lost, format!("no answer within {limit:?}"))),
        }
    }

    /// Hands over the rows of a query as they come, so many at once as it says.
    ///
    /// # Errors
    /// As for any answer, and those of taking.
    pub(super) fn read<R: Readable>(
        &self,
        mut rows: BoxStream<'_, Result<R, sqlx::Error>>,
        query: &Query<'_>,
        take: Take<'_>,
    ) -> Result<(), StoreError> {
        loop {
            let mut batch = Batch::new(query.types);
            let more = self.wait(async {
                while batch.len() < query.rows_at_once {
                    match rows.try_next().await? {
                        Some(row) => push_row(&mut batch, &row)?,
                        None => return Ok(false),
                    }
                }
                Ok(true)
            })?;
            if !batch.is_empty() {
                take(batch)?;
            }
            if !more {
                return Ok(());
            }
        }
    }
}

/// A row whose columns can be read, by number, as the types of events.
pub(super) trait Readable {
    /// The value in a column.
    fn read(&self, index: usize, ty: DataType) -> Result<Value, sqlx::Error>;
}

impl<R: Row> Readable for R
where
    usize: ColumnIndex<R>,
    for<'r> i32: Decode<'r, R::Database>,
    for<'r> i64: Decode<'r, R::Database>,
    for<'r> f32: Decode<'r, R::Database>,
    for<'r> f64: Decode<'r, R::Database>,
    for<'r> bool: Decode<'r, R::Database>,
    for<'r> &'r str: Decode<'r, R::Database>,
    for<'r> &'r [u8]: Decode<'r, R::Database>,
{
    fn read(&self, index: usize, ty: DataType) -> Result<Value, sqlx::Error> {
        let value = match ty {
            DataType::Int => self.try_get_unchecked::<Option<_>, _>(index)?.map(Value::Int),
            DataType::Long => self.try_get_unchecked::<Option<_>, _>(index)?.map(Value::Long),
            DataType::Float => self.try_get_unchecked::<Option<_>, _>(index)?.map(Value::Float),
            DataType::Double => self.try_get_unchecked::<Option<_>, _>(index)?.map(Value::Double),
            DataType::Bool => self.try_get_unchecked::<Option<_>, _>(index)?.map(Value::Bool),
            DataType::Text => {
                let text = self.try_get_unchecked::<Option<&str>, _>(index)?;
                text.map(|text| Value::Text(Text::from(text)))
            }
            DataType::Object => {
                let bytes = self.try_get_unchecked::<Option<&[u8]>, _>(index)?;
                let read = bytes.map(|mut bytes| Value::decode(&mut bytes));
                read.transpose().map_err(|error| sqlx::Error::Decode(error.into()))?
            }
        };
        Ok(value.unwrap_or(Value::Null))
    }
}

fn push_row(batch: &mut Batch, row: &impl Readable) -> Result<(), sqlx::Error> {
    for (index, column) in batch.columns.iter_mut().enumerate() {
        let ty = column.values.data_type().unwrap_or(DataType::Text);
        column.push(&row.read(index, ty)?);
    }
    batch.push_head(0, crate::event::Kind::Current, 0);
    Ok(())
}

/// An error of a server or of the way to it, by what may be done about it.
pub(super) fn explain(error: sqlx::Error) -> StoreError {
    let kind = match &error {
        sqlx::Error::Database(told) => match told.try_downcast_ref::<PgDatabaseError>() {
            Some(postgres) => postgres_kind(postgres.code()),
            None => match told.try_downcast_ref::<MySqlDatabaseError>() {
                Some(mysql) => mysql_kind(mysql.number()),
                None => Kind::Refused,
            },
        }
        .or_conflict(told.kind()),
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => Kind::Lost,
        // A server that is going away breaks off in the middle of greeting.
        sqlx::Error::Tls(cause) if cause.downcast_ref::<io::Error>().is_some() => Kind::Lost,
        _ => Kind::Refused,
    };
    match error {
        sqlx::Error::Database(told) => StoreError::new(kind, told.message()),
        other => StoreError::new(kind, other),
    }
}

impl Kind {
    fn or_conflict(self, kind: ErrorKind) -> Kind {
        if kind == ErrorKind::UniqueViolation { Kind::Conflict } else { self }
    }
}

/// By the SQLSTATE of PostgreSQL.
fn postgres_kind(code: &str) -> Kind {
    match code {
        // Deadlock, serialisation, a lock not had.
        "40001" | "40P01" | "55P03" => Kind::Busy,
        "57014" => Kind::Slow,
        // The server stops or starts, or ended this session.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" => Kind::Lost,
        // No room for another connection, for rows, or in memory: that passes.
        _ if code.starts_with("53") || code.starts_with("08") => Kind::Lost,
        // The system below it, and faults of its own.
        _ if code.starts_with("58") || code.starts_with("XX") => Kind::Lost,
        _ => Kind::Refused,
    }
}

/// By the number of MySQL's or MariaDB's error.
fn mysql_kind(number: u16) -> Kind {
    match number {
        // Waited too long for a lock, deadlock, record changed since.
        1205 | 1213 | 1020 => Kind::Busy,
        // Interrupted, by the time limit too.
        1317 | 1969 | 3024 => Kind::Slow,
        // Too many connections, shutting down, killed, disk full, memory, read only for now.
        1040
        | 1053
        | 1077
        | 1079
        | 1080
        | 1152..=1161
        | 1927
        | 1021
        | 1037
        | 1041
        | 1203
        | 1290 => Kind::Lost,
        4031 => Kind::Lost,
        _ => Kind::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_way_may_pass_and_bad_sql_does_not() {
        let broken = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(explain(sqlx::Error::Io(broken)).kind, Kind::Lost);
        assert_eq!(postgres_kind("42601"), Kind::Refused);
        assert_eq!(postgres_kind("57P01"), Kind::Lost);
        assert_eq!(mysql_kind(1213), Kind::Busy);
        assert_eq!(mysql_kind(1064), Kind::Refused);
    }
}
