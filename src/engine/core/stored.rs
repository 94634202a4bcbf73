//! Tables that are kept in a store: what the store is to be told, and the rows it had at first.

use crate::engine::core::PlanCore;
use crate::engine::entry::Outlet;
use crate::event::Batch;
use crate::event::DataType;
use crate::plan::logical::Plan;
use crate::plan::logical::TableId;

/// A piece of the rows that a store had when the plan came to it.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Columns of the table; for one without primary key, then the numbers of the rows.
    pub rows: &'a Batch,
    /// Whether it is the first: what was loaded before counts for nothing.
    pub is_first: bool,
    /// Whether nothing comes after it.
    pub is_last: bool,
}

impl PlanCore {
    /// Hands out the changes of tables whose changes are watched, table by table, each in order.
    /// After an on-demand query this is for who asked to do; else it is part of applying an entry.
    pub fn tell_changes(&mut self, outlet: &mut dyn Outlet) {
        for (id, table) in self.context.tables.iter_mut().enumerate() {
            if let Some(stream) = self.plan.tables[id].changes
                && let Some(errands) = self.context.errands.take(id)
            {
                outlet.stream(stream, self.context.now, &errands);
            }
            let table = table.as_mut().expect("nobody searches now");
            if let Some(rows) = table.take_changes()
                && let Some(stream) = self.plan.tables[id].changes
            {
                outlet.stream(stream, self.context.now, &rows);
            }
        }
    }

    /// How rows of a table stand of which its store was told these changes: each as it is now, or
    /// that it is gone.
    #[must_use]
    pub fn as_it_is(&self, table: TableId, told: &Batch) -> Batch {
        let table = self.context.tables[table].as_ref().expect("nobody searches now");
        table.as_it_is(told)
    }

    /// Tables whose store has not been asked for its rows yet.
    pub fn unloaded(&self) -> impl Iterator<Item = TableId> + '_ {
        let tables = self.context.tables.iter().enumerate();
        tables
            .filter(|(_, table)| table.as_ref().is_some_and(|table| table.awaits_rows()))
            .map(|(id, _)| id)
    }

    /// Takes rows that a table's store had; they are no changes.
    pub fn fill_table(&mut self, table: TableId, piece: Piece<'_>) {
        let table = self.context.tables[table].as_mut().expect("nobody searches now");
        table.fill(piece.rows, piece.is_first, piece.is_last);
    }
}

/// The types of the columns in which a table takes rows from its store.
#[must_use]
pub fn columns_in_store(plan: &Plan, table: TableId) -> Vec<DataType> {
    let known = &plan.tables[table];
    let mut types = known.schema.types();
    if known.primary_key.is_empty() {
        types.push(DataType::Long);
    }
    types
}

/// Whether rows have the columns in which a table takes them from its store.
#[must_use]
pub fn fits_table(plan: &Plan, table: TableId, rows: &Batch) -> bool {
    let types = columns_in_store(plan, table);
    plan.tables[table].changes.is_some()
        && types.len() == rows.columns.len()
        && types.iter().zip(&rows.columns).all(|(ty, of)| of.values.data_type() == Some(*ty))
}
