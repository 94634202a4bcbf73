//! The types of the language and their widening; no values.

use std::fmt;

/// A type of SiddhiQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DataType {
    /// 32-bit whole number, `int`.
    Int,
    /// 64-bit whole number, `long`.
    Long,
    /// 32-bit float, `float`.
    Float,
    /// 64-bit float, `double`.
    Double,
    /// `bool`.
    Bool,
    /// UTF-8 text, `string`.
    Text,
    /// Anything else: sets, lists, maps, errors; `object`.
    Object,
}

impl DataType {
    /// Every type, in the order in which numbers widen.
    pub const ALL: [DataType; 7] = [
        DataType::Int,
        DataType::Long,
        DataType::Float,
        DataType::Double,
        DataType::Bool,
        DataType::Text,
        DataType::Object,
    ];

    /// The type's name in a plan.
    pub fn name(self) -> &'static str {
        match self {
            DataType::Int => "int",
            DataType::Long => "long",
            DataType::Float => "float",
            DataType::Double => "double",
            DataType::Bool => "bool",
            DataType::Text => "string",
            DataType::Object => "object",
        }
    }

    /// Finds a type by its name in a plan; letters of either case.
    pub fn from_name(name: &str) -> Option<DataType> {
        DataType::ALL.into_iter().find(|ty| ty.name().eq_ignore_ascii_case(name))
    }

    /// Whether arithmetic is possible.
    pub fn is_numeric(self) -> bool {
        matches!(self, DataType::Int | DataType::Long | DataType::Float | DataType::Double)
    }

    /// Whether the type holds whole numbers only.
    pub fn is_whole(self) -> bool {
        matches!(self, DataType::Int | DataType::Long)
    }

    /// The type of arithmetic on two numbers: double, else float, else long, else int.
    pub fn arithmetic(self, other: DataType) -> Option<DataType> {
        (self.is_numeric() && other.is_numeric()).then(|| self.max(other))
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_takes_the_wider_type() {
        assert_eq!(DataType::Int.arithmetic(DataType::Double), Some(DataType::Double));
        assert_eq!(DataType::Long.arithmetic(DataType::Float), Some(DataType::Float));
        assert_eq!(DataType::Int.arithmetic(DataType::Text), None);
    }
}
