//! A connection to MySQL or MariaDB.

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use sqlx::Arguments;
use sqlx::AssertSqlSafe;
use sqlx::ConnectOptions;
use sqlx::MySqlConnection;
use sqlx::mysql::MySqlArguments;
use sqlx::mysql::MySqlConnectOptions;

use crate::event::Batch;
use crate::event::Column;
use crate::event::Value;
use crate::event::Values;
use crate::store::Change;
use crate::store::Dialect;
use crate::store::StoreError;
use crate::store::Table;
use crate::store::driver::Driver;
use crate::store::driver::Query;
use crate::store::driver::TRANSACTION_REST_MAX;
use crate::store::driver::Take;
use crate::store::driver::encoded;
use crate::store::remote::Waiter;
use crate::store::remote::explain;

/// A connection to a server.
pub(super) struct Mysql {
    pub(super) connection: MySqlConnection,
    pub(super) waiter: Waiter,
    dialect: Dialect,
    /// So many bytes of a statement, or of its values, the server takes; it ends the connection of
    /// who sends more.
    packet_max: usize,
}

/// Bytes that values take besides their own, each and all together, at most.
const VALUE_BYTES: usize = 16;
const STATEMENT_BYTES: usize = 1_024;

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
        let packet = sqlx::query_scalar::<_, u64>("SELECT CAST(@@max_allowed_packet AS UNSIGNED)");
        let packet = waiter.wait(packet.fetch_one(&mut connection))?;
        let packet_max = usize::try_from(packet).unwrap_or(usize::MAX);
        let mut mysql = Mysql { connection, waiter, dialect, packet_max };
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

    /// Whether the server takes so many bytes at once.
    ///
    /// # Errors
    /// It does not; the connection is as it was.
    fn fits(&self, bytes: usize) -> Result<(), StoreError> {
        let (bytes, most) = (bytes + STATEMENT_BYTES, self.packet_max);
        if bytes < most {
            return Ok(());
        }
        Err(StoreError::refused(format!(
            "a statement of {bytes} bytes, of which the server takes {most} (`max_allowed_packet`)"
        )))
    }

    fn fit(&self, sql: &str, values: &[Value]) -> Result<(), StoreError> {
        let bytes = |value: &Value| match value {
            Value::Text(text) => text.len() + VALUE_BYTES,
            Value::Object(_) => encoded(value).len() + VALUE_BYTES,
            _ => VALUE_BYTES,
        };
        self.fits(sql.len().max(values.iter().map(bytes).sum()))
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
        self.fit(sql, values)?;
        let statement = sqlx::query_with(AssertSqlSafe(sql), arguments(values)?);
        let done = self.waiter.wait(statement.execute(&mut self.connection))?;
        Ok(done.rows_affected())
    }

    fn read(&mut self, query: &Query<'_>, take: Take<'_>) -> Result<(), StoreError> {
        self.fit(query.sql, query.values)?;
        let statement = sqlx::query_with(AssertSqlSafe(query.sql), arguments(query.values)?);
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
        let takes = change.takes(table);
        let most = self.dialect.rows_at_once(change, table);
        let mut changed = 0;
        while !rows.is_empty() {
            // Powers of two, so that few statements serve any number of rows.
            let mut count: usize = 1 << rows.len().min(most).ilog2();
            let bytes = |count: usize| -> usize {
                let cells = |row| takes.iter().map(move |&column| (column, row));
                let cells = (rows.start..rows.start + count).flat_map(cells);
                cells.map(|(column, row)| cell_bytes(&batch.columns[column], row)).sum()
            };
            while count > 1 && self.fits(bytes(count)).is_err() {
                count /= 2;
            }
            self.fits(bytes(count))?;
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
            Value::Object(_) => arguments.add(encoded(value)),
        }
        .map_err(StoreError::refused)?;
    }
    Ok(arguments)
}

/// Bytes that a cell takes as a value, at most.
fn cell_bytes(column: &Column, row: usize) -> usize {
    VALUE_BYTES
        + match &column.values {
            Values::Text(vector) => vector[row].len(),
            Values::Object(vector) => encoded(&vector[row]).len(),
            _ => 0,
        }
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
        Values::Object(vector) => arguments.add(there.then(|| encoded(&vector[row]))),
    }
    .map_err(StoreError::refused)
}
