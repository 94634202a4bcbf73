//! Reads a window's arguments, and says what is wrong with them.

use crate::engine::windows::WindowSetup;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Value;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::WHOLE;

/// One list of parameters. What a window returns is never read.
pub const fn takes(parameters: &'static [Parameter]) -> Overload {
    Overload { parameters, returns: Returns::Type(DataType::Object) }
}

/// A constant duration.
pub const fn time(name: &'static str) -> Parameter {
    Parameter::constant(name, WHOLE)
}

/// A constant number of rows.
pub const fn count(name: &'static str) -> Parameter {
    Parameter::constant(name, &[DataType::Int])
}

/// A constant `true` or `false`.
pub const fn flag(name: &'static str) -> Parameter {
    Parameter::constant(name, &[DataType::Bool])
}

/// An attribute that holds times.
pub const fn time_attribute(name: &'static str) -> Parameter {
    Parameter::attribute(name, &[DataType::Long])
}

impl WindowSetup<'_> {
    /// The constant at a place; `None` if the argument is left out or no constant.
    pub fn constant(&self, place: usize) -> Option<&Value> {
        self.arguments.get(place)?.as_constant()
    }

    /// The whole number at a place, which must not be negative.
    pub fn number(&self, place: usize) -> Result<i64, ArgumentFault> {
        match self.constant(place).and_then(Value::as_long) {
            Some(number) if number >= 0 => Ok(number),
            Some(number) => Err(ArgumentFault::at(
                place,
                format!("expected a number that is not negative, found `{number}`"),
            )),
            None => Err(ArgumentFault::at(place, "expected a whole number as constant")),
        }
    }

    /// The duration at a place, which must be longer than nothing.
    pub fn period(&self, place: usize) -> Result<Millis, ArgumentFault> {
        match self.number(place)? {
            0 => Err(ArgumentFault::at(place, "expected a time above 0, as in `5 sec`")),
            time => Ok(time),
        }
    }

    /// The truth value at a place; `false` if it is left out.
    pub fn flag(&self, place: usize) -> bool {
        self.constant(place).and_then(Value::as_bool).unwrap_or_default()
    }

    /// The column at a place.
    pub fn column(&self, place: usize) -> Result<usize, ArgumentFault> {
        let column = self.arguments.get(place).and_then(|argument| argument.as_column());
        column.ok_or_else(|| ArgumentFault::at(place, "expected an attribute of the stream"))
    }
}
