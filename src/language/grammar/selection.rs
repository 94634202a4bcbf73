//! Selections: what is computed, grouped, kept, ordered and cut off.

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::parser::Parser;
use crate::language::parser::Read;
use crate::language::token::Keyword;
use crate::language::token::TokenKind;
use crate::language::tree::AttributeReference;
use crate::language::tree::Expression;
use crate::language::tree::ExpressionKind;
use crate::language::tree::Order;
use crate::language::tree::OrderBy;
use crate::language::tree::SelectItem;
use crate::language::tree::SelectItems;
use crate::language::tree::Selection;

/// What may follow the output attributes.
const AFTER_ITEMS: &[Keyword] = &[
    Keyword::Group,
    Keyword::Having,
    Keyword::Order,
    Keyword::Limit,
    Keyword::Offset,
    Keyword::Output,
    Keyword::Insert,
    Keyword::Delete,
    Keyword::Update,
    Keyword::Return,
    Keyword::Aggregate,
];

impl Parser<'_> {
    /// `select` and its clauses.
    pub(super) fn selection(&mut self) -> Read<Selection> {
        let mut selection = self.aggregation_selection()?;
        let start = selection.span;
        if self.eat_keyword(Keyword::Having) {
            selection.having = Some(self.expression()?);
            self.mend(AFTER_ITEMS);
        }
        if self.eat_keyword(Keyword::Order) {
            self.expect_keyword(Keyword::By, "after `order`")?;
            selection.order_by = self.order_by()?;
            self.mend(AFTER_ITEMS);
        }
        if self.eat_keyword(Keyword::Limit) {
            selection.limit = Some(self.expression()?);
            self.mend(AFTER_ITEMS);
        }
        if self.eat_keyword(Keyword::Offset) {
            selection.offset = Some(self.expression()?);
            self.mend(AFTER_ITEMS);
        }
        selection.span = self.since(start);
        Ok(selection)
    }

    /// `select` with `group by` at most, as aggregations have it.
    pub(super) fn aggregation_selection(&mut self) -> Read<Selection> {
        let start = self.expect_keyword(Keyword::Select, "before the output attributes")?;
        let items = self.select_items()?;
        self.mend(AFTER_ITEMS);
        let mut group_by = Vec::new();
        if self.eat_keyword(Keyword::Group) {
            self.expect_keyword(Keyword::By, "after `group`")?;
            group_by = self.group_by()?;
            self.mend(AFTER_ITEMS);
        }
        Ok(Selection {
            items,
            group_by,
            having: None,
            order_by: Vec::new(),
            limit: None,
            offset: None,
            span: self.since(start),
        })
    }

    fn select_items(&mut self) -> Read<SelectItems> {
        if self.eat(TokenKind::Star) {
            return Ok(SelectItems::All);
        }
        if self.at_clause() {
            return self.unexpected("`*` or output attributes after `select`");
        }
        let mut items = vec![self.select_item()?];
        while self.eat(TokenKind::Comma) {
            items.push(self.select_item()?);
        }
        Ok(SelectItems::List(items))
    }

    fn select_item(&mut self) -> Read<SelectItem> {
        let expression = self.expression()?;
        let start = expression.span;
        let mut name = None;
        if self.eat_keyword(Keyword::As) {
            name = Some(self.name("a name after `as`")?);
        } else {
            self.mend(AFTER_ITEMS);
            if self.at_name() && self.peek(0).keyword.is_none() {
                // `price * 2 twice`
                let place = self.here();
                let message = format!("expected `as` before the name {}", self.found());
                let diagnostic = Diagnostic::error(codes::UNEXPECTED, place, message);
                let written = format!("as {}", self.text_of(place));
                self.report(diagnostic.suggest(place, written));
                name = Some(self.name("a name")?);
            } else {
                self.check_named(&expression);
            }
        }
        Ok(SelectItem { expression, name, span: self.since(start) })
    }

    /// Only a plain attribute can go without a name of its own.
    fn check_named(&mut self, expression: &Expression) {
        if matches!(expression.kind, ExpressionKind::Attribute(_) | ExpressionKind::Error) {
            return;
        }
        let message = "an output attribute that is computed needs a name";
        let diagnostic = Diagnostic::error(codes::UNNAMED_ATTRIBUTE, expression.span, message);
        self.report(diagnostic.help("put `as name` behind it"));
    }

    fn group_by(&mut self) -> Read<Vec<AttributeReference>> {
        let role = "an attribute after `group by`";
        let mut list = vec![self.attribute_reference(role)?];
        while self.eat(TokenKind::Comma) {
            list.push(self.attribute_reference(role)?);
        }
        Ok(list)
    }

    fn order_by(&mut self) -> Read<Vec<OrderBy>> {
        let mut list = Vec::new();
        loop {
            let attribute = self.attribute_reference("an attribute after `order by`")?;
            let start = attribute.span;
            let order = if self.eat_keyword(Keyword::Desc) {
                Order::Descending
            } else {
                self.eat_keyword(Keyword::Asc);
                Order::Ascending
            };
            list.push(OrderBy { attribute, order, span: self.since(start) });
            if !self.eat(TokenKind::Comma) {
                return Ok(list);
            }
        }
    }
}
