//! On-demand queries: asked once, of a table, named window or aggregation as it stands.

use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::context::Context;
use crate::engine::core::PlanCore;
use crate::engine::selector::Incoming;
use crate::engine::selector::Selector;
use crate::engine::tables::Finder;
use crate::engine::tables::Pairs;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Value;
use crate::plan::logical::Findable;
use crate::plan::logical::OnDemand;
use crate::plan::logical::OutputEvents;
use std::sync::Arc;

/// The time of rows that never had one.
pub(super) const NO_TIME: i64 = -1;

impl PlanCore {
    /// Answers a query that was checked against this plan: its rows, in the order of the selection.
    /// A query that writes gives no rows.
    ///
    /// # Errors
    /// If a part of the query cannot be run; the plan's state is then as it was.
    pub fn query(&mut self, query: &OnDemand) -> Result<Vec<Vec<Value>>, BuildError> {
        let plan = Arc::clone(&self.plan);
        let library = self.library.clone();
        let builder = Builder::new(&plan, &library);
        let mut selector = selector(query, &builder)?;
        let outputs = query.selection.schema.types();
        let writer = builder.table_writer(&query.output, &outputs)?;
        let mut rows = Batch::default();
        match query.from {
            Some(from) => self.find_all(from, query, &builder, &mut rows)?,
            // A selection of nothing but constants gives one row.
            None => rows.push_head(NO_TIME, Kind::Current, 0),
        }
        let selected = select(&mut selector, &mut rows, &outputs, &mut self.context);
        match writer {
            None => Ok((0..selected.len()).map(|row| selected.row(row)).collect()),
            Some(mut writer) => {
                writer.apply(&selected, &mut self.context);
                Ok(Vec::new())
            }
        }
    }

    fn find_all(
        &mut self,
        from: Findable,
        query: &OnDemand,
        builder: &Builder<'_>,
        rows: &mut Batch,
    ) -> Result<(), BuildError> {
        let types = builder.findable_types(from);
        let finder = Finder::build(from, &types, query.on.as_ref(), &[], builder)?;
        let mut finder = finder.within(query.buckets.as_ref(), 0, builder)?;
        let mut nobody = Batch::default();
        nobody.push_head(NO_TIME, Kind::Current, 0);
        let mut pairs = Pairs::default();
        finder.find(&nobody, 0..1, &mut self.context, &mut pairs);
        if let Some(fault) = std::mem::take(&mut self.context.faults).pop() {
            return Err(BuildError { message: fault.message, not_supported: false });
        }
        *rows = Batch::new(&types);
        for (column, into) in rows.columns.iter_mut().enumerate() {
            finder.gather(&self.context, column, &pairs.found, into);
        }
        rows.timestamps.resize(pairs.found.len(), NO_TIME);
        Ok(())
    }
}

/// What selects of the rows that an on-demand query found.
pub(super) fn selector(query: &OnDemand, builder: &Builder<'_>) -> Result<Selector, BuildError> {
    let incoming = Incoming { expired: false, windowed: false, balanced: true };
    Selector::build(&query.selection, OutputEvents::Current, incoming, builder)
}

/// What is selected of these rows, which are the whole result; some cannot be computed and are
/// left out.
pub(super) fn select(
    selector: &mut Selector,
    rows: &mut Batch,
    outputs: &[DataType],
    context: &mut Context,
) -> Batch {
    // The whole result is one chunk.
    rows.join_chunk(0);
    let mut selected = Batch::new(outputs);
    selector.run(rows, context, &mut selected);
    context.faults.clear();
    selected
}
