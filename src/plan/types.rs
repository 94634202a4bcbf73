//! Expressions from tree to typed form: what each part means, its type, and where numbers widen.

use crate::event::DataType;
use crate::event::Value;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::AttributeReference;
use crate::language::tree::BinaryOperator;
use crate::language::tree::EventReference;
use crate::language::tree::Expression;
use crate::language::tree::ExpressionKind;
use crate::language::tree::Identifier;
use crate::language::tree::Literal;
use crate::language::tree::SourcePrefix;
use crate::language::tree::Span;
use crate::plan::checker::Checker;
use crate::plan::checker::with_known;
use crate::plan::codes;
use crate::plan::expression::Arithmetic;
use crate::plan::expression::Comparison;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::graph::Node as GraphNode;
use crate::plan::logical::AggregateCall;
use crate::plan::logical::Findable;
use crate::plan::names::Meaning;
use crate::plan::scopes::Found;
use crate::plan::scopes::Scope;

/// Where an expression stands.
pub(super) struct Place<'p> {
    /// The names it can use.
    pub(super) scope: &'p Scope,
    /// What becomes of aggregators in it.
    pub(super) aggregates: Aggregates<'p>,
}

/// What becomes of aggregators in an expression.
pub(super) enum Aggregates<'p> {
    /// They are refused; the words say where that is, as in `in a filter`.
    Refused(&'static str),
    /// They join the list; the first of it is the column `base`.
    Taken {
        /// All aggregates of the selection.
        list: &'p mut Vec<AggregateCall>,
        /// How many columns stand before theirs.
        base: usize,
    },
}

impl<'p> Place<'p> {
    /// A place where no aggregator can stand, which `place` names.
    pub(super) fn plain(scope: &'p Scope, place: &'static str) -> Place<'p> {
        Place { scope, aggregates: Aggregates::Refused(place) }
    }
}

