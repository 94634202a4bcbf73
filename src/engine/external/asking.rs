//! One place of a plan that asks an external table: the question, and what of an answer counts.

use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::expressions::Columns;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::external::What;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Text;
use crate::event::Value;
use crate::plan::expression::Expr;
use crate::plan::logical::TableId;
use crate::plan::outside::Act;
use crate::plan::outside::Errand;
use crate::plan::outside::Pushed;
use crate::plan::outside::push;

/// A place that asks.
pub(super) struct Asking {
    pub(super) table: TableId,
    text: Text,
    parameters: Vec<Box<dyn Kernel>>,
    /// The condition over the asking columns, then the table's; all rows count without one.
    condition: Option<Box<dyn Kernel>>,
    /// Pairs of rows, side by side.
    asking: Batch,
    found: Batch,
}

/// A row that asks and one that was found for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) asking: u32,
    pub(super) found: u32,
}

impl Asking {
    /// For a condition over columns of these types, then the table's.
    pub(super) fn build(
        table: TableId,
        condition: Option<&Expr>,
        types: &[DataType],
        found: &[DataType],
        builder: &Builder<'_>,
    ) -> Result<Asking, BuildError> {
        let Pushed { condition: asked, parameters, .. } = push(condition, types.len());
        let errand = Errand { act: Act::Ask, condition: asked, sets: Vec::new() };
        let layout = [types.len(), found.len()];
        Ok(Asking {
            table,
            text: errand.to_text().into(),
            parameters: builder.kernels(&parameters, &[types.len()])?,
            condition: condition.map(|on| builder.kernel(on, &layout)).transpose()?,
            asking: Batch::new(types),
            found: Batch::new(found),
        })
    }

    /// The values of the questions of all rows, row by row, or why they cannot be computed.
    pub(super) fn values(
        &mut self,
        rows: &Batch,
        context: &mut Context,
    ) -> Vec<Result<Vec<Value>, Text>> {
        let before = context.faults.len();
        let frame = Frame::new(&rows.columns, &rows.timestamps);
        let mut room = Columns::default();
        let columns = room.evaluate(&mut self.parameters, &frame, context);
        let values = |row| Ok(columns.iter().map(|column| column.value(row)).collect());
        let mut values: Vec<_> = (0..rows.len()).map(values).collect();
        for fault in context.own_faults(before) {
            values[fault.row] = Err(fault.message.into());
        }
        values
    }

    /// Asks with these values.
    pub(super) fn ask(&self, number: u64, with: Vec<Value>, context: &mut Context) {
        let what = What { text: &self.text, number: Some(number), with, row: None };
        let now = context.now;
        context.errands.send(self.table, now, what);
    }

    /// Leaves those of the pairs for which the condition holds; gives the asking rows for which it
    /// cannot be computed, with why.
    pub(super) fn keep(
        &mut self,
        pairs: &mut Vec<Pair>,
        rows: &Batch,
        found: &Batch,
        context: &mut Context,
    ) -> Vec<(u32, Text)> {
        let Some(condition) = &mut self.condition else { return Vec::new() };
        if pairs.is_empty() {
            return Vec::new();
        }
        self.asking.clear();
        self.found.clear();
        let asking: Vec<u32> = pairs.iter().map(|pair| pair.asking).collect();
        let places: Vec<u32> = pairs.iter().map(|pair| pair.found).collect();
        for (mine, theirs) in self.asking.columns.iter_mut().zip(&rows.columns) {
            mine.gather(theirs, &asking);
        }
        for (mine, theirs) in self.found.columns.iter_mut().zip(&found.columns) {
            mine.gather(theirs, &places);
        }
        let time = asking.iter().map(|&row| rows.timestamps[row as usize]);
        self.asking.timestamps.extend(time);
        let frame = Frame {
            parts: [&self.asking.columns, &self.found.columns, &[]],
            timestamps: &self.asking.timestamps,
        };
        let before = context.faults.len();
        let passes = condition.evaluate(&frame, context).bools();
        let mut failed: Vec<(u32, Text)> = Vec::new();
        for fault in context.own_faults(before) {
            let row = pairs[fault.row].asking;
            if failed.last().is_none_or(|last| last.0 != row) {
                failed.push((row, fault.message.into()));
            }
        }
        let mut place = 0;
        pairs.retain(|pair| {
            place += 1;
            passes[place - 1] && failed.binary_search_by_key(&pair.asking, |each| each.0).is_err()
        });
        failed
    }
}

/// Whether a row asks at all: news of a window are no rows.
pub(super) fn asks(rows: &Batch, row: usize) -> bool {
    rows.kind(row) != Kind::Reset
}
