//! A SELECT over a file of SQLite: opened for reading, and each step it takes is asked for.

use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite::hooks::AuthAction;
use rusqlite::hooks::AuthContext;
use rusqlite::hooks::Authorization;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;

use crate::event::Text;
use crate::event::Value;
use crate::store::Kind;
use crate::store::StoreError;
use crate::store::select::End;
use crate::store::select::Part;
use crate::store::select::Select;
use crate::store::select::SelectColumn;
use crate::store::select::TakePart;
use crate::store::select::hexadecimal;
use crate::store::select::stopped;
use crate::store::select::tell;
use crate::store::select::too_slow;
use crate::store::sqlite::explain;

/// Steps of SQLite's machine between two looks at clock and stop.
const STEPS: i32 = 1_000;
/// The longest text or blob that a statement may make; bytes.
const VALUE_BYTES_MAX: i32 = 16 << 20;
/// How long a lock is waited for; a reader waits for nobody but when the file is being recovered.
const LOCK_TIME: Duration = Duration::from_secs(5);
/// Pragmas that tell how tables look.
const PRAGMAS: [&str; 7] = [
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
];

pub(super) fn select(path: &Path, select: &Select, take: TakePart<'_>) -> Result<End, StoreError> {
    let until = Instant::now() + select.time_max;
    let connection = open(path, select, until).map_err(explain)?;
    run(&connection, select, take).map_err(|error| match error.kind {
        Kind::Slow if select.stop.is_asked() => stopped(),
        Kind::Slow => too_slow(select.time_max),
        _ => error,
    })
}

fn open(path: &Path, select: &Select, until: Instant) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_TIME.min(select.time_max))?;
    connection.pragma_update(None, "query_only", true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    let stop = select.stop.clone();
    let is_over = move || stop.is_asked() || Instant::now() > until;
    connection.progress_handler(STEPS, Some(is_over))?;
    connection.authorizer(Some(authorize))?;
    Ok(connection)
}

fn authorize(context: AuthContext<'_>) -> Authorization {
    let may = match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => {
            !["load_extension", "fts3_tokenizer"].contains(&function_name)
        }
        AuthAction::Pragma { pragma_name, .. } => PRAGMAS.contains(&pragma_name),
        _ => false,
    };
    if may { Authorization::Allow } else { Authorization::Deny }
}

fn run(connection: &Connection, select: &Select, take: TakePart<'_>) -> Result<End, StoreError> {
    let mut statement = connection.prepare(&select.sql).map_err(|error| match error {
        rusqlite::Error::MultipleStatement => {
            StoreError::refused("expected one statement, found several")
        }
        error => explain(error),
    })?;
    let column = |column: &rusqlite::Column<'_>| SelectColumn {
        name: column.name().to_owned(),
        ty: column.decl_type().unwrap_or_default().to_lowercase(),
    };
    let columns: Vec<_> = statement.columns().iter().map(column).collect();
    let count = columns.len();
    take(Part::Columns(columns))?;
    let mut rows = statement.query([]).map_err(explain)?;
    tell(select, take, |wanted| {
        let mut part = Vec::new();
        while part.len() < wanted {
            let Some(row) = rows.next().map_err(explain)? else { break };
            let mut values = Vec::with_capacity(count);
            for index in 0..count {
                values.push(value(row.get_ref(index).map_err(explain)?));
            }
            part.push(values);
        }
        Ok(part)
    })
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Long(number),
        ValueRef::Real(number) => Value::Double(number),
        ValueRef::Text(bytes) => Value::Text(Text::from(String::from_utf8_lossy(bytes).as_ref())),
        ValueRef::Blob(bytes) => Value::Text(hexadecimal(bytes)),
    }
}