impl Checker<'_> {
    /// The typed form of an expression; nothing if a message says why not.
    pub(super) fn expression(&mut self, tree: &Expression, place: &mut Place<'_>) -> Option<Expr> {
        match &tree.kind {
            ExpressionKind::Literal(literal) => Some(Expr::constant(value(literal))),
            ExpressionKind::Attribute(reference) => self.attribute(reference, place.scope),
            ExpressionKind::Not(inner) => {
                let inner = self.truth(inner, place, "`not`")?;
                Some(boolean(Node::Not(Box::new(inner))))
            }
            ExpressionKind::Binary { operator, operator_span, left, right } => {
                self.binary(*operator, *operator_span, [left, right], place)
            }
            ExpressionKind::IsNull(inner) => self.is_null(inner, place),
            ExpressionKind::EventIsNull(reference) => self.missing(reference, place.scope),
            ExpressionKind::In { condition, table } => self.membership(condition, table, place),
            ExpressionKind::Call(call) => self.call(call, place),
            ExpressionKind::Error => None,
        }
    }

    /// The typed form of an expression that must be true or false; `what` names it, as in
    /// `a filter`.
    pub(super) fn condition(
        &mut self,
        tree: &Expression,
        place: &mut Place<'_>,
        what: &str,
    ) -> Option<Expr> {
        let expr = self.expression(tree, place)?;
        if expr.ty == DataType::Bool {
            return Some(expr);
        }
        let message = format!("{what} must be true or false, but this is of type {}", expr.ty);
        let mut diagnostic = Diagnostic::error(codes::NOT_A_CONDITION, tree.span, message);
        diagnostic = diagnostic.label(format!("of type {}", expr.ty));
        if expr.ty.is_numeric() && !self.text.is_empty() {
            let text = self.excerpt(tree.span);
            diagnostic = diagnostic.help(format!("compare it with something: `{text} > 0`"));
        }
        self.report(diagnostic);
        None
    }

    /// The column that an attribute means.
    pub(super) fn attribute(
        &mut self,
        reference: &AttributeReference,
        scope: &Scope,
    ) -> Option<Expr> {
        if let Some(source) = &reference.source {
            self.numbered(source, scope)?;
        }
        let fault = match scope.find(reference) {
            Found::Column(index, ty) => return Some(Expr::column(index, ty)),
            fault => fault,
        };
        let mut diagnostic = attribute_fault(reference, scope, &fault);
        if let Some(source) = reference.source.as_ref().filter(|_| fault == Found::NoSource)
            && let Some(Meaning::Table(_) | Meaning::Window(_)) =
                self.names.get(&source.name.text).map(|name| name.meaning)
        {
            let name = &source.name.text;
            diagnostic.suggestion = None;
            diagnostic = diagnostic.help(format!(
                "join with it, or ask `(condition) in {name}`; `in` binds tighter than `and`, so \
                 put the whole condition in brackets"
            ));
        }
        self.report(diagnostic);
        None
    }

    fn is_null(&mut self, inner: &Expression, place: &mut Place<'_>) -> Option<Expr> {
        if let ExpressionKind::Attribute(reference) = &inner.kind
            && reference.source.is_none()
            && place.scope.member_names().contains(&reference.name.text.as_str())
            && place.scope.find(reference) == Found::NoAttribute
        {
            return self.missing(&whole(reference), place.scope);
        }
        let inner = self.expression(inner, place)?;
        Some(boolean(Node::IsNull(Box::new(inner))))
    }

    /// Refuses a number where it can mean nothing.
    fn numbered(&mut self, source: &EventReference, scope: &Scope) -> Option<()> {
        let Some(index) = &source.index else { return Some(()) };
        if scope.events.as_ref().is_some_and(|events| events.knows(source)) {
            return Some(());
        }
        let message =
            format!("`{}` is no event of a pattern, which alone has numbers", source.name.text);
        let fault = Diagnostic::error(codes::UNKNOWN_REFERENCE, index.span, message);
        self.report(fault.help(format!("leave the number out: `{}`", source.name.text)));
        None
    }

    /// Whether a whole event is missing.
    fn missing(&mut self, source: &EventReference, scope: &Scope) -> Option<Expr> {
        match scope.events.as_ref().and_then(|events| events.missing(source)) {
            Some(Found::Column(index, ty)) => Some(Expr::column(index, ty)),
            Some(_) => {
                self.report(later(&source.name));
                None
            }
            // Outside of patterns it is the side of a join, or it is there.
            None => {
                let name = source.name.text.as_str();
                let mut members = scope.members();
                let member = members.find(|member| member.name.as_deref() == Some(name));
                Some(match member.and_then(|member| member.missing) {
                    Some(column) => Expr::column(column, DataType::Bool),
                    None => Expr::constant(Value::Bool(false)),
                })
            }
        }
    }

    fn binary(
        &mut self,
        operator: BinaryOperator,
        operator_span: Span,
        sides: [&Expression; 2],
        place: &mut Place<'_>,
    ) -> Option<Expr> {
        match meaning(operator) {
            Operation::Logic(make) => {
                let name = format!("`{}`", operator.symbol());
                let left = self.truth(sides[0], place, &name);
                let right = self.truth(sides[1], place, &name);
                Some(boolean(make(Box::new(left?), Box::new(right?))))
            }
            Operation::Arithmetic(arithmetic) => {
                let left = self.expression(sides[0], place);
                let right = self.expression(sides[1], place);
                let (left, right) = (left?, right?);
                let Some(ty) = left.ty.arithmetic(right.ty) else {
                    self.no_number(operator, sides, [left.ty, right.ty]);
                    return None;
                };
                let (left, right) = (Box::new(left.widened(ty)), Box::new(right.widened(ty)));
                Some(Expr { node: Node::Arithmetic(arithmetic, left, right), ty })
            }
            Operation::Comparison(comparison) => {
                if self.compares_null(operator, operator_span, sides, place.scope) {
                    return None;
                }
                let left = self.expression(sides[0], place);
                let right = self.expression(sides[1], place);
                let (left, right) = (left?, right?);
                let Some(ty) = compared_as(comparison, left.ty, right.ty) else {
                    self.not_comparable(operator, operator_span, sides, [left.ty, right.ty]);
                    return None;
                };
                let (left, right) = (Box::new(left.widened(ty)), Box::new(right.widened(ty)));
                Some(boolean(Node::Compare(comparison, left, right)))
            }
        }
    }

    /// Says that something is compared with a constant that does not exist, if it is.
    fn compares_null(
        &mut self,
        operator: BinaryOperator,
        operator_span: Span,
        sides: [&Expression; 2],
        scope: &Scope,
    ) -> bool {
        let ExpressionKind::Attribute(reference) = &sides[1].kind else { return false };
        if reference.name.text != "null" || scope.find(reference) != Found::NoAttribute {
            return false;
        }
        let (asked, all) = (sides[0].span, sides[0].span.to(sides[1].span));
        let text = self.text.get(asked.start..asked.end).unwrap_or_default().to_owned();
        let mended = match operator {
            BinaryOperator::Equal => Some(format!("{text} is null")),
            BinaryOperator::NotEqual => Some(format!("not ({text} is null)")),
            _ => None,
        };
        let fault = attribute_fault(reference, scope, &Found::NoAttribute)
            .also(operator_span, "nothing is equal to null");
        self.report(match mended.filter(|_| !text.is_empty()) {
            Some(mended) => fault.suggest(all, mended),
            None => fault,
        });
        true
    }

    /// An operand of `and`, `or` or `not`.
    fn truth(&mut self, tree: &Expression, place: &mut Place<'_>, what: &str) -> Option<Expr> {
        self.condition(tree, place, &format!("what {what} takes"))
    }

    fn no_number(
        &mut self,
        operator: BinaryOperator,
        sides: [&Expression; 2],
        types: [DataType; 2],
    ) {
        let wrong = usize::from(types[0].is_numeric());
        let (span, ty) = (sides[wrong].span, types[wrong]);
        let symbol = operator.symbol();
        let message = format!("`{symbol}` takes numbers, but this is of type {ty}");
        let mut diagnostic =
            Diagnostic::error(codes::NOT_A_NUMBER, span, message).label(format!("of type {ty}"));
        if ty == DataType::Text && operator == BinaryOperator::Add {
            diagnostic = diagnostic.help("texts are joined by `str:concat(a, b)`");
        }
        self.report(diagnostic);
    }

    fn not_comparable(
        &mut self,
        operator: BinaryOperator,
        operator_span: Span,
        sides: [&Expression; 2],
        types: [DataType; 2],
    ) {
        let symbol = operator.symbol();
        let [left, right] = types;
        let message = if left == right {
            format!("`{symbol}` cannot compare values of type {left}")
        } else {
            format!("`{symbol}` cannot compare {left} with {right}")
        };
        let has_order = |ty| !matches!(ty, DataType::Text | DataType::Bool);
        let by_order = !matches!(operator, BinaryOperator::Equal | BinaryOperator::NotEqual);
        let help = if left == right && !has_order(left) {
            "texts and bools have no order; only `==` and `!=` compare them"
        } else if by_order && (left == DataType::Text || right == DataType::Text) {
            "texts have no order; `convert(value, 'double')` makes a number of one"
        } else if left == DataType::Object || right == DataType::Object {
            "an object cannot be compared; `convert` or `cast` makes another type of it"
        } else {
            "`convert(value, 'type')` makes one type of the other"
        };
        let diagnostic = Diagnostic::error(codes::NOT_COMPARABLE, operator_span, message)
            .also(sides[0].span, format!("of type {left}"))
            .also(sides[1].span, format!("of type {right}"))
            .help(help);
        let diagnostic = match meant(sides, types) {
            // A text in place of the number would have no order either.
            Some((_, text)) if by_order && text.starts_with('\'') => diagnostic,
            Some((span, meant)) => diagnostic.suggest(span, meant),
            None => diagnostic,
        };
        self.report(diagnostic);
    }

    fn membership(
        &mut self,
        condition: &Expression,
        table: &Identifier,
        place: &mut Place<'_>,
    ) -> Option<Expr> {
        let (with, node) = match self.names.get(&table.text).map(|name| name.meaning) {
            Some(Meaning::Table(id)) => {
                if self.plan.tables[id].is_external {
                    self.external_ins.push(table.span);
                }
                (self.table_found(id), GraphNode::Table(id))
            }
            Some(Meaning::Window(id)) => (Findable::Window(id), GraphNode::Window(id)),
            Some(Meaning::Broken) => return None,
            other => {
                self.no_findable(table, other);
                return None;
            }
        };
        let schema = self.shared_schema(node);
        let scope = place.scope.farther(&table.text, schema);
        let width = place.scope.width;
        let mut inside = Place::plain(&scope, "in the condition of an `in`");
        let condition = self.condition(condition, &mut inside, "the condition of `in`")?;
        Some(boolean(Node::In(with, Box::new(condition), width)))
    }

    fn no_findable(&mut self, table: &Identifier, meaning: Option<Meaning>) {
        let name = &table.text;
        let diagnostic = match meaning {
            None => {
                let message = format!("there is no table or window `{name}`");
                let known =
                    self.names.all(|kind| matches!(kind, Meaning::Table(_) | Meaning::Window(_)));
                let fault = Diagnostic::error(codes::UNKNOWN_SOURCE, table.span, message);
                with_known(fault, name, table.span, known)
            }
            Some(_) => {
                let message = format!("`in` looks into tables and windows, which `{name}` is not");
                Diagnostic::error(codes::WRONG_KIND, table.span, message)
            }
        };
        self.report(diagnostic);
    }
}

