//! A function's body as a tree, its names resolved to places.

use crate::event::Text;
use regex::Regex;

/// A body that was understood.
#[derive(Debug)]
pub struct Script {
    /// All functions in it; the first is the body itself, whose only parameter is `data`.
    pub functions: Vec<Function>,
    /// What each use of a name stands for, by the number of the use.
    pub places: Vec<Place>,
    /// The regular expressions written in it, and whether each is for all matches.
    pub patterns: Vec<(Regex, bool)>,
}

/// A function within a body.
#[derive(Debug, Default)]
pub struct Function {
    /// How many of its places are parameters; they come first.
    pub parameters: usize,
    /// How many places it has for names.
    pub places: usize,
    /// The functions declared in it, each with the use of its name.
    pub declared: Vec<(usize, usize)>,
    /// What it does.
    pub body: Vec<Statement>,
}

/// A statement.
#[derive(Debug)]
pub enum Statement {
    /// An expression for what it does.
    Do(Expr),
    /// `if`
    If(Expr, Box<Statement>, Option<Box<Statement>>),
    /// `for` and `while`: what comes first, the condition, what comes after each round, the round.
    Loop(Box<Loop>),
    /// `do … while`
    DoWhile(Box<Statement>, Expr),
    /// `for (name in …)` over keys, or `for (name of …)` over values.
    Each(Box<Each>),
    /// `return`
    Return(Option<Expr>),
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `throw`
    Throw(Expr),
    /// `try`, with the place of what was caught.
    Try(Box<Try>),
    /// `switch`: the cases, `None` for `default`.
    Switch(Expr, Vec<(Option<Expr>, Vec<Statement>)>),
    /// `{ … }`, and declarations of several names.
    Block(Vec<Statement>),
}

/// `for (first; while; then) round`
#[derive(Debug)]
pub struct Loop {
    pub first: Option<Statement>,
    pub while_: Option<Expr>,
    pub then: Option<Expr>,
    pub round: Statement,
}

/// `for (place in of) round`
#[derive(Debug)]
pub struct Each {
    pub place: usize,
    pub values: bool,
    pub of: Expr,
    pub round: Statement,
}

/// `try { … } catch (place) { … } finally { … }`
#[derive(Debug)]
pub struct Try {
    pub body: Vec<Statement>,
    pub caught: Option<(Option<usize>, Vec<Statement>)>,
    pub finally: Vec<Statement>,
}

/// An expression.
#[derive(Debug)]
pub enum Expr {
    Undefined,
    Null,
    Truth(bool),
    Number(f64),
    Text(Text),
    /// A use of a name, by its number.
    Name(usize),
    List(Vec<Expr>),
    Object(Vec<(Text, Expr)>),
    /// A function, by its number.
    Function(usize),
    /// A pattern, by its number.
    Pattern(usize),
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<(Expr, Expr)>),
    Logic(Logic, Box<(Expr, Expr)>),
    Choice(Box<(Expr, Expr, Expr)>),
    /// `target = value`, or `target += value` with an operator.
    Assign(Option<Binary>, Box<(Expr, Expr)>),
    /// `++target` and its kin: the difference, and whether the new value is the result.
    Step(f64, bool, Box<Expr>),
    Member(Box<Expr>, Text),
    Index(Box<(Expr, Expr)>),
    Call(Box<Expr>, Vec<Expr>),
    /// Several expressions; the last is the result.
    Sequence(Vec<Expr>),
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A place of the function so many levels around this one.
    Local(usize, usize),
    /// Something that is always there.
    Global(Global),
}

/// What is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    Math,
    Json,
    Object,
    Array,
    String,
    Number,
    Boolean,
    Error,
    ParseInt,
    ParseFloat,
    IsNan,
    IsFinite,
}

/// Operators before a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    Minus,
    Plus,
    Not,
    BitNot,
    TypeOf,
    Void,
    Delete,
}

/// Operators between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
    Equal,
    NotEqual,
    Same,
    NotSame,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
    ShiftRightUnsigned,
}

/// Operators whose right side may not be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logic {
    And,
    Or,
    /// `??`
    Else,
}
