//! What a query's output does to an external table: one errand a row, done in the order sent.

use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::expressions::Columns;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::external::What;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Text;
use crate::plan::expression::Expr;
use crate::plan::logical::Assignment;
use crate::plan::logical::TableId;
use crate::plan::outside::Act;
use crate::plan::outside::Errand;
use crate::plan::outside::push;
use crate::plan::terms::in_order;

/// Writes to an external table.
pub struct ExternalWriter {
    table: TableId,
    text: Text,
    parameters: Vec<Box<dyn Kernel>>,
    puts_in: bool,
}

impl ExternalWriter {
    /// For rows of the given columns, of the condition and the assignments of the output.
    ///
    /// # Errors
    /// If a parameter cannot be run, or the database does not understand all of it.
    pub fn build(
        table: TableId,
        act: Act,
        on: Option<&Expr>,
        sets: &[Assignment],
        outputs: &[DataType],
        builder: &Builder<'_>,
    ) -> Result<ExternalWriter, BuildError> {
        let mut pushed = push(on, outputs.len());
        if pushed.is_wider {
            let message = "a condition that the table's database does not understand".to_owned();
            return Err(BuildError { message, not_supported: true });
        }
        let set = |set: &Assignment| Some((set.column, pushed.term(&set.value, outputs.len())?));
        let sets = sets.iter().map(set).collect::<Option<Vec<_>>>().and_then(in_order);
        let sets = sets.ok_or_else(|| {
            let message = "a value that the table's database does not calculate".to_owned();
            BuildError { message, not_supported: true }
        })?;
        let errand = Errand { act, condition: pushed.condition, sets };
        Ok(ExternalWriter {
            table,
            text: errand.to_text().into(),
            parameters: builder.kernels(&pushed.parameters, &[outputs.len()])?,
            puts_in: matches!(act, Act::Insert | Act::UpdateOrInsert),
        })
    }

    /// Sends an errand for each row.
    pub fn apply(&mut self, rows: &Batch, context: &mut Context) {
        let frame = Frame::new(&rows.columns, &rows.timestamps);
        let mut room = Columns::default();
        let columns = room.evaluate(&mut self.parameters, &frame, context);
        let now = context.now;
        for row in 0..rows.len() {
            let with = columns.iter().map(|column| column.value(row)).collect();
            let row = self.puts_in.then_some((rows, row));
            let what = What { text: &self.text, number: None, with, row };
            context.errands.send(self.table, now, what);
        }
    }
}
