//! An on-demand query of an external table, apart from the plan that runs: what the table's store
//! is asked for, and what the query makes of the rows that come.
//!
//! It reads nothing of the plan's state, so it takes no time of the plan's thread.

use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::context::Entropy;
use crate::engine::core::query::NO_TIME;
use crate::engine::core::query::select;
use crate::engine::core::query::selector;
use crate::engine::expressions::Columns;
use crate::engine::expressions::Frame;
use crate::engine::library::Library;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::expression::Expr;
use crate::plan::logical::Findable;
use crate::plan::logical::OnDemand;
use crate::plan::logical::Plan;
use crate::plan::logical::TableId;
use crate::plan::outside::Pushed;
use crate::plan::outside::Wanted;
use crate::plan::outside::push;
use std::sync::Arc;

/// A query of an external table.
pub struct Apart {
    plan: Arc<Plan>,
    query: Arc<OnDemand>,
    table: TableId,
    library: Library,
    context: Context,
}

impl Apart {
    /// For a query that was checked against this plan, by the plan's clock; `None` if it reads no
    /// external table.
    pub fn new(
        plan: &Arc<Plan>,
        query: &Arc<OnDemand>,
        now: Millis,
        entropy: Entropy,
    ) -> Option<Apart> {
        let Some(Findable::External(table)) = query.from else { return None };
        let context = Context { now, entropy, ..Context::default() };
        let (plan, query) = (Arc::clone(plan), Arc::clone(query));
        Some(Apart { plan, query, table, library: Library::standard(), context })
    }

    /// The table that is read.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// What its store is to be asked for.
    ///
    /// # Errors
    /// If a part of the query cannot be run.
    pub fn wanted(&mut self) -> Result<Wanted, BuildError> {
        let Pushed { condition, parameters, is_wider } = push(self.query.on.as_ref(), 0);
        let builder = Builder::new(&self.plan, &self.library);
        let mut kernels = builder.kernels(&parameters, &[0])?;
        let mut room = Columns::default();
        let values = room.evaluate(&mut kernels, &Frame::new(&[], &[NO_TIME]), &mut self.context);
        let with = values.iter().map(|column| column.value(0)).collect();
        no_faults(&mut self.context)?;
        let enough = if is_wider { None } else { enough(&self.query) };
        Ok(Wanted { condition, with, enough })
    }

    /// What the query makes of rows of the table, among which are all that it means.
    ///
    /// # Errors
    /// If a part of the query cannot be run.
    pub fn answer(&mut self, mut rows: Batch) -> Result<Vec<Vec<Value>>, BuildError> {
        let builder = Builder::new(&self.plan, &self.library);
        rows.timestamps.clear();
        rows.timestamps.resize(rows.columns.first().map_or(0, |first| first.len()), NO_TIME);
        let mut kept = rows;
        if let Some(on) = &self.query.on {
            let mut condition = builder.kernel(on, &[kept.columns.len()])?;
            let frame = Frame::new(&kept.columns, &kept.timestamps);
            let passes = condition.evaluate(&frame, &mut self.context).bools();
            let places: Vec<u32> =
                (0..kept.len() as u32).filter(|&row| passes[row as usize]).collect();
            no_faults(&mut self.context)?;
            if places.len() < kept.len() {
                let all = std::mem::replace(&mut kept, Batch::new(&[]));
                kept = all.empty_like(places.len());
                kept.gather(&all, &places);
            }
        }
        let mut selector = selector(&self.query, &builder)?;
        let outputs = self.query.selection.schema.types();
        let selected = select(&mut selector, &mut kept, &outputs, &mut self.context);
        Ok((0..selected.len()).map(|row| selected.row(row)).collect())
    }
}

/// A condition that cannot be computed for one row leaves the query without an answer.
fn no_faults(context: &mut Context) -> Result<(), BuildError> {
    match std::mem::take(&mut context.faults).pop() {
        Some(fault) => Err(BuildError { message: fault.message, not_supported: false }),
        None => Ok(()),
    }
}

/// How many rows are enough, where the query takes the first that come as they are.
fn enough(query: &OnDemand) -> Option<u64> {
    let selection = &query.selection;
    let is_plain = |expr: &Expr| expr.as_column().is_some() || expr.as_constant().is_some();
    let takes_any = selection.aggregates.is_empty()
        && selection.group_by.is_empty()
        && selection.having.is_none()
        && selection.order_by.is_empty()
        && selection.outputs.iter().all(is_plain);
    let limit = selection.limit.filter(|_| takes_any)?;
    Some(limit.saturating_add(selection.offset.unwrap_or(0)))
}
