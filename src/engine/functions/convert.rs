//! Functions between types: `cast`, `convert` and the `instanceOf` family.

use crate::engine::expressions::Kernel;
use crate::engine::expressions::Native;
use crate::engine::expressions::Operand;
use crate::engine::expressions::leaf;
use crate::engine::expressions::lift::map;
use crate::engine::expressions::lift::map_nullable;
use crate::engine::expressions::lift::try_map;
use crate::engine::expressions::native::for_type;
use crate::engine::expressions::number_text;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::event::DataType;
use crate::event::Text;
use crate::event::Value;
use crate::plan::signature::ANY;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::relabelled;

/// All types but `object`.
const PLAIN: &[DataType] = &[
    DataType::Int,
    DataType::Long,
    DataType::Float,
    DataType::Double,
    DataType::Bool,
    DataType::Text,
];

/// `cast(x, 'type')`
pub const CAST: FunctionDefinition = FunctionDefinition {
    signature: Signature {
        name: "cast",
        summary: "The value, unchanged, under another type; null where that type cannot hold it.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[
                Parameter::any("value", ANY),
                Parameter::constant("type", &[DataType::Text]),
            ],
            returns: Returns::Relabelled(0, 1),
        }],
        example: "define stream Readings (room int, reading object);
from Readings select room, cast(reading, 'double') as celsius insert into Numbers;",
    },
    build: cast,
};

/// `convert(x, 'type')`
pub const CONVERT: FunctionDefinition = FunctionDefinition {
    signature: Signature {
        name: "convert",
        summary: "The value made into another type; null if a text cannot be read as that type.",
        traits: &[],
        overloads: &[Overload {
            parameters: &[
                Parameter::any("value", PLAIN),
                Parameter::constant("type", &[DataType::Text]),
            ],
            returns: Returns::Named(1),
        }],
        example: "define stream Lines (room string, celsius string);
from Lines select room, convert(celsius, 'double') as celsius insert into Readings;",
    },
    build: convert,
};

