//! A SELECT over PostgreSQL: declared as a cursor, which takes one statement that reads and no
//! other, in a transaction that only reads.

use std::time::Instant;

use sqlx::AssertSqlSafe;
use sqlx::Executor;
use sqlx::PgConnection;
use sqlx::Row;
use sqlx::SqlSafeStr;
use sqlx::Statement;
use sqlx::ValueRef;
use sqlx::postgres::PgRow;

use crate::event::Text;
use crate::event::Value;
use crate::store::StoreError;
use crate::store::postgres::Postgres;
use crate::store::remote::Waiter;
use crate::store::remote::explain;
use crate::store::select::End;
use crate::store::select::Part;
use crate::store::select::Select;
use crate::store::select::TakePart;
use crate::store::select::columns_of;
use crate::store::select::number;
use crate::store::select::tell;
use crate::store::select::waiting;

const CURSOR: &str = "twinflow_select";

/// `again` makes a second connection, by which a statement is ended that must end.
pub(super) fn select(
    postgres: Postgres,
    again: impl FnOnce() -> Result<Postgres, StoreError>,
    select: &Select,
    take: TakePart<'_>,
) -> Result<End, StoreError> {
    let Postgres { mut connection, waiter } = postgres;
    let id = sqlx::query_scalar::<_, i32>("SELECT pg_backend_pid()");
    let id = waiter.wait(id.fetch_one(&mut connection))?;
    let done = run(&mut connection, &waiter, select, take);
    if done.is_err() {
        // It may still be at work there; what cannot be ended now ends by its time limit.
        if let Ok(Postgres { mut connection, waiter }) = again() {
            let end = sqlx::query("SELECT pg_terminate_backend($1)").bind(id);
            let _ = waiter.wait(end.execute(&mut connection));
        }
    }
    done
}

fn run(
    connection: &mut PgConnection,
    waiter: &Waiter,
    select: &Select,
    take: TakePart<'_>,
) -> Result<End, StoreError> {
    let until = Instant::now() + select.time_max;
    waiter.wait(sqlx::raw_sql("START TRANSACTION READ ONLY").execute(&mut *connection))?;
    let sql = AssertSqlSafe(select.sql.clone()).into_sql_str();
    let prepared = waiter.wait(connection.prepare(sql))?;
    let columns = columns_of(prepared.columns());
    let types: Vec<_> = columns.iter().map(|column| column.ty.clone()).collect();
    // Prepared, too: that is what lets no second statement pass.
    let declare = format!("DECLARE {CURSOR} NO SCROLL CURSOR FOR {}", select.sql);
    let declare = sqlx::query(AssertSqlSafe(declare)).persistent(false);
    waiter.wait(declare.execute(&mut *connection))?;
    take(Part::Columns(columns))?;
    tell(select, take, |wanted| {
        let fetch = format!("FETCH {wanted} FROM {CURSOR}");
        // As texts, which every type has.
        let rows = sqlx::raw_sql(AssertSqlSafe(fetch)).fetch_all(&mut *connection);
        let rows = waiting(waiter, select, until, rows)?;
        let part: Result<_, _> = rows.iter().map(|row| values(row, &types)).collect();
        part.map_err(explain)
    })
}

fn values(row: &PgRow, types: &[String]) -> Result<Vec<Value>, sqlx::Error> {
    types.iter().enumerate().map(|(index, ty)| value(row, index, ty)).collect()
}

fn value(row: &PgRow, index: usize, ty: &str) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let text = raw.as_str().map_err(sqlx::Error::Decode)?;
    Ok(match ty {
        "bool" => Value::Bool(text == "t"),
        "int2" | "int4" | "int8" => number(text, true),
        "float4" | "float8" => number(text, false),
        _ => Value::Text(Text::from(text)),
    })
}
