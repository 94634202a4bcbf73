//! Checks that every node lies within its parent and within the text.

use crate::language::diagnostic::Diagnostic;
use crate::language::parse;
use crate::language::parse_query;
use crate::language::render;
use crate::language::source::Source;
use crate::language::tree::*;

/// Reads a text as a plan and as a query, and checks all places and messages.
pub(super) fn check(text: &str) {
    let parsed = parse(text);
    let mut walk = Walk { text, parents: vec![Span::new(0, text.len())] };
    walk.plan(&parsed.tree);
    let source = Source::new("plan", text);
    check_messages(&source, &parsed.diagnostics);

    let parsed = parse_query(text);
    assert!(parsed.tree.is_some() || parsed.has_errors());
    if let Some(query) = &parsed.tree {
        walk.on_demand(query);
    }
    check_messages(&source, &parsed.diagnostics);
}

fn check_messages(source: &Source, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        let whole = Span::new(0, source.text().len());
        assert!(whole.contains(diagnostic.primary.span), "{diagnostic:?}");
        assert!(diagnostic.secondary.iter().all(|label| whole.contains(label.span)));
        if let Some(suggestion) = &diagnostic.suggestion {
            assert!(source.text().get(suggestion.span.start..suggestion.span.end).is_some());
        }
        let shown = render::message(source, diagnostic, render::Colour::Never);
        assert!(shown.contains('^'), "{shown}");
    }
}

struct Walk<'a> {
    text: &'a str,
    parents: Vec<Span>,
}

