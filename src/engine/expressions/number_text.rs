//! Floats as text, in the form that Java gives them: `5.0`, `1.0E10`.

use crate::event::Text;
use crate::event::Value;
use std::fmt::LowerExp;
use std::fmt::Write;

/// A double as text.
pub fn double_text(value: f64) -> Text {
    float_text(value, value)
}

/// A float as text.
pub fn single_text(value: f32) -> Text {
    float_text(value, f64::from(value))
}

/// Any value as text; null is `null`.
pub fn value_text(value: &Value) -> Text {
    match value {
        Value::Null => Text::from("null"),
        Value::Int(value) => whole_text(*value),
        Value::Long(value) => whole_text(*value),
        Value::Float(value) => single_text(*value),
        Value::Double(value) => double_text(*value),
        Value::Bool(value) => Text::from(if *value { "true" } else { "false" }),
        Value::Text(text) => text.clone(),
        Value::Object(object) => object_text(object),
    }
}

/// A whole number as text.
pub fn whole_text(value: impl std::fmt::Display) -> Text {
    let mut text = Text::new();
    write!(text, "{value}").expect("texts take everything");
    text
}

/// Collections as Java prints them: `[a, b]`, `{k=v}`.
fn object_text(object: &crate::event::Structure) -> Text {
    use crate::event::Structure;
    let joined = |values: &[Value]| -> Text {
        let mut text = Text::from("[");
        for (place, value) in values.iter().enumerate() {
            if place > 0 {
                text.push_str(", ");
            }
            text.push_str(&value_text(value));
        }
        text.push(']');
        text
    };
    match object {
        Structure::Set(values) | Structure::List(values) => joined(values),
        Structure::Map(entries) => {
            let mut text = Text::from("{");
            for (place, (key, value)) in entries.iter().enumerate() {
                if place > 0 {
                    text.push_str(", ");
                }
                text.push_str(key);
                text.push('=');
                text.push_str(&value_text(value));
            }
            text.push('}');
            text
        }
        Structure::Error(message) => message.clone(),
    }
}

/// The shortest digits that read back as the same number; in plain form from a thousandth up to ten
/// millions, else as one digit, a point, the rest and a power of ten.
fn float_text(value: impl LowerExp, double: f64) -> Text {
    if double.is_nan() {
        return Text::from("NaN");
    }
    if double.is_infinite() {
        return Text::from(if double > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let mut scientific = Text::new();
    write!(scientific, "{value:e}").expect("texts take everything");
    let (mantissa, exponent) = scientific.split_once('e').expect("the form has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut text = Text::from(sign);
    let or_zero = |digits: &str| if digits.is_empty() { "0".into() } else { Text::from(digits) };
    match exponent {
        0..=6 => {
            let whole = exponent as usize;
            text.push_str(first);
            if rest.len() <= whole {
                text.push_str(rest);
                text.push_str(&"000000"[..whole - rest.len()]);
                text.push_str(".0");
            } else {
                text.push_str(&rest[..whole]);
                text.push('.');
                text.push_str(&rest[whole..]);
            }
        }
        -3..=-1 => {
            text.push_str("0.");
            text.push_str(&"00"[..(-exponent - 1) as usize]);
            text.push_str(first);
            text.push_str(rest);
        }
        _ => {
            text.push_str(first);
            text.push('.');
            text.push_str(&or_zero(rest));
            write!(text, "E{exponent}").expect("texts take everything");
        }
    }
    text
}

/// Reads a double as Java does: white space around it and a `d` or `f` behind it are allowed.
pub fn parse_double(text: &str) -> Option<f64> {
    parse_float(text, |digits| digits.parse().ok(), f64::NAN, f64::INFINITY)
}

/// Reads a float as Java does.
pub fn parse_single(text: &str) -> Option<f32> {
    parse_float(text, |digits| digits.parse().ok(), f32::NAN, f32::INFINITY)
}

fn parse_float<T: std::ops::Neg<Output = T>>(
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
    not_a_number: T,
    infinity: T,
) -> Option<T> {
    let text = text.trim_matches(|character: char| character <= ' ');
    match text.strip_prefix(['+', '-']).unwrap_or(text) {
        "NaN" => return Some(not_a_number),
        "Infinity" if text.starts_with('-') => return Some(-infinity),
        "Infinity" => return Some(infinity),
        _ => {}
    }
    let digits = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    // Rust also reads `inf` and `nan`; Java does not.
    let plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if digits.bytes().all(plain) { parse(digits) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_look_as_in_java() {
        for (value, text) in [
            (5.0, "5.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (100.0, "100.0"),
            (1234567.0, "1234567.0"),
            (9999999.0, "9999999.0"),
            (1234567.875, "1234567.875"),
            (1.0e7, "1.0E7"),
            (12345678.5, "1.23456785E7"),
            (1.0e10, "1.0E10"),
            (0.001, "0.001"),
            (0.0125, "0.0125"),
            (0.000999, "9.99E-4"),
            (1.0e-5, "1.0E-5"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double_text(value), text);
        }
        assert_eq!(single_text(0.1), "0.1");
        assert_eq!(single_text(16777216.0), "1.6777216E7");
        assert_eq!(single_text(3.4028235e38), "3.4028235E38");
    }

    #[test]
    fn doubles_are_read_as_in_java() {
        for (text, value) in [
            ("5", Some(5.0)),
            (" -5.5 ", Some(-5.5)),
            ("1e3", Some(1000.0)),
            ("1.5f", Some(1.5)),
            ("2D", Some(2.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("Infinity", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("inf", None),
            ("nan", None),
            ("", None),
            ("5 5", None),
            ("five", None),
            ("1_000", None),
            ("e", None),
        ] {
            assert_eq!(parse_double(text), value, "{text:?}");
        }
        assert!(parse_double("NaN").is_some_and(f64::is_nan));
        assert_eq!(parse_single("16777217"), Some(16777216.0));
    }

    #[test]
    fn every_value_has_a_text() {
        use crate::event::Structure;
        use std::sync::Arc;
        let set = Structure::Set(vec![Value::Int(1), Value::Null, Value::Double(2.0)]);
        assert_eq!(value_text(&Value::Object(Arc::new(set))), "[1, null, 2.0]");
        let map = Structure::Map(vec![("a".into(), Value::Bool(true)), ("b".into(), "c".into())]);
        assert_eq!(value_text(&Value::Object(Arc::new(map))), "{a=true, b=c}");
        assert_eq!(value_text(&Value::Long(-7)), "-7");
    }
}
