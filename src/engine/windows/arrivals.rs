//! The rows of a batch that a window takes: current ones, with a value where the window needs it.

use crate::engine::context::Context;
use crate::event::Batch;
use crate::event::Column;
use crate::event::Kind;
use std::borrow::Cow;

/// The current rows of `input`, which usually are all, and then nothing is copied. Rows without a
/// value in column `needed` are faults.
#[inline]
pub fn arrivals<'a>(
    input: &'a Batch,
    needed: Option<usize>,
    context: &mut Context,
) -> Cow<'a, Batch> {
    let nulls = needed.is_some_and(|column| input.columns[column].nulls.any());
    if input.kinds.is_empty() && !nulls {
        return Cow::Borrowed(input);
    }
    Cow::Owned(pick(input, needed, context))
}

fn pick(input: &Batch, needed: Option<usize>, context: &mut Context) -> Batch {
    let mut rows = Vec::new();
    for row in 0..input.len() {
        if input.kind(row) != Kind::Current {
            continue;
        }
        if needed.is_some_and(|column| input.columns[column].is_null(row)) {
            context.fault(row, "the attribute that the window goes by is null");
            continue;
        }
        rows.push(row as u32);
    }
    let mut taken = input.empty_like(rows.len());
    taken.gather(input, &rows);
    taken.kinds.clear();
    taken
}

/// Makes the columns of an output absent that are not kept.
#[inline]
pub fn leave_out(keep: &[bool], output: &mut Batch) {
    for (column, _) in output.columns.iter_mut().zip(keep).filter(|(_, keep)| !**keep) {
        if column.values.data_type().is_some() {
            *column = Column::absent();
        }
    }
}
