//! External tables: what is to be done with them leaves as errands, and rows that ask them wait in
//! their query, in order, for the answer that the plan's log brings. In a partition the rows of all
//! keys wait in one line.
//!
//! A question has a number that no other question of the plan ever has. The answer is looked at as
//! a condition sees a table: what the database gives may be more than was asked for.

mod asking;
mod filter;
mod join;
mod queue;
mod write;

pub use filter::ExternalFilter;
pub use join::ExternalJoin;
pub use write::ExternalWriter;

use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::plan::logical::Plan;
use crate::plan::logical::TableId;
use crate::plan::outside::OWN;
use std::sync::Arc;

/// How long a row waits for an answer, by the plan's clock, in milliseconds. Then it fails.
pub const WAIT_MAX: Millis = 60_000;
/// How many rows wait in one query at most. Further ones fail at once.
pub const WAITING_MAX: usize = 200_000;

/// Errands on their way out of a plan, by table.
#[derive(Debug, Default)]
pub struct Errands {
    /// What was not taken yet; `None` where nobody takes it.
    tables: Vec<Option<Batch>>,
    /// The number of the last question.
    asked: u64,
}

/// What is to be done, and by which values.
pub(super) struct What<'a> {
    /// An errand as text.
    pub text: &'a Text,
    /// The number, where it is a question.
    pub number: Option<u64>,
    /// The parameters.
    pub with: Vec<Value>,
    /// The row that is to be put in, if one is.
    pub row: Option<(&'a Batch, usize)>,
}

impl Errands {
    /// Keeps errands of a table from now on, to be fetched by [`Errands::take`].
    pub fn watch(&mut self, plan: &Plan, table: TableId) {
        if self.tables.len() < plan.tables.len() {
            self.tables.resize(plan.tables.len(), None);
        }
        if let Some(stream) = plan.tables[table].changes {
            let types = plan.streams[stream].schema.types();
            self.tables[table].get_or_insert_with(|| Batch::new(&types));
        }
    }

    /// What came since this was last asked, if anything did.
    pub fn take(&mut self, table: TableId) -> Option<Batch> {
        let errands = self.tables.get_mut(table)?.as_mut()?;
        if errands.is_empty() {
            return None;
        }
        let fresh = errands.empty_like(0);
        Some(std::mem::replace(errands, fresh))
    }

    /// The numbers of so many questions: the first of them.
    pub(super) fn number(&mut self, questions: usize) -> u64 {
        self.asked += questions as u64;
        self.asked + 1 - questions as u64
    }

    /// The number of the last question.
    pub fn asked(&self) -> u64 {
        self.asked
    }

    /// Goes on after this question.
    pub fn go_on_after(&mut self, asked: u64) {
        self.asked = asked;
    }

    /// Sends an errand.
    pub(super) fn send(&mut self, table: TableId, now: Millis, what: What<'_>) {
        let Some(Some(errands)) = self.tables.get_mut(table) else { return };
        let number = what.number.map_or(Value::Null, |number| Value::Long(number.cast_signed()));
        let with = Value::Object(Arc::new(Structure::List(what.with)));
        let own: [Value; OWN] = [Value::Text(what.text.clone()), number, with];
        let (front, columns) = errands.columns.split_at_mut(OWN);
        front.iter_mut().zip(&own).for_each(|(column, value)| column.push(value));
        match what.row {
            Some((rows, row)) => {
                let given = columns.iter_mut().zip(&rows.columns);
                given.for_each(|(mine, theirs)| mine.push_from(theirs, row));
            }
            None => columns.iter_mut().for_each(crate::event::Column::push_null),
        }
        errands.push_head(now, Kind::Current, 0);
    }
}

/// Rows that waited and fail, with why.
#[derive(Debug, Default)]
pub struct Failed {
    /// The rows as they stood in their query, those of different columns apart, and why, one a row.
    pub parts: Vec<(Batch, Vec<Text>)>,
}

impl Failed {
    /// A row fails.
    pub(super) fn push(&mut self, rows: &Batch, row: usize, reason: Text) {
        let types = |batch: &Batch| -> Vec<Option<DataType>> {
            batch.columns.iter().map(|column| column.values.data_type()).collect()
        };
        let of_last = self.parts.last().map(|(last, _)| types(last));
        if of_last.is_none_or(|last| last != types(rows)) {
            self.parts.push((rows.empty_like(1), Vec::new()));
        }
        if let Some((last, reasons)) = self.parts.last_mut() {
            last.extend(rows, row, row + 1);
            reasons.push(reason);
        }
    }
}

/// The types of the rows that answers about a table bring.
#[must_use]
pub fn answer_types(plan: &Plan, table: TableId) -> Vec<DataType> {
    plan.tables[table].schema.types()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_different_columns_fail_apart() {
        let mut narrow = Batch::new(&[DataType::Int]);
        narrow.push_row(1, &[Value::Int(1)]);
        let mut wide = Batch::new(&[DataType::Text, DataType::Int]);
        wide.push_row(2, &[Value::from("a"), Value::Int(2)]);
        let mut failed = Failed::default();
        for (rows, reason) in [(&wide, "x"), (&wide, "y"), (&narrow, "z")] {
            failed.push(rows, 0, reason.into());
        }
        let seen: Vec<(usize, usize, usize)> = failed
            .parts
            .iter()
            .map(|(rows, reasons)| (rows.columns.len(), rows.columns[0].len(), reasons.len()))
            .collect();
        assert_eq!(seen, [(2, 2, 2), (1, 1, 1)]);
    }
}
