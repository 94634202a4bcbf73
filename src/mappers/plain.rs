//! One value as bare text and back: the cells of csv, groups of a pattern, the values of templates.

use crate::event::Column;
use crate::event::DataType;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::event::Values;
use crate::mappers::message::Fault;
use std::io::Write as _;

/// Appends a value read from text to a column of its type. Blanks around numbers and truth values
/// do not count. On a fault nothing is appended.
pub fn read(ty: DataType, text: &str, column: &mut Column) -> Result<(), Fault> {
    macro_rules! store {
        ($variant:ident, $value:expr) => {{
            let value = $value;
            if let Values::$variant(vector) = &mut column.values {
                vector.push(value);
            }
        }};
    }
    match ty {
        DataType::Int => store!(Int, whole(text.trim())?),
        DataType::Long => store!(Long, whole(text.trim())?),
        DataType::Float => store!(Float, float::<f32>(text.trim(), f32::is_finite)?),
        DataType::Double => store!(Double, float::<f64>(text.trim(), f64::is_finite)?),
        DataType::Bool => store!(Bool, truth(text.trim())?),
        DataType::Text => store!(Text, Text::from(text)),
        DataType::Object => store!(Object, Value::Text(Text::from(text))),
    }
    Ok(())
}

fn whole<N: std::str::FromStr<Err = std::num::ParseIntError>>(text: &str) -> Result<N, Fault> {
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => Fault::Range,
        _ => Fault::Type,
    })
}

/// Digits, sign, point and exponent only: `NaN` and `inf`, which the library would read, are no
/// values of a stream.
fn float<N: std::str::FromStr + Copy>(text: &str, finite: fn(N) -> bool) -> Result<N, Fault> {
    let plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.bytes().all(plain) {
        return Err(Fault::Type);
    }
    let value: N = text.parse().map_err(|_| Fault::Type)?;
    if finite(value) { Ok(value) } else { Err(Fault::Range) }
}

fn truth(text: &str) -> Result<bool, Fault> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Fault::Type),
    }
}

/// Appends the value of a row as text; null, and floats that are no numbers, as `null`.
pub fn write(column: &Column, row: usize, into: &mut Vec<u8>) {
    const NULL: &[u8] = b"null";
    if column.is_null(row) {
        return into.extend_from_slice(NULL);
    }
    match &column.values {
        Values::Absent => into.extend_from_slice(NULL),
        Values::Int(values) => write_int(i64::from(values[row]), into),
        Values::Long(values) => write_int(values[row], into),
        Values::Float(values) => write_float(values[row], into),
        Values::Double(values) => write_double(values[row], into),
        Values::Bool(values) => {
            into.extend_from_slice(if values[row] { b"true" } else { b"false" });
        }
        Values::Text(values) => into.extend_from_slice(values[row].as_bytes()),
        Values::Object(values) => match &values[row] {
            Value::Text(text) => into.extend_from_slice(text.as_bytes()),
            Value::Object(structure) => match &**structure {
                Structure::Error(text) => into.extend_from_slice(text.as_bytes()),
                _ => crate::mappers::json::write_value(&values[row], into),
            },
            value => crate::mappers::json::write_value(value, into),
        },
    }
}

/// Appends a whole number.
pub fn write_int(value: i64, into: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        into.push(b'-');
    }
    into.extend_from_slice(&digits[at..]);
}

/// Appends a float, always with a point or an exponent; `null` if it is no number.
pub fn write_float(value: f32, into: &mut Vec<u8>) {
    match value.is_finite() {
        true => write!(into, "{value:?}").expect("a vector takes everything"),
        false => into.extend_from_slice(b"null"),
    }
}

/// Appends a double, always with a point or an exponent; `null` if it is no number.
pub fn write_double(value: f64, into: &mut Vec<u8>) {
    match value.is_finite() {
        true => write!(into, "{value:?}").expect("a vector takes everything"),
        false => into.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_values_of_the_type_or_faults() {
        let cases: &[(DataType, &str, Result<Value, Fault>)] = &[
            (DataType::Int, " 7 ", Ok(Value::Int(7))),
            (DataType::Int, "2147483648", Err(Fault::Range)),
            (DataType::Int, "1.0", Err(Fault::Type)),
            (DataType::Long, "-9223372036854775808", Ok(Value::Long(i64::MIN))),
            (DataType::Double, "1e3", Ok(Value::Double(1000.0))),
            (DataType::Double, "NaN", Err(Fault::Type)),
            (DataType::Double, "inf", Err(Fault::Type)),
            (DataType::Double, "1e999", Err(Fault::Range)),
            (DataType::Float, "3.5", Ok(Value::Float(3.5))),
            (DataType::Float, "1e39", Err(Fault::Range)),
            (DataType::Bool, "True", Ok(Value::Bool(true))),
            (DataType::Bool, "1", Err(Fault::Type)),
            (DataType::Text, " a ", Ok(Value::from(" a "))),
        ];
        for (ty, text, expected) in cases {
            let mut column = Column::new(*ty);
            let result = read(*ty, text, &mut column).map(|()| column.value(0));
            assert_eq!(&result, expected, "{ty} {text}");
            assert_eq!(column.len(), usize::from(result.is_ok()));
        }
    }

    #[test]
    fn values_become_texts() {
        let mut column = Column::new(DataType::Long);
        for value in [0, -1, i64::MIN, i64::MAX] {
            column.push(&Value::Long(value));
        }
        column.push_null();
        let mut bytes = Vec::new();
        for row in 0..column.len() {
            write(&column, row, &mut bytes);
            bytes.push(b' ');
        }
        let expected = "0 -1 -9223372036854775808 9223372036854775807 null ";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        let mut bytes = Vec::new();
        write_double(f64::NAN, &mut bytes);
        write_double(5.0, &mut bytes);
        write_float(0.1, &mut bytes);
        assert_eq!(bytes, b"null5.00.1");
    }
}
