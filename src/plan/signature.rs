//! What functions, windows and aggregators take and give, as tables that checker and manual share.

use crate::event::DataType;
use crate::plan::expression::Expr;

/// What can be called, and how.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// Name with namespace, as in `sum` or `str:length`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What sets it apart from others of its kind.
    pub traits: &'static [Trait],
    /// The argument lists it takes; tried in order.
    pub overloads: &'static [Overload],
    /// A plan that uses it.
    pub example: &'static str,
}

impl Signature {
    /// Whether it is set apart by something.
    pub fn has(&self, what: Trait) -> bool {
        self.traits.contains(&what)
    }
}

/// What is not so of most windows, aggregators and functions, and must be known of those of which
/// it is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trait {
    /// A window that reads columns which its arguments do not name.
    ReadsAll,
    /// A window that starts anew with each batch, by a reset, so that no aggregate needs to take
    /// expired rows back.
    StartsAnew,
    /// A window whose first argument, if it is a text, is a condition over its rows.
    TakesCondition,
    /// An aggregator that remembers every value it has met.
    Remembers,
    /// An aggregator from which nothing is ever taken back, so that its groups are never forgotten;
    /// a window that keeps a row of each key for ever; a stream function that remembers each thing
    /// for ever.
    Lasts,
    /// A window from which rows may leave that never came, or that come only after.
    Owes,
    /// A stream function that holds rows, as windows do, or remembers what passed.
    Holds,
    /// A function whose result depends on how many rows there have been.
    Counts,
}

/// One argument list and what it gives.
#[derive(Clone, Copy, Debug)]
pub struct Overload {
    /// The parameters in order.
    pub parameters: &'static [Parameter],
    /// The result's type; not read for windows.
    pub returns: Returns,
}

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name in the manual and in messages.
    pub name: &'static str,
    /// The types it takes. A number widens to a wider one that is named here; an argument whose own
    /// type is named is taken as it is.
    pub types: &'static [DataType],
    /// What may stand there.
    pub form: Form,
    /// How often it may stand there.
    pub count: Count,
}

/// What may stand in the place of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any expression.
    Any,
    /// A constant.
    Constant,
    /// An attribute.
    Attribute,
}

/// How often an argument may stand in the place of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Once.
    One,
    /// Once or not at all; so are all after it.
    Optional,
    /// Any number of times, also none; only as the last parameter.
    Many,
}

/// The type of a result.
#[derive(Clone, Copy, Debug)]
pub enum Returns {
    /// Always the same.
    Type(DataType),
    /// That of the argument at this place.
    Argument(usize),
    /// One type that all arguments from this place on must have.
    Same(usize),
    /// The widest of the numeric arguments.
    Widest,
    /// The type named by the constant text at this place.
    Named(usize),
    /// The type named by the constant text at the second place, for the argument at the first; see
    /// [`relabelled`].
    Relabelled(usize, usize),
}

/// The type that a value has once it was relabelled. Numbers can be numbers of another type, and an
/// object may turn out to be anything; what is certainly not of the named type is an object.
pub fn relabelled(from: DataType, to: DataType) -> DataType {
    let possible = from == to || from == DataType::Object || from.is_numeric() && to.is_numeric();
    if possible { to } else { DataType::Object }
}

/// Why an argument list that fits in types is refused all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentFault {
    /// Which argument; `None`: the call as a whole.
    pub argument: Option<usize>,
    /// What is wrong, and what was expected.
    pub message: String,
    /// Whether it is right but not supported yet.
    pub not_supported: bool,
}

impl ArgumentFault {
    /// A fault of one argument.
    pub fn at(argument: usize, message: impl Into<String>) -> ArgumentFault {
        ArgumentFault { argument: Some(argument), message: message.into(), not_supported: false }
    }
}

/// What is wrong with the body of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptFault {
    /// The byte of the body at which it is; `None`: the language.
    pub at: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// Whether it is right but not supported.
    pub not_supported: bool,
    /// A name that stands there and is not known, and those that are; empty otherwise.
    pub unknown: (String, Vec<String>),
}

impl ScriptFault {
    /// A fault at a byte of the body.
    pub fn at(at: usize, message: impl Into<String>) -> ScriptFault {
        ScriptFault {
            at: Some(at),
            message: message.into(),
            not_supported: false,
            unknown: Default::default(),
        }
    }
}

/// All types.
pub const ANY: &[DataType] = &DataType::ALL;
/// The types of numbers.
pub const NUMBER: &[DataType] = &[DataType::Int, DataType::Long, DataType::Float, DataType::Double];
/// The types of whole numbers.
pub const WHOLE: &[DataType] = &[DataType::Int, DataType::Long];

impl Parameter {
    /// A parameter that takes any expression of the types.
    pub const fn any(name: &'static str, types: &'static [DataType]) -> Parameter {
        Parameter { name, types, form: Form::Any, count: Count::One }
    }

    /// A parameter that takes a constant of the types.
    pub const fn constant(name: &'static str, types: &'static [DataType]) -> Parameter {
        Parameter { name, types, form: Form::Constant, count: Count::One }
    }

    /// A parameter that takes an attribute of the types.
    pub const fn attribute(name: &'static str, types: &'static [DataType]) -> Parameter {
        Parameter { name, types, form: Form::Attribute, count: Count::One }
    }

    /// The same, once or not at all.
    pub const fn optional(self) -> Parameter {
        Parameter { count: Count::Optional, ..self }
    }

    /// The same, any number of times.
    pub const fn many(self) -> Parameter {
        Parameter { count: Count::Many, ..self }
    }
}

/// What the checker asks of whoever runs plans: which functions there are and what they take.
pub trait Catalog {
    /// A scalar function by name.
    fn function(&self, name: &str) -> Option<&Signature>;
    /// An aggregator by name.
    fn aggregator(&self, name: &str) -> Option<&Signature>;
    /// A window by name.
    fn window(&self, name: &str) -> Option<&Signature>;
    /// A stream function by name.
    fn stream_function(&self, name: &str) -> Option<&Signature>;
    /// All names of a kind, for suggestions.
    fn names(&self, kind: Callable) -> Vec<&'static str>;
    /// Whether a function's arguments, which fit one of its overloads, can be run.
    ///
    /// # Errors
    /// The fault to be shown at its place.
    fn verify(
        &self,
        kind: Callable,
        name: &str,
        arguments: &[Expr],
        types: &[DataType],
    ) -> Result<(), ArgumentFault>;
    /// Whether the body of a function can be run.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    fn script(&self, language: &str, body: &str) -> Result<(), ScriptFault>;
    /// The columns that a stream function appends, for arguments that fit.
    fn added(&self, name: &str, arguments: &[Expr]) -> Vec<(&'static str, DataType)>;
}

/// The kinds of things that can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callable {
    /// A scalar function.
    Function,
    /// An aggregator.
    Aggregator,
    /// A window.
    Window,
    /// A stream function.
    StreamFunction,
}
