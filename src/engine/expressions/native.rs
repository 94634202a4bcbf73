//! Rust types behind the language's types, so that a kernel is written once and compiled for each.

use crate::event::Column;
use crate::event::DataType;
use crate::event::Text;
use crate::event::Value;
use crate::event::Values;
use std::fmt::Debug;

/// A type whose values stand in a column as they are.
pub trait Native: Clone + Default + Debug + PartialEq + Send + 'static {
    /// Its name in a plan.
    const TYPE: DataType;

    /// The vector in which a column keeps its rows.
    ///
    /// # Panics
    /// If the column is of another type: types are settled when a plan is checked.
    fn vector(values: &mut Values) -> &mut Vec<Self>;

    /// The rows of a column.
    ///
    /// # Panics
    /// If the column is of another type.
    fn rows(column: &Column) -> &[Self];

    /// The value out of its wrapping, if it is of this type.
    fn from_value(value: &Value) -> Option<Self>;

    /// The value wrapped.
    fn into_value(self) -> Value;
}

macro_rules! native {
    ($($ty:ty, $variant:ident, $rows:ident;)*) => {$(
        impl Native for $ty {
            const TYPE: DataType = DataType::$variant;

            #[inline]
            fn vector(values: &mut Values) -> &mut Vec<Self> {
                match values {
                    Values::$variant(vector) => vector,
                    other => panic!("column of {:?} written as another type", other.data_type()),
                }
            }

            #[inline]
            fn rows(column: &Column) -> &[Self] {
                column.$rows()
            }

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some(value.clone()),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$variant(self)
            }
        }
    )*};
}

native! {
    i32, Int, ints;
    i64, Long, longs;
    f32, Float, floats;
    f64, Double, doubles;
    bool, Bool, bools;
    Text, Text, texts;
}

/// An `object` column holds values of any type.
impl Native for Value {
    const TYPE: DataType = DataType::Object;

    #[inline]
    fn vector(values: &mut Values) -> &mut Vec<Self> {
        match values {
            Values::Object(vector) => vector,
            other => panic!("column of {:?} written as another type", other.data_type()),
        }
    }

    #[inline]
    fn rows(column: &Column) -> &[Self] {
        column.objects()
    }

    fn from_value(value: &Value) -> Option<Self> {
        (!value.is_null()).then(|| value.clone())
    }

    fn into_value(self) -> Value {
        self
    }
}

/// Runs the same code with `$native` standing for the Rust type of a data type.
macro_rules! for_type {
    ($ty:expr, $native:ident => $body:expr) => {
        match $ty {
            $crate::event::DataType::Int => {
                type $native = i32;
                $body
            }
            $crate::event::DataType::Long => {
                type $native = i64;
                $body
            }
            $crate::event::DataType::Float => {
                type $native = f32;
                $body
            }
            $crate::event::DataType::Double => {
                type $native = f64;
                $body
            }
            $crate::event::DataType::Bool => {
                type $native = bool;
                $body
            }
            $crate::event::DataType::Text => {
                type $native = $crate::event::Text;
                $body
            }
            $crate::event::DataType::Object => {
                type $native = $crate::event::Value;
                $body
            }
        }
    };
}

/// Runs the same code with `$native` standing for the Rust type of a numeric type.
macro_rules! for_number {
    ($ty:expr, $native:ident => $body:expr, else $other:expr) => {
        match $ty {
            $crate::event::DataType::Int => {
                type $native = i32;
                $body
            }
            $crate::event::DataType::Long => {
                type $native = i64;
                $body
            }
            $crate::event::DataType::Float => {
                type $native = f32;
                $body
            }
            $crate::event::DataType::Double => {
                type $native = f64;
                $body
            }
            _ => $other,
        }
    };
}

pub(crate) use for_number;
pub(crate) use for_type;
