//! Writing each row once: rows have numbers, and the number of the last one is kept in the store,
//! in the same transaction as the rows.
//!
//! A *writer* is whatever writes in order with numbers. Its row in `twinflow_writers` is locked
//! before anything is written, so of two nodes that both believe to be the active one the second
//! waits for the first, and then sees what it did. The one of the lower epoch is refused.

use crate::event::DataType;
use crate::event::Value;
use crate::store::Kind;
use crate::store::Session;
use crate::store::StoreError;

/// Whatever writes rows in order with numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The plan it belongs to.
    pub plan: String,
    /// Its name in the plan.
    pub name: String,
}

/// How far a writer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The life of the plan in which rows are counted; equal or not, no order.
    pub generation: u64,
    /// The epoch of the node that wrote last; 0 where there is no pair.
    pub epoch: u64,
    /// The number of the row written last; 0: none yet.
    pub number: u64,
}

/// Writes rows `number..number + count` of a generation, each once: in one transaction the writer
/// is locked, `apply` is told from which row on (counted from 0) nothing is in the store yet, and
/// the writer's mark is set. Where all rows are there already `apply` is not called. Says how many
/// rows were written.
///
/// # Errors
/// [`Kind::Deposed`] where a node of a later epoch has written: this one must stop. Those of the
/// store and of `apply`; then nothing was written, but after [`Kind::Lost`] nobody knows. Giving
/// the same rows again is always right.
pub fn write_once(
    session: &mut Session,
    writer: &Writer,
    generation: u64,
    epoch: u64,
    number: u64,
    count: usize,
    apply: impl FnOnce(&mut Session, usize) -> Result<(), StoreError>,
) -> Result<usize, StoreError> {
    let written = session.transaction(|session| {
        let mark = lock(session, writer)?;
        if mark.epoch > epoch {
            let text = format!(
                "`{}` of plan `{}` is written in epoch {} already, and this node writes in epoch \
                 {epoch}",
                writer.name, writer.plan, mark.epoch
            );
            return Err(StoreError::new(Kind::Deposed, text).of(session.store()));
        }
        let end = number + count as u64;
        let next = if mark.generation == generation { mark.number + 1 } else { 0 };
        let skip = usize::try_from(next.saturating_sub(number)).unwrap_or(usize::MAX).min(count);
        if skip == count {
            return Ok(0);
        }
        apply(session, skip)?;
        set(session, writer, Mark { generation, epoch, number: end - 1 })?;
        Ok(count - skip)
    })?;
    session.count_written(written);
    Ok(written)
}

/// How far a writer has come; `None` where it never wrote.
///
/// # Errors
/// Those of the store.
pub fn written_so_far(session: &mut Session, writer: &Writer) -> Result<Option<Mark>, StoreError> {
    mark(session, writer, "")
}

/// Forgets a writer whose plan or table is gone; one of the same name then begins anew.
///
/// # Errors
/// Those of the store.
pub fn forget_writer(session: &mut Session, writer: &Writer) -> Result<(), StoreError> {
    let sql = format!("DELETE FROM twinflow_writers{}", is_it(session, 1));
    session.execute(&sql, &name(writer)).map(|_| ())
}

/// Locks the writer's row until the transaction ends; makes it where there is none.
fn lock(session: &mut Session, writer: &Writer) -> Result<Mark, StoreError> {
    let locking = session.dialect().for_update();
    if let Some(mark) = mark(session, writer, locking)? {
        return Ok(mark);
    }
    // Another one may make it at the same time: whoever comes second waits here, and finds it.
    let sql = session.dialect().insert_if_new("twinflow_writers", 5);
    let [plan, name] = name(writer);
    session.execute(&sql, &[plan, name, Value::Long(0), Value::Long(0), Value::Long(0)])?;
    mark(session, writer, locking)?.ok_or_else(|| session.refused("a row just made is not there"))
}

fn mark(session: &mut Session, writer: &Writer, locking: &str) -> Result<Option<Mark>, StoreError> {
    let rest = is_it(session, 1);
    let sql = format!("SELECT generation, epoch, number FROM twinflow_writers{rest}{locking}");
    let found = session.query(&sql, &name(writer), &[DataType::Long; 3])?;
    let number =
        |column: usize| found.columns[column].value(0).as_long().map_or(0, i64::cast_unsigned);
    let mark = || Mark { generation: number(0), epoch: number(1), number: number(2) };
    Ok((!found.is_empty()).then(mark))
}

fn set(session: &mut Session, writer: &Writer, mark: Mark) -> Result<(), StoreError> {
    let dialect = session.dialect();
    let [one, two, three] = [1, 2, 3].map(|number| dialect.placeholder(number));
    let rest = is_it(session, 4);
    let sql = format!(
        "UPDATE twinflow_writers SET generation = {one}, epoch = {two}, number = {three}{rest}"
    );
    let [plan, name] = name(writer);
    let [generation, epoch, number] =
        [mark.generation, mark.epoch, mark.number].map(|number| Value::Long(number.cast_signed()));
    session.execute(&sql, &[generation, epoch, number, plan, name]).map(|_| ())
}

fn is_it(session: &Session, first: usize) -> String {
    let dialect = session.dialect();
    let [plan, name] = [first, first + 1].map(|number| dialect.placeholder(number));
    format!(" WHERE plan = {plan} AND writer = {name}")
}

fn name(writer: &Writer) -> [Value; 2] {
    [Value::from(writer.plan.as_str()), Value::from(writer.name.as_str())]
}