macro_rules! instance_of {
    ($($(#[$doc:meta])* $constant:ident, $name:literal, $ty:ident, $shown:literal;)*) => {$(
        $(#[$doc])*
        pub const $constant: FunctionDefinition = FunctionDefinition {
            signature: Signature {
                name: $name,
                summary: concat!("Whether the value is a `", $shown, "`; false for null."),
                traits: &[],
                overloads: &[Overload {
                    parameters: &[Parameter::any("value", ANY)],
                    returns: Returns::Type(DataType::Bool),
                }],
                example: concat!(
                    "define stream Readings (room int, reading object);\n",
                    "from Readings select room, ",
                    $name,
                    "(reading) as fits insert into Checked;",
                ),
            },
            build: |setup| instance_of(setup, DataType::$ty),
        };
    )*};
}

instance_of! {
    /// `instanceOfBoolean(x)`
    INSTANCE_OF_BOOLEAN, "instanceOfBoolean", Bool, "bool";
    /// `instanceOfDouble(x)`
    INSTANCE_OF_DOUBLE, "instanceOfDouble", Double, "double";
    /// `instanceOfFloat(x)`
    INSTANCE_OF_FLOAT, "instanceOfFloat", Float, "float";
    /// `instanceOfInteger(x)`
    INSTANCE_OF_INTEGER, "instanceOfInteger", Int, "int";
    /// `instanceOfLong(x)`
    INSTANCE_OF_LONG, "instanceOfLong", Long, "long";
    /// `instanceOfString(x)`
    INSTANCE_OF_STRING, "instanceOfString", Text, "string";
}

/// The type that the second argument names, and the first argument ready to be computed.
fn target(setup: FunctionSetup<'_>) -> Result<(DataType, DataType, Operand), ArgumentFault> {
    let named = setup.arguments.get(1).and_then(|argument| argument.as_constant()?.as_text());
    let to = named.and_then(DataType::from_name).filter(|ty| PLAIN.contains(ty));
    let to = to.ok_or_else(|| {
        let found = named.map(|name| format!(", found '{name}'")).unwrap_or_default();
        let types = "'int', 'long', 'float', 'double', 'bool' or 'string'";
        ArgumentFault::at(1, format!("expected {types} as a constant{found}"))
    })?;
    let from = setup.arguments[0].ty;
    let operand = setup.operands.into_iter().next().expect("the signature asks for two arguments");
    Ok((from, to, operand))
}

fn cast(setup: FunctionSetup<'_>) -> Result<Box<dyn Kernel>, ArgumentFault> {
    let (from, to, operand) = target(setup)?;
    if from == to {
        return Ok(leaf::unchanged(operand));
    }
    let to = relabelled(from, to);
    let object = match from {
        DataType::Object => operand,
        from => leaf::widen(from, DataType::Object, operand)?.into(),
    };
    Ok(match to {
        // What is certainly not of the type stays what it is, as an object.
        DataType::Object => leaf::unchanged(object),
        to => for_type!(to, T => try_map(object, |value: &Value| same_in::<T>(value))),
    })
}

/// The value in another type, if it is the same value there.
fn same_in<T: Native>(value: &Value) -> Option<T> {
    if let Some(value) = T::from_value(value) {
        return Some(value);
    }
    let wanted = match T::TYPE {
        DataType::Int => i32::try_from(whole(value)?).ok().map(Value::Int),
        DataType::Long => whole(value).map(Value::Long),
        // Most doubles are no float, but all have one beside them.
        DataType::Float => value.as_double().map(|double| Value::Float(double as f32)),
        DataType::Double => value.as_double().map(Value::Double),
        DataType::Bool | DataType::Text | DataType::Object => None,
    };
    wanted.and_then(|value| T::from_value(&value))
}

/// The whole number that a number is, if it is one.
fn whole(value: &Value) -> Option<i64> {
    value.as_long().or_else(|| {
        let double = value.as_double()?;
        let long = double as i64;
        (long as f64 == double && long != i64::MAX).then_some(long)
    })
}

fn convert(setup: FunctionSetup<'_>) -> Result<Box<dyn Kernel>, ArgumentFault> {
    let (from, to, operand) = target(setup)?;
    match from {
        from if from == to => Ok(leaf::unchanged(operand)),
        DataType::Text => Ok(from_text(to, operand)),
        DataType::Bool => Ok(from_bool(to, operand)),
        DataType::Int => Ok(from_int(to, operand)),
        DataType::Long => Ok(from_long(to, operand)),
        DataType::Float => Ok(from_float(to, operand)),
        DataType::Double => Ok(from_double(to, operand)),
        DataType::Object => Err(ArgumentFault::at(
            0,
            "expected a value of a plain type, found `object`; did you mean `cast`?",
        )),
    }
}

fn from_text(to: DataType, operand: Operand) -> Box<dyn Kernel> {
    match to {
        DataType::Int => try_map(operand, |text: &Text| text.parse::<i32>().ok()),
        DataType::Long => try_map(operand, |text: &Text| text.parse::<i64>().ok()),
        DataType::Float => try_map(operand, |text: &Text| number_text::parse_single(text)),
        DataType::Double => try_map(operand, |text: &Text| number_text::parse_double(text)),
        DataType::Bool => map(operand, |text: &Text| text.eq_ignore_ascii_case("true")),
        DataType::Text | DataType::Object => leaf::unchanged(operand),
    }
}

fn from_bool(to: DataType, operand: Operand) -> Box<dyn Kernel> {
    match to {
        DataType::Int => map(operand, |&value: &bool| i32::from(value)),
        DataType::Long => map(operand, |&value: &bool| i64::from(value)),
        DataType::Float => map(operand, |&value: &bool| f32::from(value)),
        DataType::Double => map(operand, |&value: &bool| f64::from(value)),
        DataType::Text => {
            map(operand, |&value: &bool| number_text::value_text(&value.into_value()))
        }
        DataType::Bool | DataType::Object => leaf::unchanged(operand),
    }
}

// Java's narrowing is Rust's `as`: whole numbers lose their upper bits; floats lose their fraction,
// stop at the limits, and not-a-number becomes 0.

fn from_int(to: DataType, operand: Operand) -> Box<dyn Kernel> {
    match to {
        DataType::Long => map(operand, |&value: &i32| i64::from(value)),
        DataType::Float => map(operand, |&value: &i32| value as f32),
        DataType::Double => map(operand, |&value: &i32| f64::from(value)),
        DataType::Bool => map(operand, |&value: &i32| value == 1),
        DataType::Text => map(operand, |&value: &i32| number_text::whole_text(value)),
        DataType::Int | DataType::Object => leaf::unchanged(operand),
    }
}

fn from_long(to: DataType, operand: Operand) -> Box<dyn Kernel> {
    match to {
        DataType::Int => map(operand, |&value: &i64| value as i32),
        DataType::Float => map(operand, |&value: &i64| value as f32),
        DataType::Double => map(operand, |&value: &i64| value as f64),
        DataType::Bool => map(operand, |&value: &i64| value == 1),
        DataType::Text => map(operand, |&value: &i64| number_text::whole_text(value)),
        DataType::Long | DataType::Object => leaf::unchanged(operand),
    }
}

fn from_float(to: DataType, operand: Operand) -> Box<dyn Kernel> {
    match to {
        DataType::Int => map(operand, |&value: &f32| value as i32),
        DataType::Long => map(operand, |&value: &f32| value as i64),
        DataType::Double => map(operand, |&value: &f32| f64::from(value)),
        DataType::Bool => map(operand, |&value: &f32| value == 1.0),
        DataType::Text => map(operand, |&value: &f32| number_text::single_text(value)),
        DataType::Float | DataType::Object => leaf::unchanged(operand),
    }
}

fn from_double(to: DataType, operand: Operand) -> Box<dyn Kernel> {
    match to {
        DataType::Int => map(operand, |&value: &f64| value as i32),
        DataType::Long => map(operand, |&value: &f64| value as i64),
        DataType::Float => map(operand, |&value: &f64| value as f32),
        DataType::Bool => map(operand, |&value: &f64| value == 1.0),
        DataType::Text => map(operand, |&value: &f64| number_text::double_text(value)),
        DataType::Double | DataType::Object => leaf::unchanged(operand),
    }
}

fn instance_of(setup: FunctionSetup<'_>, ty: DataType) -> Result<Box<dyn Kernel>, ArgumentFault> {
    let from = setup.arguments[0].ty;
    let operand = setup.operands.into_iter().next().expect("the signature asks for an argument");
    Ok(match from {
        DataType::Object => map_nullable(operand, move |value: Option<&Value>| {
            value.is_some_and(|value| value.data_type() == Some(ty))
        }),
        from => for_type!(from, T => {
            map_nullable(operand, move |value: Option<&T>| value.is_some() && T::TYPE == ty)
        }),
    })
}
