//! What a query's output does to a table: insert, delete, update, update or insert.

use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::external::ExternalWriter;
use crate::engine::tables::Finder;
use crate::engine::tables::MemoryTable;
use crate::engine::tables::finder::Pairs;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Value;
use crate::plan::expression::Expr;
use crate::plan::logical::Assignment;
use crate::plan::logical::Findable;
use crate::plan::logical::TableId;

/// Applies rows to a table one by one, since each may change what the next one finds.
pub struct TableWriter {
    table: TableId,
    action: Action,
    finder: Option<Finder>,
    sets: Vec<Set>,
    pairs: Pairs,
    /// One asking row, and one row of the table, for assignments.
    asking: Batch,
    found: Batch,
    /// Who does it, where the table is external.
    external: Option<ExternalWriter>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Insert,
    Delete,
    Update,
    UpdateOrInsert,
}

struct Set {
    column: usize,
    kernel: Box<dyn Kernel>,
    /// Whether the value depends on the row of the table.
    reads_table: bool,
}

impl TableWriter {
    /// Rows become new rows.
    pub fn insert(table: TableId) -> TableWriter {
        TableWriter {
            table,
            action: Action::Insert,
            finder: None,
            sets: Vec::new(),
            pairs: Pairs::default(),
            asking: Batch::default(),
            found: Batch::default(),
            external: None,
        }
    }

    /// Rows become errands of an external table.
    pub fn external(table: TableId, writer: ExternalWriter) -> TableWriter {
        TableWriter { external: Some(writer), ..TableWriter::insert(table) }
    }

    /// Rows that match are deleted. `outputs` are the types of the asking rows.
    ///
    /// # Errors
    /// If the condition cannot be run.
    pub fn delete(
        table: TableId,
        on: Option<&Expr>,
        outputs: &[DataType],
        builder: &Builder<'_>,
    ) -> Result<TableWriter, BuildError> {
        let with = Findable::Table(table);
        let finder = Finder::build(with, &builder.findable_types(with), on, outputs, builder)?;
        let action = Action::Delete;
        Ok(TableWriter { action, finder: Some(finder), ..TableWriter::insert(table) })
    }

    /// Rows that match are changed; if `or_insert`, a row that matches nothing becomes a new row.
    ///
    /// # Errors
    /// If the condition or an assignment cannot be run.
    pub fn update(
        table: TableId,
        on: Option<&Expr>,
        assignments: &[Assignment],
        or_insert: bool,
        outputs: &[DataType],
        builder: &Builder<'_>,
    ) -> Result<TableWriter, BuildError> {
        let types = builder.findable_types(Findable::Table(table));
        let layout = [outputs.len(), types.len()];
        let mut sets = Vec::new();
        for assignment in assignments {
            let mut read = Vec::new();
            assignment.value.columns(&mut read);
            sets.push(Set {
                column: assignment.column,
                kernel: builder.kernel(&assignment.value, &layout)?,
                reads_table: read.iter().any(|&column| column >= outputs.len()),
            });
        }
        Ok(TableWriter {
            action: if or_insert { Action::UpdateOrInsert } else { Action::Update },
            sets,
            asking: Batch::new(outputs),
            found: Batch::new(&types),
            ..TableWriter::delete(table, on, outputs, builder)?
        })
    }

    /// Applies the rows in order; gives the number of rows of the table that were touched.
    pub fn apply(&mut self, rows: &Batch, context: &mut Context) -> usize {
        if let Some(external) = &mut self.external {
            external.apply(rows, context);
            return 0;
        }
        let mut touched = 0;
        let now = context.now;
        table_of(self.table, context).set_clock(now);
        for row in 0..rows.len() {
            touched += match self.action {
                Action::Insert => self.put_in(rows, row, context),
                _ => self.apply_found(rows, row, context),
            };
        }
        if self.action == Action::Delete {
            table_of(self.table, context).pack();
        }
        touched
    }

    fn put_in(&self, rows: &Batch, row: usize, context: &mut Context) -> usize {
        match table_of(self.table, context).insert(&rows.columns, row) {
            Ok(()) => 1,
            Err(_) => {
                context.drops.key_taken += 1;
                0
            }
        }
    }

    fn apply_found(&mut self, rows: &Batch, row: usize, context: &mut Context) -> usize {
        self.pairs.clear();
        let finder = self.finder.as_mut().expect("only an insert has none");
        finder.find(rows, row..row + 1, context, &mut self.pairs);
        let found = std::mem::take(&mut self.pairs.found);
        if found.is_empty() && self.action == Action::UpdateOrInsert {
            return self.put_in(rows, row, context);
        }
        let mut cells: Vec<(usize, Value)> = Vec::with_capacity(self.sets.len());
        let mut undo: Vec<(u32, Vec<(usize, Value)>)> = Vec::new();
        let told = table_of(self.table, context).told();
        let keyed =
            table_of(self.table, context).has_key_in(self.sets.iter().map(|set| set.column));
        for &number in &found {
            if self.action == Action::Delete {
                table_of(self.table, context).delete(number);
                continue;
            }
            if cells.is_empty() || self.sets.iter().any(|set| set.reads_table) {
                cells.clear();
                self.cells(rows, row, number, context, &mut cells);
            }
            let table = table_of(self.table, context);
            if keyed {
                let before =
                    self.sets.iter().map(|set| (set.column, table.value(number, set.column)));
                undo.push((number, before.collect()));
            }
            if table.update(number, &cells).is_err() {
                // All rows are changed or none: which one came first must not matter.
                undo.pop();
                for (number, before) in undo.into_iter().rev() {
                    table.update(number, &before).expect("its key was its own before");
                }
                table.untell(told);
                context.drops.key_taken += 1;
                self.pairs.found = found;
                return 0;
            }
        }
        let touched = found.len();
        self.pairs.found = found;
        touched
    }

    /// The values to be set in row `number` of the table.
    fn cells(
        &mut self,
        rows: &Batch,
        row: usize,
        number: u32,
        context: &mut Context,
        cells: &mut Vec<(usize, Value)>,
    ) {
        self.asking.clear();
        self.found.clear();
        self.asking.extend(rows, row, row + 1);
        let table = table_of(self.table, context);
        for (column, mine) in self.found.columns.iter_mut().enumerate() {
            table.gather(column, &[number], mine);
        }
        let frame = Frame {
            parts: [&self.asking.columns, &self.found.columns, &[]],
            timestamps: &self.asking.timestamps,
        };
        for set in &mut self.sets {
            cells.push((set.column, set.kernel.evaluate(&frame, context).value(0)));
        }
    }
}

fn table_of(table: TableId, context: &mut Context) -> &mut MemoryTable {
    context.tables[table].as_mut().expect("nobody searches while a table is written")
}
