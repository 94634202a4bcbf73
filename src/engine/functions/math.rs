//! The functions `math:…`; floats through `libm`, so that all machines agree. Null gives null.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::Operand;
use crate::engine::expressions::leaf;
use crate::engine::expressions::lift::Output;
use crate::engine::expressions::lift::map;
use crate::engine::expressions::lift::try_map;
use crate::engine::expressions::lift::try_zip;
use crate::engine::expressions::lift::zip;
use crate::engine::expressions::number_text;
use crate::engine::functions::Built;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::engine::functions::takes;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Text;
use crate::event::Value;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

const DOUBLE: Parameter = Parameter::any("value", &[DataType::Double]);
const ONE: &[Overload] = &[takes(&[DOUBLE], DataType::Double)];
const TRUTH: &[Overload] = &[takes(&[DOUBLE], DataType::Bool)];
const TEXT: Parameter = Parameter::any("text", &[DataType::Text]);
const INT: Parameter = Parameter::any("value", &[DataType::Int]);
const LONG: Parameter = Parameter::any("value", &[DataType::Long]);
const FLOAT: Parameter = Parameter::any("value", &[DataType::Float]);
const ANGLE: &[Overload] = &[
    takes(&[DOUBLE], DataType::Double),
    takes(&[DOUBLE, Parameter::any("other", &[DataType::Double])], DataType::Double),
];
const DIGITS: &[Overload] = &[takes(&[INT], DataType::Text), takes(&[LONG], DataType::Text)];
const TWO: &[Overload] =
    &[takes(&[DOUBLE, Parameter::any("other", &[DataType::Double])], DataType::Double)];

/// A function of one double, with the plan of its manual.
macro_rules! one {
    ($name:literal, $summary:literal, $compute:expr) => {
        FunctionDefinition::new(
            concat!("math:", $name),
            $summary,
            ONE,
            |setup| Ok(map(only(setup), |&value: &f64| $compute(value))),
            concat!(
                "define stream Readings (value double);\nfrom Readings select math:",
                $name,
                "(value) as result insert into Results;",
            ),
        )
    };
}

/// A function of one double that is null where it has no value.
macro_rules! partial {
    ($name:literal, $summary:literal, $compute:expr) => {
        FunctionDefinition::new(
            concat!("math:", $name),
            $summary,
            ONE,
            |setup| Ok(try_map(only(setup), |&value: &f64| $compute(value))),
            concat!(
                "define stream Readings (value double);\nfrom Readings select math:",
                $name,
                "(value) as result insert into Results;",
            ),
        )
    };
}

