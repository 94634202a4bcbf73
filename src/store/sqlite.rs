//! A connection to a file of SQLite.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use rusqlite::Connection;
use rusqlite::ErrorCode;
use rusqlite::OpenFlags;
use rusqlite::Row;
use rusqlite::ToSql;
use rusqlite::ffi;
use rusqlite::types::ToSqlOutput;
use rusqlite::types::ValueRef;

use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Text;
use crate::event::Value;
use crate::event::Values;
use crate::event::codec::Encode;
use crate::store::Change;
use crate::store::Dialect;
use crate::store::Kind;
use crate::store::StoreError;
use crate::store::Table;
use crate::store::driver::Driver;
use crate::store::driver::Query;
use crate::store::driver::Take;
use crate::store::driver::encoded;

/// Statements kept prepared.
const STATEMENTS: usize = 100;
/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 10_000;

/// Each row is a statement; so many share the time of one, which is long.
const ROWS_A_TIME: usize = 64;

/// A connection to a file.
pub(super) struct Sqlite {
    connection: Connection,
    limit: Duration,
    /// When the statement that runs has to be done.
    until: Arc<Mutex<Option<Instant>>>,
}

impl Sqlite {
    /// Opens the file; makes it, and its folder, where there is none.
    ///
    /// # Errors
    /// The system refuses, or it is no database.
    pub(super) fn open(path: &Path, limit: Duration) -> Result<Sqlite, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| {
                StoreError::new(Kind::Lost, format!("folder `{}`: {error}", folder.display()))
            })?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
            connection.busy_timeout(limit)?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            // Committed survives the loss of power: results count as having left then.
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            Ok(connection)
        });
        let connection = opened.map_err(|error| {
            let StoreError { kind, message } = explain(error);
            StoreError::new(kind, format!("file `{}`: {message}", path.display()))
        })?;
        let until = Arc::new(Mutex::new(None));
        let looked = Arc::clone(&until);
        let is_late = move || {
            let until: Option<Instant> = *looked.lock().unwrap_or_else(PoisonError::into_inner);
            until.is_some_and(|until| Instant::now() > until)
        };
        connection.progress_handler(STEPS, Some(is_late)).map_err(explain)?;
        Ok(Sqlite { connection, limit, until })
    }

    fn timed<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.begin_time();
        let done = work(&self.connection);
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = None;
        done
    }

    /// A statement begins: its time counts from now.
    fn begin_time(&self) {
        let until = Instant::now() + self.limit;
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}

impl Driver for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        self.timed(|connection| connection.execute_batch(sql).map_err(explain))
    }

    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.timed(|connection| {
            let mut statement = connection.prepare_cached(sql).map_err(explain)?;
            let values = rusqlite::params_from_iter(values.iter().map(Given));
            statement.execute(values).map(|rows| rows as u64).map_err(explain)
        })
    }

    fn read(&mut self, query: &Query<'_>, take: Take<'_>) -> Result<(), StoreError> {
        self.timed(|connection| {
            let mut statement = connection.prepare_cached(query.sql).map_err(explain)?;
            let values = rusqlite::params_from_iter(query.values.iter().map(Given));
            let mut rows = statement.query(values).map_err(explain)?;
            let mut batch = Batch::new(query.types);
            while let Some(row) = rows.next().map_err(explain)? {
                push_row(&mut batch, row)?;
                if batch.len() == query.rows_at_once {
                    take(std::mem::replace(&mut batch, Batch::new(query.types)))?;
                }
            }
            if batch.is_empty() { Ok(()) } else { take(batch) }
        })
    }

    fn change(
        &mut self,
        change: Change,
        table: &Table,
        batch: &Batch,
        rows: Range<usize>,
    ) -> Result<u64, StoreError> {
        let sql = Dialect::Sqlite.change(change, table, 1);
        let takes = change.takes(table);
        self.timed(|connection| {
            let mut statement = connection.prepare_cached(&sql).map_err(explain)?;
            let mut changed = 0;
            for (count, row) in rows.enumerate() {
                if count.is_multiple_of(ROWS_A_TIME) {
                    self.begin_time();
                }
                for (place, &column) in takes.iter().enumerate() {
                    let cell = Cell { column: &batch.columns[column], row };
                    statement.raw_bind_parameter(place + 1, cell).map_err(explain)?;
                }
                changed += statement.raw_execute().map_err(explain)?;
            }
            Ok(changed as u64)
        })
    }
}

