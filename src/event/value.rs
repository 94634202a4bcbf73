//! One value, for the edges and for messages; never for the hot path.

use crate::event::DataType;
use std::cmp::Ordering;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

/// Text as columns hold it: up to 15 bytes inline, longer text shared, so that a clone never
/// copies.
pub type Text = ecow::EcoString;

/// A value of any type.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// `int`
    Int(i32),
    /// `long`
    Long(i64),
    /// `float`
    Float(f32),
    /// `double`
    Double(f64),
    /// `bool`
    Bool(bool),
    /// `string`
    Text(Text),
    /// `object`
    Object(Arc<Structure>),
}

/// What an `object` can be.
#[derive(Clone, Debug, PartialEq)]
pub enum Structure {
    /// Distinct values in order of first arrival.
    Set(Vec<Value>),
    /// Values in order.
    List(Vec<Value>),
    /// Named values in order of first arrival.
    Map(Vec<(Text, Value)>),
    /// What went wrong, as fault streams carry it in `_error`.
    Error(Text),
}

impl Value {
    /// The value's own type; `None` for null.
    pub fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Value::Null => return None,
            Value::Int(_) => DataType::Int,
            Value::Long(_) => DataType::Long,
            Value::Float(_) => DataType::Float,
            Value::Double(_) => DataType::Double,
            Value::Bool(_) => DataType::Bool,
            Value::Text(_) => DataType::Text,
            Value::Object(_) => DataType::Object,
        })
    }

    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The value as a whole number, if it is one.
    pub fn as_long(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(i64::from(*value)),
            Value::Long(value) => Some(*value),
            _ => None,
        }
    }

    /// The value as a float, if it is a number.
    pub fn as_double(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(f64::from(*value)),
            Value::Long(value) => Some(*value as f64),
            Value::Float(value) => Some(f64::from(*value)),
            Value::Double(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The value as another type where nothing but width changes: int to long, float or double,
    /// long to float or double, float to double, anything to object. `None` if it does not fit.
    pub fn widened(&self, to: DataType) -> Option<Value> {
        Some(match (self, to) {
            (Value::Null, _) | (_, DataType::Object) => self.clone(),
            (Value::Int(value), DataType::Long) => Value::Long(i64::from(*value)),
            (Value::Int(value), DataType::Float) => Value::Float(*value as f32),
            (Value::Int(value), DataType::Double) => Value::Double(f64::from(*value)),
            (Value::Long(value), DataType::Float) => Value::Float(*value as f32),
            (Value::Long(value), DataType::Double) => Value::Double(*value as f64),
            (Value::Float(value), DataType::Double) => Value::Double(f64::from(*value)),
            (value, to) if value.data_type() == Some(to) => value.clone(),
            _ => return None,
        })
    }

    /// Appends the value as text: numbers in digits, floats with a point, null as `null`.
    pub fn write_text(&self, text: &mut String) {
        use std::fmt::Write;
        // Writing to a string cannot fail.
        let _ = match self {
            Value::Null => text.write_str("null"),
            Value::Int(value) => write!(text, "{value}"),
            Value::Long(value) => write!(text, "{value}"),
            Value::Float(value) => write!(text, "{value:?}"),
            Value::Double(value) => write!(text, "{value:?}"),
            Value::Bool(value) => write!(text, "{value}"),
            Value::Text(value) => text.write_str(value),
            Value::Object(value) => write!(text, "{value:?}"),
        };
    }

    /// Order of two values of one type; null after everything else.
    pub fn order(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => Ordering::Greater,
            (_, Value::Null) => Ordering::Less,
            (Value::Text(left), Value::Text(right)) => left.cmp(right),
            (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
            (left, right) => match (left.as_long(), right.as_long()) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => match (left.as_double(), right.as_double()) {
                    (Some(left), Some(right)) => left.total_cmp(&right),
                    _ => Ordering::Equal,
                },
            },
        }
    }
}

/// Floats are equal when their bits are, so that a value can be a key.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Int(left), Value::Int(right)) => left == right,
            (Value::Long(left), Value::Long(right)) => left == right,
            (Value::Float(left), Value::Float(right)) => left.to_bits() == right.to_bits(),
            (Value::Double(left), Value::Double(right)) => left.to_bits() == right.to_bits(),
            (Value::Bool(left), Value::Bool(right)) => left == right,
            (Value::Text(left), Value::Text(right)) => left == right,
            (Value::Object(left), Value::Object(right)) => left == right,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Value::Null => {}
            Value::Int(value) => value.hash(state),
            Value::Long(value) => value.hash(state),
            Value::Float(value) => value.to_bits().hash(state),
            Value::Double(value) => value.to_bits().hash(state),
            Value::Bool(value) => value.hash(state),
            Value::Text(value) => value.hash(state),
            Value::Object(value) => match &**value {
                Structure::Set(values) | Structure::List(values) => values.hash(state),
                Structure::Map(entries) => entries.hash(state),
                Structure::Error(text) => text.hash(state),
            },
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(Text::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_widen_and_nothing_narrows() {
        assert_eq!(Value::Int(3).widened(DataType::Double), Some(Value::Double(3.0)));
        assert_eq!(Value::Long(3).widened(DataType::Int), None);
        assert_eq!(Value::from("3").widened(DataType::Int), None);
        assert_eq!(Value::Null.widened(DataType::Bool), Some(Value::Null));
    }

    #[test]
    fn null_stands_last() {
        assert_eq!(Value::Null.order(&Value::Int(1)), Ordering::Greater);
        assert_eq!(Value::Int(1).order(&Value::Long(2)), Ordering::Less);
    }
}
