//! One file a window; a window keeps rows and says which came and went.
//!
//! A window takes current rows. Sliding windows put out, for each arriving row, one chunk: the rows
//! that leave by it as expired, then the row itself. Batch windows put out, when a batch closes,
//! one chunk: the rows of the batch before as expired, a reset, then the batch as current. Rows
//! that a timer drives out at one millisecond are one chunk. Expired rows carry the engine's clock
//! as timestamp.
//!
//! To add one: a file with a `DEFINITION`, and its line in [`ALL`].

mod alarms;
mod arguments;
mod arrivals;
mod batch;
mod condition;
mod counted;
mod cron;
mod delay;
mod expression;
mod expression_batch;
mod external_time;
mod external_time_batch;
mod frequent;
mod generations;
#[cfg(test)]
mod harness;
mod latest;
mod length;
mod length_batch;
mod lossy_frequent;
mod period_batches;
mod periods;
mod session;
mod sessions;
mod sliding;
mod sort;
#[cfg(test)]
mod testing;
mod time;
mod time_batch;
mod time_length;
mod unique;
mod unique_batch;
mod unique_external_time_batch;

pub(super) use crate::engine::windows::alarms::Alarms;

use crate::engine::library::Library;
use crate::engine::operator::Operator;
use crate::engine::rows::Queues;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Slot;
use crate::event::Text;
use crate::plan::expression::Expr;
use crate::plan::logical::Predicate;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Signature;

/// A step that keeps rows which can be looked at.
pub trait Window: Operator {
    /// Appends the rows that the window holds for a partition key, oldest first. This is what
    /// joins, `in` and on-demand queries see.
    fn contents(&self, slot: Slot, into: &mut Batch);

    /// Where these rows lie, if they are the oldest of the slot in queues: the queues, and how many
    /// they are. Else they are copied for each search.
    fn queued(&self, slot: Slot) -> Option<(&Queues, u64)> {
        let _ = slot;
        None
    }

    /// Where they lie in queues: keeps an index over these columns of them from now on, if there is
    /// none yet; gives its number.
    fn index_on(&mut self, columns: &[usize]) -> Option<usize> {
        let _ = columns;
        None
    }
}

/// A window by name.
pub struct WindowDefinition {
    /// Name, sentence, parameters, example.
    pub signature: Signature,
    /// Makes the window, or says which argument it cannot take.
    pub build: fn(&WindowSetup<'_>) -> Result<Box<dyn Window>, ArgumentFault>,
}

/// What a window is made from.
pub struct WindowSetup<'a> {
    /// What can be called in conditions.
    pub library: &'a Library,
    /// The arguments; they fit one of the signature's overloads.
    pub arguments: &'a [Expr],
    /// Types of the columns.
    pub types: &'a [DataType],
    /// Names of the columns, for windows whose arguments hold conditions as text; empty while a
    /// plan is only checked.
    pub names: &'a [Text],
    /// The condition that the first argument holds as constant text.
    pub predicate: Option<&'a Predicate>,
    /// Columns that are read after the window or by it; the others need not be kept.
    pub keep: &'a [bool],
    /// Of these, the columns that are read of expired rows too. Of the others an expired row may
    /// carry anything.
    pub leaving: &'a [bool],
    /// Whether anybody reads expired rows: an aggregate that must take them back, or the output. A
    /// batch window without readers of expired rows need not keep the batch before.
    pub expired: bool,
    /// Whether the contents are looked at from outside.
    pub findable: bool,
}

/// All windows, in the order of the manual.
pub const ALL: &[&WindowDefinition] = &[
    &length::DEFINITION,
    &length_batch::DEFINITION,
    &time::DEFINITION,
    &time_batch::DEFINITION,
    &external_time::DEFINITION,
    &external_time_batch::DEFINITION,
    &time_length::DEFINITION,
    &delay::DEFINITION,
    &batch::DEFINITION,
    &session::DEFINITION,
    &sort::DEFINITION,
    &cron::DEFINITION,
    &expression::DEFINITION,
    &expression_batch::DEFINITION,
    &frequent::DEFINITION,
    &lossy_frequent::DEFINITION,
    &unique::EVER,
    &unique::FIRST,
    &unique::LENGTH,
    &unique::TIME,
    &unique_batch::LENGTH,
    &unique_batch::FIRST_LENGTH,
    &unique_batch::TIME,
    &unique_batch::FIRST_TIME,
    &unique_batch::TIME_LENGTH,
    &unique_external_time_batch::DEFINITION,
];
