//! Conditions that windows take as text, as in `#window.expression('sum(price) < 100')`: they speak
//! of the rows that a window holds.

use crate::event::DataType;
use crate::event::Schema;
use crate::event::Text;
use crate::language;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Expression;
use crate::language::tree::Span;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::expression::Expr;
use crate::plan::logical::AggregateCall;
use crate::plan::logical::Predicate;
use crate::plan::scopes::Member;
use crate::plan::scopes::Scope;
use crate::plan::signature::Catalog;
use crate::plan::signature::Trait;
use crate::plan::types::Aggregates;
use crate::plan::types::Place;
use std::rc::Rc;

/// Reads and checks the condition of a window over columns of the names and types given. Places in
/// messages count from the start of `text`.
///
/// # Errors
/// What is wrong with it; never empty.
pub fn check_predicate(
    text: &str,
    names: &[Text],
    types: &[DataType],
    catalog: &dyn Catalog,
) -> Result<Predicate, Vec<Diagnostic>> {
    let schema = Schema::new(names.iter().cloned().zip(types.iter().copied()));
    let mut checker = Checker::new(text, catalog);
    let predicate = checker.predicate(text, &schema);
    match predicate {
        Some(predicate) if checker.diagnostics.is_empty() => Ok(predicate),
        _ => Err(checker.diagnostics),
    }
}

impl Checker<'_> {
    /// The condition that a window's first argument holds, if it is one that has such a condition
    /// and the text is constant. The outer nothing means that a message says what is wrong.
    pub(super) fn window_predicate(
        &mut self,
        window: &str,
        arguments: &[Expr],
        place: Option<Span>,
        schema: &Schema,
    ) -> Option<Option<Predicate>> {
        let constant = arguments.first().and_then(Expr::as_constant);
        let Some(text) = constant.and_then(|value| value.as_text()) else { return Some(None) };
        let signature = self.catalog.window(window);
        if !signature.is_some_and(|signature| signature.has(Trait::TakesCondition)) {
            return Some(None);
        }
        let place = place.unwrap_or_default();
        let said = self.diagnostics.len();
        let predicate = self.predicate(text, schema);
        // Inside of the quotes places count from the text's own start.
        let quotes = self
            .text
            .get(place.start..place.end)
            .map_or(0, |written| if written.starts_with("\"\"\"") { 3 } else { 1 });
        for diagnostic in &mut self.diagnostics[said..] {
            move_by(diagnostic, place.start + quotes);
        }
        (self.diagnostics.len() == said).then_some(predicate)
    }

    fn predicate(&mut self, text: &str, schema: &Schema) -> Option<Predicate> {
        let parsed = language::parse_expression(text);
        let readable = !parsed.diagnostics.iter().any(Diagnostic::is_error);
        parsed.diagnostics.into_iter().for_each(|each| self.report(each));
        let tree = parsed.tree.filter(|_| readable)?;
        let mark = self.mark();
        let mut aggregates = Vec::new();
        // As in a selection: where the rows' columns lie is known when all aggregates are.
        self.held_condition(&tree, schema, &mut aggregates);
        self.take_back(&mark);
        let condition = self.held_condition(&tree, schema, &mut aggregates)?;
        let mut taken = Vec::new();
        aggregates
            .iter()
            .flat_map(|aggregate| &aggregate.arguments)
            .for_each(|argument| argument.columns(&mut taken));
        if taken.iter().any(|column| *column >= schema.len()) {
            let message = "an aggregator takes the attributes of every row, not of one";
            let fault = Diagnostic::error(codes::AGGREGATOR_PLACE, tree.span, message);
            self.report(fault.help("leave `first.` and `last.` out"));
            return None;
        }
        Some(Predicate { aggregates, condition })
    }

    fn held_condition(
        &mut self,
        tree: &Expression,
        schema: &Schema,
        aggregates: &mut Vec<AggregateCall>,
    ) -> Option<Expr> {
        let base = schema.len();
        let first = base + aggregates.len();
        let last = first + base;
        let times = last + base;
        let schema = Rc::new(schema.clone());
        let near = vec![Member::outputs(Rc::clone(&schema), 0)];
        let held = vec![
            Member::new("first", Rc::clone(&schema), first).with_time(times),
            Member::new("last", schema, last).with_time(times + 1),
        ];
        let scope = Scope::new(held).nearer(near, times + 2);
        let taken = Aggregates::Taken { list: aggregates, base };
        let mut place = Place { scope: &scope, aggregates: taken };
        self.condition(tree, &mut place, "the condition of a window")
    }
}

fn move_by(diagnostic: &mut Diagnostic, offset: usize) {
    let moved = |span: Span| Span::new(span.start + offset, span.end + offset);
    diagnostic.primary.span = moved(diagnostic.primary.span);
    for label in &mut diagnostic.secondary {
        label.span = moved(label.span);
    }
    if let Some(suggestion) = &mut diagnostic.suggestion {
        suggestion.span = moved(suggestion.span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::expression::Node;
    use crate::plan::testing::TestCatalog;

    fn names() -> (Vec<Text>, Vec<DataType>) {
        (vec!["symbol".into(), "price".into()], vec![DataType::Text, DataType::Int])
    }

    #[test]
    fn a_condition_speaks_of_the_rows_held() {
        let (names, types) = names();
        let text = "sum(price) < 100 and last.price > first.price \
            and eventTimestamp(last) - eventTimestamp(first) < 5";
        let predicate = check_predicate(text, &names, &types, &TestCatalog).expect("right");
        assert_eq!(predicate.aggregates.len(), 1);
        let mut columns = Vec::new();
        predicate.condition.columns(&mut columns);
        // Two columns, one aggregate, first row, last row, times of first and last.
        assert_eq!(columns, [2, 6, 4, 8, 7]);
        let text = "price > 3";
        let predicate = check_predicate(text, &names, &types, &TestCatalog).expect("right");
        assert!(matches!(predicate.condition.node, Node::Compare(..)));
    }

    #[test]
    fn what_is_wrong_is_said_at_its_place() {
        let (names, types) = names();
        let wrong = |text: &str| {
            let found = check_predicate(text, &names, &types, &TestCatalog).expect_err("wrong");
            (found[0].code, found[0].primary.span.start)
        };
        assert_eq!(wrong("eventTimestamp(last)"), ("P0203", 0));
        assert_eq!(wrong("count() < pirce"), ("P0102", 10));
        assert_eq!(wrong("count() <"), ("L0001", 9));
        assert_eq!(wrong("sum(first.price) < 5"), ("P0308", 0));
    }
}
