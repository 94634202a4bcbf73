//! Prints expressions, with brackets only where they change the meaning.

use crate::language::format::printer::Gap;
use crate::language::format::printer::Printer;
use crate::language::token::Keyword;
use crate::language::tree::Arguments;
use crate::language::tree::AttributeReference;
use crate::language::tree::BinaryOperator;
use crate::language::tree::Call;
use crate::language::tree::EventIndexKind;
use crate::language::tree::EventReference;
use crate::language::tree::Expression;
use crate::language::tree::ExpressionKind;
use crate::language::tree::Identifier;
use crate::language::tree::Literal;
use crate::language::tree::SourceName;
use crate::language::tree::SourcePrefix;
use crate::language::tree::TimeLiteral;
use crate::language::tree::TimeUnit;

/// Binds tighter than every operator with two sides.
const NOT: u8 = 8;
/// Binds tighter than `not`.
const IS_NULL: u8 = 9;
/// Never needs brackets.
const OPERAND: u8 = 10;

/// How tightly the outermost operator of an expression binds.
fn power(expression: &Expression) -> u8 {
    match &expression.kind {
        ExpressionKind::Binary { operator, .. } => operator.power(),
        ExpressionKind::In { .. } => BinaryOperator::IN_POWER,
        ExpressionKind::Not(_) => NOT,
        ExpressionKind::IsNull(_) | ExpressionKind::EventIsNull(_) => IS_NULL,
        _ => OPERAND,
    }
}

