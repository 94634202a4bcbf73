//! One read-only SELECT of people or programs: any columns, bounded in time and rows, and stopped
//! at any moment.
//!
//! It runs in a connection of its own, which ends with it, so that nothing it sets outlives it.

mod mysql;
mod postgres;
mod sqlite;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use sqlx::Column;
use sqlx::TypeInfo;
use tokio::sync::Notify;

use crate::config::StoreAt;
use crate::event::Text;
use crate::event::Value;
use crate::store::Kind;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::remote::Waiter;

/// Words with which a statement that only reads can begin.
const READING: [&str; 4] = ["SELECT", "WITH", "VALUES", "TABLE"];

/// Rows told at once.
const ROWS_A_PART: usize = 256;

/// What is asked, and within which bounds.
#[derive(Debug, Clone)]
pub struct Select {
    /// One statement.
    pub sql: String,
    /// How long it may take.
    pub time_max: Duration,
    /// Rows after which it is cut.
    pub rows_max: usize,
    /// By which others can end it.
    pub stop: Stop,
}

/// A part of the answer, as it comes.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// The columns; once, before all rows.
    Columns(Vec<SelectColumn>),
    /// Rows, each with a value a column.
    Rows(Vec<Vec<Value>>),
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectColumn {
    /// Its name; not always distinct.
    pub name: String,
    /// Its type, as the database calls it.
    pub ty: String,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All rows were told.
    Whole,
    /// There are more rows than may be told.
    Cut,
}

/// Takes parts as they come; an error ends the statement.
pub(super) type TakePart<'a> = &'a mut dyn FnMut(Part) -> Result<(), StoreError>;

/// By which a statement is ended from outside. A clone ends the same one.
#[derive(Clone, Default)]
pub struct Stop(Arc<Bell>);

#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    heard: Notify,
}

impl fmt::Debug for Stop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Stop({})", self.is_asked())
    }
}

impl Stop {
    /// Ends the statement, if it has not ended yet.
    pub fn ask(&self) {
        self.0.rung.store(true, Ordering::Release);
        // Kept for who listens later.
        self.0.heard.notify_one();
    }

    /// Whether the statement is to end.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.rung.load(Ordering::Acquire)
    }

    /// Waits until it is asked for; for one who waits.
    pub(super) async fn asked(&self) {
        while !self.is_asked() {
            self.0.heard.notified().await;
        }
    }
}

impl Store {
    /// Runs one SELECT; blocks, and tells the answer as it comes.
    ///
    /// # Errors
    /// [`Kind::Refused`] where it is not one statement that reads, [`Kind::Slow`] and
    /// [`Kind::Stopped`] where it was ended, else those of the store and of taking.
    pub fn select(
        &self,
        select: &Select,
        mut take: impl FnMut(Part) -> Result<(), StoreError>,
    ) -> Result<End, StoreError> {
        let done = check(&select.sql).and_then(|()| {
            let settings = self.settings();
            match &settings.at {
                StoreAt::Sqlite(path) => {
                    // Whoever only reads does not make the file.
                    drop(self.session()?);
                    sqlite::select(path, select, &mut take)
                }
                StoreAt::Mysql(url) => {
                    let open = || self.open_mysql(url, select.time_max);
                    mysql::select(open()?, open, select, &mut take)
                }
                StoreAt::Postgres(url) => {
                    let open = || self.open_postgres(url, select.time_max);
                    postgres::select(open()?, open, select, &mut take)
                }
            }
        });
        let told = |error: StoreError| match error.kind {
            // Whether the server was faster than we makes no difference.
            Kind::Slow => too_slow(select.time_max),
            _ => error,
        };
        done.map_err(|error| told(error).of(self.name()))
    }
}

/// Waits for rows until the time is over or somebody stops it.
fn waiting<T>(
    waiter: &Waiter,
    select: &Select,
    until: Instant,
    rows: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let left = until.saturating_duration_since(Instant::now());
    waiter.run(async {
        tokio::select! {
            biased;
            () = select.stop.asked() => Err(stopped()),
            rows = tokio::time::timeout(left, rows) => match rows {
                Ok(rows) => rows.map_err(crate::store::remote::explain),
                Err(_) => Err(too_slow(select.time_max)),
            },
        }
    })
}

