//! Parts of a checked plan as text that says what they do and not where they stand: two parts with
//! the same text do the same, whatever was added, removed or moved around them.

use crate::event::Schema;
use crate::event::hash_bytes;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::logical::AggregateCall;
use crate::plan::logical::AggregationId;
use crate::plan::logical::Assignment;
use crate::plan::logical::Findable;
use crate::plan::logical::KeyBy;
use crate::plan::logical::Output;
use crate::plan::logical::PartitionKey;
use crate::plan::logical::Plan;
use crate::plan::logical::Query;
use crate::plan::logical::Selection;
use crate::plan::logical::Source;
use crate::plan::logical::Stage;
use crate::plan::logical::StreamId;
use crate::plan::logical::TableCondition;
use crate::plan::logical::WindowCall;
use crate::plan::pattern::Pattern;
use std::fmt::Write as _;

/// Writes parts of one plan.
pub(super) struct Canonical<'a> {
    plan: &'a Plan,
    text: String,
}

impl<'a> Canonical<'a> {
    /// For parts of `plan`.
    pub(super) fn new(plan: &'a Plan) -> Canonical<'a> {
        Canonical { plan, text: String::new() }
    }

    /// The hash of what `write` writes.
    pub(super) fn hash(plan: &'a Plan, write: impl FnOnce(&mut Canonical<'a>)) -> u64 {
        let mut canonical = Canonical::new(plan);
        write(&mut canonical);
        canonical.hashed()
    }

    /// The hash of what was written.
    pub(super) fn hashed(&self) -> u64 {
        hash_bytes(self.text.as_bytes())
    }

    /// A word of the form that tells parts of different kinds apart.
    pub(super) fn word(&mut self, word: &str) {
        self.text.push_str(word);
        self.text.push(' ');
    }

    /// A name, quoted, so that no name can pass for something else.
    pub(super) fn name(&mut self, name: &str) {
        self.debug(name);
    }

    /// Something plain whose debug text says all of it.
    pub(super) fn debug<T: std::fmt::Debug + ?Sized>(&mut self, value: &T) {
        write!(self.text, "{value:?} ").expect("a string takes all");
    }

    pub(super) fn schema(&mut self, schema: &Schema) {
        self.text.push('(');
        for attribute in &schema.attributes {
            self.debug(&attribute.name);
            self.debug(&attribute.ty);
        }
        self.text.push(')');
    }

    /// A stream as its readers know it: by its name and attributes.
    pub(super) fn stream(&mut self, stream: StreamId) {
        let stream = &self.plan.streams[stream];
        self.word("stream");
        self.name(&stream.shown());
        self.schema(&stream.schema);
    }

    pub(super) fn findable(&mut self, with: Findable) {
        match with {
            Findable::Table(table) | Findable::External(table) => {
                self.word(if with == Findable::Table(table) { "table" } else { "external" });
                let table = &self.plan.tables[table];
                self.name(&table.name);
                self.schema(&table.schema);
            }
            Findable::Window(window) => {
                let window = &self.plan.windows[window];
                self.word("window");
                self.name(&window.name);
                self.schema(&window.schema);
            }
            Findable::Aggregation(aggregation) => self.aggregation(aggregation),
            Findable::Port(port) => {
                self.word("port");
                self.debug(&port);
            }
        }
    }

    fn aggregation(&mut self, id: AggregationId) {
        let aggregation = &self.plan.aggregations[id];
        self.word("aggregation");
        self.name(&aggregation.name);
        self.schema(&aggregation.schema);
    }

    pub(super) fn source(&mut self, source: Source) {
        match source {
            Source::Stream(stream) => self.stream(stream),
            Source::Window(window) => {
                self.findable(Findable::Window(window));
                self.debug(&self.plan.windows[window].output);
            }
        }
    }

    pub(super) fn stage(&mut self, stage: &Stage) {
        match stage {
            Stage::Filter(condition) => {
                self.word("filter");
                self.expr(condition);
            }
            Stage::Window(call) => self.window(call),
            Stage::Function(call) => {
                self.word("function");
                self.name(&call.name);
                self.exprs(&call.arguments);
                self.debug(&call.types);
                self.schema(&call.added);
                self.name(&call.stream);
            }
            Stage::Lookup(lookup) => {
                self.word("lookup");
                self.findable(lookup.with);
                self.debug(&(lookup.outer, lookup.width, &lookup.types, lookup.found_first));
                if let Some(columns) = lookup.missing {
                    self.debug(&columns);
                }
                self.option(lookup.on.as_ref());
                if let Some(buckets) = &lookup.buckets {
                    buckets.exprs().for_each(|expr| self.expr(expr));
                }
            }
        }
    }