impl Printer<'_> {
    pub(super) fn expression(&mut self, expression: &Expression) {
        match &expression.kind {
            ExpressionKind::Literal(literal) => self.literal(literal, expression),
            ExpressionKind::Attribute(attribute) => self.attribute_reference(attribute),
            ExpressionKind::Not(operand) => {
                self.word("not");
                self.gap(Gap::Space);
                self.operand(operand, NOT);
            }
            ExpressionKind::Binary { .. } | ExpressionKind::In { .. } => self.chain(expression),
            ExpressionKind::IsNull(operand) => {
                self.operand(operand, IS_NULL);
                self.gap(Gap::Space);
                self.words("is null");
            }
            ExpressionKind::EventIsNull(event) => {
                self.event_reference(event);
                self.gap(Gap::Space);
                self.words("is null");
            }
            ExpressionKind::Call(call) => self.call(call),
            // Only trees without errors are printed as plans; a message shows the gap.
            ExpressionKind::Error => self.leaf("?".to_owned(), expression.span),
        }
    }

    /// An expression where only operators that bind at least so tightly go without brackets.
    fn operand(&mut self, expression: &Expression, least: u8) {
        if power(expression) >= least {
            return self.expression(expression);
        }
        self.word("(");
        self.expression(expression);
        self.word(")");
    }

    /// Operators of one strength, one after another from the left, each on a line of its own if
    /// they do not fit. Printed without recursion, since such chains can be long.
    fn chain(&mut self, expression: &Expression) {
        let strength = power(expression);
        let mut links = Vec::new();
        let mut first = expression;
        while power(first) == strength {
            match &first.kind {
                ExpressionKind::Binary { left, .. } => {
                    links.push(first);
                    first = left;
                }
                ExpressionKind::In { condition, .. } => {
                    links.push(first);
                    first = condition;
                }
                _ => break,
            }
        }
        self.open();
        self.indent();
        self.operand(first, strength);
        for link in links.into_iter().rev() {
            self.gap(Gap::Soft);
            match &link.kind {
                ExpressionKind::Binary { operator, right, .. } => {
                    self.word(operator.symbol());
                    self.gap(Gap::Space);
                    self.operand(right, strength + 1);
                }
                ExpressionKind::In { table, .. } => {
                    self.word("in");
                    self.gap(Gap::Space);
                    self.name(table);
                }
                _ => {}
            }
        }
        self.dedent();
        self.close();
    }

    fn literal(&mut self, literal: &Literal, expression: &Expression) {
        let text = match literal {
            Literal::Int(value) => value.to_string(),
            Literal::Long(value) => format!("{value}L"),
            Literal::Float(value) => format!("{value:?}f"),
            Literal::Double(value) => format!("{value:?}"),
            Literal::Bool(value) => value.to_string(),
            Literal::String(text) => return self.string(text),
            Literal::Time(time) => return self.time(time),
        };
        self.leaf(text, expression.span);
    }

    pub(super) fn time(&mut self, time: &TimeLiteral) {
        for (at, part) in time.parts.iter().enumerate() {
            if at > 0 {
                self.gap(Gap::Space);
            }
            let text = format!("{} {}", part.amount, unit_word(part.unit, part.amount));
            self.leaf(text, part.span);
        }
    }

    pub(super) fn call(&mut self, call: &Call) {
        if let Some(namespace) = &call.namespace {
            self.name(namespace);
            self.word(":");
        }
        self.name(&call.name);
        match &call.arguments {
            Arguments::List(list) => self.list(list, Printer::expression),
            Arguments::All => {
                self.word("(");
                self.word("*");
                self.word(")");
            }
        }
    }

    pub(super) fn attribute_reference(&mut self, attribute: &AttributeReference) {
        if let Some(source) = &attribute.source {
            self.event_reference(source);
            self.word(".");
        }
        self.name(&attribute.name);
    }

    fn event_reference(&mut self, event: &EventReference) {
        self.prefix(event.prefix);
        self.name(&event.name);
        let Some(index) = &event.index else { return };
        let text = match index.kind {
            EventIndexKind::FromFirst(at) => format!("[{at}]"),
            EventIndexKind::FromLast(0) => "[last]".to_owned(),
            EventIndexKind::FromLast(back) => format!("[last - {back}]"),
        };
        self.leaf(text, index.span);
    }

    pub(super) fn source_name(&mut self, source: &SourceName) {
        self.prefix(source.prefix);
        self.name(&source.name);
    }

    fn prefix(&mut self, prefix: SourcePrefix) {
        match prefix {
            SourcePrefix::None => {}
            SourcePrefix::Inner => self.word("#"),
            SourcePrefix::Fault => self.word("!"),
        }
    }

    /// A name, in back-quotes where it would be read as something else without.
    pub(super) fn name(&mut self, name: &Identifier) {
        let mut bytes = name.text.bytes();
        let plain = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let keyword = Keyword::of(&name.text);
        let taken =
            matches!(keyword, Some(Keyword::True | Keyword::False | Keyword::Not | Keyword::Every));
        let quoted = !plain || taken || (name.quoted && keyword.is_some());
        let text = if quoted { format!("`{}`", name.text) } else { name.text.clone() };
        self.leaf(text, name.span);
    }
}

/// A text in the quotes that can hold it.
pub(super) fn quoted_text(text: &str) -> String {
    let lines = text.contains(['\n', '\r']);
    if !lines && !text.contains('\'') {
        format!("'{text}'")
    } else if !lines && !text.contains('"') {
        format!("\"{text}\"")
    } else {
        format!("\"\"\"{text}\"\"\"")
    }
}

/// A unit of time as house style spells it.
pub(super) fn unit_word(unit: TimeUnit, amount: i32) -> &'static str {
    match (unit, amount) {
        (TimeUnit::Year, 1) => "year",
        (TimeUnit::Year, _) => "years",
        (TimeUnit::Month, 1) => "month",
        (TimeUnit::Month, _) => "months",
        (TimeUnit::Week, 1) => "week",
        (TimeUnit::Week, _) => "weeks",
        (TimeUnit::Day, 1) => "day",
        (TimeUnit::Day, _) => "days",
        (TimeUnit::Hour, 1) => "hour",
        (TimeUnit::Hour, _) => "hours",
        (TimeUnit::Minute, _) => "min",
        (TimeUnit::Second, _) => "sec",
        (TimeUnit::Millisecond, _) => "millisec",
    }
}
