//! One unit to another: the functions `unitconversion:…`.

use crate::engine::expressions::lift::map;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::takes;
use crate::event::DataType;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;

const TAKES: &[Overload] =
    &[takes(&[Parameter::any("value", &[DataType::Double])], DataType::Double)];

/// Multiplies, then divides: a factor such as a third of a yard has no exact form of its own.
macro_rules! conversion {
    ($name:literal, $from:literal, $to:literal, $times:literal, $by:literal) => {
        FunctionDefinition::new(
            concat!("unitconversion:", $name),
            concat!("The ", $from, " in ", $to, "."),
            TAKES,
            |setup| {
                let operand = setup.operands.into_iter().next().expect("there is an argument");
                Ok(map(operand, |&value: &f64| value * $times / $by))
            },
            concat!(
                "define stream Readings (value double);\nfrom Readings select unitconversion:",
                $name,
                "(value) as value insert into Converted;",
            ),
        )
    };
}

/// All of them, in the order of the manual.
pub const ALL: &[FunctionDefinition] = &[
    conversion!("MmTokm", "megametres", "kilometres", 1000.0, 1.0),
    conversion!("cmToft", "centimetres", "feet", 1.0, 30.48),
    conversion!("cmToin", "centimetres", "inches", 1.0, 2.54),
    conversion!("cmTokm", "centimetres", "kilometres", 1.0, 100_000.0),
    conversion!("cmTom", "centimetres", "metres", 1.0, 100.0),
    conversion!("cmTomi", "centimetres", "miles", 1.0, 160_934.4),
    conversion!("cmTomm", "centimetres", "millimetres", 10.0, 1.0),
    conversion!("cmTonm", "centimetres", "nanometres", 10_000_000.0, 1.0),
    conversion!("cmToum", "centimetres", "micrometres", 10_000.0, 1.0),
    conversion!("cmToyd", "centimetres", "yards", 1.0, 91.44),
    conversion!("kmTocm", "kilometres", "centimetres", 100_000.0, 1.0),
    conversion!("kmToft", "kilometres", "feet", 100_000.0, 30.48),
    conversion!("kmToin", "kilometres", "inches", 100_000.0, 2.54),
    conversion!("kmTom", "kilometres", "metres", 1000.0, 1.0),
    conversion!("kmTomi", "kilometres", "miles", 1.0, 1.609344),
    conversion!("kmTomm", "kilometres", "millimetres", 1_000_000.0, 1.0),
    conversion!("kmTonm", "kilometres", "nanometres", 1_000_000_000_000.0, 1.0),
    conversion!("kmToum", "kilometres", "micrometres", 1_000_000_000.0, 1.0),
    conversion!("kmToyd", "kilometres", "yards", 100_000.0, 91.44),
    conversion!("mTocm", "metres", "centimetres", 100.0, 1.0),
    conversion!("mToft", "metres", "feet", 1.0, 0.3048),
    conversion!("mTomm", "metres", "millimetres", 1000.0, 1.0),
    conversion!("mToyd", "metres", "yards", 1.0, 0.9144),
    conversion!("miTokm", "miles", "kilometres", 1.609344, 1.0),
    conversion!("gTokg", "grams", "kilograms", 1.0, 1000.0),
    conversion!("gTomg", "grams", "milligrams", 1000.0, 1.0),
    conversion!("gToug", "grams", "micrograms", 1_000_000.0, 1.0),
    conversion!("kgToLT", "kilograms", "imperial tons", 1.0, 1016.0469088),
    conversion!("kgToST", "kilograms", "US tons", 1.0, 907.18474),
    conversion!("kgTog", "kilograms", "grams", 1000.0, 1.0),
    conversion!("kgTolb", "kilograms", "pounds", 1.0, 0.45359237),
    conversion!("kgTooz", "kilograms", "ounces", 16.0, 0.45359237),
    conversion!("kgTost", "kilograms", "stones", 1.0, 6.35029318),
    conversion!("kgTot", "kilograms", "tonnes", 1.0, 1000.0),
    conversion!("tTog", "tonnes", "grams", 1_000_000.0, 1.0),
    conversion!("tTokg", "tonnes", "kilograms", 1000.0, 1.0),
    conversion!("lTom3", "litres", "cubic metres", 1.0, 1000.0),
    conversion!("lToml", "litres", "millilitres", 1000.0, 1.0),
    conversion!("m3Tol", "cubic metres", "litres", 1000.0, 1.0),
    conversion!("mlTol", "millilitres", "litres", 1.0, 1000.0),
    conversion!("dToh", "days", "hours", 24.0, 1.0),
    conversion!("hTom", "hours", "minutes", 60.0, 1.0),
    conversion!("hTos", "hours", "seconds", 3600.0, 1.0),
    conversion!("mTos", "minutes", "seconds", 60.0, 1.0),
    conversion!("sToms", "seconds", "milliseconds", 1000.0, 1.0),
    conversion!("sTons", "seconds", "nanoseconds", 1_000_000_000.0, 1.0),
    conversion!("sTous", "seconds", "microseconds", 1_000_000.0, 1.0),
    conversion!("yTod", "years", "days", 365.2425, 1.0),
];

#[cfg(test)]
mod tests {
    use crate::engine::expressions::testing::call;
    use crate::engine::expressions::testing::values;
    use crate::event::DataType::Double;
    use crate::event::Value;

    #[test]
    fn units_are_converted() {
        let cases = [
            ("cmToin", 100.0, 39.370_078_740_157_48),
            ("kmTomi", 1.0, 0.621_371_192_237_334),
            ("kgTolb", 1.0, 2.204_622_621_848_775_7),
            ("MmTokm", 2.5, 2500.0),
            ("mlTol", 250.0, 0.25),
            ("hTos", 1.5, 5400.0),
        ];
        for (name, value, expected) in cases {
            let name = format!("unitconversion:{name}");
            let expr = call(&name, &[Double], &[], Double);
            let found = values(&expr, &[Double], &[&[Value::Double(value)], &[Value::Null]]);
            assert_eq!(found, [Value::Double(expected), Value::Null], "{name}");
        }
    }
}
