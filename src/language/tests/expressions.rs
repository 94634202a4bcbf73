//! Generated expressions.

use crate::language::tests::dice::Dice;
use crate::language::tree::Arguments;
use crate::language::tree::AttributeReference;
use crate::language::tree::BinaryOperator;
use crate::language::tree::Call;
use crate::language::tree::EventIndex;
use crate::language::tree::EventIndexKind;
use crate::language::tree::EventReference;
use crate::language::tree::Expression;
use crate::language::tree::ExpressionKind;
use crate::language::tree::Literal;
use crate::language::tree::SourceName;
use crate::language::tree::SourcePrefix;
use crate::language::tree::Span;
use crate::language::tree::TimeLiteral;
use crate::language::tree::TimePart;
use crate::language::tree::TimeUnit;

const SPAN: Span = Span { start: 0, end: 0 };

const OPERATORS: [BinaryOperator; 13] = [
    BinaryOperator::Multiply,
    BinaryOperator::Divide,
    BinaryOperator::Modulo,
    BinaryOperator::Add,
    BinaryOperator::Subtract,
    BinaryOperator::Less,
    BinaryOperator::LessOrEqual,
    BinaryOperator::Greater,
    BinaryOperator::GreaterOrEqual,
    BinaryOperator::Equal,
    BinaryOperator::NotEqual,
    BinaryOperator::And,
    BinaryOperator::Or,
];

/// All units, from the greatest to the least.
pub(super) const UNITS: [TimeUnit; 8] = [
    TimeUnit::Year,
    TimeUnit::Month,
    TimeUnit::Week,
    TimeUnit::Day,
    TimeUnit::Hour,
    TimeUnit::Minute,
    TimeUnit::Second,
    TimeUnit::Millisecond,
];

impl Dice<'_> {
    pub(super) fn expression(&mut self) -> Expression {
        let kind = self.deeper(Dice::simple, |dice| match dice.below(10) {
            0..=2 => dice.simple(),
            3 => ExpressionKind::Not(Box::new(dice.expression())),
            4 => ExpressionKind::IsNull(Box::new(dice.expression())),
            5 => ExpressionKind::In { condition: Box::new(dice.expression()), table: dice.name() },
            6 => ExpressionKind::Call(dice.call()),
            _ => ExpressionKind::Binary {
                operator: dice.pick(&OPERATORS),
                operator_span: SPAN,
                left: Box::new(dice.expression()),
                right: Box::new(dice.expression()),
            },
        });
        Expression { kind, span: SPAN }
    }

    fn simple(&mut self) -> ExpressionKind {
        match self.below(4) {
            0 | 1 => ExpressionKind::Attribute(self.attribute_reference()),
            2 => ExpressionKind::Literal(self.literal()),
            _ => {
                let event = self.event_reference();
                if event.index.is_none() && event.prefix == SourcePrefix::None {
                    // A name alone is read as an attribute.
                    return ExpressionKind::Literal(Literal::Bool(true));
                }
                ExpressionKind::EventIsNull(event)
            }
        }
    }

    fn literal(&mut self) -> Literal {
        let number = self.number();
        match self.below(7) {
            0 => Literal::Int(number as i32),
            1 => Literal::Long(number),
            2 => Literal::Float(
                Some(f32::from_bits(number as u32)).filter(|x| x.is_finite()).unwrap_or(0.5),
            ),
            3 => Literal::Double(
                Some(f64::from_bits(number as u64)).filter(|x| x.is_finite()).unwrap_or(1e300),
            ),
            4 => Literal::Bool(number > 0),
            5 => Literal::String(self.string()),
            _ => Literal::Time(self.time()),
        }
    }

    pub(super) fn time(&mut self) -> TimeLiteral {
        let mut parts: Vec<TimePart> = Vec::new();
        for unit in UNITS {
            if self.below(4) == 3 {
                let amount = i32::try_from(self.number().unsigned_abs() & 0x7fff_ffff);
                parts.push(TimePart { amount: amount.expect("31 bits"), unit, span: SPAN });
            }
        }
        if parts.is_empty() {
            parts.push(TimePart { amount: 1, unit: TimeUnit::Second, span: SPAN });
        }
        TimeLiteral { parts, span: SPAN }
    }

    pub(super) fn call(&mut self) -> Call {
        let arguments = match self.below(5) {
            0 => Arguments::All,
            1 => Arguments::List(Vec::new()),
            _ => Arguments::List(self.some(1, Dice::expression)),
        };
        let namespace = self.maybe(Dice::name);
        Call { namespace, name: self.name(), arguments, span: SPAN }
    }

    pub(super) fn attribute_reference(&mut self) -> AttributeReference {
        let source = self.maybe(Dice::event_reference);
        AttributeReference { source, name: self.name(), span: SPAN }
    }

    fn event_reference(&mut self) -> EventReference {
        let index = self.maybe(|dice| {
            let at = u32::from(dice.below(3));
            let kind = match dice.flip() {
                true => EventIndexKind::FromLast(at),
                false => EventIndexKind::FromFirst(at),
            };
            EventIndex { kind, span: SPAN }
        });
        EventReference { prefix: self.prefix(), name: self.name(), index, span: SPAN }
    }

    pub(super) fn source_name(&mut self) -> SourceName {
        SourceName { prefix: self.prefix(), name: self.name(), span: SPAN }
    }

    fn prefix(&mut self) -> SourcePrefix {
        self.pick(&[
            SourcePrefix::None,
            SourcePrefix::None,
            SourcePrefix::Inner,
            SourcePrefix::Fault,
        ])
    }
}
