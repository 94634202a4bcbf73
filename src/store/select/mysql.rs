//! A SELECT over MySQL or MariaDB: prepared, so that it is one statement, then run in a transaction
//! that only reads.

use std::time::Instant;

use futures_util::TryStreamExt;
use sqlx::AssertSqlSafe;
use sqlx::Executor;
use sqlx::MySqlConnection;
use sqlx::Row;
use sqlx::SqlSafeStr;
use sqlx::Statement;
use sqlx::TypeInfo;
use sqlx::ValueRef;
use sqlx::mysql::MySqlRow;

use crate::event::Text;
use crate::event::Value;
use crate::store::StoreError;
use crate::store::mysql::Mysql;
use crate::store::remote::Waiter;
use crate::store::select::End;
use crate::store::select::Part;
use crate::store::select::Select;
use crate::store::select::TakePart;
use crate::store::select::columns_of;
use crate::store::select::hexadecimal;
use crate::store::select::number;
use crate::store::select::tell;
use crate::store::select::waiting;

/// `again` makes a second connection, by which a statement is ended that must end.
pub(super) fn select(
    mysql: Mysql,
    again: impl FnOnce() -> Result<Mysql, StoreError>,
    select: &Select,
    take: TakePart<'_>,
) -> Result<End, StoreError> {
    let Mysql { mut connection, waiter, .. } = mysql;
    let id = sqlx::query_scalar::<_, u64>("SELECT connection_id()");
    let id = waiter.wait(id.fetch_one(&mut connection))?;
    let done = run(&mut connection, &waiter, select, take);
    if done.as_ref().map_or(true, |end| *end == End::Cut) {
        // It may still be at work there; what cannot be ended now ends by its time limit.
        if let Ok(Mysql { mut connection, waiter, .. }) = again() {
            let kill = sqlx::raw_sql(AssertSqlSafe(format!("KILL {id}")));
            let _ = waiter.wait(kill.execute(&mut connection));
        }
    }
    done
}

fn run(
    connection: &mut MySqlConnection,
    waiter: &Waiter,
    select: &Select,
    take: TakePart<'_>,
) -> Result<End, StoreError> {
    let until = Instant::now() + select.time_max;
    waiter.wait(sqlx::raw_sql("START TRANSACTION READ ONLY").execute(&mut *connection))?;
    let sql = || AssertSqlSafe(select.sql.clone());
    let prepared = waiter.wait(connection.prepare(sql().into_sql_str()))?;
    let columns = columns_of(prepared.columns());
    if columns.is_empty() {
        return Err(StoreError::refused("expected a statement that gives rows, found none such"));
    }
    take(Part::Columns(columns))?;
    let mut rows = sqlx::raw_sql(sql()).fetch(connection);
    tell(select, take, |wanted| {
        waiting(waiter, select, until, async {
            let mut part = Vec::new();
            while part.len() < wanted {
                match rows.try_next().await? {
                    Some(row) => part.push(values(&row)?),
                    None => break,
                }
            }
            Ok(part)
        })
    })
}

fn values(row: &MySqlRow) -> Result<Vec<Value>, sqlx::Error> {
    (0..row.len()).map(|index| value(row, index)).collect()
}

fn value(row: &MySqlRow, index: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let ty = raw.type_info().name().to_owned();
    let bytes = row.try_get_unchecked::<&[u8], _>(index)?;
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Ok(Value::Text(hexadecimal(bytes)));
    };
    Ok(match ty.as_str() {
        "BOOLEAN" => Value::Bool(text != "0"),
        "FLOAT" | "DOUBLE" => number(text, false),
        ty if ty.contains("INT") => number(text, true),
        _ => Value::Text(Text::from(text)),
    })
}