/// All of them, in the order of the manual.
pub const ALL: &[FunctionDefinition] = &[
    one!("abs", "The value without its sign.", libm::fabs),
    one!("ceil", "The least whole number that is not below the value.", libm::ceil),
    one!("floor", "The greatest whole number that is not above the value.", libm::floor),
    FunctionDefinition::new(
        "math:round",
        "The nearest whole number, the greater of two: a long of a double, an int of a float.",
        &[
            takes(&[INT], DataType::Int),
            takes(&[LONG], DataType::Long),
            takes(&[FLOAT], DataType::Int),
            takes(&[DOUBLE], DataType::Long),
        ],
        round,
        "define stream Readings (value double);
from Readings select math:round(value) as whole insert into Wholes;",
    ),
    FunctionDefinition::new(
        "math:max",
        "The greater of two numbers.",
        TWO,
        |setup| Ok(pair(setup, libm::fmax)),
        "define stream Prices (bid double, ask double);
from Prices select math:max(bid, ask) as higher insert into Higher;",
    ),
    FunctionDefinition::new(
        "math:min",
        "The lesser of two numbers.",
        TWO,
        |setup| Ok(pair(setup, libm::fmin)),
        "define stream Prices (bid double, ask double);
from Prices select math:min(bid, ask) as lower insert into Lower;",
    ),
    FunctionDefinition::new(
        "math:power",
        "The first number to the power of the second.",
        TWO,
        |setup| Ok(pair(setup, libm::pow)),
        "define stream Circles (radius double);
from Circles select 3.14159 * math:power(radius, 2.0) as area insert into Areas;",
    ),
    partial!("sqrt", "The square root; null of a negative number.", |value: f64| {
        (value >= 0.0).then(|| libm::sqrt(value))
    }),
    one!("cbrt", "The cube root.", libm::cbrt),
    one!("exp", "Euler's number to the power of the value.", libm::exp),
    partial!("ln", "The natural logarithm; null of what is not above 0.", |value: f64| {
        (value > 0.0).then(|| libm::log(value))
    }),
    partial!("log10", "The logarithm to base 10; null of what is not above 0.", |value: f64| {
        (value > 0.0).then(|| libm::log10(value))
    }),
    partial!("log2", "The logarithm to base 2; null of what is not above 0.", |value: f64| {
        (value > 0.0).then(|| libm::log2(value))
    }),
    FunctionDefinition::new(
        "math:log",
        "The logarithm of the first number to the base of the second; null where there is none.",
        TWO,
        |setup| {
            let [value, base] = two(setup);
            Ok(try_zip(value, base, |&value: &f64, &base: &f64| {
                let defined = value > 0.0 && base > 0.0 && base != 1.0;
                defined.then(|| libm::log(value) / libm::log(base))
            }))
        },
        "define stream Sizes (size double);
from Sizes select math:log(size, 2.0) as bits insert into Bits;",
    ),
    one!("sin", "The sine of an angle in radians.", libm::sin),
    one!("cos", "The cosine of an angle in radians.", libm::cos),
    one!("tan", "The tangent of an angle in radians.", libm::tan),
    one!("sinh", "The hyperbolic sine.", libm::sinh),
    one!("cosh", "The hyperbolic cosine.", libm::cosh),
    one!("tanh", "The hyperbolic tangent.", libm::tanh),
    partial!(
        "asin",
        "The angle in radians whose sine is the value; null beyond 1.",
        |value: f64| { (value.abs() <= 1.0).then(|| libm::asin(value)) }
    ),
    partial!("acos", "The angle in radians whose cosine is the value; null beyond 1.", |value| {
        (f64::abs(value) <= 1.0).then(|| libm::acos(value))
    }),
    FunctionDefinition::new(
        "math:atan",
        "The angle in radians whose tangent is the value, or that of the point (second, first).",
        ANGLE,
        |setup| {
            if setup.operands.len() == 2 {
                return Ok(pair(setup, libm::atan2));
            }
            Ok(map(only(setup), |&value: &f64| libm::atan(value)))
        },
        "define stream Vectors (x double, y double);
from Vectors select math:atan(y, x) as angle insert into Angles;",
    ),
    one!("toDegrees", "An angle in degrees that is given in radians.", f64::to_degrees),
    one!("toRadians", "An angle in radians that is given in degrees.", f64::to_radians),
    FunctionDefinition::new(
        "math:signum",
        "1, 0 or -1 as the number is above, at or below 0.",
        &[takes(&[DOUBLE], DataType::Int)],
        |setup| {
            Ok(map(only(setup), |&value: &f64| i32::from(value > 0.0) - i32::from(value < 0.0)))
        },
        "define stream Changes (amount double);
from Changes select math:signum(amount) as direction insert into Directions;",
    ),
    FunctionDefinition::new(
        "math:copySign",
        "The first number with the sign of the second.",
        TWO,
        |setup| Ok(pair(setup, libm::copysign)),
        "define stream Changes (amount double, direction double);
from Changes select math:copySign(amount, direction) as signed insert into Signed;",
    ),
    FunctionDefinition::new(
        "math:getExponent",
        "The power of two by which a double is written.",
        &[takes(&[DOUBLE], DataType::Int)],
        |setup| Ok(map(only(setup), |&value: &f64| exponent(value))),
        "define stream Sizes (size double);
from Sizes select math:getExponent(size) as magnitude insert into Magnitudes;",
    ),
    FunctionDefinition::new(
        "math:isNan",
        "Whether a float is not a number.",
        TRUTH,
        |setup| Ok(map(only(setup), |value: &f64| value.is_nan())),
        "define stream Readings (value double);
from Readings[math:isNan(value)] select value insert into Broken;",
    ),
    FunctionDefinition::new(
        "math:isInfinite",
        "Whether a float is beyond all numbers.",
        TRUTH,
        |setup| Ok(map(only(setup), |value: &f64| value.is_infinite())),
        "define stream Readings (value double);
from Readings[math:isInfinite(value)] select value insert into Broken;",
    ),
    FunctionDefinition::new(
        "math:e",
        "Euler's number.",
        &[takes(&[], DataType::Double)],
        |_| Ok(leaf::constant(&Value::Double(std::f64::consts::E), DataType::Double)),
        "define stream Readings (value double);
from Readings select value * math:e() as scaled insert into Scaled;",
    ),
    FunctionDefinition::new(
        "math:pi",
        "The circumference of a circle whose diameter is 1.",
        &[takes(&[], DataType::Double)],
        |_| Ok(leaf::constant(&Value::Double(std::f64::consts::PI), DataType::Double)),
        "define stream Circles (radius double);
from Circles select 2.0 * math:pi() * radius as circumference insert into Rounds;",
    ),
    FunctionDefinition {
        signature: Signature {
            name: "math:rand",
            summary: "A number from 0 to below 1 that looks like chance; a seed is passed over.",
            traits: &[Trait::Counts],
            overloads: &[takes(
                &[Parameter::any("seed", &[DataType::Int, DataType::Long]).optional()],
                DataType::Double,
            )],
            example: "define stream Logins (user string);
from Logins[math:rand() < 0.01] select user insert into Sample;",
        },
        build: |setup| Ok(Box::new(Random { site: setup.site, output: Output::new() })),
    },
    FunctionDefinition::new(
        "math:hex",
        "A whole number in base 16, without a sign.",
        DIGITS,
        |setup| Ok(digits(setup, |value| format!("{value:x}").into())),
        "define stream Codes (code int);
from Codes select math:hex(code) as code insert into Shown;",
    ),
    FunctionDefinition::new(
        "math:oct",
        "A whole number in base 8, without a sign.",
        DIGITS,
        |setup| Ok(digits(setup, |value| format!("{value:o}").into())),
        "define stream Codes (code int);
from Codes select math:oct(code) as code insert into Shown;",
    ),
    FunctionDefinition::new(
        "math:bin",
        "A whole number in base 2, without a sign.",
        DIGITS,
        |setup| Ok(digits(setup, |value| format!("{value:b}").into())),
        "define stream Codes (code int);
from Codes select math:bin(code) as code insert into Shown;",
    ),
    FunctionDefinition::new(
        "math:conv",
        "A whole number, given as text in one base, as text in another; bases are from 2 to 36.",
        &[takes(
            &[
                TEXT,
                Parameter::any("from", &[DataType::Int]),
                Parameter::any("to", &[DataType::Int]),
            ],
            DataType::Text,
        )],
        |setup| {
            setup.by_row(|row| {
                let (text, from, to) = (row.needed::<Text>(0)?, row.needed(1)?, row.needed(2)?);
                converted(text, *from, *to).map(Some)
            })
        },
        "define stream Codes (code string);
from Codes select math:conv(code, 16, 10) as number insert into Numbers;",
    ),
    FunctionDefinition::new(
        "math:parseInt",
        "The int that a text holds.",
        &[takes(&[TEXT], DataType::Int)],
        |setup| {
            setup.by_row(|row| match row.text(0) {
                None => Ok(None),
                Some(text) => text.parse::<i32>().map(Some).map_err(|_| no_number(text, "int")),
            })
        },
        "define stream Lines (size string);
from Lines select math:parseInt(size) as size insert into Sizes;",
    ),
    FunctionDefinition::new(
        "math:parseLong",
        "The long that a text holds.",
        &[takes(&[TEXT], DataType::Long)],
        |setup| {
            setup.by_row(|row| match row.text(0) {
                None => Ok(None),
                Some(text) => text.parse::<i64>().map(Some).map_err(|_| no_number(text, "long")),
            })
        },
        "define stream Lines (size string);
from Lines select math:parseLong(size) as size insert into Sizes;",
    ),
    FunctionDefinition::new(
        "math:parseFloat",
        "The float that a text holds.",
        &[takes(&[TEXT], DataType::Float)],
        |setup| {
            setup.by_row(|row| match row.text(0) {
                None => Ok(None),
                Some(text) => number_text::parse_single(text)
                    .map(Some)
                    .ok_or_else(|| no_number(text, "float")),
            })
        },
        "define stream Lines (celsius string);
from Lines select math:parseFloat(celsius) as celsius insert into Readings;",
    ),
    FunctionDefinition::new(
        "math:parseDouble",
        "The double that a text holds.",
        &[takes(&[TEXT], DataType::Double)],
        |setup| {
            setup.by_row(|row| match row.text(0) {
                None => Ok(None),
                Some(text) => number_text::parse_double(text)
                    .map(Some)
                    .ok_or_else(|| no_number(text, "double")),
            })
        },
        "define stream Lines (celsius string);
from Lines select math:parseDouble(celsius) as celsius insert into Readings;",
    ),
];

