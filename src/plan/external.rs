//! What queries may do with external tables: the rest is refused at its place.

use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Span;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::graph::expressions;
use crate::plan::logical::Assignment;
use crate::plan::logical::Findable;
use crate::plan::logical::Output;
use crate::plan::logical::Port;
use crate::plan::logical::Query;
use crate::plan::logical::Source;
use crate::plan::logical::Stage;
use crate::plan::logical::TableId;
use crate::plan::outside::Pushed;
use crate::plan::outside::external_ins;
use crate::plan::outside::push;
use crate::plan::terms::in_order;

impl Checker<'_> {
    /// A table as something to be looked up.
    pub(super) fn table_found(&self, table: TableId) -> Findable {
        match self.plan.tables[table].is_external {
            true => Findable::External(table),
            false => Findable::Table(table),
        }
    }

    /// Looks at what a query does with external tables; `reads` and `writes` say where it does.
    pub(super) fn external_tables(&mut self, query: &Query, reads: Span, writes: Span) {
        let ins = std::mem::take(&mut self.external_ins);
        let is_asked = |stage: &Stage| match stage {
            Stage::Lookup(lookup) => matches!(lookup.with, Findable::External(_)),
            _ => false,
        };
        let joins = query.ports.iter().flat_map(|port| &port.stages).any(is_asked);
        let place = ins.last().copied().unwrap_or(reads);
        let events_lead = self.plan.playback.is_some() || self.plan.has_watermarks();
        if events_lead && (joins || !ins.is_empty()) {
            let what = "asking an external table in a plan whose clock is moved by events";
            self.not_supported(place, what);
        }
        let mut all = 0;
        expressions(&self.plan, query, &mut |expr| all += usize::from(asks(expr)));
        let answered: usize = query.ports.iter().map(in_filters).sum();
        if all > answered {
            let what = "`in` of an external table elsewhere than in a filter in front of all else";
            let fault = Diagnostic::not_supported(codes::NOT_SUPPORTED, place, what);
            let help = "ask in a filter directly behind the stream, `from S[S.k == T.k in T]`, or \
                        join the table";
            self.report(fault.help(help));
        }
        if query.ports.iter().flat_map(|port| &port.stages).any(asks_several) {
            let what = "a filter that asks several external tables";
            let fault = Diagnostic::not_supported(codes::NOT_SUPPORTED, place, what);
            let help =
                "write one filter behind the other: `from S[S.k == T.k in T][S.k == U.k in U]`";
            self.report(fault.help(help));
        }
        self.external_writes(&query.output, query.selection.schema.len(), writes);
    }

    /// Refuses conditions met so far that ask external tables, where none can.
    pub(super) fn refuse_external_ins(&mut self) {
        for place in std::mem::take(&mut self.external_ins) {
            self.not_supported(place, "`in` of an external table elsewhere than in a query");
        }
    }

    /// Looks whether a database can do what is to be done with an external table; `width` outputs
    /// stand before its columns.
    pub(super) fn external_writes(&mut self, output: &Output, width: usize, place: Span) {
        let (table, on, sets): (_, _, &[Assignment]) = match output {
            Output::Delete(table, on) => (*table, on.as_ref(), &[]),
            Output::Update(table, on, sets) | Output::UpdateOrInsert(table, on, sets) => {
                (*table, on.as_ref(), sets)
            }
            _ => return,
        };
        if !self.plan.tables[table].is_external {
            return;
        }
        if push(on, width).is_wider {
            let what = "a condition on an external table that its database does not understand";
            let fault = Diagnostic::not_supported(codes::NOT_SUPPORTED, place, what);
            self.report(fault.help(
                "compare attributes of the table, but for floats, with values that do not depend \
                 on it; `and`, `or`, `not` and `is null` are understood",
            ));
        }
        let mut pushed = Pushed::default();
        let terms = sets.iter().map(|set| Some((set.column, pushed.term(&set.value, width)?)));
        match terms.collect::<Option<Vec<_>>>().map(in_order) {
            Some(Some(_)) => {}
            Some(None) => {
                let what = "setting attributes of an external table each from the other";
                self.not_supported(place, what);
            }
            None => {
                let what = "setting an attribute of an external table to something that its \
                            database does not calculate as a plan does";
                let fault = Diagnostic::not_supported(codes::NOT_SUPPORTED, place, what);
                self.report(fault.help(
                    "of the table's attributes, sums, differences and products of whole numbers \
                     and of doubles can be set, each in its own type, as in `T.n = T.n + n`",
                ));
            }
        }
    }
}

/// Whether a stage is a filter whose condition asks more than one external table.
fn asks_several(stage: &Stage) -> bool {
    let Stage::Filter(condition) = stage else { return false };
    let mut tables = external_ins(condition).into_iter().map(|each| match each.node {
        Node::In(with, ..) => Some(with),
        _ => None,
    });
    let first = tables.next();
    tables.any(|table| Some(table) != first)
}

/// Whether an expression itself asks an external table.
fn asks(expr: &Expr) -> bool {
    matches!(expr.node, Node::In(Findable::External(_), ..))
}

/// How often the filters of a way in ask external tables where they can be answered: before rows
/// are kept or joined.
fn in_filters(port: &Port) -> usize {
    if !matches!(port.source, Source::Stream(_)) {
        return 0;
    }
    let in_front = port.stages.iter().take_while(|stage| match stage {
        Stage::Filter(_) => true,
        Stage::Function(call) => !call.holds,
        Stage::Window(_) | Stage::Lookup(_) => false,
    });
    let asked = in_front.map(|stage| match stage {
        Stage::Filter(condition) => external_ins(condition).len(),
        _ => 0,
    });
    asked.sum()
}
