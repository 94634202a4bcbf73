//! A connection to MySQL or MariaDB.

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::Arguments;
use sqlx::AssertSqlSafe;
use sqlx::ConnectOptions;
use sqlx::MySqlConnection;
use sqlx::Row;
use sqlx::mysql::MySqlArguments;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::mysql::MySqlRow;

use crate::event::Batch;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Text;
use crate::event::Value;
use crate::event::Values;
use crate::event::codec::Encode;
use crate::store::Change;
use crate::store::Dialect;
use crate::store::StoreError;
use crate::store::Table;
use crate::store::driver::Driver;
use crate::store::driver::Query;
use crate::store::driver::TRANSACTION_REST_MAX;
use crate::store::driver::Take;
use crate::store::remote::Waiter;
use crate::store::remote::explain;

/// A connection to a server.
pub(super) struct Mysql {
    pub(super) connection: MySqlConnection,
    pub(super) waiter: Waiter,
    dialect: Dialect,
}

impl Mysql {
    /// Connects to the server at this address.
    ///
    /// # Errors
    /// It does not answer in time, or refuses.
    pub(super) fn open(
        url: &str,
        user: &str,
        password: Option<String>,
        limit: Duration,
    ) -> Result<Mysql, StoreError> {
        let mut options = MySqlConnectOptions::from_str(url)
            .map_err(explain)?
            .charset("utf8mb4")
            .disable_statement_logging();
        if !user.is_empty() {
            options = options.username(user);
        }
        if let Some(password) = password {
            options = options.password(&password);
        }
        let waiter = Waiter::new(limit)?;
        let mut connection = waiter.connect(options.connect())?;
        let version = sqlx::query_scalar::<_, String>("SELECT version()");
        let version = waiter.wait(version.fetch_one(&mut connection))?;
        let dialect = if version.contains("MariaDB") { Dialect::Mariadb } else { Dialect::Mysql };
        let mut mysql = Mysql { connection, waiter, dialect };
        let seconds = limit.as_secs().max(1);
        let limits = match dialect {
            Dialect::Mariadb => format!(
                "SET SESSION max_statement_time = {}; SET SESSION idle_transaction_timeout = {}",
                limit.as_secs_f64(),
                TRANSACTION_REST_MAX.as_secs()
            ),
            _ => format!("SET SESSION max_execution_time = {}", limit.as_millis()),
        };
        // What does not fit is refused and never cut; what others committed is seen at once.
        mysql.run(&format!(
            "SET SESSION sql_mode = concat(@@sql_mode, ',STRICT_ALL_TABLES'); \
             SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
             SET SESSION innodb_lock_wait_timeout = {seconds}; {limits}"
        ))?;
        Ok(mysql)
    }
}

impl Driver for Mysql {
    fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        let statements = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection);
        self.waiter.wait(statements).map(|_| ())
    }

    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let statement = sqlx::query_with(AssertSqlSafe(sql), arguments(values)?);
        let done = self.waiter.wait(statement.execute(&mut self.connection))?;
        Ok(done.rows_affected())
    }

    fn read(&mut self, query: &Query<'_>, take: Take<'_>) -> Result<(), StoreError> {
        let statement = sqlx::query_with(AssertSqlSafe(query.sql), arguments(query.values)?);
        let mut rows = statement.fetch(&mut self.connection);
        loop {
            let mut batch = Batch::new(query.types);
            let more = self.waiter.wait(async {
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

    fn change(
        &mut self,
        change: Change,
        table: &Table,
        batch: &Batch,
        mut rows: Range<usize>,
    ) -> Result<u64, StoreError> {
        let takes = change.takes(table);
        let most = self.dialect.rows_at_once(change, table);
        let mut changed = 0;
        while !rows.is_empty() {
            // Powers of two, so that few statements serve any number of rows.
            let count = 1 << rows.len().min(most).ilog2();
            let sql = self.dialect.change(change, table, count);
            let mut arguments = MySqlArguments::default();
            arguments.reserve(count * takes.len(), count * takes.len() * 8);
            for row in rows.start..rows.start + count {
                for &column in &takes {
                    add_cell(&mut arguments, &batch.columns[column], row)?;
                }
            }
            let statement = sqlx::query_with(AssertSqlSafe(sql), arguments);
            let done = self.waiter.wait(statement.execute(&mut self.connection))?;
            changed += done.rows_affected();
            rows.start += count;
        }
        Ok(changed)
    }
}

fn arguments(values: &[Value]) -> Result<MySqlArguments, StoreError> {
    let mut arguments = MySqlArguments::default();
    for value in values {
        match value {
            Value::Null => arguments.add(None::<i32>),
            Value::Int(value) => arguments.add(value),
            Value::Long(value) => arguments.add(value),
            Value::Float(value) => arguments.add(value.is_finite().then_some(value)),
            Value::Double(value) => arguments.add(value.is_finite().then_some(value)),
            Value::Bool(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value.as_str()),
            Value::Object(_) => arguments.add(object(value)),
        }
        .map_err(StoreError::refused)?;
    }
    Ok(arguments)
}

fn add_cell(arguments: &mut MySqlArguments, column: &Column, row: usize) -> Result<(), StoreError> {
    let there = !column.is_null(row);
    match &column.values {
        Values::Absent => arguments.add(None::<i32>),
        Values::Int(vector) => arguments.add(there.then_some(vector[row])),
        Values::Long(vector) => arguments.add(there.then_some(vector[row])),
        Values::Float(vector) => {
            arguments.add((there && vector[row].is_finite()).then_some(vector[row]))
        }
        Values::Double(vector) => {
            arguments.add((there && vector[row].is_finite()).then_some(vector[row]))
        }
        Values::Bool(vector) => arguments.add(there.then_some(vector[row])),
        Values::Text(vector) => arguments.add(there.then_some(vector[row].as_str())),
        Values::Object(vector) => arguments.add(there.then(|| object(&vector[row]))),
    }
    .map_err(StoreError::refused)
}

fn object(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

fn push_row(batch: &mut Batch, row: &MySqlRow) -> Result<(), sqlx::Error> {
    for (index, column) in batch.columns.iter_mut().enumerate() {
        let value = value(row, index, column.values.data_type().unwrap_or(DataType::Text))?;
        column.push(&value);
    }
    batch.push_head(0, crate::event::Kind::Current, 0);
    Ok(())
}

fn value(row: &MySqlRow, index: usize, ty: DataType) -> Result<Value, sqlx::Error> {
    let value = match ty {
        DataType::Int => row.try_get_unchecked::<Option<i32>, _>(index)?.map(Value::Int),
        DataType::Long => row.try_get_unchecked::<Option<i64>, _>(index)?.map(Value::Long),
        DataType::Float => row.try_get_unchecked::<Option<f32>, _>(index)?.map(Value::Float),
        DataType::Double => row.try_get_unchecked::<Option<f64>, _>(index)?.map(Value::Double),
        DataType::Bool => {
            let number = row.try_get_unchecked::<Option<i64>, _>(index)?;
            number.map(|number| Value::Bool(number != 0))
        }
        DataType::Text => {
            let text = row.try_get_unchecked::<Option<&str>, _>(index)?;
            text.map(|text| Value::Text(Text::from(text)))
        }
        DataType::Object => {
            let bytes = row.try_get_unchecked::<Option<&[u8]>, _>(index)?;
            let read = bytes.map(|mut bytes| Value::decode(&mut bytes));
            read.transpose().map_err(|error| sqlx::Error::Decode(error.into()))?
        }
    };
    Ok(value.unwrap_or(Value::Null))
}
