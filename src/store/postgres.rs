//! A connection to PostgreSQL.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use sqlx::Arguments;
use sqlx::AssertSqlSafe;
use sqlx::ConnectOptions;
use sqlx::PgConnection;
use sqlx::postgres::PgArguments;
use sqlx::postgres::PgConnectOptions;

use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Value;
use crate::event::Values;
use crate::store::Change;
use crate::store::Dialect;
use crate::store::StoreError;
use crate::store::Table;
use crate::store::change::last_of_each_key;
use crate::store::driver::Driver;
use crate::store::driver::Query;
use crate::store::driver::TRANSACTION_REST_MAX;
use crate::store::driver::Take;
use crate::store::driver::encoded;
use crate::store::remote::Waiter;
use crate::store::remote::explain;

/// Rows of one statement; bounds what is held as lists at once.
const ROWS_A_STATEMENT: usize = 4096;

/// A connection to a server.
pub(super) struct Postgres {
    pub(super) connection: PgConnection,
    pub(super) waiter: Waiter,
}

impl Postgres {
    /// Connects to the server at this address.
    ///
    /// # Errors
    /// It does not answer in time, or refuses.
    pub(super) fn open(
        url: &str,
        user: &str,
        password: Option<String>,
        limit: Duration,
    ) -> Result<Postgres, StoreError> {
        let mut options = PgConnectOptions::from_str(url)
            .map_err(explain)?
            .application_name("twinflow")
            .disable_statement_logging();
        if !user.is_empty() {
            options = options.username(user);
        }
        if let Some(password) = password {
            options = options.password(&password);
        }
        let waiter = Waiter::new(limit)?;
        let connection = waiter.connect(options.connect())?;
        let mut postgres = Postgres { connection, waiter };
        postgres.run(&format!(
            "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
             SET client_min_messages = warning",
            limit.as_millis(),
            TRANSACTION_REST_MAX.as_millis()
        ))?;
        Ok(postgres)
    }
}

impl Driver for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        let statements = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection);
        self.waiter.wait(statements).map(|_| ())
    }

    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let statement =
            sqlx::query_with(AssertSqlSafe(with_types(sql, values)), arguments(values)?);
        let done = self.waiter.wait(statement.execute(&mut self.connection))?;
        Ok(done.rows_affected())
    }

    fn read(&mut self, query: &Query<'_>, take: Take<'_>) -> Result<(), StoreError> {
        let sql = with_types(query.sql, query.values);
        let statement = sqlx::query_with(AssertSqlSafe(sql), arguments(query.values)?);
        let rows = statement.fetch(&mut self.connection);
        self.waiter.read(rows, query, take)
    }

    fn change(
        &mut self,
        change: Change,
        table: &Table,
        batch: &Batch,
        mut rows: Range<usize>,
    ) -> Result<u64, StoreError> {
        let sql = Dialect::Postgres.change(change, table, 0);
        let takes = change.takes(table);
        let mut changed = 0;
        while !rows.is_empty() {
            let end = rows.end.min(rows.start + ROWS_A_STATEMENT);
            let these = rows.start..end;
            let chosen: Vec<usize> = match change {
                Change::Insert => these.collect(),
                // A statement may meet each row once.
                _ => last_of_each_key(table, batch, these),
            };
            let mut arguments = PgArguments::default();
            for &column in &takes {
                add_list(&mut arguments, &batch.columns[column], &chosen)?;
            }
            let statement = sqlx::query_with(AssertSqlSafe(sql.as_str()), arguments);
            let done = self.waiter.wait(statement.execute(&mut self.connection))?;
            changed += done.rows_affected();
            rows.start = end;
        }
        Ok(changed)
    }
}

/// Prepared statements are found again by their text, and each has fixed types: so the types stand
/// in the text.
fn with_types(sql: &str, values: &[Value]) -> String {
    let mut text = String::with_capacity(sql.len() + 8 + values.len());
    text.push_str(sql);
    if !values.is_empty() {
        text.push_str(" /* ");
        for value in values {
            let _ = write!(text, "{} ", value.data_type().map_or("null", DataType::name));
        }
        text.push_str("*/");
    }
    text
}

/// A null of whatever type the statement needs.
struct Untyped;

impl sqlx::Type<sqlx::Postgres> for Untyped {
    fn type_info() -> sqlx::postgres::PgTypeInfo {
        sqlx::postgres::PgTypeInfo::with_oid(sqlx::postgres::types::Oid(0))
    }
}

impl sqlx::Encode<'_, sqlx::Postgres> for Untyped {
    fn encode_by_ref(
        &self,
        _: &mut sqlx::postgres::PgArgumentBuffer,
    ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
        Ok(sqlx::encode::IsNull::Yes)
    }
}

fn arguments(values: &[Value]) -> Result<PgArguments, StoreError> {
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Null => arguments.add(Untyped),
            Value::Int(value) => arguments.add(value),
            Value::Long(value) => arguments.add(value),
            Value::Float(value) => arguments.add(value),
            Value::Double(value) => arguments.add(value),
            Value::Bool(value) => arguments.add(value),
            Value::Text(value) => arguments.add(without_zeros(value)),
            Value::Object(_) => arguments.add(encoded(value)),
        }
        .map_err(StoreError::refused)?;
    }
    Ok(arguments)
}

fn add_list(
    arguments: &mut PgArguments,
    column: &Column,
    rows: &[usize],
) -> Result<(), StoreError> {
    fn list<'a, T>(
        column: &Column,
        rows: &[usize],
        value: impl Fn(usize) -> T + 'a,
    ) -> Vec<Option<T>> {
        rows.iter().map(|&row| (!column.is_null(row)).then(|| value(row))).collect()
    }
    match &column.values {
        Values::Absent => arguments.add(vec![None::<i32>; rows.len()]),
        Values::Int(vector) => arguments.add(list(column, rows, |row| vector[row])),
        Values::Long(vector) => arguments.add(list(column, rows, |row| vector[row])),
        Values::Float(vector) => arguments.add(list(column, rows, |row| vector[row])),
        Values::Double(vector) => arguments.add(list(column, rows, |row| vector[row])),
        Values::Bool(vector) => arguments.add(list(column, rows, |row| vector[row])),
        Values::Text(vector) => {
            arguments.add(list(column, rows, |row| without_zeros(&vector[row])))
        }
        Values::Object(vector) => arguments.add(list(column, rows, |row| encoded(&vector[row]))),
    }
    .map_err(StoreError::refused)
}

/// There is no U+0000 in its texts.
fn without_zeros(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}