fn push_row(batch: &mut Batch, row: &Row<'_>) -> Result<(), StoreError> {
    for (index, column) in batch.columns.iter_mut().enumerate() {
        let value = row.get_ref(index).map_err(explain)?;
        if !push(column, value) {
            let name = row.as_ref().column_name(index).unwrap_or("?");
            let ty = column.values.data_type().map_or("?", DataType::name);
            let text = format!("column `{name}` holds a value that is no {ty}: {value:?}");
            return Err(StoreError::refused(text));
        }
    }
    batch.push_head(0, crate::event::Kind::Current, 0);
    Ok(())
}

/// Appends a value if it is of the column's type.
fn push(column: &mut Column, value: ValueRef<'_>) -> bool {
    match (&mut column.values, value) {
        (_, ValueRef::Null) => column.push_null(),
        (Values::Int(vector), ValueRef::Integer(value)) => match i32::try_from(value) {
            Ok(value) => vector.push(value),
            Err(_) => return false,
        },
        (Values::Long(vector), ValueRef::Integer(value)) => vector.push(value),
        (Values::Bool(vector), ValueRef::Integer(value)) => vector.push(value != 0),
        (Values::Float(vector), ValueRef::Real(value)) => vector.push(value as f32),
        (Values::Float(vector), ValueRef::Integer(value)) => vector.push(value as f32),
        (Values::Double(vector), ValueRef::Real(value)) => vector.push(value),
        (Values::Double(vector), ValueRef::Integer(value)) => vector.push(value as f64),
        (Values::Text(vector), ValueRef::Text(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => vector.push(Text::from(text)),
            Err(_) => return false,
        },
        (Values::Object(vector), ValueRef::Blob(mut bytes)) => match Value::decode(&mut bytes) {
            Ok(value) => vector.push(value),
            Err(_) => return false,
        },
        _ => return false,
    }
    true
}

/// A value in a place of a statement.
struct Given<'a>(&'a Value);

impl ToSql for Given<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(i64::from(*value)),
            Value::Long(value) => ValueRef::Integer(*value),
            Value::Float(value) => ValueRef::Real(f64::from(*value)),
            Value::Double(value) => ValueRef::Real(*value),
            Value::Bool(value) => ValueRef::Integer(i64::from(*value)),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Object(_) => return Ok(object(self.0)),
        }))
    }
}

/// A value of a batch in a place of a statement.
struct Cell<'a> {
    column: &'a Column,
    row: usize,
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let Cell { column, row } = *self;
        if column.is_null(row) {
            return Ok(ToSqlOutput::Borrowed(ValueRef::Null));
        }
        Ok(ToSqlOutput::Borrowed(match &column.values {
            Values::Absent => ValueRef::Null,
            Values::Int(vector) => ValueRef::Integer(i64::from(vector[row])),
            Values::Long(vector) => ValueRef::Integer(vector[row]),
            Values::Float(vector) => ValueRef::Real(f64::from(vector[row])),
            Values::Double(vector) => ValueRef::Real(vector[row]),
            Values::Bool(vector) => ValueRef::Integer(i64::from(vector[row])),
            Values::Text(vector) => ValueRef::Text(vector[row].as_bytes()),
            Values::Object(vector) => return Ok(object(&vector[row])),
        }))
    }
}

fn object(value: &Value) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(rusqlite::types::Value::Blob(encoded(value)))
}

/// An error of SQLite by what may be done about it.
pub(super) fn explain(error: rusqlite::Error) -> StoreError {
    let rusqlite::Error::SqliteFailure(code, _) = &error else {
        return StoreError::refused(error);
    };
    let kind = match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Kind::Busy,
        ErrorCode::OperationInterrupted => Kind::Slow,
        ErrorCode::ConstraintViolation => match code.extended_code {
            ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_ROWID => Kind::Conflict,
            _ => Kind::Refused,
        },
        ErrorCode::SystemIoFailure
        | ErrorCode::DiskFull
        | ErrorCode::CannotOpen
        | ErrorCode::OutOfMemory
        | ErrorCode::NoLargeFileSupport => Kind::Lost,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Kind::Broken,
        _ => Kind::Refused,
    };
    StoreError::new(kind, error)
}
