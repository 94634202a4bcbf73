//! The rows of a batch that a window takes: current ones, with a time where the window needs it.

use crate::engine::context::Context;
use crate::event::Batch;
use crate::event::Column;
use crate::event::Kind;

/// Picks rows; the usual batch, of which all are taken, costs nothing.
#[derive(Debug, Default)]
pub struct Arrivals {
    rows: Vec<u32>,
    taken: Batch,
}

impl Arrivals {
    /// The current rows of `input`. Rows without a value in column `needed` are faults.
    #[inline]
    pub fn of<'a>(
        &'a mut self,
        input: &'a Batch,
        needed: Option<usize>,
        context: &mut Context,
    ) -> &'a Batch {
        let nulls = needed.is_some_and(|column| input.columns[column].nulls.any());
        if input.kinds.is_empty() && !nulls {
            return input;
        }
        self.pick(input, needed, context)
    }

    fn pick(&mut self, input: &Batch, needed: Option<usize>, context: &mut Context) -> &Batch {
        self.rows.clear();
        for row in 0..input.len() {
            if input.kind(row) != Kind::Current {
                continue;
            }
            if needed.is_some_and(|column| input.columns[column].is_null(row)) {
                context.fault(row, "the attribute that the window goes by is null");
                continue;
            }
            self.rows.push(row as u32);
        }
        self.taken = Batch {
            columns: input
                .columns
                .iter()
                .map(|column| column.empty_like(self.rows.len()))
                .collect(),
            ..Batch::default()
        };
        self.taken.gather(input, &self.rows);
        self.taken.kinds.clear();
        &self.taken
    }
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