fn no_number(text: &Text, ty: &str) -> std::borrow::Cow<'static, str> {
    format!("'{text}' is no {ty}").into()
}

fn only(setup: FunctionSetup<'_>) -> Operand {
    setup.operands.into_iter().next().expect("the signature asks for an argument")
}

fn two(setup: FunctionSetup<'_>) -> [Operand; 2] {
    let mut operands = setup.operands.into_iter();
    [(); 2].map(|()| operands.next().expect("the signature asks for two arguments"))
}

fn pair(setup: FunctionSetup<'_>, compute: fn(f64, f64) -> f64) -> Box<dyn Kernel> {
    let [left, right] = two(setup);
    zip(left, right, move |&left: &f64, &right: &f64| compute(left, right))
}

fn round(setup: FunctionSetup<'_>) -> Built {
    let from = setup.arguments[0].ty;
    let operand = only(setup);
    Ok(match from {
        DataType::Float => map(operand, |&value: &f32| half_up(f64::from(value)) as i32),
        DataType::Double => map(operand, |&value: &f64| half_up(value) as i64),
        _ => leaf::unchanged(operand),
    })
}

/// The nearest whole number, and the greater one of two that are as near.
fn half_up(value: f64) -> f64 {
    let floor = libm::floor(value);
    if value - floor >= 0.5 { floor + 1.0 } else { floor }
}

