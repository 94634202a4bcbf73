//! Warnings for state without bound: what would grow as long as the plan runs.

use crate::event::DataType;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree;
use crate::language::tree::Arguments;
use crate::language::tree::Call;
use crate::language::tree::Expression;
use crate::language::tree::ExpressionKind;
use crate::language::tree::SelectItems;
use crate::language::tree::Span;
use crate::plan::calls::full_name;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::logical::FunctionCall;
use crate::plan::logical::KeyBy;
use crate::plan::logical::Output;
use crate::plan::logical::Port;
use crate::plan::logical::Selection;
use crate::plan::logical::Stage;
use crate::plan::logical::WindowCall;
use crate::plan::names::Meaning;
use crate::plan::pattern::Role;
use crate::plan::patterns::Layout;
use crate::plan::signature::Trait;

impl Checker<'_> {
    /// Warns of what a query's selection would keep for ever.
    pub(super) fn selection_growth(
        &mut self,
        tree: &tree::Query,
        ports: &[Port],
        selection: &Selection,
    ) {
        let purged = self.partition.is_some_and(|id| self.plan.partitions[id].purge.is_some());
        let Some(select) = tree.selection.as_ref().filter(|_| !purged) else { return };
        let bounded = ports.iter().any(Port::has_window);
        let mut calls = Vec::new();
        selected_calls(select, &mut calls);
        if !bounded {
            for call in calls {
                let name = full_name(call);
                if !self.is_apart(&name, Trait::Remembers) {
                    continue;
                }
                let message = format!("`{name}` remembers every value for ever");
                self.warn(call.span, message, "put a window before it, as `#window.time(1 hour)`");
            }
        }
        let free = |key: &crate::plan::expression::Expr| key.ty != DataType::Bool;
        if !selection.group_by.iter().any(free) || selection.aggregates.is_empty() {
            return;
        }
        let Some(place) = select.group_by.first().zip(select.group_by.last()) else { return };
        let place = place.0.span.to(place.1.span);
        let mut calls = selection.aggregates.iter();
        let lasting = calls.find(|each| self.is_apart(&each.name, Trait::Lasts));
        if let Some(lasting) = lasting {
            let message = format!("`{}` keeps a value for each group for ever", lasting.name);
            self.warn(place, message, "`min` and `max` over a window forget groups that are gone");
        } else if !bounded {
            let message = "without a window every group is kept for ever";
            self.warn(
                place,
                message.to_owned(),
                "put a window before it, as `#window.time(1 hour)`",
            );
        }
    }

    /// Warns of matches that can wait for ever.
    pub(super) fn pattern_growth(&mut self, layout: &Layout<'_>, has_within: bool) {
        if has_within || layout.is_sequence() {
            return;
        }
        for &(last, span) in &layout.everies {
            let beyond = layout.states[last].next;
            if beyond.is_some_and(|next| layout.patience(next).is_none()) {
                let message = "matches that are never completed are kept for ever".to_owned();
                self.warn(span, message, "say how long they count: `within 1 hour` at the end");
            }
        }
        for (state, span) in layout.states.iter().zip(&layout.spans) {
            if matches!(state.role, Role::Count { max: None, .. }) {
                let message = "events are collected here without bound".to_owned();
                let help = "say how many count, as `<2:100>`, or for how long: `within 1 hour`";
                self.warn(*span, message, help);
            }
        }
    }

    fn is_apart(&self, aggregator: &str, what: Trait) -> bool {
        self.catalog.aggregator(aggregator).is_some_and(|signature| signature.has(what))
    }

    /// Warns of tables that only grow and of partitions whose keys never leave; once all queries
    /// are known.
    pub(super) fn plan_growth(&mut self, parsed: &tree::Plan) {
        let mut inserted = vec![false; self.plan.tables.len()];
        let mut mended = vec![false; self.plan.tables.len()];
        for query in &self.plan.queries {
            match query.output {
                Output::Insert(table) => inserted[table] = true,
                Output::Delete(table, _) => mended[table] = true,
                Output::Stream(_)
                | Output::Window(_)
                | Output::Aggregate(_)
                | Output::Update(..)
                | Output::UpdateOrInsert(..)
                | Output::Return => {}
            }
        }
        for (id, table) in self.plan.tables.clone().into_iter().enumerate() {
            if inserted[id] && !mended[id] && table.primary_key.is_empty() {
                let message = format!("the table `{}` grows with every row", table.name);
                let help = "give it a `@primaryKey`, or a query that deletes from it";
                self.warn(table.span, message, help);
            }
        }
        for call in self.lasting_windows() {
            let message = format!("`{}` keeps an event of each key for ever", call.name);
            let help = "`unique:time(key, 1 hour)` lets keys leave";
            self.warn(call.span, message, help);
        }
        for call in self.lasting_functions() {
            let message = format!("`{}` remembers each thing for ever", call.name);
            let help = "put it in a partition by the thing whose idle keys leave: \
                        `@purge(enable='true', interval='1 min', idle.period='1 hour')`";
            self.warn(call.span, message, help);
        }
        let keys: Vec<(Span, bool)> = self.partition_keys(parsed);
        for (span, purged) in keys {
            if !purged {
                let message = "every key of this partition is kept for ever".to_owned();
                let help = "say when idle keys leave: `@purge(enable='true', interval='1 min', \
                            idle.period='1 hour')` before `partition`";
                self.warn(span, message, help);
            }
        }
    }

    /// The windows that keep a row of each of unboundedly many keys, unless they are purged.
    fn lasting_windows(&self) -> Vec<WindowCall> {
        let lasts = |call: &&WindowCall| {
            let signature = self.catalog.window(&call.name);
            signature.is_some_and(|signature| signature.has(Trait::Lasts))
                && call.arguments.iter().any(|key| key.ty != DataType::Bool)
        };
        let purged = |id: usize| self.plan.partitions[id].purge.is_some();
        let queries = self.plan.queries.iter().filter(|each| !each.partition.is_some_and(purged));
        let stages = queries.flat_map(|query| &query.ports).flat_map(|port| &port.stages);
        let inline = stages.filter_map(|stage| match stage {
            Stage::Window(call) => Some(call),
            _ => None,
        });
        let named = self.plan.windows.iter().map(|window| &window.call);
        inline.chain(named).filter(lasts).cloned().collect()
    }

    /// The stream functions that remember unboundedly many things, unless they are purged.
    fn lasting_functions(&self) -> Vec<FunctionCall> {
        let lasts = |call: &&FunctionCall| {
            let signature = self.catalog.stream_function(&call.name);
            signature.is_some_and(|signature| signature.has(Trait::Lasts))
        };
        let purged = |id: usize| self.plan.partitions[id].purge.is_some();
        let queries = self.plan.queries.iter().filter(|each| !each.partition.is_some_and(purged));
        let stages = queries.flat_map(|query| &query.ports).flat_map(|port| &port.stages);
        let functions = stages.filter_map(|stage| match stage {
            Stage::Function(call) => Some(call),
            _ => None,
        });
        functions.filter(lasts).cloned().collect()
    }

    /// Where each partition with unbounded keys names the first of them, and whether it is purged.
    fn partition_keys(&self, parsed: &tree::Plan) -> Vec<(Span, bool)> {
        let trees = parsed.elements.iter().filter_map(|element| match element {
            tree::Element::Partition(partition) => Some(partition),
            tree::Element::Query(_) => None,
        });
        let pairs = trees.zip(&self.plan.partitions);
        let found = pairs.filter_map(|(tree, partition)| {
            let free = |key: &&tree::PartitionKey| {
                let meaning = self.names.get(&key.stream.text)?.meaning;
                let by = partition.keys.iter().find(|read| Meaning::Stream(read.stream) == meaning);
                Some(matches!(&by?.by, KeyBy::Value(value) if value.ty != DataType::Bool))
            };
            let key = tree.keys.iter().find(|key| free(key) == Some(true))?;
            Some((key.span, partition.purge.is_some()))
        });
        found.collect()
    }

    fn warn(&mut self, span: Span, message: String, help: &str) {
        self.report(Diagnostic::warning(codes::GROWS, span, message).help(help));
    }
}

/// The calls of a selection.
fn selected_calls<'t>(select: &'t tree::Selection, calls: &mut Vec<&'t Call>) {
    if let SelectItems::List(items) = &select.items {
        items.iter().for_each(|item| find_calls(&item.expression, calls));
    }
    select.having.iter().for_each(|having| find_calls(having, calls));
}

fn find_calls<'t>(expression: &'t Expression, calls: &mut Vec<&'t Call>) {
    match &expression.kind {
        ExpressionKind::Call(call) => {
            calls.push(call);
            if let Arguments::List(arguments) = &call.arguments {
                arguments.iter().for_each(|argument| find_calls(argument, calls));
            }
        }
        ExpressionKind::Not(inner) | ExpressionKind::IsNull(inner) => find_calls(inner, calls),
        ExpressionKind::Binary { left, right, .. } => {
            find_calls(left, calls);
            find_calls(right, calls);
        }
        ExpressionKind::In { condition, .. } => find_calls(condition, calls),
        ExpressionKind::Literal(_)
        | ExpressionKind::Attribute(_)
        | ExpressionKind::EventIsNull(_)
        | ExpressionKind::Error => {}
    }
}
