//! On-demand queries: asked once, of a table, named window or aggregation of a plan that runs.

use crate::event::DataType;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Expression;
use crate::language::tree::Identifier;
use crate::language::tree::OnDemandKind;
use crate::language::tree::OnDemandQuery;
use crate::language::tree::Selection as SelectionTree;
use crate::language::tree::Span;
use crate::plan::checker::Checker;
use crate::plan::checker::with_known;
use crate::plan::codes;
use crate::plan::expression::Node as ExprNode;
use crate::plan::graph::Node;
use crate::plan::logical::Findable;
use crate::plan::logical::OnDemand;
use crate::plan::logical::Origin;
use crate::plan::logical::Output;
use crate::plan::logical::Plan;
use crate::plan::logical::Selection;
use crate::plan::names::Meaning;
use crate::plan::scopes::Member;
use crate::plan::scopes::Scope;
use crate::plan::types::Place;
use std::rc::Rc;

impl Checker<'_> {
    /// Takes the names of a plan that runs.
    pub(super) fn know(&mut self, plan: &Plan) {
        for (id, stream) in plan.streams.iter().enumerate() {
            match stream.origin {
                Origin::Defined | Origin::Implicit | Origin::Trigger => {
                    self.names.set(&stream.name, Meaning::Stream(id), stream.span);
                }
                Origin::Inner(_) | Origin::Fault(_) => {}
                Origin::Changes(_) | Origin::Errands(_) => {}
            }
        }
        for (id, table) in plan.tables.iter().enumerate() {
            self.names.set(&table.name, Meaning::Table(id), table.span);
        }
        for (id, aggregation) in plan.aggregations.iter().enumerate() {
            self.names.set(&aggregation.name, Meaning::Aggregation(id), aggregation.span);
        }
        for (id, window) in plan.windows.iter().enumerate() {
            self.names.set(&window.name, Meaning::Window(id), window.span);
        }
        self.plan.functions = plan.functions.clone();
        self.plan.streams = plan.streams.clone();
        self.plan.tables = plan.tables.clone();
        self.plan.windows = plan.windows.clone();
        self.plan.aggregations = plan.aggregations.clone();
    }

    /// The checked form of an on-demand query; nothing if a message says why not.
    pub(super) fn on_demand(&mut self, tree: &OnDemandQuery) -> Option<OnDemand> {
        let query = self.asked_once(tree)?;
        self.refuse_external_ins();
        self.external_writes(&query.output, query.selection.schema.len(), tree.span);
        Some(query)
    }

    fn asked_once(&mut self, tree: &OnDemandQuery) -> Option<OnDemand> {
        let selection = tree.selection.as_ref();
        match &tree.kind {
            OnDemandKind::Find { source, alias, on, range } => {
                let name = alias.as_ref().unwrap_or(source);
                let from = self.read(source)?;
                let reads = from.0;
                let buckets =
                    self.buckets(reads, range.as_ref(), &Scope::default(), source.span)?;
                let found = self.find_rows(from, name, on.as_ref(), selection, tree.span)?;
                if matches!(reads, Findable::External(_)) && looks_elsewhere(&found) {
                    let what = "`in` in an on-demand query that reads an external table";
                    self.not_supported(on.as_ref().map_or(tree.span, |on| on.span), what);
                }
                Some(OnDemand { buckets, ..found })
            }
            OnDemandKind::Insert { target } => {
                let (selection, span) = self.alone(selection, tree.span)?;
                let table = self.written_table(target)?;
                let fits = self.fits_table(table, &selection.schema, span);
                fits.then_some(written(selection, Output::Insert(table)))
            }
            OnDemandKind::Delete { target, on } => {
                let (selection, _) = self.alone(selection, tree.span)?;
                let table = self.written_table(target)?;
                let on = self.rows_of(table, &selection.schema, on.as_ref())?;
                Some(written(selection, Output::Delete(table, on)))
            }
            OnDemandKind::Update { target, set, on } => {
                let (selection, span) = self.alone(selection, tree.span)?;
                let table = self.written_table(target)?;
                let (on, set) = self.change(table, &selection.schema, on, set, span)?;
                Some(written(selection, Output::Update(table, on, set)))
            }
            OnDemandKind::UpdateOrInsert { target, set, on } => {
                let (selection, span) = self.alone(selection, tree.span)?;
                let table = self.written_table(target)?;
                let fits = self.fits_table(table, &selection.schema, span);
                let (on, set) = self.change(table, &selection.schema, on, set, span)?;
                fits.then_some(written(selection, Output::UpdateOrInsert(table, on, set)))
            }
        }
    }

    /// What is asked, and what its rows hold.
    fn read(&mut self, source: &Identifier) -> Option<(Findable, Rc<Schema>)> {
        let (with, node) = match self.names.get(&source.text).map(|known| known.meaning) {
            Some(Meaning::Table(id)) => (self.table_found(id), Node::Table(id)),
            Some(Meaning::Window(id)) => (Findable::Window(id), Node::Window(id)),
            Some(Meaning::Aggregation(id)) => (Findable::Aggregation(id), Node::Aggregation(id)),
            other => {
                self.not_found(source, other);
                return None;
            }
        };
        Some((with, self.shared_schema(node)))
    }

    fn find_rows(
        &mut self,
        (from, schema): (Findable, Rc<Schema>),
        name: &Identifier,
        on: Option<&Expression>,
        selection: Option<&SelectionTree>,
        span: Span,
    ) -> Option<OnDemand> {
        let types: Vec<DataType> = schema.types();
        let scope = Scope::new(vec![Member::new(&name.text, schema, 0)]);
        let on = on.map(|on| {
            let mut place = Place::plain(&scope, "in the condition of a query");
            self.condition(on, &mut place, "the condition after `on`")
        });
        let span = selection.map_or(span, |selection| selection.span);
        let selection = self.selection(selection, span, &scope, &types)?;
        let on = match on {
            Some(on) => Some(on?),
            None => None,
        };
        Some(OnDemand { from: Some(from), buckets: None, on, selection, output: Output::Return })
    }

    fn not_found(&mut self, source: &Identifier, meaning: Option<Meaning>) {
        let word = source.text.as_str();
        let diagnostic = match meaning {
            None => {
                let message = format!("there is no table, window or aggregation `{word}`");
                let fault = Diagnostic::error(codes::UNKNOWN_SOURCE, source.span, message);
                let asked = |kind| {
                    matches!(kind, Meaning::Table(_) | Meaning::Window(_) | Meaning::Aggregation(_))
                };
                let known = self.names.all(asked);
                with_known(fault, word, source.span, known)
            }
            Some(meaning) => {
                let what = self.kind_of(meaning);
                let message = format!(
                    "only tables, windows and aggregations can be asked; `{word}` is {what}"
                );
                Diagnostic::error(codes::WRONG_KIND, source.span, message)
                    .help("a stream keeps no rows; define a window over it")
            }
        };
        self.report(diagnostic);
    }

    /// A selection that reads nothing and gives one row, and where its attributes are said.
    fn alone(
        &mut self,
        selection: Option<&SelectionTree>,
        span: Span,
    ) -> Option<(Selection, Span)> {
        let Some(tree) = selection else { return Some((Selection::default(), span)) };
        let selection = self.selection(Some(tree), tree.span, &Scope::default(), &[])?;
        Some((selection, tree.span))
    }
}

/// Whether a query that finds rows asks for others, too: those are in the plan, away from which an
/// external table is read.
fn looks_elsewhere(query: &OnDemand) -> bool {
    let selection = &query.selection;
    let all = query.on.iter().chain(&selection.outputs).chain(&selection.group_by);
    let all = all.chain(&selection.having).chain(selection.order_by.iter().map(|(key, _)| key));
    let arguments = selection.aggregates.iter().flat_map(|aggregate| &aggregate.arguments);
    let mut looks = false;
    for expr in all.chain(arguments) {
        expr.walk(&mut |part| looks |= matches!(part.node, ExprNode::In(..)));
    }
    looks
}

fn written(selection: Selection, output: Output) -> OnDemand {
    OnDemand { from: None, buckets: None, on: None, selection, output }
}
