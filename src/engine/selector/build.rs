//! From a checked selection to one that runs.

use crate::engine::aggregators::AggregatorSetup;
use crate::engine::build::BuildError;
use crate::engine::build::Builder;
use crate::engine::selector::Aggregate;
use crate::engine::selector::Output;
use crate::engine::selector::Selector;
use crate::engine::selector::grouping::Grouping;
use crate::engine::selector::pick::Picker;
use crate::event::Bits;
use crate::event::Column;
use crate::plan::expression::Expr;
use crate::plan::logical::OutputEvents;
use crate::plan::logical::Selection;

/// What is known of the rows that come to a selection.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    /// Whether expired ones can be among them.
    pub expired: bool,
    /// Whether a window holds them.
    pub windowed: bool,
    /// Whether every row that leaves has come before. Else groups are given up by what their
    /// aggregates hold, for counting rows tells nothing of what is left.
    pub balanced: bool,
}

impl Selector {
    /// Makes the selection of a query that puts out `events`.
    ///
    /// # Errors
    /// If an expression or aggregator cannot be run.
    pub fn build(
        selection: &Selection,
        events: OutputEvents,
        incoming: Incoming,
        builder: &Builder<'_>,
    ) -> Result<Selector, BuildError> {
        let width = selection.input.len();
        let results = selection.aggregates.len();
        let input = [width];
        let with_results = [width, results];
        let with_outputs = [width, results, selection.outputs.len()];

        let mut aggregates = Vec::with_capacity(results);
        for call in &selection.aggregates {
            let (arguments, ty) = (call.arguments.as_slice(), call.ty);
            let Incoming { expired, balanced, .. } = incoming;
            let setup = AggregatorSetup { arguments, ty, expired, balanced };
            let running = builder.aggregator(&call.name, &setup)?;
            aggregates
                .push(Aggregate { arguments: builder.kernels(&call.arguments, &input)?, running });
        }
        let output = |expr: &Expr| {
            Ok(match expr.as_column() {
                Some(index) if index < width => Output::Input(index),
                Some(index) => Output::Result(index - width),
                None => Output::Computed(builder.kernel(expr, &with_results)?),
            })
        };
        let outputs =
            selection.outputs.iter().map(output).collect::<Result<Vec<_>, BuildError>>()?;
        let having = selection.having.as_ref();
        let order_by = selection
            .order_by
            .iter()
            .map(|(key, descending)| Ok((builder.kernel(key, &with_outputs)?, *descending)))
            .collect::<Result<Vec<_>, BuildError>>()?;
        let gives_up = incoming.windowed
            && aggregates.iter().all(|aggregate| aggregate.running.is_reversible());
        let grouped = !selection.group_by.is_empty();
        let key_columns = selection.group_by.iter().map(|key| Column::new(key.ty)).collect();
        let collapses = grouped || results > 0;
        Ok(Selector {
            keys: builder.kernels(&selection.group_by, &input)?,
            grouping: grouped.then(|| Grouping::new(key_columns, gives_up && incoming.balanced)),
            groups: Vec::new(),
            resets: Vec::new(),
            reset_groups: Vec::new(),
            aggregates,
            results: selection.aggregates.iter().map(|call| Column::new(call.ty)).collect(),
            outputs,
            computed: selection.outputs.iter().map(|expr| Column::new(expr.ty)).collect(),
            computes_all: having.is_some() || !order_by.is_empty(),
            having: having.map(|expr| builder.kernel(expr, &with_outputs)).transpose()?,
            order_by,
            picker: Picker::new(events, collapses, selection.offset, selection.limit),
            gives_up_new: grouped && gives_up && !incoming.balanced,
            wanted: Bits::new(),
            scratch: Vec::new(),
        })
    }
}
