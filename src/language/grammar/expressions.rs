//! Expressions: operators by binding power, calls and attribute paths.

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::parser::BRACKET_STEPS;
use crate::language::parser::CALL_STEPS;
use crate::language::parser::OPERAND_STEPS;
use crate::language::parser::Parser;
use crate::language::parser::Read;
use crate::language::token::Keyword;
use crate::language::token::TokenKind;
use crate::language::tree::Arguments;
use crate::language::tree::AttributeReference;
use crate::language::tree::BinaryOperator;
use crate::language::tree::Call;
use crate::language::tree::EventIndex;
use crate::language::tree::EventIndexKind;
use crate::language::tree::EventReference;
use crate::language::tree::Expression;
use crate::language::tree::ExpressionKind;
use crate::language::tree::Identifier;
use crate::language::tree::Literal;
use crate::language::tree::SourcePrefix;
use crate::language::tree::Span;

/// The greatest depth of an expression's tree. A chain of operators leans to the left and is as
/// deep as it is long; everything that walks a tree must come back up.
const DEEPEST: usize = 250;

/// An expression with the depth of its tree. Boxed, so that it takes little room on the stack.
struct Deep {
    expression: Box<Expression>,
    depth: usize,
}

/// An operator between two sides.
#[derive(Clone, Copy)]
enum Infix {
    Binary(BinaryOperator),
    In,
}

impl Infix {
    /// How tightly it binds; greater is tighter.
    fn power(self) -> u8 {
        match self {
            Infix::In => BinaryOperator::IN_POWER,
            Infix::Binary(operator) => operator.power(),
        }
    }
}