    pub(super) fn window(&mut self, call: &WindowCall) {
        self.word("#window");
        self.name(&call.name);
        self.exprs(&call.arguments);
        self.debug(&call.types);
        if let Some(predicate) = &call.predicate {
            self.aggregates(&predicate.aggregates);
            self.expr(&predicate.condition);
        } else if call.arguments.iter().any(|argument| argument.as_column().is_some()) {
            // A condition may come as a value, and then names the columns.
            self.debug(&call.names);
        }
    }

    pub(super) fn aggregates(&mut self, calls: &[AggregateCall]) {
        for call in calls {
            self.word("aggregate");
            self.name(&call.name);
            self.exprs(&call.arguments);
            self.debug(&call.ty);
        }
    }

    pub(super) fn selection(&mut self, selection: &Selection) {
        self.debug(&selection.input);
        self.aggregates(&selection.aggregates);
        self.exprs(&selection.outputs);
        self.schema(&selection.schema);
        self.exprs(&selection.group_by);
        self.option(selection.having.as_ref());
        for (key, descending) in &selection.order_by {
            self.expr(key);
            self.debug(descending);
        }
        self.debug(&(selection.limit, selection.offset));
    }

    pub(super) fn key(&mut self, key: &PartitionKey) {
        self.stream(key.stream);
        match &key.by {
            KeyBy::Value(value) => self.expr(value),
            KeyBy::Ranges(ranges) => {
                for (condition, label) in ranges {
                    self.expr(condition);
                    self.name(label);
                }
            }
        }
    }

    /// A pattern, all that decides about the matches it holds.
    pub(super) fn pattern(&mut self, pattern: &Pattern) {
        self.debug(&(pattern.sequence, pattern.within, &pattern.parts, &pattern.begun));
        for state in &pattern.states {
            self.debug(&(state.port, state.role, state.is_start, &state.reads));
            self.debug(&(state.next, state.again, state.rearms));
            self.debug(&(state.ends, state.leads, state.restarts));
            self.option(state.filter.as_ref());
        }
        self.debug(&pattern.captures);
    }

    /// A whole query, but for its name.
    pub(super) fn query(&mut self, query: &Query) {
        for port in &query.ports {
            self.source(port.source);
            port.stages.iter().for_each(|stage| self.stage(stage));
        }
        query.pattern.iter().for_each(|pattern| self.pattern(pattern));
        self.selection(&query.selection);
        self.debug(&query.events);
        self.debug(&query.rate);
        self.output(&query.output);
    }

    fn output(&mut self, output: &Output) {
        match output {
            Output::Stream(stream) => self.stream(*stream),
            Output::Window(window) => self.findable(Findable::Window(*window)),
            Output::Aggregate(aggregation) => self.aggregation(*aggregation),
            Output::Insert(table) => self.write("insert", *table, None, &[]),
            Output::Delete(table, on) => self.write("delete", *table, Some(on), &[]),
            Output::Update(table, on, sets) => self.write("update", *table, Some(on), sets),
            Output::UpdateOrInsert(table, on, sets) => {
                self.write("update or insert", *table, Some(on), sets);
            }
            Output::Return => self.word("return"),
        }
    }

    fn write(
        &mut self,
        word: &str,
        table: usize,
        on: Option<&TableCondition>,
        sets: &[Assignment],
    ) {
        self.word(word);
        self.findable(Findable::Table(table));
        self.option(on.and_then(Option::as_ref));
        for set in sets {
            self.debug(&set.column);
            self.expr(&set.value);
        }
    }

    fn option(&mut self, expr: Option<&Expr>) {
        match expr {
            Some(expr) => self.expr(expr),
            None => self.word("none"),
        }
    }

    pub(super) fn exprs(&mut self, exprs: &[Expr]) {
        self.text.push('[');
        exprs.iter().for_each(|expr| self.expr(expr));
        self.text.push(']');
    }

    /// The place where a function is called is no part of what it does.
    pub(super) fn expr(&mut self, expr: &Expr) {
        self.text.push('(');
        self.debug(&expr.ty);
        match &expr.node {
            Node::Constant(value) => self.debug(value),
            Node::Column(index) => self.debug(index),
            Node::Widen(_) => self.word("widen"),
            Node::Arithmetic(operator, ..) => self.debug(operator),
            Node::Compare(operator, ..) => self.debug(operator),
            Node::And(..) => self.word("and"),
            Node::Or(..) => self.word("or"),
            Node::Not(_) => self.word("not"),
            Node::IsNull(_) => self.word("is null"),
            Node::Call { name, .. } => {
                self.word("call");
                self.name(name);
            }
            Node::Script { function, .. } => {
                self.word("script");
                self.debug(&(&function.language, &function.body, function.returns));
            }
            Node::In(with, _, width) => {
                self.word("in");
                self.findable(*with);
                self.debug(width);
            }
        }
        expr.children().into_iter().for_each(|child| self.expr(child));
        self.text.push(')');
    }
}