impl Walk<'_> {
    fn within(&mut self, span: Span, visit: impl FnOnce(&mut Self)) {
        let parent = self.parents.last().expect("the text itself");
        assert!(parent.contains(span), "{span:?} in {parent:?} of {:?}", self.text);
        assert!(self.text.get(span.start..span.end).is_some());
        self.parents.push(span);
        visit(self);
        self.parents.pop();
    }

    fn leaf(&mut self, span: Span) {
        self.within(span, |_| {});
    }

    fn plan(&mut self, plan: &Plan) {
        self.annotations(&plan.annotations);
        for definition in &plan.definitions {
            self.within(definition.span(), |walk| walk.definition(definition));
        }
        for element in &plan.elements {
            match element {
                Element::Query(query) => self.query(query),
                Element::Partition(partition) => self.partition(partition),
            }
        }
    }

    fn annotations(&mut self, annotations: &[Annotation]) {
        for annotation in annotations {
            self.within(annotation.span, |walk| {
                walk.leaf(annotation.name.span);
                for element in &annotation.elements {
                    match element {
                        AnnotationElement::Annotation(inner) => {
                            walk.annotations(std::slice::from_ref(inner));
                        }
                        AnnotationElement::Property { value, span, .. } => {
                            walk.within(*span, |walk| walk.leaf(value.span));
                        }
                    }
                }
            });
        }
    }

    fn definition(&mut self, definition: &Definition) {
        self.leaf(definition.name().span);
        match definition {
            Definition::Stream(stream) => {
                self.annotations(&stream.annotations);
                self.attributes(&stream.attributes);
            }
            Definition::Table(table) => {
                self.annotations(&table.annotations);
                self.attributes(&table.attributes);
            }
            Definition::Window(window) => {
                self.annotations(&window.annotations);
                self.attributes(&window.attributes);
                self.call(&window.window);
            }
            Definition::Trigger(_) => {}
            Definition::Aggregation(aggregation) => {
                self.annotations(&aggregation.annotations);
                self.single(&aggregation.input);
                self.selection(&aggregation.selection);
            }
            Definition::Function(function) => self.leaf(function.body.span),
        }
    }

    fn attributes(&mut self, attributes: &[Attribute]) {
        for attribute in attributes {
            self.within(attribute.span, |walk| {
                walk.leaf(attribute.name.span);
                walk.leaf(attribute.type_name.span);
            });
        }
    }

    fn query(&mut self, query: &Query) {
        self.within(query.span, |walk| {
            walk.annotations(&query.annotations);
            walk.within(query.input.span(), |walk| walk.input(&query.input));
            query.selection.iter().for_each(|selection| walk.selection(selection));
            query.rate.iter().for_each(|rate| walk.leaf(rate.span));
            walk.within(query.output.span, |walk| match &query.output.kind {
                OutputKind::Insert { target } => walk.leaf(target.span),
                OutputKind::Delete { target, on } => {
                    walk.leaf(target.span);
                    on.iter().for_each(|on| walk.expression(on));
                }
                OutputKind::Update { target, set, on }
                | OutputKind::UpdateOrInsert { target, set, on } => {
                    walk.leaf(target.span);
                    walk.set(set);
                    walk.expression(on);
                }
                OutputKind::Return => {}
            });
        });
    }

    fn set(&mut self, set: &[Assignment]) {
        for assignment in set {
            self.within(assignment.span, |walk| {
                walk.leaf(assignment.attribute.span);
                walk.expression(&assignment.value);
            });
        }
    }

    fn input(&mut self, input: &Input) {
        match input {
            Input::Stream(single) => self.single(single),
            Input::Join(join) => {
                for side in [&join.left, &join.right] {
                    self.within(side.span, |walk| walk.single(&side.input));
                }
                join.on.iter().for_each(|on| self.expression(on));
                join.range.iter().for_each(|range| self.range(range));
            }
            Input::State(state) => self.state(&state.root),
            Input::Anonymous(query) => self.query(query),
        }
    }

    fn range(&mut self, range: &AggregationRange) {
        self.within(range.span, |walk| {
            walk.expression(&range.start);
            range.end.iter().for_each(|end| walk.expression(end));
            walk.expression(&range.per);
        });
    }

    fn single(&mut self, input: &SingleInput) {
        self.within(input.span, |walk| {
            walk.leaf(input.source.span);
            for handler in &input.handlers {
                walk.within(handler.span, |walk| match &handler.kind {
                    HandlerKind::Filter(condition) => walk.expression(condition),
                    HandlerKind::Function(call) | HandlerKind::Window(call) => walk.call(call),
                });
            }
        });
    }

    fn state(&mut self, element: &StateElement) {
        self.within(element.span, |walk| match &element.kind {
            StateElementKind::Stream(stream) => walk.single(&stream.input),
            StateElementKind::Count { stream, count } => {
                walk.leaf(count.span);
                walk.single(&stream.input);
            }
            StateElementKind::Logical { left, right, .. } => {
                walk.state(left);
                walk.state(right);
            }
            StateElementKind::Absent { input, .. } => walk.single(input),
            StateElementKind::Every(inner) => walk.state(inner),
            StateElementKind::Chain(parts) => parts.iter().for_each(|part| walk.state(part)),
        });
    }

    fn selection(&mut self, selection: &Selection) {
        self.within(selection.span, |walk| {
            if let SelectItems::List(items) = &selection.items {
                for item in items {
                    walk.within(item.span, |walk| walk.expression(&item.expression));
                }
            }
            selection.group_by.iter().for_each(|attribute| walk.leaf(attribute.span));
            selection.order_by.iter().for_each(|order| walk.leaf(order.span));
            for part in [&selection.having, &selection.limit, &selection.offset] {
                part.iter().for_each(|part| walk.expression(part));
            }
        });
    }

    fn partition(&mut self, partition: &Partition) {
        self.within(partition.span, |walk| {
            walk.annotations(&partition.annotations);
            for key in &partition.keys {
                walk.within(key.span, |walk| match &key.kind {
                    PartitionKeyKind::Value(value) => walk.expression(value),
                    PartitionKeyKind::Ranges(ranges) => {
                        for range in ranges {
                            walk.within(range.span, |walk| walk.expression(&range.condition));
                        }
                    }
                });
            }
            partition.queries.iter().for_each(|query| walk.query(query));
        });
    }

    fn call(&mut self, call: &Call) {
        self.within(call.span, |walk| {
            walk.leaf(call.name.span);
            if let Arguments::List(list) = &call.arguments {
                list.iter().for_each(|argument| walk.expression(argument));
            }
        });
    }

    fn expression(&mut self, expression: &Expression) {
        self.within(expression.span, |walk| match &expression.kind {
            ExpressionKind::Attribute(attribute) => walk.leaf(attribute.span),
            ExpressionKind::Not(operand) | ExpressionKind::IsNull(operand) => {
                walk.expression(operand);
            }
            ExpressionKind::Binary { operator_span, left, right, .. } => {
                walk.expression(left);
                walk.leaf(*operator_span);
                walk.expression(right);
            }
            ExpressionKind::EventIsNull(event) => walk.leaf(event.span),
            ExpressionKind::In { condition, table } => {
                walk.expression(condition);
                walk.leaf(table.span);
            }
            ExpressionKind::Call(call) => walk.call(call),
            ExpressionKind::Literal(_) | ExpressionKind::Error => {}
        });
    }

    fn on_demand(&mut self, query: &OnDemandQuery) {
        self.within(query.span, |walk| {
            query.selection.iter().for_each(|selection| walk.selection(selection));
            match &query.kind {
                OnDemandKind::Find { source, on, range, .. } => {
                    walk.leaf(source.span);
                    on.iter().for_each(|on| walk.expression(on));
                    range.iter().for_each(|range| walk.range(range));
                }
                OnDemandKind::Insert { target } => walk.leaf(target.span),
                OnDemandKind::Delete { target, on } => {
                    walk.leaf(target.span);
                    on.iter().for_each(|on| walk.expression(on));
                }
                OnDemandKind::Update { target, set, on }
                | OnDemandKind::UpdateOrInsert { target, set, on } => {
                    walk.leaf(target.span);
                    walk.set(set);
                    walk.expression(on);
                }
            }
        });
    }
}