impl Parser<'_> {
    /// A whole expression.
    pub(super) fn expression(&mut self) -> Read<Expression> {
        Ok(*self.deep(0)?.expression)
    }

    /// An expression in brackets that are open already; takes the closing one. If the expression
    /// cannot be read, the rest up to that bracket is skipped.
    pub(super) fn bracketed(&mut self, close: TokenKind, open: Span) -> Read<Expression> {
        let start = self.here();
        let read = self.nested(BRACKET_STEPS, |parser| {
            let expression = parser.expression()?;
            parser.expect_close(close, open, "")?;
            Ok(expression)
        });
        if read.is_err() {
            self.skip_to_close(close)?;
            return Ok(Expression { kind: ExpressionKind::Error, span: self.since(start) });
        }
        read
    }

    /// An expression of operators that bind at least so tightly.
    fn deep(&mut self, least: u8) -> Read<Deep> {
        let mut left = self.prefix()?;
        while let Some(infix) = self.infix() {
            if infix.power() < least {
                break;
            }
            let operator_span = self.bump().span;
            let start = left.expression.span;
            let (kind, depth) = match infix {
                Infix::In => {
                    let table = self.name("the name of a table after `in`")?;
                    (ExpressionKind::In { condition: left.expression, table }, left.depth)
                }
                Infix::Binary(operator) => {
                    let tighter = infix.power() + 1;
                    let right = self.nested(OPERAND_STEPS, |parser| parser.deep(tighter))?;
                    let depth = left.depth.max(right.depth);
                    let (left, right) = (left.expression, right.expression);
                    (ExpressionKind::Binary { operator, operator_span, left, right }, depth)
                }
            };
            left = self.deeper(kind, start, depth)?;
        }
        Ok(left)
    }

    fn deeper(&mut self, kind: ExpressionKind, start: Span, depth: usize) -> Read<Deep> {
        let span = self.since(start);
        if depth >= DEEPEST {
            let place = Span::new(start.start, start.start);
            return self.too_deep(place, &format!("a chain of more than {DEEPEST} operators"));
        }
        Ok(Deep { expression: Box::new(Expression { kind, span }), depth: depth + 1 })
    }

    /// The operator that stands here; one of another language is reported and understood.
    fn infix(&mut self) -> Option<Infix> {
        use BinaryOperator as B;
        let token = self.peek(0);
        let operator = match token.kind {
            TokenKind::Star => B::Multiply,
            TokenKind::Slash => B::Divide,
            TokenKind::Percent => B::Modulo,
            TokenKind::Plus => B::Add,
            TokenKind::Minus => B::Subtract,
            TokenKind::Less => B::Less,
            TokenKind::LessOrEqual => B::LessOrEqual,
            TokenKind::Greater => B::Greater,
            TokenKind::GreaterOrEqual => B::GreaterOrEqual,
            TokenKind::Equal => B::Equal,
            TokenKind::NotEqual => B::NotEqual,
            TokenKind::Assign => self.foreign(token.span, B::Equal),
            TokenKind::Foreign => match self.text_of(token.span) {
                "&&" => self.foreign(token.span, B::And),
                "||" => self.foreign(token.span, B::Or),
                _ => self.foreign(token.span, B::NotEqual),
            },
            TokenKind::Word => match token.keyword? {
                Keyword::And => B::And,
                Keyword::Or => B::Or,
                Keyword::In => return Some(Infix::In),
                _ => return None,
            },
            _ => return None,
        };
        Some(Infix::Binary(operator))
    }

    fn foreign(&mut self, span: Span, meant: BinaryOperator) -> BinaryOperator {
        let symbol = meant.symbol();
        let message = format!("`{}` is no operator of an expression", self.text_of(span));
        let diagnostic = Diagnostic::error(codes::FOREIGN_OPERATOR, span, message);
        self.report(diagnostic.help(format!("write `{symbol}`")).suggest(span, symbol));
        meant
    }

    /// `not x`, a signed number or a plain operand, with `is null` after it.
    fn prefix(&mut self) -> Read<Deep> {
        let start = self.here();
        if self.at_keyword(Keyword::Not) && self.begins_operand(1) {
            self.bump();
            let operand = self.nested(OPERAND_STEPS, Parser::prefix)?;
            let kind = ExpressionKind::Not(operand.expression);
            return self.deeper(kind, start, operand.depth);
        }
        let signed = matches!(self.kind(), TokenKind::Minus | TokenKind::Plus);
        if signed && !self.at_number(1) {
            self.bump();
            let sign = self.text_of(start);
            let message = format!("`{sign}` can stand only before a number");
            let diagnostic = Diagnostic::error(codes::NO_NEGATION, start, message);
            self.report(diagnostic.help("to negate a value write `-1 * value`"));
            return self.nested(OPERAND_STEPS, Parser::prefix);
        }
        let mut operand = match self.kind() {
            TokenKind::OpenRound => self.in_brackets()?,
            _ => self.primary()?,
        };
        while self.at_keyword(Keyword::Is) {
            let is = self.bump().span;
            if self.at_keywords(Keyword::Not, Keyword::Null) {
                let not = self.bump().span;
                let message = "`is not null` is written with `not` in front";
                let diagnostic = Diagnostic::error(codes::FOREIGN_OPERATOR, is.to(not), message);
                self.report(diagnostic.help("write `not a is null`"));
            }
            self.expect_keyword(Keyword::Null, "after `is`")?;
            let kind = ExpressionKind::IsNull(operand.expression);
            operand = self.deeper(kind, start, operand.depth)?;
        }
        Ok(operand)
    }

    /// Whether an operand of `not` may begin there; else the word `not` is a name.
    fn begins_operand(&self, ahead: usize) -> bool {
        let token = self.peek(ahead);
        match token.kind {
            TokenKind::Word => !matches!(
                token.keyword,
                Some(Keyword::As | Keyword::And | Keyword::Or | Keyword::Is | Keyword::In)
            ),
            TokenKind::Minus | TokenKind::Plus => self.at_number(ahead + 1),
            TokenKind::Quoted | TokenKind::OpenRound | TokenKind::Hash | TokenKind::Bang => true,
            TokenKind::String | TokenKind::Error => true,
            _ => self.at_number(ahead),
        }
    }

    fn in_brackets(&mut self) -> Read<Deep> {
        let open = self.bump().span;
        let mut inner = self.nested(BRACKET_STEPS, |parser| parser.deep(0))?;
        self.expect_close(TokenKind::CloseRound, open, "")?;
        inner.expression.span = self.since(open);
        Ok(inner)
    }

    fn primary(&mut self) -> Read<Deep> {
        let start = self.here();
        let kind = match self.kind() {
            TokenKind::String => ExpressionKind::Literal(Literal::String(self.string("a text")?)),
            TokenKind::Int if self.at_time() => {
                ExpressionKind::Literal(Literal::Time(self.time("")?))
            }
            TokenKind::Minus | TokenKind::Plus => ExpressionKind::Literal(self.number()),
            _ if self.at_number(0) => ExpressionKind::Literal(self.number()),
            TokenKind::Word | TokenKind::Quoted | TokenKind::Hash | TokenKind::Bang => {
                return self.named();
            }
            _ => return self.unexpected("an expression"),
        };
        self.deeper(kind, start, 0)
    }

    /// A constant, call or attribute that begins with a name.
    fn named(&mut self) -> Read<Deep> {
        let start = self.here();
        let next = self.peek(1).kind;
        if self.at_clause() {
            return self.unexpected("an expression");
        }
        if let Some(value @ (Keyword::True | Keyword::False)) = self.peek(0).keyword
            && !matches!(next, TokenKind::Dot | TokenKind::OpenRound | TokenKind::Colon)
        {
            self.bump();
            let literal = Literal::Bool(value == Keyword::True);
            return self.deeper(ExpressionKind::Literal(literal), start, 0);
        }
        if self.at_name() && matches!(next, TokenKind::OpenRound | TokenKind::Colon) {
            let (call, depth) = self.deep_call()?;
            return self.deeper(ExpressionKind::Call(call), start, depth);
        }
        let reference = self.event_reference()?;
        if !self.eat(TokenKind::Dot) {
            return self.bare(reference);
        }
        let name = self.name("the name of an attribute after `.`")?;
        if self.at(TokenKind::OpenRound) {
            return self.dotted_call(reference.name, name);
        }
        let span = self.since(start);
        let attribute = AttributeReference { source: Some(reference), name, span };
        self.deeper(ExpressionKind::Attribute(attribute), start, 0)
    }

    /// A name, index and prefix without attribute: an attribute of its own, or asked `is null`.
    fn bare(&mut self, reference: EventReference) -> Read<Deep> {
        let span = reference.span;
        if reference.prefix == SourcePrefix::None && reference.index.is_none() {
            let attribute = AttributeReference { source: None, name: reference.name, span };
            return self.deeper(ExpressionKind::Attribute(attribute), span, 0);
        }
        if !self.at_keywords(Keyword::Is, Keyword::Null) {
            return self.unexpected("`.` and an attribute, or `is null`");
        }
        let mut event = self.deeper(ExpressionKind::EventIsNull(reference), span, 0)?;
        self.bump();
        event.expression.span = self.here().to(span);
        self.bump();
        Ok(event)
    }

    /// `str.concat(..)`, meant as `str:concat(..)`.
    fn dotted_call(&mut self, namespace: Identifier, name: Identifier) -> Read<Deep> {
        let start = namespace.span;
        let point = Span::new(namespace.span.end, name.span.start);
        let message = "a namespace is followed by `:`";
        let diagnostic = Diagnostic::error(codes::UNEXPECTED, point, message);
        self.report(diagnostic.help("write `:` instead of `.`").suggest(point, ":"));
        let (arguments, depth) = self.arguments()?;
        let span = self.since(start);
        let call = Call { namespace: Some(namespace), name, arguments, span };
        self.deeper(ExpressionKind::Call(call), start, depth)
    }

    /// `name(..)` or `namespace:name(..)`.
    pub(super) fn call(&mut self) -> Read<Call> {
        Ok(self.deep_call()?.0)
    }

    fn deep_call(&mut self) -> Read<(Call, usize)> {
        let start = self.here();
        let mut name = self.name("the name of a function")?;
        let mut namespace = None;
        if self.eat(TokenKind::Colon) {
            namespace = Some(name);
            name = self.name("the name of a function after `:`")?;
        }
        let (arguments, depth) = self.arguments()?;
        Ok((Call { namespace, name, arguments, span: self.since(start) }, depth))
    }

    /// What stands in brackets after the name of a function, with the greatest depth in it.
    fn arguments(&mut self) -> Read<(Arguments, usize)> {
        let open = self.expect(TokenKind::OpenRound, "after the name of a function")?;
        if self.eat(TokenKind::CloseRound) {
            return Ok((Arguments::List(Vec::new()), 0));
        }
        if self.at(TokenKind::Star) && self.peek(1).kind == TokenKind::CloseRound {
            self.bump();
            self.bump();
            return Ok((Arguments::All, 0));
        }
        self.nested(CALL_STEPS, |parser| {
            let mut list = Vec::new();
            let mut depth = 0;
            loop {
                let argument = parser.deep(0)?;
                depth = depth.max(argument.depth);
                list.push(*argument.expression);
                if !parser.eat(TokenKind::Comma) {
                    break;
                }
            }
            let is_count =
                |last: &Expression| matches!(last.kind, ExpressionKind::Literal(Literal::Int(_)));
            if list.last().is_some_and(is_count)
                && let Some(failed) = parser.fail_at_foreign_unit()
            {
                return failed;
            }
            parser.expect_close(TokenKind::CloseRound, open, "`,` or ")?;
            Ok((Arguments::List(list), depth))
        })
    }

    /// An attribute where only an attribute can stand; `role` says what for.
    pub(super) fn attribute_reference(&mut self, role: &str) -> Read<AttributeReference> {
        let start = self.here();
        if !self.at_name() && !matches!(self.kind(), TokenKind::Hash | TokenKind::Bang) {
            return self.unexpected(role);
        }
        let reference = self.event_reference()?;
        let plain = reference.prefix == SourcePrefix::None && reference.index.is_none();
        if plain && !self.at(TokenKind::Dot) {
            return Ok(AttributeReference {
                source: None,
                name: reference.name,
                span: reference.span,
            });
        }
        self.expect(TokenKind::Dot, "and the name of an attribute")?;
        let name = self.name("the name of an attribute after `.`")?;
        Ok(AttributeReference { source: Some(reference), name, span: self.since(start) })
    }

    /// `S`, `#S`, `!S` or `e1[0]`.
    fn event_reference(&mut self) -> Read<EventReference> {
        let start = self.here();
        let prefix = self.source_prefix();
        let name = self.name("a name")?;
        let mut index = None;
        if self.at(TokenKind::OpenSquare) {
            let open = self.bump().span;
            let kind = if self.eat_keyword(Keyword::Last) {
                let back = if self.eat(TokenKind::Minus) { self.count_of("a number")? } else { 0 };
                EventIndexKind::FromLast(back)
            } else {
                EventIndexKind::FromFirst(self.count_of("a number or `last` in `[..]`")?)
            };
            self.expect_close(TokenKind::CloseSquare, open, "")?;
            index = Some(EventIndex { kind, span: self.since(open) });
        }
        Ok(EventReference { prefix, name, index, span: self.since(start) })
    }

    /// `#`, `!` or nothing.
    pub(super) fn source_prefix(&mut self) -> SourcePrefix {
        if self.eat(TokenKind::Hash) {
            SourcePrefix::Inner
        } else if self.eat(TokenKind::Bang) {
            SourcePrefix::Fault
        } else {
            SourcePrefix::None
        }
    }
}