fn exponent(value: f64) -> i32 {
    let raw = (value.to_bits() >> 52 & 0x7ff) as i32;
    raw - 1023
}

fn digits(setup: FunctionSetup<'_>, show: fn(u64) -> Text) -> Box<dyn Kernel> {
    let from = setup.arguments[0].ty;
    let operand = only(setup);
    match from {
        DataType::Int => map(operand, move |&value: &i32| show(u64::from(value as u32))),
        _ => map(operand, move |&value: &i64| show(value as u64)),
    }
}

fn converted(text: &str, from: i32, to: i32) -> Result<Text, std::borrow::Cow<'static, str>> {
    let bases = 2..=36;
    if !bases.contains(&from) || !bases.contains(&to) {
        return Err(format!("expected bases from 2 to 36, found {from} and {to}").into());
    }
    let value = i64::from_str_radix(text, from as u32)
        .map_err(|_| format!("'{text}' is no whole number in base {from}"))?;
    let mut left = value.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        let digit = char::from_digit((left % to as u64) as u32, to as u32);
        digits.push(digit.expect("the remainder is below the base"));
        left /= to as u64;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        digits.push('-');
    }
    Ok(digits.into_iter().rev().collect())
}

struct Random {
    site: u32,
    output: Output<f64>,
}

impl Kernel for Random {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let (output, _) = self.output.begin(frame.len());
        for result in output {
            // The 53 bits that a double between 0 and 1 has room for.
            let bits = (context.entropy.draw(self.site) >> 75) as u64;
            *result = bits as f64 / (1u64 << 53) as f64;
        }
        self.output.column()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_up() {
        let cases = [(2.5, 3.0), (-2.5, -2.0), (0.49999999999999994, 0.0), (-0.6, -1.0)];
        for (value, rounded) in cases {
            assert_eq!(half_up(value), rounded, "{value}");
        }
        assert_eq!(half_up(f64::NAN) as i64, 0);
    }

    #[test]
    fn numbers_change_their_base() {
        assert_eq!(converted("7f", 16, 10), Ok("127".into()));
        assert_eq!(converted("-10", 10, 2), Ok("-1010".into()));
        assert_eq!(converted("0", 10, 36), Ok("0".into()));
        assert!(converted("7g", 16, 10).is_err());
        assert!(converted("7", 1, 10).is_err());
    }

    #[test]
    fn exponents_are_those_of_the_bits() {
        assert_eq!(exponent(8.5), 3);
        assert_eq!(exponent(0.0), -1023);
        assert_eq!(exponent(f64::INFINITY), 1024);
    }
}
