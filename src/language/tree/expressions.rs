//! Nodes of expressions: constants, attributes, operators and calls.

use super::Identifier;
use super::SourcePrefix;
use super::Span;
use super::StringLiteral;

/// An expression and its place; brackets around it belong to the place but leave no node.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// What it is.
    pub kind: ExpressionKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpressionKind {
    /// A constant.
    Literal(Literal),
    /// An attribute; a bare name before `is null` may also mean a stream or an event.
    Attribute(AttributeReference),
    /// `not a`.
    Not(Box<Expression>),
    /// `a + b`, `a == b`, `a and b` and so on.
    Binary {
        /// Which operator.
        operator: BinaryOperator,
        /// Where the operator itself stands.
        operator_span: Span,
        /// The left side.
        left: Box<Expression>,
        /// The right side.
        right: Box<Expression>,
    },
    /// `a is null`.
    IsNull(Box<Expression>),
    /// `e1[0] is null` or `#S is null`: asks for a whole event. A plain `e1 is null` is
    /// [`ExpressionKind::IsNull`] of an attribute without source; only the checker can tell.
    EventIsNull(EventReference),
    /// `condition in T`: whether some row of `T` fulfils the condition.
    In {
        /// The condition, naming attributes of the table.
        condition: Box<Expression>,
        /// The table or window.
        table: Identifier,
    },
    /// `f(a, b)` or `ns:f(a)`.
    Call(Call),
    /// Something that could not be read; a diagnostic says why.
    Error,
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `5`.
    Int(i32),
    /// `5L`.
    Long(i64),
    /// `5f`.
    Float(f32),
    /// `5.0`, `5e3` or `5D`.
    Double(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `'text'`.
    String(StringLiteral),
    /// `1 min 30 sec`: a long, in milliseconds.
    Time(TimeLiteral),
}

/// A span of time such as `1 min 30 sec`.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeLiteral {
    /// Amounts from the greatest unit to the least, each unit at most once; never empty.
    pub parts: Vec<TimePart>,
    /// The whole of it.
    pub span: Span,
}

impl TimeLiteral {
    /// The sum of its parts in milliseconds; a month has 30 days and a year 365.
    pub fn milliseconds(&self) -> i64 {
        // Amounts are at most i32::MAX, so that no sum of eight parts leaves i64.
        self.parts.iter().map(|part| i64::from(part.amount) * part.unit.milliseconds()).sum()
    }
}

/// One amount with its unit: `30 sec`.
#[derive(Clone, Debug, PartialEq)]
pub struct TimePart {
    /// How many; never negative.
    pub amount: i32,
    /// Of what.
    pub unit: TimeUnit,
    /// Amount and unit.
    pub span: Span,
}

/// The units of time, from the greatest to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeUnit {
    /// 365 days.
    Year,
    /// 30 days.
    Month,
    /// 7 days.
    Week,
    /// 24 hours.
    Day,
    /// 60 minutes.
    Hour,
    /// 60 seconds.
    Minute,
    /// 1,000 milliseconds.
    Second,
    /// The unit of the engine's clock.
    Millisecond,
}

impl TimeUnit {
    /// The length of one unit in milliseconds.
    pub fn milliseconds(self) -> i64 {
        match self {
            TimeUnit::Year => 365 * 86_400_000,
            TimeUnit::Month => 30 * 86_400_000,
            TimeUnit::Week => 7 * 86_400_000,
            TimeUnit::Day => 86_400_000,
            TimeUnit::Hour => 3_600_000,
            TimeUnit::Minute => 60_000,
            TimeUnit::Second => 1_000,
            TimeUnit::Millisecond => 1,
        }
    }
}

/// An attribute, with or without the name of where it comes from: `a`, `S.a`, `e1[0].a`, `#S.a`.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeReference {
    /// What stands before the point.
    pub source: Option<EventReference>,
    /// The attribute itself.
    pub name: Identifier,
    /// All of it.
    pub span: Span,
}

/// A stream, alias or event of a pattern, named in an expression: `S`, `#S`, `!S`, `e1[last]`.
#[derive(Clone, Debug, PartialEq)]
pub struct EventReference {
    /// Inner stream, fault stream or neither.
    pub prefix: SourcePrefix,
    /// The name after the prefix.
    pub name: Identifier,
    /// Which of several events of a counting state.
    pub index: Option<EventIndex>,
    /// All of it.
    pub span: Span,
}

/// Which of several events: `[0]`, `[last]`, `[last - 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct EventIndex {
    /// Counted from which end.
    pub kind: EventIndexKind,
    /// Where it stands, brackets included.
    pub span: Span,
}

/// How an event of a counting state is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventIndexKind {
    /// `[n]`: from the first, which is 0.
    FromFirst(u32),
    /// `[last - n]`: from the last; `[last]` is 0.
    FromLast(u32),
}

/// The operators with two sides, `in` aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOperator {
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `and`
    And,
    /// `or`
    Or,
}

impl BinaryOperator {
    /// How tightly `in` binds, on the scale of [`BinaryOperator::power`].
    pub const IN_POWER: u8 = 3;

    /// How tightly it binds; greater is tighter. All lean to the left.
    pub fn power(self) -> u8 {
        match self {
            BinaryOperator::Or => 1,
            BinaryOperator::And => 2,
            BinaryOperator::Equal | BinaryOperator::NotEqual => 4,
            BinaryOperator::Less
            | BinaryOperator::LessOrEqual
            | BinaryOperator::Greater
            | BinaryOperator::GreaterOrEqual => 5,
            BinaryOperator::Add | BinaryOperator::Subtract => 6,
            BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo => 7,
        }
    }

    /// The operator as the language spells it.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            BinaryOperator::Modulo => "%",
            BinaryOperator::Add => "+",
            BinaryOperator::Subtract => "-",
            BinaryOperator::Less => "<",
            BinaryOperator::LessOrEqual => "<=",
            BinaryOperator::Greater => ">",
            BinaryOperator::GreaterOrEqual => ">=",
            BinaryOperator::Equal => "==",
            BinaryOperator::NotEqual => "!=",
            BinaryOperator::And => "and",
            BinaryOperator::Or => "or",
        }
    }
}

/// A call of a function, window or aggregator: `f(a, b)`, `ns:f()`, `count(*)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What stands before the colon.
    pub namespace: Option<Identifier>,
    /// The name of what is called.
    pub name: Identifier,
    /// What it is given.
    pub arguments: Arguments,
    /// All of it.
    pub span: Span,
}

/// The arguments of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Arguments {
    /// `(a, b)`; may be empty.
    List(Vec<Expression>),
    /// `(*)`: all attributes.
    All,
}
