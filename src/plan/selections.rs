//! `select`, `group by`, `having`, `order by`, `limit` and `offset`.

use crate::event::Attribute;
use crate::event::DataType;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree;
use crate::language::tree::Expression;
use crate::language::tree::ExpressionKind;
use crate::language::tree::Identifier;
use crate::language::tree::Literal;
use crate::language::tree::Order;
use crate::language::tree::SelectItem;
use crate::language::tree::SelectItems;
use crate::language::tree::Span;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::expression::Expr;
use crate::plan::logical::AggregateCall;
use crate::plan::logical::Selection;
use crate::plan::scopes::Found;
use crate::plan::scopes::Member;
use crate::plan::scopes::Scope;
use crate::plan::types::Aggregates;
use crate::plan::types::Place;
use std::rc::Rc;

impl Checker<'_> {
    /// A selection over what the input leaves; `None` as `tree` means `select *`, which stands at
    /// `span`. `input` are the types of the frame's columns.
    pub(super) fn selection(
        &mut self,
        tree: Option<&tree::Selection>,
        span: Span,
        scope: &Scope,
        input: &[DataType],
    ) -> Option<Selection> {
        let Some(tree) = tree else {
            let (outputs, schema) = self.select_all(scope, span)?;
            return Some(Selection {
                input: input.to_vec(),
                outputs,
                schema,
                ..Selection::default()
            });
        };
        let items = match &tree.items {
            SelectItems::All => 0,
            SelectItems::List(items) => items.len(),
        };
        if self.too_long(items, "outputs", tree.span)
            || self.too_long(tree.group_by.len(), "group keys", tree.span)
            || self.too_long(tree.order_by.len(), "sort keys", tree.span)
        {
            return None;
        }
        // Where the outputs' columns lie is known only when all aggregates are, those of `having`
        // too. So they are gathered first; the second round finds each in the list.
        let mark = self.mark();
        let mut aggregates = Vec::new();
        self.select_round(tree, scope, input, &mut aggregates);
        self.take_back(&mark);
        let selection = self.select_round(tree, scope, input, &mut aggregates);
        selection.map(|selection| Selection { aggregates, ..selection })
    }

    fn select_round(
        &mut self,
        tree: &tree::Selection,
        scope: &Scope,
        input: &[DataType],
        aggregates: &mut Vec<AggregateCall>,
    ) -> Option<Selection> {
        let base = input.len();
        let mut own = scope.clone();
        own.width = base + aggregates.len();
        let selected = match &tree.items {
            SelectItems::All => self.select_all(scope, tree.span),
            SelectItems::List(items) => self.select_list(items, &own, base, aggregates),
        };
        let keys: Vec<Option<Expr>> =
            tree.group_by.iter().map(|key| self.attribute(key, scope)).collect();
        let limit = self.row_count(tree.limit.as_ref(), "limit");
        let offset = self.row_count(tree.offset.as_ref(), "offset");
        let (outputs, schema) = selected?;
        let first = base + aggregates.len();
        let member = Member::outputs(Rc::new(schema.clone()), first);
        let after = scope.nearer(vec![member], first + schema.len());
        let having = tree.having.as_ref().map(|having| {
            let taken = Aggregates::Taken { list: aggregates, base };
            let mut place = Place { scope: &after, aggregates: taken };
            self.condition(having, &mut place, "`having`")
        });
        let order: Vec<Option<(Expr, bool)>> = tree
            .order_by
            .iter()
            .map(|key| {
                let expr = self.attribute(&key.attribute, &after)?;
                Some((expr, key.order == Order::Descending))
            })
            .collect();
        let having = match having {
            Some(having) => Some(having?),
            None => None,
        };
        Some(Selection {
            input: input.to_vec(),
            aggregates: Vec::new(),
            outputs,
            schema,
            group_by: keys.into_iter().collect::<Option<_>>()?,
            having,
            order_by: order.into_iter().collect::<Option<_>>()?,
            limit: limit?,
            offset: offset?,
        })
    }

    /// `select *`: every attribute of every source, in order.
    fn select_all(&mut self, scope: &Scope, span: Span) -> Option<(Vec<Expr>, Schema)> {
        let mut outputs = Vec::new();
        let mut schema = Schema::default();
        for (name, found) in scope.events.iter().flat_map(|events| events.all()) {
            let Found::Column(index, ty) = found else { continue };
            if schema.position(&name).is_some() {
                return self.twins(&name, span);
            }
            outputs.push(Expr::column(index, ty));
            schema.attributes.push(Attribute { name, ty });
        }
        for member in scope.members() {
            // The names of one source differ from each other.
            let before = schema.clone();
            for (place, attribute) in member.schema.attributes.iter().enumerate() {
                if before.position(&attribute.name).is_some() {
                    return self.twins(&attribute.name, span);
                }
                outputs.push(Expr::column(member.base + place, attribute.ty));
                schema.attributes.push(attribute.clone());
            }
        }
        Some((outputs, schema))
    }

    /// Says that `select *` would give two outputs of one name.
    fn twins<T>(&mut self, name: &str, span: Span) -> Option<T> {
        let message = format!("two sources have an attribute `{name}`");
        let diagnostic = Diagnostic::error(codes::OUTPUT_TAKEN, span, message);
        self.report(diagnostic.help("name the attributes you want instead of `select *`"));
        None
    }

    fn select_list(
        &mut self,
        items: &[SelectItem],
        scope: &Scope,
        base: usize,
        aggregates: &mut Vec<AggregateCall>,
    ) -> Option<(Vec<Expr>, Schema)> {
        let mut outputs = Vec::new();
        let mut schema = Schema::default();
        let mut whole = true;
        for (index, item) in items.iter().enumerate() {
            let taken = Aggregates::Taken { list: aggregates, base };
            let mut place = Place { scope, aggregates: taken };
            let expr = self.expression(&item.expression, &mut place);
            let Some(name) = output_name(item) else {
                // The parser has asked for a name.
                whole = false;
                continue;
            };
            if let Some(first) =
                items[..index].iter().filter_map(output_name).find(|first| first.text == name.text)
            {
                let message = format!("two outputs are called `{}`", name.text);
                let diagnostic = Diagnostic::error(codes::OUTPUT_TAKEN, name.span, message)
                    .also(first.span, "first here")
                    .help("give one of them another name with `as`");
                self.report(diagnostic);
                whole = false;
            } else if let Some(expr) = expr {
                schema.attributes.push(Attribute { name: name.text.as_str().into(), ty: expr.ty });
                outputs.push(expr);
            } else {
                whole = false;
            }
        }
        whole.then_some((outputs, schema))
    }

    /// The constant after `limit` or `offset`; the inner nothing means that there is none.
    fn row_count(&mut self, tree: Option<&Expression>, what: &str) -> Option<Option<u64>> {
        let Some(tree) = tree else { return Some(None) };
        let message = match &tree.kind {
            ExpressionKind::Literal(Literal::Int(count)) => match u64::try_from(*count) {
                Ok(count) => return Some(Some(count)),
                Err(_) => format!("`{what}` cannot be negative"),
            },
            ExpressionKind::Literal(Literal::Long(count)) => match u64::try_from(*count) {
                Ok(count) => return Some(Some(count)),
                Err(_) => format!("`{what}` cannot be negative"),
            },
            ExpressionKind::Error => return None,
            _ => format!("`{what}` takes a constant whole number"),
        };
        let diagnostic = Diagnostic::error(codes::BAD_LIMIT, tree.span, message)
            .help(format!("for example `{what} 10`"));
        self.report(diagnostic);
        None
    }
}

/// By what an output goes: the name given, or that of a plain attribute.
pub(super) fn output_name(item: &SelectItem) -> Option<&Identifier> {
    item.name.as_ref().or(match &item.expression.kind {
        ExpressionKind::Attribute(reference) => Some(&reference.name),
        _ => None,
    })
}