/// The value of a constant.
fn value(literal: &Literal) -> Value {
    match literal {
        Literal::Int(value) => Value::Int(*value),
        Literal::Long(value) => Value::Long(*value),
        Literal::Float(value) => Value::Float(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::Bool(value) => Value::Bool(*value),
        Literal::String(text) => Value::from(text.value.as_str()),
        Literal::Time(time) => Value::Long(time.milliseconds()),
    }
}

/// The type in which two values are compared.
fn compared_as(comparison: Comparison, left: DataType, right: DataType) -> Option<DataType> {
    let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    match (left, right) {
        (DataType::Text, DataType::Text) | (DataType::Bool, DataType::Bool) => {
            equality.then_some(left)
        }
        _ => left.arithmetic(right),
    }
}

/// The constant that is meant where a text is compared with a number: `'5'` for `5`, or `5` for
/// `'5'`.
fn meant(sides: [&Expression; 2], types: [DataType; 2]) -> Option<(Span, String)> {
    let constant = |side: usize| match &sides[side].kind {
        ExpressionKind::Literal(literal) => Some(literal),
        _ => None,
    };
    let (side, literal) = match (constant(0), constant(1)) {
        (None, Some(literal)) => (1, literal),
        (Some(literal), None) => (0, literal),
        _ => return None,
    };
    let meant = match (literal, types[1 - side]) {
        (Literal::String(text), other) if other.is_numeric() => {
            text.value.parse::<i32>().ok()?.to_string()
        }
        (Literal::Int(number), DataType::Text) => format!("'{number}'"),
        (Literal::Bool(flag), DataType::Text) => format!("'{flag}'"),
        (Literal::String(text), DataType::Bool) => {
            let flag = text.value.to_ascii_lowercase();
            matches!(flag.as_str(), "true" | "false").then_some(flag)?
        }
        _ => return None,
    };
    Some((sides[side].span, meant))
}

fn boolean(node: Node) -> Expr {
    Expr { node, ty: DataType::Bool }
}

enum Operation {
    Logic(fn(Box<Expr>, Box<Expr>) -> Node),
    Arithmetic(Arithmetic),
    Comparison(Comparison),
}

fn meaning(operator: BinaryOperator) -> Operation {
    match operator {
        BinaryOperator::Multiply => Operation::Arithmetic(Arithmetic::Multiply),
        BinaryOperator::Divide => Operation::Arithmetic(Arithmetic::Divide),
        BinaryOperator::Modulo => Operation::Arithmetic(Arithmetic::Remainder),
        BinaryOperator::Add => Operation::Arithmetic(Arithmetic::Add),
        BinaryOperator::Subtract => Operation::Arithmetic(Arithmetic::Subtract),
        BinaryOperator::Less => Operation::Comparison(Comparison::Less),
        BinaryOperator::LessOrEqual => Operation::Comparison(Comparison::LessOrEqual),
        BinaryOperator::Greater => Operation::Comparison(Comparison::Greater),
        BinaryOperator::GreaterOrEqual => Operation::Comparison(Comparison::GreaterOrEqual),
        BinaryOperator::Equal => Operation::Comparison(Comparison::Equal),
        BinaryOperator::NotEqual => Operation::Comparison(Comparison::NotEqual),
        BinaryOperator::And => Operation::Logic(Node::And),
        BinaryOperator::Or => Operation::Logic(Node::Or),
    }
}

/// A bare name as that of a whole event.
pub(super) fn whole(reference: &AttributeReference) -> EventReference {
    EventReference {
        prefix: SourcePrefix::None,
        name: reference.name.clone(),
        index: None,
        span: reference.span,
    }
}

/// A filter asks for an event that cannot be there yet.
pub(super) fn later(name: &Identifier) -> Diagnostic {
    let message = format!("`{}` cannot have come yet when this filter is asked", name.text);
    let fault = Diagnostic::error(codes::UNKNOWN_REFERENCE, name.span, message);
    fault.help(format!("compare the two in the filter of `{}`", name.text))
}

fn attribute_fault(reference: &AttributeReference, scope: &Scope, fault: &Found) -> Diagnostic {
    let name = &reference.name;
    match (fault, &reference.source) {
        (Found::NoSource, Some(source)) => {
            let word = source.name.text.as_str();
            let message = format!("`{word}` is no source of this query");
            let diagnostic = Diagnostic::error(codes::UNKNOWN_REFERENCE, source.span, message);
            let names = scope.member_names();
            match names.as_slice() {
                [only] => diagnostic
                    .help(format!("its only source is `{only}`"))
                    .suggest(source.name.span, *only),
                _ => with_known(diagnostic, word, source.name.span, names),
            }
        }
        (Found::Later, Some(source)) => later(&source.name),
        (Found::Ambiguous(holders), _) => {
            let holders: Vec<String> =
                holders.iter().map(|holder| format!("`{holder}.{}`", name.text)).collect();
            let message = format!("`{}` can be {}", name.text, holders.join(" or "));
            Diagnostic::error(codes::AMBIGUOUS_ATTRIBUTE, reference.span, message)
                .help("say which one is meant")
        }
        (_, source) => {
            let whose = match source {
                Some(source) => format!("`{}` has", source.name.text),
                None => "there is".to_owned(),
            };
            let message = format!("{whose} no attribute `{}`", name.text);
            let diagnostic = Diagnostic::error(codes::UNKNOWN_ATTRIBUTE, name.span, message);
            if name.text == "null" {
                return diagnostic.help("there is no null constant; ask with `is null`");
            }
            let known = scope.attribute_names(source.as_ref());
            with_known(diagnostic, &name.text, name.span, known)
        }
    }
}
