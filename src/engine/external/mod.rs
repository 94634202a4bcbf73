//! External tables: what is to be done with them leaves as errands, and rows that ask them wait in
//! their query, in order, for the answer that the plan's log brings.
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
    /// The rows, as they stood in their query.
    pub rows: Batch,
    /// Why, one a row.
    pub reasons: Vec<Text>,
}

impl Failed {
    /// A row fails.
    pub(super) fn push(&mut self, rows: &Batch, row: usize, reason: Text) {
        if self.rows.columns.is_empty() {
            self.rows = rows.empty_like(0);
        }
        self.rows.extend(rows, row, row + 1);
        self.reasons.push(reason);
    }
}

/// The types of the rows that answers about a table bring.
#[must_use]
pub fn answer_types(plan: &Plan, table: TableId) -> Vec<DataType> {
    plan.tables[table].schema.types()
}