/// Tells rows in parts until there are no more, or too many. `next` gets so many at most, and fewer
/// only where there are no more.
fn tell(
    select: &Select,
    take: TakePart<'_>,
    mut next: impl FnMut(usize) -> Result<Vec<Vec<Value>>, StoreError>,
) -> Result<End, StoreError> {
    let mut left = select.rows_max;
    loop {
        // One more than may be told shows that there are more.
        let wanted = ROWS_A_PART.min(left.saturating_add(1));
        let mut part = next(wanted)?;
        let (is_last, is_cut) = (part.len() < wanted, part.len() > left);
        part.truncate(left);
        left -= part.len();
        take(Part::Rows(part))?;
        if is_cut || is_last {
            return Ok(if is_cut { End::Cut } else { End::Whole });
        }
    }
}

/// The columns of an answer, as the server told them beforehand.
fn columns_of<C: Column>(columns: &[C]) -> Vec<SelectColumn> {
    let column = |column: &C| SelectColumn {
        name: column.name().to_owned(),
        ty: column.type_info().name().to_lowercase(),
    };
    columns.iter().map(column).collect()
}

/// A number as it stands in a text; the text itself where it is none that we know.
fn number(text: &str, whole: bool) -> Value {
    let read = match whole {
        true => text.parse().ok().map(Value::Long),
        false => text.parse().ok().map(Value::Double),
    };
    read.unwrap_or_else(|| Value::Text(Text::from(text)))
}

/// Bytes that are no text.
fn hexadecimal(bytes: &[u8]) -> Text {
    use std::fmt::Write as _;
    let mut text = Text::from("0x");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The statement was ended from outside.
pub(super) fn stopped() -> StoreError {
    StoreError::new(Kind::Stopped, "the statement was stopped")
}

/// The statement took too long.
pub(super) fn too_slow(time_max: Duration) -> StoreError {
    StoreError::new(Kind::Slow, format!("the statement did not end within {time_max:?}"))
}

/// Refuses by its first word what plainly does more than read. What this lets pass the database
/// itself keeps from writing.
pub(super) fn check(sql: &str) -> Result<(), StoreError> {
    let rest = without_comments(sql)?;
    let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    if READING.iter().any(|reading| reading.eq_ignore_ascii_case(&word)) {
        return Ok(());
    }
    let found = match (word.is_empty(), rest.chars().next()) {
        (true, None) => "nothing".to_owned(),
        (true, Some(first)) => format!("`{first}`"),
        (false, _) => format!("`{word}`"),
    };
    Err(StoreError::refused(format!(
        "expected one statement that reads and begins with SELECT, WITH, VALUES or TABLE, found \
         {found}"
    )))
}

/// What follows after spaces, opening brackets and comments. A comment that MySQL would run is
/// refused.
fn without_comments(mut sql: &str) -> Result<&str, StoreError> {
    loop {
        sql = sql.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        if let Some(comment) = sql.strip_prefix("--") {
            sql = comment.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(comment) = sql.strip_prefix("/*") {
            if comment.starts_with('!') || comment.starts_with("M!") {
                return Err(StoreError::refused("a statement may not begin with `/*!`"));
            }
            sql = comment.split_once("*/").map_or("", |(_, rest)| rest);
        } else {
            return Ok(sql);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_read_is_refused_by_its_first_word() {
        let good = [
            "select 1",
            " \n(SELECT 1)",
            "-- why\nWITH x AS (SELECT 1) SELECT * FROM x",
            "/* a */ /* b */values (1)",
            "TABLE t",
        ];
        for sql in good {
            assert_eq!(check(sql), Ok(()), "{sql}");
        }
        let bad = [
            ("DELETE FROM t", "found `DELETE`"),
            ("", "found nothing"),
            ("-- only this", "found nothing"),
            (";", "found `;`"),
            ("selects", "found `selects`"),
            ("/*!50000 DELETE */ SELECT 1", "`/*!`"),
            ("/*M!50000 DELETE */ SELECT 1", "`/*!`"),
        ];
        for (sql, expected) in bad {
            let error = check(sql).unwrap_err();
            assert_eq!(error.kind, Kind::Refused);
            assert!(error.message.contains(expected), "{sql}: {error}");
        }
    }
}
